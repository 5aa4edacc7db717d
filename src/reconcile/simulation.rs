//! A seeded simulation: random changes, a TaskRouter and a store that fail in every way, drivers that die and come back.
//!
//! Runs on the paused clock of one thread with one random source, so that a seed replays exactly. It checks the end, after
//! everything has calmed down: everybody as desired, nobody doubled, leavers gone, what others wrote untouched.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Map, Value, json};

use super::desired_store::{
    ClaimRequest, Claimed, DesiredStore, DesiredStoreError, LeaseId, Record, Recorded, RowState,
};
use super::driver::{DriverHandle, DriverPorts, DriverSettings, Wake, start};
use super::memory_store::MemoryStore;
use super::observe::Stats;
use super::plan::{LOST_CHANNEL, granted};
use super::receipt::Ending;
use super::row::Row;
use super::testing::{SameRouter, account, ambient, desired, map};
use crate::base::{AccountId, Ambient, WorkerId, fold};
use crate::domain::worker::{DesiredWorker, same_value};
use crate::taskrouter::memory::{MemoryCall, MemoryTaskRouter};
use crate::taskrouter::{
    Channel, ETag, ErrorKind, NewWorker, Operation, PageToken, Reservation, ReservationStatus, Result, TaskRouter,
    TaskRouterError, Worker, WorkerChannel, WorkerPage, WorkerSid, WorkerUpdate, Workspace,
};

/// Shared dice.
#[derive(Clone)]
struct Dice(Ambient);

impl Dice {
    fn below(&self, n: u64) -> u64 {
        u64::from_le_bytes(self.0.bytes::<8>()) % n
    }

    fn pick<'a, T>(&self, choices: &'a [T]) -> &'a T {
        &choices[usize::try_from(self.below(choices.len() as u64)).unwrap_or(0)]
    }

    fn millis(&self, below: u64) -> Duration {
        Duration::from_millis(self.below(below))
    }
}

/// Makes the calls to a workspace take time and go wrong.
struct Weather {
    inner: Arc<MemoryTaskRouter>,
    dice: Dice,
    storm: Arc<AtomicBool>,
}

/// How a call goes.
enum Luck {
    Fine,
    /// It does nothing and fails.
    Before(TaskRouterError),
    /// It works, and its answer is lost.
    After(TaskRouterError),
    /// The caller gives up, and it works later.
    Late(TaskRouterError, Duration),
}

impl Weather {
    fn luck(&self, operation: Operation) -> Luck {
        if !self.storm.load(Ordering::SeqCst) {
            return Luck::Fine;
        }
        let unknown = if operation.is_write() { ErrorKind::Ambiguous } else { ErrorKind::Retryable };
        let error = |kind, status, message: &str| TaskRouterError::new(kind, operation, message).answered(status, None);
        match self.dice.below(100) {
            0..8 => {
                let wait = (self.dice.below(2) == 0).then(|| self.dice.millis(3000));
                Luck::Before(error(ErrorKind::Retryable, 429, "too many requests").retry_after(wait))
            }
            8..13 => Luck::Before(error(unknown, 500, "it broke")),
            13..18 => Luck::After(error(unknown, 500, "it broke afterwards")),
            18..22 => Luck::After(error(unknown, 200, "a page instead of JSON")),
            22..26 => Luck::Late(TaskRouterError::new(unknown, operation, "cut"), self.dice.millis(20_000)),
            26 => Luck::Before(error(ErrorKind::Unauthorized, 401, "who are you")),
            _ => Luck::Fine,
        }
    }

    async fn call<T, F>(&self, operation: Operation, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
    {
        tokio::time::sleep(self.dice.millis(40)).await;
        let answer = match self.luck(operation) {
            Luck::Fine => work.await,
            Luck::Before(error) => Err(error),
            Luck::After(error) => work.await.and(Err(error)),
            Luck::Late(error, wait) => {
                tokio::spawn(async move {
                    tokio::time::sleep(wait).await;
                    drop(work.await);
                });
                Err(error)
            }
        };
        tokio::time::sleep(self.dice.millis(40)).await;
        answer
    }
}

#[async_trait]
impl TaskRouter for Weather {
    async fn workspace(&self) -> Result<Workspace> {
        let inner = Arc::clone(&self.inner);
        self.call(Operation::Workspace, async move { inner.workspace().await }).await
    }

    async fn activities(&self) -> Result<Vec<crate::taskrouter::Activity>> {
        let inner = Arc::clone(&self.inner);
        self.call(Operation::Activities, async move { inner.activities().await }).await
    }

    async fn fetch_worker(&self, sid: &WorkerSid) -> Result<Option<Worker>> {
        let (inner, sid) = (Arc::clone(&self.inner), sid.clone());
        self.call(Operation::FetchWorker, async move { inner.fetch_worker(&sid).await }).await
    }

    async fn find_worker(&self, name: &str) -> Result<Option<Worker>> {
        let (inner, name) = (Arc::clone(&self.inner), name.to_owned());
        self.call(Operation::FindWorker, async move { inner.find_worker(&name).await }).await
    }

    async fn create_worker(&self, worker: &NewWorker) -> Result<Worker> {
        let (inner, worker) = (Arc::clone(&self.inner), worker.clone());
        self.call(Operation::CreateWorker, async move { inner.create_worker(&worker).await }).await
    }

    async fn update_worker(&self, sid: &WorkerSid, update: &WorkerUpdate, if_match: Option<&ETag>) -> Result<Worker> {
        let (inner, sid, update, etag) = (Arc::clone(&self.inner), sid.clone(), update.clone(), if_match.cloned());
        self.call(Operation::UpdateWorker, async move { inner.update_worker(&sid, &update, etag.as_ref()).await }).await
    }

    async fn delete_worker(&self, sid: &WorkerSid, if_match: Option<&ETag>) -> Result<()> {
        let (inner, sid, etag) = (Arc::clone(&self.inner), sid.clone(), if_match.cloned());
        self.call(Operation::DeleteWorker, async move { inner.delete_worker(&sid, etag.as_ref()).await }).await
    }

    async fn set_channel(&self, sid: &WorkerSid, name: &str, channel: Channel) -> Result<()> {
        let (inner, sid, name) = (Arc::clone(&self.inner), sid.clone(), name.to_owned());
        self.call(Operation::SetChannel, async move { inner.set_channel(&sid, &name, channel).await }).await
    }

    async fn channels(&self, sid: &WorkerSid) -> Result<Vec<WorkerChannel>> {
        let (inner, sid) = (Arc::clone(&self.inner), sid.clone());
        self.call(Operation::Channels, async move { inner.channels(&sid).await }).await
    }

    async fn open_reservations(&self, sid: &WorkerSid) -> Result<Vec<Reservation>> {
        let (inner, sid) = (Arc::clone(&self.inner), sid.clone());
        self.call(Operation::Reservations, async move { inner.open_reservations(&sid).await }).await
    }

    async fn list_workers(&self, page: Option<&PageToken>) -> Result<WorkerPage> {
        let (inner, page) = (Arc::clone(&self.inner), page.cloned());
        self.call(Operation::ListWorkers, async move { inner.list_workers(page.as_ref()).await }).await
    }
}

/// Makes the store take time and go wrong, before or after it has committed.
struct ShakyStore {
    inner: Arc<MemoryStore>,
    dice: Dice,
    storm: Arc<AtomicBool>,
}

impl ShakyStore {
    async fn shake<T>(
        &self,
        work: impl Future<Output = std::result::Result<T, DesiredStoreError>>,
    ) -> std::result::Result<T, DesiredStoreError> {
        let lost = || Err(DesiredStoreError("the database went away".into()));
        let luck = if self.storm.load(Ordering::SeqCst) { self.dice.below(100) } else { 99 };
        if luck < 3 {
            return lost();
        }
        // Now and then it takes longer than a lease lasts.
        tokio::time::sleep(if luck == 3 { Duration::from_secs(12) } else { self.dice.millis(10) }).await;
        let answer = work.await;
        tokio::time::sleep(self.dice.millis(10)).await;
        if (4..7).contains(&luck) { lost() } else { answer }
    }
}

#[async_trait]
impl DesiredStore for ShakyStore {
    async fn claim(&self, request: &ClaimRequest) -> std::result::Result<Vec<Claimed>, DesiredStoreError> {
        self.shake(self.inner.claim(request)).await
    }

    async fn renew(
        &self,
        held: &[(WorkerId, LeaseId)],
        lease_for: Duration,
    ) -> std::result::Result<Vec<WorkerId>, DesiredStoreError> {
        self.shake(self.inner.renew(held, lease_for)).await
    }

    async fn record(&self, records: &[Record]) -> std::result::Result<Vec<Recorded>, DesiredStoreError> {
        self.shake(self.inner.record(records)).await
    }

    async fn holder(
        &self,
        account: AccountId,
        sid: &WorkerSid,
    ) -> std::result::Result<Option<WorkerId>, DesiredStoreError> {
        self.shake(self.inner.holder(account, sid)).await
    }
}

struct World {
    dice: Dice,
    storm: Arc<AtomicBool>,
    store: Arc<MemoryStore>,
    router: Arc<MemoryTaskRouter>,
    ports: DriverPorts,
    drivers: Vec<Option<DriverHandle>>,
    /// What everybody should be, by folded name.
    people: BTreeMap<String, DesiredWorker>,
    /// Attributes that only others write, by folded name of the worker that has them from the start.
    foreign: BTreeMap<String, Map<String, Value>>,
    /// Those of them that were ever desired: they may have been adopted, and removed with their person.
    adopted: BTreeSet<String>,
    /// Whom the last change was about.
    latest: &'static str,
}

const NAMES: [&str; 8] = ["ana", "bea", "cleo", "dora", "eve", "fay", "gia", "hal"];
const PROTECTED: &str = "root";
/// Has a worker before anybody desires one.
const STRANGER: &str = "ana";

impl World {
    async fn new(seed: u64) -> Self {
        let ambient = ambient(seed);
        let dice = Dice(ambient.clone());
        let storm = Arc::new(AtomicBool::new(true));
        let rows = Arc::new(MemoryStore::new(ambient.clone()));
        let router = Arc::new(MemoryTaskRouter::new());
        let mut foreign = BTreeMap::new();
        for (name, attributes) in [
            ("Ana", json!({"theirs": 1, "site": "west"})),
            ("stranger", json!({"theirs": 2, "routing": {"skills": ["x"]}})),
            (PROTECTED, json!({"theirs": 3, "roles": ["admin"]})),
        ] {
            let new =
                NewWorker { friendly_name: name.to_owned(), attributes: map(attributes.clone()), activity_sid: None };
            router.create_worker(&new).await.unwrap();
            foreign.insert(fold(name), map(attributes));
        }
        let weather = Weather { inner: Arc::clone(&router), dice: dice.clone(), storm: Arc::clone(&storm) };
        let shaky = ShakyStore { inner: Arc::clone(&rows), dice: dice.clone(), storm: Arc::clone(&storm) };
        let ports = DriverPorts {
            store: Arc::new(shaky),
            routers: Arc::new(SameRouter(Arc::new(weather))),
            ambient,
            observer: Arc::new(Stats::default()),
            wake: Wake::default(),
        };
        let drivers = Vec::new();
        let adopted = BTreeSet::new();
        let latest = NAMES[0];
        Self { dice, storm, store: rows, router, ports, drivers, people: BTreeMap::new(), foreign, adopted, latest }
    }

    fn start_driver(&self) -> DriverHandle {
        let settings = DriverSettings {
            concurrency: 3,
            leaver_reserve: 1,
            claim_ahead: 2,
            unauthorized_pause: Duration::from_secs(2),
            ..DriverSettings::default()
        };
        start(DriverPorts { wake: Wake::default(), ..self.ports.clone() }, settings)
    }

    fn somebody(&self, name: &str) -> DesiredWorker {
        let mut attributes = json!({"roles": ["agent"], "full_name": format!("{name} {}", self.dice.below(3))});
        if self.dice.below(2) == 0 {
            attributes["site"] = json!(["north", "south"][usize::from(self.dice.below(2) == 0)]);
        }
        if self.dice.below(2) == 0 {
            attributes["routing"] = json!({"skills": ["en"], "levels": {"en": self.dice.below(5)}});
        }
        let capacity = || 2 + u32::try_from(self.dice.below(4)).unwrap_or(0);
        let channels: Vec<(&str, u32)> = ["chat", "voice", "sms"]
            .into_iter()
            .filter(|_| self.dice.below(2) == 0)
            .map(|name| (name, capacity()))
            .collect();
        desired(name, attributes, &channels)
    }

    fn change_something(&mut self) {
        // What happens to a person comes in bursts: an identity provider sends an attribute, a group, another group.
        let name = if self.dice.below(2) == 0 { self.latest } else { *self.dice.pick(&NAMES) };
        self.latest = name;
        match self.dice.below(10) {
            0..5 => {
                let spelling = if self.dice.below(4) == 0 { name.to_uppercase() } else { name.to_owned() };
                let worker = self.somebody(&spelling);
                self.adopted.insert(name.to_owned());
                self.people.insert(name.to_owned(), worker.clone());
                self.store.want(account(1), name, Some(worker));
            }
            5..8 => {
                if self.people.remove(name).is_some() {
                    self.store.want(account(1), name, None);
                }
            }
            8 => {
                let to = *self.dice.pick(&NAMES);
                // A stranger's worker that has the new name is for people to settle, not for us.
                if self.people.contains_key(name) && !self.people.contains_key(to) && to != STRANGER {
                    let worker = self.somebody(to);
                    self.people.remove(name);
                    self.adopted.insert(to.to_owned());
                    self.people.insert(to.to_owned(), worker.clone());
                    self.store.rename(account(1), name, worker);
                }
            }
            _ => {
                self.store.want(account(1), PROTECTED, Some(self.somebody(PROTECTED)));
            }
        }
    }

    /// Somebody at work: available, with work in hand that ends later.
    fn meddle(&self) {
        let workers = self.router.workers();
        if workers.is_empty() {
            return;
        }
        let sid = self.dice.pick(&workers).sid.clone();
        match self.dice.below(4) {
            0 => self.router.meddle(&sid, |worker| worker.available = true),
            1 => self.router.reserve(&sid, ReservationStatus::Pending),
            2 => {
                self.router.reserve(&sid, ReservationStatus::Accepted);
                let (router, wait) = (Arc::clone(&self.router), self.dice.millis(30_000));
                tokio::spawn(async move {
                    tokio::time::sleep(wait).await;
                    router.finish_work(&sid);
                });
            }
            _ => {}
        }
    }

    /// A driver dies, is stopped, comes back, pauses or goes on.
    async fn shuffle_drivers(&mut self) {
        let n = usize::try_from(self.dice.below(self.drivers.len() as u64)).unwrap();
        match (self.drivers[n].take(), self.dice.below(4)) {
            (Some(driver), 0) => drop(driver),
            (Some(driver), 1) => driver.shutdown().await.unwrap(),
            (Some(driver), 2) => {
                driver.pause();
                self.drivers[n] = Some(driver);
            }
            (Some(driver), _) => {
                driver.resume();
                self.drivers[n] = Some(driver);
            }
            (None, _) => self.drivers[n] = Some(self.start_driver()),
        }
    }

    async fn live(&mut self) {
        self.drivers = (0..3).map(|_| Some(self.start_driver())).collect();
        for _ in 0..80 {
            match self.dice.below(12) {
                0..8 => self.change_something(),
                8 | 9 => self.meddle(),
                10 => self.shuffle_drivers().await,
                _ => tokio::time::sleep(self.dice.millis(20_000)).await,
            }
            let pause = *self.dice.pick(&[20, 600]);
            tokio::time::sleep(self.dice.millis(pause)).await;
        }
        self.storm.store(false, Ordering::SeqCst);
        for n in 0..self.drivers.len() {
            if let Some(driver) = self.drivers[n].take() {
                driver.shutdown().await.unwrap();
            }
        }
        self.drivers = vec![Some(self.start_driver())];
    }

    async fn calm_down(&self) {
        for _ in 0..600 {
            let rows = self.store.rows();
            let calm = |row: &Row| match row.state {
                RowState::Unadopted => row.name == PROTECTED,
                state => state.is_settled() && row.due_at.is_none(),
            };
            if rows.iter().all(calm) {
                return;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        panic!("never calms down: {:#?}", self.store.rows());
    }

    fn check(&self) {
        self.store.rows().iter().for_each(check_receipts);
        let mut expected: BTreeSet<String> = self.people.keys().cloned().collect();
        for (name, before) in &self.foreign {
            if self.adopted.contains(name) {
                continue;
            }
            expected.insert(name.clone());
            let now = self.router.worker(name).unwrap().attributes.unwrap();
            assert_eq!(&now, before, "the worker {name} is not ours");
        }
        let there: Vec<String> = self.router.workers().iter().map(|worker| fold(&worker.friendly_name)).collect();
        let once: BTreeSet<String> = there.iter().cloned().collect();
        // A worker whose person never came stays as it was.
        let untouched = |name: &String| self.foreign.contains_key(name) && !self.people.contains_key(name);
        assert_eq!(there.len(), once.len(), "doubled: {there:?}");
        let surplus: Vec<_> = once.difference(&expected).filter(|name| !untouched(name)).collect();
        assert!(surplus.is_empty(), "should be gone: {surplus:?}");
        let missing: Vec<_> = expected.difference(&once).collect();
        assert!(missing.is_empty(), "missing: {missing:?}");
        for (name, desired) in &self.people {
            self.check_person(name, desired);
        }
    }

    fn check_person(&self, name: &str, desired: &DesiredWorker) {
        let worker = self.router.worker(name).unwrap();
        assert_eq!(worker.friendly_name, desired.friendly_name);
        let mut attributes = worker.attributes.unwrap();
        if let Some(theirs) = attributes.shift_remove("theirs") {
            // The worker of the first Ana, who may have another name by now.
            assert_eq!(theirs, json!(1));
            if !desired.attributes.contains_key("site") {
                // West is theirs until we have written the key; afterwards it is ours to remove.
                attributes.shift_remove("site");
            }
        }
        let (found, wanted) = (Value::Object(attributes), Value::Object(desired.attributes.clone()));
        assert!(same_value(&found, &wanted), "{name}: {found} should be {wanted}");
        for (channel, is) in self.router.channels_of(&worker.sid) {
            match desired.channels.get(&channel) {
                Some(capacity) => assert_eq!(is, granted(*capacity), "{name} {channel}"),
                None => assert!(
                    is == LOST_CHANNEL || is.capacity == 10 || channel == "voice" || is.capacity == 1,
                    "{name} keeps {channel}: {is:?}"
                ),
            }
        }
    }
}

/// Every leaving but the present one was ended by coming back, or is verified; none is left open.
fn check_receipts(row: &Row) {
    let name = &row.name;
    for receipt in &row.receipts {
        let times = [Some(receipt.accepted_at), receipt.unavailable_at, receipt.removed_at, receipt.verified_at];
        let known: Vec<_> = times.into_iter().flatten().collect();
        assert!(known.is_sorted(), "{name}: {receipt:?}");
        assert!(receipt.ending.is_some(), "{name} is still open: {receipt:?}");
        assert_eq!(receipt.ending == Some(Ending::Verified), receipt.verified_at.is_some(), "{name}: {receipt:?}");
    }
    if row.desired.is_none() && row.desired_version > 0 {
        let last = row.receipts.last().unwrap();
        assert_eq!(last.version, row.desired_version, "{name}: {last:?}");
        assert_ne!(last.ending, Some(Ending::Superseded), "{name}: {last:?}");
    }
}

/// Lives one life; returns all calls that arrived at TaskRouter.
fn simulate(seed: u64) -> Vec<MemoryCall> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let mut world = World::new(seed).await;
        world.live().await;
        world.calm_down().await;
        world.check();
        world.router.calls()
    })
}

#[test]
fn a_seed_replays_exactly() {
    for seed in [3, 14, 159] {
        let calls = simulate(seed);
        assert!(calls.len() > 20);
        assert_eq!(calls, simulate(seed), "seed {seed}");
    }
}

#[test]
fn everybody_converges_whatever_happens() {
    for seed in 0..200 {
        if let Err(panic) = std::panic::catch_unwind(|| simulate(seed)) {
            let text = panic.downcast_ref::<String>().cloned().unwrap_or_default();
            panic!("seed {seed}: {text}");
        }
    }
}
