//! Watching the reconciler at work: for the demo, for tests and for metrics.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::desired_store::RowState;
use crate::base::{AccountId, Histogram, WorkerId};
use crate::taskrouter::WorkerSid;

/// A write that TaskRouter has confirmed.
#[derive(Clone, Debug)]
pub struct Effect {
    /// The account.
    pub account: AccountId,
    /// The row.
    pub worker: WorkerId,
    /// The kind of step, see [`super::plan::Action::as_str`].
    pub action: &'static str,
}

/// An attempt whose end is stored.
#[derive(Clone, Debug)]
pub struct Attempted {
    /// The account.
    pub account: AccountId,
    /// The row.
    pub worker: WorkerId,
    /// The worker's name.
    pub name: String,
    /// Whether the worker was to go.
    pub leaver: bool,
    /// The worker's SID, if it has one now.
    pub sid: Option<WorkerSid>,
    /// Where the row stands.
    pub state: RowState,
    /// From the change of the desired worker to now; known when the worker has just become as desired.
    pub latency: Option<Duration>,
    /// Why it failed, if it did.
    pub error: Option<String>,
}

/// Is told what happens. Called in the middle of things: it must not wait.
pub trait Observer: Send + Sync {
    /// A write was confirmed by TaskRouter.
    fn effect(&self, effect: &Effect);
    /// The end of an attempt was stored.
    fn attempted(&self, attempted: &Attempted);
}

/// An observer that counts.
#[derive(Debug, Default)]
pub struct Stats(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    effects: BTreeMap<&'static str, u64>,
    ends: BTreeMap<(AccountId, &'static str), u64>,
    settled: BTreeMap<AccountId, u64>,
    leavers: Histogram,
    others: Histogram,
    latencies: Vec<Duration>,
    next: usize,
}

/// What [`Stats`] has counted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StatsSummary {
    /// Writes confirmed by TaskRouter, by kind of step.
    pub effects: BTreeMap<&'static str, u64>,
    /// Attempts, by the state they led to.
    pub attempts: BTreeMap<&'static str, u64>,
    /// The same for each account.
    pub by_account: BTreeMap<(AccountId, &'static str), u64>,
    /// From the change to the worker's being gone, for those that were to go.
    pub leavers: Histogram,
    /// From the change to the worker's being as desired, for all others.
    pub others: Histogram,
    /// Half of the workers became as desired within this time of the change.
    pub p50: Option<Duration>,
    /// 95 of 100 did.
    pub p95: Option<Duration>,
    /// All of them did.
    pub max: Option<Duration>,
}

impl StatsSummary {
    /// All writes confirmed by TaskRouter.
    #[must_use]
    pub fn total_effects(&self) -> u64 {
        self.effects.values().sum()
    }
}

impl Stats {
    /// Latencies are remembered for this many attempts; older ones are forgotten.
    const REMEMBERED: usize = 10_000;

    /// The counts so far.
    #[must_use]
    pub fn summary(&self) -> StatsSummary {
        let counts = self.lock();
        let mut sorted = counts.latencies.clone();
        sorted.sort_unstable();
        StatsSummary {
            effects: counts.effects.clone(),
            attempts: counts.ends.iter().fold(BTreeMap::new(), |mut all, ((_, state), n)| {
                *all.entry(*state).or_default() += n;
                all
            }),
            by_account: counts.ends.clone(),
            leavers: counts.leavers.clone(),
            others: counts.others.clone(),
            p50: percentile(&sorted, 50),
            p95: percentile(&sorted, 95),
            max: sorted.last().copied(),
        }
    }

    /// Workers that became as desired since this was asked last, for each account.
    pub fn take_settled(&self) -> BTreeMap<AccountId, u64> {
        std::mem::take(&mut self.lock().settled)
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for Stats {
    fn effect(&self, effect: &Effect) {
        *self.lock().effects.entry(effect.action).or_default() += 1;
    }

    fn attempted(&self, attempted: &Attempted) {
        let mut counts = self.lock();
        *counts.ends.entry((attempted.account, attempted.state.as_str())).or_default() += 1;
        let Some(latency) = attempted.latency else { return };
        *counts.settled.entry(attempted.account).or_default() += 1;
        if attempted.leaver { &mut counts.leavers } else { &mut counts.others }.record(latency);
        if counts.latencies.len() < Self::REMEMBERED {
            counts.latencies.push(latency);
        } else {
            let slot = counts.next;
            counts.latencies[slot] = latency;
            counts.next = (slot + 1) % Self::REMEMBERED;
        }
    }
}

/// The smallest value that at least `percent` of the values do not exceed.
fn percentile(sorted: &[Duration], percent: usize) -> Option<Duration> {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_by_nearest_rank() {
        let values: Vec<Duration> = (1..=20).map(Duration::from_secs).collect();
        assert_eq!(percentile(&values, 50), Some(Duration::from_secs(10)));
        assert_eq!(percentile(&values, 95), Some(Duration::from_secs(19)));
        assert_eq!(percentile(&values[..1], 95), Some(Duration::from_secs(1)));
        assert_eq!(percentile(&[], 50), None);
    }
}
