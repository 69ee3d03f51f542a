//! The memory within the process: a count for each open token, and a queue of when they end.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::{Mutex, PoisonError};

use assent_proto::number::{LeafIndex, Timestamp};

use super::{SpendError, Use};

/// Which log, by its place in the list of those seen, and which leaf.
type Identity = (usize, LeafIndex);

#[derive(Debug)]
pub(super) struct Memory {
    capacity: usize,
    since: Timestamp,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    origins: Vec<String>,
    spent: HashMap<Identity, u16>,
    ends: BinaryHeap<Reverse<(Timestamp, Identity)>>,
    /// Tokens that ended before this are forgotten.
    latest: Timestamp,
}

impl Memory {
    pub(super) fn new(capacity: usize, since: Timestamp) -> Self {
        Self { capacity, since, state: Mutex::default() }
    }

    pub(super) fn spend(&self, one: &Use<'_>, now: Timestamp) -> Result<(), SpendError> {
        if one.decided < self.since {
            return Err(SpendError::BeforeMemory { decided: one.decided, since: self.since });
        }
        // A thread that panicked cannot have left a use half spent: the count is the last thing written.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.forget_before(now);
        if one.until < state.latest {
            return Err(SpendError::Forgotten { latest: state.latest });
        }
        let identity = (state.origin(one.origin), one.index);
        if let Some(spent) = state.spent.get_mut(&identity) {
            if *spent >= one.uses {
                return Err(SpendError::AlreadySpent { uses: one.uses });
            }
            *spent = spent.saturating_add(1);
            return Ok(());
        }
        if state.spent.len() >= self.capacity {
            return Err(SpendError::MemoryFull { capacity: self.capacity });
        }
        state.ends.push(Reverse((one.until, identity)));
        state.spent.insert(identity, 1);
        Ok(())
    }
}

impl State {
    fn forget_before(&mut self, now: Timestamp) {
        self.latest = self.latest.max(now);
        while let Some(Reverse((until, identity))) = self.ends.peek().copied() {
            if until >= self.latest {
                return;
            }
            self.ends.pop();
            self.spent.remove(&identity);
        }
    }

    /// Origins come from the trust file, so there are few.
    fn origin(&mut self, name: &str) -> usize {
        if let Some(known) = self.origins.iter().position(|origin| origin == name) {
            return known;
        }
        self.origins.push(name.to_owned());
        self.origins.len() - 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(index: u64, until: u64, uses: u16) -> Use<'static> {
        Use { origin: "o", index: LeafIndex(index), decided: Timestamp(100), until: Timestamp(until), uses }
    }

    #[test]
    fn each_use_is_spent_once() {
        let memory = Memory::new(10, Timestamp(0));
        let now = Timestamp(150);
        assert!(memory.spend(&token(1, 200, 2), now).is_ok());
        assert!(memory.spend(&token(1, 200, 2), now).is_ok());
        assert!(matches!(memory.spend(&token(1, 200, 2), now), Err(SpendError::AlreadySpent { uses: 2 })));
        assert!(memory.spend(&Use { origin: "other", ..token(1, 200, 1) }, now).is_ok());
    }

    #[test]
    fn full_memory_refuses_rather_than_evicts() {
        let memory = Memory::new(2, Timestamp(0));
        let now = Timestamp(150);
        assert!(memory.spend(&token(1, 200, 1), now).is_ok());
        assert!(memory.spend(&token(2, 300, 1), now).is_ok());
        assert!(matches!(memory.spend(&token(3, 300, 1), now), Err(SpendError::MemoryFull { capacity: 2 })));
        assert!(matches!(memory.spend(&token(1, 200, 1), now), Err(SpendError::AlreadySpent { .. })));
        assert!(memory.spend(&token(3, 300, 1), Timestamp(201)).is_ok());
    }

    #[test]
    fn clock_that_goes_back_opens_nothing_again() {
        let memory = Memory::new(2, Timestamp(0));
        assert!(memory.spend(&token(1, 200, 1), Timestamp(150)).is_ok());
        assert!(memory.spend(&token(2, 900, 1), Timestamp(500)).is_ok());
        assert!(matches!(memory.spend(&token(1, 200, 1), Timestamp(150)), Err(SpendError::Forgotten { .. })));
    }

    #[test]
    fn token_from_before_the_memory_is_refused() {
        let memory = Memory::new(2, Timestamp(101));
        let refused = memory.spend(&token(1, 200, 1), Timestamp(150));
        assert!(matches!(refused, Err(SpendError::BeforeMemory { .. })));
    }

    #[test]
    fn threads_together_spend_a_use_once() {
        let memory = Memory::new(10, Timestamp(0));
        let admitted = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|_| {
                    scope.spawn(|| {
                        (0..100).filter(|_| memory.spend(&token(7, 200, 3), Timestamp(150)).is_ok()).count()
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum::<usize>()
        });
        assert_eq!(admitted, 3);
    }
}
