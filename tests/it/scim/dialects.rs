//! What a connection's dialect changes, and what it does not.

use rollcall::scim::Dialect;
use rollcall::service::connections::ConnectionSettings;
use serde_json::json;

use crate::support::{Db, TestApp, on_both_databases};

async fn only_strict_answers_a_group_to_its_patch(db: Db) {
    let app = TestApp::start(db).await;
    let settings = ConnectionSettings { dialect: Some(Dialect::Strict), ..ConnectionSettings::default() };
    let strict = app.connect_with("strict", settings).await;
    for (scim, status) in [(&app.scim, 204), (&strict, 200)] {
        let user = scim.add_user(&format!("ana{status}@acme.example")).await;
        let group = scim.add_group("Agents", &[]).await;
        let add = json!([{"op": "add", "path": "members", "value": [{"value": user}]}]);
        let answer = scim.patch(&format!("/Groups/{group}"), &add).await;
        let body = answer.expect(status);
        if status == 200 {
            assert_eq!((&body["displayName"], &body["members"][0]["value"]), (&json!("Agents"), &json!(user)));
        }
        assert_eq!(scim.members(&group).await, [user]);
    }
}

async fn a_changed_dialect_holds_for_the_next_request(db: Db) {
    let app = TestApp::start(db).await;
    let user = app.scim.add_user("ana@acme.example").await;
    let path = format!("/Users/{user}");
    let quoted = json!([{"op": "Replace", "path": "active", "value": "False"}]);
    let unmatched = json!([{"op": "replace", "path": "emails[type eq \"home\"].value", "value": "ana@home.example"}]);
    app.command(&["connection", "set", "idp", "--dialect", "strict"]).await;
    app.scim.patch(&path, &quoted).await.expect_error(400);
    assert_eq!(app.scim.patch(&path, &unmatched).await.expect_error(400).0.as_deref(), Some("noTarget"));
    // A named dialect reads as `auto` does.
    app.command(&["connection", "set", "idp", "--dialect", "entra"]).await;
    assert_eq!(app.scim.patch(&path, &quoted).await.expect(200)["active"], json!(false));
    let emails = app.scim.patch(&path, &unmatched).await.expect(200)["emails"].clone();
    assert_eq!(emails[1], json!({"type": "home", "value": "ana@home.example"}));
}

/// RFC 7644 §3.5.2.2 makes a removed attribute unassigned; nobody becomes or stays active by that.
async fn who_is_not_said_to_be_active_is_not(db: Db) {
    let app = TestApp::start(db).await;
    let user = app.scim.add_user("ana@acme.example").await;
    let path = format!("/Users/{user}");
    let removed = app.scim.patch(&path, &json!([{"op": "remove", "path": "active"}])).await.expect(200);
    assert_eq!(removed.get("active"), None);
    assert_eq!(app.scim.found("/Users", "active eq true").await, Vec::<String>::new());
    let put = json!({"userName": "ana@acme.example"});
    assert_eq!(app.scim.put(&path, &put).await.expect(200)["active"], json!(false));
    app.scim.set_active(&user, true).await;
    assert_eq!(app.scim.found("/Users", "active eq true").await, [user]);
}

on_both_databases!(
    only_strict_answers_a_group_to_its_patch,
    a_changed_dialect_holds_for_the_next_request,
    who_is_not_said_to_be_active_is_not,
);
