//! The memory within the process: a count for each open token, and a queue of when they end.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::{Mutex, PoisonError};

use assent_proto::number::{LeafIndex, Timestamp};

use super::{SpendError, Use, WarrantUse};

/// Which log, by its place in the list of those seen, and which leaf.
type Identity = (usize, LeafIndex);
/// A warrant's key, and which use of it.
type Number = ([u8; 32], u16);

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
    /// Under which leaf each use of each warrant was spent.
    numbers: HashMap<Number, Identity>,
    number_ends: BinaryHeap<Reverse<(Timestamp, Number)>>,
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
        state.forget_numbers_before();
        if one.until < state.latest {
            return Err(SpendError::Forgotten { latest: state.latest });
        }
        let identity = (state.origin(one.origin), one.index);
        if let Some(warrant) = &one.warrant {
            self.look(&state, warrant, identity)?;
        }
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
        if let Some(WarrantUse { key, number, until, .. }) = one.warrant {
            state.number_ends.push(Reverse((until, (key, number))));
            state.numbers.insert((key, number), identity);
        }
        state.spent.insert(identity, 1);
        Ok(())
    }

    /// Whether this use of a warrant may be spent under this leaf.
    fn look(&self, state: &State, warrant: &WarrantUse, identity: Identity) -> Result<(), SpendError> {
        let WarrantUse { key, number, began, .. } = *warrant;
        if began < self.since {
            return Err(SpendError::WarrantBeforeMemory { began, since: self.since });
        }
        match state.numbers.get(&(key, number)) {
            Some(spent) if *spent != identity => Err(SpendError::NumberSpent { number }),
            None if state.numbers.len() >= self.capacity => {
                Err(SpendError::MemoryFull { capacity: self.capacity })
            }
            Some(_) | None => Ok(()),
        }
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

    fn forget_numbers_before(&mut self) {
        while let Some(Reverse((until, number))) = self.number_ends.peek().copied() {
            if until >= self.latest {
                return;
            }
            self.number_ends.pop();
            self.numbers.remove(&number);
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
        let (decided, until) = (Timestamp(100), Timestamp(until));
        Use { origin: "o", index: LeafIndex(index), decided, until, uses, warrant: None }
    }

    /// A use of a warrant that lives from 90 to 400.
    fn numbered(number: u16, index: u64, until: u64) -> Use<'static> {
        let warrant = WarrantUse { key: [5; 32], number, began: Timestamp(90), until: Timestamp(400) };
        Use { warrant: Some(warrant), ..token(index, until, 1) }
    }

    #[test]
    fn number_of_a_warrant_is_spent_under_one_leaf_while_the_warrant_lives() {
        let memory = Memory::new(3, Timestamp(0));
        let spend = |one: Use<'_>, now| memory.spend(&one, Timestamp(now));
        assert!(spend(numbered(1, 7, 200), 150).is_ok());
        assert!(matches!(spend(numbered(1, 8, 200), 150), Err(SpendError::NumberSpent { number: 1 })));
        assert!(matches!(spend(numbered(1, 7, 200), 150), Err(SpendError::AlreadySpent { .. })));
        assert!(spend(numbered(2, 8, 200), 150).is_ok());
        // The first token is over and forgotten; its number is not.
        assert!(matches!(spend(numbered(1, 9, 400), 300), Err(SpendError::NumberSpent { .. })));
        assert!(spend(numbered(3, 9, 400), 300).is_ok());
        assert!(matches!(spend(numbered(4, 10, 400), 300), Err(SpendError::MemoryFull { .. })));
        assert!(matches!(spend(numbered(1, 11, 400), 401), Err(SpendError::Forgotten { .. })));
        let other = WarrantUse { key: [6; 32], number: 1, began: Timestamp(90), until: Timestamp(500) };
        assert!(spend(Use { warrant: Some(other), ..token(12, 500, 1) }, 401).is_ok());
    }

    #[test]
    fn uses_of_a_warrant_that_began_before_the_memory_are_refused() {
        let memory = Memory::new(2, Timestamp(95));
        let refused = memory.spend(&numbered(1, 7, 200), Timestamp(150));
        assert!(matches!(refused, Err(SpendError::WarrantBeforeMemory { began: Timestamp(90), .. })));
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
