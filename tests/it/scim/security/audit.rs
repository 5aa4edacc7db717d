//! The audit trail.

use rollcall::service::connections::ConnectionSettings;
use serde_json::{Value, json};

use crate::support::{Db, TestApp, USER, on_both_databases, slug};

async fn actions(app: &TestApp) -> Vec<String> {
    app.sql().await.texts("SELECT action FROM audit_event ORDER BY seq").await
}

async fn s61_each_change_leaves_one_event(db: Db) {
    let app = TestApp::start(db).await;
    let began = actions(&app).await.len();
    let user = format!("/Users/{}", app.scim.add_user("ana@acme.example").await);
    let id = user.trim_start_matches("/Users/").to_owned();
    app.scim.patch(&user, &json!([{"op": "replace", "path": "title", "value": "Lead"}])).await.expect(200);
    app.scim.put(&user, &json!({"schemas": [USER], "userName": "ana@acme.example", "title": "Head"})).await.expect(200);
    let group = app.scim.add_group("Agents", &[]).await;
    let path = format!("/Groups/{group}");
    app.scim.add_member(&group, &id).await;
    app.scim.put(&path, &json!({"displayName": "Voice"})).await.expect(200);
    app.scim.delete(&path).await.expect(204);
    app.scim.delete(&user).await.expect(204);
    let connection = app.core().connection(&app.account, &slug("idp")).await.expect("the connection");
    let (token, _) = app.core().create_token(&connection, "x", None).await.expect("a token");
    app.core().revoke_token(&app.account, &token.id.to_string()).await.expect("revoked");
    let settings = ConnectionSettings { enabled: Some(true), ..ConnectionSettings::default() };
    app.core().set_connection(&app.account, &slug("idp"), settings).await.expect("set");
    app.import_rules("[[rule]]\nname = \"a\"\nwhen = 'active eq true'\nrole = \"agent\"\n").await;
    app.settled().await;
    assert_eq!(
        actions(&app).await[began..],
        [
            "user.create",
            "user.patch",
            "user.replace",
            "group.create",
            "group.patch",
            "group.replace",
            "group.delete",
            "user.delete",
            "token.create",
            "token.revoke",
            "connection.set",
            "rules.import",
        ]
    );
}

async fn s61_an_event_says_who_what_before_and_after(db: Db) {
    let app = TestApp::start(db).await;
    let id = app.scim.add_user("ana@acme.example").await;
    let body = json!({"Operations": [{"op": "replace", "path": "title", "value": "Lead"}]});
    let draft = app.scim.request(http::Method::PATCH, &format!("/Users/{id}")).json(&body);
    let answer = draft.header("x-request-id", Some("push-4711")).send().await;
    assert_eq!(answer.header("x-request-id"), Some("push-4711"));
    let rows = app
        .sql()
        .await
        .texts(
            "SELECT actor || '|' || request_id || '|' || target_kind || '|' || target_id || '|' || before || '|' || after \
             FROM audit_event WHERE action = 'user.patch'",
        )
        .await;
    assert_eq!(rows, [format!("connection:idp|push-4711|user|{id}|{{}}|{{\"title\":\"Lead\"}}")]);
    let connections = app.sql().await.number("SELECT COUNT(*) FROM audit_event WHERE connection_id IS NULL").await;
    assert_eq!(connections, 1, "only the account itself belongs to no connection");
}

async fn s61_what_changes_nothing_leaves_nothing(db: Db) {
    let app = TestApp::start(db).await;
    let user = format!("/Users/{}", app.scim.add_user("ana@acme.example").await);
    let group = app.scim.add_group("Agents", &[]).await;
    let before = actions(&app).await;
    app.scim.patch(&user, &json!([{"op": "replace", "path": "active", "value": true}])).await.expect(200);
    app.scim.patch(&user, &json!([{"op": "replace", "path": "active", "value": "maybe"}])).await.expect_error(400);
    app.scim.post("/Users", &json!({"schemas": [USER], "userName": "ana@acme.example"})).await.expect_error(409);
    app.scim.delete("/Users/none").await.expect_error(404);
    app.scim.remove_member(&group, "0192f0c1-2345-7abc-8def-0123456789ab").await;
    app.scim.get("/Users").await.expect(200);
    assert_eq!(actions(&app).await, before);
}

/// Without its event no change happens.
async fn s61_change_and_event_commit_together(db: Db) {
    let app = TestApp::start(db).await;
    let user = app.scim.add_user("ana@acme.example").await;
    let group = app.scim.add_group("Agents", &[]).await;
    let sql = app.sql().await;
    sql.run("ALTER TABLE audit_event RENAME TO audit_event_away").await.expect("renamed");
    let path = format!("/Users/{user}");
    let operations = json!([{"op": "replace", "path": "title", "value": "Lead"}]);
    let add: Value = json!([{"op": "add", "path": "members", "value": [{"value": user}]}]);
    let answers = [
        app.scim.post("/Users", &json!({"schemas": [USER], "userName": "ben@acme.example"})).await,
        app.scim.patch(&path, &operations).await,
        app.scim.delete(&path).await,
        app.scim.post("/Groups", &json!({"displayName": "Voice"})).await,
        app.scim.patch(&format!("/Groups/{group}"), &add).await,
        app.scim.delete(&format!("/Groups/{group}")).await,
    ];
    for answer in &answers {
        let (_, detail) = answer.expect_error(500);
        assert!(!detail.contains("audit"), "the cause is for the log: {detail}");
    }
    sql.run("ALTER TABLE audit_event_away RENAME TO audit_event").await.expect("renamed");
    assert_eq!(app.scim.get("/Users").await.total(), 1);
    assert_eq!(app.scim.get("/Groups").await.total(), 1);
    assert!(app.scim.get(&path).await.expect(200).get("title").is_none());
    assert_eq!(app.scim.members(&group).await, Vec::<String>::new());
    app.scim.patch(&path, &operations).await.expect(200);
}

async fn s61_the_trail_is_only_added_to(db: Db) {
    let app = TestApp::start(db).await;
    app.scim.add_user("ana@acme.example").await;
    let sql = app.sql().await;
    let before = actions(&app).await;
    for statement in [
        "UPDATE audit_event SET actor = 'nobody'",
        "UPDATE audit_event SET after = NULL WHERE action = 'user.create'",
        "DELETE FROM audit_event",
        "DELETE FROM audit_event WHERE action = 'user.create'",
        "INSERT OR REPLACE INTO audit_event SELECT * FROM audit_event",
        "TRUNCATE audit_event",
    ] {
        assert!(sql.run(statement).await.is_err(), "{statement}");
    }
    assert_eq!(actions(&app).await, before);
}

on_both_databases!(
    s61_each_change_leaves_one_event,
    s61_an_event_says_who_what_before_and_after,
    s61_what_changes_nothing_leaves_nothing,
    s61_change_and_event_commit_together,
    s61_the_trail_is_only_added_to,
);
