//! Removing somebody who is at work.

use std::time::Duration;

use rollcall::taskrouter::stand_in::{Behaviour, ReservationStatus};
use serde_json::json;

use super::adoption::stands;
use super::{ANA, app, assert_no_worker, names, worker};
use crate::support::{Db, TestApp, on_both_databases, wait_until};

/// An agent whose worker is available, as after a sign-on.
async fn agent_at_work(app: &TestApp) -> String {
    let id = app.scim.add_user(ANA).await;
    app.scim.add_group("CC Agents", &[&id]).await;
    app.settled().await;
    super::set_activity(app, ANA, "Available").await;
    assert!(worker(app, ANA).available);
    id
}

async fn work_in_hand_blocks_the_removal_and_not_the_taking_out(db: Db) {
    let app = app(db).await;
    let id = agent_at_work(&app).await;
    let sid = worker(&app, ANA).sid;
    let call = app.stand_in().add_reservation(&sid, "voice", ReservationStatus::Accepted).unwrap();
    let offer = app.stand_in().add_reservation(&sid, "chat", ReservationStatus::Pending).unwrap();
    app.scim.set_active(&id, false).await;
    stands(&app, "blocked").await;
    let held = worker(&app, ANA);
    assert!(!held.available, "no new work reaches the worker");
    assert_eq!(held.attributes.get("routing"), None, "and no queue counts on it");
    let error = app.sql().await.texts("SELECT last_error FROM worker").await.remove(0);
    assert!(error.contains("1 accepted") && !error.contains("pending"), "{error}");

    app.stand_in().set_reservation(&call, ReservationStatus::Wrapping).unwrap();
    let tries = app.sql().await.number("SELECT attempts FROM worker").await;
    let sql = app.sql().await;
    wait_until(Duration::from_secs(30), "another try", async || {
        sql.number("SELECT attempts FROM worker").await > tries
    })
    .await;
    assert_eq!(worker(&app, ANA).sid, sid);

    app.stand_in().set_reservation(&call, ReservationStatus::Completed).unwrap();
    app.settled().await;
    assert_no_worker(&app, ANA);
    assert!(
        app.stand_in().set_reservation(&offer, ReservationStatus::Accepted).is_err(),
        "the offer went with the worker"
    );
}

async fn whoever_makes_the_worker_available_again_does_not_keep_it(db: Db) {
    let app = app(db).await;
    app.stand_in().set_behaviour(Behaviour { offline_before_delete: true, ..Behaviour::default() });
    let id = agent_at_work(&app).await;
    let sid = worker(&app, ANA).sid;
    let call = app.stand_in().add_reservation(&sid, "voice", ReservationStatus::Accepted).unwrap();
    app.scim.delete(&format!("/Users/{id}")).await.expect_success();
    stands(&app, "blocked").await;
    // An open Flex page is still signed in.
    super::set_activity(&app, ANA, "Available").await;
    wait_until(Duration::from_secs(30), "the worker is offline again", async || !worker(&app, ANA).available).await;
    app.stand_in().set_reservation(&call, ReservationStatus::Completed).unwrap();
    app.settled().await;
    assert_eq!(names(&app), Vec::<String>::new());
}

async fn a_pending_offer_is_rejected_on_the_way_out(db: Db) {
    let app = app(db).await;
    let behaviour = Behaviour {
        offline_before_delete: true,
        refuse_activity_change_with_pending: true,
        attributes_in_lists: false,
        etags: false,
        ..Behaviour::default()
    };
    app.stand_in().set_behaviour(behaviour);
    let id = agent_at_work(&app).await;
    let sid = worker(&app, ANA).sid;
    app.stand_in().add_reservation(&sid, "voice", ReservationStatus::Pending).unwrap();
    app.scim.set_active(&id, false).await;
    app.settled().await;
    assert_no_worker(&app, ANA);
}

async fn whoever_is_hired_back_while_the_removal_is_blocked_keeps_the_worker(db: Db) {
    let app = app(db).await;
    let id = agent_at_work(&app).await;
    let sid = worker(&app, ANA).sid;
    let call = app.stand_in().add_reservation(&sid, "voice", ReservationStatus::Accepted).unwrap();
    app.scim.set_active(&id, false).await;
    stands(&app, "blocked").await;
    app.scim.set_active(&id, true).await;
    app.settled().await;
    let back = worker(&app, ANA);
    assert_eq!(back.sid, sid);
    assert_eq!(back.attributes["routing"]["skills"], json!(["billing", "english"]));
    app.stand_in().set_reservation(&call, ReservationStatus::Completed).unwrap();
}

on_both_databases!(
    work_in_hand_blocks_the_removal_and_not_the_taking_out,
    whoever_makes_the_worker_available_again_does_not_keep_it,
    a_pending_offer_is_rejected_on_the_way_out,
    whoever_is_hired_back_while_the_removal_is_blocked_keeps_the_worker,
);
