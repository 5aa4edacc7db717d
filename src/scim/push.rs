//! What the log of pushes keeps of a request's body: no secret, no picture, not too much of anything.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::base::UserId;

use super::filter::Limits;
use super::path::PatchPath;
use super::{ResourceKind, ScimError, json};

/// The longest body that is kept, in bytes.
pub const MAX_BODY: usize = 16 * 1024;
/// The longest text in it, in characters.
const MAX_TEXT: usize = 500;
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
    pub members: BTreeSet<String>,
}

/// Reads the body of a request for the log; none if it is no JSON, since then nothing can be taken out of it.
///
/// `kind` is the type of the endpoint, if it has one.
#[must_use]
pub fn keep(body: &[u8], kind: Option<ResourceKind>) -> Option<Kept> {
    let mut body = json::parse(body).ok()?;
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
    Some(Kept { body: text, members })
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

/// The name of an attribute as a list of names has it: without filters, which may hold values.
///
/// ```text
/// emails[type eq "work"].shoe    ->   emails[...].shoe
/// password[value eq "hunter2     ->   password[...
/// ```
#[must_use]
pub fn plain_name(name: &str) -> String {
    if name.chars().all(is_of_name) {
        return name.to_owned();
    }
    if let Ok(path) = PatchPath::parse(name, &Limits::default()) {
        let filter = if path.filter.is_some() { "[...]" } else { "" };
        let sub = path.sub.map(|sub| format!(".{sub}")).unwrap_or_default();
        return format!("{}{filter}{sub}", path.attr);
    }
    let end = name.find(|c| !is_of_name(c)).unwrap_or(name.len());
    let bracket = if name[end..].starts_with('[') { "[" } else { "" };
    format!("{}{bracket}...", &name[..end])
}

fn is_of_name(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '.' | ':' | '_' | '-' | '$')
}

/// The detail of an error as the log keeps it: a path is repeated without what stands in its filters.
#[must_use]
pub fn plain_detail(error: &ScimError) -> String {
    // PostgreSQL holds no NUL in a text, and one row that it refuses would cost the whole batch.
    let detail = error.detail.replace('\0', "\u{fffd}");
    match &error.path {
        Some(path) => detail.replace(&format!("\"{path}\""), &format!("\"{}\"", plain_name(path))),
        None => detail,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scim::error::excerpt;
    use serde_json::json;

    fn kept(kind: ResourceKind, body: &Value) -> Kept {
        keep(body.to_string().as_bytes(), Some(kind)).unwrap()
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
            let kept = kept(ResourceKind::User, &body);
            assert!(!format!("{kept:?}").contains(canary), "{body}: {kept:?}");
        }
    }

    #[test]
    fn the_rest_stays_and_is_bounded() {
        let body = json!({"userName": "ana@acme.example", "active": false, "title": null, "password": null});
        assert_eq!(kept(ResourceKind::User, &body).body, body.to_string());
        let long = kept(ResourceKind::User, &json!({"title": "ü".repeat(10_000)}));
        assert!(long.body.len() < 1_100 && long.body.ends_with("...\"}"), "{}", long.body);
        let many: Vec<Value> = (0..5_000).map(|n| json!({"value": format!("ü{n}")})).collect();
        let many = kept(ResourceKind::Group, &json!({"displayName": "g", "members": many}));
        assert!(many.body.len() <= MAX_BODY + 3 && many.body.ends_with("..."));
        assert_eq!(keep(b"{\"password\":\"x\"", Some(ResourceKind::User)), None);
        assert_eq!(keep(b"", None), None);
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
            assert_eq!(
                kept(ResourceKind::Group, &body).members,
                BTreeSet::from([one, two].map(str::to_owned)),
                "{body}"
            );
            assert!(kept(ResourceKind::User, &body).members.is_empty());
        }
    }

    #[test]
    fn s59_names_and_details_are_kept_without_what_stands_in_filters() {
        for (path, plain) in [
            ("shoeSize", "shoeSize"),
            ("urn:x:y:2.0:User:shoe.size", "urn:x:y:2.0:User:shoe.size"),
            ("emails[type eq \"canary\"].shoe", "emails[...].shoe"),
            ("secret[value eq \"can]ary\"]", "secret[...]"),
            ("password[value eq \"canary", "password[..."),
            ("password eq \"canary\"", "password..."),
            ("\"canary\"", "..."),
        ] {
            assert_eq!(plain_name(path), plain, "{path}");
            let error = PatchPath::parse(path, &Limits::default()).err();
            let error = error.unwrap_or_else(|| {
                ScimError::invalid_path(format!("There is no attribute \"{}\".", excerpt(path))).about_path(path)
            });
            let detail = plain_detail(&error);
            assert!(!detail.contains("canary") && error.detail.ends_with('.'), "{path}: {detail}");
            if error.path.is_some() {
                assert!(error.detail.contains("canary") == path.contains("canary"), "the answer may say it");
                assert!(detail.contains(plain), "{path}: {detail}");
            }
        }
        assert_eq!(plain_detail(&ScimError::not_found("a\0b")), "a\u{fffd}b");
    }
}
