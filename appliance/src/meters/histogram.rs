//! A histogram: how often something took so long, or was so large.
//!
//! The one rule: to count is two additions on words that nobody locks. Bounds are whole numbers, of nanoseconds or of
//! things, so that nothing is rounded while it is counted.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

const MICROSECOND: u64 = 1000;
const MILLISECOND: u64 = 1000 * MICROSECOND;
const SECOND: u64 = 1000 * MILLISECOND;

/// Bounds for what is waited for: an answer, a signature; in nanoseconds.
pub const WAITED: &[u64] = &[
    100 * MICROSECOND,
    250 * MICROSECOND,
    500 * MICROSECOND,
    MILLISECOND,
    2500 * MICROSECOND,
    5 * MILLISECOND,
    10 * MILLISECOND,
    25 * MILLISECOND,
    50 * MILLISECOND,
    100 * MILLISECOND,
    250 * MILLISECOND,
    500 * MILLISECOND,
    SECOND,
    2500 * MILLISECOND,
    5 * SECOND,
    10 * SECOND,
];

/// Bounds for what a processor does; in nanoseconds.
pub const COMPUTED: &[u64] = &[
    10 * MICROSECOND,
    25 * MICROSECOND,
    50 * MICROSECOND,
    100 * MICROSECOND,
    250 * MICROSECOND,
    500 * MICROSECOND,
    MILLISECOND,
    2500 * MICROSECOND,
    5 * MILLISECOND,
    10 * MILLISECOND,
    25 * MILLISECOND,
    50 * MILLISECOND,
    100 * MILLISECOND,
    250 * MILLISECOND,
    SECOND,
];

/// Bounds for how many of something there are.
pub const COUNTED: &[u64] = &[1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384];

/// How often, by bounds.
#[derive(Debug)]
pub struct Histogram {
    bounds: &'static [u64],
    /// One more than there are bounds: what lies above the last.
    counts: Box<[AtomicU64]>,
    sum: AtomicU64,
}

/// A histogram, as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Distribution {
    /// What the counts are of, ascending: at most so much. The last count is of what lies above.
    pub bounds: &'static [u64],
    /// How often, each bound by itself.
    pub counts: Vec<u64>,
    /// All of it together.
    pub sum: u64,
}

impl Histogram {
    /// An empty one with these bounds, which ascend.
    #[must_use]
    pub fn new(bounds: &'static [u64]) -> Self {
        assert!(bounds.is_sorted(), "bounds ascend");
        let counts = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Self { bounds, counts, sum: AtomicU64::new(0) }
    }

    /// Counts one.
    pub fn observe(&self, value: u64) {
        let place = self.bounds.partition_point(|bound| *bound < value);
        if let Some(count) = self.counts.get(place) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        self.sum.fetch_add(value, Ordering::Relaxed);
    }

    /// Counts one by how long it took.
    pub fn observe_time(&self, took: Duration) {
        self.observe(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
    }

    /// What was counted so far; counts and sum are of about the same moment.
    #[must_use]
    pub fn read(&self) -> Distribution {
        let counts = self.counts.iter().map(|count| count.load(Ordering::Relaxed)).collect();
        Distribution { bounds: self.bounds, counts, sum: self.sum.load(Ordering::Relaxed) }
    }
}

impl Distribution {
    /// How many were counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_counts_at_the_first_bound_that_it_does_not_pass() {
        let histogram = Histogram::new(&[1, 10, 100]);
        for value in [0, 1, 2, 10, 11, 100, 101, u64::from(u32::MAX)] {
            histogram.observe(value);
        }
        let read = histogram.read();
        assert_eq!(read.counts, [2, 2, 2, 2]);
        assert_eq!((read.count(), read.sum), (8, 225 + u64::from(u32::MAX)));
    }

    #[test]
    fn times_count_in_nanoseconds_and_all_bounds_ascend() {
        for bounds in [WAITED, COMPUTED, COUNTED] {
            assert!(bounds.is_sorted() && bounds.first().is_some_and(|first| *first > 0));
        }
        let histogram = Histogram::new(WAITED);
        histogram.observe_time(Duration::from_millis(1));
        histogram.observe_time(Duration::from_secs(3600));
        let read = histogram.read();
        assert_eq!((read.counts[3], *read.counts.last().unwrap()), (1, 1));
        assert_eq!(read.sum, 3_600_001_000_000);
    }
}
