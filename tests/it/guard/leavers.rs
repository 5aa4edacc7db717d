//! People who are deactivated or deleted: access ends at once, and only the removal of the worker is held.

use std::time::Duration;

use futures::future::join_all;
use serde_json::json;

use super::{agents, holds, in_state, open_hold, role, touched, workers};
use crate::support::{Db, on_both_databases};

/// Okta deactivates people one by one: the first go as leavers always do, the others wait.
async fn the_first_leavers_go_and_the_others_are_held(db: Db) {
    let (app, people, _) = agents(db, 300).await;
    for person in &people[..30] {
        app.scim.set_active(person, false).await;
    }
    app.settled().await;
    assert_eq!(workers(&app), 275);
    assert_eq!(in_state(&app, "held").await, 5);
    let sql = app.sql().await;
    assert_eq!(sql.number("SELECT COUNT(*) FROM hold").await, 1);
    assert_eq!(sql.number("SELECT COUNT(*) FROM audit_event WHERE action = 'hold.open'").await, 1);
    assert_eq!(sql.texts("SELECT kind || ' ' || beyond FROM hold").await, ["access max_people"]);
    // What was accepted is answered as it was said.
    let last = app.scim.get(&format!("/Users/{}", people[29])).await.expect(200);
    assert_eq!(last["active"], json!(false));
    // Held workers hold up nobody.
    let new = app.scim.add_users("new", 1).await;
    let agents = app.scim.found("/Groups", "displayName eq \"CC Agents\"").await;
    app.scim.add_member(&agents[0], &new[0]).await;
    app.settled().await;
    assert_eq!(workers(&app), 276);
}

/// Many at once on several connections of the database: no two pass the limit together.
async fn no_two_transactions_pass_the_limit_together(db: Db) {
    let (app, people, _) = agents(db, 300).await;
    join_all(people[..60].iter().map(|person| app.scim.set_active(person, false))).await;
    app.settled().await;
    assert_eq!((workers(&app), in_state(&app, "held").await, holds(&app).await), (275, 35, 1));
}

async fn s46_held_leavers_have_no_access(db: Db) {
    let (app, people, _) = agents(db, 8).await;
    for person in &people[..2] {
        app.scim.set_active(person, false).await;
    }
    for person in &people[2..4] {
        app.scim.delete(&format!("/Users/{person}")).await.expect_success();
    }
    app.settled().await;
    app.stand_in().clear_calls();
    // The fifth is more than a tenth of eight people.
    app.scim.set_active(&people[4], false).await;
    app.scim.delete(&format!("/Users/{}", people[5])).await.expect_success();
    app.settled().await;
    assert_eq!((workers(&app), touched(&app), in_state(&app, "held").await), (4, 0, 2));
    let sql = app.sql().await;
    for person in &people[..6] {
        assert_eq!(role(&sql, person).await, "none", "{person}");
    }
    let access = sql.number("SELECT COUNT(*) FROM \"user\" WHERE status <> 'active' AND access IS NOT NULL").await;
    assert_eq!(access, 0);
    app.scim.get(&format!("/Users/{}", people[5])).await.expect_error(404);
    // Deleting somebody whose removal is held changes nothing about that.
    app.scim.delete(&format!("/Users/{}", people[4])).await.expect_success();
    app.settled().await;
    assert_eq!((touched(&app), in_state(&app, "held").await), (0, 2));
    app.command(&["holds", "approve", &open_hold(&app).await]).await;
    app.settled().await;
    assert_eq!(workers(&app), 2);
}

async fn a_leaver_who_comes_back_leaves_the_hold(db: Db) {
    let (app, people, _) = agents(db, 8).await;
    for person in &people[..6] {
        app.scim.set_active(person, false).await;
    }
    app.settled().await;
    assert_eq!((workers(&app), in_state(&app, "held").await), (4, 2));
    app.stand_in().clear_calls();
    app.scim.set_active(&people[5], true).await;
    app.settled().await;
    assert_eq!((in_state(&app, "returned").await, in_state(&app, "held").await, touched(&app)), (1, 1, 0));
    let sql = app.sql().await;
    assert_eq!(role(&sql, &people[5]).await, "agent");
    // The decision about the others does not touch whoever came back.
    app.command(&["holds", "approve", &open_hold(&app).await]).await;
    app.settled().await;
    assert_eq!((workers(&app), role(&sql, &people[5]).await.as_str()), (3, "agent"));
    // The worker is cared for again.
    app.scim.set_active(&people[5], false).await;
    app.settled().await;
    assert_eq!(workers(&app), 2, "whoever approved has looked at it, so it is counted anew");
}

/// Whoever is hired again under the same name has a worker, whatever becomes of the hold.
async fn a_rehire_takes_over_a_held_worker(db: Db) {
    let (app, people, group) = agents(db, 8).await;
    for person in &people[..5] {
        app.scim.delete(&format!("/Users/{person}")).await.expect_success();
    }
    app.settled().await;
    assert_eq!((workers(&app), in_state(&app, "held").await), (4, 1));
    let again = app.scim.add_user("agent4@acme.example").await;
    app.scim.add_member(&group, &again).await;
    app.settled().await;
    app.command(&["holds", "approve", &open_hold(&app).await]).await;
    app.settled().await;
    assert_eq!(workers(&app), 4);
    assert!(app.stand_in().worker_named("agent4@acme.example").is_some());
}

async fn a_hold_survives_the_server_and_single_leavers_pass_later(db: Db) {
    let (mut app, people, _) = agents(db, 8).await;
    for person in &people[..5] {
        app.scim.set_active(person, false).await;
    }
    app.settled().await;
    app.restart().await;
    assert_eq!(in_state(&app, "held").await, 1);
    // When the window is over, a hold that is open delays nobody else.
    app.clock.advance(Duration::from_mins(11));
    app.scim.set_active(&people[6], false).await;
    app.settled().await;
    assert_eq!((workers(&app), in_state(&app, "held").await), (3, 1));
    assert_eq!(role(&app.sql().await, &people[6]).await, "none");
}

on_both_databases!(
    the_first_leavers_go_and_the_others_are_held,
    no_two_transactions_pass_the_limit_together,
    s46_held_leavers_have_no_access,
    a_leaver_who_comes_back_leaves_the_hold,
    a_rehire_takes_over_a_held_worker,
    a_hold_survives_the_server_and_single_leavers_pass_later,
);
