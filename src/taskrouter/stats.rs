//! Counters of the calls to `TaskRouter`.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::{ErrorKind, Operation, TaskRouterError};
use crate::base::Histogram;

/// What became of the calls of one operation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OperationCalls {
    /// Calls that succeeded.
    pub succeeded: u64,
    /// Calls that failed, by what the failure means.
    pub failed: BTreeMap<&'static str, u64>,
    /// All calls by the HTTP status of the answer, if there was one.
    pub statuses: BTreeMap<Option<u16>, u64>,
    /// The times to the answer.
    pub times: Histogram,
    /// The longest time to an answer.
    pub longest: Duration,
}

impl OperationCalls {
    /// All calls.
    pub fn total(&self) -> u64 {
        self.succeeded + self.failed.values().sum::<u64>()
    }
}

/// How fast a client may call now.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Allowance {
    /// Calls a second, if they are limited.
    pub rate: Option<f64>,
    /// Calls at a time.
    pub calls: usize,
    /// Calls that have their turn, and those that wait for their moment with it.
    pub in_flight: usize,
}

/// The calls since the start, at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallCounts {
    /// By operation; operations that were never called are absent.
    pub operations: BTreeMap<Operation, OperationCalls>,
    /// Calls that did not get their turn in time and were not sent.
    pub held_back: u64,
    /// Answers that asked to slow down (429).
    pub throttled: u64,
}

impl CallCounts {
    /// All calls that were sent.
    pub fn total(&self) -> u64 {
        self.operations.values().map(OperationCalls::total).sum()
    }

    /// The calls of one operation.
    pub fn of(&self, operation: Operation) -> u64 {
        self.operations.get(&operation).map_or(0, OperationCalls::total)
    }
}

/// Counts calls; shared between those who call and those who report.
#[derive(Debug, Default)]
pub struct CallStats(Mutex<CallCounts>);

impl CallStats {
    /// The counts now.
    pub fn counts(&self) -> CallCounts {
        self.with(|counts| counts.clone())
    }

    pub(super) fn record<T>(
        &self,
        operation: Operation,
        time: Duration,
        status: Option<u16>,
        result: &Result<T, TaskRouterError>,
    ) {
        self.with(|counts| {
            let calls = counts.operations.entry(operation).or_default();
            calls.times.record(time);
            *calls.statuses.entry(status).or_default() += 1;
            calls.longest = calls.longest.max(time);
            match result {
                Ok(_) => calls.succeeded += 1,
                Err(error) => *calls.failed.entry(ErrorKind::as_str(error.kind)).or_default() += 1,
            }
            if status == Some(429) {
                counts.throttled += 1;
            }
        });
    }

    pub(super) fn record_held_back(&self) {
        self.with(|counts| counts.held_back += 1);
    }

    fn with<T>(&self, job: impl FnOnce(&mut CallCounts) -> T) -> T {
        // Counters have no invalid state, so a holder that panicked spoils nothing.
        job(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
