//! Members of groups as requests name them (RFC 7643 §4.2).

use std::collections::HashSet;

use serde_json::{Map, Value};

use crate::scim::{Dialect, ScimError};

/// The most members that one request may name.
pub const MAX_MEMBERS: usize = 100_000;

/// The longest id of a member, in bytes. Ours are shorter; other texts name nobody.
const MAX_ID: usize = 256;

/// The ids in the value of `members`: an array of `{"value": id}`, empty if the group is to have none. What else a client says
/// of a member (`type`, `display`, `$ref`) is for the server to know.
///
/// Who is named twice is listed once. Where the dialect allows, one object or one id may stand without the array.
///
/// # Errors
/// 400 `invalidValue` if the value is anything else, null included, if an id is missing or blank, or if there are more
/// than 100,000: what cannot be read never means "nobody".
pub fn read_members(value: Value, dialect: Dialect) -> Result<Vec<String>, ScimError> {
    let items = match value {
        Value::Array(items) => items,
        Value::Object(_) | Value::String(_) if dialect.single_object_as_array() => vec![value],
        _ => return Err(malformed()),
    };
    if items.len() > MAX_MEMBERS {
        return Err(ScimError::invalid_value(format!(
            "'members' names more than {MAX_MEMBERS} members in one request."
        )));
    }
    let mut seen = HashSet::with_capacity(items.len());
    let mut members = Vec::with_capacity(items.len());
    for item in items {
        let member = read_member(item, dialect)?;
        if seen.insert(member.clone()) {
            members.push(member);
        }
    }
    Ok(members)
}

fn read_member(item: Value, dialect: Dialect) -> Result<String, ScimError> {
    let mut object = match item {
        Value::Object(object) => object,
        Value::String(_) if dialect.bare_string_elements() => Map::from_iter([("value".to_owned(), item)]),
        _ => return Err(malformed()),
    };
    let Some(Value::String(value)) = take(&mut object, "value") else { return Err(malformed()) };
    if value.trim().is_empty() || value.len() > MAX_ID || value.contains('\0') {
        return Err(malformed());
    }
    Ok(value)
}

fn malformed() -> ScimError {
    ScimError::invalid_value("'members' must be an array of objects whose 'value' is the id of a user or group.")
}

fn take(object: &mut Map<String, Value>, name: &str) -> Option<Value> {
    object.iter_mut().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.take())
}
