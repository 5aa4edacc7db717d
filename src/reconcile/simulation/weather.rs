//! Dice, and what makes a TaskRouter and a store take time and go wrong.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;

use crate::base::{AccountId, Ambient, WorkerId};
use crate::reconcile::desired_store::{
    ClaimRequest, Claimed, DesiredStore, DesiredStoreError, LeaseId, Record, Recorded,
};
use crate::reconcile::memory_store::MemoryStore;
use crate::taskrouter::memory::MemoryTaskRouter;
use crate::taskrouter::{
    Activity, Channel, ETag, ErrorKind, NewWorker, Operation, PageToken, Reservation, Result, TaskRouter,
    TaskRouterError, Worker, WorkerChannel, WorkerPage, WorkerSid, WorkerUpdate, Workspace,
};

/// Shared dice.
#[derive(Clone)]
pub(super) struct Dice(pub(super) Ambient);

impl Dice {
    pub(super) fn below(&self, n: u64) -> u64 {
        u64::from_le_bytes(self.0.bytes::<8>()) % n
    }

    pub(super) fn pick<'a, T>(&self, choices: &'a [T]) -> &'a T {
        &choices[usize::try_from(self.below(choices.len() as u64)).unwrap_or(0)]
    }

    pub(super) fn millis(&self, below: u64) -> Duration {
        Duration::from_millis(self.below(below))
    }
}

/// Makes the calls to a workspace take time and go wrong.
pub(super) struct Weather {
    pub(super) inner: Arc<MemoryTaskRouter>,
    pub(super) dice: Dice,
    pub(super) storm: Arc<AtomicBool>,
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

    async fn activities(&self) -> Result<Vec<Activity>> {
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
pub(super) struct ShakyStore {
    pub(super) inner: Arc<MemoryStore>,
    pub(super) dice: Dice,
    pub(super) storm: Arc<AtomicBool>,
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
