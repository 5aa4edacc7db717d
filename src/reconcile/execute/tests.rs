use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::json;
use tokio::time::Instant;

use super::*;
use crate::base::WorkerId;
use crate::domain::{LeaverPolicy, LiveCalls};
use crate::reconcile::desired_store::{ClaimRequest, DesiredStore, Lanes, LeaseId, Record, Recorded, RowState};
use crate::reconcile::memory_store::MemoryStore;
use crate::reconcile::observe::Stats;
use crate::reconcile::row::Row;
use crate::reconcile::testing::{account, ambient, desired, map};
use crate::taskrouter::Operation::{
    Activities, Channels, CreateWorker, DeleteWorker, FetchWorker, FindWorker, ListWorkers, Reservations, SetChannel,
    UpdateWorker, Workspace,
};
use crate::taskrouter::memory::{Fault, MemoryTaskRouter};
use crate::taskrouter::{Channel, NewWorker, Operation, ReservationStatus, Worker};

mod leavers;
mod lost;

const LEASE: Duration = Duration::from_secs(10);

struct House {
    store: MemoryStore,
    router: Arc<MemoryTaskRouter>,
    facts: WorkspaceFacts,
    settings: ExecuteSettings,
    leavers: LeaverPolicy,
    ambient: Ambient,
    stats: Stats,
    seen: AtomicUsize,
    claims: AtomicUsize,
}

fn house() -> House {
    let ambient = ambient(7);
    House {
        store: MemoryStore::new(ambient.clone()),
        router: Arc::new(MemoryTaskRouter::new()),
        facts: WorkspaceFacts::default(),
        settings: ExecuteSettings::default(),
        leavers: LeaverPolicy::default(),
        ambient,
        stats: Stats::default(),
        seen: AtomicUsize::new(0),
        claims: AtomicUsize::new(0),
    }
}

impl House {
    fn want(&self, name: &str, desired: Option<DesiredWorker>) -> WorkerId {
        self.store.want(account(1), name, desired)
    }

    async fn claim(&self) -> Claimed {
        let n = self.claims.fetch_add(1, Ordering::SeqCst);
        let lease = LeaseId(format!("lease{n}"));
        let request = ClaimRequest { lease, lease_for: LEASE, lanes: Lanes::All, limit: 1, except: Vec::new() };
        self.store.claim(&request).await.unwrap().remove(0)
    }

    async fn record(&self, claimed: &Claimed, outcome: Outcome) -> Recorded {
        self.record_with(claimed, outcome, Stages::default()).await
    }

    async fn record_with(&self, claimed: &Claimed, outcome: Outcome, stages: Stages) -> Recorded {
        let record = Record {
            worker: claimed.worker,
            lease: claimed.lease.clone(),
            desired_version: claimed.desired_version,
            outcome,
            stages,
        };
        self.store.record(&[record]).await.unwrap()[0]
    }

    /// Makes one attempt without storing its end; returns also the progress it reported.
    async fn attempt(&self, claimed: &Claimed) -> (Finished, Vec<Known>) {
        let progress = Mutex::new(Vec::new());
        let lease = LeaseClock::new(Instant::now(), LEASE);
        let finished = execute(&Attempt {
            claimed,
            store: &self.store,
            router: self.router.as_ref(),
            workspace: &self.facts,
            settings: &self.settings,
            leavers: self.leavers,
            ambient: &self.ambient,
            lease: &lease,
            progress: &|known| progress.lock().unwrap().push(known),
            observer: &self.stats,
        })
        .await;
        (finished, progress.into_inner().unwrap())
    }

    /// Makes one attempt at what is due, and stores its end.
    async fn once(&self) -> Row {
        let claimed = self.claim().await;
        let (finished, progress) = self.attempt(&claimed).await;
        for known in progress {
            self.record(&claimed, Outcome::Progress { known }).await;
        }
        assert_eq!(self.record_with(&claimed, finished.outcome, finished.stages).await, Recorded::Stored);
        self.store.row(claimed.worker).unwrap()
    }

    /// The calls since the last time.
    fn calls(&self) -> Vec<Operation> {
        let calls = self.router.calls();
        let from = self.seen.swap(calls.len(), Ordering::SeqCst);
        calls[from..].iter().map(|call| call.operation).collect()
    }

    fn worker(&self, name: &str) -> Worker {
        self.router.worker(name).unwrap()
    }

    fn fail_once(
        &self,
        operation: Operation,
        fault: impl Fn(TaskRouterError) -> Fault + Send + 'static,
        kind: ErrorKind,
    ) {
        let mut armed = true;
        self.router.set_faults(move |call| {
            (call.operation == operation && std::mem::take(&mut armed))
                .then(|| fault(TaskRouterError::new(kind, operation, "made up")))
        });
    }
}

fn agent(name: &str, site: &str) -> DesiredWorker {
    let routing = json!({"skills": ["en"], "levels": {"en": 3}});
    desired(
        name,
        json!({"roles": ["agent"], "full_name": "Ana", "site": site, "routing": routing}),
        &[("voice", 1), ("chat", 3)],
    )
}

#[tokio::test(start_paused = true)]
async fn a_joiner_costs_one_call_and_one_for_each_channel_that_differs() {
    let house = house();
    house.want("ana", Some(agent("ana", "north")));
    let row = house.once().await;
    assert_eq!(row.state, RowState::InStep);
    assert_eq!(house.calls(), [CreateWorker, Channels, SetChannel], "the first one also teaches what a new worker has");
    house.want("bob", Some(agent("bob", "north")));
    house.once().await;
    assert_eq!(house.calls(), [CreateWorker, SetChannel]);
    house.want("cleo", Some(desired("cleo", json!({"roles": ["agent"]}), &[("voice", 1)])));
    house.once().await;
    assert_eq!(house.calls(), [CreateWorker]);
    let channels = house.router.channels_of(&house.worker("ana").sid);
    assert_eq!(channels["chat"], Channel { capacity: 3, available: true });
    assert_eq!(row.known.sid, Some(house.worker("ana").sid));
    assert_eq!(row.known.footprint.applied, agent("ana", "north").applied());
}

#[tokio::test(start_paused = true)]
async fn a_mover_keeps_what_others_wrote_and_loses_what_we_wrote() {
    let house = house();
    house.want("ana", Some(agent("ana", "north")));
    house.once().await;
    let sid = house.worker("ana").sid;
    house.router.meddle(&sid, |worker| {
        worker.attributes.as_mut().unwrap().insert("languages".to_owned(), json!(["de"]));
        worker.attributes.as_mut().unwrap()["routing"]["note"] = json!("theirs");
    });
    house.calls();
    house.want("ana", Some(desired("ana", json!({"roles": ["supervisor"], "full_name": "Ana"}), &[("voice", 1)])));
    house.once().await;
    assert_eq!(house.calls(), [FetchWorker, UpdateWorker, SetChannel]);
    assert_eq!(
        house.worker("ana").attributes.unwrap(),
        map(json!({"roles": ["supervisor"], "full_name": "Ana", "languages": ["de"], "routing": {"note": "theirs"}}))
    );
    assert_eq!(house.router.channels_of(&sid)["chat"], plan::LOST_CHANNEL);
    assert_eq!(house.router.channels_of(&sid)["voice"], plan::granted(1));

    // A channel that comes back is set again.
    house.want("ana", Some(agent("ana", "south")));
    house.once().await;
    assert_eq!(house.calls(), [FetchWorker, UpdateWorker, SetChannel]);
    assert_eq!(house.router.channels_of(&sid)["chat"], plan::granted(3));
}

#[tokio::test(start_paused = true)]
async fn a_leaver_is_taken_out_removed_and_read_back() {
    let house = house();
    house.want("ana", Some(agent("ana", "north")));
    house.once().await;
    house.router.meddle(&house.worker("ana").sid, |worker| worker.available = true);
    house.calls();
    house.want("ana", None);
    let row = house.once().await;
    assert_eq!((row.state, row.known), (RowState::Removed, Known::default()));
    assert_eq!(
        house.calls(),
        [FetchWorker, Workspace, Activities, UpdateWorker, Reservations, DeleteWorker, FetchWorker]
    );
    assert!(house.router.workers().is_empty());

    house.want("ana", Some(agent("ana", "north")));
    assert_eq!(house.once().await.state, RowState::InStep, "a re-hire comes back");
    house.want("ana", None);
    house.calls();
    house.once().await;
    assert_eq!(house.calls(), [FetchWorker, UpdateWorker, Reservations, DeleteWorker, FetchWorker]);
}

#[tokio::test(start_paused = true)]
async fn whoever_left_before_anything_was_done_costs_no_call() {
    let house = house();
    house.want("ana", Some(agent("ana", "north")));
    house.want("ana", None);
    assert_eq!(house.once().await.state, RowState::Removed);
    assert!(house.calls().is_empty());
}

#[tokio::test(start_paused = true)]
async fn work_in_hand_blocks_removal_visibly() {
    let mut house = house();
    house.leavers.live_calls = LiveCalls::Cut;
    house.want("ana", Some(agent("ana", "north")));
    house.once().await;
    let sid = house.worker("ana").sid;
    house.router.meddle(&sid, |worker| worker.available = true);
    house.router.reserve(&sid, ReservationStatus::Pending);
    house.router.reserve(&sid, ReservationStatus::Accepted);
    house.want("ana", None);
    let row = house.once().await;
    assert_eq!(row.state, RowState::Blocked);
    assert!(row.last_error.unwrap().ends_with("reservations: 1 accepted"));
    let worker = house.worker("ana");
    assert!(!worker.available && !worker.attributes.unwrap().contains_key("routing"), "but no new work");
    // An open page sets the worker available again, and a late offer comes in: it is taken out again.
    house.router.reserve(&sid, ReservationStatus::Pending);
    tokio::time::advance(Duration::from_mins(1)).await;
    assert_eq!(house.once().await.state, RowState::Blocked);
    house.router.finish_work(&sid);
    house.router.reserve(&sid, ReservationStatus::Pending);
    house.router.meddle(&sid, |worker| worker.available = true);
    tokio::time::advance(Duration::from_mins(1)).await;
    assert_eq!(house.once().await.state, RowState::Removed);
}

#[tokio::test(start_paused = true)]
async fn an_existing_worker_is_adopted_by_name_and_keeps_its_own() {
    let house = house();
    let there = NewWorker {
        friendly_name: "Ana".to_owned(),
        attributes: map(json!({"languages": ["de"], "site": "west"})),
        activity_sid: None,
    };
    let sid = house.router.create_worker(&there).await.unwrap().sid;
    house.router.set_channel(&sid, "voice", Channel { capacity: 9, available: true }).await.unwrap();
    house.calls();
    house.want("ana", Some(agent("ana", "north")));
    let row = house.once().await;
    assert_eq!((row.state, row.known.sid), (RowState::InStep, Some(sid.clone())));
    assert_eq!(house.calls(), [CreateWorker, FindWorker, Channels, UpdateWorker, SetChannel, SetChannel]);
    let worker = house.worker("ana");
    assert_eq!(worker.friendly_name, "ana");
    let attributes = worker.attributes.unwrap();
    assert_eq!((&attributes["languages"], &attributes["site"]), (&json!(["de"]), &json!("north")));
    assert_eq!(house.router.channels_of(&sid)["voice"], plan::granted(1), "its setting was not ours to assume");
}

#[tokio::test(start_paused = true)]
async fn protected_workers_are_reported_and_left_alone() {
    let house = house();
    let there = NewWorker {
        friendly_name: "root".to_owned(),
        attributes: map(json!({"roles": ["admin"]})),
        activity_sid: None,
    };
    house.router.create_worker(&there).await.unwrap();
    let before = house.router.workers();
    house.want("root", Some(agent("root", "north")));
    let row = house.once().await;
    assert_eq!((row.state, row.known), (RowState::Unadopted, Known::default()));
    house.want("root", None);
    assert_eq!(house.once().await.state, RowState::Removed);
    assert_eq!(house.router.workers(), before, "leaving does not touch it either");
}

#[tokio::test(start_paused = true)]
async fn bad_input_is_told_from_a_taken_name() {
    let house = house();
    house.want("ana", Some(agent("ana", "north")));
    house.router.set_faults(|call| {
        let refusal = TaskRouterError::new(ErrorKind::Conflict, CreateWorker, "made up");
        (call.operation == CreateWorker).then_some(Fault::Before(refusal))
    });
    for _ in 0..3 {
        assert_eq!(house.once().await.state, RowState::Retrying);
        assert_eq!(house.calls(), [CreateWorker, FindWorker, ListWorkers]);
        tokio::time::advance(Duration::from_secs(1)).await;
    }
    assert_eq!(house.once().await.state, RowState::Rejected);
}

#[tokio::test(start_paused = true)]
async fn a_name_that_was_given_up_after_the_refusal_is_taken_soon() {
    let house = house();
    house.want("ana", Some(agent("ana", "north")));
    house.once().await;
    house.fail_once(UpdateWorker, Fault::Before, ErrorKind::Conflict);
    house.store.rename(account(1), "ana", agent("bea", "north"));
    assert_eq!(house.once().await.state, RowState::Retrying, "nobody has the name: it may have become free just now");
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(house.once().await.state, RowState::InStep);
    assert_eq!(house.router.workers().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_channel_that_only_an_unattempted_version_had_is_set() {
    let house = house();
    let id = house.want("ana", Some(desired("ana", json!({"roles": ["agent"]}), &[("voice", 1)])));
    let claimed = house.claim().await;
    let (finished, _) = house.attempt(&claimed).await;
    let mut applied = match finished.outcome {
        Outcome::InStep { known, .. } => known,
        other => panic!("{other:?}"),
    };
    let wanted = desired("ana", json!({"roles": ["agent"]}), &[("voice", 1), ("chat", 3)]);
    applied.widen(&wanted);
    house.record(&claimed, Outcome::InStep { known: applied, recheck: None }).await;
    house.want("ana", Some(wanted));
    assert_eq!(house.once().await.state, RowState::InStep);
    let channels = house.router.channels_of(&house.worker("ana").sid);
    assert_eq!(channels["chat"], Channel { capacity: 3, available: true }, "{id}");
}

#[tokio::test(start_paused = true)]
async fn a_refused_channel_does_not_keep_the_others_from_being_set() {
    let house = house();
    let wanted = desired("ana", json!({"roles": ["agent"]}), &[("fax", 1), ("sms", 4), ("voice", 2)]);
    house.want("ana", Some(wanted));
    let row = house.once().await;
    assert_eq!(row.state, RowState::Rejected);
    assert!(row.last_error.unwrap().contains("set_channel permanent"));
    let channels = house.router.channels_of(&house.worker("ana").sid);
    assert_eq!((channels["sms"].capacity, channels["voice"].capacity), (4, 2));
}

#[tokio::test(start_paused = true)]
async fn a_rename_during_a_lost_creation_makes_no_second_worker() {
    let house = house();
    house.want("ana", Some(agent("ana", "north")));
    house.fail_once(CreateWorker, Fault::After, ErrorKind::Ambiguous);
    assert_eq!(house.once().await.state, RowState::Retrying);
    house.store.rename(account(1), "ana", agent("bea", "north"));
    assert_eq!(house.once().await.state, RowState::Removed, "the old name goes first");
    assert_eq!(house.once().await.state, RowState::InStep);
    let names: Vec<String> = house.router.workers().into_iter().map(|worker| worker.friendly_name).collect();
    assert_eq!(names, ["bea"]);
}

#[tokio::test(start_paused = true)]
async fn two_people_may_change_names_with_each_other() {
    let house = house();
    for name in ["ana", "bea"] {
        house.want(name, Some(agent(name, name)));
        house.once().await;
    }
    let sids = [house.worker("ana").sid, house.worker("bea").sid];
    house.store.rename(account(1), "ana", agent("cleo", "ana"));
    house.store.rename(account(1), "bea", agent("ana", "bea"));
    house.store.rename(account(1), "cleo", agent("bea", "ana"));
    for _ in 0..12 {
        tokio::time::advance(Duration::from_secs(40)).await;
        if house.store.rows().iter().any(|row| row.due_at.is_some()) {
            house.once().await;
        }
    }
    assert!(house.store.rows().iter().all(|row| row.state == RowState::InStep));
    assert_eq!([house.worker("bea").sid, house.worker("ana").sid], sids, "both keep their worker");
    assert_eq!(house.worker("ana").attributes.unwrap()["site"], json!("bea"));
}

#[tokio::test(start_paused = true)]
async fn a_newcomer_does_not_take_the_worker_of_somebody_who_is_to_be_renamed() {
    let house = house();
    house.want("ana", Some(agent("ana", "north")));
    house.once().await;
    let sid = house.worker("ana").sid;
    let renamed = house.store.rename(account(1), "ana", agent("bea", "north"));
    house.fail_once(FetchWorker, Fault::Before, ErrorKind::Retryable);
    house.once().await;
    house.want("ana", Some(agent("ana", "south")));
    let newcomer = house.once().await;
    assert_ne!(newcomer.worker, renamed);
    assert_eq!((newcomer.state, newcomer.known.sid), (RowState::Retrying, None));
    settle(&house, newcomer.worker).await;
    assert_eq!(house.worker("bea").sid, sid);
    assert_ne!(house.worker("ana").sid, sid);
}

#[tokio::test(start_paused = true)]
async fn somebody_elses_write_in_between_is_read_again() {
    let house = house();
    house.want("ana", Some(agent("ana", "north")));
    house.once().await;
    house.want("ana", Some(agent("ana", "south")));
    house.fail_once(UpdateWorker, Fault::Before, ErrorKind::Stale);
    house.calls();
    assert_eq!(house.once().await.state, RowState::InStep);
    assert_eq!(house.calls(), [FetchWorker, UpdateWorker, FetchWorker, UpdateWorker]);
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_others_deleted_is_made_again() {
    let house = house();
    house.want("ana", Some(agent("ana", "north")));
    house.once().await;
    let sid = house.worker("ana").sid;
    house.router.delete_worker(&sid, None).await.unwrap();
    house.want("ana", Some(agent("ana", "south")));
    let row = house.once().await;
    assert_eq!(row.state, RowState::InStep);
    assert_ne!(row.known.sid, Some(sid));
}

#[tokio::test(start_paused = true)]
async fn no_write_begins_on_a_lease_that_is_about_to_lapse() {
    let house = house();
    house.want("ana", Some(agent("ana", "north")));
    let claimed = house.claim().await;
    let lease = LeaseClock::new(Instant::now(), LEASE);
    tokio::time::advance(Duration::from_secs(7)).await;
    let finished = execute(&Attempt {
        claimed: &claimed,
        store: &house.store,
        router: house.router.as_ref(),
        workspace: &house.facts,
        settings: &house.settings,
        leavers: house.leavers,
        ambient: &house.ambient,
        lease: &lease,
        progress: &|_| (),
        observer: &house.stats,
    })
    .await;
    assert!(matches!(finished.outcome, Outcome::Retry { unsure: false, .. }));
    assert!(house.calls().is_empty());
}

async fn settle(house: &House, worker: WorkerId) {
    for _ in 0..20 {
        let row = house.store.row(worker).unwrap();
        if row.state.is_settled() {
            return;
        }
        tokio::time::advance(Duration::from_secs(40)).await;
        house.once().await;
    }
    panic!("never settled: {:?}", house.store.row(worker));
}
