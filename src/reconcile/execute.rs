//! One attempt at bringing one worker about.
//!
//! An attempt looks, plans, acts, and plans again until nothing is left to do. It ends at the first failure; repeating is
//! the driver's business. Two rules keep it from doing anything twice:
//!
//! - A write whose outcome is unknown ends the attempt and makes the row *unsure*, exactly as a crash does. The next
//!   attempt at an unsure row reads everything that it would write (the worker by SID or by name, and its channels) and
//!   writes only what differs.
//! - No write begins on a lease that is about to lapse.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::backoff::Backoff;
use super::desired_store::{Claimed, DesiredStore, DesiredStoreError, Footprint, Known, Outcome, Refused};
use super::lease::LeaseClock;
use super::observe::{Effect, Observer};
use super::plan::{self, Action, Observed, PlanPolicy, Refusal, WorkerState};
use super::receipt::Stages;
use crate::base::{Ambient, fold};
use crate::domain::LeaverPolicy;
use crate::domain::worker::{Applied, DesiredWorker};
use crate::taskrouter::{ErrorKind, TaskRouter, TaskRouterError, WorkerSid};

mod actions;
mod look;
mod workspace;

#[cfg(test)]
mod tests;

pub use workspace::WorkspaceFacts;

/// A row that is only refused for the number of calls backs off as after this many failures at most.
const THROTTLED_FAILURES: u32 = 3;

/// What the operator decided about attempts.
#[derive(Clone, Debug)]
pub struct ExecuteSettings {
    /// Workers with one of these values in `roles` are never adopted, and never removed.
    pub protected_roles: BTreeSet<String>,
    /// The wait after a failure that may pass by itself.
    pub backoff: Backoff,
    /// The wait after a refusal that will not.
    pub refused_retry: Duration,
    /// How long after a doubtful outcome the worker is looked at once more.
    pub recheck: Duration,
    /// For how long after somebody left a worker that stays offline is looked at again and again.
    pub watch: Duration,
}

impl Default for ExecuteSettings {
    fn default() -> Self {
        Self {
            protected_roles: ["admin", "flex.readonlyadmin", "flex.readteams"].map(str::to_owned).into(),
            backoff: Backoff { first: Duration::from_millis(200), cap: Duration::from_secs(30) },
            refused_retry: Duration::from_mins(5),
            recheck: Duration::from_secs(30),
            // A Flex token lives for an hour: until then an open page can make the worker available.
            watch: Duration::from_mins(70),
        }
    }
}

/// All that an attempt needs.
pub struct Attempt<'a> {
    /// The row.
    pub claimed: &'a Claimed,
    /// Tells whose worker one is.
    pub store: &'a dyn DesiredStore,
    /// The account's TaskRouter.
    pub router: &'a dyn TaskRouter,
    /// What is known of its workspace.
    pub workspace: &'a WorkspaceFacts,
    /// What the operator decided.
    pub settings: &'a ExecuteSettings,
    /// What the account wants done with leavers.
    pub leavers: LeaverPolicy,
    /// Jitter.
    pub ambient: &'a Ambient,
    /// Whether we may go on.
    pub lease: &'a LeaseClock,
    /// Takes what must survive a crash, without waiting for it to be stored.
    pub progress: &'a (dyn Fn(Known) + Send + Sync),
    /// Is told of confirmed writes.
    pub observer: &'a dyn Observer,
}

impl Attempt<'_> {
    /// When to look again at somebody with work in hand: soon at first, and when the time for it is over.
    fn drain_wait(&self) -> Duration {
        let age = self.claimed.age;
        let pause = (age / 4).clamp(DRAIN_LOOKS.0, DRAIN_LOOKS.1);
        pause.min(self.leavers.drain.saturating_sub(age)).max(DRAIN_LOOKS.0)
    }
}

/// How an attempt ended.
#[derive(Debug)]
pub struct Finished {
    /// What to record.
    pub outcome: Outcome,
    /// TaskRouter refused the credentials: no other row of this account will fare better.
    pub unauthorized: bool,
    /// Which stages of a removal were seen.
    pub stages: Stages,
}

/// The shortest and the longest pause between two looks at somebody with work in hand.
const DRAIN_LOOKS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// More rounds than any sequence of answers needs; whoever exceeds them races with somebody else.
const MAX_ROUNDS: usize = 6;

/// Makes one attempt.
pub async fn execute(attempt: &Attempt<'_>) -> Finished {
    let mut run = Run::new(attempt);
    let end = run.converge().await;
    let stages = run.stages;
    match end {
        Ok(()) => Finished { outcome: run.settled(), unauthorized: false, stages },
        Err(stop) => run.stopped(stop),
    }
}

/// Why an attempt ends early.
enum Stop {
    /// A call failed.
    Call(TaskRouterError),
    /// It cannot be done.
    Refused(Refused, String),
    /// It has to be tried again.
    Later(String),
}

impl From<TaskRouterError> for Stop {
    fn from(error: TaskRouterError) -> Self {
        Self::Call(error)
    }
}

impl From<DesiredStoreError> for Stop {
    fn from(error: DesiredStoreError) -> Self {
        Self::Later(error.to_string())
    }
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        let why = match refusal {
            Refusal::Unadopted { .. } => Refused::Unadopted,
            Refusal::Protected { .. } => Refused::Protected,
            Refusal::AttributesTooLong { .. } => Refused::Invalid,
        };
        Self::Refused(why, refusal.to_string())
    }
}

/// Whether the rest of the plan still holds.
#[derive(PartialEq, Eq)]
enum Next {
    Go,
    Replan,
}

struct Run<'a> {
    at: &'a Attempt<'a>,
    desired: Option<&'a DesiredWorker>,
    known: Known,
    /// Whether writes of unknown outcome may be behind us, so that the record is not to be trusted.
    unsure: bool,
    observed: Observed,
    /// Whether offers that blocked the removal were rejected in this attempt.
    rejected_offers: bool,
    /// The first channel that TaskRouter refuses; the others are set all the same.
    refused_channel: Option<TaskRouterError>,
    /// Whether TaskRouter has confirmed a write in this attempt.
    got_on: AtomicBool,
    /// Which stages of a removal were seen.
    stages: Stages,
}

impl<'a> Run<'a> {
    fn new(at: &'a Attempt<'a>) -> Self {
        let claimed = at.claimed;
        let mut known = claimed.known.clone();
        if let Some(desired) = claimed.desired.as_ref().filter(|_| claimed.unsure) {
            known.widen(desired);
        }
        // A first creation needs no look: if the name is taken, TaskRouter says so.
        let untouched = known.sid.is_none() && !claimed.unsure;
        Self {
            at,
            desired: claimed.desired.as_ref(),
            known,
            unsure: claimed.unsure,
            observed: if untouched { Observed::Absent } else { Observed::Unknown },
            rejected_offers: false,
            refused_channel: None,
            got_on: AtomicBool::new(false),
            stages: Stages::default(),
        }
    }

    /// Whether the worker of somebody who left stays offline. One that never got the name of its person, because the leaving came
    /// first, does not: it would keep that name from whoever is to have it.
    fn keeps(&self) -> bool {
        let claimed = &self.at.claimed;
        let is_named = |state: &WorkerState| fold(&state.friendly_name) == fold(&claimed.name);
        claimed.keep && !matches!(&self.observed, Observed::Ours(state) if !is_named(state))
    }

    async fn converge(&mut self) -> Result<(), Stop> {
        let policy = PlanPolicy {
            protected_roles: self.at.settings.protected_roles.clone(),
            drain: self.at.leavers.drains_at(self.at.claimed.age),
            ..PlanPolicy::default()
        };
        for _ in 0..MAX_ROUNDS {
            if let (None, Observed::Ours(state)) = (self.desired, &self.observed)
                && plan::is_out(state)
            {
                self.stages.unavailable();
            }
            let policy = PlanPolicy { keep_offline: self.keeps(), ..policy.clone() };
            let actions = plan::plan(self.desired, &self.known.footprint.applied, &self.observed, &policy)?;
            if actions.is_empty() {
                return Ok(());
            }
            for action in actions {
                if self.perform(action).await? == Next::Replan {
                    break;
                }
            }
            if let Some(refused) = self.refused_channel.take() {
                return Err(Stop::Refused(Refused::Invalid, refused.to_string()));
            }
        }
        Err(Stop::Later("the worker keeps changing while we write it".to_owned()))
    }

    fn settled(self) -> Outcome {
        let claimed = self.at.claimed;
        let recheck = (claimed.unsure && !claimed.settled_before).then_some(self.at.settings.recheck);
        if let Some(desired) = self.desired {
            let mut known = self.known;
            if recheck.is_none() {
                known.footprint.applied = desired.applied();
                known.footprint.creations.clear();
            }
            return Outcome::InStep { known, recheck };
        }
        if let (true, Observed::Ours(_)) = (claimed.keep, &self.observed) {
            // Looked at at growing intervals; afterwards it is for the walk over all workers to notice.
            let after = (claimed.age < self.at.settings.watch).then(|| claimed.age.max(self.at.settings.recheck));
            return Outcome::Kept { known: self.known, after };
        }
        // Only a lost creation can bring a worker back.
        match recheck.filter(|_| !self.known.footprint.creations.is_empty()) {
            Some(_) => {
                let footprint = Footprint { creations: self.known.footprint.creations, ..Footprint::default() };
                Outcome::Removed { known: Known { sid: None, footprint }, recheck }
            }
            None => Outcome::Removed { known: Known::default(), recheck: None },
        }
    }

    fn stopped(self, stop: Stop) -> Finished {
        let stages = self.stages;
        let settings = self.at.settings;
        let attempts = self.at.claimed.attempts.saturating_add(1);
        // Whoever gets on is not stuck, and what was refused for its number is slowed down by the client for all rows
        // together: neither is a reason for this row to wait longer and longer.
        let throttled = matches!(&stop, Stop::Call(error) if error.status == Some(429));
        let failures = match (self.got_on.load(Ordering::Relaxed), throttled) {
            (true, _) => 1,
            (false, true) => attempts.min(THROTTLED_FAILURES),
            (false, false) => attempts,
        };
        let retry = |known, unsure, requested, error| Outcome::Retry {
            known,
            unsure,
            attempts,
            after: settings.backoff.wait(self.at.ambient, failures, requested),
            error,
        };
        let refused = |known, why, error| Outcome::Refused {
            known,
            why,
            // Waiting for work in hand is no failure.
            attempts: if why == Refused::Draining { self.at.claimed.attempts } else { attempts },
            // Work in hand ends sooner or later; input does not become valid by itself.
            after: match why {
                Refused::Blocked => settings.backoff.wait(self.at.ambient, attempts, None),
                Refused::Draining => self.at.drain_wait(),
                _ => settings.refused_retry + self.at.ambient.jitter(settings.refused_retry / 10),
            },
            error,
        };
        let mut unauthorized = false;
        let outcome = match stop {
            Stop::Later(error) => retry(self.known, self.unsure, None, error),
            Stop::Refused(why, error) => refused(self.known, why, error),
            Stop::Call(error) => match error.kind {
                ErrorKind::Permanent | ErrorKind::Conflict => refused(self.known, Refused::Invalid, error.to_string()),
                ErrorKind::Blocked => refused(self.known, Refused::Blocked, error.to_string()),
                ErrorKind::Retryable
                | ErrorKind::Ambiguous
                | ErrorKind::Unauthorized
                | ErrorKind::Stale
                | ErrorKind::NotFound => {
                    unauthorized = error.kind == ErrorKind::Unauthorized;
                    retry(self.known, self.unsure, error.retry_after, error.to_string())
                }
            },
        };
        Finished { outcome, unauthorized, stages }
    }

    /// Notes that a write of unknown outcome may have brought about all that is desired.
    fn doubt(&mut self, error: &TaskRouterError) {
        if error.kind == ErrorKind::Ambiguous {
            self.unsure = true;
            if let Some(desired) = self.desired {
                self.known.widen(desired);
            }
        }
    }

    fn effect(&self, action: &Action) {
        self.got_on.store(true, Ordering::Relaxed);
        let Claimed { account, worker, .. } = *self.at.claimed;
        self.at.observer.effect(&Effect { account, worker, action: action.as_str() });
    }

    fn report_progress(&self) {
        (self.at.progress)(self.known.clone());
    }

    /// Whether a worker is recorded as somebody else's.
    async fn is_held_by_another(&self, sid: &WorkerSid) -> Result<bool, Stop> {
        let holder = self.at.store.holder(self.at.claimed.account, sid).await?;
        Ok(holder.is_some_and(|holder| holder != self.at.claimed.worker))
    }

    /// Takes a worker for ours from now on.
    fn own(&mut self, state: WorkerState) {
        self.known.sid = Some(state.sid.clone());
        self.observed = Observed::Ours(state);
    }

    /// Nothing of ours is left at TaskRouter.
    fn forget(&mut self) {
        self.known.sid = None;
        self.known.footprint.applied = Applied::default();
    }
}
