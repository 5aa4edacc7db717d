use async_trait::async_trait;
use serde_json::{Map, json};

use super::conformance::{self, Bench};
use super::memory::{Fault, MemoryTaskRouter};
use super::{ErrorKind, NewWorker, Operation, ReservationStatus, TaskRouter, TaskRouterError, WorkerSid};

#[async_trait]
impl Bench for MemoryTaskRouter {
    fn taskrouter(&self) -> &dyn TaskRouter {
        self
    }

    async fn reserve(&self, worker: &WorkerSid, status: ReservationStatus) {
        Self::reserve(self, worker, status);
    }
}

fn named(name: &str) -> NewWorker {
    let attributes = Map::from_iter([("k".to_owned(), json!(1))]);
    NewWorker { friendly_name: name.to_owned(), attributes, activity_sid: None }
}

#[tokio::test]
async fn memory_conforms() {
    let memory = MemoryTaskRouter::new();
    conformance::run(&memory, "").await;
    memory.set_page_size(2);
    memory.hide_attributes_in_lists();
    conformance::run(&memory, "again-").await;
}

#[tokio::test]
async fn memory_fails_before_or_after_the_work() {
    let memory = MemoryTaskRouter::new();
    let lost = TaskRouterError::new(ErrorKind::Ambiguous, Operation::CreateWorker, "lost");
    let answer = lost.clone();
    memory.set_faults(move |call| match call.target.as_str() {
        "before" => Some(Fault::Before(answer.clone())),
        "after" => Some(Fault::After(answer.clone())),
        _ => None,
    });
    for name in ["before", "after"] {
        assert_eq!(memory.create_worker(&named(name)).await, Err(lost.clone()));
    }
    assert!(memory.create_worker(&named("fine")).await.is_ok());
    let names: Vec<_> = memory.workers().into_iter().map(|worker| worker.friendly_name).collect();
    assert_eq!(names, ["after", "fine"]);
    assert_eq!(memory.calls().len(), 3);
    memory.clear_faults();
    // A failure of the work itself is what counts, not the fault behind it.
    assert_eq!(memory.create_worker(&named("AFTER")).await.unwrap_err().kind, ErrorKind::Conflict);
}

#[tokio::test]
async fn memory_lets_others_meddle() {
    let memory = MemoryTaskRouter::new();
    let made = memory.create_worker(&named("ana")).await.unwrap();
    memory.meddle(&made.sid, |worker| worker.available = true);
    let seen = memory.worker("ANA").unwrap();
    assert!(seen.available && seen.etag != made.etag);
    memory.reserve(&made.sid, ReservationStatus::Accepted);
    memory.finish_work(&made.sid);
    assert_eq!(memory.open_reservations(&made.sid).await, Ok(vec![]));
    assert_eq!(memory.channels_of(&made.sid)["voice"].capacity, 1);
}

#[test]
fn only_safe_sids_are_sids() {
    assert!("WK0123456789abcdef0123456789abcdef".parse::<WorkerSid>().is_ok());
    for bad in ["", "..", "WK/1", "WK 1", "WK%2F", &"x".repeat(65)] {
        assert!(bad.parse::<WorkerSid>().is_err(), "{bad}");
    }
}

#[test]
fn errors_say_which_call_and_why() {
    let error = TaskRouterError::new(ErrorKind::Conflict, Operation::CreateWorker, "exists").answered(400, Some(20001));
    assert_eq!(error.to_string(), "create_worker conflict (400, code 20001): exists");
}
