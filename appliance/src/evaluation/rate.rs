//! Rates: how many intents each principal asked in the last minute, as `context.assent.agent_rate`.
//!
//! The rule it keeps: a rate is never too low by more than the second that is just ending. Memory is fixed: where all places
//! of a shard are taken by principals that asked within the minute, another principal's rate reads as the largest number,
//! so that a policy which denies above a rate denies. Nothing is allocated once it is made. Batches that are asked again
//! count again; names are told apart by a keyed hash, and two that share one would count together.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::limits::{MAX_RATED_PRINCIPALS, RATE_SHARDS};

/// Seconds that a rate looks back.
const WINDOW_S: usize = 60;
const PLACES: usize = MAX_RATED_PRINCIPALS / RATE_SHARDS;

/// What no policy takes for a low rate.
const UNKNOWN: i64 = i64::MAX;

/// The rates of all principals.
#[derive(Debug)]
pub struct Rates {
    key: RandomState,
    shards: Box<[Mutex<Box<[Place]>>]>,
}

/// One principal's last minute: intents by second, in a ring.
#[derive(Clone, Debug)]
struct Place {
    principal: u64,
    /// The second of its newest intent; a place with all of its seconds past is free.
    newest: u64,
    total: u64,
    seconds: [u32; WINDOW_S],
}

impl Default for Rates {
    fn default() -> Self {
        let free = Place { principal: 0, newest: 0, total: 0, seconds: [0; WINDOW_S] };
        let shard = |_| Mutex::new(vec![free.clone(); PLACES].into_boxed_slice());
        Self { key: RandomState::new(), shards: (0..RATE_SHARDS).map(shard).collect() }
    }
}

impl Rates {
    /// Counts the intents of a batch, `running` after the process began. Gives the principal's rate before it: the rate at
    /// its first intent is one more.
    pub fn count(&self, principal: &str, running: Duration, intents: usize) -> i64 {
        let hash = self.key.hash_one(principal);
        // INVARIANT: there are shards, so there is a remainder.
        let shard = usize::try_from(hash % RATE_SHARDS as u64).unwrap_or(0);
        let Some(places) = self.shards.get(shard) else {
            return UNKNOWN;
        };
        let mut places = places.lock().unwrap_or_else(PoisonError::into_inner);
        let now = running.as_secs();
        let known = places.iter().position(|place| place.total > 0 && place.principal == hash);
        let place = known.or_else(|| places.iter().position(|place| place.is_free(now)));
        match place.and_then(|place| places.get_mut(place)) {
            Some(place) => place.count(hash, now, intents),
            None => UNKNOWN,
        }
    }
}

impl Place {
    const fn is_free(&self, now: u64) -> bool {
        self.total == 0 || now.saturating_sub(self.newest) >= WINDOW_S as u64
    }

    fn count(&mut self, principal: u64, now: u64, intents: usize) -> i64 {
        if self.principal != principal || self.is_free(now) {
            *self = Self { principal, newest: now, total: 0, seconds: [0; WINDOW_S] };
        }
        // The seconds between the newest and now begin anew. Time that goes back stays in the newest second.
        while self.newest < now {
            self.newest += 1;
            if let Some(second) = self.seconds.get_mut(ring(self.newest)) {
                self.total = self.total.saturating_sub(u64::from(std::mem::take(second)));
            }
        }
        let before = i64::try_from(self.total).unwrap_or(UNKNOWN);
        if let Some(second) = self.seconds.get_mut(ring(self.newest)) {
            let counted = u32::try_from(intents).unwrap_or(u32::MAX).min(u32::MAX - *second);
            *second += counted;
            self.total += u64::from(counted);
        }
        before
    }
}

const fn ring(second: u64) -> usize {
    // INVARIANT: a remainder of 60 fits.
    #[expect(clippy::cast_possible_truncation, reason = "a remainder of 60 fits")]
    let place = (second % WINDOW_S as u64) as usize;
    place
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn intents_count_for_a_minute_and_no_longer() {
        let rates = Rates::default();
        assert_eq!(rates.count("a", at(0), 3), 0);
        assert_eq!(rates.count("a", at(30), 4), 3);
        assert_eq!(rates.count("a", at(59), 0), 7);
        assert_eq!(rates.count("a", at(60), 0), 4, "those of second 0 are past");
        assert_eq!(rates.count("a", at(89), 1), 4);
        assert_eq!(rates.count("a", at(90), 0), 1);
        assert_eq!(rates.count("a", at(1000), 1), 0);
    }

    #[test]
    fn principals_count_apart() {
        let rates = Rates::default();
        assert_eq!(rates.count("a", at(5), 10), 0);
        assert_eq!(rates.count("b", at(5), 1), 0);
        assert_eq!(rates.count("a", at(5), 1), 10);
    }

    #[test]
    fn time_that_goes_back_forgets_nothing() {
        let rates = Rates::default();
        assert_eq!(rates.count("a", at(100), 10), 0);
        assert_eq!(rates.count("a", at(10), 5), 10);
        assert_eq!(rates.count("a", at(100), 0), 15);
    }

    #[test]
    fn a_principal_without_a_place_reads_as_the_highest_rate_until_a_minute_is_past() {
        let rates = Rates::default();
        let names = |from: usize| (from..from + 2 * MAX_RATED_PRINCIPALS).map(|number| number.to_string());
        let first: Vec<i64> = names(0).map(|name| rates.count(&name, at(0), 1)).collect();
        let placed = first.iter().filter(|rate| **rate == 0).count();
        assert_eq!(placed, MAX_RATED_PRINCIPALS, "every place is used");
        assert!(first.iter().all(|rate| [0, UNKNOWN].contains(rate)));
        assert_eq!(rates.count("0", at(1), 1), 1, "who has a place keeps it");
        let later = names(1_000_000).filter(|name| rates.count(name, at(61), 1) == 0).count();
        assert!(later >= MAX_RATED_PRINCIPALS - 1, "places are given on: {later}");
    }
}
