//! What the log of pushes keeps of a request's body: no secret, no picture, not too much of anything.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::base::UserId;

use super::document::read_resource;
use super::error::excerpt;
use super::patch::{OpKind, read_patch};
use super::{AttrName, Dialect, ResourceKind, json, schema_of};

/// The longest body that is kept, in bytes.
pub const MAX_BODY: usize = 16 * 1024;
/// The longest text in it, in characters.
const MAX_TEXT: usize = 500;
/// The most ids and names that are listed.
const MAX_LISTED: usize = 200;
/// Stands where something was taken out.
pub const REMOVED: &str = "(removed)";

/// Words in the name of an attribute whose value is nobody's business, or only large.
const HIDDEN: [&str; 10] = [
    "password",
    "secret",
    "token",
    "credential",
    "certificate",
    "privatekey",
    "private_key",
    "apikey",
    "passphrase",
    "photo",
];

/// What is kept of a body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// The body without what is nobody's business, perhaps cut.
    pub body: String,
    /// The ids in it that are those of users, or of groups as members.
    pub members: Vec<String>,
    /// The attributes in it that are not stored here.
    pub ignored: Vec<String>,
}

/// Reads the body of a request for the log; none if it is no JSON, since then nothing can be taken out of it.
///
/// `kind` is the type of the endpoint, and `partial` whether the request changes parts only.
#[must_use]
pub fn keep(body: &[u8], kind: Option<ResourceKind>, partial: bool, dialect: Dialect) -> Option<Kept> {
    let mut body = json::parse(body).ok()?;
    let ignored = kind.map(|kind| ignored(kind, partial, &body, dialect)).unwrap_or_default();
    let mut members = BTreeSet::new();
    if kind == Some(ResourceKind::Group) {
        collect_ids(&body, &mut members);
    }
    redact(&mut body);
    let mut text = body.to_string();
    if text.len() > MAX_BODY {
        let end = (0..=MAX_BODY).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
        text.truncate(end);
        text.push_str("...");
    }
    Some(Kept { body: text, members: members.into_iter().take(MAX_LISTED).collect(), ignored })
}

/// Takes out what is nobody's business, and cuts long texts.
fn redact(value: &mut Value) {
    match value {
        Value::Object(fields) => redact_object(fields),
        Value::Array(items) => items.iter_mut().for_each(redact),
        Value::String(text) => redact_text(text),
        _ => {}
    }
}

fn redact_object(fields: &mut Map<String, Value>) {
    let is = |key: &str, name: &str| key.eq_ignore_ascii_case(name);
    // In an operation the name stands in `path`, and in a value with a type beside it perhaps there.
    let hidden =
        fields.iter().any(|(key, value)| (is(key, "path") || is(key, "name")) && value.as_str().is_some_and(is_hidden));
    for (key, value) in fields.iter_mut() {
        if value.is_null() {
            continue;
        }
        // A filter in the path could hold the value itself.
        let filtered = hidden && is(key, "path") && value.as_str().is_some_and(|path| path.contains(['"', '\'']));
        if is_hidden(key) || hidden && is(key, "value") || filtered {
            *value = Value::from(REMOVED);
        } else {
            redact(value);
        }
    }
}

fn redact_text(text: &mut String) {
    let start = text.trim_start();
    if start.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("data:")) {
        REMOVED.clone_into(text);
    } else if start.starts_with(['{', '[']) {
        // Entra ID packs objects into texts (`fixtures/entra`).
        match json::parse(text.as_bytes()) {
            Ok(mut inner) => {
                redact(&mut inner);
                *text = inner.to_string();
            }
            Err(_) if is_hidden(text) => REMOVED.clone_into(text),
            Err(_) => {}
        }
    }
    if let Some((end, _)) = text.char_indices().nth(MAX_TEXT) {
        text.truncate(end);
        text.push_str("...");
    }
}

/// Whether an attribute of that name, or a path to it, is hidden.
fn is_hidden(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    HIDDEN.iter().any(|word| name.contains(word))
}

/// The ids among the texts of a body, those in filters of paths included.
fn collect_ids(value: &Value, into: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => fields.values().for_each(|value| collect_ids(value, into)),
        Value::Array(items) => items.iter().for_each(|value| collect_ids(value, into)),
        Value::String(text) => into.extend(
            text.split(['"', '/']).filter(|part| part.len() == 36 && part.parse::<UserId>().is_ok()).map(str::to_owned),
        ),
        _ => {}
    }
}

/// The names in a body that are not stored here. What cannot be read has its error in the answer.
fn ignored(kind: ResourceKind, partial: bool, body: &Value, dialect: Dialect) -> Vec<String> {
    let mut names = if partial {
        let operations = read_patch(body.clone(), dialect).unwrap_or_default();
        let mut names = Vec::new();
        for operation in operations.iter().filter(|operation| operation.kind != OpKind::Remove) {
            match (&operation.path, &operation.value) {
                (Some(path), _) => names.extend(unknown(kind, &path.attr, dialect)),
                (None, Some(Value::Object(fields))) => names.extend(fields.keys().filter_map(|key| {
                    let bare = key.split('[').next().unwrap_or_default();
                    unknown(kind, &AttrName::parse(bare).ok()?, dialect)
                })),
                (None, _) => {}
            }
        }
        names
    } else {
        read_resource(kind, body.clone(), dialect).map(|incoming| incoming.ignored).unwrap_or_default()
    };
    names.sort();
    names.dedup();
    names.truncate(MAX_LISTED);
    names
}

fn unknown(kind: ResourceKind, name: &AttrName, dialect: Dialect) -> Option<String> {
    let known = name.name.eq_ignore_ascii_case("schemas") || schema_of(kind).resolve(name, dialect).is_some();
    (!known).then(|| excerpt(&name.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn kept(kind: ResourceKind, patch: bool, body: &Value) -> Kept {
        keep(body.to_string().as_bytes(), Some(kind), patch, Dialect::Auto).unwrap()
    }

    #[test]
    fn s59_secrets_and_pictures_are_taken_out_in_every_form() {
        let canary = "hunter2-canary";
        let urn = "urn:ietf:params:scim:schemas:core:2.0:User";
        let op = |path: &str, value: Value| json!({"Operations": [{"op": "replace", "path": path, "value": value}]});
        for body in [
            json!({"userName": "a", "password": canary}),
            json!({"userName": "a", "PassWord": {"value": canary}}),
            json!({"userName": "a", "clientSecret": [canary]}),
            json!({"photos": [{"value": canary}], "x509Certificates": [{"value": canary}]}),
            json!({"title": format!("data:image/png;base64,{canary}")}),
            json!({"roles": [{"value": json!({"id": "1", "password": canary}).to_string()}]}),
            json!({"roles": [{"value": format!("{{\"password\": \"{canary}\"")}]}),
            json!({format!("{urn}:password"): canary}),
            json!({"custom": [{"name": "api_token", "value": canary}]}),
            op("password", json!(canary)),
            op("PASSWORD", json!(canary)),
            op(&format!("{urn}:password"), json!(canary)),
            op("photos[type eq \"photo\"].value", json!(canary)),
            op("x509Certificates.value", json!([canary])),
            op(&format!("password[value eq \"{canary}\"]"), json!("x")),
            json!({"operations": [{"OP": "Add", "Path": "password", "VALUE": canary}]}),
            json!({"Operations": [{"op": "add", "value": {"password": canary, "photos[primary eq true].value": canary}}]}),
        ] {
            for patch in [true, false] {
                let kept = kept(ResourceKind::User, patch, &body);
                assert!(!format!("{kept:?}").contains(canary), "{body}: {kept:?}");
            }
        }
    }

    #[test]
    fn the_rest_stays_and_is_bounded() {
        let body = json!({"userName": "ana@acme.example", "active": false, "title": null, "password": null});
        assert_eq!(kept(ResourceKind::User, false, &body).body, body.to_string());
        let long = kept(ResourceKind::User, false, &json!({"title": "ü".repeat(10_000)}));
        assert!(long.body.len() < 1_100 && long.body.ends_with("...\"}"), "{}", long.body);
        let many: Vec<Value> = (0..5_000).map(|n| json!({"value": format!("ü{n}")})).collect();
        let many = kept(ResourceKind::Group, false, &json!({"displayName": "g", "members": many}));
        assert!(many.body.len() <= MAX_BODY + 3 && many.body.ends_with("..."));
        assert_eq!(keep(b"{\"password\":\"x\"", Some(ResourceKind::User), false, Dialect::Auto), None);
        assert_eq!(keep(b"", None, false, Dialect::Auto), None);
    }

    #[test]
    fn members_are_found_wherever_they_stand() {
        let [one, two] = ["0192f0c1-2345-7abc-8def-0123456789ab", "0192f0c1-2345-7abc-8def-0123456789ac"];
        for body in [
            json!({"displayName": "g", "members": [{"value": one}, {"value": two}]}),
            json!({"Operations": [
                {"op": "remove", "path": format!("members[value eq \"{one}\"]")},
                {"op": "add", "path": "members", "value": [{"value": two, "$ref": format!("https://x/Users/{two}")}]}]}),
            json!({"Operations": [{"op": "add", "value": {"members": [one, two]}}]}),
        ] {
            assert_eq!(kept(ResourceKind::Group, true, &body).members, [one, two], "{body}");
            assert!(kept(ResourceKind::User, true, &body).members.is_empty());
        }
    }

    #[test]
    fn what_is_not_stored_is_named() {
        let body = json!({"userName": "a", "shoeSize": 4, "emails": [{"value": "a", "shoe": 1}], "title": "x"});
        assert_eq!(kept(ResourceKind::User, false, &body).ignored, ["emails.shoe", "shoeSize"]);
        let body = json!({"Operations": [
            {"op": "Replace", "path": "shoeSize", "value": 4}, {"op": "Add", "path": "title", "value": "x"},
            {"op": "Add", "value": {"name.givenName": "A", "hat": 1, "emails[type eq \"work\"].value": "a"}}]});
        assert_eq!(kept(ResourceKind::User, true, &body).ignored, ["hat", "shoeSize"]);
    }
}
