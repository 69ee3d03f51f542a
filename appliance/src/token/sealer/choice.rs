//! The choice: which of the drafts that wait the next round takes.
//!
//! In the order in which they came, up to the limit of a round, with three turns: so that neither the queue and the agents nor
//! large batches and small ones starve each other, and so that a batch that comes twice is decided once. What it does not do:
//! look into the log, or at the boundary. The one rule: the first that may be taken at all is taken, so every round goes on.

use std::collections::HashSet;

use crate::limits::{
    LARGE_INTENTS_BESIDE_SMALL, QUEUE_INTENTS_A_ROUND, ROUNDS_BETWEEN_LARGE, ROUNDS_BOUNDED_FOR_SMALL,
    SMALL_BATCH_INTENTS,
};
use crate::log::store::BatchKey;
use crate::token::draft::AskedBy;

/// What the choice looks at of a draft.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::token) struct Seen {
    pub(in crate::token) key: BatchKey,
    pub(in crate::token) asked_by: AskedBy,
    pub(in crate::token) intents: usize,
}

impl Seen {
    /// Whether small ones should not have to wait for a row of its like.
    const fn is_large(&self) -> bool {
        self.intents > SMALL_BATCH_INTENTS
    }

    fn is_of_queue(&self) -> bool {
        self.asked_by != AskedBy::Agent
    }
}

/// What the rounds so far leave to the next: whose turn it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Turns {
    /// Whether the last round took drafts of the queue.
    queue_had_its_turn: bool,
    /// Since when no large batch was taken beside small ones.
    rounds_without_large: u32,
    /// Since when no small batch has waited.
    rounds_without_small: u32,
}

impl Default for Turns {
    fn default() -> Self {
        Self { queue_had_its_turn: false, rounds_without_large: u32::MAX, rounds_without_small: u32::MAX }
    }
}

impl Turns {
    /// Begins to choose for a round of so many entries at most, out of these.
    pub(super) fn choose(
        mut self,
        entries_max: usize,
        waiting: impl Iterator<Item = Seen> + Clone,
    ) -> Choice {
        let yields =
            std::mem::take(&mut self.queue_had_its_turn) && waiting.clone().any(|draft| !draft.is_of_queue());
        let small_wait = waiting.clone().any(|draft| !draft.is_large());
        // Small ones that come while a round is made wait for it: where there were some, there will be more.
        self.rounds_without_small = if small_wait { 0 } else { self.rounds_without_small.saturating_add(1) };
        Choice {
            entries_max,
            queue_is_over: yields,
            bounds_large: self.rounds_without_small < ROUNDS_BOUNDED_FOR_SMALL,
            large_must_wait: self.rounds_without_large < ROUNDS_BETWEEN_LARGE && small_wait,
            turns: self,
            keys: HashSet::new(),
            entries: 0,
            of_queue: 0,
            of_large: 0,
        }
    }
}

/// A choice that is being made.
#[derive(Debug)]
pub(super) struct Choice {
    turns: Turns,
    entries_max: usize,
    /// Once one of the queue's waits for the next round, those behind it do, too: the queue has an order.
    queue_is_over: bool,
    bounds_large: bool,
    large_must_wait: bool,
    /// The batches that were taken.
    keys: HashSet<BatchKey>,
    /// Their entries.
    entries: usize,
    /// Entries of those that are the queue's.
    of_queue: usize,
    /// Entries of those that are large and bounded.
    of_large: usize,
}

impl Choice {
    /// Whether this one may be taken behind those that were. It is to be asked of all that wait, in their order.
    ///
    /// A second of the same batch waits for the next round, where it finds the first one's answer.
    pub(super) fn may_take(&mut self, draft: &Seen) -> bool {
        let fits = self.keys.is_empty() || self.entries + draft.intents <= self.entries_max;
        let may =
            fits && self.has_turn(draft) && !self.is_too_large(draft) && !self.keys.contains(&draft.key);
        self.queue_is_over |= draft.is_of_queue() && !may;
        may
    }

    /// Takes it into the round.
    pub(super) fn take(&mut self, draft: &Seen) {
        self.keys.insert(draft.key);
        self.entries += draft.intents;
        self.of_queue += if draft.is_of_queue() { draft.intents } else { 0 };
        self.of_large += if self.is_bounded(draft) { draft.intents } else { 0 };
    }

    /// What it leaves to the next round.
    pub(super) fn end(self) -> Turns {
        let since = self.turns.rounds_without_large;
        Turns {
            queue_had_its_turn: self.of_queue > 0,
            rounds_without_large: if self.of_large > 0 { 0 } else { since.saturating_add(1) },
            ..self.turns
        }
    }

    /// Of the queue's there are only so many in a round, and none in the round behind one that had any, where agents wait.
    fn has_turn(&self, draft: &Seen) -> bool {
        let has_room = self.of_queue == 0 || self.of_queue + draft.intents <= QUEUE_INTENTS_A_ROUND;
        !draft.is_of_queue() || (!self.queue_is_over && has_room)
    }

    fn is_bounded(&self, draft: &Seen) -> bool {
        self.bounds_large && draft.is_large()
    }

    fn is_too_large(&self, draft: &Seen) -> bool {
        let is_over = self.of_large > 0 && self.of_large + draft.intents > LARGE_INTENTS_BESIDE_SMALL;
        self.is_bounded(draft) && (self.large_must_wait || is_over)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use assent_proto::wire::BatchId;

    const AGENT: AskedBy = AskedBy::Agent;
    const QUEUE: AskedBy = AskedBy::Queue;

    fn drafts(of: &[(AskedBy, usize)]) -> Vec<Seen> {
        let seen = |(number, (asked_by, intents)): (usize, &(AskedBy, usize))| {
            let key = BatchKey::new(BatchId([u8::try_from(number).unwrap(); 16]), "agent");
            Seen { key, asked_by: *asked_by, intents: *intents }
        };
        of.iter().enumerate().map(seen).collect()
    }

    /// Which of them a round takes, by their positions.
    fn round(turns: &mut Turns, entries_max: usize, waiting: &[Seen]) -> Vec<usize> {
        let mut choice = turns.choose(entries_max, waiting.iter().copied());
        let mut taken = Vec::new();
        for (position, draft) in waiting.iter().enumerate() {
            if choice.may_take(draft) {
                choice.take(draft);
                taken.push(position);
            }
        }
        *turns = choice.end();
        taken
    }

    #[test]
    fn a_round_takes_what_fits_and_one_that_never_would_alone() {
        let waiting = drafts(&[(AGENT, 30), (AGENT, 50), (AGENT, 20), (AGENT, 50)]);
        assert_eq!(round(&mut Turns::default(), 100, &waiting), [0, 1, 2]);
        assert_eq!(round(&mut Turns::default(), 1, &waiting), [0], "or nothing would ever be sealed");
        assert!(round(&mut Turns::default(), 100, &[]).is_empty());
    }

    #[test]
    fn a_batch_that_comes_twice_is_taken_once() {
        let mut waiting = drafts(&[(AGENT, 1), (AGENT, 1), (AGENT, 1)]);
        waiting[1].key = waiting[0].key;
        assert_eq!(round(&mut Turns::default(), 100, &waiting), [0, 2]);
    }

    #[test]
    fn one_that_the_log_answers_takes_no_room() {
        let waiting = drafts(&[(AGENT, 80), (AGENT, 80)]);
        let mut choice = Turns::default().choose(100, waiting.iter().copied());
        assert!(choice.may_take(&waiting[0]), "it may be, and was answered instead");
        assert!(choice.may_take(&waiting[1]));
        choice.take(&waiting[1]);
        assert!(!choice.may_take(&waiting[0]));
    }

    #[test]
    fn the_queue_keeps_its_order_and_leaves_every_other_round_to_agents() {
        let mut turns = Turns::default();
        let most = QUEUE_INTENTS_A_ROUND;
        let waiting = drafts(&[(QUEUE, most - 1), (QUEUE, 2), (QUEUE, 1), (AGENT, 1)]);
        assert_eq!(
            round(&mut turns, 10_000, &waiting),
            [0, 3],
            "the third would fit, and waits for the second"
        );
        assert_eq!(round(&mut turns, 10_000, &waiting[1..]), [2], "it had its turn");
        assert_eq!(round(&mut turns, 10_000, &waiting[1..]), [0, 1, 2]);
        assert_eq!(round(&mut turns, 10_000, &waiting[1..3]), [0, 1], "no agent waits");
    }

    #[test]
    fn while_small_ones_wait_most_rounds_take_no_large_one() {
        let mut turns = Turns::default();
        let large = LARGE_INTENTS_BESIDE_SMALL;
        let waiting = drafts(&[(AGENT, large), (AGENT, large), (AGENT, 1)]);
        let rounds: Vec<Vec<usize>> = (0..6).map(|_| round(&mut turns, 100_000, &waiting)).collect();
        assert_eq!(rounds[0], [0, 2], "one, and no second beside it");
        assert!(rounds[1..5].iter().all(|taken| *taken == [2]), "{rounds:?}");
        assert_eq!(rounds[5], [0, 2]);
    }

    #[test]
    fn where_small_ones_waited_just_now_large_ones_are_bounded_still() {
        let mut turns = Turns::default();
        let large = LARGE_INTENTS_BESIDE_SMALL;
        let two = drafts(&[(AGENT, large), (AGENT, large)]);
        assert_eq!(round(&mut turns, 100_000, &two), [0, 1], "nothing small ever came");
        round(&mut turns, 100_000, &drafts(&[(AGENT, 1)]));
        for since in 1..ROUNDS_BOUNDED_FOR_SMALL {
            assert_eq!(round(&mut turns, 100_000, &two), [0], "{since}");
        }
        assert_eq!(round(&mut turns, 100_000, &two), [0, 1]);
    }
}
