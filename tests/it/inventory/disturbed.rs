//! Walks while people come and go, TaskRouter fails, and others walk too.

use std::time::Duration;

use rollcall::reconcile::inventory::classify::Class;
use rollcall::reconcile::inventory::{InventorySettings, Repair, WalkError, walk};
use rollcall::taskrouter::stand_in::Faults;
use serde_json::json;

use super::drift::repaired;
use super::{agents, asked, classes, ports, settings, try_walk, walked};
use crate::pipeline::{ANA, RULES, app, delete_as_others, write_as_others};
use crate::support::{Db, TestApp, on_both_databases, wait_until};

async fn who_comes_and_goes_during_a_walk_is_no_finding(db: Db) {
    let app = TestApp::builder(db).unguarded().rules(RULES).start().await;
    let names: Vec<String> = (0..30).map(|n| format!("agent{n:02}@acme.example")).collect();
    let ids = agents(&app, &names.iter().map(String::as_str).collect::<Vec<_>>()).await;
    app.stand_in().set_faults(Faults { latency_ms: 4, ..Faults::default() }).unwrap();
    let changes = async {
        let mut new = Vec::new();
        for (n, id) in ids.iter().take(10).enumerate() {
            new.push(app.scim.add_user(&format!("new{n:02}@acme.example")).await);
            app.scim.set_active(id, false).await;
        }
        let new: Vec<&str> = new.iter().map(String::as_str).collect();
        app.scim.add_group("CC Supervisors", &new).await;
        for id in &ids[20..25] {
            let operations = json!([{"op": "replace", "path": "displayName", "value": "Somebody Else"}]);
            app.scim.patch(&format!("/Users/{id}"), &operations).await.expect(200);
        }
    };
    let walks = async {
        for _ in 0..4 {
            let summary = walked(&app, Repair::Always).await;
            assert_eq!((summary.drifted, summary.missing, summary.orphan), (0, 0, 0), "{summary:?}");
        }
    };
    tokio::join!(changes, walks);
    app.settled().await;
    let summary = walked(&app, Repair::Always).await;
    assert_eq!((summary.workers, summary.in_step), (30, 30), "{summary:?}");
}

async fn a_walk_gets_through_faults(db: Db) {
    let app = app(db).await;
    agents(&app, &[ANA, "bob@acme.example", "cai@acme.example"]).await;
    write_as_others(&app, ANA, |attributes| drop(attributes.shift_remove("roles"))).await;
    delete_as_others(&app, "cai@acme.example").await;
    app.expect_faults();
    let faults = Faults {
        rate_429: 0.2,
        rate_500: 0.1,
        rate_lost_after_commit: 0.1,
        rate_html: 0.1,
        seed: 7,
        ..Faults::default()
    };
    app.stand_in().set_faults(faults).unwrap();
    let summary = walked(&app, Repair::Never).await;
    app.stand_in().set_faults(Faults::default()).unwrap();
    assert_eq!((summary.in_step, summary.drifted, summary.missing), (1, 1, 1), "{summary:?}");
}

async fn a_walk_that_fails_says_why_and_finds_nothing_missing(db: Db) {
    let app = app(db).await;
    agents(&app, &[ANA]).await;
    app.expect_faults();
    app.stand_in().set_faults(Faults { rate_500: 1.0, ..Faults::default() }).unwrap();
    let failed = try_walk(&app, &settings(), Repair::Always).await;
    assert!(matches!(failed, Err(WalkError::Call(_))), "{failed:?}");
    app.stand_in().set_faults(Faults::default()).unwrap();
    assert_eq!(classes(&app).await, []);
    let error = app.sql().await.texts("SELECT last_error FROM inventory").await.remove(0);
    assert!(error.contains("500") || error.contains("list"), "{error}");
    // Nobody has to wait for a lease.
    assert_eq!(walked(&app, Repair::Always).await.in_step, 1);
    assert_eq!(app.sql().await.number("SELECT COUNT(*) FROM inventory WHERE last_error IS NOT NULL").await, 0);
}

async fn one_walks_at_a_time_and_a_walk_that_died_is_begun_anew(db: Db) {
    let app = app(db).await;
    agents(&app, &[ANA, "bob@acme.example"]).await;
    app.stand_in().set_faults(Faults { latency_ms: 100, ..Faults::default() }).unwrap();
    let usual = settings();
    let (one, two) = tokio::join!(try_walk(&app, &usual, Repair::Always), try_walk(&app, &usual, Repair::Always));
    let busy = [&one, &two].into_iter().filter(|walked| matches!(walked, Err(WalkError::Busy))).count();
    assert_eq!((busy, one.is_ok() || two.is_ok()), (1, true), "{one:?} {two:?}");

    // Dropped in the middle, as a crash would.
    let cut = tokio::time::timeout(Duration::from_millis(150), walked(&app, Repair::Always)).await;
    assert!(cut.is_err());
    app.expect_faults();
    assert!(matches!(try_walk(&app, &settings(), Repair::Always).await, Err(WalkError::Busy)));
    let sql = app.sql().await;
    sql.run("UPDATE inventory SET lease_until = 1").await.unwrap();
    assert_eq!(walked(&app, Repair::Always).await.in_step, 2);

    // Who finds somebody else in its place ends, and overwrites nothing.
    let slow = InventorySettings { share: 0.001, ..settings() };
    let (ports, router, asked) = (ports(&app), app.router(), asked(&app, Repair::Always));
    let stopped = asked.stop.clone();
    let walking = walk(&ports, &slow, router, &asked, &());
    let meanwhile = async {
        let began = "SELECT COUNT(*) FROM inventory WHERE lease_until IS NOT NULL";
        wait_until(Duration::from_secs(20), "it walks", async || sql.number(began).await == 1).await;
        sql.run("UPDATE inventory SET walk_id = 'another'").await.unwrap();
        stopped.cancel();
    };
    let (ended, ()) = tokio::join!(walking, meanwhile);
    assert!(matches!(ended, Err(WalkError::Stopped | WalkError::LeaseLost)), "{ended:?}");
    assert_eq!(sql.texts("SELECT walk_id FROM inventory WHERE lease_until IS NOT NULL").await, ["another"]);
    sql.run("UPDATE inventory SET lease_until = NULL").await.unwrap();
}

async fn a_person_without_a_record_of_the_sid_is_not_doubled(db: Db) {
    let app = app(db).await;
    agents(&app, &[ANA]).await;
    let sid = crate::pipeline::worker(&app, ANA).sid;
    // A row in doubt is the reconciler's, whatever TaskRouter has.
    let sql = app.sql().await;
    sql.run("UPDATE worker SET unsure = 1").await.unwrap();
    write_as_others(&app, ANA, |attributes| drop(attributes.shift_remove("roles"))).await;
    let summary = walked(&app, Repair::Always).await;
    assert_eq!((summary.pending, summary.drifted, summary.handed_over), (1, 0, 0), "{summary:?}");
    sql.run("UPDATE worker SET unsure = 0").await.unwrap();
    let summary = walked(&app, Repair::Always).await;
    assert_eq!((summary.drifted, summary.handed_over), (1, 1), "{summary:?}");
    repaired(&app).await;
    assert_eq!((crate::pipeline::worker(&app, ANA).sid, classes(&app).await[0].0), (sid, Class::Drifted));
}

on_both_databases!(
    who_comes_and_goes_during_a_walk_is_no_finding,
    a_walk_gets_through_faults,
    a_walk_that_fails_says_why_and_finds_nothing_missing,
    one_walks_at_a_time_and_a_walk_that_died_is_begun_anew,
    a_person_without_a_record_of_the_sid_is_not_doubled,
);
