//! How many calls at a time, and how many a second.
//!
//! `TaskRouter`'s limits differ by endpoint and customer and are not published, so there is no rate until one is
//! configured or `TaskRouter` answers 429. The first 429 halves the speed; from then on the rate follows the answers:
//! it is halved again after each second in which more than a quarter of the calls was refused, and grows slowly
//! otherwise.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

/// The span over which refusals are judged.
const WINDOW: Duration = Duration::from_secs(1);
/// The lowest rate that adapting leads to, in calls a second. A refused call was not processed and costs little, so
/// waiting longer than this would only delay leavers.
const FLOOR: f64 = 10.0;
/// The first 429 may come after a few calls, which say little about the speed that `TaskRouter` bears.
const FIRST_CUT: f64 = 64.0;
/// From here on an adapted rate no longer limits anything and is dropped.
const UNLIMITED: f64 = 1000.0;
/// The longest that one `Retry-After` stops all calls.
const LONGEST_HOLD: Duration = Duration::from_secs(30);

/// The present pace. A pure state machine: every method takes the time.
#[derive(Debug)]
struct Pace {
    ceiling: Option<f64>,
    rate: Option<f64>,
    next_slot: Instant,
    window_start: Instant,
    sent: u32,
    throttled: u32,
    /// Calls a second in the last full window.
    speed: f64,
}

impl Pace {
    fn new(ceiling: Option<f64>, now: Instant) -> Self {
        Self { ceiling, rate: ceiling, next_slot: now, window_start: now, sent: 0, throttled: 0, speed: 0.0 }
    }

    /// Books the next free slot; `Err` with the time until it if that is longer than `patience`, then nothing is
    /// booked.
    fn book(&mut self, now: Instant, patience: Duration) -> Result<Duration, Duration> {
        self.roll(now);
        let slot = self.next_slot.max(now);
        let wait = slot.duration_since(now);
        if wait > patience {
            return Err(wait);
        }
        self.next_slot = match self.rate {
            Some(rate) => slot + Duration::from_secs_f64(1.0 / rate),
            None => slot,
        };
        self.sent = self.sent.saturating_add(1);
        Ok(wait)
    }

    /// `TaskRouter` refused a call for its rate.
    fn throttled(&mut self, now: Instant, retry_after: Option<Duration>) {
        self.roll(now);
        self.throttled = self.throttled.saturating_add(1);
        if self.rate.is_none() {
            self.rate = Some(self.bounded(self.speed.max(f64::from(self.sent)).max(FIRST_CUT) / 2.0));
        }
        if let Some(hold) = retry_after {
            self.next_slot = self.next_slot.max(now + hold.min(LONGEST_HOLD));
        }
    }

    /// Judges the window if it is over.
    fn roll(&mut self, now: Instant) {
        let elapsed = now.duration_since(self.window_start);
        if elapsed < WINDOW {
            return;
        }
        self.speed = f64::from(self.sent) / elapsed.as_secs_f64();
        if let Some(rate) = self.rate {
            // Scattered refusals are no reason to slow down: a refused call did nothing and is simply repeated, while a
            // rate that shrinks with every one of them would never let a large sync end.
            if self.throttled.saturating_mul(4) > self.sent {
                self.rate = Some(self.bounded(rate.min(self.speed) / 2.0));
            } else {
                let growth = if self.throttled == 0 { 1.25_f64 } else { 1.1 };
                let windows = elapsed.as_secs_f64() / WINDOW.as_secs_f64();
                let grown = self.bounded(rate * growth.powf(windows.min(60.0)));
                self.rate = if grown >= UNLIMITED { self.ceiling } else { Some(grown) };
            }
        }
        self.window_start = now;
        self.sent = 0;
        self.throttled = 0;
    }

    fn bounded(&self, rate: f64) -> f64 {
        let rate = rate.max(FLOOR);
        self.ceiling.map_or(rate, |ceiling| rate.min(ceiling))
    }
}

/// Lets calls pass one by one.
#[derive(Debug)]
pub(super) struct Limiter {
    in_flight: Semaphore,
    pace: Mutex<Pace>,
    patience: Duration,
}

/// The call did not get its turn in time; nothing was sent.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NoTurn {
    /// How long until it is worth to ask again.
    pub(super) wait: Duration,
}

impl Limiter {
    /// At most `in_flight` calls at a time and `rate` calls a second; a call waits no longer than `patience` for its
    /// turn.
    pub(super) fn new(in_flight: usize, rate: Option<f64>, patience: Duration) -> Self {
        let ceiling = rate.filter(|rate| rate.is_finite() && *rate > 0.0).map(|rate| rate.max(0.1));
        Self {
            in_flight: Semaphore::new(in_flight.clamp(1, Semaphore::MAX_PERMITS)),
            pace: Mutex::new(Pace::new(ceiling, Instant::now())),
            patience,
        }
    }

    /// Waits for a turn; the call is in flight until the permit is dropped.
    pub(super) async fn turn(&self) -> Result<SemaphorePermit<'_>, NoTurn> {
        let start = Instant::now();
        let Ok(Ok(permit)) = tokio::time::timeout(self.patience, self.in_flight.acquire()).await else {
            return Err(NoTurn { wait: self.patience });
        };
        let now = Instant::now();
        let left = self.patience.saturating_sub(now.duration_since(start));
        let wait = self.pace().book(now, left).map_err(|wait| NoTurn { wait })?;
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
        Ok(permit)
    }

    /// `TaskRouter` answered 429.
    pub(super) fn throttled(&self, retry_after: Option<Duration>) {
        self.pace().throttled(Instant::now(), retry_after);
    }

    fn pace(&self) -> MutexGuard<'_, Pace> {
        // Every state of a pace is valid, also the one that a panicking holder left.
        self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PATIENCE: Duration = Duration::from_secs(2);

    fn seconds(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    /// Offers `per_second` calls a second for `span` seconds to a `TaskRouter` that takes `limit` a second; returns how
    /// many it took in the last second, and how many it refused then.
    fn simulate(pace: &mut Pace, start: Instant, per_second: u32, limit: u32, span: u32) -> (u32, u32) {
        let (mut taken, mut refused) = (0, 0);
        for second in 0..span {
            (taken, refused) = (0, 0);
            for call in 0..per_second {
                let now = start + seconds(f64::from(second) + f64::from(call) / f64::from(per_second));
                if pace.book(now, Duration::ZERO).is_ok() {
                    if taken < limit {
                        taken += 1;
                    } else {
                        refused += 1;
                        pace.throttled(now, None);
                    }
                }
            }
        }
        (taken, refused)
    }

    #[test]
    fn without_a_429_nothing_waits() {
        let start = Instant::now();
        let mut pace = Pace::new(None, start);
        assert!((0..10_000).all(|_| pace.book(start, Duration::ZERO) == Ok(Duration::ZERO)));
    }

    #[test]
    fn a_configured_rate_spaces_calls_and_refuses_long_waits() {
        let start = Instant::now();
        let mut pace = Pace::new(Some(2.0), start);
        let waits: Vec<_> = (0..6).map(|_| pace.book(start, PATIENCE)).collect();
        let expected = [0.0, 0.5, 1.0, 1.5, 2.0].map(|s| Ok(seconds(s)));
        assert_eq!(waits[..5], expected);
        assert_eq!(waits[5], Err(seconds(2.5)));
        assert_eq!(pace.book(start + seconds(0.5), PATIENCE), Ok(seconds(2.0)));
    }

    #[test]
    fn the_first_429_halves_the_speed() {
        let start = Instant::now();
        let mut pace = Pace::new(None, start);
        for call in 0..100_u32 {
            assert!(pace.book(start + seconds(f64::from(call) / 200.0), PATIENCE).is_ok());
        }
        pace.throttled(start + seconds(0.5), None);
        assert_eq!(pace.rate, Some(50.0));
        pace.throttled(start + seconds(0.6), None);
        assert_eq!(pace.rate, Some(50.0), "one burst of refusals counts once");
    }

    #[test]
    fn retry_after_holds_all_calls() {
        let start = Instant::now();
        let mut pace = Pace::new(None, start);
        pace.throttled(start, Some(seconds(5.0)));
        assert_eq!(pace.book(start, PATIENCE), Err(seconds(5.0)));
        assert_eq!(pace.book(start + seconds(4.0), PATIENCE), Ok(seconds(1.0)));
        pace.throttled(start, Some(seconds(86_400.0)));
        assert!(pace.book(start + LONGEST_HOLD, Duration::ZERO).is_ok());
    }

    #[test]
    fn the_rate_settles_below_the_limit_and_recovers() {
        let start = Instant::now();
        let mut pace = Pace::new(None, start);
        let (taken, refused) = simulate(&mut pace, start, 200, 50, 30);
        assert!(taken >= 20 && refused * 2 <= taken + refused, "{taken} {refused}");
        let (taken, refused) = simulate(&mut pace, start + seconds(30.0), 200, 10_000, 80);
        assert_eq!((taken, refused, pace.rate), (200, 0, None));
    }

    #[test]
    fn scattered_refusals_do_not_starve_the_calls() {
        let start = Instant::now();
        let mut pace = Pace::new(None, start);
        let mut sent = 0_u32;
        for call in 0..3000_u32 {
            let now = start + seconds(f64::from(call) / 100.0);
            if pace.book(now, Duration::ZERO).is_ok() {
                sent += 1;
                if sent.is_multiple_of(10) {
                    pace.throttled(now, None);
                }
            }
        }
        assert!(sent > 600, "{sent} of 3000 in 30 s");
    }

    #[tokio::test]
    async fn calls_in_flight_are_bounded() {
        let limiter = Limiter::new(2, None, Duration::from_millis(20));
        let (one, _two) = (limiter.turn().await.unwrap(), limiter.turn().await.unwrap());
        assert!(limiter.turn().await.is_err());
        drop(one);
        assert!(limiter.turn().await.is_ok());
    }

    proptest! {
        #[test]
        fn the_rate_stays_within_its_bounds(
            ceiling in proptest::option::of(1.0..500.0_f64),
            steps in proptest::collection::vec((0..3000_u64, any::<bool>(), proptest::option::of(0..100_u64)), 0..200),
        ) {
            let mut now = Instant::now();
            let mut pace = Pace::new(ceiling, now);
            for (millis, refused, hold) in steps {
                now += Duration::from_millis(millis);
                if refused {
                    pace.throttled(now, hold.map(Duration::from_secs));
                } else if let Ok(wait) = pace.book(now, PATIENCE) {
                    prop_assert!(wait <= PATIENCE);
                }
                let rate = pace.rate.unwrap_or(UNLIMITED);
                prop_assert!(rate >= FLOOR.min(ceiling.unwrap_or(FLOOR)) && rate <= ceiling.unwrap_or(UNLIMITED));
            }
        }
    }
}
