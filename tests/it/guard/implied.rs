//! Losses that follow from groups and attributes: held whole, so that the person stays as before.

use std::time::Duration;

use futures::future::join_all;
use serde_json::json;

use super::{agents, empty, holds, in_state, member, more_agents, open_hold, role, set_title, touched, workers};
use crate::support::{Db, TestApp, on_both_databases, wait_until};

async fn an_emptied_group_is_held_whole(db: Db) {
    let (app, people, group) = agents(db, 30).await;
    empty(&app, &group).await;
    app.settled().await;
    assert_eq!((workers(&app), touched(&app), in_state(&app, "held").await), (30, 0, 30));
    let sql = app.sql().await;
    assert_eq!(role(&sql, &people[7]).await, "agent");
    // What else is said of a held person is kept, and changes nothing at TaskRouter.
    set_title(&app, &people[7], "Support").await;
    set_title(&app, &people[8], "Clerk").await;
    app.clock.advance(Duration::from_mins(11));
    set_title(&app, &people[8], "Typist").await;
    app.settled().await;
    assert_eq!((touched(&app), in_state(&app, "held").await), (0, 30));
    let list = app.command(&["account", "list"]).await;
    assert!(list.contains("HELD") && list.contains("30"), "{list}");
    // Approved, everybody goes, from how things are now: one of them is back.
    app.scim.add_member(&group, &people[0]).await;
    app.settled().await;
    assert_eq!(in_state(&app, "returned").await, 1);
    app.command(&["holds", "approve", &open_hold(&app).await]).await;
    app.settled().await;
    assert_eq!((workers(&app), in_state(&app, "approved").await), (1, 29));
    assert_eq!(role(&sql, &people[7]).await, "none");
    assert_eq!(role(&sql, &people[0]).await, "agent");
}

/// Each way to take all people out of a group, and a rename and the end of the group.
async fn each_way_to_empty_a_group_is_held(db: Db) {
    let (app, people, group) = agents(db, 30).await;
    let path = format!("/Groups/{group}");
    let all: Vec<_> = people.iter().map(member).collect();
    let back = json!([{"op": "add", "path": "members", "value": all}]);
    for operations in [
        json!([{"op": "replace", "path": "members", "value": []}]),
        json!([{"op": "remove", "path": "members", "value": all}]),
        json!([{"op": "remove", "path": "members[value pr]"}]),
    ] {
        app.scim.patch(&path, &operations).await.expect_success();
        assert_eq!(in_state(&app, "held").await, 30, "{operations}");
        app.scim.patch(&path, &back).await.expect_success();
        assert_eq!((in_state(&app, "held").await, in_state(&app, "returned").await), (0, holds(&app).await * 30));
    }
    for name in ["Former Agents", "CC Agents"] {
        let rename = json!([{"op": "replace", "path": "displayName", "value": name}]);
        app.scim.patch(&path, &rename).await.expect_success();
    }
    assert_eq!(in_state(&app, "held").await, 0);
    app.scim.delete(&path).await.expect_success();
    app.settled().await;
    assert_eq!((workers(&app), touched(&app), in_state(&app, "held").await), (30, 0, 30));
}

/// More people than are computed in one transaction are judged as one all the same.
async fn a_large_group_is_judged_as_a_whole(db: Db) {
    let (app, people, group) = agents(db, 520).await;
    let rename = |name: &str| json!([{"op": "replace", "path": "displayName", "value": name}]);
    app.scim.patch(&format!("/Groups/{group}"), &rename("Former Agents")).await.expect_success();
    // Whoever is pushed before everybody is judged waits with the others.
    set_title(&app, &people[300], "Support").await;
    app.settled().await;
    assert_eq!((workers(&app), touched(&app), in_state(&app, "held").await), (520, 0, 520));
    let sql = app.sql().await;
    let cause = sql.texts("SELECT cause FROM hold_cause ORDER BY people DESC").await.remove(0);
    assert!(cause.contains("CC Agents") && cause.contains("group.patch"), "{cause}");
    app.scim.patch(&format!("/Groups/{group}"), &rename("CC Agents")).await.expect_success();
    app.settled().await;
    assert_eq!((in_state(&app, "returned").await, in_state(&app, "held").await), (520, 0));
    // A few of many pass.
    let few: Vec<_> = people[..20].iter().map(member).collect();
    let operations = json!([{"op": "remove", "path": "members", "value": few}]);
    app.scim.patch(&format!("/Groups/{group}"), &operations).await.expect_success();
    app.settled().await;
    assert_eq!(workers(&app), 500);
}

async fn many_who_get_another_role_are_held(db: Db) {
    let (app, people, _) = agents(db, 30).await;
    let ids: Vec<&str> = people.iter().map(String::as_str).collect();
    let leads = app.scim.add_group("CC Leads", &ids).await;
    app.settled().await;
    let sql = app.sql().await;
    assert_eq!(sql.texts("SELECT kind FROM hold").await, ["role"]);
    assert_eq!((in_state(&app, "held").await, touched(&app)), (30, 0));
    assert_eq!(role(&sql, &people[3]).await, "agent");
    let shown = app.command(&["holds", "show", &open_hold(&app).await]).await;
    assert!(shown.contains("agent becomes supervisor") && shown.contains("group.create CC Leads"), "{shown}");
    app.command(&["holds", "approve", &open_hold(&app).await]).await;
    app.settled().await;
    assert_eq!((role(&sql, &people[3]).await.as_str(), workers(&app)), ("supervisor", 30));
    // The kinds are counted each by itself.
    app.scim.remove_member(&leads, &people[3]).await;
    app.scim.set_active(&people[4], false).await;
    app.settled().await;
    assert_eq!((role(&sql, &people[3]).await.as_str(), workers(&app)), ("agent", 29));
}

/// An attribute that is blanked for everybody, one by one, takes teams, skills and channels along.
async fn a_mass_rewrite_of_an_attribute_is_held(db: Db) {
    let (app, people, _) = agents(db, 60).await;
    join_all(people.iter().map(|person| set_title(&app, person, "Support"))).await;
    app.settled().await;
    assert_eq!(holds(&app).await, 0, "growth is free");
    app.stand_in().clear_calls();
    for person in &people {
        set_title(&app, person, "Contractor").await;
    }
    app.settled().await;
    let sql = app.sql().await;
    assert_eq!(sql.texts("SELECT kind || ' ' || beyond FROM hold").await, ["grants max_share"]);
    // Six are a tenth of sixty.
    assert_eq!(in_state(&app, "held").await, 54);
    let with_team =
        |worker: &rollcall::taskrouter::stand_in::WorkerSnapshot| worker.attributes.contains_key("team_name");
    assert_eq!(app.stand_in().workers().iter().filter(|worker| with_team(worker)).count(), 54);
    let shown = app.command(&["holds", "show", &open_hold(&app).await]).await;
    assert!(shown.contains("teams Support; skills english; channels voice"), "{shown}");
    // Set right again, nobody waits and nothing has happened to them.
    join_all(people.iter().map(|person| set_title(&app, person, "Support"))).await;
    app.settled().await;
    assert_eq!((in_state(&app, "held").await, in_state(&app, "returned").await), (0, 54));
    assert_eq!(app.stand_in().workers().iter().filter(|worker| with_team(worker)).count(), 60);
}

/// A held person who is renamed keeps the worker, and later has one worker only.
async fn a_held_person_who_is_renamed_has_one_worker(db: Db) {
    let app = TestApp::builder(db).rules(super::RULES).start().await;
    let (people, group) = more_agents(&app, "agent", 8).await;
    empty(&app, &group).await;
    let operations = json!([{"op": "replace", "path": "userName", "value": "renamed@acme.example"}]);
    app.scim.patch(&format!("/Users/{}", people[2]), &operations).await.expect(200);
    app.settled().await;
    assert_eq!((workers(&app), touched(&app)), (8, 0));
    app.scim.add_member(&group, &people[2]).await;
    app.settled().await;
    assert_eq!(workers(&app), 8);
    assert!(app.stand_in().worker_named("renamed@acme.example").is_some());
    assert_eq!(app.stand_in().worker_named("agent2@acme.example"), None);
    let sql = app.sql().await;
    wait_until(Duration::from_secs(10), "the hold has seven", async || {
        sql.number("SELECT COUNT(*) FROM held WHERE state = 'held'").await == 7
    })
    .await;
}

on_both_databases!(
    an_emptied_group_is_held_whole,
    each_way_to_empty_a_group_is_held,
    a_large_group_is_judged_as_a_whole,
    many_who_get_another_role_are_held,
    a_mass_rewrite_of_an_attribute_is_held,
    a_held_person_who_is_renamed_has_one_worker,
);
