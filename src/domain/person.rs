//! A person as other parts want to see one, read from the stored SCIM document.

use serde_json::{Map, Value};

/// A view of a user's SCIM document (RFC 7643 §4.1). Blank text counts as absent, surrounding white space is left out.
#[derive(Clone, Copy, Debug)]
pub struct Person<'a>(&'a Map<String, Value>);

impl<'a> Person<'a> {
    /// Views a stored document (canonical attribute names).
    #[must_use]
    pub const fn new(document: &'a Map<String, Value>) -> Self {
        Self(document)
    }

    /// `userName` exactly as it was sent: it is the SSO identity, of which every character counts.
    #[must_use]
    pub fn user_name(self) -> Option<&'a str> {
        self.0.get("userName").and_then(Value::as_str)
    }

    /// `active`; a user without the attribute, which a client can only have removed, is not.
    #[must_use]
    pub fn active(self) -> bool {
        self.0.get("active").and_then(Value::as_bool).unwrap_or(false)
    }

    /// The given name.
    #[must_use]
    pub fn given_name(self) -> Option<&'a str> {
        self.name_part("givenName")
    }

    /// The family name.
    #[must_use]
    pub fn family_name(self) -> Option<&'a str> {
        self.name_part("familyName")
    }

    /// The name for people: `displayName`, else given and family name, else `name.formatted`.
    #[must_use]
    pub fn full_name(self) -> Option<String> {
        if let Some(name) = text(self.0, "displayName") {
            return Some(name.to_owned());
        }
        let parts: Vec<_> = [self.given_name(), self.family_name()].into_iter().flatten().collect();
        if parts.is_empty() { self.name_part("formatted").map(str::to_owned) } else { Some(parts.join(" ")) }
    }

    /// The e-mail address: the primary one, else the first, else `userName` if that looks like an address.
    #[must_use]
    pub fn email(self) -> Option<&'a str> {
        self.listed_email().or_else(|| self.user_name().map(str::trim).filter(|name| looks_like_email(name)))
    }

    fn listed_email(self) -> Option<&'a str> {
        let addresses = || {
            let list = self.0.get("emails").and_then(Value::as_array).into_iter().flatten();
            list.filter_map(Value::as_object).filter_map(|entry| text(entry, "value").map(|value| (entry, value)))
        };
        addresses()
            .find(|(entry, _)| entry.get("primary").and_then(Value::as_bool) == Some(true))
            .or_else(|| addresses().next())
            .map(|(_, value)| value)
    }

    fn name_part(self, part: &str) -> Option<&'a str> {
        text(self.0.get("name")?.as_object()?, part)
    }
}

fn text<'a>(map: &'a Map<String, Value>, key: &str) -> Option<&'a str> {
    map.get(key).and_then(Value::as_str).map(str::trim).filter(|text| !text.is_empty())
}

/// A local part, one `@`, a domain, and neither white space nor control characters.
fn looks_like_email(text: &str) -> bool {
    text.split_once('@').is_some_and(|(local, domain)| {
        !local.is_empty()
            && !domain.is_empty()
            && !domain.contains('@')
            && !text.chars().any(|c| c.is_whitespace() || c.is_control())
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn map(document: Value) -> Map<String, Value> {
        match document {
            Value::Object(map) => map,
            other => panic!("not an object: {other}"),
        }
    }

    #[test]
    fn blank_names_count_as_absent() {
        let name = |document| Person::new(&map(document)).full_name();
        let names = json!({"givenName": "Ana", "familyName": " Ruiz ", "formatted": "Dr Ana Ruiz"});
        assert_eq!(name(json!({"displayName": "Ana R.", "name": names})), Some("Ana R.".to_owned()));
        assert_eq!(name(json!({"displayName": "  ", "name": names})), Some("Ana Ruiz".to_owned()));
        assert_eq!(name(json!({"name": {"givenName": "", "familyName": "Ruiz"}})), Some("Ruiz".to_owned()));
        assert_eq!(name(json!({"name": {"formatted": "Dr Ana Ruiz"}})), Some("Dr Ana Ruiz".to_owned()));
        assert_eq!(name(json!({"name": {"givenName": " "}})), None);
        assert_eq!(name(json!({"name": "Ana"})), None);
    }

    #[test]
    fn the_primary_address_wins() {
        let email = |document| Person::new(&map(document)).email().map(str::to_owned);
        let two = json!([{"value": "a@x.example"}, {"value": "b@x.example", "primary": true}]);
        assert_eq!(email(json!({"emails": two})).as_deref(), Some("b@x.example"));
        let blank = json!([{"value": "", "primary": true}, {"type": "work"}, {"value": "c@x.example"}]);
        assert_eq!(email(json!({"userName": "u@x.example", "emails": blank})).as_deref(), Some("c@x.example"));
        assert_eq!(email(json!({"userName": "u@x.example"})).as_deref(), Some("u@x.example"));
        for no in ["ana", "@x", "ana@", "a b@x", "a@b@c"] {
            assert_eq!(email(json!({"userName": no})), None, "{no}");
        }
    }

    #[test]
    fn who_is_not_said_to_be_inactive_is_active() {
        assert!(!Person::new(&map(json!({}))).active());
        assert!(Person::new(&map(json!({"active": true}))).active());
        assert!(!Person::new(&map(json!({"active": false}))).active());
        assert_eq!(Person::new(&map(json!({"userName": " Ana "}))).user_name(), Some(" Ana "));
    }
}
