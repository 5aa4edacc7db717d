//! Groups of ten thousand.

use serde_json::{Value, json};

use crate::support::{Db, TestApp, on_both_databases};

const MANY: usize = 10_000;

async fn ten_thousand_members_are_put_and_read(db: Db) {
    let app = TestApp::start(db).await;
    let mut people = app.scim.add_users("p", MANY).await;
    let members: Vec<Value> = people.iter().map(|id| json!({"value": id})).collect();
    let group = app.scim.post("/Groups", &json!({"displayName": "All", "members": members})).await.created();
    let path = format!("/Groups/{group}");
    people.sort();
    assert_eq!(app.scim.members(&group).await, people);
    let answer = app.scim.get(&path).await;
    assert!(answer.header("content-length").is_none(), "the members are streamed");
    let bare = app.scim.get(&format!("{path}?excludedAttributes=members")).await;
    assert!(bare.body.len() < 1_000, "{bare}");
    // Half of them go, and one change in the middle is no rewriting of the whole.
    let half: Vec<Value> = people.iter().step_by(2).map(|id| json!({"value": id})).collect();
    app.scim.put(&path, &json!({"displayName": "All", "members": half})).await.expect(200);
    assert_eq!(app.scim.members(&group).await.len(), MANY / 2);
    app.scim.add_member(&group, &people[1]).await;
    app.scim.remove_member(&group, &people[0]).await;
    let now = app.scim.members(&group).await;
    assert_eq!((now.len(), now.contains(&people[1]), now.contains(&people[0])), (MANY / 2, true, false));
    assert_eq!(app.scim.get(&format!("/Users/{}", people[1])).await.expect(200)["groups"][0]["value"], json!(group));
    app.scim.delete(&path).await.expect(204);
    assert_eq!(app.sql().await.number("SELECT COUNT(*) FROM membership").await, 0);
    assert_eq!(app.scim.get("/Users?count=0").await.total(), MANY as u64);
    // There are no rules: nothing follows from the members, and computing that takes its time in the background.
    app.expect_work_left();
}

on_both_databases!(ten_thousand_members_are_put_and_read);
