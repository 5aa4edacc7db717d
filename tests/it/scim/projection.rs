//! `attributes` and `excludedAttributes` (RFC 7644 §3.9).

use serde_json::{Value, json};

use crate::support::{Db, ENTERPRISE, Scim, TestApp, USER, on_both_databases};

async fn person(scim: &Scim) -> String {
    let user = json!({
        "schemas": [USER, ENTERPRISE], "userName": "ana@acme.example", "displayName": "Ana", "title": "Lead",
        "name": {"givenName": "Ana", "familyName": "Ruiz"},
        "emails": [{"value": "ana@acme.example", "type": "work", "primary": true}],
        ENTERPRISE: {"department": "Care", "employeeNumber": "7"},
    });
    scim.post("/Users", &user).await.created()
}

fn names(resource: &Value) -> Vec<&str> {
    let mut names: Vec<&str> = resource.as_object().expect("an object").keys().map(String::as_str).collect();
    names.sort_unstable();
    names
}

async fn only_what_is_asked_for_is_shown(db: Db) {
    let app = TestApp::start(db).await;
    let id = person(&app.scim).await;
    let shown = |query: &str| {
        let (scim, path) = (app.scim.clone(), format!("/Users/{id}?{query}"));
        async move { scim.get(&path).await.expect(200) }
    };
    let user = shown("attributes=userName").await;
    assert_eq!(names(&user), ["id", "schemas", "userName"]);
    let user = shown("attributes=USERNAME,name.givenName").await;
    assert_eq!(names(&user), ["id", "name", "schemas", "userName"]);
    assert_eq!(user["name"], json!({"givenName": "Ana"}));
    let user = shown("attributes=emails.value").await;
    assert_eq!(user["emails"], json!([{"value": "ana@acme.example"}]));
    let user = shown(&format!("attributes={ENTERPRISE}:department")).await;
    assert_eq!(user[ENTERPRISE], json!({"department": "Care"}));
    let user = shown(&format!("attributes={ENTERPRISE}")).await;
    assert_eq!(user[ENTERPRISE], json!({"department": "Care", "employeeNumber": "7"}));
    let user = shown("excludedAttributes=emails,name,id,schemas,meta").await;
    assert!(
        ["displayName", "id", "schemas", "title", "userName"].iter().all(|name| names(&user).contains(name)),
        "{user}"
    );
    assert!(["emails", "name", "meta"].iter().all(|name| !names(&user).contains(name)), "{user}");
}

async fn a_secret_is_shown_to_nobody(db: Db) {
    let app = TestApp::start(db).await;
    let user = json!({"schemas": [USER], "userName": "ana@acme.example", "password": "canary-7781"});
    let answers = [
        app.scim.post("/Users?attributes=password,userName", &user).await,
        app.scim.get("/Users?attributes=password").await,
        app.scim.get("/Users").await,
    ];
    for answer in answers {
        answer.expect_success();
        assert!(!String::from_utf8_lossy(&answer.body).contains("canary-7781"), "{answer}");
    }
    let rows = app.sql().await;
    for table in ["\"user\"", "audit_event", "user_key"] {
        let column = if table == "\"user\"" {
            "document"
        } else if table == "audit_event" {
            "after"
        } else {
            "value"
        };
        let found = rows.number(&format!("SELECT COUNT(*) FROM {table} WHERE {column} LIKE '%canary%'")).await;
        assert_eq!(found, 0, "{table}");
    }
}

async fn answers_to_changes_are_projected_too(db: Db) {
    let app = TestApp::start(db).await;
    let id = person(&app.scim).await;
    let operations = json!([{"op": "replace", "path": "title", "value": "Head"}]);
    let user = app.scim.patch(&format!("/Users/{id}?attributes=title"), &operations).await.expect(200);
    assert_eq!(names(&user), ["id", "schemas", "title"]);
    let group = app.scim.add_group("Agents", &[&id]).await;
    let operations = json!([{"op": "replace", "path": "displayName", "value": "Voice"}]);
    let shown = app.scim.patch(&format!("/Groups/{group}?attributes=displayName"), &operations).await.expect(200);
    assert_eq!(names(&shown), ["displayName", "id", "schemas"]);
    let list = app.scim.get("/Groups?excludedAttributes=members").await.expect(200);
    assert!(list["Resources"][0].get("members").is_none());
    let list = app.scim.get("/Groups?attributes=members.value").await.expect(200);
    assert_eq!(list["Resources"][0]["members"], json!([{"value": id}]));
}

async fn groups_of_a_person_are_read_only_and_current(db: Db) {
    let app = TestApp::start(db).await;
    let id = person(&app.scim).await;
    let path = format!("/Users/{id}");
    let group = app.scim.add_group("Agents", &[&id]).await;
    let user = app.scim.get(&path).await.expect(200);
    assert_eq!(user["groups"][0]["value"], json!(group));
    assert_eq!(user["groups"][0]["display"], json!("Agents"));
    let mut put = user.clone();
    put["groups"] = json!([]);
    assert_eq!(app.scim.put(&path, &put).await.expect(200)["groups"][0]["value"], json!(group));
    let rename = json!([{"op": "replace", "path": "displayName", "value": "Voice"}]);
    app.scim.patch(&format!("/Groups/{group}"), &rename).await.expect_success();
    assert_eq!(app.scim.get(&path).await.expect(200)["groups"][0]["display"], json!("Voice"));
    app.scim.delete(&format!("/Groups/{group}")).await.expect(204);
    assert!(app.scim.get(&path).await.expect(200).get("groups").is_none());
}

on_both_databases!(
    only_what_is_asked_for_is_shown,
    a_secret_is_shown_to_nobody,
    answers_to_changes_are_projected_too,
    groups_of_a_person_are_read_only_and_current,
);
