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
        assert!([200, 204, 400].contains(&added.status), "{added}");
        assert_eq!(deleted.status, 204);
    }
    assert_eq!(app.scim.members(&group).await, Vec::<String>::new());
    let left = app.sql().await.number("SELECT COUNT(*) FROM membership").await;
    assert_eq!(left, 0);
}

/// Two lists of members at once: one of them holds in the end, with its name, and never a mixture.
async fn of_two_lists_of_members_one_holds(db: Db) {
    let app = TestApp::start(db).await;
    let mut people = app.scim.add_users("p", 4).await;
    people.sort();
    let list = |members: &[&str]| members.iter().map(|id| json!({"value": id})).collect::<Vec<_>>();
    for round in 0..20 {
        // Some are there already, some come; and every other time the group is renamed as well.
        let group = app.scim.add_group(&format!("g{round}"), &[&people[0], &people[1]]).await;
        let path = format!("/Groups/{group}");
        let names = [format!("g{round}"), format!("g{round}{}", if round % 2 == 0 { "" } else { " renamed" })];
        let lists = [[people[0].as_str(), &people[2]], [people[1].as_str(), &people[3]]];
        let puts = [0, 1].map(|n| json!({"displayName": names[n], "members": list(&lists[n])}));
        let (one, other) = futures::join!(app.scim.put(&path, &puts[0]), app.scim.put(&path, &puts[1]));
        assert_eq!((one.status, other.status), (200, 200), "{one} {other}");
        let (members, now) = (app.scim.members(&group).await, app.scim.get(&path).await.expect(200));
        let held = lists.iter().position(|list| members == *list).unwrap_or_else(|| panic!("{members:?} of {lists:?}"));
        assert_eq!(now["displayName"], json!(names[held]), "{now}");
    }
}

/// The same for what empties a group: with it, all go or all stay.
async fn a_list_of_members_meets_their_removal(db: Db) {
    let app = TestApp::start(db).await;
    let mut people = app.scim.add_users("p", 2).await;
    people.sort();
    let both: Vec<Value> = people.iter().map(|id| json!({"value": id})).collect();
    for (round, path) in ["members", "members[type eq \"User\"]"].iter().cycle().take(20).enumerate() {
        let group = app.scim.add_group(&format!("g{round}"), &[&people[0]]).await;
        let group_path = format!("/Groups/{group}");
        let replace = json!([{"op": "replace", "path": "members", "value": both}]);
        let empty = json!([{"op": "remove", "path": path}]);
        let (one, other) = futures::join!(app.scim.patch(&group_path, &replace), app.scim.patch(&group_path, &empty));
        assert!([one.status, other.status].iter().all(|status| [200, 204].contains(status)), "{one} {other}");
        let members = app.scim.members(&group).await;
        assert!(members.is_empty() || members == people, "{path}: {members:?}");
    }
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
    of_two_lists_of_members_one_holds,
    a_list_of_members_meets_their_removal,
    a_user_name_is_given_once,
);
