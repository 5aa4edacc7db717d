//! Groups in groups.

use futures::future::join_all;
use serde_json::{Value, json};

use crate::support::{Answer, Db, Scim, TestApp, on_both_databases};

async fn put_into(scim: &Scim, group: &str, member: &str) -> Answer {
    let operations = json!([{"op": "add", "path": "members", "value": [{"value": member}]}]);
    scim.patch(&format!("/Groups/{group}"), &operations).await
}

fn groups_of(user: &Value) -> Vec<(String, String)> {
    let mut groups: Vec<(String, String)> = user["groups"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|group| {
            (group["display"].as_str().unwrap_or_default().into(), group["type"].as_str().unwrap_or_default().into())
        })
        .collect();
    groups.sort();
    groups
}

async fn a_group_is_never_in_itself(db: Db) {
    let app = TestApp::start(db).await;
    let (a, b, c) =
        (app.scim.add_group("A", &[]).await, app.scim.add_group("B", &[]).await, app.scim.add_group("C", &[]).await);
    put_into(&app.scim, &a, &a).await.expect_error(400);
    put_into(&app.scim, &a, &b).await.expect_success();
    put_into(&app.scim, &b, &a).await.expect_error(400);
    put_into(&app.scim, &b, &c).await.expect_success();
    put_into(&app.scim, &c, &a).await.expect_error(400);
    let put = json!({"displayName": "C", "members": [{"value": a}]});
    app.scim.put(&format!("/Groups/{c}"), &put).await.expect_error(400);
    assert_eq!(app.scim.members(&c).await, Vec::<String>::new(), "a refusal leaves nothing behind");
}

async fn circles_are_refused_when_requests_meet(db: Db) {
    let app = TestApp::start(db).await;
    for round in 0..8 {
        let names = ["A", "B", "C"].map(|name| format!("{name}{round}"));
        let mut groups = Vec::new();
        for name in &names {
            groups.push(app.scim.add_group(name, &[]).await);
        }
        let edges = [(0, 1), (1, 2), (2, 0)];
        let answers = join_all(edges.map(|(above, below)| put_into(&app.scim, &groups[above], &groups[below]))).await;
        let refused = answers.iter().filter(|answer| answer.status == 400).count();
        let done = answers.iter().filter(|answer| [200, 204].contains(&answer.status)).count();
        assert_eq!(
            (done, refused),
            (2, 1),
            "round {round}: {}",
            answers.iter().map(ToString::to_string).collect::<String>()
        );
    }
}

async fn nesting_has_a_depth(db: Db) {
    let app = TestApp::start(db).await;
    let mut chain = vec![app.scim.add_group("G0", &[]).await];
    let mut deepest = 0;
    for n in 1..=12 {
        let below = app.scim.add_group(&format!("G{n}"), &[]).await;
        let answer = put_into(&app.scim, chain.last().expect("a group"), &below).await;
        if answer.status == 400 {
            let (kind, _) = answer.expect_error(400);
            assert_eq!(kind.as_deref(), Some("invalidValue"));
            break;
        }
        answer.expect_success();
        chain.push(below);
        deepest = n;
    }
    assert!((7..=8).contains(&deepest), "depth {deepest}");
    // From above the same.
    let top = app.scim.add_group("Top", &[]).await;
    put_into(&app.scim, &top, &chain[0]).await.expect_error(400);
    let user = app.scim.add_user("ana@acme.example").await;
    put_into(&app.scim, chain.last().expect("a group"), &user).await.expect_success();
    let shown = app.scim.get(&format!("/Users/{user}")).await.expect(200);
    assert_eq!(groups_of(&shown).len(), chain.len());
    assert_eq!(groups_of(&shown).iter().filter(|(_, kind)| kind == "direct").count(), 1);
}

async fn membership_reaches_through_groups(db: Db) {
    let app = TestApp::start(db).await;
    let user = app.scim.add_user("ana@acme.example").await;
    let team = app.scim.add_group("Team", &[&user]).await;
    let site = app.scim.add_group("Site", &[&team]).await;
    let path = format!("/Users/{user}");
    let both = [("Site".to_owned(), "indirect".to_owned()), ("Team".to_owned(), "direct".to_owned())];
    assert_eq!(groups_of(&app.scim.get(&path).await.expect(200)), both);
    assert_eq!(app.scim.found("/Users", &format!("groups.value eq \"{site}\"")).await, std::slice::from_ref(&user));
    assert_eq!(app.scim.found("/Users", "groups.display eq \"site\"").await, std::slice::from_ref(&user));
    assert_eq!(
        app.scim.found("/Users", "groups[display eq \"site\" and type eq \"indirect\"]").await,
        std::slice::from_ref(&user)
    );
    let shown = app.scim.get(&format!("/Groups/{site}")).await.expect(200);
    assert_eq!(shown["members"][0]["type"], json!("Group"));
    assert_eq!(shown["members"][0]["value"], json!(team));
    assert_eq!(app.scim.found("/Groups", &format!("members.value eq \"{user}\"")).await, std::slice::from_ref(&team));
    // By URL too (RFC 7643 §4.1.2, §4.2).
    let url = |kind: &str, id: &str| format!("https://rollcall.example/scim/v2/{kind}/{id}");
    let person = app.scim.get(&path).await.expect(200);
    for group in person["groups"].as_array().expect("groups") {
        assert_eq!(group["$ref"], json!(url("Groups", group["value"].as_str().expect("an id"))));
    }
    assert_eq!(person, app.scim.get(&format!("{path}?excludedAttributes=title")).await.expect(200));
    let (user_url, site_url, team_url) = (url("Users", &user), url("Groups", &site), url("Groups", &team));
    assert_eq!(app.scim.found("/Users", &format!("groups.$ref eq \"{site_url}\"")).await, std::slice::from_ref(&user));
    assert_eq!(
        app.scim.found("/Groups", &format!("members.$ref eq \"{user_url}\"")).await,
        std::slice::from_ref(&team)
    );
    let extra = app.scim.add_user("bo@acme.example").await;
    app.scim.add_member(&site, &extra).await;
    let remove = json!([{"op": "remove", "path": format!("members[$ref eq \"{team_url}\"]")}]);
    app.scim.patch(&format!("/Groups/{site}"), &remove).await.expect_success();
    assert_eq!(app.scim.members(&site).await, std::slice::from_ref(&extra));
    app.scim.remove_member(&site, &extra).await;
    app.scim.add_member(&site, &team).await;
    app.scim.delete(&format!("/Groups/{team}")).await.expect(204);
    assert_eq!(groups_of(&app.scim.get(&path).await.expect(200)), []);
    assert_eq!(app.scim.members(&site).await, Vec::<String>::new(), "a deleted group is no member");
}

/// Access follows through groups: a worker comes and goes with the nesting.
async fn access_follows_the_nesting(db: Db) {
    let rules = "[[rule]]\nname = \"agents\"\nwhen = 'groups.display eq \"Agents\"'\nrole = \"agent\"\n";
    let app = TestApp::builder(db).rules(rules).start().await;
    let user = app.scim.add_user("ana@acme.example").await;
    let team = app.scim.add_group("Team", &[&user]).await;
    let agents = app.scim.add_group("Agents", &[]).await;
    app.settled().await;
    assert_eq!(app.stand_in().worker_count(), 0);
    app.scim.add_member(&agents, &team).await;
    app.settled().await;
    assert!(app.stand_in().worker_named("ana@acme.example").is_some());
    app.scim.remove_member(&agents, &team).await;
    app.settled().await;
    assert_eq!(app.stand_in().worker_count(), 0);
}

on_both_databases!(
    a_group_is_never_in_itself,
    circles_are_refused_when_requests_meet,
    nesting_has_a_depth,
    membership_reaches_through_groups,
    access_follows_the_nesting,
);
