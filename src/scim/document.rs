//! Resources: from a request body to the stored document, and from the document to an answer.
//!
//! A document has canonical attribute names, extension URNs as top-level keys, and none of `schemas`, `id`, `meta`,
//! `groups`, `members` and `password`: those are the server's, or kept elsewhere, or never kept.

mod member;
mod render;

use serde_json::{Map, Value};

use crate::base::fold;

use super::error::excerpt;
use super::schema::{AttrRef, ENTERPRISE_URN, Mutability, Resolved, Schema};

use super::value::{Coercer, is_blank};
use super::{AttrName, Dialect, ResourceKind, ScimError, schema_of};

pub use member::{MAX_MEMBERS, read_members};
pub use render::{Meta, push_json, render, render_text, schemas_for, schemas_text};

/// A resource as a client sent it by POST or PUT, checked and brought to the stored form.
#[derive(Debug, PartialEq)]
pub struct Incoming {
    /// The document. For a user it lacks `active` if that was not sent: see [`Incoming::settle_active`].
    pub document: Map<String, Value>,
    /// `active` as sent; none if absent or null.
    pub active: Option<bool>,
    /// The ids of the members as sent; none if absent or null, which leaves them as they are.
    pub members: Option<Vec<String>>,
    /// The names that were dropped, because they are unknown or the server's own.
    pub ignored: Vec<String>,
}

impl Incoming {
    /// Fills in the `active` of a user where the client was silent: true for a new user, the present state for a
    /// replaced one.
    ///
    /// RFC 7644 §3.5.1 lets a server clear or default what a PUT omits; keeping the state means that nobody who left is
    /// brought back by an omission.
    pub fn settle_active(&mut self, when_absent: bool) {
        let active = self.active.unwrap_or(when_absent);
        self.document.insert("active".to_owned(), Value::Bool(active));
    }
}

/// Reads the body of a POST or PUT (RFC 7644 §3.3, §3.5.1).
///
/// What the server owns (`id`, `meta`, `groups`) and what the schema does not know is ignored and listed; a password is
/// dropped without a trace.
///
/// # Errors
/// 400 `invalidSyntax` if the body is not an object; 400 `invalidValue` if a value has the wrong type or a required one
/// (`userName`, a group's `displayName`) is missing or blank.
pub fn read_resource(kind: ResourceKind, body: Value, dialect: Dialect) -> Result<Incoming, ScimError> {
    let Value::Object(body) = body else {
        return Err(ScimError::invalid_syntax("The request body must be a JSON object."));
    };
    check_schemas(kind, &body, dialect)?;
    let mut reader = Reader {
        kind,
        dialect,
        coercer: Coercer::new(dialect),
        incoming: Incoming { document: Map::new(), active: None, members: None, ignored: Vec::new() },
    };
    for (key, value) in body {
        reader.entry(&key, value)?;
    }
    let Reader { mut incoming, coercer, .. } = reader;
    incoming.ignored.extend(coercer.ignored);
    check_required(kind, &incoming.document)?;
    incoming.active = incoming.document.get("active").and_then(Value::as_bool);
    Ok(incoming)
}

/// Checks that the document has what its type requires, in a usable form.
///
/// # Errors
/// 400 `invalidValue` if `userName` or a group's `displayName` is missing or blank, if it has characters that cannot be
/// seen or stand at an end unseen, by which one name could pass for another, or if a value by which resources are found
/// is longer than [`MAX_NAME_BYTES`].
pub fn check_required(kind: ResourceKind, document: &Map<String, Value>) -> Result<(), ScimError> {
    for attribute in schema_of(kind).core.attributes.iter().filter(|attribute| attribute.required) {
        let (name, value) = (attribute.name, document.get(attribute.name));
        if is_blank(value) {
            return Err(ScimError::invalid_value(format!("'{name}' is required and must not be blank.")));
        }
        let text = value.and_then(Value::as_str).unwrap_or_default();
        if kind == ResourceKind::User && (text.trim() != text || text.chars().any(is_unseen)) {
            return Err(ScimError::invalid_value(format!(
                "'{name}' must not begin or end with white space nor contain invisible characters."
            )));
        }
    }
    check_lengths(document)
}

/// The longest value by which resources are found, in bytes as it is and once folded. An index of PostgreSQL takes no more than 2,700
/// bytes for all its columns together, and the same body must not be accepted by one database and fail on the other.
pub const MAX_NAME_BYTES: usize = 1024;

/// Checks the values by which resources are found.
///
/// # Errors
/// 400 `invalidValue` if one of them is longer than [`MAX_NAME_BYTES`].
pub fn check_lengths(document: &Map<String, Value>) -> Result<(), ScimError> {
    let enterprise = document.get(ENTERPRISE_URN);
    let emails = document.get("emails").and_then(Value::as_array).into_iter().flatten();
    let values = ["userName", "displayName", "externalId"]
        .map(|name| (name, document.get(name)))
        .into_iter()
        .chain(emails.map(|email| ("emails.value", email.get("value"))))
        .chain([
            ("employeeNumber", enterprise.and_then(|part| part.get("employeeNumber"))),
            ("manager.value", enterprise.and_then(|part| part.get("manager")?.get("value"))),
        ]);
    for (name, value) in values {
        if value.and_then(Value::as_str).is_some_and(|text| text.len().max(fold(text).len()) > MAX_NAME_BYTES) {
            return Err(ScimError::invalid_value(format!("'{name}' is longer than {MAX_NAME_BYTES} bytes.")));
        }
    }
    Ok(())
}

/// Control and format characters: they change which name it is, but not how it looks.
fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}')
        || matches!(c, '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

fn check_schemas(kind: ResourceKind, body: &Map<String, Value>, dialect: Dialect) -> Result<(), ScimError> {
    if dialect.missing_resource_schemas() {
        return Ok(());
    }
    let core = schema_of(kind).core.id;
    let listed =
        body.iter().find(|(key, _)| key.eq_ignore_ascii_case("schemas")).and_then(|(_, value)| value.as_array());
    let has_core = listed
        .is_some_and(|urns| urns.iter().any(|urn| urn.as_str().is_some_and(|urn| urn.eq_ignore_ascii_case(core))));
    if has_core {
        Ok(())
    } else {
        Err(ScimError::invalid_value(format!("'schemas' must be an array that lists {core}.")))
    }
}

struct Reader {
    kind: ResourceKind,
    dialect: Dialect,
    coercer: Coercer,
    incoming: Incoming,
}

impl Reader {
    fn entry(&mut self, key: &str, value: Value) -> Result<(), ScimError> {
        let resolved = AttrName::parse(key).ok().and_then(|name| schema_of(self.kind).resolve(&name, self.dialect));
        match resolved {
            Some(Resolved::Extension(schema)) => self.extension(schema, value),
            Some(Resolved::Attribute(AttrRef { extension, attr, sub: None })) => match attr.name {
                "schemas" | "password" => Ok(()),
                "members" if value.is_null() => Ok(()),
                "members" => match self.incoming.members.replace(read_members(value, self.dialect)?) {
                    None => Ok(()),
                    Some(_) => Err(twice("members")),
                },
                _ if attr.mutability == Mutability::ReadOnly => {
                    self.incoming.ignored.push(attr.name.to_owned());
                    Ok(())
                }
                name => {
                    let value = self.coercer.whole(attr, value)?;
                    self.put(extension, name, value)
                }
            },
            _ => {
                self.incoming.ignored.push(excerpt(key));
                Ok(())
            }
        }
    }

    fn extension(&mut self, schema: &'static Schema, value: Value) -> Result<(), ScimError> {
        let entries = match value {
            Value::Null => return Ok(()),
            Value::Array(items) if items.is_empty() => return Ok(()),
            Value::Object(entries) => entries,
            _ => return Err(ScimError::invalid_value(format!("'{}' must be an object.", schema.id))),
        };
        for (key, value) in entries {
            if let Some(attr) = schema.attribute(&key) {
                let value = self.coercer.whole(attr, value)?;
                self.put(Some(schema.id), attr.name, value)?;
            } else {
                self.incoming.ignored.push(excerpt(&format!("{}:{key}", schema.id)));
            }
        }
        Ok(())
    }

    /// Refuses a second, other value: an attribute can be named with and without its URN, which the JSON reader
    /// cannot see.
    fn put(&mut self, extension: Option<&str>, name: &str, value: Option<Value>) -> Result<(), ScimError> {
        let Some(value) = value else { return Ok(()) };
        let document = &mut self.incoming.document;
        let place = match extension {
            None => document.entry(name).or_insert(Value::Null),
            Some(urn) => &mut document.entry(urn).or_insert_with(|| Value::Object(Map::new()))[name],
        };
        if !place.is_null() && *place != value {
            return Err(twice(name));
        }
        *place = value;
        Ok(())
    }
}

fn twice(name: &str) -> ScimError {
    ScimError::invalid_syntax(format!("'{name}' is given twice, once with and once without its URN."))
}

#[cfg(test)]
mod tests;
