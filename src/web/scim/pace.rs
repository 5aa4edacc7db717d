//! How many requests a second each token may send: a bucket for each, in the memory of this process.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use uuid::Uuid;

use crate::base::Timestamp;

/// The most buckets that are kept. Only tokens that are good have one.
const MOST: usize = 10_000;

/// The buckets. A token may send as many requests at once as it may in a second. A bulk request counts by its operations,
/// which are known when it has been let in: it may leave a bucket in debt, which the token pays off by waiting.
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

    /// Takes one request out of a token's bucket.
    ///
    /// # Errors
    /// If there is none in it: the time until there is one.
    pub(in crate::web) fn take(&self, bearer: Uuid, now: Timestamp) -> Result<(), Duration> {
        self.with(bearer, now, |bucket, rate| {
            if bucket.left < 1.0 {
                return Err(Duration::from_secs_f64((1.0 - bucket.left) / rate));
            }
            bucket.left -= 1.0;
            Ok(())
        })
        .unwrap_or(Ok(()))
    }

    /// Takes more out of a token's bucket, whether it is in it or not.
    pub(in crate::web) fn spend(&self, bearer: Uuid, requests: usize, now: Timestamp) {
        // A number of operations is far below what a float counts exactly.
        let requests = f64::from(u32::try_from(requests).unwrap_or(u32::MAX));
        self.with(bearer, now, |bucket, _| bucket.left -= requests);
    }

    fn with<T>(&self, bearer: Uuid, now: Timestamp, act: impl FnOnce(&mut Bucket, f64) -> T) -> Option<T> {
        let rate = self.rate?;
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= MOST && !buckets.contains_key(&bearer) {
            make_room(&mut buckets, rate, now);
        }
        let bucket = buckets.entry(bearer).or_insert(Bucket { left: rate, at: now });
        bucket.left = bucket.filled(rate, now);
        bucket.at = now;
        Some(act(bucket, rate))
    }
}

impl Bucket {
    fn filled(&self, rate: f64, now: Timestamp) -> f64 {
        (self.left + rate * now.since(self.at).as_secs_f64()).min(rate)
    }
}

/// Forgets the buckets that are full again, and all if none is: then everybody begins anew, which slows nobody down.
fn make_room(buckets: &mut HashMap<Uuid, Bucket>, rate: f64, now: Timestamp) {
    buckets.retain(|_, bucket| bucket.filled(rate, now) < rate);
    if buckets.len() >= MOST {
        buckets.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Uuid = Uuid::from_u128(1);
    const TWO: Uuid = Uuid::from_u128(2);

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(1_000_000).after(Duration::from_millis(millis))
    }

    #[test]
    fn s42_a_token_that_asks_too_often_is_refused_and_no_other() {
        let pace = Pace::new(Some(25));
        let take = |bearer, now| pace.take(bearer, now).is_ok();
        assert!((0..25).all(|_| take(ONE, at(0))), "a second's worth at once");
        assert!(!take(ONE, at(0)) && !take(ONE, at(39)));
        assert!((0..25).all(|_| take(TWO, at(39))), "another token has a bucket of its own");
        assert!(take(ONE, at(40)) && !take(ONE, at(41)), "one more after a 25th of a second");
        let steady = (0..1_000).filter(|n| take(ONE, at(1_000 + n * 10))).count();
        assert!((250..=275).contains(&steady), "{steady} in ten seconds");
        assert!((0..25).all(|_| take(ONE, at(60_000))) && !take(ONE, at(60_000)), "it never holds more");
        assert!(!take(ONE, at(0)), "a clock that is set back gives nothing");
    }

    #[test]
    fn s42_a_bulk_request_counts_by_its_operations() {
        let pace = Pace::new(Some(25));
        assert_eq!(pace.take(ONE, at(0)), Ok(()));
        pace.spend(ONE, 999, at(0));
        assert_eq!(pace.take(ONE, at(0)), Err(Duration::from_millis(39_040)), "975 in debt, and one to take");
        assert_eq!(pace.take(ONE, at(39_000)), Err(Duration::from_millis(40)));
        assert_eq!(pace.take(TWO, at(0)), Ok(()));
        assert_eq!(pace.take(ONE, at(39_040)), Ok(()));
        // Nobody gets rid of a debt because others come.
        pace.spend(ONE, 100_000, at(40_000));
        for n in 0..20_000_u32 {
            let _: Result<(), Duration> = pace.take(Uuid::from_u128(1_000 + u128::from(n)), at(40_000 + u64::from(n)));
        }
        assert!(pace.take(ONE, at(60_001)).is_err());
    }

    #[test]
    fn the_buckets_are_bounded() {
        let pace = Pace::new(Some(1));
        let size = || pace.buckets.lock().unwrap().len();
        for n in 0..30_000_u32 {
            assert_eq!(pace.take(Uuid::from_u128(u128::from(n)), at(u64::from(n) / 20)), Ok(()));
            assert!(size() <= MOST);
        }
    }

    #[test]
    fn without_a_rate_nothing_is_counted() {
        let pace = Pace::new(None);
        assert!((0..10_000).all(|_| pace.take(ONE, at(0)).is_ok()));
        assert!(pace.buckets.lock().unwrap().is_empty());
    }
}
