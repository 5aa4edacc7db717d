//! What others change or delete is found, told, and brought into step by the reconciler alone.

use http::Method;
use rollcall::reconcile::inventory::classify::Class;
use rollcall::reconcile::inventory::{InventorySettings, Repair};
use rollcall::taskrouter::stand_in::Behaviour;
use serde_json::{Value, json};

use super::{agents, claims, classes, found, settings, try_walk, walked};
use crate::pipeline::{
    ANA, CHANNEL, CREATE, RULES, UPDATE, app, call_as_others, channel, counts, delete_as_others, worker,
    write_as_others, writes,
};
use crate::support::{Db, TestApp, on_both_databases, wait_until};

const BOB: &str = "bob@acme.example";
const CAI: &str = "cai@acme.example";

async fn workers_in_step_are_read_and_left_alone(db: Db) {
    let app = app(db).await;
    agents(&app, &[ANA, BOB, CAI]).await;
    write_as_others(&app, ANA, |attributes| drop(attributes.insert("theme".to_owned(), json!("dark")))).await;
    app.stand_in().clear_calls();
    let summary = walked(&app, Repair::UnlessMany).await;
    assert_eq!((summary.workers, summary.in_step, summary.handed_over), (3, 3, 0), "{summary:?}");
    assert_eq!(classes(&app).await, []);
    assert_eq!(writes(app.stand_in()), counts([]));
    // The list, and the channels of each.
    assert_eq!((summary.calls, app.stand_in().calls().total), (4, 4));
    let without = InventorySettings { channels: false, ..settings() };
    let summary = try_walk(&app, &without, Repair::UnlessMany).await.unwrap().summary;
    assert_eq!((summary.in_step, summary.calls), (3, 1));
}

async fn what_others_changed_is_told_and_then_repaired(db: Db) {
    let app = app(db).await;
    agents(&app, &[ANA, BOB]).await;
    let before = worker(&app, ANA);
    write_as_others(&app, ANA, |attributes| {
        attributes.insert("roles".to_owned(), json!(["agent", "wfo.quality_manager"]));
        attributes.insert("theme".to_owned(), json!("dark"));
        attributes["routing"]["own"] = json!(true);
    })
    .await;
    set_channel(&app, ANA, "chat", "9").await;
    app.stand_in().clear_calls();

    let summary = walked(&app, Repair::Never).await;
    assert_eq!((summary.in_step, summary.drifted, summary.handed_over), (1, 1, 0), "{summary:?}");
    let told = found(&app).await;
    assert_eq!((told.len(), told[0].0, told[0].1.as_str()), (1, Class::Drifted, ANA));
    assert_eq!(told[0].2.actions, ["update", "set_channel"]);
    let differences: Vec<&str> = told[0].2.differences.iter().map(|difference| difference.what.as_str()).collect();
    assert_eq!(differences, ["roles", "channel.chat"]);
    assert_eq!(told[0].2.differences[0].found, json!(["agent", "wfo.quality_manager"]));
    let waiting = "SELECT name FROM worker WHERE due_at IS NOT NULL OR unsure = 1";
    assert_eq!(app.sql().await.texts(waiting).await, Vec::<String>::new(), "nobody was told to do anything");
    assert_eq!(writes(app.stand_in()), counts([]));

    let summary = walked(&app, Repair::UnlessMany).await;
    assert_eq!((summary.drifted, summary.handed_over, summary.held_back), (1, 1, 0));
    repaired(&app).await;
    let after = worker(&app, ANA);
    assert_eq!((after.sid, &after.attributes["roles"]), (before.sid, &before.attributes["roles"]));
    assert_eq!((&after.attributes["theme"], &after.attributes["routing"]["own"]), (&json!("dark"), &json!(true)));
    assert_eq!(after.channels["chat"], channel(3, true));
    assert_eq!(writes(app.stand_in()), counts([(UPDATE, 1), (CHANNEL, 1)]), "only what differed was written");
    let trail = "SELECT action || ' ' || actor FROM audit_event WHERE target_kind = 'worker'";
    assert_eq!(app.sql().await.texts(trail).await, ["worker.repair inventory"]);

    let summary = walked(&app, Repair::UnlessMany).await;
    assert_eq!((summary.in_step, summary.drifted), (2, 0));
    assert_eq!(classes(&app).await, [], "what is in step again is forgotten");
}

async fn a_deleted_worker_is_made_again(db: Db) {
    let app = app(db).await;
    agents(&app, &[ANA, BOB]).await;
    let before = worker(&app, ANA);
    delete_as_others(&app, ANA).await;
    app.stand_in().clear_calls();
    let summary = walked(&app, Repair::Never).await;
    assert_eq!((summary.workers, summary.in_step, summary.missing), (1, 1, 1), "{summary:?}");
    let told = found(&app).await;
    assert_eq!((told[0].0, told[0].1.as_str()), (Class::Missing, ANA));
    assert_eq!(told[0].2.actions, ["create", "set_channel"]);
    assert_eq!(writes(app.stand_in()), counts([]));

    walked(&app, Repair::UnlessMany).await;
    repaired(&app).await;
    let after = worker(&app, ANA);
    assert_ne!(after.sid, before.sid);
    assert_eq!((after.attributes, after.channels), (before.attributes, before.channels));
    assert_eq!(writes(app.stand_in()).get(CREATE), Some(&1));
    assert_eq!(walked(&app, Repair::UnlessMany).await.in_step, 2);
}

async fn a_worker_that_came_back_by_itself_is_adopted_unless_it_is_protected(db: Db) {
    let app = app(db).await;
    agents(&app, &[ANA, BOB]).await;
    for name in [ANA, BOB] {
        delete_as_others(&app, name).await;
    }
    let ana = app.stand_in().sso_login(ANA, &claims(json!({"theme": "dark"}))).unwrap();
    app.stand_in().sso_login(BOB, &claims(json!({"roles": "admin"}))).unwrap();
    let summary = walked(&app, Repair::UnlessMany).await;
    assert_eq!((summary.missing, summary.unadopted, summary.handed_over), (1, 1, 1), "{summary:?}");
    repaired(&app).await;
    let adopted = worker(&app, ANA);
    assert_eq!((adopted.sid, &adopted.attributes["theme"]), (ana, &json!("dark")));
    assert_eq!(adopted.attributes["roles"], json!(["agent"]));
    assert_eq!(worker(&app, BOB).attributes["roles"], json!(["admin"]), "nobody touched it");
}

async fn attributes_that_lists_do_not_show_are_read(db: Db) {
    let app = app(db).await;
    app.stand_in().set_behaviour(Behaviour { attributes_in_lists: false, ..Behaviour::default() });
    agents(&app, &[ANA, BOB, CAI]).await;
    app.stand_in().sso_login("dee@acme.example", &claims(json!({"roles": "admin"}))).unwrap();
    let summary = walked(&app, Repair::UnlessMany).await;
    assert_eq!((summary.in_step, summary.drifted, summary.unadopted), (3, 0, 1), "{summary:?}");
    write_as_others(&app, BOB, |attributes| drop(attributes.shift_remove("roles"))).await;
    let summary = walked(&app, Repair::Never).await;
    assert_eq!((summary.in_step, summary.drifted), (2, 1), "{summary:?}");
    assert_eq!(found(&app).await[0].2.differences[0].found, Value::Null);
}

async fn too_many_at_once_are_repaired_only_if_a_person_says_so(db: Db) {
    let app = app(db).await;
    agents(&app, &[ANA, BOB, CAI]).await;
    for name in [ANA, BOB, CAI] {
        delete_as_others(&app, name).await;
    }
    app.stand_in().clear_calls();
    let careful = InventorySettings { many_people: 2, ..settings() };
    app.expect_faults();
    let summary = try_walk(&app, &careful, Repair::UnlessMany).await.unwrap().summary;
    assert_eq!((summary.missing, summary.handed_over, summary.held_back), (3, 0, 3));
    assert_eq!(writes(app.stand_in()), counts([]));
    let summary = try_walk(&app, &careful, Repair::Always).await.unwrap().summary;
    assert_eq!((summary.handed_over, summary.held_back), (3, 0));
    repaired(&app).await;
    assert_eq!(app.stand_in().worker_count(), 3);
}

async fn what_the_reconciler_is_at_is_no_drift(db: Db) {
    let app = TestApp::builder(db).rules(RULES).paused().start().await;
    let id = app.scim.add_user(ANA).await;
    app.scim.add_group("CC Agents", &[&id]).await;
    // Nothing of it has been done; another program made a worker of her name.
    app.stand_in().sso_login(ANA, &claims(json!({}))).unwrap();
    let summary = walked(&app, Repair::UnlessMany).await;
    assert_eq!((summary.workers, summary.pending, summary.handed_over), (1, 1, 0), "{summary:?}");
    assert_eq!(classes(&app).await, []);
}

pub(super) async fn set_channel(app: &TestApp, name: &str, channel: &str, capacity: &str) {
    let path = format!("/Workers/{}/Channels/{channel}", worker(app, name).sid);
    let (status, body) =
        call_as_others(app, Method::POST, &path, &[("Capacity", capacity), ("Available", "true")]).await;
    assert_eq!(status, 200, "{body}");
}

/// Waits until the reconciler has done what it was told.
pub(super) async fn repaired(app: &TestApp) {
    let sql = app.sql().await;
    let left = "SELECT name || ': ' || state FROM worker WHERE due_at IS NOT NULL OR lease_owner IS NOT NULL";
    wait_until(std::time::Duration::from_mins(1), "the workers are repaired", async || {
        sql.texts(left).await.is_empty()
    })
    .await;
}

on_both_databases!(
    workers_in_step_are_read_and_left_alone,
    what_others_changed_is_told_and_then_repaired,
    a_deleted_worker_is_made_again,
    a_worker_that_came_back_by_itself_is_adopted_unless_it_is_protected,
    attributes_that_lists_do_not_show_are_read,
    too_many_at_once_are_repaired_only_if_a_person_says_so,
    what_the_reconciler_is_at_is_no_drift,
);
