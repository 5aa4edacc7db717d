//! What was answered is there after the server was ended and started again.

use serde_json::json;

use crate::support::{Db, TestApp, on_both_databases};

async fn a_restart_loses_nothing(db: Db) {
    let rules = "[[rule]]\nname = \"agents\"\nwhen = 'groups.display eq \"Agents\"'\nrole = \"agent\"\n";
    let mut app = TestApp::builder(db).unguarded().rules(rules).start().await;
    let people = app.scim.add_users("p", 20).await;
    let members: Vec<&str> = people.iter().map(String::as_str).collect();
    let group = app.scim.add_group("Agents", &members).await;
    app.scim.set_active(&people[0], false).await;
    app.scim.delete(&format!("/Users/{}", people[1])).await.expect(204);
    let shown = |list: serde_json::Value| list["Resources"].clone();
    let before = shown(app.scim.get("/Users").await.expect(200));
    // The workers may or may not have been made by now: they are in the end.
    app.restart().await;
    assert_eq!(shown(app.scim.get("/Users").await.expect(200)), before);
    assert_eq!(app.scim.members(&group).await.len(), 19);
    assert_eq!(app.scim.get("/Users?count=0").await.total(), 19);
    app.settled().await;
    assert_eq!(app.stand_in().worker_count(), 18);
    app.scim.patch(&format!("/Groups/{group}"), &json!([{"op": "remove", "path": "members"}])).await.expect_success();
    app.settled().await;
    assert_eq!(app.stand_in().worker_count(), 0);
}

on_both_databases!(a_restart_loses_nothing);
