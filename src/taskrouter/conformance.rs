//! What every implementation of the port has in common, as one suite of checks.
//!
//! Not hidden behind `cfg(test)`, because the integration tests run it too, over the client and the stand-in.

use std::collections::BTreeSet;

use async_trait::async_trait;
use serde_json::{Map, Value, json};

use super::{
    ActivitySid, Channel, ErrorKind, NewWorker, Operation, ReservationStatus, Result, TaskRouter, Worker, WorkerSid,
    WorkerUpdate,
};

/// An implementation to be tried, with what only its maker can do.
#[async_trait]
pub trait Bench: Send + Sync {
    /// The implementation, on a workspace that has the activities and channels of a new Flex account.
    fn taskrouter(&self) -> &dyn TaskRouter;

    /// Gives a worker a reservation.
    async fn reserve(&self, worker: &WorkerSid, status: ReservationStatus);
}

/// Runs every check. The workspace may already hold other workers; the names used here start with `prefix`.
///
/// # Panics
/// At the first check that fails.
pub async fn run(bench: &dyn Bench, prefix: &str) {
    let taskrouter = bench.taskrouter();
    the_workspace_has_activities(taskrouter).await;
    a_worker_lives_and_dies(taskrouter, &format!("{prefix}life@acme.example")).await;
    names_are_unique_without_case(taskrouter, &format!("{prefix}Name@acme.example")).await;
    updates_change_what_they_name(taskrouter, &format!("{prefix}update@acme.example")).await;
    versions_protect(taskrouter, &format!("{prefix}version@acme.example")).await;
    attributes_are_limited(taskrouter, &format!("{prefix}limit@acme.example")).await;
    channels_are_set_by_name(taskrouter, &format!("{prefix}channel@acme.example")).await;
    lists_are_complete(taskrouter, prefix).await;
    missing_workers_are_missing(taskrouter, &format!("{prefix}missing@acme.example")).await;
    open_work_blocks_deletion(bench, &format!("{prefix}work@acme.example")).await;
}

/// A new worker with attributes that are hard to carry: quotes, slashes, other scripts, nesting.
fn new_worker(name: &str) -> NewWorker {
    let attributes = json!({
        "roles": ["agent"],
        "full_name": "Zo\u{eb} \"Z\" O'Brien & \u{65e5}\u{672c} +1%20",
        "image_url": "https://cdn.example/a/b",
        "routing": {"skills": ["billing"], "levels": {"billing": 2.5}},
        "": null,
    });
    NewWorker { friendly_name: name.to_owned(), attributes: object(attributes), activity_sid: None }
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(object) => object,
        other => Map::from_iter([("value".to_owned(), other)]),
    }
}

/// # Panics
/// If the call failed.
#[track_caller]
fn done<T>(result: Result<T>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("the call should succeed: {error}"),
    }
}

/// # Panics
/// If the call did not fail in this way.
#[track_caller]
fn fails<T>(result: Result<T>, kind: ErrorKind, operation: Operation) {
    match result {
        Ok(_) => panic!("{operation} should fail as {kind}"),
        Err(error) => assert_eq!((error.kind, error.operation), (kind, operation), "{error}"),
    }
}

async fn activity(taskrouter: &dyn TaskRouter, available: bool) -> ActivitySid {
    let found = done(taskrouter.activities().await).into_iter().find(|activity| activity.available == available);
    let Some(found) = found else { panic!("an activity with available={available}") };
    found.sid
}

async fn retire(taskrouter: &dyn TaskRouter, worker: &Worker) {
    let update = WorkerUpdate {
        activity_sid: Some(activity(taskrouter, false).await),
        reject_pending_reservations: true,
        ..WorkerUpdate::default()
    };
    done(taskrouter.update_worker(&worker.sid, &update, None).await);
    done(taskrouter.delete_worker(&worker.sid, None).await);
}

async fn the_workspace_has_activities(taskrouter: &dyn TaskRouter) {
    let workspace = done(taskrouter.workspace().await);
    assert!(workspace.sid.starts_with("WS"), "{workspace:?}");
    let activities = done(taskrouter.activities().await);
    let default = activities.iter().find(|activity| Some(&activity.sid) == workspace.default_activity_sid.as_ref());
    assert!(default.is_some_and(|activity| !activity.available), "a new worker gets no work: {activities:?}");
    assert!(activities.iter().any(|activity| activity.available), "{activities:?}");
}

async fn a_worker_lives_and_dies(taskrouter: &dyn TaskRouter, name: &str) {
    let new = new_worker(name);
    let made = done(taskrouter.create_worker(&new).await);
    assert_eq!(made.friendly_name, name);
    assert!(!made.available && made.sid.as_str().starts_with("WK"), "{made:?}");
    let Some(fetched) = done(taskrouter.fetch_worker(&made.sid).await) else { panic!("the worker is there") };
    assert_eq!(fetched.attributes.as_ref(), Some(&new.attributes));
    assert_eq!((&fetched.sid, fetched.friendly_name.as_str()), (&made.sid, name));
    done(taskrouter.delete_worker(&made.sid, None).await);
    assert_eq!(done(taskrouter.fetch_worker(&made.sid).await), None);
    assert_eq!(done(taskrouter.find_worker(name).await), None);
    let again = done(taskrouter.create_worker(&new).await);
    assert_ne!(again.sid, made.sid, "a worker that comes back has a new SID");
    retire(taskrouter, &again).await;
}

async fn names_are_unique_without_case(taskrouter: &dyn TaskRouter, name: &str) {
    let made = done(taskrouter.create_worker(&new_worker(name)).await);
    let other = done(taskrouter.create_worker(&new_worker(&format!("other-{name}"))).await);
    for spelling in [name.to_owned(), name.to_ascii_lowercase(), name.to_ascii_uppercase()] {
        fails(taskrouter.create_worker(&new_worker(&spelling)).await, ErrorKind::Conflict, Operation::CreateWorker);
        let rename = WorkerUpdate { friendly_name: Some(spelling.clone()), ..WorkerUpdate::default() };
        let renamed = taskrouter.update_worker(&other.sid, &rename, None).await;
        fails(renamed, ErrorKind::Conflict, Operation::UpdateWorker);
        let found = done(taskrouter.find_worker(&spelling).await);
        assert_eq!(found.map(|worker| worker.sid), Some(made.sid.clone()), "{spelling}");
        let found = done(taskrouter.search_worker(&spelling).await);
        assert_eq!(found.map(|worker| worker.sid), Some(made.sid.clone()), "{spelling}");
    }
    let own = WorkerUpdate { friendly_name: Some(name.to_ascii_uppercase()), ..WorkerUpdate::default() };
    done(taskrouter.update_worker(&made.sid, &own, None).await);
    retire(taskrouter, &made).await;
    retire(taskrouter, &other).await;
}

async fn updates_change_what_they_name(taskrouter: &dyn TaskRouter, name: &str) {
    let made = done(taskrouter.create_worker(&new_worker(name)).await);
    let renamed = WorkerUpdate { friendly_name: Some(format!("new-{name}")), ..WorkerUpdate::default() };
    let worker = done(taskrouter.update_worker(&made.sid, &renamed, None).await);
    assert_eq!((worker.sid, worker.friendly_name), (made.sid.clone(), format!("new-{name}")));
    assert_eq!(done(taskrouter.find_worker(name).await), None);

    let attributes = object(json!({"mine": 1}));
    let replaced = WorkerUpdate { attributes: Some(attributes.clone()), ..WorkerUpdate::default() };
    done(taskrouter.update_worker(&made.sid, &replaced, None).await);
    let available = activity(taskrouter, true).await;
    let started = WorkerUpdate { activity_sid: Some(available.clone()), ..WorkerUpdate::default() };
    let worker = done(taskrouter.update_worker(&made.sid, &started, None).await);
    assert!(worker.available && worker.activity_sid == Some(available.clone()), "{worker:?}");
    let Some(worker) = done(taskrouter.fetch_worker(&made.sid).await) else { panic!("the worker is there") };
    assert_eq!(worker.attributes, Some(attributes), "attributes are replaced as a whole, and stay otherwise");
    assert!(worker.available);

    let reject =
        WorkerUpdate { activity_sid: Some(available), reject_pending_reservations: true, ..WorkerUpdate::default() };
    let refused = taskrouter.update_worker(&made.sid, &reject, None).await;
    fails(refused, ErrorKind::Permanent, Operation::UpdateWorker);
    retire(taskrouter, &made).await;
}

async fn versions_protect(taskrouter: &dyn TaskRouter, name: &str) {
    let made = done(taskrouter.create_worker(&new_worker(name)).await);
    let Some(old) = done(taskrouter.fetch_worker(&made.sid).await).and_then(|worker| worker.etag) else {
        panic!("a fetched worker has a version")
    };
    let update = WorkerUpdate { attributes: Some(object(json!({"step": 1}))), ..WorkerUpdate::default() };
    let worker = done(taskrouter.update_worker(&made.sid, &update, Some(&old)).await);
    assert_ne!(worker.etag.as_ref(), Some(&old), "a change moves the version");
    let again = taskrouter.update_worker(&made.sid, &update, Some(&old)).await;
    fails(again, ErrorKind::Stale, Operation::UpdateWorker);
    fails(taskrouter.delete_worker(&made.sid, Some(&old)).await, ErrorKind::Stale, Operation::DeleteWorker);
    done(taskrouter.delete_worker(&made.sid, worker.etag.as_ref()).await);
}

async fn attributes_are_limited(taskrouter: &dyn TaskRouter, name: &str) {
    let sized = |length: usize| object(json!({"a": "x".repeat(length - r#"{"a":""}"#.len())}));
    let mut new = NewWorker { friendly_name: name.to_owned(), attributes: sized(4097), activity_sid: None };
    fails(taskrouter.create_worker(&new).await, ErrorKind::Permanent, Operation::CreateWorker);
    new.attributes = sized(4096);
    let made = done(taskrouter.create_worker(&new).await);
    let update = WorkerUpdate { attributes: Some(sized(4097)), ..WorkerUpdate::default() };
    let refused = taskrouter.update_worker(&made.sid, &update, None).await;
    fails(refused, ErrorKind::Permanent, Operation::UpdateWorker);
    retire(taskrouter, &made).await;
}

async fn channels_are_set_by_name(taskrouter: &dyn TaskRouter, name: &str) {
    let made = done(taskrouter.create_worker(&new_worker(name)).await);
    let names: BTreeSet<_> = done(taskrouter.channels(&made.sid).await).into_iter().map(|c| c.unique_name).collect();
    assert!(names.contains("voice") && names.contains("chat"), "{names:?}");
    let wanted = Channel { capacity: 3, available: true };
    done(taskrouter.set_channel(&made.sid, "chat", wanted).await);
    let off = Channel { capacity: 0, available: false };
    done(taskrouter.set_channel(&made.sid, "voice", off).await);
    for channel in done(taskrouter.channels(&made.sid).await) {
        match channel.unique_name.as_str() {
            "chat" => assert_eq!(channel.channel, wanted),
            "voice" => assert_eq!(channel.channel, off),
            _ => {}
        }
    }
    let unknown = taskrouter.set_channel(&made.sid, "no-such-channel", wanted).await;
    fails(unknown, ErrorKind::Permanent, Operation::SetChannel);
    let above = taskrouter.set_channel(&made.sid, "chat", Channel { capacity: 51, available: true }).await;
    fails(above, ErrorKind::Permanent, Operation::SetChannel);
    retire(taskrouter, &made).await;
}

async fn lists_are_complete(taskrouter: &dyn TaskRouter, prefix: &str) {
    let mut made = Vec::new();
    for number in 0..5 {
        made.push(done(taskrouter.create_worker(&new_worker(&format!("{prefix}list-{number}@acme.example"))).await));
    }
    let mut listed = Vec::new();
    let mut page = done(taskrouter.list_workers(None).await);
    loop {
        listed.extend(page.workers.into_iter().map(|worker| worker.sid));
        match page.next {
            Some(token) => page = done(taskrouter.list_workers(Some(&token)).await),
            None => break,
        }
    }
    let distinct: BTreeSet<_> = listed.iter().collect();
    assert_eq!(distinct.len(), listed.len(), "nobody is listed twice");
    assert!(made.iter().all(|worker| distinct.contains(&worker.sid)), "everybody is listed");
    for worker in &made {
        retire(taskrouter, worker).await;
    }
}

async fn missing_workers_are_missing(taskrouter: &dyn TaskRouter, name: &str) {
    let gone = done(taskrouter.create_worker(&new_worker(name)).await).sid;
    done(taskrouter.delete_worker(&gone, None).await);
    assert_eq!(done(taskrouter.fetch_worker(&gone).await), None);
    let update = WorkerUpdate { attributes: Some(Map::new()), ..WorkerUpdate::default() };
    let kind = ErrorKind::NotFound;
    fails(taskrouter.update_worker(&gone, &update, None).await, kind, Operation::UpdateWorker);
    fails(taskrouter.delete_worker(&gone, None).await, kind, Operation::DeleteWorker);
    let channel = Channel { capacity: 1, available: true };
    fails(taskrouter.set_channel(&gone, "voice", channel).await, kind, Operation::SetChannel);
    fails(taskrouter.channels(&gone).await, kind, Operation::Channels);
    fails(taskrouter.open_reservations(&gone).await, kind, Operation::Reservations);
}

async fn open_work_blocks_deletion(bench: &dyn Bench, name: &str) {
    let taskrouter = bench.taskrouter();
    let offline = activity(taskrouter, false).await;
    let made = done(taskrouter.create_worker(&new_worker(name)).await);
    assert_eq!(done(taskrouter.open_reservations(&made.sid).await), []);
    bench.reserve(&made.sid, ReservationStatus::Pending).await;
    let open = done(taskrouter.open_reservations(&made.sid).await);
    assert_eq!(open.iter().map(|r| r.status).collect::<Vec<_>>(), [ReservationStatus::Pending]);
    fails(taskrouter.delete_worker(&made.sid, None).await, ErrorKind::Blocked, Operation::DeleteWorker);
    let reject =
        WorkerUpdate { activity_sid: Some(offline), reject_pending_reservations: true, ..WorkerUpdate::default() };
    done(taskrouter.update_worker(&made.sid, &reject, None).await);
    assert_eq!(done(taskrouter.open_reservations(&made.sid).await), []);
    done(taskrouter.delete_worker(&made.sid, None).await);

    let busy = done(taskrouter.create_worker(&new_worker(name)).await);
    bench.reserve(&busy.sid, ReservationStatus::Accepted).await;
    done(taskrouter.update_worker(&busy.sid, &reject, None).await);
    let open = done(taskrouter.open_reservations(&busy.sid).await);
    assert_eq!(open.iter().map(|r| r.status).collect::<Vec<_>>(), [ReservationStatus::Accepted], "work in hand stays");
    fails(taskrouter.delete_worker(&busy.sid, None).await, ErrorKind::Blocked, Operation::DeleteWorker);
}
