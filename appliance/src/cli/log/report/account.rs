//! What a period's entries add up to, counted on any thread and added in order.
//!
//! Decisions are counted, uses of warrants also listed; what the appliance and its operators did is listed, entry by entry, as far
//! as there is room, and counted beyond. Signs of life are counted only.

use std::collections::{BTreeMap, HashMap};

use assent_proto::entry::{Entry, Grounds, Kind};
use assent_proto::refusal::Refusal;

use super::histogram::{Histogram, Tally};
use crate::cli::log::decision::{Decision, Outcome};
use crate::cli::log::entry::about;
use crate::cli::log::moment::Moment;
use crate::limits::{MAX_REPORT_EVENTS, MAX_REPORT_NAMES};
use crate::log::store::StoredRound;

/// From when until when; none where the log itself ends it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Period {
    pub(super) from: Option<Moment>,
    pub(super) to: Option<Moment>,
}

impl Period {
    pub(super) fn has(&self, time: assent_proto::number::Timestamp) -> bool {
        self.from.is_none_or(|from| time >= from.0) && self.to.is_none_or(|to| time < to.0)
    }
}

/// An entry that is listed.
#[derive(Clone, Debug)]
pub(super) struct Event {
    pub(super) index: u64,
    pub(super) time_ms: u64,
    pub(super) kind: Kind,
    pub(super) about: String,
    pub(super) leaf: Vec<u8>,
}

/// Counts by name, of so many names.
#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    by_name: HashMap<String, Tally>,
    /// Of names that found no room.
    pub(super) others: Tally,
}

/// What entries add up to.
#[derive(Clone, Debug, Default)]
pub(super) struct Account {
    pub(super) entries: u64,
    pub(super) kinds: BTreeMap<u8, u64>,
    pub(super) total: Tally,
    /// Allows that rest on a warrant and on no signature of the HSM: the only ones that are listed.
    pub(super) under_warrants: u64,
    pub(super) refusals: BTreeMap<&'static str, u64>,
    pub(super) policies: Names,
    pub(super) principals: Names,
    pub(super) actions: Names,
    pub(super) over_time: Histogram,
    pub(super) events: Vec<Event>,
    /// Events beyond those that are listed.
    pub(super) more_events: u64,
    /// Times of the first and the last entry.
    pub(super) times_ms: Option<(u64, u64)>,
}

impl Names {
    fn add(&mut self, name: &str, tally: &Tally) {
        if let Some(known) = self.by_name.get_mut(name) {
            known.add(tally);
        } else if self.by_name.len() < MAX_REPORT_NAMES {
            self.by_name.insert(name.to_owned(), *tally);
        } else {
            self.others.add(tally);
        }
    }

    fn merge(&mut self, other: &Self) {
        other.by_name.iter().for_each(|(name, tally)| self.add(name, tally));
        self.others.add(&other.others);
    }

    /// The names with most intents, and how many names there are.
    pub(super) fn top(&self, most: usize) -> (Vec<(&str, Tally)>, usize) {
        let mut all: Vec<_> = self.by_name.iter().map(|(name, tally)| (name.as_str(), *tally)).collect();
        all.sort_by(|(name, tally), (other, others)| others.all().cmp(&tally.all()).then(name.cmp(other)));
        all.truncate(most);
        (all, self.by_name.len())
    }
}

impl Account {
    /// What the entries of one round add up to, those of the period.
    pub(super) fn of(round: &StoredRound, period: Period) -> Self {
        let mut account = Self::default();
        for (index, leaf) in (round.first.0..).zip(round.leaves.iter()) {
            // What is no entry, the verification finds.
            if let Ok(entry) = Entry::parse(leaf)
                && period.has(entry.time())
            {
                account.entry(index, leaf, &entry);
            }
        }
        account
    }

    fn entry(&mut self, index: u64, leaf: &[u8], entry: &Entry<'_>) {
        let (time_ms, kind) = (entry.time().0, entry.kind());
        self.entries += 1;
        *self.kinds.entry(kind.number()).or_default() += 1;
        self.spread(time_ms, time_ms);
        let event = || Event { index, time_ms, kind, about: about(entry), leaf: leaf.to_vec() };
        let Some(decision) = Decision::of(entry) else {
            if kind != Kind::Status {
                self.list(event());
            }
            return;
        };
        if let Some(Grounds::Warrant { .. }) = decision.allow.map(|allow| allow.grounds) {
            self.under_warrants += 1;
            self.list(event());
        }
        let tally = tally_of(&decision);
        self.total.add(&tally);
        self.over_time.add(time_ms, &tally);
        self.principals.add(decision.principal, &tally);
        self.actions.add(decision.action.id, &tally);
        decision.policies.named.iter().for_each(|policy| self.policies.add(policy, &tally));
        if let Some(refusal) = decision.refusal {
            *self.refusals.entry(refusal.name()).or_default() += 1;
        }
    }

    fn spread(&mut self, first_ms: u64, last_ms: u64) {
        let (first, last) = self.times_ms.unwrap_or((first_ms, last_ms));
        self.times_ms = Some((first.min(first_ms), last.max(last_ms)));
    }

    fn list(&mut self, event: Event) {
        if self.events.len() < MAX_REPORT_EVENTS {
            self.events.push(event);
        } else {
            self.more_events += 1;
        }
    }

    /// Adds what the next round adds up to.
    pub(super) fn merge(&mut self, next: Self) {
        self.entries += next.entries;
        self.total.add(&next.total);
        self.under_warrants += next.under_warrants;
        for (kind, count) in next.kinds {
            *self.kinds.entry(kind).or_default() += count;
        }
        for (refusal, count) in next.refusals {
            *self.refusals.entry(refusal).or_default() += count;
        }
        self.policies.merge(&next.policies);
        self.principals.merge(&next.principals);
        self.actions.merge(&next.actions);
        self.over_time.merge(&next.over_time);
        next.events.into_iter().for_each(|event| self.list(event));
        self.more_events += next.more_events;
        if let Some((first, last)) = next.times_ms {
            self.spread(first, last);
        }
    }
}

fn tally_of(decision: &Decision<'_>) -> Tally {
    let mut tally = Tally::default();
    let count = match (decision.outcome, decision.refusal) {
        (Outcome::Allow, _) => &mut tally.allowed,
        (Outcome::Hold, _) => &mut tally.held,
        (_, Some(Refusal::TokenUnavailable | Refusal::EvaluationUnavailable)) => &mut tally.unavailable,
        (Outcome::Deny, _) => &mut tally.denied,
    };
    *count += 1;
    tally
}
