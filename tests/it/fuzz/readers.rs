//! The pure readers: filters, paths, bodies, PATCH.

use rollcall::scim::document::read_resource;
use rollcall::scim::filter::{Filter, Limits};
use rollcall::scim::patch::{Operation, apply, read_patch};
use rollcall::scim::path::PatchPath;
use rollcall::scim::{Dialect, ResourceKind, ScimError, json, schema_of};
use serde_json::{Map, Value, json};

use super::{Outcome, fuzz};
use crate::support::{ENTERPRISE, GROUP, USER};

const KINDS: [ResourceKind; 2] = [ResourceKind::User, ResourceKind::Group];
const DIALECTS: [Dialect; 2] = [Dialect::Auto, Dialect::Strict];

/// A refusal is the client's fault, and says so.
fn refusal(error: &ScimError) -> Outcome {
    let known = [400, 404].contains(&error.status) && !error.detail.is_empty() && error.detail.len() < 2_000;
    if known { Ok(error.detail.chars().take(60).collect()) } else { Err(format!("a strange refusal: {error:?}")) }
}

fn ana() -> Map<String, Value> {
    let ana = json!({
        "userName": "ana@acme.example", "displayName": "Ana", "active": true, "title": "Agent", "externalId": "00u1",
        "name": {"givenName": "Ana", "familyName": "Ruiz"},
        "emails": [
            {"value": "ana@acme.example", "type": "work", "primary": true}, {"value": "ana@home.example", "type": "home"}
        ],
        "roles": [{"value": "Agent", "primary": true}],
        "addresses": [{"type": "work", "region": "MX"}],
        ENTERPRISE: {"department": "Ops", "manager": {"value": "m1", "displayName": "Max"}},
    });
    ana.as_object().cloned().expect("an object")
}

fn agents() -> Map<String, Value> {
    Map::from_iter([("displayName".to_owned(), json!("Agents")), ("externalId".to_owned(), json!("g1"))])
}

fn example(kind: ResourceKind) -> Map<String, Value> {
    if kind == ResourceKind::User { ana() } else { agents() }
}

fn filter(input: &[u8]) -> Outcome {
    let text = String::from_utf8_lossy(input);
    let filter = match Filter::parse(&text, &Limits::default()) {
        Ok(filter) => filter,
        Err(error) => return refusal(&error),
    };
    let shown = filter.to_string();
    let again = Filter::parse(&shown, &Limits { max_bytes: 64 * 1024, ..Limits::default() });
    if again.as_ref() != Ok(&filter) {
        return Err(format!("it is shown as {shown}, which reads as {again:?}"));
    }
    let mut outcome = "read".to_owned();
    for kind in KINDS {
        for dialect in DIALECTS {
            match filter.bind(schema_of(kind), dialect) {
                Ok(bound) => outcome.push_str(if bound.matches(&example(kind)) { " yes" } else { " no" }),
                Err(error) => outcome.push_str(&refusal(&error)?),
            }
        }
    }
    Ok(outcome)
}

fn path(input: &[u8]) -> Outcome {
    let text = String::from_utf8_lossy(input);
    let path = match PatchPath::parse(&text, &Limits::default()) {
        Ok(path) => path,
        Err(error) => return refusal(&error),
    };
    let shown = path.to_string();
    let again = PatchPath::parse(&shown, &Limits { max_bytes: 64 * 1024, ..Limits::default() });
    if again.as_ref() != Ok(&path) {
        return Err(format!("it is shown as {shown}, which reads as {again:?}"));
    }
    let body = json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": [
        {"op": "replace", "path": text, "value": "x"}, {"op": "remove", "path": text},
    ]});
    let mut outcome = String::new();
    for kind in KINDS {
        for dialect in DIALECTS {
            outcome.push_str(&patched(kind, &body, dialect)?);
        }
    }
    Ok(outcome)
}

fn patch(input: &[u8]) -> Outcome {
    let body = match json::parse(input) {
        Ok(body) => body,
        Err(error) => return refusal(&error),
    };
    let mut outcome = String::new();
    for kind in KINDS {
        for dialect in DIALECTS {
            outcome.push_str(&patched(kind, &body, dialect)?);
        }
    }
    Ok(outcome)
}

fn patched(kind: ResourceKind, body: &Value, dialect: Dialect) -> Outcome {
    let operations: Vec<Operation> = match read_patch(body.clone(), dialect) {
        Ok(operations) => operations,
        Err(error) => return refusal(&error),
    };
    let before = example(kind);
    match apply(kind, &before, &operations, dialect) {
        Ok(patched) => {
            stored(kind, &patched.document)?;
            let changed = if patched.document == before { "same" } else { "changed" };
            Ok(format!("{changed} {} members {} ignored ", patched.members.len(), patched.ignored.len()))
        }
        Err(error) => refusal(&error),
    }
}

/// A stored document is one that the strict dialect would take, word for word.
fn stored(kind: ResourceKind, document: &Map<String, Value>) -> Result<(), String> {
    let mut body = document.clone();
    body.insert("schemas".to_owned(), json!([if kind == ResourceKind::User { USER } else { GROUP }]));
    match read_resource(kind, Value::Object(body), Dialect::Strict) {
        Ok(again) if again.document == *document && again.ignored.is_empty() => Ok(()),
        Ok(again) => {
            Err(format!("the document\n{document:?}\nreads as\n{:?}\nwithout {:?}", again.document, again.ignored))
        }
        Err(error) => Err(format!("the schema refuses the document ({error}): {document:?}")),
    }
}

fn body(input: &[u8]) -> Outcome {
    let body = match json::parse(input) {
        Ok(body) => body,
        Err(error) => return refusal(&error),
    };
    if json::parse(body.to_string().as_bytes()).as_ref() != Ok(&body) {
        return Err("it does not read back".to_owned());
    }
    let mut outcome = String::new();
    for kind in KINDS {
        for dialect in DIALECTS {
            match read_resource(kind, body.clone(), dialect) {
                Ok(incoming) => {
                    stored(kind, &incoming.document)?;
                    outcome.push_str("stored ");
                }
                Err(error) => outcome.push_str(&refusal(&error)?),
            }
        }
    }
    Ok(outcome)
}

#[test]
fn s34_fuzzed_filters_are_read_or_refused() {
    fuzz("filter", filter);
}

#[test]
fn s34_fuzzed_paths_are_read_or_refused() {
    fuzz("path", path);
}

#[test]
fn s34_fuzzed_patches_never_break_the_schema() {
    fuzz("patch", patch);
}

#[test]
fn s34_fuzzed_bodies_are_read_or_refused() {
    fuzz("body", body);
}
