//! Values of attributes: checked against their type, and brought to the one form that is stored.
//!
//! Recursion follows the schema, which is two levels deep, never the input.

use serde_json::{Map, Value};

use super::error::excerpt;
use super::schema::{Attribute, AttributeType, Mutability};
use super::{Dialect, ScimError, json};
use crate::base::Timestamp;

/// The longest string that is kept, in bytes.
pub const MAX_STRING: usize = 16 * 1024;

/// The most elements that a multi-valued attribute keeps. Members of groups are not kept in documents and have a limit
/// of their own.
pub const MAX_ELEMENTS: usize = 1000;

/// The stored form of an attribute's whole value, an array if it is multi-valued; none if the value is unassigned.
///
/// Names inside complex values become canonical, `null`, empty arrays and empty objects disappear (RFC 7643 §2.5 calls
/// them unassigned), unknown and read-only sub-attributes are dropped.
///
/// # Errors
/// 400 `invalidValue` where the value has another type than the attribute, is too long or has too many elements.
pub fn coerce(attr: &Attribute, value: Value, dialect: Dialect) -> Result<Option<Value>, ScimError> {
    Coercer::new(dialect).whole(attr, value)
}

/// The stored form of one element of an attribute: as [`coerce`], but a multi-valued attribute is given one of its
/// elements.
///
/// # Errors
/// As [`coerce`].
pub fn coerce_element(attr: &Attribute, value: Value, dialect: Dialect) -> Result<Option<Value>, ScimError> {
    Coercer::new(dialect).element(attr, attr.name, value)
}

/// Reads a boolean; where the dialect allows, also one that is quoted.
#[must_use]
pub fn boolean(value: &Value, dialect: Dialect) -> Option<bool> {
    match value {
        Value::Bool(value) => Some(*value),
        Value::String(text) if dialect.quoted_booleans() => quoted_boolean(text),
        _ => None,
    }
}

/// Reads `true` or `false` in any ASCII case.
#[must_use]
pub fn quoted_boolean(text: &str) -> Option<bool> {
    match text {
        _ if text.eq_ignore_ascii_case("true") => Some(true),
        _ if text.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}

/// Coerces values and remembers the names that it had to drop.
#[derive(Debug)]
pub struct Coercer {
    dialect: Dialect,
    /// The names of sub-attributes that the schema does not have.
    pub ignored: Vec<String>,
}

impl Coercer {
    /// For requests of one dialect.
    #[must_use]
    pub const fn new(dialect: Dialect) -> Self {
        Self { dialect, ignored: Vec::new() }
    }

    /// As [`coerce`].
    ///
    /// # Errors
    /// As [`coerce`].
    pub fn whole(&mut self, attr: &Attribute, value: Value) -> Result<Option<Value>, ScimError> {
        if !attr.multi_valued {
            return self.element(attr, attr.name, value);
        }
        let items = self.items(attr, value)?;
        if items.len() > MAX_ELEMENTS {
            return Err(invalid(attr.name, &format!("has more than {MAX_ELEMENTS} values")));
        }
        let mut elements = Vec::with_capacity(items.len());
        for item in items {
            elements.extend(self.element(attr, attr.name, item)?);
        }
        if attr.sub("primary").is_some() {
            self.one_primary(attr, &mut elements)?;
        }
        Ok(if elements.is_empty() { None } else { Some(Value::Array(elements)) })
    }

    /// The elements of a multi-valued attribute as they were sent.
    fn items(&self, attr: &Attribute, value: Value) -> Result<Vec<Value>, ScimError> {
        match value {
            Value::Null => Ok(Vec::new()),
            Value::Array(items) => Ok(items),
            Value::Object(_) | Value::String(_) if self.dialect.single_object_as_array() => Ok(vec![value]),
            other => Err(mistyped(attr.name, "an array", &other)),
        }
    }

    /// At most one element is the primary one (RFC 7643 §2.4).
    fn one_primary(&self, attr: &Attribute, elements: &mut [Value]) -> Result<(), ScimError> {
        let mut primaries = elements.iter_mut().rev().filter(|element| element["primary"] == Value::Bool(true));
        if primaries.next().is_none() {
            return Ok(());
        }
        for earlier in primaries {
            if !self.dialect.several_primaries() {
                return Err(invalid(attr.name, "has more than one primary value"));
            }
            earlier["primary"] = Value::Bool(false);
        }
        Ok(())
    }

    /// One value that is not an array; `name` is what errors call it.
    fn element(&mut self, attr: &Attribute, name: &str, value: Value) -> Result<Option<Value>, ScimError> {
        if value.is_null() {
            return Ok(None);
        }
        match attr.kind {
            AttributeType::Complex => return self.complex(attr, name, value),
            AttributeType::Boolean | AttributeType::Integer if self.is_empty(attr, &value) => return Ok(None),
            AttributeType::Boolean => {
                return boolean(&value, self.dialect)
                    .map(|value| Some(Value::Bool(value)))
                    .ok_or_else(|| mistyped(name, "true or false", &value));
            }
            AttributeType::Integer if value.is_i64() => {}
            AttributeType::Integer => {
                return self
                    .quoted_integer(&value)
                    .map(|number| Some(Value::from(number)))
                    .ok_or_else(|| mistyped(name, "a whole number", &value));
            }
            AttributeType::Decimal if value.is_number() => {}
            AttributeType::Decimal => return Err(mistyped(name, "a number", &value)),
            AttributeType::DateTime => check_date(name, &value)?,
            AttributeType::String if attr.name != "userName" && value.is_number() && self.dialect.numbers_as_text() => {
                return Ok(Some(Value::String(value.to_string())));
            }
            AttributeType::String | AttributeType::Binary | AttributeType::Reference => {
                check_string(name, &value)?;
            }
        }
        Ok(Some(value))
    }

    /// Whether a text stands for no value. Not that of `active`: what is meant there must be seen, not guessed about.
    fn is_empty(&self, attr: &Attribute, value: &Value) -> bool {
        attr.name != "active" && self.dialect.empty_text_as_no_value() && is_blank(Some(value))
    }

    fn quoted_integer(&self, value: &Value) -> Option<i64> {
        let text = value.as_str().filter(|_| self.dialect.quoted_integers())?;
        text.trim().parse().ok()
    }

    fn complex(&mut self, attr: &Attribute, name: &str, value: Value) -> Result<Option<Value>, ScimError> {
        let mut object = self.object(attr, name, value)?;
        if attr.name == "roles" && self.dialect.unpack_json_strings() {
            object = unpack(object);
        }
        let mut complex = Map::new();
        for (key, value) in object {
            let Some(sub) = attr.sub(&key) else {
                self.ignored.push(excerpt(&format!("{name}.{key}")));
                continue;
            };
            if sub.mutability == Mutability::ReadOnly {
                continue;
            }
            if let Some(value) = self.element(sub, &format!("{name}.{}", sub.name), value)? {
                complex.insert(sub.name.to_owned(), value);
            }
        }
        let no_manager = attr.name == "manager" && self.dialect.bare_string_manager() && is_blank(complex.get("value"));
        Ok(if complex.is_empty() || no_manager { None } else { Some(Value::Object(complex)) })
    }

    /// The object that a complex value is, or stands for.
    fn object(&self, attr: &Attribute, name: &str, value: Value) -> Result<Map<String, Value>, ScimError> {
        match value {
            Value::Object(object) => Ok(object),
            Value::String(_) if attr.sub("value").is_some() && self.bare_string_allowed(attr) => {
                Ok(Map::from_iter([("value".to_owned(), value)]))
            }
            Value::Array(items) if !attr.multi_valued && self.dialect.array_as_single_object() => {
                match <[Value; 1]>::try_from(items) {
                    Ok([Value::Object(object)]) => Ok(object),
                    Ok([other]) => Err(mistyped(name, "an object", &other)),
                    Err(items) if items.is_empty() => Ok(Map::new()),
                    Err(_) => Err(invalid(name, "has one value only")),
                }
            }
            other => Err(mistyped(name, "an object", &other)),
        }
    }

    fn bare_string_allowed(&self, attr: &Attribute) -> bool {
        if attr.multi_valued { self.dialect.bare_string_elements() } else { self.dialect.bare_string_manager() }
    }
}

/// A role that is a JSON object packed into the string `value` becomes that object. Text that only looks like JSON
/// stays as it is: it then equals no role, so nobody gains a right by it. So does what is packed twice, or the same
/// role would read differently when it comes back.
fn unpack(mut object: Map<String, Value>) -> Map<String, Value> {
    let key = object.keys().find(|key| key.eq_ignore_ascii_case("value")).cloned();
    let packed = key.as_ref().and_then(|key| object.get(key)).and_then(Value::as_str);
    let Some(text) = packed.filter(|text| text.trim_start().starts_with('{') && text.len() <= MAX_STRING) else {
        return object;
    };
    let Ok(Value::Object(inner)) = json::parse(text.as_bytes()) else { return object };
    let field =
        |name: &str| inner.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.clone());
    let (Some(key), Some(Value::String(value))) = (key, field("value")) else { return object };
    if value.trim_start().starts_with('{') {
        return object;
    }
    object.insert(key, Value::String(value));
    for (name, value) in [("display", field("display").or_else(|| field("displayName"))), ("type", field("type"))] {
        if let Some(value @ Value::String(_)) = value
            && !object.keys().any(|key| key.eq_ignore_ascii_case(name))
        {
            object.insert(name.to_owned(), value);
        }
    }
    object
}

/// Whether a string is missing or has nothing but white space.
pub(super) fn is_blank(value: Option<&Value>) -> bool {
    value.is_none_or(|value| value.as_str().is_some_and(|text| text.trim().is_empty()))
}

fn check_string(name: &str, value: &Value) -> Result<(), ScimError> {
    let Some(text) = value.as_str() else { return Err(mistyped(name, "a string", value)) };
    if text.len() > MAX_STRING {
        return Err(invalid(name, &format!("is longer than {MAX_STRING} bytes")));
    }
    // PostgreSQL cannot keep it, so the same text would be accepted on one database and fail on the other.
    if text.contains('\0') {
        return Err(invalid(name, "contains the character U+0000"));
    }
    Ok(())
}

fn check_date(name: &str, value: &Value) -> Result<(), ScimError> {
    match value.as_str().map(str::parse::<Timestamp>) {
        Some(Ok(_)) => Ok(()),
        _ => Err(mistyped(name, "a date and time such as 2026-01-31T08:30:00Z", value)),
    }
}

fn invalid(name: &str, what: &str) -> ScimError {
    ScimError::invalid_value(format!("'{name}' {what}."))
}

fn mistyped(name: &str, wanted: &str, value: &Value) -> ScimError {
    let found = match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    };
    let found = match value {
        Value::String(_) if wanted.starts_with("true") => "another string",
        Value::Number(_) if wanted.ends_with("number") => "another number",
        _ => found,
    };
    invalid(name, &format!("must be {wanted}, not {found}"))
}

#[cfg(test)]
mod tests;
