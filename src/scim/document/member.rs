//! Members of groups as requests name them (RFC 7643 §4.2).

use std::collections::HashSet;

use serde_json::{Map, Value};

use crate::scim::{Dialect, ScimError};

/// The most members that one request may name.
pub const MAX_MEMBERS: usize = 100_000;

/// The longest id of a member, in bytes. Ours are shorter; other texts name nobody.
const MAX_ID: usize = 256;

/// What a member is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MemberKind {
    /// A person.
    User,
    /// A group in the group.
    Group,
}

/// A member as a request names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberRef {
    /// The id, as sent.
    pub value: String,
    /// The type, if the request tells by `type` or `$ref`.
    pub kind: Option<MemberKind>,
    /// The name for people, if sent.
    pub display: Option<String>,
}

/// Reads the value of `members`: an array of `{"value": id}`, empty if the group is to have none.
///
/// Who is named twice is listed once. Where the dialect allows, one object or one id may stand without the array.
///
/// # Errors
/// 400 `invalidValue` if the value is anything else, null included, if an id is missing or blank, or if there are more
/// than 100,000: what cannot be read never means "nobody".
pub fn read_members(value: Value, dialect: Dialect) -> Result<Vec<MemberRef>, ScimError> {
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
        if seen.insert(member.value.clone()) {
            members.push(member);
        }
    }
    Ok(members)
}

fn read_member(item: Value, dialect: Dialect) -> Result<MemberRef, ScimError> {
    let mut object = match item {
        Value::Object(object) => object,
        Value::String(_) if dialect.bare_string_elements() => Map::from_iter([("value".to_owned(), item)]),
        _ => return Err(malformed()),
    };
    let Some(Value::String(value)) = take(&mut object, "value") else { return Err(malformed()) };
    if value.trim().is_empty() || value.len() > MAX_ID || value.contains('\0') {
        return Err(malformed());
    }
    let kind = kind_by_type(take(&mut object, "type")).or_else(|| kind_by_url(take(&mut object, "$ref"), &value));
    let display = match take(&mut object, "display") {
        Some(Value::String(text)) if !text.is_empty() => Some(text),
        _ => None,
    };
    Ok(MemberRef { value, kind, display })
}

fn malformed() -> ScimError {
    ScimError::invalid_value("'members' must be an array of objects whose 'value' is the id of a user or group.")
}

fn take(object: &mut Map<String, Value>, name: &str) -> Option<Value> {
    object.iter_mut().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.take())
}

fn kind_by_type(kind: Option<Value>) -> Option<MemberKind> {
    match kind?.as_str()? {
        text if text.eq_ignore_ascii_case("User") => Some(MemberKind::User),
        text if text.eq_ignore_ascii_case("Group") => Some(MemberKind::Group),
        _ => None,
    }
}

/// Keycloak sends `Users/<id>`, others whole URLs.
fn kind_by_url(url: Option<Value>, id: &str) -> Option<MemberKind> {
    let url = url?;
    let (head, last) = url.as_str()?.trim_end_matches('/').rsplit_once('/')?;
    match head.rsplit('/').next()? {
        _ if last != id => None,
        "Users" => Some(MemberKind::User),
        "Groups" => Some(MemberKind::Group),
        _ => None,
    }
}
