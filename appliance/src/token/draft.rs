//! A draft: the decided entries of one batch, on their way to the sealer.
//!
//! Its leaves are encoded and hashed by the connection that made it, so that the one sealer has little to do. Nothing in it
//! is a token: that takes a signature, which only the sealer gets.

use assent_proto::codec::CodecError;
use assent_proto::entry::{Deny, Entry};
use assent_proto::hash::Hash;
use assent_proto::number::Epoch;
use assent_proto::refusal::Refusal;
use assent_proto::wire::{
    Decided, Head, Reply, Ruling, Verdict, append_refused, append_sealing, begin_decided,
};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use crate::log::Leaves;
use crate::log::store::BatchKey;

/// A draft's own bytes do not parse: our fault, never a peer's.
#[derive(Debug, thiserror::Error)]
#[error("a draft cannot be encoded")]
pub struct DraftError(#[from] CodecError);

/// What a batch is answered with.
#[derive(Debug)]
pub struct Answer {
    /// The reply frame.
    pub frame: Vec<u8>,
    /// How many tokens it carries.
    pub tokens: u64,
}

/// The decided entries of one batch.
#[derive(Debug)]
pub struct Draft {
    pub(super) key: BatchKey,
    /// Digest of the request that it answers.
    pub(super) request: Hash,
    /// The epoch in which it was decided. In any other, its allows are void.
    pub(super) epoch: Epoch,
    pub(super) frame: Vec<u8>,
    pub(super) leaves: Leaves,
    /// The reply, up to its sealing.
    pub(super) begun: Vec<u8>,
    pub(super) allows: u64,
    pub(super) holds: u64,
    answer: oneshot::Sender<Answer>,
    /// Its place among those that wait; given back when it is answered.
    _place: OwnedSemaphorePermit,
}

/// What was decided on a batch, as entries and as the beginning of its reply.
#[derive(Debug)]
pub struct Written {
    epoch: Epoch,
    begun: Vec<u8>,
    leaves: Leaves,
    allows: u64,
    holds: u64,
}

impl Written {
    /// Writes down what was decided: for each intent, in order, the number of its ruling, and its entry.
    ///
    /// # Errors
    /// When head or a ruling is over its limit.
    pub fn new(
        head: &Head<'_>,
        rulings: &[Ruling<'_>],
        outcomes: &[u16],
        leaves: Leaves,
    ) -> Result<Self, DraftError> {
        assert_eq!(outcomes.len(), leaves.len(), "every intent has its entry");
        let mut begun = Vec::with_capacity(512 + outcomes.len());
        begin_decided(head, rulings.iter(), outcomes, &mut begun)?;
        let (allows, holds) = count(rulings, outcomes);
        Ok(Self { epoch: head.epoch, begun, leaves, allows, holds })
    }
}

impl Draft {
    /// Makes a draft of what was decided on the intents of `frame`.
    #[must_use]
    pub fn new(
        key: BatchKey,
        frame: Vec<u8>,
        written: Written,
        answer: oneshot::Sender<Answer>,
        place: OwnedSemaphorePermit,
    ) -> Self {
        let Written { epoch, begun, leaves, allows, holds } = written;
        let request = Hash::of_labelled(b"assent/request/v1\0", [&frame]);
        Self { key, request, epoch, frame, leaves, begun, allows, holds, answer, _place: place }
    }

    /// Turns every allow into a denial, in the entries and in the reply.
    pub(super) fn void_allows(&mut self) -> Result<(), DraftError> {
        if self.allows == 0 {
            return Ok(());
        }
        let mut leaves = Leaves::with_capacity(self.leaves.len(), 0);
        for leaf in self.leaves.iter() {
            let entry = Entry::parse(leaf).map_err(|_| CodecError::Malformed)?;
            let entry = if let Entry::Allow(allow) = entry { Entry::Deny(voided(allow)) } else { entry };
            leaves.push(&entry)?;
        }
        self.begun = voided_reply(&self.begun)?;
        self.leaves = leaves;
        self.allows = 0;
        Ok(())
    }

    /// Answers with a frame that carries so many tokens. The peer may be gone, which changes nothing: the answer is
    /// recorded.
    pub(super) fn answer(self, frame: Vec<u8>, tokens: u64) {
        let _ = self.answer.send(Answer { frame, tokens });
    }

    /// Refuses the frame as a whole.
    pub(super) fn refuse(self, refusal: Refusal) {
        let mut reply = Vec::with_capacity(2);
        append_refused(refusal, &mut reply);
        self.answer(reply, 0);
    }
}

/// How many tokens a reply frame carries.
pub(super) fn tokens_in(frame: &[u8]) -> u64 {
    let Ok(Reply::Decided(decided)) = Reply::parse(frame) else { return 0 };
    let rulings: Vec<Ruling<'_>> = decided.rulings().filter_map(Result::ok).collect();
    let outcomes: Vec<u16> = decided.outcomes().filter_map(|number| u16::try_from(number).ok()).collect();
    count(&rulings, &outcomes).0
}

fn count(rulings: &[Ruling<'_>], outcomes: &[u16]) -> (u64, u64) {
    let of = |outcome: &u16| rulings.get(usize::from(*outcome)).map(|ruling| ruling.verdict);
    outcomes.iter().filter_map(of).fold((0, 0), |(allows, holds), verdict| match verdict {
        Verdict::Allow { .. } => (allows + 1, holds),
        Verdict::Hold(_) => (allows, holds + 1),
        Verdict::Deny(_) => (allows, holds),
    })
}

fn voided(allow: assent_proto::entry::Allow<'_>) -> Deny<'_> {
    Deny {
        salt: allow.salt,
        time: allow.time,
        epoch: allow.epoch,
        bundle: allow.bundle,
        principal: allow.principal,
        audience: allow.audience,
        action: allow.action,
        resource: allow.resource,
        intent: allow.intent,
        refusal: Refusal::TokenUnavailable,
        risk: allow.risk,
        policies: allow.policies,
    }
}

fn voided_reply(begun: &[u8]) -> Result<Vec<u8>, DraftError> {
    let mut whole = begun.to_vec();
    append_sealing(None, &mut whole);
    let Reply::Decided(decided) = Reply::parse(&whole)? else {
        return Err(CodecError::Malformed.into());
    };
    let rulings = decided.rulings().map(|ruling| ruling.map(voided_ruling)).collect::<Result<Vec<_>, _>>()?;
    let outcomes = decided.outcomes().filter_map(|number| u16::try_from(number).ok()).collect::<Vec<_>>();
    let Decided { head, .. } = decided;
    let mut begun = Vec::with_capacity(whole.len());
    begin_decided(&head, rulings.iter(), &outcomes, &mut begun)?;
    Ok(begun)
}

fn voided_ruling(ruling: Ruling<'_>) -> Ruling<'_> {
    match ruling.verdict {
        Verdict::Allow { .. } => Ruling { verdict: Verdict::Deny(Refusal::TokenUnavailable), ..ruling },
        Verdict::Deny(_) | Verdict::Hold(_) => ruling,
    }
}
