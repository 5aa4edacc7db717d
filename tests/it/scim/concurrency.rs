//! Requests that meet.

use futures::future::join_all;
use serde_json::{Value, json};

use crate::support::{Db, TestApp, USER, on_both_databases};

async fn patches_of_different_attributes_are_both_kept(db: Db) {
    let app = TestApp::start(db).await;
    for round in 0..10 {
        let id = app.scim.add_user(&format!("ana{round}@acme.example")).await;
        let path = format!("/Users/{id}");
        let changes =
            [json!({"title": "Lead"}), json!({"active": false}), json!({"nickName": "Annie"}), json!({"locale": "de"})];
        let patches = changes.iter().map(|value| {
            let (scim, path, operations) = (&app.scim, &path, json!([{"op": "replace", "value": value}]));
            async move { scim.patch(path, &operations).await.expect(200) }
        });
        join_all(patches).await;
        let user = app.scim.get(&path).await.expect(200);
        for change in &changes {
            for (name, value) in change.as_object().expect("an object") {
                assert_eq!(&user[name], value, "{user}");
            }
        }
        assert_eq!(user["meta"]["version"], json!("W/\"5\""));
    }
}

async fn of_identical_creations_one_wins(db: Db) {
    let app = TestApp::start(db).await;
    for round in 0..5 {
        let user = json!({"schemas": [USER], "userName": format!("ana{round}@acme.example"), "active": true});
        let answers = join_all((0..5).map(|_| app.scim.post("/Users", &user))).await;
        let mut statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
        statuses.sort_unstable();
        assert_eq!(statuses, [201, 409, 409, 409, 409]);
        for refused in answers.iter().filter(|answer| answer.status == 409) {
            assert_eq!(refused.expect_error(409).0.as_deref(), Some("uniqueness"));
        }
    }
    assert_eq!(app.scim.get("/Users").await.total(), 5);
}

async fn of_identical_groups_one_wins(db: Db) {
    let app = TestApp::start(db).await;
    let group = json!({"displayName": "Agents"});
    let answers = join_all((0..5).map(|_| app.scim.post("/Groups", &group))).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 1);
    assert!(answers.iter().all(|answer| [201, 409].contains(&answer.status)));
    assert_eq!(app.scim.get("/Groups").await.total(), 1);
}

/// Somebody is deleted while being added: either order is fine, but no group may keep a member that is gone.
async fn a_deleted_user_is_in_no_group(db: Db) {
    let app = TestApp::start(db).await;
    let group = app.scim.add_group("Agents", &[]).await;
    for round in 0..10 {
        let id = app.scim.add_user(&format!("ana{round}@acme.example")).await;
        let operations = json!([{"op": "add", "path": "members", "value": [{"value": id}]}]);
        let (group_path, user_path) = (format!("/Groups/{group}"), format!("/Users/{id}"));
        let (added, deleted) = futures::join!(app.scim.patch(&group_path, &operations), app.scim.delete(&user_path));
        assert!([200, 204, 404].contains(&added.status), "{added}");
        assert_eq!(deleted.status, 204);
    }
    assert_eq!(app.scim.members(&group).await, Vec::<String>::new());
    let left = app.sql().await.number("SELECT COUNT(*) FROM membership").await;
    assert_eq!(left, 0);
}

async fn a_user_name_is_given_once(db: Db) {
    let app = TestApp::start(db).await;
    let people = app.scim.add_users("p", 6).await;
    let operations: Value = json!([{"op": "replace", "path": "userName", "value": "Wanted@acme.example"}]);
    let paths: Vec<String> = people.iter().map(|id| format!("/Users/{id}")).collect();
    let answers = join_all(paths.iter().map(|path| app.scim.patch(path, &operations))).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
    assert_eq!(answers.iter().filter(|answer| answer.status == 409).count(), 5);
    assert_eq!(app.scim.found("/Users", "userName eq \"wanted@ACME.example\"").await.len(), 1);
}

on_both_databases!(
    patches_of_different_attributes_are_both_kept,
    of_identical_creations_one_wins,
    of_identical_groups_one_wins,
    a_deleted_user_is_in_no_group,
    a_user_name_is_given_once,
);
