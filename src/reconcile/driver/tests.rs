use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;

use super::*;
use crate::base::WorkerId;
use crate::domain::LeaverPolicy;
use crate::domain::worker::DesiredWorker;
use crate::reconcile::desired_store::{ClaimRequest, Lanes, LeaseId, RowState};
use crate::reconcile::memory_store::MemoryStore;
use crate::reconcile::observe::Stats;
use crate::reconcile::testing::{SameRouter, account, ambient, desired};
use crate::taskrouter::memory::{Fault, MemoryTaskRouter};
use crate::taskrouter::{
    Activity, Channel, ETag, ErrorKind, NewWorker, Operation, PageToken, Reservation, Result as Answer, TaskRouter,
    TaskRouterError, Worker, WorkerChannel, WorkerPage, WorkerSid, WorkerUpdate, Workspace,
};

struct House {
    store: Arc<MemoryStore>,
    router: Arc<MemoryTaskRouter>,
    stats: Arc<Stats>,
    ports: DriverPorts,
}

fn house() -> House {
    let ambient = ambient(3);
    let store = Arc::new(MemoryStore::new(ambient.clone()));
    let router = Arc::new(MemoryTaskRouter::new());
    let stats = Arc::new(Stats::default());
    let ports = DriverPorts {
        store: Arc::clone(&store) as Arc<_>,
        routers: Arc::new(SameRouter(Arc::clone(&router) as Arc<_>, LeaverPolicy::default())),
        ambient,
        observer: Arc::clone(&stats) as Arc<_>,
        wake: Wake::default(),
    };
    House { store, router, stats, ports }
}

impl House {
    fn start(&self) -> DriverHandle {
        start(self.ports.clone(), DriverSettings::default())
    }

    fn want(&self, name: &str) -> WorkerId {
        let worker = self.store.want(account(1), name, Some(agent(name)));
        self.ports.wake.wake();
        worker
    }

    fn leave(&self, name: &str) -> WorkerId {
        let worker = self.store.want(account(1), name, None);
        self.ports.wake.wake();
        worker
    }

    fn state(&self, worker: WorkerId) -> RowState {
        self.store.row(worker).unwrap().state
    }

    async fn until(&self, what: &str, condition: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + Duration::from_mins(2);
        while !condition(self) {
            assert!(Instant::now() < deadline, "never: {what}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn until_settled(&self) {
        self.until("everybody settled", |house| house.store.rows().iter().all(|row| row.state.is_settled())).await;
    }

    fn fail(&self, operation: Operation, kind: ErrorKind, times: usize) {
        let mut left = times;
        self.router.set_faults(move |call| {
            let hit = call.operation == operation && left > 0;
            left -= usize::from(hit);
            hit.then(|| Fault::Before(TaskRouterError::new(kind, operation, "made up")))
        });
    }

    fn calls(&self, operation: Operation) -> usize {
        self.router.calls().iter().filter(|call| call.operation == operation).count()
    }
}

fn agent(name: &str) -> DesiredWorker {
    desired(name, json!({"roles": ["agent"]}), &[])
}

#[tokio::test(start_paused = true)]
async fn a_wake_up_does_the_work_at_once() {
    let house = house();
    let driver = house.start();
    tokio::time::sleep(Duration::from_millis(50)).await;
    let began = Instant::now();
    house.want("ana");
    house.until_settled().await;
    assert!(began.elapsed() < Duration::from_millis(50));
    driver.shutdown().await.unwrap();
    let summary = house.stats.summary();
    assert_eq!((summary.total_effects(), summary.attempts["in_step"]), (1, 1));
    assert!(summary.p95.unwrap() < Duration::from_millis(50));
}

#[tokio::test(start_paused = true)]
async fn without_a_wake_up_polling_finds_the_work() {
    let house = house();
    let driver = house.start();
    tokio::time::sleep(Duration::from_millis(50)).await;
    house.store.want(account(1), "ana", Some(agent("ana")));
    let began = Instant::now();
    house.until_settled().await;
    assert!(began.elapsed() <= Duration::from_millis(520));
    driver.shutdown().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_first_retry_comes_within_200_ms() {
    let house = house();
    house.fail(Operation::CreateWorker, ErrorKind::Retryable, 1);
    let driver = house.start();
    let began = Instant::now();
    house.want("ana");
    house.until_settled().await;
    assert!(began.elapsed() <= Duration::from_millis(250), "{:?}", began.elapsed());
    assert_eq!(house.calls(Operation::FindWorker), 0, "what surely did not happen is not looked for");
    driver.shutdown().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_paused_driver_does_nothing() {
    let house = house();
    let driver = house.start();
    driver.pause();
    assert!(driver.is_paused());
    let ana = house.want("ana");
    tokio::time::sleep(Duration::from_mins(1)).await;
    assert!(house.router.calls().is_empty());
    let row = house.store.row(ana).unwrap();
    assert_eq!((row.state, row.lease, row.unsure), (RowState::Pending, None, false));
    driver.resume();
    house.until_settled().await;
    driver.shutdown().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn stopping_loses_nothing_and_leaves_no_lease() {
    let house = house();
    for n in 0..200 {
        house.want(&format!("w{n}"));
    }
    let driver = house.start();
    house.until("some are done", |house| house.calls(Operation::CreateWorker) > 20).await;
    driver.shutdown().await.unwrap();
    let rows = house.store.rows();
    assert!(rows.iter().all(|row| row.lease.is_none() && !row.unsure), "all reports are stored");
    let done = rows.iter().filter(|row| row.state == RowState::InStep).count();
    assert_eq!(done, house.router.workers().len());
    let driver = house.start();
    house.until_settled().await;
    driver.shutdown().await.unwrap();
    assert_eq!(house.calls(Operation::CreateWorker), 200);
}

#[tokio::test(start_paused = true)]
async fn a_killed_driver_is_followed_without_a_second_creation() {
    let house = house();
    for n in 0..200 {
        house.want(&format!("w{n}"));
    }
    let driver = house.start();
    house.until("some are done", |house| house.calls(Operation::CreateWorker) > 20).await;
    drop(driver);
    let driver = house.start();
    house.until_settled().await;
    assert_eq!(house.router.workers().len(), 200);
    assert_eq!(house.calls(Operation::CreateWorker), 200);
    driver.shutdown().await.unwrap();
}

/// A TaskRouter whose creations hang.
struct Hanging {
    inner: Arc<MemoryTaskRouter>,
    hung: AtomicUsize,
    times: usize,
    panics: bool,
    wait: Duration,
}

#[async_trait::async_trait]
impl TaskRouter for Hanging {
    async fn create_worker(&self, worker: &NewWorker) -> Answer<Worker> {
        if worker.friendly_name.starts_with("slow") && self.hung.fetch_add(1, Ordering::SeqCst) < self.times {
            assert!(!self.panics, "made up");
            tokio::time::sleep(self.wait).await;
        }
        self.inner.create_worker(worker).await
    }

    async fn workspace(&self) -> Answer<Workspace> {
        self.inner.workspace().await
    }

    async fn activities(&self) -> Answer<Vec<Activity>> {
        self.inner.activities().await
    }

    async fn fetch_worker(&self, sid: &WorkerSid) -> Answer<Option<Worker>> {
        self.inner.fetch_worker(sid).await
    }

    async fn find_worker(&self, name: &str) -> Answer<Option<Worker>> {
        self.inner.find_worker(name).await
    }

    async fn update_worker(&self, sid: &WorkerSid, update: &WorkerUpdate, if_match: Option<&ETag>) -> Answer<Worker> {
        self.inner.update_worker(sid, update, if_match).await
    }

    async fn delete_worker(&self, sid: &WorkerSid, if_match: Option<&ETag>) -> Answer<()> {
        self.inner.delete_worker(sid, if_match).await
    }

    async fn set_channel(&self, sid: &WorkerSid, name: &str, channel: Channel) -> Answer<()> {
        self.inner.set_channel(sid, name, channel).await
    }

    async fn channels(&self, sid: &WorkerSid) -> Answer<Vec<WorkerChannel>> {
        self.inner.channels(sid).await
    }

    async fn open_reservations(&self, sid: &WorkerSid) -> Answer<Vec<Reservation>> {
        self.inner.open_reservations(sid).await
    }

    async fn list_workers(&self, page: Option<&PageToken>) -> Answer<WorkerPage> {
        self.inner.list_workers(page).await
    }
}

fn hanging(house: &mut House, panics: bool) {
    let inner = Arc::clone(&house.router);
    let slow: Arc<dyn TaskRouter> = Arc::new(Hanging {
        inner,
        hung: AtomicUsize::new(0),
        times: if panics { 1 } else { 16 },
        panics,
        wait: Duration::from_secs(15),
    });
    house.ports.routers = Arc::new(SameRouter(slow, LeaverPolicy::default()));
}

#[tokio::test(start_paused = true)]
async fn leavers_overtake_calls_that_hang_and_hundreds_that_wait() {
    let mut house = house();
    hanging(&mut house, false);
    let driver = house.start();
    let zoe = house.want("zoe");
    house.until_settled().await;
    for n in 0..300 {
        house.want(&format!("slow{n}"));
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let began = Instant::now();
    house.leave("zoe");
    house.until("she is out", |house| house.state(zoe) == RowState::Removed).await;
    assert!(began.elapsed() < Duration::from_millis(100), "{:?}", began.elapsed());
    assert!(house.router.workers().is_empty());
    // The calls take longer than a lease: it is renewed meanwhile, and nobody is looked for.
    house.until_settled().await;
    assert_eq!(house.router.workers().len(), 300);
    assert_eq!(house.calls(Operation::FindWorker), 0);
    driver.shutdown().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_panics_is_repeated_with_care() {
    let mut house = house();
    hanging(&mut house, true);
    let driver = house.start();
    let slow = house.want("slow");
    house.until("it broke", |house| house.state(slow) == RowState::Retrying).await;
    assert!(house.store.row(slow).unwrap().unsure);
    house.want("ana");
    house.until("it came right", |house| house.state(slow) == RowState::InStep).await;
    assert!(house.calls(Operation::FindWorker) > 0);
    driver.shutdown().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn refused_credentials_stop_the_account_not_the_others() {
    let house = house();
    let refused = Arc::new(Mutex::new(true));
    let still = Arc::clone(&refused);
    house.router.set_faults(move |call| {
        let hit = call.target.starts_with("mine") && *still.lock().unwrap();
        hit.then(|| Fault::Before(TaskRouterError::new(ErrorKind::Unauthorized, call.operation, "who are you")))
    });
    let driver = house.start();
    for n in 0..500 {
        house.want(&format!("mine{n}"));
    }
    let other = house.store.want(account(2), "other", Some(agent("other")));
    house.until("the other account goes on", |house| house.state(other) == RowState::InStep).await;
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert!(house.calls(Operation::CreateWorker) <= 17, "one round of attempts, not five hundred");
    *refused.lock().unwrap() = false;
    house.until_settled().await;
    driver.shutdown().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_account_without_taskrouter_is_visible() {
    struct Nowhere;
    impl Routers for Nowhere {
        fn for_account(&self, _: AccountId) -> Option<Arc<dyn TaskRouter>> {
            None
        }

        fn leavers(&self, _: AccountId) -> LeaverPolicy {
            LeaverPolicy::default()
        }
    }
    let mut house = house();
    house.ports.routers = Arc::new(Nowhere);
    let driver = house.start();
    let ana = house.want("ana");
    house.until("it is refused", |house| house.state(ana) == RowState::Rejected).await;
    driver.shutdown().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_attempt_ends_when_its_lease_is_lost() {
    let mut house = house();
    hanging(&mut house, false);
    let driver = house.start();
    let slow = house.want("slow");
    tokio::time::sleep(Duration::from_secs(1)).await;
    // Somebody else takes the row, as happens when the database did not hear from us for too long.
    let first = house.store.row(slow).unwrap().lease.unwrap();
    assert_eq!(house.store.renew(&[(slow, first)], Duration::ZERO).await.unwrap(), [slow]);
    let request = ClaimRequest {
        lease: LeaseId("somebody".to_owned()),
        lease_for: Duration::from_mins(10),
        lanes: Lanes::All,
        limit: 1,
        except: Vec::new(),
    };
    assert_eq!(house.store.claim(&request).await.unwrap().len(), 1);
    tokio::time::sleep(Duration::from_mins(1)).await;
    assert!(house.router.workers().is_empty(), "the hanging creation was cut off");
    assert_eq!(house.store.row(slow).unwrap().lease, Some(LeaseId("somebody".to_owned())));
    driver.shutdown().await.unwrap();
}

/// A TaskRouter that takes its time for every worker whose name begins so.
fn slow_ones(house: &House, wait: Duration) -> Arc<SameRouter> {
    let inner = Arc::clone(&house.router);
    let slow = Hanging { inner, hung: AtomicUsize::new(0), times: usize::MAX, panics: false, wait };
    Arc::new(SameRouter(Arc::new(slow), LeaverPolicy::default()))
}

#[tokio::test(start_paused = true)]
async fn an_account_with_very_many_joiners_does_not_delay_another() {
    let mut house = house();
    house.ports.routers = slow_ones(&house, Duration::from_millis(100));
    for n in 0..2_000 {
        house.store.want(account(1), &format!("slow{n:04}"), Some(agent(&format!("slow{n:04}"))));
    }
    let driver = house.start();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let began = Instant::now();
    let joiner = house.store.want(account(2), "ana", Some(agent("ana")));
    house.ports.wake.wake();
    house.until("the joiner of the other account is there", |house| house.state(joiner).is_settled()).await;
    assert!(began.elapsed() < Duration::from_millis(500), "{:?}", began.elapsed());
    let began = Instant::now();
    house.store.want(account(2), "ana", None);
    house.ports.wake.wake();
    house.until("and gone again", |house| house.state(joiner).is_settled()).await;
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    assert!(house.store.rows().iter().any(|row| !row.state.is_settled()), "the many are not done yet");
    drop(driver);
}

#[tokio::test(start_paused = true)]
async fn an_account_whose_taskrouter_hangs_does_not_block_another() {
    let mut house = house();
    house.ports.routers = slow_ones(&house, Duration::from_hours(1));
    for n in 0..100 {
        house.store.want(account(1), &format!("slow{n}"), Some(agent(&format!("slow{n}"))));
    }
    let driver = house.start();
    tokio::time::sleep(Duration::from_secs(1)).await;
    for n in 0..20 {
        let began = Instant::now();
        let joiner = house.store.want(account(2), &format!("ana{n}"), Some(agent(&format!("ana{n}"))));
        house.ports.wake.wake();
        house.until("the other account goes on", |house| house.state(joiner).is_settled()).await;
        assert!(began.elapsed() < Duration::from_millis(700), "{:?}", began.elapsed());
    }
    drop(driver);
}
