//! How many requests a second each token may send: a bucket for each, in the memory of this process.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use uuid::Uuid;

use crate::base::Timestamp;

/// The most buckets that are kept. Only tokens that are good have one.
const MOST: usize = 10_000;
/// The time in which an empty bucket is full again, in milliseconds.
const REFILL: f64 = 1_000.0;

/// The buckets. A token may send as many requests at once as it may in a second.
#[derive(Debug)]
pub(in crate::web) struct Pace {
    /// Requests a second; none: no limit.
    rate: Option<f64>,
    buckets: Mutex<HashMap<Uuid, Bucket>>,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    left: f64,
    at: Timestamp,
}

impl Pace {
    pub(in crate::web) fn new(rate: Option<u32>) -> Self {
        Self { rate: rate.map(f64::from), buckets: Mutex::default() }
    }

    /// Takes one request out of a token's bucket; false if it is empty. At one request a second or more, there is one
    /// again within a second.
    pub(in crate::web) fn take(&self, bearer: Uuid, now: Timestamp) -> bool {
        let Some(rate) = self.rate else { return true };
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= MOST && !buckets.contains_key(&bearer) {
            make_room(&mut buckets, now);
        }
        let bucket = buckets.entry(bearer).or_insert(Bucket { left: rate, at: now });
        bucket.left = (bucket.left + rate * millis_since(now, bucket.at) / REFILL).min(rate);
        bucket.at = now;
        let taken = bucket.left >= 1.0;
        if taken {
            bucket.left -= 1.0;
        }
        taken
    }
}

/// Forgets the buckets that are full again, and all if none is: then everybody begins anew, which slows nobody down.
fn make_room(buckets: &mut HashMap<Uuid, Bucket>, now: Timestamp) {
    buckets.retain(|_, bucket| millis_since(now, bucket.at) < REFILL);
    if buckets.len() >= MOST {
        buckets.clear();
    }
}

fn millis_since(now: Timestamp, earlier: Timestamp) -> f64 {
    now.since(earlier).as_secs_f64() * 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const ONE: Uuid = Uuid::from_u128(1);
    const TWO: Uuid = Uuid::from_u128(2);

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(1_000_000).after(Duration::from_millis(millis))
    }

    #[test]
    fn s42_a_token_that_asks_too_often_is_refused_and_no_other() {
        let pace = Pace::new(Some(25));
        assert!((0..25).all(|_| pace.take(ONE, at(0))), "a second's worth at once");
        assert!(!pace.take(ONE, at(0)) && !pace.take(ONE, at(39)));
        assert!((0..25).all(|_| pace.take(TWO, at(39))), "another token has a bucket of its own");
        assert!(pace.take(ONE, at(40)) && !pace.take(ONE, at(41)), "one more after a 25th of a second");
        let steady = (0..1_000).filter(|n| pace.take(ONE, at(1_000 + n * 10))).count();
        assert!((250..=275).contains(&steady), "{steady} in ten seconds");
        assert!((0..25).all(|_| pace.take(ONE, at(60_000))) && !pace.take(ONE, at(60_000)), "it never holds more");
        assert!(!pace.take(ONE, at(0)), "a clock that is set back gives nothing");
    }

    #[test]
    fn the_buckets_are_bounded() {
        let pace = Pace::new(Some(1));
        let size = || pace.buckets.lock().unwrap().len();
        for n in 0..30_000_u32 {
            assert!(pace.take(Uuid::from_u128(u128::from(n)), at(u64::from(n) / 20)));
            assert!(size() <= MOST);
        }
    }

    #[test]
    fn without_a_rate_nothing_is_counted() {
        let pace = Pace::new(None);
        assert!((0..10_000).all(|_| pace.take(ONE, at(0))));
        assert!(pace.buckets.lock().unwrap().is_empty());
    }
}
