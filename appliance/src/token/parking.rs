//! Parking: what becomes of a draft that cannot be sealed as it was decided, or of which something is to wait.
//!
//! Without a signature no allow stands: it becomes a denial, or, where its agent wished so and the queue has room, a hold that
//! waits. The entries and the reply are made anew from the changed rulings, as the agent will make them. Room in the queue is
//! taken before the holds are written, and what waits is told to it behind the commit.

use std::sync::Arc;

use assent_proto::codec::CodecError;
use assent_proto::entry::Grounds;
use assent_proto::intent::{Intent, OnUnavailable};
use assent_proto::number::LeafIndex;
use assent_proto::refusal::Refusal;
use assent_proto::wire::{
    BatchId, Decided, Head, Reply, Request, Ruling, Ticket, Together, Verdict, Waiting, append_sealing,
    begin_decided, begin_request, push_intent,
};

use super::draft::{AskedBy, Draft, DraftError, Use, count, number_of};
use crate::break_glass::LentWarrant;
use crate::log::Leaves;
use crate::log::store::{Room, Row};
use crate::queue::{Line, Queue, Reservation, State};

/// Intents of a batch that are to wait rather than be refused, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wishes(Vec<(u32, Waiting)>);

/// What of a draft waits, once it is durable.
#[derive(Debug)]
pub(super) struct Parked {
    groups: Vec<Group>,
    reservation: Reservation,
}

/// Intents that wait under one ticket.
#[derive(Debug)]
struct Group {
    /// Position of the first in its batch.
    position: u32,
    line: Line,
    /// Where the others stand.
    positions: Vec<u32>,
    frame: Vec<u8>,
}

impl Wishes {
    /// Wishes in the order of their positions; none where there are none.
    #[must_use]
    pub fn of(wishes: Vec<(u32, Waiting)>) -> Option<Box<Self>> {
        (!wishes.is_empty()).then(|| Box::new(Self(wishes)))
    }

    fn at(&self, position: u32) -> Option<Waiting> {
        let place = self.0.binary_search_by_key(&position, |(position, _)| *position).ok()?;
        self.0.get(place).map(|(_, waiting)| *waiting)
    }
}

impl Draft {
    /// Makes the draft what it can be with a signature, without one, or with a warrant's in its place.
    ///
    /// # Errors
    /// When our own bytes do not parse.
    pub(super) fn settle(&mut self, mut by: Signing<'_>, queue: &Arc<Queue>) -> Result<(), DraftError> {
        if (by.is_hsm() || self.counts.allows == 0) && self.counts.waits == 0 {
            return Ok(());
        }
        // What was taken for an earlier attempt is given back first.
        self.parked = None;
        let mut whole = std::mem::take(&mut self.begun);
        append_sealing(None, &mut whole);
        let Reply::Decided(decided) = Reply::parse(&whole)? else { return Err(CodecError::Malformed.into()) };
        let request = Request::parse(&self.frame).map_err(|_| CodecError::Malformed)?;
        let signed = by.is_hsm();
        // What was taken for an earlier attempt was never written.
        let mut uses = Vec::new();
        let mut intents = request.intents();
        let mut settled = Settled::of(&decided, |position, ruling| {
            let intent = intents.next().map(|(intent, _)| intent);
            if let Some(used) = intent.and_then(|intent| by.warranted(&decided.head, &intent, &ruling)) {
                let Ruling {
                    verdict: Verdict::Allow { grounds: Grounds::Warrant { leaf, number }, .. }, ..
                } = used
                else {
                    return ruling;
                };
                uses.push(Use { warrant: leaf, number, position, time: decided.head.time });
                return used;
            }
            voided(ruling, signed, self.wishes.as_ref().and_then(|wishes| wishes.at(position)))
        })?;
        self.uses = uses;
        self.parked = settled.park(&decided.head, &request, queue)?;
        if self.parked.is_none() {
            settled = Settled::of_rulings(settled.each(), unparked);
        }
        self.leaves = settled.leaves(&decided.head, &request)?;
        self.begun = Vec::with_capacity(whole.len());
        begin_decided(&decided.head, settled.rulings.iter(), &settled.outcomes, &mut self.begun)?;
        self.counts = count(&settled.rulings, &settled.outcomes);
        Ok(())
    }
}

impl Draft {
    /// What is to be kept with its entries, of which the first lies at this index.
    pub(super) fn rows(&self, first: LeafIndex) -> Result<Vec<Row>, DraftError> {
        let mut rows = match &self.parked {
            Some(parked) => parked.rows(first)?,
            None => Vec::new(),
        };
        if self.asked_by != AskedBy::Agent {
            rows.extend(
                [Room::Waits, Room::WaitingIntents].map(|room| Row::removed(room, self.key.as_bytes())),
            );
        }
        Ok(rows)
    }

    /// Tells the queue what begins to wait with the draft, and what ends. To be called when the draft is durable.
    pub(super) fn tell(&mut self, first: LeafIndex, queue: &Queue) {
        if self.asked_by != AskedBy::Agent {
            queue.end(&self.key);
        }
        if let Some(parked) = self.parked.take() {
            parked.begin(first, queue);
        }
    }
}

/// Whose signature a round is to have.
#[derive(Debug)]
pub(super) enum Signing<'l> {
    /// The HSM's.
    Hsm,
    /// Nobody's.
    Nobody,
    /// That of the key of a warrant, over what is allowed under it and nothing else.
    Warrant(&'l mut LentWarrant),
}

impl Signing<'_> {
    const fn is_hsm(&self) -> bool {
        matches!(self, Self::Hsm)
    }

    /// The ruling that an allow becomes under the warrant, where its agent wishes so and the warrant is for it.
    fn warranted<'r>(
        &mut self,
        head: &Head<'_>,
        intent: &Intent<'_>,
        ruling: &Ruling<'r>,
    ) -> Option<Ruling<'r>> {
        let Self::Warrant(lent) = self else { return None };
        let Verdict::Allow { window_s, grounds: Grounds::Policy, .. } = ruling.verdict else { return None };
        if intent.terms.on_unavailable != OnUnavailable::Warrant {
            return None;
        }
        lent.take(head, (&intent.act.action, &intent.act.resource), window_s)
            .map(|verdict| Ruling { verdict, ..ruling.clone() })
    }
}

/// Without a signature there is no leave.
fn voided<'r>(ruling: Ruling<'r>, signed: bool, wish: Option<Waiting>) -> Ruling<'r> {
    match (ruling.verdict, wish) {
        (Verdict::Allow { .. }, None) if !signed => {
            Ruling { verdict: Verdict::Deny(Refusal::TokenUnavailable), ..ruling }
        }
        (Verdict::Allow { .. }, waiting @ Some(_)) if !signed => {
            Ruling { verdict: Verdict::Hold { refusal: Refusal::Queued, waiting }, ..ruling }
        }
        (Verdict::Allow { .. } | Verdict::Deny(_) | Verdict::Hold { .. }, _) => ruling,
    }
}

/// What would wait, where the queue has no room.
fn unparked(ruling: Ruling<'_>) -> Ruling<'_> {
    match ruling.verdict {
        Verdict::Hold { waiting: Some(_), .. } => {
            Ruling { verdict: Verdict::Deny(Refusal::QueueFull), ..ruling }
        }
        Verdict::Allow { .. } | Verdict::Deny(_) | Verdict::Hold { waiting: None, .. } => ruling,
    }
}

/// The rulings of a batch, each distinct one once.
struct Settled<'r> {
    rulings: Vec<Ruling<'r>>,
    outcomes: Vec<u16>,
}

impl<'r> Settled<'r> {
    fn of(
        decided: &Decided<'r>,
        mut change: impl FnMut(u32, Ruling<'r>) -> Ruling<'r>,
    ) -> Result<Self, DraftError> {
        let before = decided.rulings().collect::<Result<Vec<_>, _>>()?;
        let mut settled =
            Self { rulings: Vec::new(), outcomes: Vec::with_capacity(decided.outcomes().len()) };
        for (position, number) in (0..).zip(decided.outcomes()) {
            let ruling = before.get(number).ok_or(CodecError::Malformed)?;
            settled.push(change(position, ruling.clone()));
        }
        Ok(settled)
    }

    fn of_rulings(each: Vec<Ruling<'r>>, change: impl Fn(Ruling<'r>) -> Ruling<'r>) -> Self {
        let mut settled = Self { rulings: Vec::new(), outcomes: Vec::with_capacity(each.len()) };
        each.into_iter().for_each(|ruling| settled.push(change(ruling)));
        settled
    }

    fn push(&mut self, ruling: Ruling<'r>) {
        self.outcomes.push(number_of(ruling, &mut self.rulings));
    }

    fn ruling(&self, number: u16) -> Option<&Ruling<'r>> {
        self.rulings.get(usize::from(number))
    }

    fn each(&self) -> Vec<Ruling<'r>> {
        self.outcomes.iter().filter_map(|number| self.ruling(*number).cloned()).collect()
    }

    /// The entries, as the agent will make them.
    fn leaves(&self, head: &Head<'r>, request: &Request<'r>) -> Result<Leaves, DraftError> {
        let mut leaves = Leaves::with_capacity(self.outcomes.len(), self.outcomes.len() * 512);
        for ((position, (intent, _)), number) in (0..).zip(request.intents()).zip(&self.outcomes) {
            let ruling = self.ruling(*number).ok_or(CodecError::Malformed)?;
            leaves.push(&ruling.clone().entry(head, position, &intent, intent.act.digest()))?;
        }
        Ok(leaves)
    }

    /// Takes room for what waits. None where nothing does, or there is no room.
    fn park(
        &self,
        head: &Head<'_>,
        request: &Request<'_>,
        queue: &Arc<Queue>,
    ) -> Result<Option<Parked>, DraftError> {
        let groups = self.groups(head, request);
        if groups.is_empty() {
            return Ok(None);
        }
        let intents: u64 = groups.iter().map(|group| u64::from(group.line.intents)).sum();
        let bytes: u64 = groups.iter().map(|group| u64::from(group.line.bytes)).sum();
        let reservation = queue.reserve(head.principal, intents, bytes).ok();
        Ok(reservation.map(|reservation| Parked { groups, reservation }))
    }

    fn groups(&self, head: &Head<'_>, request: &Request<'_>) -> Vec<Group> {
        let mut together = vec![Together::default(); self.rulings.len()];
        let mut groups: Vec<Group> = Vec::new();
        for (position, number) in (0_u32..).zip(&self.outcomes) {
            let Some(Verdict::Hold { refusal, waiting: Some(waiting) }) =
                self.ruling(*number).map(|ruling| ruling.verdict)
            else {
                continue;
            };
            let Some(together) = together.get_mut(usize::from(*number)) else { continue };
            let first = together.join(position, refusal);
            match groups.iter_mut().rev().find(|group| group.position == first) {
                Some(group) => group.positions.push(position),
                None => groups.push(Group::begin(request.batch(), first, head, refusal, waiting)),
            }
        }
        let intents: Vec<&[u8]> = request.intents().map(|(_, bytes)| bytes).collect();
        groups.iter_mut().for_each(|group| group.fill(&intents));
        groups
    }
}

impl Group {
    fn begin(batch: BatchId, position: u32, head: &Head<'_>, refusal: Refusal, waiting: Waiting) -> Self {
        let until = head.time.plus_ms(u64::from(waiting.wait_s).saturating_mul(1000));
        let ticket = Ticket::new(batch, position, until);
        let mut line = Line::new(ticket, head.principal, waiting.priority, head.time);
        if refusal == Refusal::AwaitingApproval {
            line.state = State::AwaitingApproval(Vec::new());
        }
        Self { position, line, positions: vec![position], frame: Vec::new() }
    }

    /// The request that they are decided by.
    fn fill(&mut self, intents: &[&[u8]]) {
        begin_request(self.line.ticket().0, self.positions.len(), &mut self.frame);
        let place = |position: &u32| usize::try_from(*position).unwrap_or(usize::MAX);
        for intent in self.positions.iter().filter_map(|position| intents.get(place(position))) {
            push_intent(intent, &mut self.frame);
        }
        let number = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
        (self.line.intents, self.line.bytes) = (number(self.positions.len()), number(self.frame.len()));
    }
}

impl Parked {
    /// What is to be kept with the entries, of which the batch's first lies at this index.
    fn rows(&self, first: LeafIndex) -> Result<Vec<Row>, CodecError> {
        let mut rows = Vec::with_capacity(2 * self.groups.len());
        for group in &self.groups {
            let (line, key) = (group.line_at(first), group.line.key());
            rows.push(Row::put(Room::Waits, key.as_bytes(), line.encoded()?));
            rows.push(Row::put(Room::WaitingIntents, key.as_bytes(), group.frame.clone()));
        }
        Ok(rows)
    }

    /// Has the queue take them over. To be called when they are durable.
    fn begin(self, first: LeafIndex, queue: &Queue) {
        let lines = self.groups.iter().map(|group| group.line_at(first)).collect();
        queue.begin(self.reservation, lines);
    }
}

impl Group {
    fn line_at(&self, first: LeafIndex) -> Line {
        let hold = LeafIndex(first.0.saturating_add(u64::from(self.position)));
        let mut line = self.line.clone();
        line.hold = hold;
        line
    }
}
