//! Answers that are lost, processes that die: at every call of a whole story.

use super::*;
use crate::taskrouter::memory::MemoryCall;

/// Joins, moves, leaves, comes back; `None` at the end.
fn story(house: &House, step: usize, name: &str) -> Option<WorkerId> {
    match step {
        0 => Some(house.want(name, Some(agent(name, "north")))),
        1 => Some(house.want(
            name,
            Some(desired(name, json!({"roles": ["agent"], "routing": {"skills": ["x"]}}), &[("chat", 2)])),
        )),
        2 => Some(house.want(name, None)),
        3 => Some(house.want(name, Some(agent(name, "south")))),
        _ => None,
    }
}

/// Writes that were confirmed, in order.
fn writes(calls: &[MemoryCall]) -> usize {
    calls.iter().filter(|call| call.operation.is_write()).count()
}

/// The number of writes that the whole story takes when nothing goes wrong.
async fn undisturbed_writes() -> usize {
    let house = house();
    for step in 0..4 {
        story(&house, step, "ana");
        house.once().await;
    }
    writes(&house.router.calls())
}

#[tokio::test(start_paused = true)]
async fn every_call_may_lose_its_answer_and_no_write_is_repeated() {
    let usual = undisturbed_writes().await;
    for lost in 0.. {
        let house = house();
        let mut count = 0;
        let hit = Arc::new(Mutex::new(None));
        let seen = Arc::clone(&hit);
        house.router.set_faults(move |call| {
            count += 1;
            (count == lost + 1).then(|| {
                *seen.lock().unwrap() = Some(call.operation);
                let kind = if call.operation.is_write() { ErrorKind::Ambiguous } else { ErrorKind::Retryable };
                Fault::After(TaskRouterError::new(kind, call.operation, "the answer was lost"))
            })
        });
        let mut step = 0;
        while let Some(worker) = story(&house, step, "ana") {
            house.once().await;
            settle(&house, worker).await;
            step += 1;
        }
        let Some(operation) = *hit.lock().unwrap() else {
            assert!(lost > 13, "the story makes more calls than {lost}");
            return;
        };
        assert_eq!(writes(&house.router.calls()), usual, "lost answer number {lost}: {operation}");
        let workers = house.router.workers();
        assert_eq!(workers.len(), 1);
        assert_eq!(workers[0].attributes.as_ref().unwrap()["site"], json!("south"));
        assert_eq!(house.router.channels_of(&workers[0].sid)["chat"], plan::granted(3));
    }
}

#[tokio::test(start_paused = true)]
async fn a_crash_after_any_call_repeats_no_write() {
    let usual = undisturbed_writes().await;
    for (after, stored) in (0..30).flat_map(|after| [(after, false), (after, true)]) {
        let house = house();
        let mut step = 0;
        let mut crashed = false;
        while let Some(worker) = story(&house, step, "ana") {
            let claimed = house.claim().await;
            let made = house.router.calls().len();
            if !crashed && after >= made {
                // The crash: the call does its work and neither its answer nor the end of the attempt is ever seen.
                let mut left = after - made;
                let dead = Arc::new(Mutex::new(false));
                let killed = Arc::clone(&dead);
                house.router.set_faults(move |call| {
                    let kill = left == 0;
                    left = left.saturating_sub(1);
                    let mut dead = dead.lock().unwrap();
                    let gone = TaskRouterError::new(ErrorKind::Ambiguous, call.operation, "killed");
                    if *dead {
                        return Some(Fault::Before(gone));
                    }
                    *dead = kill;
                    kill.then_some(Fault::After(gone))
                });
                let (finished, progress) = house.attempt(&claimed).await;
                house.router.clear_faults();
                crashed = *killed.lock().unwrap();
                if stored || !crashed {
                    for known in progress {
                        house.record(&claimed, Outcome::Progress { known }).await;
                    }
                }
                if crashed {
                    tokio::time::advance(LEASE * 2).await;
                } else {
                    house.record(&claimed, finished.outcome).await;
                }
            } else {
                let (finished, _) = house.attempt(&claimed).await;
                house.record(&claimed, finished.outcome).await;
            }
            settle(&house, worker).await;
            step += 1;
        }
        assert_eq!(writes(&house.router.calls()), usual, "crash at call {after}, progress stored: {stored}");
        assert_eq!(house.router.workers().len(), 1);
    }
}
