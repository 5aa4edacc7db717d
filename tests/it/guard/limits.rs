//! The limits: as configured, and a connection's own.

use super::{RULES, agents, empty, holds, in_state, more_agents, workers};
use crate::support::{Db, TestApp, on_both_databases};

async fn a_connection_may_have_limits_of_its_own(db: Db) {
    let (app, people, group) = agents(db, 12).await;
    let own =
        ["connection", "set", "idp", "--guard-max-people", "2", "--guard-max-share", "off", "--guard-window", "1h"];
    let shown = app.command(&own).await;
    assert!(shown.contains("2 people, share off, in 3600 s"), "{shown}");
    for person in &people[..3] {
        app.scim.set_active(person, false).await;
    }
    app.settled().await;
    assert_eq!((workers(&app), in_state(&app, "held").await), (10, 1));
    app.command(&["connection", "set", "idp", "--guard-max-people", "off"]).await;
    empty(&app, &group).await;
    app.settled().await;
    // Whoever is in a hold stays there until somebody decides.
    assert_eq!((workers(&app), in_state(&app, "held").await), (1, 1));
    let back = ["connection", "set", "idp", "--guard-max-people", "default", "--guard-max-share", "default"];
    let shown = app.command(&[&back[..], &["--guard-window", "default"]].concat()).await;
    assert!(shown.contains("default"), "{shown}");
    for wrong in [["--guard-max-share", "1.5"], ["--guard-max-people", "-1"], ["--guard-window", "0"]] {
        app.refused(&[&["connection", "set", "idp"][..], &wrong[..]].concat()).await;
    }
}

async fn without_limits_nothing_is_held(db: Db) {
    let app = TestApp::builder(db).unguarded().rules(RULES).start().await;
    let (_, group) = more_agents(&app, "agent", 30).await;
    empty(&app, &group).await;
    app.settled().await;
    assert_eq!((workers(&app), holds(&app).await), (0, 0));
    assert_eq!(app.sql().await.number("SELECT COUNT(*) FROM loss").await, 0);
}

/// What one connection does is not counted against another.
async fn each_connection_is_counted_by_itself(db: Db) {
    let (app, people, _) = agents(db, 50).await;
    let other = app.connect("other").await;
    let theirs = other.add_users("other", 50).await;
    let ids: Vec<&str> = theirs.iter().map(String::as_str).collect();
    other.add_group("CC Agents", &ids).await;
    app.settled().await;
    for n in 0..5 {
        app.scim.set_active(&people[n], false).await;
        other.set_active(&theirs[n], false).await;
    }
    app.settled().await;
    assert_eq!((workers(&app), holds(&app).await), (90, 0), "five of fifty are no more than a tenth");
    app.scim.set_active(&people[5], false).await;
    app.settled().await;
    assert_eq!((workers(&app), holds(&app).await), (90, 1));
}

on_both_databases!(
    a_connection_may_have_limits_of_its_own,
    without_limits_nothing_is_held,
    each_connection_is_counted_by_itself,
);
