//! A clock that tests can move.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use rollcall::base::{Ambient, Clock, Timestamp};

/// Runs like the real one, ahead of it by what it was moved: what happens in the background goes on as usual.
#[derive(Debug)]
pub struct TestClock {
    real: Ambient,
    ahead: AtomicI64,
}

impl Default for TestClock {
    fn default() -> Self {
        Self { real: Ambient::system(), ahead: AtomicI64::new(0) }
    }
}

impl TestClock {
    /// Moves it forward.
    pub fn advance(&self, by: Duration) {
        self.ahead.fetch_add(i64::try_from(by.as_millis()).expect("a time span"), Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.real.now().millis() + self.ahead.load(Ordering::SeqCst))
    }
}
