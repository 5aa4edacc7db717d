//! What becomes of the workers of those who leave.

use super::*;
use crate::reconcile::receipt::Ending;

/// Ana is at work, and leaves.
async fn at_work(house: &House, status: ReservationStatus) -> WorkerSid {
    house.want("ana", Some(agent("ana", "north")));
    house.once().await;
    let sid = house.worker("ana").sid;
    house.router.meddle(&sid, |worker| worker.available = true);
    house.router.reserve(&sid, status);
    house.calls();
    sid
}

fn is_out(worker: &Worker) -> bool {
    !worker.available && worker.attributes.as_ref().is_some_and(|attributes| !attributes.contains_key("routing"))
}

#[tokio::test(start_paused = true)]
async fn work_in_hand_is_waited_for_out_of_the_queues() {
    let house = house();
    let sid = at_work(&house, ReservationStatus::Wrapping).await;
    house.want("ana", None);
    let row = house.once().await;
    assert_eq!((row.state, row.attempts), (RowState::Draining, 0), "waiting is no failure");
    assert!(row.last_error.unwrap().ends_with("reservations: 1 wrapping"));
    assert_eq!(house.calls(), [FetchWorker, Workspace, Activities, UpdateWorker, Reservations], "and nobody deletes");
    assert!(is_out(&house.worker("ana")));
    let receipt = &row.receipts[0];
    assert!(receipt.unavailable_at.is_some() && receipt.removed_at.is_none() && receipt.ending.is_none());
    // An open page makes the worker available again, and an offer comes in.
    house.router.meddle(&sid, |worker| worker.available = true);
    house.router.reserve(&sid, ReservationStatus::Pending);
    tokio::time::advance(Duration::from_secs(40)).await;
    assert_eq!(house.once().await.state, RowState::Draining);
    assert!(is_out(&house.worker("ana")));
    house.router.finish_work(&sid);
    tokio::time::advance(Duration::from_secs(40)).await;
    let row = house.once().await;
    assert_eq!((row.state, row.receipts[0].ending), (RowState::Removed, Some(Ending::Verified)));
}

#[tokio::test(start_paused = true)]
async fn after_the_deadline_it_goes_on_as_cut() {
    let mut house = house();
    house.leavers.drain = Duration::from_mins(10);
    let sid = at_work(&house, ReservationStatus::Accepted).await;
    house.want("ana", None);
    let started = Instant::now();
    let mut looks = 0;
    while house.once().await.state == RowState::Draining {
        assert!(!house.calls().contains(&DeleteWorker));
        looks += 1;
        let row = &house.store.rows()[0];
        let wait = row.due_at.unwrap().since(house.ambient.now());
        assert!(wait >= Duration::from_secs(1), "nobody waits busily");
        tokio::time::advance(wait).await;
    }
    let late = started.elapsed().saturating_sub(Duration::from_mins(10));
    assert!(started.elapsed() >= Duration::from_mins(10) && late < Duration::from_secs(2), "{late:?} late");
    assert!(looks < 60, "{looks} looks");
    assert_eq!(house.store.rows()[0].state, RowState::Blocked, "TaskRouter refuses, and it goes on being tried");
    assert!(house.calls().contains(&DeleteWorker));
    house.router.finish_work(&sid);
    tokio::time::advance(Duration::from_mins(1)).await;
    assert_eq!(house.once().await.state, RowState::Removed);
}

#[tokio::test(start_paused = true)]
async fn offers_are_rejected_and_not_waited_for() {
    let house = house();
    at_work(&house, ReservationStatus::Pending).await;
    house.want("ana", None);
    assert_eq!(house.once().await.state, RowState::Removed);
}

#[tokio::test(start_paused = true)]
async fn whoever_is_cut_is_not_asked_about() {
    let mut house = house();
    house.leavers.live_calls = LiveCalls::Cut;
    at_work(&house, ReservationStatus::Accepted).await;
    house.want("ana", None);
    assert_eq!(house.once().await.state, RowState::Blocked);
    let calls = house.calls();
    assert_eq!(calls[calls.len() - 2..], [DeleteWorker, Reservations], "only to say what keeps the worker");
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_stays_is_offline_with_all_its_own() {
    let house = house();
    let sid = at_work(&house, ReservationStatus::Accepted).await;
    let channels = house.router.channels_of(&sid);
    house.store.keep_offline(account(1), "ana");
    let row = house.once().await;
    assert_eq!((row.state, row.known.sid.as_ref()), (RowState::KeptOffline, Some(&sid)));
    assert_eq!(
        house.calls(),
        [FetchWorker, Workspace, Activities, UpdateWorker, FetchWorker],
        "taken out and read back"
    );
    let receipt = &row.receipts[0];
    assert_eq!((receipt.ending, receipt.removed_at), (Some(Ending::KeptOffline), None));
    assert!(receipt.unavailable_at.is_some() && receipt.verified_at.is_some());
    let worker = house.worker("ana");
    assert!(is_out(&worker) && worker.attributes.unwrap()["full_name"] == "Ana");
    assert_eq!(house.router.channels_of(&sid), channels, "capacities are as found");
    // Whoever makes it available does not get it back.
    house.router.meddle(&sid, |worker| worker.available = true);
    let mut looks = 0;
    while let Some(due) = house.store.rows()[0].due_at {
        tokio::time::advance(due.since(house.ambient.now())).await;
        assert_eq!(house.once().await.state, RowState::KeptOffline);
        assert!(is_out(&house.worker("ana")));
        looks += 1;
    }
    assert!((4..12).contains(&looks), "looked at {looks} times");
    assert_eq!(house.store.rows()[0].receipts.len(), 1);
    // Coming back gives what is due today; being deleted takes the worker.
    house.want("ana", Some(agent("ana", "south")));
    assert_eq!(house.once().await.state, RowState::InStep);
    assert_eq!(house.worker("ana").sid, sid);
    house.store.keep_offline(account(1), "ana");
    house.once().await;
    house.router.finish_work(&sid);
    house.want("ana", None);
    let row = house.once().await;
    assert_eq!((row.state, row.receipts.len()), (RowState::Removed, 3));
    assert!(house.router.workers().is_empty());
}

#[tokio::test(start_paused = true)]
async fn our_own_worker_with_a_protected_role_is_taken_out_and_left_for_people() {
    let house = house();
    let sid = at_work(&house, ReservationStatus::Pending).await;
    house.router.meddle(&sid, |worker| {
        worker.attributes.as_mut().unwrap().insert("roles".to_owned(), json!(["agent", "admin"]));
    });
    house.want("ana", None);
    let row = house.once().await;
    assert_eq!(row.state, RowState::Protected);
    assert!(row.last_error.unwrap().contains("protected role 'admin'"));
    assert!(is_out(&house.worker("ana")));
    assert!(!house.calls().contains(&DeleteWorker));
    let receipt = &row.receipts[0];
    assert!(receipt.unavailable_at.is_some() && receipt.ending.is_none(), "not finished until people have done it");
    house.router.delete_worker(&sid, None).await.unwrap();
    tokio::time::advance(Duration::from_mins(6)).await;
    let row = house.once().await;
    assert_eq!((row.state, row.receipts[0].ending), (RowState::Removed, Some(Ending::Verified)));
}
