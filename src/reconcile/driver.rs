//! The loop that keeps TaskRouter in step: claims due rows, makes attempts, stores how they ended.
//!
//! One driver per process is enough; several, in one process or in many, share the work through leases. Nobody leads.
//! A wake-up makes it look at once; looking every [`DriverSettings::poll`] makes sure that nothing is missed.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc, watch};
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::Routers;
use super::desired_store::{Claimed, DesiredStore, DesiredStoreError};
use super::execute::{ExecuteSettings, WorkspaceFacts};
use super::observe::Observer;
use crate::base::{AccountId, Ambient};
use held::Held;
use queue::{Queue, Ticket};
use recorder::{Acknowledged, Report};

mod attempt;
mod held;
mod queue;
mod recorder;
mod steps;

#[cfg(test)]
mod tests;

/// How the driver works.
#[derive(Clone, Debug)]
pub struct DriverSettings {
    /// Attempts at the same time.
    pub concurrency: usize,
    /// Attempts beyond [`Self::concurrency`] that only leavers may use, so that hanging calls of others never block them.
    pub leaver_reserve: usize,
    /// Attempts beyond both that only accounts may use which have none under way, so that an account whose TaskRouter hangs
    /// does not block the others.
    pub account_reserve: usize,
    /// How many rows are claimed ahead of the free places.
    pub claim_ahead: usize,
    /// How long a claim lasts; renewed when a third of it has gone by.
    pub lease: Duration,
    /// How often the store is looked at without being woken.
    pub poll: Duration,
    /// How long an account is left alone whose credentials are refused.
    pub unauthorized_pause: Duration,
    /// How long to wait for attempts under way when stopping.
    pub grace: Duration,
    /// Whether it starts paused.
    pub paused: bool,
    /// About attempts.
    pub execute: ExecuteSettings,
}

impl Default for DriverSettings {
    fn default() -> Self {
        Self {
            concurrency: 16,
            leaver_reserve: 4,
            account_reserve: 4,
            claim_ahead: 32,
            lease: Duration::from_secs(10),
            poll: Duration::from_millis(500),
            unauthorized_pause: Duration::from_secs(30),
            grace: Duration::from_secs(20),
            paused: false,
            execute: ExecuteSettings::default(),
        }
    }
}

/// Wakes the drivers of this process; whoever commits a changed desired worker calls it afterwards.
#[derive(Clone, Debug, Default)]
pub struct Wake(Arc<Notify>);

impl Wake {
    /// Makes a driver look for due rows now. Cheap, and harmless if there are none.
    pub fn wake(&self) {
        self.0.notify_one();
    }
}

/// What a driver needs from outside.
#[derive(Clone)]
pub struct DriverPorts {
    /// The desired workers.
    pub store: Arc<dyn DesiredStore>,
    /// The TaskRouter of each account.
    pub routers: Arc<dyn Routers>,
    /// Time and randomness.
    pub ambient: Ambient,
    /// Is told what happens.
    pub observer: Arc<dyn Observer>,
    /// Wakes the driver.
    pub wake: Wake,
}

/// A running driver. Dropping it kills the driver at once, as a crash would; see [`Self::shutdown`].
#[derive(Debug)]
pub struct DriverHandle {
    wake: Wake,
    paused: watch::Sender<bool>,
    stop: CancellationToken,
    main: AbortOnDropHandle<()>,
}

impl DriverHandle {
    /// Stops claiming and begins no attempt; those under way go on to their end.
    pub fn pause(&self) {
        self.paused.send_replace(true);
    }

    /// Goes on after [`Self::pause`].
    pub fn resume(&self) {
        self.paused.send_replace(false);
        self.wake.wake();
    }

    /// Whether it is paused.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        *self.paused.borrow()
    }

    /// Lets the attempts under way come to their end, stores all reports and gives back what was not begun.
    ///
    /// # Errors
    /// If the driver itself had failed.
    pub async fn shutdown(self) -> Result<(), JoinError> {
        self.stop.cancel();
        self.main.await
    }
}

/// Starts a driver on the present runtime.
#[must_use]
pub fn start(ports: DriverPorts, settings: DriverSettings) -> DriverHandle {
    let stop = CancellationToken::new();
    let (paused, pause_seen) = watch::channel(settings.paused);
    let wake = ports.wake.clone();
    let driver = Driver::new(ports, settings, pause_seen, stop.clone());
    DriverHandle { wake, paused, stop, main: AbortOnDropHandle::new(tokio::spawn(driver.run())) }
}

/// An attempt that ran to its end.
type Attempt = (Claimed, super::execute::Finished);

/// What a claim brought, and what was asked for.
struct ClaimAnswer {
    /// Whether everything that is due could have come.
    of_all: bool,
    limit: usize,
    asked: Instant,
    rows: Result<Vec<Claimed>, DesiredStoreError>,
}

struct Driver {
    ports: DriverPorts,
    settings: Arc<DriverSettings>,
    paused: watch::Receiver<bool>,
    stop: CancellationToken,
    held: Arc<Held>,
    queue: Queue,
    running: JoinSet<Attempt>,
    tickets: HashMap<tokio::task::Id, Ticket>,
    claiming: Option<AbortOnDropHandle<ClaimAnswer>>,
    facts: BTreeMap<AccountId, Arc<WorkspaceFacts>>,
    /// Accounts whose credentials were refused, and until when they are left alone.
    closed: BTreeMap<AccountId, Instant>,
    reports: mpsc::UnboundedSender<Report>,
    acks: mpsc::UnboundedReceiver<Acknowledged>,
    recorder: AbortOnDropHandle<()>,
    _heartbeat: AbortOnDropHandle<()>,
    /// Look at the store as soon as possible.
    woken: bool,
    /// The store has more due rows than fitted.
    more: bool,
    /// Look for accounts of which nothing is held, though there is no room for more of the others.
    newcomers: bool,
    last_look: Instant,
    /// When rows known to us become due, on a grid that begins with `epoch`.
    hints: BTreeSet<Instant>,
    epoch: Instant,
}

enum Event {
    Stop,
    Woken,
    Tick,
    Paused,
    Attempted(Box<Result<(tokio::task::Id, Attempt), JoinError>>),
    Claimed(Result<ClaimAnswer, JoinError>),
    Acknowledged(Acknowledged),
}

impl Driver {
    fn new(
        ports: DriverPorts,
        settings: DriverSettings,
        paused: watch::Receiver<bool>,
        stop: CancellationToken,
    ) -> Self {
        let held = Arc::new(Held::default());
        let (reports, to_record) = mpsc::unbounded_channel();
        let (acked, acks) = mpsc::unbounded_channel();
        let recorder = recorder::Recorder::new(&ports, Arc::clone(&held), acked);
        let heartbeat = held::heartbeat(Arc::clone(&ports.store), Arc::clone(&held), settings.lease);
        Self {
            held,
            queue: Queue::default(),
            running: JoinSet::new(),
            tickets: HashMap::new(),
            claiming: None,
            facts: BTreeMap::new(),
            closed: BTreeMap::new(),
            reports,
            acks,
            recorder: AbortOnDropHandle::new(tokio::spawn(recorder.run(to_record))),
            _heartbeat: AbortOnDropHandle::new(tokio::spawn(heartbeat)),
            woken: true,
            more: false,
            newcomers: false,
            last_look: Instant::now(),
            hints: BTreeSet::new(),
            epoch: Instant::now(),
            ports,
            settings: Arc::new(settings),
            paused,
            stop,
        }
    }

    async fn run(mut self) {
        loop {
            if !*self.paused.borrow() {
                self.begin_attempts();
                self.claim_if_wanted();
            }
            match self.next_event().await {
                Event::Stop => break,
                Event::Woken => self.woken = true,
                Event::Tick => self.ticked(),
                Event::Paused => self.give_back_queue(),
                Event::Attempted(done) => self.ended(*done),
                Event::Claimed(answer) => self.claimed(answer),
                Event::Acknowledged(ack) => self.acknowledged(&ack),
            }
        }
        self.wind_down().await;
    }

    async fn next_event(&mut self) -> Event {
        let tick = self.next_tick();
        tokio::select! {
            // In a fixed order, so that a simulation replays exactly.
            biased;
            () = self.stop.cancelled() => Event::Stop,
            Some(done) = self.running.join_next_with_id(), if !self.running.is_empty() => Event::Attempted(Box::new(done)),
            answer = answered(&mut self.claiming), if self.claiming.is_some() => Event::Claimed(answer),
            Some(ack) = self.acks.recv() => Event::Acknowledged(ack),
            Ok(()) = self.paused.changed() => Event::Paused,
            () = self.ports.wake.0.notified() => Event::Woken,
            () = tokio::time::sleep_until(tick) => Event::Tick,
        }
    }

    fn ended(&mut self, done: Result<(tokio::task::Id, Attempt), JoinError>) {
        match done {
            Ok((id, (claimed, finished))) => self.attempted(id, &claimed, finished),
            Err(error) => self.attempt_broke(&error),
        }
    }

    /// Ends attempts, stores reports, gives back the rest.
    async fn wind_down(mut self) {
        if let Some(answer) = self.claiming.take() {
            self.claimed(answer.await);
        }
        self.give_back_queue();
        let deadline = Instant::now() + self.settings.grace;
        while let Ok(Some(done)) = tokio::time::timeout_at(deadline, self.running.join_next_with_id()).await {
            self.ended(done);
        }
        // What still runs is cut off, and comes back as unsure when its lease lapses.
        drop(self.running);
        drop(self.reports);
        if let Err(error) = self.recorder.await {
            tracing::error!(%error, "the recorder of attempts broke");
        }
    }
}

async fn answered(claiming: &mut Option<AbortOnDropHandle<ClaimAnswer>>) -> Result<ClaimAnswer, JoinError> {
    match claiming {
        Some(handle) => {
            let answer = handle.await;
            *claiming = None;
            answer
        }
        None => std::future::pending().await,
    }
}
