//! What is written down about somebody's leaving while the worker is taken away.
//!
//! A receipt is begun by whoever says that there is to be no worker, in the same transaction, and goes with that one version
//! of the row. Attempts say which stages they have seen; the store turns that into its own time, as it does with leases.

use std::time::Duration;

use tokio::time::Instant;

use super::desired_store::Outcome;
use crate::base::Timestamp;

/// The stages of a removal that one attempt has seen, as moments of its own clock.
///
/// A stage that an earlier attempt has seen keeps the time of that one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stages {
    /// TaskRouter has confirmed that the worker gets no more work, or it was found so.
    pub unavailable: Option<Instant>,
    /// TaskRouter has confirmed the deletion, or the worker was found to be gone.
    pub removed: Option<Instant>,
    /// TaskRouter was asked for the worker, and has none.
    pub verified: Option<Instant>,
}

impl Stages {
    /// Notes that the worker gets no more work.
    pub fn unavailable(&mut self) {
        self.unavailable.get_or_insert_with(Instant::now);
    }

    /// Notes that the worker was deleted.
    pub fn removed(&mut self) {
        self.removed.get_or_insert_with(Instant::now);
    }

    /// Notes that TaskRouter shows no worker: whoever is gone gets no work either.
    pub fn verified(&mut self) {
        self.unavailable();
        self.removed();
        self.verified.get_or_insert_with(Instant::now);
    }

    /// How long ago the stages were, in their order.
    #[must_use]
    pub fn ages(&self) -> [Option<Duration>; 3] {
        [self.unavailable, self.removed, self.verified].map(|stage| stage.map(|at| at.elapsed()))
    }
}

/// How a receipt ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The worker is gone, read back from TaskRouter.
    Verified,
    /// The worker stays; it is offline and without routing, read back from TaskRouter.
    KeptOffline,
    /// There was no worker of ours.
    NoWorker,
    /// The person came back before the end.
    Superseded,
}

impl Ending {
    /// The stored name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Verified => "verified",
            Self::KeptOffline => "kept_offline",
            Self::NoWorker => "no_worker",
            Self::Superseded => "superseded",
        }
    }

    /// Reads a stored name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Verified, Self::KeptOffline, Self::NoWorker, Self::Superseded]
            .into_iter()
            .find(|ending| ending.as_str() == text)
    }

    /// How an outcome ends the receipt; none: it does not. A worker that a lost write may still bring back is not gone yet.
    #[must_use]
    pub const fn of(outcome: &Outcome, stages: &Stages) -> Option<Self> {
        match outcome {
            Outcome::Removed { recheck: None, .. } if stages.verified.is_some() => Some(Self::Verified),
            Outcome::Removed { recheck: None, .. } => Some(Self::NoWorker),
            Outcome::Kept { .. } => Some(Self::KeptOffline),
            _ => None,
        }
    }
}

/// A receipt, as far as the reconciler is concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The version of the row that desires no worker.
    pub version: i64,
    /// When that was said, and access ended.
    pub accepted_at: Timestamp,
    /// When the worker got no more work.
    pub unavailable_at: Option<Timestamp>,
    /// When the worker was deleted.
    pub removed_at: Option<Timestamp>,
    /// When the worker was found to be gone.
    pub verified_at: Option<Timestamp>,
    /// How it ended.
    pub ending: Option<Ending>,
}

impl Receipt {
    /// Begins one.
    #[must_use]
    pub const fn new(version: i64, accepted_at: Timestamp) -> Self {
        Self { version, accepted_at, unavailable_at: None, removed_at: None, verified_at: None, ending: None }
    }

    /// The person is back.
    pub fn supersede(&mut self) {
        self.ending.get_or_insert(Ending::Superseded);
    }

    /// Takes over what an attempt has seen.
    pub fn note(&mut self, outcome: &Outcome, stages: &Stages, now: Timestamp) {
        if self.ending.is_some() {
            return;
        }
        let [unavailable, removed, verified] = stages.ages().map(|age| age.map(|age| now.before(age)));
        self.unavailable_at = self.unavailable_at.or(unavailable);
        self.removed_at = self.removed_at.or(removed);
        // Without a worker that an earlier attempt knew of there was none.
        self.ending = match Ending::of(outcome, stages) {
            Some(Ending::NoWorker) if self.removed_at.is_some() => Some(Ending::Verified),
            ending => ending,
        };
        if matches!(self.ending, Some(Ending::Verified | Ending::KeptOffline)) {
            self.verified_at = Some(verified.unwrap_or(now));
        }
    }
}
