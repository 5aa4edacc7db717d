//! Operations on an attribute that has one value.

use serde_json::{Map, Value};

use super::apply::{Change, Target};
use crate::scim::dialect::Dialect;
use crate::scim::error::ScimError;
use crate::scim::schema::{Attribute, AttributeType};
use crate::scim::value::coerce;

/// The value after the change; `None` if the attribute has none any more.
pub(super) fn change(
    target: &Target,
    current: Option<Value>,
    change: Change<'_>,
    dialect: Dialect,
) -> Result<Option<Value>, ScimError> {
    let attr = target.attr;
    if let Some(filter) = &target.filter
        && !current.as_ref().is_some_and(|value| filter.matches_element(value))
    {
        return if matches!(change, Change::Remove(_)) { Ok(current) } else { Err(no_target(attr)) };
    }
    if let Some(sub) = target.sub {
        return change_sub(attr, sub, current, change, dialect);
    }
    match change {
        Change::Remove(_) => clear(attr),
        // RFC 7643 §2.5 takes null for a removal. As the new value of this one attribute it is more likely a mapping that
        // found nothing, which must be seen, not guessed about.
        Change::Add(Value::Null) | Change::Replace(Value::Null) if attr.name == "active" => {
            Err(ScimError::invalid_value("\"active\" must be true or false."))
        }
        Change::Add(value) | Change::Replace(value) => match as_object(attr, value, dialect) {
            Some(parts) => merge(attr, current, parts, change, dialect),
            None => match coerce(attr, value.clone(), dialect)? {
                Some(new) => Ok(Some(new)),
                None if matches!(change, Change::Add(_)) => Ok(current),
                None => clear(attr),
            },
        },
    }
}

pub(super) fn no_target(attr: &Attribute) -> ScimError {
    ScimError::no_target(format!("No value of \"{}\" satisfies the filter of the path.", attr.name))
}

/// The attribute without a value (RFC 7644 §3.5.2.2: "unassigned"). A user without `active` is not active.
fn clear(attr: &Attribute) -> Result<Option<Value>, ScimError> {
    if attr.required {
        return Err(ScimError::mutability(format!("\"{}\" is required and cannot be removed.", attr.name)));
    }
    Ok(None)
}

/// The value of a complex attribute as an object. Entra ID may send `manager` as an array of one object
/// (`fixtures/entra/manager-add-array.json`).
fn as_object<'v>(attr: &Attribute, value: &'v Value, dialect: Dialect) -> Option<&'v Map<String, Value>> {
    if attr.kind != AttributeType::Complex {
        return None;
    }
    match value {
        Value::Object(parts) => Some(parts),
        Value::Array(elements) if dialect.array_as_single_object() => match &elements[..] {
            [Value::Object(parts)] => Some(parts),
            _ => None,
        },
        _ => None,
    }
}

/// Add and replace both change the sub-attributes that are given and keep the others (RFC 7644 §3.5.2.1, §3.5.2.3). Those
/// that are null are cleared by replace.
fn merge(
    attr: &Attribute,
    current: Option<Value>,
    parts: &Map<String, Value>,
    change: Change<'_>,
    dialect: Dialect,
) -> Result<Option<Value>, ScimError> {
    let cleared: Vec<&Attribute> = if matches!(change, Change::Replace(_)) {
        parts.iter().filter_map(|(key, value)| attr.sub(key).filter(|sub| is_unassigned(sub, value))).collect()
    } else {
        Vec::new()
    };
    if cleared.iter().any(|sub| sub.name == "value") {
        return clear(attr);
    }
    let given = match coerce(attr, Value::Object(parts.clone()), dialect)? {
        Some(Value::Object(given)) => given,
        _ => Map::new(),
    };
    let mut merged = match current {
        Some(Value::Object(current)) if !refers_to_another(&current, &given) => current,
        _ => Map::new(),
    };
    for sub in cleared {
        merged.shift_remove(sub.name);
    }
    merged.extend(given);
    Ok(if merged.is_empty() { None } else { Some(Value::Object(merged)) })
}

fn change_sub(
    attr: &Attribute,
    sub: &Attribute,
    current: Option<Value>,
    change: Change<'_>,
    dialect: Dialect,
) -> Result<Option<Value>, ScimError> {
    let mut parts = match current {
        Some(Value::Object(parts)) => parts,
        _ => Map::new(),
    };
    let new = match change {
        Change::Remove(_) => None,
        Change::Add(value) | Change::Replace(value) => {
            coerce(sub, value.clone(), dialect)?.filter(|new| !is_unassigned(sub, new))
        }
    };
    match new {
        Some(new) => {
            let given = Map::from_iter([(sub.name.to_owned(), new)]);
            if refers_to_another(&parts, &given) {
                parts.clear();
            }
            parts.extend(given);
        }
        None if matches!(change, Change::Add(_)) => {}
        None if sub.name == "value" => return clear(attr),
        None => {
            parts.shift_remove(sub.name);
        }
    }
    Ok(if parts.is_empty() { None } else { Some(Value::Object(parts)) })
}

/// A manager's `$ref` and `displayName` are about the person in `value`: another person has others.
fn refers_to_another(current: &Map<String, Value>, given: &Map<String, Value>) -> bool {
    given.get("value").is_some_and(|value| current.get("value") != Some(value))
}

/// Whether a sub-attribute given so is one that is taken away: null, or an empty `value`, which refers to nothing (Entra ID
/// clears a manager so: `fixtures/entra/manager-clear-empty-string.json`).
pub(super) fn is_unassigned(sub: &Attribute, value: &Value) -> bool {
    value.is_null() || sub.name == "value" && value.as_str() == Some("")
}
