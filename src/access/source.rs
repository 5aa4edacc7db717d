//! A SCIM attribute as the source of a worker attribute: `{ from = "userType" }`.

use serde_json::{Map, Value};

use super::nearest::did_you_mean;
use crate::scim::Dialect;
use crate::scim::schema::{
    AttrName, AttrRef, Attribute, AttributeType, CLAIMS, ResourceSchema, Returned, subject_schema,
};

/// Attributes of which a person has several but uses one: they give the primary value, else the first.
/// The other multi-valued attributes give the list of their values.
const ONE_OF_MANY: [&str; 5] = ["emails", "phoneNumbers", "ims", "photos", "addresses"];

/// What a rule reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// A SCIM attribute.
    Attribute(AttributeSource),
    /// A claim of the last sign-in, by its name.
    Claim(String),
}

/// A SCIM attribute that a rule reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AttributeSource(AttrRef);

impl Source {
    /// Looks a name up in the schema of users; attributes of the enterprise extension need no URN.
    ///
    /// The error is a sentence for whoever wrote the rule.
    pub(crate) fn resolve(name: &str) -> Result<Self, String> {
        if let Some((before, claim)) = name.split_once('.')
            && before.eq_ignore_ascii_case(CLAIMS)
            && !claim.is_empty()
        {
            return Ok(Self::Claim(claim.to_owned()));
        }
        let schema = subject_schema();
        let attribute = AttrName::parse(name)
            .ok()
            .and_then(|name| schema.resolve_attribute(&name, Dialect::Auto))
            .ok_or_else(|| unknown(schema, name))?;
        if let Some(reason) = unusable(&attribute) {
            return Err(format!("'{name}' {reason}"));
        }
        if attribute.leaf().kind == AttributeType::Complex {
            let parts: Vec<_> = attribute.attr.sub_attributes.iter().map(|sub| sub.name).collect();
            return Err(format!("'{name}' has no single value: name a part of it ({})", parts.join(", ")));
        }
        Ok(Self::Attribute(AttributeSource(attribute)))
    }

    /// What a person has there; blank text and empty lists count as nothing.
    pub(crate) fn value(&self, subject: &Map<String, Value>) -> Option<Value> {
        match self {
            Self::Attribute(attribute) => attribute.value(subject),
            Self::Claim(name) => claim(name, subject),
        }
    }
}

/// One value as it is, several as a list.
fn claim(name: &str, subject: &Map<String, Value>) -> Option<Value> {
    let is_it = |element: &&Value| element["name"].as_str().is_some_and(|it| it.eq_ignore_ascii_case(name));
    let text = |element: &Value| element["value"].as_str().filter(|text| !text.trim().is_empty()).map(Value::from);
    let mut values: Vec<Value> = subject.get(CLAIMS)?.as_array()?.iter().filter(is_it).filter_map(text).collect();
    match values.len() {
        0 | 1 => values.pop(),
        _ => Some(Value::Array(values)),
    }
}

impl AttributeSource {
    fn value(self, subject: &Map<String, Value>) -> Option<Value> {
        let holder = match self.0.extension {
            Some(urn) => subject.get(urn)?.as_object()?,
            None => subject,
        };
        let value = holder.get(self.0.attr.name)?;
        if !self.0.attr.multi_valued {
            return self.scalar(value);
        }
        let elements = value.as_array()?;
        if ONE_OF_MANY.contains(&self.0.attr.name) {
            let is_primary = |element: &&Value| element.get("primary").and_then(Value::as_bool) == Some(true);
            let mut preferred = elements.iter().filter(is_primary).chain(elements);
            return preferred.find_map(|element| self.scalar(element));
        }
        let values: Vec<_> = elements.iter().filter_map(|element| self.scalar(element)).collect();
        if values.is_empty() { None } else { Some(Value::Array(values)) }
    }

    fn scalar(self, value: &Value) -> Option<Value> {
        let value = match self.0.compared() {
            Some(sub) => value.get(sub.name)?,
            None => value,
        };
        match value {
            Value::String(text) if text.trim().is_empty() => None,
            Value::String(_) | Value::Bool(_) | Value::Number(_) => Some(value.clone()),
            Value::Null | Value::Array(_) | Value::Object(_) => None,
        }
    }
}

/// The canonical name.
impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Attribute(attribute) => attribute.0.fmt(f),
            Self::Claim(name) => write!(f, "{CLAIMS}.{name}"),
        }
    }
}

/// Why an attribute cannot be used in rules, as the end of a sentence that begins with its name.
pub(crate) fn unusable(attribute: &AttrRef) -> Option<&'static str> {
    if attribute.leaf().returned == Returned::Never || attribute.attr.returned == Returned::Never {
        return Some("is never kept");
    }
    match attribute.attr.name {
        // It changes with each write, so access would depend on when it was last computed.
        "meta" => Some("changes with every push and cannot decide access"),
        // Derived from which attributes are present, and not part of the person.
        "schemas" => Some("says nothing of the person: ask for the attributes instead"),
        _ => None,
    }
}

/// What to say of a name that is no attribute of a user.
pub(crate) fn unknown(schema: &'static ResourceSchema, name: &str) -> String {
    let shown: String = name.chars().take(80).collect();
    let names = names(schema);
    format!("a user has no SCIM attribute '{shown}'{}", did_you_mean(name, names.iter().map(String::as_str)))
}

/// Every name by which a rule can read something.
fn names(schema: &ResourceSchema) -> Vec<String> {
    let mut names = Vec::new();
    let extensions = schema.extensions.iter().map(|(extension, _)| extension);
    collect(&mut names, "", &schema.core.attributes);
    collect(&mut names, "", &schema.common);
    for extension in extensions {
        collect(&mut names, &format!("{}:", extension.id), &extension.attributes);
    }
    names
}

fn collect(names: &mut Vec<String>, prefix: &str, attributes: &[Attribute]) {
    for attribute in attributes {
        names.push(format!("{prefix}{}", attribute.name));
        names.extend(attribute.sub_attributes.iter().map(|sub| format!("{prefix}{}.{}", attribute.name, sub.name)));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(name: &str, subject: Value) -> Option<Value> {
        match subject {
            Value::Object(map) => Source::resolve(name).unwrap().value(&map),
            other => panic!("not an object: {other}"),
        }
    }

    #[test]
    fn values_come_from_where_the_name_points() {
        let department = json!({"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": {
            "department": "Ops", "manager": {"value": "m1", "displayName": "Bo"}}});
        let long = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department";
        assert_eq!(read(long, department.clone()), Some(json!("Ops")));
        assert_eq!(read("department", department.clone()), Some(json!("Ops")));
        assert_eq!(read("manager", department.clone()), Some(json!("m1")));
        assert_eq!(read("manager.displayName", department), Some(json!("Bo")));
        assert_eq!(read("NAME.familyname", json!({"name": {"familyName": "Ruiz"}})), Some(json!("Ruiz")));
        assert_eq!(read("title", json!({"title": "  "})), None);
        let claims = json!({"claims": [{"name": "site", "value": "Lima"}, {"name": "g", "value": "A"}, {"name": "g", "value": "B"}]});
        assert_eq!(read("claims.Site", claims.clone()), Some(json!("Lima")));
        assert_eq!(read("claims.g", claims.clone()), Some(json!(["A", "B"])));
        assert_eq!(read("claims.other", claims), None);
        assert_eq!(read("active", json!({"active": false})), Some(json!(false)));
    }

    #[test]
    fn several_values_become_one_or_a_list() {
        let phones = json!({"phoneNumbers": [{"value": "1"}, {"value": "2", "primary": true}, {"value": "3"}]});
        assert_eq!(read("phoneNumbers", phones), Some(json!("2")));
        assert_eq!(read("emails", json!({"emails": [{"value": ""}, {"value": "b@x"}]})), Some(json!("b@x")));
        let groups = json!({"groups": [{"value": "g1", "display": "A"}, {"value": "g2", "display": "B"}]});
        assert_eq!(read("groups.display", groups.clone()), Some(json!(["A", "B"])));
        assert_eq!(read("groups", groups), Some(json!(["g1", "g2"])));
        assert_eq!(read("roles", json!({"roles": []})), None);
    }

    #[test]
    fn what_cannot_be_read_is_refused_with_advice() {
        let refused = |name: &str| Source::resolve(name).unwrap_err();
        assert!(refused("usertyp").contains("did you mean 'userType'?"));
        assert!(refused("name").contains("familyName"));
        assert!(refused("password").contains("never kept"));
        assert!(refused("meta.lastModified").contains("every push"));
        assert!(refused("a b").contains("no SCIM attribute"));
        assert!(refused("urn:ietf:params:scim:schemas:extension:enterprise:2.0:User").contains("no SCIM attribute"));
    }
}
