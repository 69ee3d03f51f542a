//! What was done to the log and what was acknowledged, and from when on: the model that an image is held to.
//!
//! Everything that was done has two places in the disk's journal: where it began, and where it was acknowledged. A crash
//! before the first has nothing of it, one behind the second has all of it, and one in between may have either.

use std::collections::BTreeSet;

use assent_log::store::BatchKey;
use assent_log::{Latched, SignedCheckpoint, Unsigned};
use assent_proto::hash::Hash;
use assent_proto::number::{Epoch, Timestamp};
use assent_proto::tree::Frontier;

use crate::keys::Key;

/// From when to when something was under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) begun: usize,
    /// None: it never was acknowledged.
    pub(crate) acknowledged: Option<usize>,
    /// Where a process started that did not find it: from here on it is not.
    pub(crate) gone: Option<usize>,
}

impl Span {
    /// It happened before the journal began.
    pub(crate) const BEFORE: Self = Self { begun: 0, acknowledged: Some(0), gone: None };

    pub(crate) fn is_certain(&self, crash: usize) -> bool {
        self.acknowledged.is_some_and(|place| place <= crash)
    }

    /// Whether a crash here may know of it at all.
    pub(crate) fn is_live(&self, crash: usize) -> bool {
        self.gone.is_none_or(|gone| crash < gone)
    }

    pub(crate) const fn may_be(&self, crash: usize) -> bool {
        self.begun < crash
    }
}

/// A recorded answer.
#[derive(Clone, Debug)]
pub(crate) struct Answered {
    pub(crate) key: BatchKey,
    pub(crate) request: Hash,
    pub(crate) reply: Vec<u8>,
    pub(crate) allows: bool,
}

/// A request, whose it is, and where its first entry stands.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) first: u64,
    pub(crate) principal: usize,
    pub(crate) frame: Vec<u8>,
}

/// A round, and the log's state behind it.
#[derive(Clone, Debug)]
pub(crate) struct Round {
    pub(crate) span: Span,
    pub(crate) first: u64,
    pub(crate) leaves: Vec<Vec<u8>>,
    /// Whether they were written in several pieces.
    pub(crate) in_pieces: bool,
    pub(crate) checkpoint: Option<SignedCheckpoint>,
    pub(crate) requests: Vec<Asked>,
    pub(crate) answers: Vec<Answered>,
    pub(crate) frontier: Frontier,
    /// The newest checkpoint behind it.
    pub(crate) signed: Option<SignedCheckpoint>,
    pub(crate) epoch: Epoch,
    pub(crate) unsigned: Unsigned,
    pub(crate) time: Timestamp,
    /// The key that takes over with it.
    pub(crate) hands_over_to: Option<Key>,
}

/// The key ring, as far as it is asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ring {
    pub(crate) signing: Key,
    pub(crate) announced: Option<Key>,
    pub(crate) retired: BTreeSet<Key>,
}

impl Ring {
    pub(crate) const fn founding() -> Self {
        Self { signing: Key(0), announced: None, retired: BTreeSet::new() }
    }
}

/// An erasure of what a principal asked, in rounds up to a number.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Erasing {
    pub(crate) span: Span,
    pub(crate) principal: usize,
    pub(crate) rounds: usize,
}

/// All of it.
#[derive(Clone, Debug)]
pub(crate) struct Model {
    /// When ring and log were founded.
    pub(crate) ring_founded: Span,
    pub(crate) log_founded: Span,
    pub(crate) rounds: Vec<Round>,
    /// States of the latch, one after the other.
    pub(crate) latch: Vec<(Span, Option<Latched>)>,
    /// States of the ring that its file was told, beside hand-overs.
    pub(crate) ring: Vec<(Span, Ring)>,
    pub(crate) erasures: Vec<Erasing>,
}

impl Model {
    pub(crate) fn new() -> Self {
        let never = Span { begun: usize::MAX, acknowledged: None, gone: None };
        Self {
            ring_founded: never,
            log_founded: never,
            rounds: Vec::new(),
            latch: vec![(Span::BEFORE, None)],
            ring: vec![(Span::BEFORE, Ring::founding())],
            erasures: Vec::new(),
        }
    }

    /// All that was done, a line each, for whoever looks for the cause of a violation.
    pub(crate) fn told(&self) -> String {
        use std::fmt::Write as _;
        let mut told = format!("founded {:?} {:?}\n", self.ring_founded, self.log_founded);
        for round in &self.rounds {
            let (first, hands_over_to) = (round.first, round.hands_over_to);
            let signed = round.checkpoint.is_some();
            let _ =
                writeln!(told, "{:?} round at {first}, signed {signed}, to {hands_over_to:?}", round.span);
        }
        for (span, ring) in &self.ring {
            let _ = writeln!(told, "{span:?} {ring:?}");
        }
        for (span, held) in &self.latch {
            let _ = writeln!(told, "{span:?} {held:?}");
        }
        for erasing in &self.erasures {
            let _ = writeln!(told, "{erasing:?}");
        }
        told
    }

    /// The rounds that a crash here may know of.
    pub(crate) fn live(&self, crash: usize) -> Vec<&Round> {
        self.rounds.iter().filter(|round| round.span.is_live(crash)).collect()
    }

    fn erasures_at(&self, crash: usize) -> Vec<&Erasing> {
        self.erasures.iter().filter(|erasing| erasing.span.is_live(crash)).collect()
    }

    /// How many erasures are in force for certain in a crash here.
    pub(crate) fn erased_at(&self, crash: usize) -> usize {
        self.erasures_at(crash).iter().filter(|erasing| erasing.span.is_certain(crash)).count()
    }

    /// How many rounds an image of a crash here must have, and how many it may have.
    pub(crate) fn rounds_at(&self, crash: usize) -> (usize, usize) {
        let rounds = self.live(crash);
        let certain = rounds.iter().take_while(|round| round.span.is_certain(crash)).count();
        let may_be = rounds.iter().take_while(|round| round.span.may_be(crash)).count();
        (certain, may_be.max(certain))
    }

    /// What was so for certain last, and what may be so since.
    pub(crate) fn states_at<S: Clone>(states: &[(Span, S)], crash: usize) -> Vec<S> {
        let last = states.iter().rposition(|(span, _)| span.is_certain(crash)).unwrap_or(0);
        let since = states.iter().skip(last).filter(|(span, _)| span.may_be(crash) || span.is_certain(crash));
        since.map(|(_, state)| state.clone()).collect()
    }

    /// The rings that a log with so many rounds may have. A hand-over is as certain as its round.
    pub(crate) fn rings_at(&self, crash: usize, rounds: usize) -> Vec<Ring> {
        let newest = self.live(crash)[..rounds].iter().rev().find_map(|round| round.hands_over_to);
        let states = Self::states_at(&self.ring, crash).into_iter();
        let with_hand_over = |ring: Ring| match newest {
            Some(key) if key > ring.signing => Ring { signing: key, announced: None, ..ring },
            _ => ring,
        };
        states.map(with_hand_over).collect()
    }

    /// Requests that must be there in a log with so many rounds, and those that may be, as erasures under way decide: each
    /// way in which it can have come.
    pub(crate) fn requests_at(&self, crash: usize, rounds: usize) -> Vec<Vec<(u64, &[u8])>> {
        let (live, erasures) = (self.live(crash), self.erasures_at(crash));
        let certain = self.erased_at(crash);
        let may_be = erasures.iter().filter(|erasing| erasing.span.may_be(crash)).count();
        let left = |erased: usize| {
            let numbered = live[..rounds].iter().enumerate();
            let asked = numbered.flat_map(|(number, round)| round.requests.iter().map(move |a| (number, a)));
            let is_erased = |number: usize, asked: &Asked| {
                let mut erasures = erasures[..erased].iter();
                erasures.any(|by| by.principal == asked.principal && number < by.rounds)
            };
            asked
                .filter(|(number, asked)| !is_erased(*number, asked))
                .map(|(_, asked)| (asked.first, asked.frame.as_slice()))
                .collect()
        };
        (certain..=may_be.max(certain)).map(left).collect()
    }

    /// A process that started here found this, and acts upon it.
    pub(crate) fn resolve(&mut self, shown: &Shown, at: usize) {
        let span = Span { begun: at, acknowledged: Some(at), gone: None };
        let found = |spans: &mut dyn Iterator<Item = &mut Span>, count: usize| {
            for (number, open) in spans.filter(|span| span.gone.is_none()).enumerate() {
                if number < count {
                    open.acknowledged = open.acknowledged.or(Some(at));
                } else {
                    open.gone = Some(at);
                }
            }
        };
        found(&mut self.rounds.iter_mut().map(|round| &mut round.span), shown.rounds);
        found(&mut self.erasures.iter_mut().map(|erasing| &mut erasing.span), shown.erasures);
        self.latch.push((span, shown.held.clone()));
        self.ring.push((span, shown.ring.clone()));
    }

    /// The same, begun anew from what an image of a crash here showed: all that is in it is certain.
    pub(crate) fn begun_from(&self, shown: &Shown, crash: usize) -> Self {
        let rounds = self.live(crash).into_iter().take(shown.rounds);
        let erasures = self.erasures_at(crash).into_iter().take(shown.erasures);
        Self {
            ring_founded: Span::BEFORE,
            log_founded: Span::BEFORE,
            rounds: rounds.map(|round| Round { span: Span::BEFORE, ..round.clone() }).collect(),
            latch: vec![(Span::BEFORE, shown.held.clone())],
            ring: vec![(Span::BEFORE, shown.ring.clone())],
            erasures: erasures.map(|erasing| Erasing { span: Span::BEFORE, ..*erasing }).collect(),
        }
    }
}

/// What an image turned out to hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shown {
    pub(crate) rounds: usize,
    pub(crate) held: Option<Latched>,
    pub(crate) ring: Ring,
    pub(crate) erasures: usize,
}
