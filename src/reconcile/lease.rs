//! How long we may go on working on a claimed row, by our own monotonic clock.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// The end of a lease as its holder has to see it: counted from before the call that got or renewed it, so that it is never
/// later than the store's.
#[derive(Debug)]
pub struct LeaseClock {
    until: Mutex<Instant>,
    margin: Duration,
}

impl LeaseClock {
    /// A lease that was asked for at `asked`.
    #[must_use]
    pub fn new(asked: Instant, lease_for: Duration) -> Self {
        // A lease is renewed when two thirds are left. Less than one third says that renewing fails.
        Self { until: Mutex::new(asked + lease_for), margin: lease_for / 3 }
    }

    /// The lease was renewed by a call that began at `asked`.
    pub fn prolong(&self, asked: Instant, lease_for: Duration) {
        let mut until = self.until.lock().unwrap_or_else(PoisonError::into_inner);
        *until = (*until).max(asked + lease_for);
    }

    /// Whether enough is left to begin another write.
    #[must_use]
    pub fn allows_a_write(&self) -> bool {
        Instant::now() + self.margin <= *self.until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
