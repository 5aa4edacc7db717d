//! The wire formats, word by word. Both databases give the same text.

use http::Method;
use serde_json::{Value, json};

use crate::support::{Answer, Db, ENTERPRISE, Scim, TestApp, USER, on_both_databases};

/// What differs from run to run: ids and dates.
fn settled(value: &Value, ids: &[(&str, &str)]) -> Value {
    match value {
        Value::String(text) => {
            let text = ids.iter().fold(text.clone(), |text, (id, name)| text.replace(id, name));
            if is_date(&text) { json!("<date>") } else { Value::String(text) }
        }
        Value::Array(items) => items.iter().map(|item| settled(item, ids)).collect(),
        Value::Object(fields) => fields.iter().map(|(name, value)| (name.clone(), settled(value, ids))).collect(),
        other => other.clone(),
    }
}

fn is_date(text: &str) -> bool {
    text.len() == "2026-01-31T08:30:00.000Z".len() && text.ends_with('Z') && text.as_bytes()[10] == b'T'
}

/// Status, the headers that matter, and the body.
fn shown(answer: &Answer, ids: &[(&str, &str)]) -> Value {
    let headers: Value = ["content-type", "etag", "location", "www-authenticate", "retry-after", "allow"]
        .into_iter()
        .filter_map(|name| Some((name.to_owned(), settled(&json!(answer.header(name)?), ids))))
        .collect();
    let body = if answer.body.is_empty() { Value::Null } else { settled(&answer.json(), ids) };
    json!({"status": answer.status, "headers": headers, "body": body})
}

async fn discovery(db: Db) {
    let app = TestApp::start(db).await;
    for (name, path) in [
        ("service_provider_config", "/ServiceProviderConfig"),
        ("resource_types", "/ResourceTypes"),
        ("schemas", "/Schemas"),
    ] {
        insta::assert_json_snapshot!(name, shown(&app.scim.get(path).await, &[]));
    }
}

async fn resources(db: Db) {
    let app = TestApp::start(db).await;
    let user = json!({
        "schemas": [USER, ENTERPRISE], "userName": "ana@acme.example", "externalId": "ext-1", "displayName": "Ana Ruiz",
        "name": {"givenName": "Ana", "familyName": "Ruiz"}, "password": "never-shown",
        "emails": [{"value": "ana@acme.example", "type": "work", "primary": "True"}],
        ENTERPRISE: {"department": "Care", "manager": {"value": "4711", "displayName": "Ben"}},
    });
    let created = app.scim.post("/Users", &user).await;
    let id = created.created();
    let group = app.scim.post("/Groups", &json!({"displayName": "Agents", "members": [{"value": id}]})).await;
    let group_id = group.created();
    let ids = [(id.as_str(), "<user>"), (group_id.as_str(), "<group>")];
    insta::assert_json_snapshot!("user_created", shown(&created, &ids));
    insta::assert_json_snapshot!("user", shown(&app.scim.get(&format!("/Users/{id}")).await, &ids));
    insta::assert_json_snapshot!("group_created", shown(&group, &ids));
    insta::assert_json_snapshot!("group", shown(&app.scim.get(&format!("/Groups/{group_id}")).await, &ids));
    insta::assert_json_snapshot!("user_list", shown(&app.scim.get("/Users").await, &ids));
    insta::assert_json_snapshot!("group_list", shown(&app.scim.get("/Groups").await, &ids));
    insta::assert_json_snapshot!("empty_list", shown(&app.scim.filter("/Users", "userName eq \"nobody\"").await, &ids));
    let operations = json!([{"op": "remove", "path": "members"}]);
    let patched = app.scim.patch(&format!("/Groups/{group_id}"), &operations).await;
    insta::assert_json_snapshot!("group_patched", shown(&patched, &ids));
    insta::assert_json_snapshot!("user_deleted", shown(&app.scim.delete(&format!("/Users/{id}")).await, &ids));
}

async fn errors(db: Db) {
    let app = TestApp::start(db).await;
    let scim = &app.scim;
    let id = scim.add_user("ana@acme.example").await;
    let path = format!("/Users/{id}");
    let user = json!({"schemas": [USER], "userName": "ana@acme.example"});
    let raw = |method: Method, at: &str, content_type: &str, body: &str| {
        let draft = scim.request(method, at).header("content-type", Some(content_type)).body(body.to_owned());
        async move { draft.send().await }
    };
    let change = |operations: Value| {
        let path = path.clone();
        async move { scim.patch(&path, &operations).await }
    };
    let strict = strict(&app).await;
    let other = strict.add_user("ben@acme.example").await;
    let unmatched = json!([{"op": "replace", "path": "addresses[type eq \"work\"].country", "value": "DE"}]);
    let answers = [
        ("unauthorized", scim.with_token(None).get("/Users").await),
        ("no_such_user", scim.get("/Users/00919288221112222").await),
        ("no_such_endpoint", scim.get("/Devices").await),
        ("no_such_method", scim.request(Method::DELETE, "/Users").send().await),
        ("uniqueness", scim.post("/Users", &user).await),
        ("invalid_filter", scim.filter("/Users", "userName eq").await),
        ("unknown_filter_attribute", scim.filter("/Users", "shoeSize eq 44").await),
        ("invalid_syntax", raw(Method::POST, "/Users", "application/scim+json", "{\"userName\":").await),
        ("no_body", raw(Method::POST, "/Users", "application/scim+json", "").await),
        ("media_type", raw(Method::POST, "/Users", "text/html", "<p>").await),
        ("required", scim.post("/Users", &json!({"schemas": [USER]})).await),
        ("invalid_value", change(json!([{"op": "replace", "path": "active", "value": "maybe"}])).await),
        ("invalid_path", change(json!([{"op": "replace", "path": "emails[", "value": "x"}])).await),
        (
            "mutability",
            change(json!([{"op": "replace", "path": "meta.created", "value": "2020-01-01T00:00:00Z"}])).await,
        ),
        ("remove_required", change(json!([{"op": "remove", "path": "userName"}])).await),
        ("no_target", strict.patch(&format!("/Users/{other}"), &unmatched).await),
        ("unknown_operation", change(json!([{"op": "move", "path": "title"}])).await),
        ("precondition", scim.request(Method::DELETE, &path).header("if-match", Some("W/\"9\"")).send().await),
        ("discovery_filter", scim.filter("/Schemas", "name eq \"User\"").await),
    ];
    for (name, answer) in answers {
        answer.expect_error(answer.status);
        insta::assert_json_snapshot!(format!("error_{name}"), shown(&answer, &[]));
    }
}

async fn strict(app: &TestApp) -> Scim {
    let settings = rollcall::service::connections::ConnectionSettings {
        dialect: Some(rollcall::scim::Dialect::Strict),
        ..Default::default()
    };
    app.connect_with("strict", settings).await
}

on_both_databases!(discovery, resources, errors);
