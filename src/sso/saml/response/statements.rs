//! What an assertion says about the person (SAML Core §2.7).

use serde_json::Value;

use super::Expected;
use crate::base::Timestamp;
use crate::sso::saml::names::{ASSERTION, EMAIL_FORMAT};
use crate::sso::saml::options::SubjectFrom;
use crate::sso::saml::tree::Node;
use crate::sso::saml::words::{instant, refuse, shown};
use crate::sso::{Check, Claims, Email, Identity, NameId, SsoError};

/// Names under which identity providers send an address when nobody changed them: Okta, Google and Ping by short names, Entra
/// ID and ADFS by that of their schema, Shibboleth by that of LDAP.
const EMAIL_NAMES: [&str; 6] = [
    "email",
    "mail",
    "emailAddress",
    "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress",
    "urn:oid:0.9.2342.19200300.100.1.3",
    "Email",
];

/// Attributes of a person that are read; a value each, or thousands of groups in one, is usual.
const MAX_ATTRIBUTES: usize = 500;

/// Puts together who it is.
pub(super) fn identity(
    assertion: Node<'_, '_>,
    issuer: String,
    name_id: Option<NameId>,
    expected: &Expected<'_>,
    now: Timestamp,
) -> Result<Identity, SsoError> {
    let statement = assertion.one(ASSERTION, "AuthnStatement")?;
    let authenticated_at = authenticated(statement, expected, now)?;
    let session_ends_at = statement.attribute("SessionNotOnOrAfter").map(instant).transpose()?;
    if let Some(end) = session_ends_at.filter(|end| end.after(expected.options.skew()) <= now) {
        return refuse(Check::Time, format!("the session at the identity provider ended at {end}, and it is {now}"));
    }
    let claims = claims(assertion)?;
    Ok(Identity {
        issuer,
        subject: subject(name_id.as_ref(), &claims, &expected.options.subject)?,
        email: email(name_id.as_ref(), &claims, expected.options.email_attribute.as_deref()),
        claims,
        name_id,
        session: statement.attribute("SessionIndex").map(str::to_owned),
        session_ends_at,
        authenticated_at: Some(authenticated_at),
        context: context(statement, expected)?,
    })
}

fn authenticated(statement: Node<'_, '_>, expected: &Expected<'_>, now: Timestamp) -> Result<Timestamp, SsoError> {
    let at = instant(statement.required("AuthnInstant")?)?;
    let skew = expected.options.skew();
    if at > now.after(skew) {
        return refuse(Check::Time, format!("the person signed in at {at}, which is in the future at {now}"));
    }
    match expected.fresh_since {
        Some(since) if at.after(skew) < since => refuse(
            Check::Freshness,
            format!("the person signed in at {at}, and a new sign-in was asked for at {since}"),
        ),
        _ => Ok(at),
    }
}

/// How the person signed in; one of the ways that were asked for, if any was.
fn context(statement: Node<'_, '_>, expected: &Expected<'_>) -> Result<Option<String>, SsoError> {
    let context = statement.one(ASSERTION, "AuthnContext")?;
    let class = context.optional(ASSERTION, "AuthnContextClassRef")?.map(|class| class.token()).transpose()?;
    let asked = &expected.options.authn_context;
    if asked.is_empty() || class.as_ref().is_some_and(|class| asked.contains(class)) {
        return Ok(class);
    }
    let found = class.as_deref().map_or("not said".to_owned(), shown);
    let wanted: Vec<String> = asked.iter().map(|class| shown(class)).collect();
    refuse(Check::Freshness, format!("the way of signing in is {found}, expected {}", wanted.join(" or ")))
}

/// All attributes by their names. The same name again adds its values: Keycloak sends one attribute for each group.
fn claims(assertion: Node<'_, '_>) -> Result<Claims, SsoError> {
    let (mut claims, mut seen) = (Claims::new(), 0_usize);
    for statement in assertion.all(ASSERTION, "AttributeStatement") {
        statement.holds_elements_only()?;
        for attribute in statement.children() {
            if !attribute.is(ASSERTION, "Attribute") {
                return refuse(Check::Claim, format!("the attributes hold {}", shown(attribute.name())));
            }
            attribute.holds_elements_only()?;
            let name = attribute.required("Name")?;
            seen += 1;
            if seen > MAX_ATTRIBUTES {
                return refuse(Check::Limit, format!("the assertion has more than {MAX_ATTRIBUTES} attributes"));
            }
            let values = claims.entry(name.to_owned()).or_default();
            for value in attribute.children() {
                if !value.is(ASSERTION, "AttributeValue") {
                    return refuse(Check::Claim, format!("the attribute {} holds more than values", shown(name)));
                }
                values.push(Value::String(value.text()?));
            }
        }
    }
    Ok(claims)
}

fn texts<'c>(claims: &'c Claims, name: &str) -> impl Iterator<Item = &'c str> {
    claims.get(name).into_iter().flatten().filter_map(Value::as_str).filter(|text| !text.trim().is_empty())
}

fn subject(name_id: Option<&NameId>, claims: &Claims, from: &SubjectFrom) -> Result<String, SsoError> {
    match (from, name_id) {
        (SubjectFrom::NameId, Some(name_id)) => Ok(name_id.value.clone()),
        (SubjectFrom::NameId, None) => refuse(Check::Subject, "the assertion has no NameID"),
        (SubjectFrom::Attribute(name), _) => {
            let values: Vec<&str> = texts(claims, name).collect();
            match values[..] {
                [value] => Ok(value.to_owned()),
                [] => {
                    refuse(Check::Claim, format!("the attribute {}, which names the person, is missing", shown(name)))
                }
                _ => refuse(
                    Check::Claim,
                    format!("the attribute {}, which names the person, has several values", shown(name)),
                ),
            }
        }
    }
}

fn email(name_id: Option<&NameId>, claims: &Claims, attribute: Option<&str>) -> Option<Email> {
    let named = match attribute {
        Some(name) => texts(claims, name).next(),
        None => EMAIL_NAMES.iter().find_map(|name| texts(claims, name).next()),
    };
    let name_id = name_id.filter(|_| attribute.is_none());
    let by_format = name_id.filter(|id| id.format.as_deref() == Some(EMAIL_FORMAT)).map(|id| &*id.value);
    let address = named.or(by_format)?.trim();
    // SAML knows no word for whether somebody proved that an address is theirs.
    Some(Email { address: address.to_owned(), verified: false })
}
