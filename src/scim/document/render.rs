//! Answers: what the server adds to a stored document.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use crate::base::Timestamp;
use crate::scim::{ResourceKind, schema_of};

/// What the server knows of a resource beside its document (RFC 7643 §3.1).
#[derive(Clone, Copy, Debug)]
pub struct Meta<'a> {
    /// The id that the server gave.
    pub id: &'a str,
    /// When the resource was created.
    pub created: Timestamp,
    /// When it was last changed.
    pub last_modified: Timestamp,
    /// Counts its changes.
    pub version: i64,
    /// Its URL.
    pub location: &'a str,
}

impl Meta<'_> {
    /// The weak entity tag (RFC 7644 §3.14).
    #[must_use]
    pub fn etag(&self) -> String {
        format!("W/\"{}\"", self.version)
    }

    /// The attribute `meta`.
    #[must_use]
    pub fn to_value(self, kind: ResourceKind) -> Value {
        json!({
            "resourceType": kind.name(),
            "created": self.created,
            "lastModified": self.last_modified,
            "location": self.location,
            "version": self.etag(),
        })
    }

    /// Appends what [`Meta::to_value`] shows.
    fn push_text(self, text: &mut String, kind: ResourceKind) {
        text.push_str(r#"{"resourceType":""#);
        text.push_str(kind.name());
        // Writing to a string cannot fail.
        let _ = write!(text, r#"","created":"{}","lastModified":"{}","location":"#, self.created, self.last_modified);
        push_json(text, self.location);
        let _ = write!(text, r#","version":"W/\"{}\""}}"#, self.version);
    }
}

/// The schemas that a document has values of: the core schema, then its extensions.
#[must_use]
pub fn schemas_for(kind: ResourceKind, document: &Map<String, Value>) -> Vec<&'static str> {
    let schema = schema_of(kind);
    let mut schemas = vec![schema.core.id];
    for (extension, required) in &schema.extensions {
        let present = document.get(extension.id).and_then(Value::as_object).is_some_and(|part| !part.is_empty());
        if *required || present {
            schemas.push(extension.id);
        }
    }
    schemas
}

/// [`schemas_for`] as JSON text, to be stored for [`render_text`].
#[must_use]
pub fn schemas_text(kind: ResourceKind, document: &Map<String, Value>) -> String {
    Value::from(schemas_for(kind, document)).to_string()
}

/// The resource as it is answered: `schemas`, `id`, the document, `meta`.
///
/// The caller adds `groups` or `members` if the projection wants them, then applies the projection.
#[must_use]
pub fn render(kind: ResourceKind, document: &Map<String, Value>, meta: &Meta<'_>) -> Map<String, Value> {
    let mut resource = Map::with_capacity(document.len() + 4);
    resource.insert("schemas".to_owned(), schemas_for(kind, document).into());
    resource.insert("id".to_owned(), meta.id.into());
    resource.extend(document.iter().map(|(name, value)| (name.clone(), value.clone())));
    resource.insert("meta".to_owned(), meta.to_value(kind));
    resource
}

/// The same resource from the stored JSON text, without reading it.
///
/// `document` is the text of a JSON object, `schemas` what [`schemas_text`] made of it. `extra` is what comes before
/// `meta`: a name and JSON text, such as `members` and its array.
#[must_use]
pub fn render_text(
    kind: ResourceKind,
    document: &str,
    schemas: &str,
    extra: Option<(&str, &str)>,
    meta: &Meta<'_>,
) -> String {
    let inner = document.trim();
    let inner = inner.strip_prefix('{').and_then(|inner| inner.strip_suffix('}')).unwrap_or_default().trim();
    let mut text =
        String::with_capacity(document.len() + schemas.len() + extra.map_or(0, |(_, json)| json.len()) + 400);
    text.push_str(r#"{"schemas":"#);
    text.push_str(schemas);
    text.push_str(r#","id":"#);
    push_json(&mut text, meta.id);
    if !inner.is_empty() {
        text.push(',');
        text.push_str(inner);
    }
    if let Some((name, json)) = extra {
        text.push(',');
        push_json(&mut text, name);
        text.push(':');
        text.push_str(json);
    }
    text.push_str(r#","meta":"#);
    meta.push_text(&mut text, kind);
    text.push('}');
    text
}

/// Appends a JSON string.
pub fn push_json(text: &mut String, value: &str) {
    if value.bytes().any(|byte| matches!(byte, b'"' | b'\\' | 0..0x20)) {
        // Writing to a string cannot fail, and `Value` shows itself as JSON.
        let _ = write!(text, "{}", Value::from(value));
    } else {
        text.push('"');
        text.push_str(value);
        text.push('"');
    }
}
