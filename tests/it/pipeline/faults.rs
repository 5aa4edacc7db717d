//! A TaskRouter that fails: everybody converges, nobody is doubled, and nothing is repeated that is known to have happened.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::future::join_all;
use rollcall::taskrouter::stand_in::{Call, Faults, StandIn};
use serde_json::json;

use super::{RULES, channel, names};
use crate::support::{Db, TestApp, on_both_databases, wait_until};

const PEOPLE: usize = 18;
const DEADLINE: Duration = Duration::from_mins(2);

async fn too_many_requests(db: Db) {
    survives(db, Faults { rate_429: 0.12, seed: 1, ..Faults::default() }).await;
}

async fn too_many_requests_with_retry_after(db: Db) {
    survives(db, Faults { rate_429: 0.06, retry_after_s: Some(1), seed: 2, ..Faults::default() }).await;
}

async fn internal_errors(db: Db) {
    survives(db, Faults { rate_500: 0.12, seed: 3, ..Faults::default() }).await;
}

async fn pages_instead_of_json(db: Db) {
    survives(db, Faults { rate_html: 0.12, seed: 4, ..Faults::default() }).await;
}

async fn answers_lost_after_the_effect(db: Db) {
    survives(db, Faults { rate_lost_after_commit: 0.12, seed: 5, ..Faults::default() }).await;
}

async fn requests_lost_before_the_effect(db: Db) {
    survives(db, Faults { rate_lost_before_commit: 0.12, seed: 6, ..Faults::default() }).await;
}

async fn slow_answers(db: Db) {
    survives(db, Faults { latency_ms: 150, seed: 7, ..Faults::default() }).await;
}

async fn everything_at_once(db: Db) {
    let faults = Faults {
        latency_ms: 10,
        rate_429: 0.025,
        rate_500: 0.025,
        rate_html: 0.025,
        rate_lost_before_commit: 0.025,
        rate_lost_after_commit: 0.025,
        seed: 8,
        ..Faults::default()
    };
    survives(db, faults).await;
}

/// Joiners, movers and leavers under one kind of fault.
async fn survives(db: Db, faults: Faults) {
    let app = TestApp::builder(db).unguarded().rules(RULES).start().await;
    app.expect_faults();
    app.stand_in().set_faults(faults).unwrap();
    let agents = app.scim.add_group("CC Agents", &[]).await;
    let supervisors = app.scim.add_group("CC Supervisors", &[]).await;
    let people: Vec<String> = (0..PEOPLE).map(|n| format!("p{n:02}@acme.example")).collect();
    let ids = join_all(people.iter().map(|name| app.scim.add_user(name))).await;
    join_all(ids.iter().map(|id| app.scim.add_member(&agents, id))).await;
    in_step(&app).await;
    assert_eq!(names(&app), people);
    nothing_was_repeated(app.stand_in());

    // A third leaves, a third moves, a third stays.
    for (n, id) in ids.iter().enumerate() {
        match n % 3 {
            0 => app.scim.set_active(id, false).await,
            1 => {
                app.scim.add_member(&supervisors, id).await;
                app.scim.remove_member(&agents, id).await;
            }
            _ => {}
        }
    }
    in_step(&app).await;
    let staying: Vec<&String> = people.iter().enumerate().filter(|(n, _)| n % 3 != 0).map(|(_, name)| name).collect();
    assert_eq!(names(&app).iter().collect::<Vec<_>>(), staying);
    for worker in app.stand_in().workers() {
        let mover = people.iter().position(|name| *name == worker.friendly_name).is_some_and(|n| n % 3 == 1);
        let (roles, chat) = if mover {
            (json!(["supervisor", "agent"]), channel(0, false))
        } else {
            (json!(["agent"]), channel(3, true))
        };
        assert_eq!((&worker.attributes["roles"], worker.channels["chat"]), (&roles, chat), "{}", worker.friendly_name);
        assert_eq!(worker.attributes.contains_key("site"), !mover);
    }
    nothing_was_repeated(app.stand_in());
}

async fn in_step(app: &TestApp) {
    let sql = app.sql().await;
    let left = "SELECT COUNT(*) FROM worker WHERE applied_version IS NULL OR applied_version <> desired_version";
    wait_until(DEADLINE, "everybody is in step", async || sql.number(left).await == 0).await;
}

/// What the stand-in's own record of calls tells about the client.
fn nothing_was_repeated(stand_in: &StandIn) {
    let calls = stand_in.calls();
    assert_eq!(calls.total, calls.latest.len() as u64, "no call was forgotten");
    let of = |method: &str, path: &str| {
        let path = format!("/v1/Workspaces/{{workspace}}{path}");
        calls.latest.iter().filter(move |call| call.method == method && call.path == path).collect::<Vec<&Call>>()
    };
    let creations = of("POST", "/Workers");
    // A name that is taken is answered 400: whoever creates blindly after a lost answer meets it.
    let blind: Vec<_> = creations.iter().filter(|call| call.processed && call.worker_sid.is_none()).collect();
    assert!(blind.is_empty(), "creations that were refused: {blind:#?}");
    let made: BTreeSet<_> = creations.iter().filter_map(|call| call.worker_sid.as_ref()).collect();
    assert_eq!(made.len(), PEOPLE, "each person's worker was made once");
    for (what, calls) in [("deleted", of("DELETE", "/Workers/{worker}"))] {
        let mut times = BTreeMap::<_, u32>::new();
        for call in calls.iter().filter(|call| call.status == 204 || (call.processed && call.status != 404)) {
            *times.entry(call.worker_sid.as_ref()).or_default() += 1;
        }
        times.retain(|_, times| *times > 1);
        assert!(times.is_empty(), "{what} more than once: {times:?}");
    }
}

on_both_databases!(
    too_many_requests,
    too_many_requests_with_retry_after,
    internal_errors,
    pages_instead_of_json,
    answers_lost_after_the_effect,
    requests_lost_before_the_effect,
    slow_answers,
    everything_at_once,
);
