//! What an identity provider says of a person at sign-in, as the subject of the rules.
//!
//! Claims have other names at each identity provider. A default mapping finds those that every person has; a connection may
//! name others. All of them can be used by rules as `claims.NAME`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::base::fold;
use crate::scim::schema::CLAIMS;

/// Claims with their values, by the name that the identity provider used.
pub type RawClaims = BTreeMap<String, Vec<Value>>;

/// Groups, and values of one claim, that are kept; a person can be in hundreds.
pub const MAX_VALUES: usize = 2_000;
/// Characters of a claim's value that are kept.
const MAX_CHARS: usize = 1_024;

/// Where the parts of a person are found. Empty lists take the usual names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClaimMapping {
    /// `userName`.
    #[serde(rename = "userName", skip_serializing_if = "Vec::is_empty")]
    pub user_name: Vec<String>,
    /// `emails`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub email: Vec<String>,
    /// `name.givenName`.
    #[serde(rename = "givenName", skip_serializing_if = "Vec::is_empty")]
    pub given_name: Vec<String>,
    /// `name.familyName`.
    #[serde(rename = "familyName", skip_serializing_if = "Vec::is_empty")]
    pub family_name: Vec<String>,
    /// `displayName`.
    #[serde(rename = "displayName", skip_serializing_if = "Vec::is_empty")]
    pub display_name: Vec<String>,
    /// `groups.display`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
}

/// Claims of a token and not of the person (RFC 7519 §4.1, OpenID Connect Core §2, Entra ID's own): other ones each time.
const OF_THE_TOKEN: [&str; 18] = [
    "iss",
    "aud",
    "azp",
    "exp",
    "iat",
    "nbf",
    "jti",
    "auth_time",
    "nonce",
    "at_hash",
    "c_hash",
    "s_hash",
    "sid",
    "session_state",
    "uti",
    "rh",
    "aio",
    "ver",
];

// Names are compared whole, and then by what follows the last '/', '#' or ':', without case: those of ADFS and Entra are URIs
// (fixtures/saml), those of others words.
const USER_NAME: &[&str] = &[
    "userName",
    "preferred_username",
    "upn",
    "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn",
    "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/name",
    "login",
    "urn:oid:0.9.2342.19200300.100.1.1",
    "uid",
    "eduPersonPrincipalName",
    "urn:oid:1.3.6.1.4.1.5923.1.1.1.6",
];
const EMAIL: &[&str] = &[
    "email",
    "mail",
    "emailAddress",
    "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress",
    "urn:oid:0.9.2342.19200300.100.1.3",
    "user.email",
    "e-mail",
];
const GIVEN_NAME: &[&str] = &[
    "givenName",
    "given_name",
    "firstName",
    "first_name",
    "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/givenname",
    "urn:oid:2.5.4.42",
    "user.firstName",
];
const FAMILY_NAME: &[&str] = &[
    "familyName",
    "family_name",
    "lastName",
    "last_name",
    "surname",
    "sn",
    "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/surname",
    "urn:oid:2.5.4.4",
    "user.lastName",
];
const DISPLAY_NAME: &[&str] = &[
    "displayName",
    "display_name",
    "http://schemas.microsoft.com/identity/claims/displayname",
    "urn:oid:2.16.840.1.113730.3.1.241",
    "full_name",
    "cn",
    "urn:oid:2.5.4.3",
    // OpenID Connect Core §5.1; in SAML it is ADFS's and Entra's userName, which is looked up as a URI before.
    "name",
];
const GROUPS: &[&str] = &[
    "groups",
    "group",
    "memberOf",
    "http://schemas.microsoft.com/ws/2008/06/identity/claims/groups",
    "http://schemas.xmlsoap.org/claims/Group",
    "urn:oid:1.3.6.1.4.1.5923.1.5.1.1",
    "isMemberOf",
];

/// What was said of a person, in SCIM's terms.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// `userName`, if a claim holds one.
    pub user_name: Option<String>,
    /// An e-mail address.
    pub email: Option<String>,
    /// `name.givenName`.
    pub given_name: Option<String>,
    /// `name.familyName`.
    pub family_name: Option<String>,
    /// `displayName`.
    pub display_name: Option<String>,
    /// The names of groups.
    pub groups: Vec<String>,
}

impl Said {
    /// Reads claims as the mapping says.
    #[must_use]
    pub fn read(claims: &RawClaims, mapping: &ClaimMapping) -> Self {
        let one = |own: &[String], usual: &[&str]| first(claims, &names(own, usual));
        Self {
            user_name: one(&mapping.user_name, USER_NAME),
            email: one(&mapping.email, EMAIL),
            given_name: one(&mapping.given_name, GIVEN_NAME),
            family_name: one(&mapping.family_name, FAMILY_NAME),
            display_name: one(&mapping.display_name, DISPLAY_NAME),
            groups: groups(claims, &names(&mapping.groups, GROUPS)),
        }
    }

    /// A SCIM document of somebody with that userName.
    #[must_use]
    pub fn document(&self, user_name: &str) -> Map<String, Value> {
        let mut document = Map::new();
        document.insert("userName".to_owned(), user_name.into());
        let mut name = Map::new();
        for (key, value) in [("givenName", &self.given_name), ("familyName", &self.family_name)] {
            if let Some(value) = value {
                name.insert(key.to_owned(), value.as_str().into());
            }
        }
        if !name.is_empty() {
            document.insert("name".to_owned(), name.into());
        }
        let parts = [&self.given_name, &self.family_name].map(|part| part.as_deref().unwrap_or_default());
        let full = parts.join(" ");
        let display = self.display_name.as_deref().unwrap_or(full.trim());
        if !display.is_empty() {
            document.insert("displayName".to_owned(), display.into());
        }
        if let Some(email) = &self.email {
            document.insert("emails".to_owned(), json!([{"value": email, "type": "work", "primary": true}]));
        }
        document.insert("active".to_owned(), true.into());
        document
    }
}

/// What is kept of a sign-in until the next.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignInClaims {
    /// The names of groups.
    pub groups: Vec<String>,
    /// All claims as text.
    pub claims: BTreeMap<String, Vec<String>>,
}

impl SignInClaims {
    /// Of claims and the groups that were found in them.
    #[must_use]
    pub fn new(claims: &RawClaims, groups: Vec<String>) -> Self {
        let texts = |values: &Vec<Value>| values.iter().filter_map(text).take(MAX_VALUES).collect();
        let lasting = claims.iter().filter(|(name, _)| !OF_THE_TOKEN.contains(&name.as_str()));
        Self { groups, claims: lasting.map(|(name, values)| (name.clone(), texts(values))).collect() }
    }

    /// Adds them to the subject of the rules. What stands there already stays, and no group comes twice.
    pub fn add_to(&self, subject: &mut Map<String, Value>) {
        if !self.groups.is_empty() {
            let groups = subject.entry("groups").or_insert_with(|| Value::Array(Vec::new()));
            if let Some(groups) = groups.as_array_mut() {
                let known: Vec<String> =
                    groups.iter().filter_map(|group| group["display"].as_str()).map(fold).collect();
                let new = self.groups.iter().filter(|group| !known.contains(&fold(group)));
                groups.extend(new.map(|group| json!({"value": group, "display": group, "type": "direct"})));
            }
        }
        let mut all = Vec::new();
        for (name, values) in &self.claims {
            let short = last_part(name);
            let names = [Some(name.as_str()), Some(short).filter(|short| short != name)];
            for name in names.into_iter().flatten() {
                all.extend(values.iter().map(|value| json!({"name": name, "value": value})));
            }
        }
        if !all.is_empty() {
            subject.insert(CLAIMS.to_owned(), all.into());
        }
    }
}

fn names<'a>(own: &'a [String], usual: &'a [&'a str]) -> Vec<&'a str> {
    if own.is_empty() { usual.to_vec() } else { own.iter().map(String::as_str).collect() }
}

fn last_part(name: &str) -> &str {
    name.rsplit(['/', '#', ':']).next().filter(|part| !part.is_empty()).unwrap_or(name)
}

/// The values of a claim: by its whole name, else by what a URI ends with.
fn values<'a>(claims: &'a RawClaims, name: &str) -> Option<&'a Vec<Value>> {
    let whole = claims.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
    // A URI that ends with "name" is a userName at ADFS and Entra, the word alone what people are called.
    let by_end = || {
        let fits = |key: &str| key.contains('/') && name != "name" && last_part(key).eq_ignore_ascii_case(name);
        claims.iter().find(|(key, _)| fits(key))
    };
    whole.or_else(by_end).map(|(_, values)| values)
}

fn first(claims: &RawClaims, names: &[&str]) -> Option<String> {
    names.iter().find_map(|name| values(claims, name)?.iter().find_map(text))
}

fn text(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.trim().to_owned(),
        Value::Null => return None,
        // Structures, as the `address` of OpenID Connect, are kept as they are.
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    };
    Some(text.chars().take(MAX_CHARS).collect::<String>()).filter(|text| !text.is_empty())
}

/// The groups of all claims of that kind, and short forms of those that are paths: the common name of a distinguished name
/// (`memberOf` of Active Directory and LDAP) and the last part of Keycloak's path.
fn groups(claims: &RawClaims, names: &[&str]) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for values in names.iter().filter_map(|name| values(claims, name)) {
        for group in values.iter().filter_map(text) {
            let short = common_name(&group).or_else(|| group.strip_prefix('/')?.rsplit('/').next().map(str::to_owned));
            for name in [Some(group), short].into_iter().flatten() {
                if found.len() < MAX_VALUES && !name.is_empty() && !found.contains(&name) {
                    found.push(name);
                }
            }
        }
    }
    found
}

/// `CN=Support Agents,OU=Groups,DC=acme,DC=example` is `Support Agents`; a backslash keeps a comma (RFC 4514 §2.4).
fn common_name(name: &str) -> Option<String> {
    let (kind, rest) = name.split_once('=')?;
    if !kind.trim().eq_ignore_ascii_case("cn") || !rest.contains('=') {
        return None;
    }
    let mut value = String::new();
    let mut characters = rest.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => value.extend(characters.next()),
            ',' | '+' => break,
            _ => value.push(character),
        }
    }
    Some(value.trim().to_owned()).filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims(list: &[(&str, &[&str])]) -> RawClaims {
        list.iter().map(|(name, values)| ((*name).to_owned(), values.iter().map(|it| json!(it)).collect())).collect()
    }

    #[test]
    fn usual_names_are_found() {
        let entra = claims(&[
            ("http://schemas.xmlsoap.org/ws/2005/05/identity/claims/name", &["ana@acme.example"]),
            ("http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress", &["ana.m@acme.example"]),
            ("http://schemas.xmlsoap.org/ws/2005/05/identity/claims/givenname", &["Ana"]),
            ("http://schemas.xmlsoap.org/ws/2005/05/identity/claims/surname", &["Moreno"]),
            ("http://schemas.microsoft.com/ws/2008/06/identity/claims/groups", &["b6a2", "c7d3"]),
        ]);
        let said = Said::read(&entra, &ClaimMapping::default());
        assert_eq!(said.user_name.as_deref(), Some("ana@acme.example"));
        assert_eq!(said.email.as_deref(), Some("ana.m@acme.example"));
        assert_eq!(said.groups, ["b6a2", "c7d3"]);
        let document = said.document("ana@acme.example");
        assert_eq!(document["displayName"], "Ana Moreno");
        assert_eq!(document["emails"][0]["value"], "ana.m@acme.example");
        let oidc = claims(&[("preferred_username", &["bo"]), ("name", &["Bo Li"]), ("email", &["bo@acme.example"])]);
        let said = Said::read(&oidc, &ClaimMapping::default());
        assert_eq!((said.user_name.as_deref(), said.display_name.as_deref()), (Some("bo"), Some("Bo Li")));
        assert_eq!(Said::read(&RawClaims::new(), &ClaimMapping::default()), Said::default());
    }

    #[test]
    fn a_connection_may_name_others() {
        let mapping = ClaimMapping { user_name: vec!["employee".to_owned()], ..ClaimMapping::default() };
        let said = Said::read(&claims(&[("upn", &["x"]), ("Employee", &["e1"])]), &mapping);
        assert_eq!(said.user_name.as_deref(), Some("e1"));
        assert_eq!(
            Said::read(&claims(&[("upn", &["x"])]), &mapping).user_name,
            None,
            "the usual names do not count then"
        );
    }

    #[test]
    fn groups_that_are_paths_have_a_short_name_too() {
        let said =
            claims(&[("memberOf", &["CN=Support\\, North,OU=Groups,DC=acme,DC=example", "/Floor/Agents", "CN=x"])]);
        let said = Said::read(&said, &ClaimMapping::default());
        let expected =
            ["CN=Support\\, North,OU=Groups,DC=acme,DC=example", "Support, North", "/Floor/Agents", "Agents", "CN=x"];
        assert_eq!(said.groups, expected);
    }

    #[test]
    fn what_is_known_of_a_person_stays() {
        let kept = SignInClaims::new(
            &claims(&[("groups", &["A", "b"]), ("urn:x:site", &["Lima"])]),
            vec!["A".into(), "b".into()],
        );
        let mut subject = json!({"groups": [{"value": "1", "display": "B"}]}).as_object().unwrap().clone();
        kept.add_to(&mut subject);
        let names: Vec<_> = subject["groups"].as_array().unwrap().iter().map(|it| it["display"].clone()).collect();
        assert_eq!(names, ["B", "A"]);
        let names: Vec<_> = subject["claims"].as_array().unwrap().iter().map(|it| it["name"].clone()).collect();
        assert_eq!(names, ["groups", "groups", "urn:x:site", "site"]);
    }
}
