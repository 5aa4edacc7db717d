//! Members are lost only when somebody says so.

use futures::stream::{self, StreamExt as _};
use serde_json::{Value, json};

use crate::support::{Db, Scim, TestApp, on_both_databases};

async fn s37_only_an_absent_or_null_value_empties_a_group(db: Db) {
    let app = TestApp::start(db).await;
    let people = app.scim.add_users("p", 3).await;
    let members: Vec<&str> = people.iter().map(String::as_str).collect();
    let group = app.scim.add_group("Agents", &members).await;
    let path = format!("/Groups/{group}");
    let malformed = [
        json!([]),
        json!({}),
        json!(""),
        json!([{}]),
        json!([null]),
        json!([""]),
        json!([{"value": null}]),
        json!([{"value": ""}]),
        json!([[]]),
        json!(0),
        json!(true),
        json!([{"value": []}]),
        json!([{"value": {"value": null}}]),
        json!([{"display": "p0"}]),
        json!({"value": null}),
        json!({"members": null}),
    ];
    let mut paths = vec![
        "members[value eq \"\"]",
        "members[value eq \"nobody\"]",
        "members[value eq null]",
        "members[not (value pr)]",
        "members[",
    ];
    for value in &malformed {
        let answer = app.scim.patch(&path, &json!([{"op": "remove", "path": "members", "value": value}])).await;
        answer.expect_error(400);
        assert_eq!(app.scim.members(&group).await.len(), 3, "remove {value}: {answer}");
    }
    for value in &malformed[1..] {
        let answer = app.scim.patch(&path, &json!([{"op": "replace", "path": "members", "value": value}])).await;
        assert_eq!(answer.status, 400, "replace {value}: {answer}");
        assert_eq!(app.scim.members(&group).await.len(), 3, "replace {value}: {answer}");
    }
    paths.extend(["Members.value", "members.nosuch"]);
    for member_path in paths {
        app.scim.patch(&path, &json!([{"op": "remove", "path": member_path}])).await;
        assert_eq!(app.scim.members(&group).await.len(), 3, "remove {member_path}");
    }
    app.scim.patch(&path, &json!([{"op": "remove", "path": "members"}])).await.expect_success();
    assert_eq!(app.scim.members(&group).await, Vec::<String>::new());
    for id in &people {
        app.scim.add_member(&group, id).await;
    }
    app.scim.patch(&path, &json!([{"op": "remove", "path": "members", "value": null}])).await.expect_success();
    assert_eq!(app.scim.members(&group).await, Vec::<String>::new());
}

async fn s38_adding_never_removes(db: Db) {
    let app = TestApp::start(db).await;
    let people = app.scim.add_users("p", 4).await;
    let group = app.scim.add_group("Agents", &[&people[0]]).await;
    let path = format!("/Groups/{group}");
    let additions = [
        json!([{"op": "add", "path": "members", "value": [{"value": people[1]}]}]),
        json!([{"op": "add", "value": {"members": [{"value": people[2]}]}}]),
        json!([{"op": "Add", "path": "members", "value": {"value": people[3]}}]),
        json!([{"op": "add", "path": "members", "value": []}]),
        json!([{"op": "replace", "path": "displayName", "value": "Voice"}]),
    ];
    for (n, operations) in additions.iter().enumerate() {
        app.scim.patch(&path, operations).await;
        assert_eq!(app.scim.members(&group).await.len(), (n + 2).min(4), "{operations}");
    }
}

async fn add_all(scim: &Scim, group: &str, people: &[String]) {
    for id in people {
        scim.add_member(group, id).await;
    }
}

async fn s38_four_connections_lose_no_member(db: Db) {
    let app = TestApp::start(db).await;
    let mut people = app.scim.add_users("p", 2_000).await;
    let group = app.scim.add_group("Agents", &[]).await;
    stream::iter(people.chunks(500))
        .for_each_concurrent(4, |part| {
            // A client of its own is a connection of its own.
            let scim = Scim::new(app.address(), Some(app.scim.token()));
            let group = group.clone();
            async move { add_all(&scim, &group, part).await }
        })
        .await;
    people.sort();
    assert_eq!(app.scim.members(&group).await, people);
}

/// Additions and removals of different people meet: each has its effect.
async fn s38_additions_and_removals_meet(db: Db) {
    let app = TestApp::start(db).await;
    let people = app.scim.add_users("p", 80).await;
    let first: Vec<&str> = people[..40].iter().map(String::as_str).collect();
    let group = app.scim.add_group("Agents", &first).await;
    let path = format!("/Groups/{group}");
    let requests = people.iter().enumerate().map(|(n, id)| {
        let operations: Value = if n < 40 {
            json!([{"op": "remove", "path": format!("members[value eq \"{id}\"]")}])
        } else {
            json!([{"op": "add", "path": "members", "value": [{"value": id}]}])
        };
        let (scim, path) = (&app.scim, &path);
        async move { scim.patch(path, &operations).await.expect_success() }
    });
    stream::iter(requests).buffer_unordered(16).collect::<Vec<()>>().await;
    let mut wanted = people[40..].to_vec();
    wanted.sort();
    assert_eq!(app.scim.members(&group).await, wanted);
}

on_both_databases!(
    s37_only_an_absent_or_null_value_empties_a_group,
    s38_adding_never_removes,
    s38_four_connections_lose_no_member,
    s38_additions_and_removals_meet,
);
