//! A spread: a histogram of times as it is told to others, and what can be said of its quantiles.
//!
//! The one rule: between two bounds nothing is guessed. A quantile is the bound that it does not pass, never a number between.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Distribution;

/// How often something took so long.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spread {
    /// What the counts are of, ascending: at most so many microseconds. The last count is of what lies above.
    pub at_most_us: Vec<u64>,
    /// How often, each bound by itself.
    pub counts: Vec<u64>,
}

/// Where a quantile lies, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// At most here.
    AtMost(u64),
    /// Beyond the last bound.
    Above(u64),
}

impl Spread {
    /// A histogram of nanoseconds, told.
    #[must_use]
    pub fn of(read: &Distribution) -> Self {
        let at_most_us = read.bounds.iter().map(|bound| bound.div_ceil(1000)).collect();
        Self { at_most_us, counts: read.counts.clone() }
    }

    /// What was counted after `before`; none where it was another process that counted.
    #[must_use]
    pub fn since(&self, before: &Self) -> Option<Self> {
        if self.at_most_us != before.at_most_us || self.counts.len() != before.counts.len() {
            return None;
        }
        let more = self.counts.iter().zip(&before.counts).map(|(now, then)| now.checked_sub(*then));
        Some(Self { at_most_us: self.at_most_us.clone(), counts: more.collect::<Option<_>>()? })
    }

    /// Where so many of a thousand lie within; none where nothing was counted.
    #[must_use]
    pub fn quantile(&self, of_1000: u64) -> Option<Bound> {
        let total = self.counts.iter().fold(0_u64, |total, count| total.saturating_add(*count));
        let rank = total.saturating_mul(of_1000).div_ceil(1000).max(1);
        let mut seen = 0_u64;
        for (at, count) in self.counts.iter().enumerate().filter(|_| total > 0) {
            seen = seen.saturating_add(*count);
            if seen >= rank {
                let within = self.at_most_us.get(at).map(|bound| Bound::AtMost(*bound));
                return within.or_else(|| self.at_most_us.last().map(|last| Bound::Above(*last)));
            }
        }
        None
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sign, us) = match self {
            Self::AtMost(us) => ("<=", *us),
            Self::Above(us) => (">", *us),
        };
        let (unit, name) = match us {
            0..1000 => (1, "us"),
            1000..1_000_000 => (1000, "ms"),
            _ => (1_000_000, "s"),
        };
        match (us / unit, us % unit * 10 / unit) {
            (whole, 0) => write!(f, "{sign}{whole}{name}"),
            (whole, tenth) => write!(f, "{sign}{whole}.{tenth}{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::meters::{Histogram, WAITED};

    #[test]
    fn a_quantile_is_the_bound_that_it_does_not_pass() {
        let histogram = Histogram::new(WAITED);
        let empty = Spread::of(&histogram.read());
        assert_eq!((empty.quantile(500), empty.quantile(990)), (None, None));
        (0..98).for_each(|_| histogram.observe_time(Duration::from_micros(300)));
        let before = Spread::of(&histogram.read());
        assert_eq!(before.quantile(500), Some(Bound::AtMost(500)));
        histogram.observe_time(Duration::from_millis(2));
        histogram.observe_time(Duration::from_secs(60));
        let all = Spread::of(&histogram.read());
        let told = |of_1000| all.quantile(of_1000).unwrap().to_string();
        assert_eq!([500, 980, 990, 1000].map(told), ["<=500us", "<=500us", "<=2.5ms", ">10s"]);
        let since = all.since(&before).unwrap();
        assert_eq!(since.quantile(500), Some(Bound::AtMost(2500)));
        assert_eq!(since.quantile(501), Some(Bound::Above(10_000_000)));
    }

    #[test]
    fn another_process_counts_from_nothing() {
        let histogram = Histogram::new(WAITED);
        let fresh = Spread::of(&histogram.read());
        histogram.observe_time(Duration::from_millis(1));
        let later = Spread::of(&histogram.read());
        assert!(later.since(&fresh).is_some());
        assert_eq!((fresh.since(&later), later.since(&Spread::default())), (None, None));
    }
}
