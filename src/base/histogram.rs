//! Counting durations by how long they are.

use std::time::Duration;

/// The upper bounds of the buckets, in milliseconds; what is longer is counted apart.
const BOUNDS_MS: [u32; BOUNDS] = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 30_000, 60_000];
const BOUNDS: usize = 15;

/// How many durations were how long. The bounds of its buckets are the same everywhere, from a millisecond to a minute.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Histogram {
    counts: [u64; BOUNDS + 1],
    sum: Duration,
}

impl Histogram {
    /// Counts one.
    pub fn record(&mut self, duration: Duration) {
        let bucket = BOUNDS_MS.iter().position(|bound| duration <= Duration::from_millis(u64::from(*bound)));
        self.counts[bucket.unwrap_or(BOUNDS)] += 1;
        self.sum = self.sum.saturating_add(duration);
    }

    /// How many were counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// All of them together.
    #[must_use]
    pub fn sum(&self) -> Duration {
        self.sum
    }

    /// The upper bound of each bucket in seconds, the last one infinite, and how many fell into it and into none before.
    pub fn buckets(&self) -> impl Iterator<Item = (f64, u64)> {
        let bounds = BOUNDS_MS.iter().map(|bound| f64::from(*bound) / 1_000.0).chain([f64::INFINITY]);
        bounds.zip(self.counts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_duration_is_in_the_bucket_that_holds_it() {
        let mut histogram = Histogram::default();
        for millis in [0, 1, 3, 60_000, 60_001, 1_000_000] {
            histogram.record(Duration::from_millis(millis));
        }
        let filled: Vec<(f64, u64)> = histogram.buckets().filter(|(_, count)| *count > 0).collect();
        assert_eq!(filled, [(0.001, 2), (0.005, 1), (60.0, 1), (f64::INFINITY, 2)]);
        assert_eq!((histogram.count(), histogram.sum()), (6, Duration::from_millis(1_120_005)));
    }
}
