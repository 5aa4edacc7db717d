//! When to try again.

use std::time::Duration;

use crate::base::Ambient;

/// Exponential backoff with full jitter: evenly drawn from nothing up to a ceiling that doubles with each failure.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    /// The ceiling after the first failure.
    pub first: Duration,
    /// The highest ceiling.
    pub cap: Duration,
}

impl Backoff {
    /// The ceiling after a number of failures (at least one).
    #[must_use]
    pub fn ceiling(&self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        self.first.saturating_mul(1 << doublings).min(self.cap)
    }

    /// How long to wait after a number of failures.
    ///
    /// What TaskRouter asks for (`Retry-After`) is honoured: the jitter comes on top, so that not all come back at the same
    /// instant. It is limited to [`Self::LONGEST_REQUESTED`], because a row that waits for a day is as good as lost.
    #[must_use]
    pub fn wait(&self, ambient: &Ambient, failures: u32, requested: Option<Duration>) -> Duration {
        let jitter = ambient.jitter(self.ceiling(failures));
        match requested {
            Some(requested) => requested.min(Self::LONGEST_REQUESTED) + jitter.min(requested),
            None => jitter,
        }
    }

    /// The longest `Retry-After` that is honoured.
    pub const LONGEST_REQUESTED: Duration = Duration::from_mins(5);
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::base::{MockClock, SeededEntropy, Timestamp};

    const BACKOFF: Backoff = Backoff { first: Duration::from_millis(200), cap: Duration::from_secs(30) };

    #[test]
    fn the_ceiling_doubles_up_to_the_cap() {
        let ceilings: Vec<u128> = (0..10).map(|n| BACKOFF.ceiling(n).as_millis()).collect();
        assert_eq!(ceilings, [200, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 30_000]);
        assert_eq!(BACKOFF.ceiling(u32::MAX), BACKOFF.cap);
    }

    #[test]
    fn waits_stay_below_the_ceiling_and_honour_retry_after() {
        let ambient = Ambient::new(Arc::new(MockClock::new(Timestamp::default())), Arc::new(SeededEntropy::new(5)));
        let asked = Duration::from_secs(7);
        for n in 1..200 {
            assert!(BACKOFF.wait(&ambient, n, None) <= BACKOFF.ceiling(n));
            let wait = BACKOFF.wait(&ambient, n, Some(asked));
            assert!(wait >= asked && wait <= asked * 2);
        }
        let day = Duration::from_hours(24);
        assert!(BACKOFF.wait(&ambient, 1, Some(day)) <= Backoff::LONGEST_REQUESTED + BACKOFF.first);
    }
}
