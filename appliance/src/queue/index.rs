//! The index of what waits: by ticket, by the order in which it is decided, and counted by agent.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::{Add, Sub};

use assent_proto::intent::Priority;
use assent_proto::number::{LeafIndex, Timestamp};
use assent_proto::refusal::Refusal;
use assent_proto::wire::Ticket;
use tokio::sync::oneshot;

use super::line::{Line, State};
use crate::log::store::BatchKey;

/// How many intents, and their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Intents.
    pub intents: u64,
    /// Bytes of the requests that they are decided by.
    pub bytes: u64,
}

impl Add for Counts {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        let (intents, bytes) =
            (self.intents.saturating_add(other.intents), self.bytes.saturating_add(other.bytes));
        Self { intents, bytes }
    }
}

impl Sub for Counts {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        let (intents, bytes) =
            (self.intents.saturating_sub(other.intents), self.bytes.saturating_sub(other.bytes));
        Self { intents, bytes }
    }
}

/// Its turn: the highest priority first, and of one the oldest.
type Turn = (Reverse<Priority>, LeafIndex, BatchKey);

/// A ticket in the index.
#[derive(Debug)]
struct Held {
    line: Line,
    /// Whether it is being decided now.
    is_out: bool,
    /// Whoever waits for its end.
    watches: Vec<oneshot::Sender<Crowded>>,
}

/// Nothing has changed, but others ask about the same ticket: whoever is told makes room for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Crowded;

/// Watches over one ticket at once: an agent has no use for more, and older ones are told to ask again.
const MAX_WATCHES: usize = 8;

#[derive(Debug, Default)]
pub(super) struct Index {
    /// By the end of their wait, which begins each key.
    held: BTreeMap<BatchKey, Held>,
    /// Those that can be decided, in their turn.
    ready: BTreeMap<Turn, ()>,
    /// Those that operators rejected, and whose end is still to be written.
    rejected: BTreeSet<BatchKey>,
    counts: Counts,
    by_principal: HashMap<String, Counts>,
}

fn turn(line: &Line, key: BatchKey) -> Turn {
    (Reverse(line.priority), line.hold, key)
}

const fn counts(line: &Line) -> Counts {
    Counts { intents: line.intents as u64, bytes: line.bytes as u64 }
}

impl Index {
    pub(super) const fn counts(&self) -> Counts {
        self.counts
    }

    pub(super) fn counts_of(&self, principal: &str) -> Counts {
        self.by_principal.get(principal).copied().unwrap_or_default()
    }

    pub(super) fn take(&mut self, principal: &str, wanted: Counts) {
        self.counts = self.counts + wanted;
        match self.by_principal.get_mut(principal) {
            Some(own) => *own = *own + wanted,
            None => drop(self.by_principal.insert(principal.to_owned(), wanted)),
        }
    }

    pub(super) fn give_back(&mut self, principal: &str, taken: Counts) {
        self.counts = self.counts - taken;
        if let Some(own) = self.by_principal.get_mut(principal) {
            *own = *own - taken;
            if *own == Counts::default() {
                self.by_principal.remove(principal);
            }
        }
    }

    pub(super) fn insert(&mut self, line: Line) {
        let key = line.key();
        self.take(&line.principal, counts(&line));
        if line.is_ready() {
            self.ready.insert(turn(&line, key), ());
        } else if matches!(line.state, State::Rejected(_)) {
            self.rejected.insert(key);
        }
        self.held.insert(key, Held { line, is_out: false, watches: Vec::new() });
    }

    /// The same ticket, with another state.
    pub(super) fn replace(&mut self, line: Line) {
        let key = line.key();
        let Some(held) = self.held.get_mut(&key) else { return };
        held.line = line;
        if held.line.is_ready() && !held.is_out {
            self.ready.insert(turn(&held.line, key), ());
        } else {
            self.ready.remove(&turn(&held.line, key));
        }
        if matches!(held.line.state, State::Rejected(_)) {
            self.rejected.insert(key);
        }
        // Whoever waits hears that something changed, and asks again.
        held.watches.clear();
    }

    pub(super) fn remove(&mut self, key: &BatchKey) -> Option<Line> {
        let held = self.held.remove(key)?;
        self.rejected.remove(key);
        self.ready.remove(&turn(&held.line, *key));
        self.give_back(&held.line.principal, counts(&held.line));
        Some(held.line)
    }

    pub(super) fn line(&self, key: &BatchKey) -> Option<&Line> {
        self.held.get(key).map(|held| &held.line)
    }

    /// A ticket, and what ends when something of it changes.
    pub(super) fn watch(&mut self, key: &BatchKey) -> Option<(&Line, oneshot::Receiver<Crowded>)> {
        let held = self.held.get_mut(key)?;
        let (tell, told) = oneshot::channel();
        held.watches.retain(|watch| !watch.is_closed());
        if held.watches.len() >= MAX_WATCHES {
            // Told as such: who took it for a change would ask again at once, and push the next one out.
            let _ = held.watches.remove(0).send(Crowded);
        }
        held.watches.push(tell);
        Some((&held.line, told))
    }

    /// Takes the next ticket out that can be decided.
    pub(super) fn next(&mut self) -> Option<Line> {
        let ((_, _, key), ()) = self.ready.pop_first()?;
        self.out(&key)
    }

    /// Takes a ticket out that was rejected.
    fn next_rejected(&mut self) -> Option<Line> {
        let is_in = |key: &&BatchKey| self.held.get(key).is_some_and(|held| !held.is_out);
        let key = *self.rejected.iter().find(is_in)?;
        self.out(&key)
    }

    /// Takes a ticket out whose wait has ended by then.
    fn next_expired(&mut self, now: Timestamp) -> Option<Line> {
        let ended = |held: &Held| held.line.ticket().until() < now;
        let overdue = self.held.iter().take_while(|(_, held)| ended(held)).find(|(_, held)| !held.is_out);
        let key = *overdue?.0;
        self.out(&key)
    }

    /// Takes a ticket out whose wait is over, and what its agent hears.
    pub(super) fn next_ended(&mut self, now: Timestamp) -> Option<(Line, Refusal)> {
        let rejected = self.next_rejected().map(|line| (line, Refusal::ApprovalRejected));
        rejected.or_else(|| self.next_expired(now).map(|line| (line, Refusal::Expired)))
    }

    /// Takes this ticket out, unless it is being decided already.
    pub(super) fn out(&mut self, key: &BatchKey) -> Option<Line> {
        let held = self.held.get_mut(key).filter(|held| !held.is_out)?;
        held.is_out = true;
        let line = held.line.clone();
        self.ready.remove(&turn(&line, *key));
        Some(line)
    }

    pub(super) fn put_back(&mut self, key: &BatchKey) {
        let Some(held) = self.held.get_mut(key) else { return };
        held.is_out = false;
        if held.line.is_ready() {
            self.ready.insert(turn(&held.line, *key), ());
        }
    }

    /// In the order in which they are decided.
    pub(super) fn lines(&self) -> impl ExactSizeIterator<Item = &Line> {
        self.lines_that(|_| true)
    }

    /// Those for which this holds, in the order in which they are decided: the others cost no more than a look.
    pub(super) fn lines_that(&self, holds: impl Fn(&Line) -> bool) -> impl ExactSizeIterator<Item = &Line> {
        let chosen = self.held.iter().filter(|(_, held)| holds(&held.line));
        let mut turns: Vec<_> = chosen.map(|(key, held)| (turn(&held.line, *key), &held.line)).collect();
        turns.sort_by_key(|(turn, _)| *turn);
        turns.into_iter().map(|(_, line)| line)
    }

    pub(super) fn len(&self) -> usize {
        self.held.len()
    }

    pub(super) fn find(&self, ticket: Ticket) -> Option<&Line> {
        let held = self.held.range(BatchKey::first_of(ticket.0)..).next();
        held.map(|(_, held)| &held.line).filter(|line| line.ticket() == ticket)
    }

    /// Since when the oldest waits of those that can be decided, and of those that await approval.
    pub(super) fn oldest(&self) -> (Option<Timestamp>, Option<Timestamp>) {
        let of = |is_meant: fn(&Line) -> bool| {
            let lines = self.held.values().map(|held| &held.line);
            lines.filter(|line| is_meant(line)).map(|line| line.since).min()
        };
        (of(Line::is_ready), of(Line::awaits_approval))
    }

    pub(super) fn depths(&self) -> ([u64; 4], u64) {
        let (mut queued, mut awaiting) = ([0_u64; 4], 0_u64);
        for Held { line, .. } in self.held.values() {
            let intents = u64::from(line.intents);
            match queued.get_mut(line.priority as usize).filter(|_| line.is_ready()) {
                Some(depth) => *depth = depth.saturating_add(intents),
                None => awaiting = awaiting.saturating_add(intents),
            }
        }
        (queued, awaiting)
    }
}

#[cfg(test)]
mod tests {
    use assent_proto::wire::BatchId;

    use super::super::line::Approver;
    use super::*;

    fn line(hold: u64, priority: Priority, until: u64) -> Line {
        let ticket =
            Ticket::new(BatchId::new(Timestamp(1), [1; 10]), u32::try_from(hold).unwrap(), Timestamp(until));
        let line = Line::new(ticket, "spiffe://a/b", priority, Timestamp(hold));
        Line { hold: LeafIndex(hold), intents: 2, bytes: 100, ..line }
    }

    fn drained(index: &mut Index) -> Vec<u64> {
        std::iter::from_fn(|| index.next()).map(|line| line.hold.0).collect()
    }

    #[test]
    fn highest_priority_comes_first_and_of_one_the_oldest() {
        let mut index = Index::default();
        let waits = [
            (5, Priority::Low),
            (4, Priority::High),
            (3, Priority::Critical),
            (2, Priority::High),
            (1, Priority::Normal),
        ];
        waits.into_iter().for_each(|(hold, priority)| index.insert(line(hold, priority, 900)));
        assert_eq!(index.lines().map(|line| line.hold.0).collect::<Vec<_>>(), [3, 2, 4, 1, 5]);
        assert_eq!(drained(&mut index), [3, 2, 4, 1, 5]);
        assert_eq!(index.counts(), Counts { intents: 10, bytes: 500 }, "they wait until they are decided");
    }

    #[test]
    fn what_is_out_is_not_taken_again_until_it_is_put_back() {
        let mut index = Index::default();
        index.insert(line(1, Priority::Low, 900));
        let key = index.next().unwrap().key();
        assert!(
            index.next().is_none()
                && index.out(&key).is_none()
                && index.next_expired(Timestamp(901)).is_none()
        );
        index.put_back(&key);
        assert_eq!(index.next_expired(Timestamp(900)), None, "its last moment is not over");
        assert_eq!(index.next_expired(Timestamp(901)).map(|line| line.hold.0), Some(1));
        assert!(index.next().is_none());
        assert!(index.remove(&key).is_some() && index.remove(&key).is_none());
        assert_eq!((index.counts(), index.counts_of("spiffe://a/b")), Default::default());
    }

    #[test]
    fn what_awaits_approval_has_no_turn_until_it_is_approved() {
        let mut index = Index::default();
        let waits = line(7, Priority::High, 900);
        index.insert(Line { state: State::AwaitingApproval(Vec::new()), ..waits.clone() });
        assert!(index.next().is_none());
        assert_eq!(index.depths(), ([0; 4], 2));
        let key = waits.key();
        let (_, mut watch) = index.watch(&key).unwrap();
        assert!(watch.try_recv() == Err(oneshot::error::TryRecvError::Empty));
        let approver = Approver { name: "a".to_owned(), key: "k".to_owned(), leaf: LeafIndex(9) };
        index.replace(Line { state: State::Approved(vec![approver]), ..waits });
        assert!(watch.try_recv() == Err(oneshot::error::TryRecvError::Closed), "it hears of the change");
        assert_eq!(index.depths(), ([0, 0, 2, 0], 0));
        assert_eq!(drained(&mut index), [7]);
    }

    #[test]
    fn the_oldest_that_can_be_decided_is_told_apart_from_the_oldest_hold() {
        let mut index = Index::default();
        assert_eq!(index.oldest(), (None, None));
        let hold = Line { state: State::AwaitingApproval(Vec::new()), ..line(3, Priority::High, 900) };
        index.insert(hold.clone());
        assert_eq!(index.oldest(), (None, Some(Timestamp(3))), "0 are queued");
        index.insert(line(8, Priority::Low, 900));
        assert_eq!(index.oldest(), (Some(Timestamp(8)), Some(Timestamp(3))));
        index.replace(Line { state: State::Approved(Vec::new()), ..hold });
        assert_eq!(index.oldest(), (Some(Timestamp(3)), None), "it can be decided now");
    }

    #[test]
    fn whoever_waits_is_woken_by_the_end() {
        let mut index = Index::default();
        let waits = line(7, Priority::High, 900);
        index.insert(waits.clone());
        let mut watches: Vec<_> =
            (0..MAX_WATCHES + 1).map(|_| index.watch(&waits.key()).unwrap().1).collect();
        let ended = |watch: &mut oneshot::Receiver<Crowded>| {
            watch.try_recv() == Err(oneshot::error::TryRecvError::Closed)
        };
        assert_eq!(watches.remove(0).try_recv(), Ok(Crowded), "the oldest made room, and nothing changed");
        assert!(!watches.iter_mut().any(ended));
        drop(index.remove(&waits.key()));
        assert!(watches.iter_mut().all(ended));
    }
}
