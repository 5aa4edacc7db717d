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

/// Work in hand is not waited for.
async fn cutting(db: Db) -> TestApp {
    let app = app(db).await;
    set(&app, &["--live-calls", "cut"]).await;
    app
}

/// What the command says holds for the running server within a moment.
async fn set(app: &TestApp, options: &[&str]) -> String {
    let epoch = app.sql().await.number("SELECT epoch FROM installation").await;
    let said = app.command(&[&["account", "set", "default"], options].concat()).await;
    assert!(app.sql().await.number("SELECT epoch FROM installation").await > epoch);
    said
}

async fn work_in_hand_blocks_the_removal_and_not_the_taking_out(db: Db) {
    let app = cutting(db).await;
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
    let app = cutting(db).await;
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
    let app = cutting(db).await;
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

async fn work_in_hand_is_waited_for_out_of_the_queues(db: Db) {
    let app = app(db).await;
    let id = agent_at_work(&app).await;
    let sid = worker(&app, ANA).sid;
    let call = app.stand_in().add_reservation(&sid, "voice", ReservationStatus::Accepted).unwrap();
    app.stand_in().clear_calls();
    app.scim.set_active(&id, false).await;
    stands(&app, "draining").await;
    let held = worker(&app, ANA);
    assert!(!held.available && !held.attributes.contains_key("routing"));
    let open = app.command(&["receipts", "--open"]).await;
    assert!(open.contains("draining"), "{open}");
    // An open Flex page is still signed in.
    super::set_activity(&app, ANA, "Available").await;
    wait_until(Duration::from_secs(30), "the worker is offline again", async || !worker(&app, ANA).available).await;
    assert_eq!(super::writes(app.stand_in()).get(super::DELETE), None);
    app.stand_in().set_reservation(&call, ReservationStatus::Completed).unwrap();
    app.settled().await;
    assert_no_worker(&app, ANA);
}

async fn after_the_deadline_it_goes_on_as_cut(db: Db) {
    let app = app(db).await;
    let expected = "account default: drain 2s; workers are made at provisioning; sessions end after 1h without a request, 12h at the latest";
    assert_eq!(set(&app, &["--drain-for", "2s"]).await.trim_end(), expected);
    let id = agent_at_work(&app).await;
    let sid = worker(&app, ANA).sid;
    let call = app.stand_in().add_reservation(&sid, "voice", ReservationStatus::Accepted).unwrap();
    app.scim.set_active(&id, false).await;
    stands(&app, "draining").await;
    stands(&app, "blocked").await;
    assert!(app.sql().await.texts("SELECT last_error FROM worker").await[0].contains("1 accepted"));
    app.stand_in().set_reservation(&call, ReservationStatus::Completed).unwrap();
    app.settled().await;
    assert_no_worker(&app, ANA);
}

async fn whoever_is_deactivated_may_keep_the_worker_offline(db: Db) {
    let app = app(db).await;
    set(&app, &["--deactivated", "keep-offline"]).await;
    assert!(app.command(&["account", "list"]).await.contains("drain 1h, deactivated keep-offline"));
    let id = agent_at_work(&app).await;
    let before = worker(&app, ANA);
    app.scim.set_active(&id, false).await;
    app.settled().await;
    stands(&app, "kept_offline").await;
    let kept = worker(&app, ANA);
    assert_eq!((&kept.sid, &kept.channels), (&before.sid, &before.channels));
    assert!(!kept.available && !kept.attributes.contains_key("routing"));
    assert_eq!(kept.attributes["full_name"], before.attributes["full_name"]);
    let receipts = app.command(&["receipts"]).await;
    assert!(receipts.contains("kept_offline"), "{receipts}");
    // Another choice holds for those who leave from then on.
    set(&app, &["--deactivated", "remove"]).await;
    let name = json!([{"op": "replace", "path": "displayName", "value": "Ana Left"}]);
    app.scim.patch(&format!("/Users/{id}"), &name).await.expect_success();
    app.settled().await;
    worker(&app, ANA);
    // Who comes back has what is due today, on the same worker.
    app.scim.set_active(&id, true).await;
    app.settled().await;
    assert_eq!(worker(&app, ANA).sid, before.sid);
    assert_eq!(worker(&app, ANA).attributes["routing"], before.attributes["routing"]);
    set(&app, &["--deactivated", "keep-offline"]).await;
    app.scim.set_active(&id, false).await;
    app.settled().await;
    app.scim.delete(&format!("/Users/{id}")).await.expect_success();
    app.settled().await;
    assert_no_worker(&app, ANA);
    let receipts = app.command(&["receipts", "--json"]).await;
    let endings: Vec<String> = receipts
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["ending"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(endings, ["verified", "kept_offline", "kept_offline"]);
}

async fn whoever_comes_back_under_another_name_has_one_worker(db: Db) {
    let app = app(db).await;
    set(&app, &["--deactivated", "keep-offline"]).await;
    let id = agent_at_work(&app).await;
    app.scim.set_active(&id, false).await;
    let rename = json!([{"op": "replace", "path": "userName", "value": "ana.ray@acme.example"}]);
    app.scim.patch(&format!("/Users/{id}"), &rename).await.expect_success();
    app.settled().await;
    assert_eq!(names(&app), [ANA]);
    app.scim.set_active(&id, true).await;
    app.settled().await;
    assert_eq!(names(&app), ["ana.ray@acme.example"]);
}

async fn whoever_loses_all_access_keeps_no_worker(db: Db) {
    let app = app(db).await;
    set(&app, &["--deactivated", "keep-offline"]).await;
    let id = app.scim.add_user(ANA).await;
    let group = app.scim.add_group("CC Agents", &[&id]).await;
    app.settled().await;
    app.scim.set_active(&id, false).await;
    app.settled().await;
    app.scim.remove_member(&group, &id).await;
    app.settled().await;
    worker(&app, ANA);
    app.scim.set_active(&id, true).await;
    app.settled().await;
    assert_no_worker(&app, ANA);
}

async fn a_protected_worker_of_ours_is_left_for_people(db: Db) {
    let app = app(db).await;
    let id = agent_at_work(&app).await;
    super::write_as_others(&app, ANA, |attributes| {
        attributes.insert("roles".to_owned(), json!(["agent", "admin"]));
    })
    .await;
    app.scim.set_active(&id, false).await;
    stands(&app, "protected").await;
    let left = worker(&app, ANA);
    assert!(!left.available && !left.attributes.contains_key("routing"), "out of the queues all the same");
    let open = app.command(&["receipts", "--open"]).await;
    assert!(open.contains("protected"), "{open}");
    super::delete_as_others(&app, ANA).await;
    app.sql().await.run("UPDATE worker SET due_at = 0").await.unwrap();
    app.settled().await;
    assert!(app.command(&["receipts"]).await.contains("verified"));
}

on_both_databases!(
    work_in_hand_is_waited_for_out_of_the_queues,
    after_the_deadline_it_goes_on_as_cut,
    whoever_is_deactivated_may_keep_the_worker_offline,
    whoever_comes_back_under_another_name_has_one_worker,
    whoever_loses_all_access_keeps_no_worker,
    a_protected_worker_of_ours_is_left_for_people,
    work_in_hand_blocks_the_removal_and_not_the_taking_out,
    whoever_makes_the_worker_available_again_does_not_keep_it,
    a_pending_offer_is_rejected_on_the_way_out,
    whoever_is_hired_back_while_the_removal_is_blocked_keeps_the_worker,
);
