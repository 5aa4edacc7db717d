//! Approving, rejecting, and doing so for some.

use super::{agents, empty, in_state, open_hold, role, set_title, touched, workers};
use crate::support::{Db, on_both_databases};

async fn a_hold_is_listed_shown_and_approved_in_part(db: Db) {
    let (app, _, group) = agents(db, 6).await;
    assert_eq!(app.command(&["holds", "list"]).await, "no holds wait for a decision");
    empty(&app, &group).await;
    let hold = open_hold(&app).await;
    let list = app.command(&["holds", "list"]).await;
    for part in [hold.as_str(), "open", "idp", "access", "group.patch CC Agents"] {
        assert!(list.contains(part), "{part}: {list}");
    }
    let shown = app.command(&["holds", "show", &hold]).await;
    for part in ["6 held", "max_share", "connection:idp", "agent3@acme.example", "role agent; worker"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let approve = ["holds", "approve", &hold, "--user", "AGENT1@acme.example", "--user", "agent2@acme.example"];
    assert_eq!(app.command(&approve).await, "2 people approved; 4 wait for a decision");
    app.settled().await;
    assert_eq!((workers(&app), in_state(&app, "held").await), (4, 4));
    assert_eq!(app.stand_in().worker_named("agent1@acme.example"), None);
    // Deciding again decides nothing again.
    assert_eq!(app.command(&approve).await, "0 people approved; 4 wait for a decision");
    let unknown = app.refused(&["holds", "approve", &hold, "--user", "bo@acme.example"]).await;
    assert!(unknown.contains("bo@acme.example") && unknown.contains("nothing was decided"), "{unknown}");
    assert_eq!(app.command(&["holds", "approve", &hold]).await, "4 people approved; 0 wait for a decision");
    app.settled().await;
    assert_eq!(workers(&app), 0);
    assert_eq!(app.command(&["holds", "list"]).await, "no holds wait for a decision");
    let all = app.command(&["holds", "list", "--all"]).await;
    assert!(all.contains(&hold) && all.contains("decided"), "{all}");
    let sql = app.sql().await;
    let events = "SELECT action || ' ' || actor FROM audit_event WHERE target_kind = 'hold' ORDER BY seq";
    let by_command = "hold.approve command";
    assert_eq!(sql.texts(events).await, ["hold.open guard", by_command, by_command]);
}

async fn what_is_rejected_waits_for_the_identity_provider(db: Db) {
    let (app, people, group) = agents(db, 6).await;
    empty(&app, &group).await;
    let hold = open_hold(&app).await;
    assert_eq!(app.command(&["holds", "reject", &hold]).await, "6 people rejected; 0 wait for a decision");
    assert_eq!(app.command(&["holds", "reject", &hold]).await, "0 people rejected; 0 wait for a decision");
    assert_eq!(app.command(&["holds", "approve", &hold]).await, "0 people approved; 0 wait for a decision");
    // Rules that are imported, even by force, are not the identity provider.
    app.import_rules(&format!("# told anew\n{}", super::RULES.replace("english = 3", "english = 4"))).await;
    app.settled().await;
    let sql = app.sql().await;
    assert_eq!((workers(&app), touched(&app), role(&sql, &people[0]).await.as_str()), (6, 0, "agent"));
    // Whom it changes, it means.
    set_title(&app, &people[0], "Clerk").await;
    app.settled().await;
    assert_eq!((workers(&app), role(&sql, &people[0]).await.as_str()), (5, "none"));
    app.scim.set_active(&people[1], false).await;
    app.settled().await;
    assert_eq!((workers(&app), role(&sql, &people[1]).await.as_str()), (4, "none"));
    // Whoever comes back has what the rules give.
    app.scim.add_member(&group, &people[2]).await;
    app.settled().await;
    assert_eq!((workers(&app), role(&sql, &people[2]).await.as_str()), (4, "agent"));
    assert_eq!(in_state(&app, "rejected").await, 6);
}

async fn a_hold_of_nobody_is_refused_clearly(db: Db) {
    let (app, _, group) = agents(db, 6).await;
    empty(&app, &group).await;
    let hold = open_hold(&app).await;
    app.add_account("other").await;
    for (arguments, named) in [
        (vec!["holds", "show", "4711"], "4711"),
        (vec!["holds", "approve", "019a6f0e-3c1b-7d2a-9f53-2b7c1f0a4d11"], "019a6f0e-3c1b-7d2a-9f53-2b7c1f0a4d11"),
        (vec!["holds", "reject", hold.as_str(), "--account", "other"], hold.as_str()),
    ] {
        let refused = app.refused(&arguments).await;
        assert!(refused.contains(&format!("there is no hold '{named}'")), "{refused}");
        assert!(refused.contains("rollcall holds list"), "{refused}");
    }
    assert_eq!(in_state(&app, "held").await, 6);
}

on_both_databases!(
    a_hold_is_listed_shown_and_approved_in_part,
    what_is_rejected_waits_for_the_identity_provider,
    a_hold_of_nobody_is_refused_clearly,
);
