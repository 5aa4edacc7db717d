//! The calls of a walk: one at a time, within its share, repeated while that may help.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{InventoryPorts, InventorySettings, WalkError};
use crate::base::AccountId;
use crate::reconcile::backoff::Backoff;
use crate::store::inventory;
use crate::store::inventory::rows;
use crate::taskrouter::{Channel, ErrorKind, PageToken, TaskRouter, TaskRouterError, Worker, WorkerPage, WorkerSid};

/// How long the lease of a walk lasts: longer than any call, so that it is renewed between two.
pub(super) const LEASE: Duration = Duration::from_mins(1);
/// The lease is renewed when this much of it has gone by.
const RENEW_AFTER: Duration = Duration::from_secs(15);
/// Calls a second that TaskRouter is taken to bear while nothing is known of it.
const SUPPOSED_RATE: f64 = 100.0;
/// What is left of a walk's share while changes wait.
const WHILE_OTHERS_WAIT: f64 = 0.1;
/// How often it is looked whether changes wait.
const LOOK: Duration = Duration::from_secs(1);
/// Unused calls are kept for this long.
const BURST: Duration = Duration::from_secs(1);
/// A call that failed this often in a row ends the walk.
const MOST_FAILURES: u32 = 8;
const BACKOFF: Backoff = Backoff { first: Duration::from_millis(200), cap: Duration::from_secs(5) };

/// TaskRouter, as a walk may call it.
pub(super) struct Calls<'a> {
    ports: &'a InventoryPorts,
    account: AccountId,
    walk: &'a str,
    router: Arc<dyn TaskRouter>,
    share: f64,
    stop: CancellationToken,
    next: Instant,
    renewed: Instant,
    looked: Option<(Instant, bool)>,
    failures: u32,
    /// Calls that were made.
    pub(super) made: u64,
}

impl<'a> Calls<'a> {
    pub(super) fn new(
        ports: &'a InventoryPorts,
        account: AccountId,
        walk: &'a str,
        router: Arc<dyn TaskRouter>,
        settings: &InventorySettings,
        stop: CancellationToken,
    ) -> Self {
        let now = Instant::now();
        Self {
            ports,
            account,
            walk,
            router,
            share: settings.share,
            stop,
            next: now,
            renewed: now,
            looked: None,
            failures: 0,
            made: 0,
        }
    }

    pub(super) async fn list(&mut self, page: Option<&PageToken>) -> Result<WorkerPage, WalkError> {
        loop {
            self.turn().await?;
            match self.router.list_workers(page).await {
                Ok(answer) => return Ok(self.answered(answer)),
                Err(error) => self.failed(error).await?,
            }
        }
    }

    /// A worker, with its attributes. One whose attributes cannot be read fails with [`ErrorKind::Permanent`].
    pub(super) async fn fetch(&mut self, sid: &WorkerSid) -> Result<Option<Worker>, WalkError> {
        loop {
            self.turn().await?;
            match self.router.fetch_worker(sid).await {
                Ok(answer) => return Ok(self.answered(answer)),
                Err(error) => self.failed(error).await?,
            }
        }
    }

    pub(super) async fn find(&mut self, name: &str) -> Result<Option<Worker>, WalkError> {
        loop {
            self.turn().await?;
            match self.router.find_worker(name).await {
                Ok(answer) => return Ok(self.answered(answer)),
                Err(error) => self.failed(error).await?,
            }
        }
    }

    /// The channels of a worker; none: there is no such worker.
    pub(super) async fn channels(&mut self, sid: &WorkerSid) -> Result<Option<BTreeMap<String, Channel>>, WalkError> {
        loop {
            self.turn().await?;
            match self.router.channels(sid).await {
                Ok(channels) => {
                    let by_name = channels.into_iter().map(|channel| (channel.unique_name, channel.channel));
                    return Ok(Some(self.answered(by_name.collect())));
                }
                Err(error) if error.kind == ErrorKind::NotFound => return Ok(self.answered(None)),
                Err(error) => self.failed(error).await?,
            }
        }
    }

    fn answered<T>(&mut self, answer: T) -> T {
        self.failures = 0;
        answer
    }

    /// Waits before the same call is made again, if that may help. Every call of a walk reads, so none has an outcome that
    /// would have to be found out first.
    async fn failed(&mut self, error: TaskRouterError) -> Result<(), WalkError> {
        self.failures += 1;
        let passes = matches!(error.kind, ErrorKind::Retryable | ErrorKind::Ambiguous);
        if !passes || self.failures >= MOST_FAILURES {
            self.failures = 0;
            return Err(error.into());
        }
        self.pause(BACKOFF.wait(&self.ports.ambient, self.failures, error.retry_after)).await
    }

    /// Waits for the turn of the next call.
    async fn turn(&mut self) -> Result<(), WalkError> {
        let gap = Duration::from_secs_f64(1.0 / self.rate().await?);
        let now = Instant::now();
        let slot = self.next.max(now.checked_sub(BURST).unwrap_or(now));
        self.next = slot + gap;
        self.pause(slot.saturating_duration_since(now)).await?;
        self.made += 1;
        Ok(())
    }

    /// Calls a second.
    async fn rate(&mut self) -> Result<f64, WalkError> {
        let waiting = match self.looked {
            Some((at, waiting)) if at.elapsed() < LOOK => waiting,
            _ => {
                let waiting = rows::any_waiting(self.ports.store.read(), self.account).await?;
                self.looked = Some((Instant::now(), waiting));
                waiting
            }
        };
        let share = if waiting { self.share * WHILE_OTHERS_WAIT } else { self.share };
        // Never so slow that a page takes longer than the lease.
        Ok((self.router.rate().unwrap_or(SUPPOSED_RATE) * share).max(0.05))
    }

    /// Waits, and keeps the lease meanwhile.
    async fn pause(&mut self, wait: Duration) -> Result<(), WalkError> {
        let until = Instant::now() + wait;
        loop {
            self.keep_lease().await?;
            let step = until.min(Instant::now() + RENEW_AFTER);
            if self.stop.run_until_cancelled(tokio::time::sleep_until(step)).await.is_none() {
                return Err(WalkError::Stopped);
            }
            if step >= until {
                return Ok(());
            }
        }
    }

    /// Renews the lease if it is time to.
    pub(super) async fn keep_lease(&mut self) -> Result<(), WalkError> {
        if self.renewed.elapsed() < RENEW_AFTER {
            return Ok(());
        }
        let asked = Instant::now();
        let (account, walk) = (self.account, Arc::<str>::from(self.walk));
        let held = self
            .ports
            .store
            .keep(move |tx| {
                let walk = Arc::clone(&walk);
                Box::pin(async move { inventory::renew(tx, account, &walk, LEASE).await })
            })
            .await?;
        if !held {
            return Err(WalkError::LeaseLost);
        }
        self.renewed = asked;
        Ok(())
    }
}
