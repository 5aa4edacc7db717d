//! What identity providers send, one exchange a file under `fixtures`, played against the server.
//!
//! A file says which people and groups are there (`given`), the request, the answer that the provider needs, and what is
//! to be seen afterwards (`then`). `{ana}` stands for the id of what `given` calls `ana`. An expected object names the
//! members that matter, with null for those that must be absent and `"<any>"` for any value; an expected array has all
//! elements, in any order.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use rollcall::scim::Dialect;
use rollcall::service::connections::ConnectionSettings;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::support::{Answer, Db, ENTERPRISE, ERROR, Scim, TestApp, USER, on_both_databases};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fixture {
    idp: String,
    what: String,
    why: String,
    #[serde(default)]
    given: Given,
    request: Request,
    response: Expected,
    #[serde(default)]
    then: BTreeMap<String, Expected>,
}

/// People by name, with what differs from the usual person; groups with the names of their members.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Given {
    #[serde(default)]
    users: Map<String, Value>,
    #[serde(default)]
    groups: BTreeMap<String, GivenGroup>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct GivenGroup {
    display_name: String,
    members: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    method: String,
    path: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    body: Option<Value>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    status: Value,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    body: Option<Value>,
    /// The number of resources in a list.
    resources: Option<usize>,
    /// True, or the `scimType` of the error.
    error: Option<Value>,
    /// Texts that the body must not hold.
    #[serde(default)]
    lacks: Vec<String>,
}

/// Names with their ids.
type Names = BTreeMap<String, String>;

async fn every_provider_is_understood(db: Db) {
    let app = TestApp::start(db).await;
    let mut wrong = Vec::new();
    let files = files();
    assert!(files.len() > 100, "the fixtures are gone");
    for (number, file) in files.iter().enumerate() {
        let fixture: Fixture = serde_json::from_str(&fs::read_to_string(file).expect("a fixture"))
            .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        assert!(!fixture.what.is_empty() && !fixture.why.is_empty(), "{}", file.display());
        // As a connection that was not told who is there, and as one that was.
        for dialect in BTreeSet::from(["auto", dialect(&fixture.idp)]) {
            let account = app.add_account(&format!("{dialect}-{number}")).await;
            let dialect: Dialect = dialect.parse().expect("a dialect");
            let settings = ConnectionSettings { dialect: Some(dialect), ..ConnectionSettings::default() };
            let scim = app.connect_in(&account, &format!("{}-{dialect}-{number}", fixture.idp), settings).await;
            if let Err(why) = play(&fixture, &scim).await {
                wrong.push(format!("{} as {dialect}: {why}", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), files.len(), wrong.join("\n"));
}

on_both_databases!(every_provider_is_understood);

#[test]
fn every_fixture_that_the_code_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut named = 0;
    for file in sources(&root.join("src")) {
        let text = fs::read_to_string(&file).expect("a source");
        for (at, _) in text.match_indices("fixtures/") {
            let end = text[at..].find(".json").map(|end| at + end + ".json".len());
            let Some(name) =
                end.map(|end| &text[at..end]).filter(|name| name.len() < 80 && !name.contains(['\n', ' ']))
            else {
                continue;
            };
            assert!(root.join(name).is_file(), "{} names {name}", file.display());
            named += 1;
        }
    }
    assert!(named > 10, "the code names no fixtures any longer");
}

/// The dialect that a folder is about.
fn dialect(idp: &str) -> &'static str {
    Dialect::ALL.into_iter().map(Dialect::as_str).find(|name| *name == idp).unwrap_or("auto")
}

fn files() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let mut files: Vec<PathBuf> = ["other"]
        .into_iter()
        .chain(Dialect::ALL.into_iter().map(Dialect::as_str))
        .filter_map(|folder| fs::read_dir(root.join(folder)).ok())
        .flatten()
        .map(|entry| entry.expect("an entry").path())
        .collect();
    files.sort();
    files
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

async fn play(fixture: &Fixture, scim: &Scim) -> Result<(), String> {
    let names = set_up(&fixture.given, scim).await;
    let request = &fixture.request;
    let answer = send(scim, &request.method, &request.path, &request.headers, request.body.as_ref(), &names).await;
    check(&fixture.response, &answer, &names)?;
    for (line, expected) in &fixture.then {
        let (method, path) = line.split_once(' ').expect("a method and a path");
        let answer = send(scim, method, path, &BTreeMap::new(), None, &names).await;
        check(expected, &answer, &names).map_err(|why| format!("then {line}: {why}"))?;
    }
    Ok(())
}

async fn set_up(given: &Given, scim: &Scim) -> Names {
    let mut names = Names::from([("token".to_owned(), scim.token().to_owned())]);
    for (name, differs) in &given.users {
        let mut user = usual(name);
        let differs = filled(differs, &names);
        for (attribute, value) in differs.as_object().expect("an object") {
            if value.is_null() {
                user.shift_remove(attribute);
            } else {
                user.insert(attribute.clone(), value.clone());
            }
        }
        names.insert(name.clone(), scim.post("/Users", &Value::Object(user)).await.created());
    }
    for (name, group) in &given.groups {
        let members: Vec<&str> = group.members.iter().map(|member| names[member].as_str()).collect();
        names.insert(name.clone(), scim.add_group(&group.display_name, &members).await);
    }
    names
}

fn usual(name: &str) -> Map<String, Value> {
    let given = format!("{}{}", name[..1].to_uppercase(), &name[1..]);
    let user = json!({
        "schemas": [USER, ENTERPRISE], "userName": format!("{name}@acme.example"), "displayName": name, "active": true,
        "name": {"givenName": given, "familyName": "Ruiz"},
        "emails": [{"value": format!("{name}@acme.example"), "type": "work", "primary": true}],
    });
    user.as_object().expect("an object").clone()
}

async fn send(
    scim: &Scim,
    method: &str,
    path: &str,
    headers: &BTreeMap<String, String>,
    body: Option<&Value>,
    names: &Names,
) -> Answer {
    let mut draft = scim.request(method.parse().expect("a method"), &named(path, names));
    if let Some(body) = body {
        draft = draft.body(filled(body, names).to_string());
    }
    for (name, value) in headers {
        draft = draft.header(name, Some(&named(value, names)));
    }
    draft.send().await
}

fn check(expected: &Expected, answer: &Answer, names: &Names) -> Result<(), String> {
    let wanted: Vec<u64> = match &expected.status {
        Value::Array(any) => any.iter().filter_map(Value::as_u64).collect(),
        one => one.as_u64().into_iter().collect(),
    };
    if !wanted.contains(&answer.status.into()) {
        return Err(format!("wanted {}, got {answer}", expected.status));
    }
    for (name, value) in &expected.headers {
        let got = answer.header(name);
        if got.is_none() || (value != "<any>" && got != Some(value)) {
            return Err(format!("the header {name} is {got:?}: {answer}"));
        }
    }
    let text = String::from_utf8_lossy(&answer.body);
    if let Some(word) = expected.lacks.iter().find(|word| text.contains(word.as_str())) {
        return Err(format!("'{word}' is in {answer}"));
    }
    let body = if answer.body.is_empty() { Value::Null } else { answer.json() };
    if let Some(kind) = &expected.error {
        let status = json!(answer.status.to_string());
        let wanted = json!({"schemas": [ERROR], "status": status, "detail": "<any>"});
        differs(&wanted, &body, "error")?;
        if kind.is_string() {
            differs(kind, &body["scimType"], "scimType")?;
        }
    }
    if let Some(count) = expected.resources {
        let got = body["Resources"].as_array().map(Vec::len);
        if got != Some(count) {
            return Err(format!("{got:?} resources: {answer}"));
        }
    }
    match &expected.body {
        Some(wanted) => differs(&filled(wanted, names), &body, "body").map_err(|why| format!("{why}: {answer}")),
        None => Ok(()),
    }
}

/// Says where an answer is not as wanted.
fn differs(wanted: &Value, got: &Value, at: &str) -> Result<(), String> {
    match (wanted, got) {
        (Value::String(any), _) if any == "<any>" => {
            if got.is_null() {
                Err(format!("{at} is missing"))
            } else {
                Ok(())
            }
        }
        (Value::Object(wanted), Value::Object(got)) => wanted.iter().try_for_each(|(name, value)| {
            differs(value, got.get(name).unwrap_or(&Value::Null), &format!("{at}.{name}"))
        }),
        // No elements and no attribute are the same (RFC 7643 §2.5).
        (Value::Array(wanted), Value::Null) if wanted.is_empty() => Ok(()),
        (Value::Array(wanted), Value::Array(got)) => {
            let all = wanted.len() == got.len()
                && wanted.iter().all(|wanted| got.iter().any(|got| differs(wanted, got, at).is_ok()));
            if all { Ok(()) } else { Err(format!("{at} is {got:?} and not {wanted:?}")) }
        }
        _ if wanted == got => Ok(()),
        _ => Err(format!("{at} is {got} and not {wanted}")),
    }
}

/// Puts ids in the place of names.
fn named(text: &str, names: &Names) -> String {
    names.iter().fold(text.to_owned(), |text, (name, id)| text.replace(&format!("{{{name}}}"), id))
}

fn filled(value: &Value, names: &Names) -> Value {
    match value {
        Value::String(text) => Value::String(named(text, names)),
        Value::Array(items) => items.iter().map(|item| filled(item, names)).collect(),
        Value::Object(fields) => fields.iter().map(|(name, value)| (name.clone(), filled(value, names))).collect(),
        other => other.clone(),
    }
}
