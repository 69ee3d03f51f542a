//! Pauses between attempts: each twice as long as the last up to a bound, and each cut by a random part, so that agents
//! that lost their appliance together do not come back together.

use std::time::Duration;

use crate::limits::{FIRST_PAUSE, LONGEST_PAUSE};

/// The pauses to come; they do not end.
#[derive(Debug)]
pub(super) struct Pauses {
    longest_now: Duration,
}

impl Pauses {
    pub(super) const fn new() -> Self {
        Self { longest_now: FIRST_PAUSE }
    }

    pub(super) fn next(&mut self) -> Duration {
        let mut random = [0; 1];
        // Without random bytes the pauses are merely whole.
        let _ = getrandom::fill(&mut random);
        self.next_less(random)
    }

    /// At least half of what is due, the rest of it less by `random` of 256 parts.
    fn next_less(&mut self, [random]: [u8; 1]) -> Duration {
        let due = self.longest_now;
        self.longest_now = due.saturating_mul(2).min(LONGEST_PAUSE);
        due.saturating_sub(due / 512 * u32::from(random))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_their_bound() {
        let mut pauses = Pauses::new();
        let first: Vec<_> = (0..8).map(|_| pauses.next_less([0])).collect();
        assert_eq!(first[0], FIRST_PAUSE);
        assert_eq!(first[1], FIRST_PAUSE * 2);
        assert_eq!(first[7], LONGEST_PAUSE);
    }

    #[test]
    fn random_part_never_takes_more_than_half() {
        let pause = Pauses::new().next_less([255]);
        assert!(FIRST_PAUSE / 2 <= pause && pause < FIRST_PAUSE * 51 / 100, "{pause:?}");
    }
}
