//! The clock and the random source, as parameters.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use uuid::{Builder, Uuid};

use super::Timestamp;

/// Tells the time.
pub trait Clock: Send + Sync {
    /// The present instant.
    fn now(&self) -> Timestamp;
}

/// Gives random bytes.
pub trait Entropy: Send + Sync {
    /// Fills the buffer.
    fn fill(&self, buffer: &mut [u8]);
}

/// The clock of the operating system.
#[derive(Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the clock")]
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(chrono::Utc::now().timestamp_millis())
    }
}

/// A clock that moves only when told to.
#[derive(Debug)]
pub struct MockClock(AtomicI64);

impl MockClock {
    /// A clock standing at `start`.
    #[must_use]
    pub fn new(start: Timestamp) -> Self {
        Self(AtomicI64::new(start.millis()))
    }

    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        self.0.fetch_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX), Ordering::SeqCst);
    }
}

impl Clock for MockClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
}

/// The operating system's random source.
#[derive(Debug, Default)]
pub struct OsEntropy;

impl Entropy for OsEntropy {
    #[expect(
        clippy::expect_used,
        reason = "without randomness no secret can be made: stopping is the only safe answer"
    )]
    fn fill(&self, buffer: &mut [u8]) {
        getrandom::fill(buffer).expect("the operating system gives random bytes");
    }
}

/// A repeatable stream of bytes for tests and simulations (`SplitMix64`); never for secrets.
#[derive(Debug)]
pub struct SeededEntropy(AtomicU64);

impl SeededEntropy {
    /// A stream that is the same for the same seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }
}

impl Entropy for SeededEntropy {
    fn fill(&self, buffer: &mut [u8]) {
        for chunk in buffer.chunks_mut(8) {
            let step = 0x9e37_79b9_7f4a_7c15_u64;
            let mut word = self.0.fetch_add(step, Ordering::SeqCst).wrapping_add(step);
            word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            word ^= word >> 31;
            chunk.copy_from_slice(&word.to_le_bytes()[..chunk.len()]);
        }
    }
}

/// Time and randomness, handed down from `App::build` to whoever needs them.
#[derive(Clone)]
pub struct Ambient {
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

impl Ambient {
    /// The real clock and the operating system's randomness.
    #[must_use]
    pub fn system() -> Self {
        Self::new(Arc::new(SystemClock), Arc::new(OsEntropy))
    }

    /// From any clock and random source.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        Self { clock, entropy }
    }

    /// The present instant.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// A new id, ordered by time (UUID version 7, RFC 9562 §5.7).
    #[must_use]
    pub fn id<T: From<Uuid>>(&self) -> T {
        self.id_at(self.now())
    }

    /// A new id of what begins at a known instant, so that the order of ids is that of the instants.
    #[must_use]
    pub fn id_at<T: From<Uuid>>(&self, at: Timestamp) -> T {
        let millis = u64::try_from(at.millis()).unwrap_or(0);
        let random = self.bytes::<10>();
        Builder::from_unix_timestamp_millis(millis, &random).into_uuid().into()
    }

    /// `N` random bytes.
    #[must_use]
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.entropy.fill(&mut bytes);
        bytes
    }

    /// A duration drawn evenly from nothing up to `ceiling` ("full jitter").
    #[must_use]
    pub fn jitter(&self, ceiling: Duration) -> Duration {
        let draw = u64::from_le_bytes(self.bytes::<8>());
        let ceiling = u64::try_from(ceiling.as_millis()).unwrap_or(u64::MAX);
        Duration::from_millis(draw % ceiling.saturating_add(1).max(1))
    }
}

impl fmt::Debug for Ambient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ambient").field("now", &self.now().to_string()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64, seed: u64) -> Ambient {
        Ambient::new(Arc::new(MockClock::new(Timestamp::from_millis(millis))), Arc::new(SeededEntropy::new(seed)))
    }

    #[test]
    fn the_same_seed_gives_the_same_ids() {
        let (one, two) = (at(1000, 7), at(1000, 7));
        let (a, b): (Uuid, Uuid) = (one.id(), two.id());
        assert_eq!(a, b);
        assert_ne!(a, one.id::<Uuid>());
        assert_eq!(a.get_version_num(), 7);
    }

    #[test]
    fn ids_follow_time() {
        let (early, late): (Uuid, Uuid) = (at(1000, 9).id(), at(2000, 1).id());
        assert!(early < late);
    }

    #[test]
    fn jitter_stays_below_its_ceiling() {
        let ambient = at(0, 3);
        assert!((0..1000).all(|_| ambient.jitter(Duration::from_millis(20)) <= Duration::from_millis(20)));
        assert_eq!(ambient.jitter(Duration::ZERO), Duration::ZERO);
    }
}
