//! A draft: the decided entries of one batch, on their way to the sealer.
//!
//! Its leaves are encoded and hashed by the connection that made it, so that the one sealer has little to do. Nothing in it
//! is a token: that takes a signature, which only the sealer gets.

use assent_proto::codec::CodecError;
use assent_proto::entry::Grounds;
use assent_proto::hash::Hash;
use assent_proto::number::{Epoch, LeafIndex, Timestamp};
use assent_proto::refusal::Refusal;
use assent_proto::wire::{Head, Reply, Ruling, Verdict, append_refused, begin_decided};
use tokio::sync::oneshot;

use super::parking::{Parked, Wishes};
use super::sealer::{Place, Seen};
use crate::log::store::BatchKey;
use crate::log::{Leaves, request_digest};
use crate::meters::Tally;

/// A draft's own bytes do not parse: our fault, never a peer's.
#[derive(Debug, thiserror::Error)]
#[error("a draft cannot be encoded")]
pub struct DraftError(#[from] CodecError);

/// What a batch is answered with.
#[derive(Debug)]
pub struct Answer {
    /// The reply frame.
    pub frame: Vec<u8>,
    /// How many tokens it carries that may leave only while the boundary is open. One under a warrant is none of them.
    pub tokens: u64,
    /// Why the frame was refused as a whole, where it was: then there are no decisions in the answer.
    pub refused: Option<Refusal>,
    /// The place that its draft had, where an agent waits: it bounds what is answered and has not set out yet.
    pub place: Option<Place>,
}

impl Answer {
    /// Decisions, in a frame that carries so many tokens.
    #[must_use]
    pub const fn decided(frame: Vec<u8>, tokens: u64) -> Self {
        Self { frame, tokens, refused: None, place: None }
    }

    /// The frame was refused as a whole.
    #[must_use]
    pub fn refused(refusal: Refusal) -> Self {
        let mut frame = Vec::with_capacity(2);
        append_refused(refusal, &mut frame);
        Self { frame, tokens: 0, refused: Some(refusal), place: None }
    }
}

/// Who wants a batch decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AskedBy {
    /// An agent, which waits for the answer.
    Agent,
    /// The queue: what waited is decided anew. Where it cannot be signed, it waits on.
    Queue,
    /// The queue: what waited is refused, for it has expired or was withdrawn.
    EndOfWait,
}

/// How many of each verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Verdicts {
    pub(super) allows: u64,
    /// Of the allows, those under a warrant.
    pub(super) warranted: u64,
    pub(super) holds: u64,
    /// Of the holds, those that wait.
    pub(super) waits: u64,
    /// All of them, as they are counted for monitoring.
    pub(super) tally: Tally,
}

impl Verdicts {
    /// Allows that an HSM's signature must stand behind.
    pub(super) const fn unwarranted(&self) -> u64 {
        self.allows.saturating_sub(self.warranted)
    }
}

/// An intent that is allowed under a warrant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Use {
    pub(super) warrant: LeafIndex,
    pub(super) number: u16,
    /// Its position in the batch.
    pub(super) position: u32,
    /// When it was decided.
    pub(super) time: Timestamp,
}

/// The decided entries of one batch.
#[derive(Debug)]
pub struct Draft {
    pub(super) key: BatchKey,
    /// Digest of the request that it answers.
    pub(super) request: Hash,
    /// The epoch in which it was decided. In any other, its allows are void.
    pub(super) epoch: Epoch,
    /// Whether it was decided on the fact that the boundary is closed.
    degraded: bool,
    pub(super) frame: Vec<u8>,
    pub(super) leaves: Leaves,
    /// The reply, up to its sealing.
    pub(super) begun: Vec<u8>,
    pub(super) counts: Verdicts,
    pub(super) asked_by: AskedBy,
    /// Intents that are to wait rather than be refused.
    pub(super) wishes: Option<Box<Wishes>>,
    /// Those that will, once their holds are durable.
    pub(super) parked: Option<Parked>,
    /// What of it is allowed under a warrant.
    pub(super) uses: Vec<Use>,
    answer: oneshot::Sender<Answer>,
    /// Its place among those that wait; the answer to an agent takes it along.
    place: Place,
}

/// What was decided on a batch, as entries and as the beginning of its reply.
#[derive(Debug)]
pub struct Written {
    epoch: Epoch,
    degraded: bool,
    begun: Vec<u8>,
    leaves: Leaves,
    counts: Verdicts,
    wishes: Option<Box<Wishes>>,
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
        let counts = count(rulings, outcomes);
        Ok(Self { epoch: head.epoch, degraded: false, begun, leaves, counts, wishes: None })
    }

    /// How many intents are allowed and held, of how many.
    pub(crate) fn counted(&self) -> (u64, u64, usize) {
        (self.counts.allows, self.counts.holds, self.leaves.len())
    }

    /// The entries, encoded and hashed.
    #[must_use]
    pub const fn leaves(&self) -> &Leaves {
        &self.leaves
    }

    /// The reply up to its sealing.
    #[must_use]
    pub fn begun(&self) -> &[u8] {
        &self.begun
    }

    /// The same, with the intents that are to wait rather than be refused.
    #[must_use]
    pub fn wishing(self, wishes: Option<Box<Wishes>>) -> Self {
        Self { wishes, ..self }
    }

    /// The same, decided on the fact that the boundary is closed, or that it is not.
    #[must_use]
    pub fn with_degraded(self, degraded: bool) -> Self {
        Self { degraded, ..self }
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
        place: Place,
    ) -> Self {
        let Written { epoch, degraded, begun, leaves, counts, wishes } = written;
        let request = request_digest(&frame);
        let (asked_by, parked, uses) = (AskedBy::Agent, None, Vec::new());
        Self {
            key,
            request,
            epoch,
            degraded,
            frame,
            leaves,
            begun,
            counts,
            asked_by,
            wishes,
            parked,
            uses,
            answer,
            place,
        }
    }

    /// The same, wanted by the queue.
    #[must_use]
    pub fn asked_by(self, asked_by: AskedBy) -> Self {
        Self { asked_by, ..self }
    }

    /// Whether the HSM may sign for what it allows while the boundary is open in this epoch: an attempt to arm opens it in the epoch
    /// that it was closed in, and what policies permit only meanwhile is no ordinary token's.
    pub(super) fn may_be_signed_in(&self, epoch: Epoch) -> bool {
        self.epoch == epoch && !self.degraded
    }

    /// What whoever chooses the drafts of a round looks at.
    pub(super) const fn seen(&self) -> Seen {
        Seen { key: self.key, asked_by: self.asked_by, intents: self.leaves.len() }
    }

    /// Answers with a frame that carries so many tokens. The peer may be gone, which changes nothing: the answer is
    /// recorded.
    pub(super) fn answer(self, frame: Vec<u8>, tokens: u64) {
        // The queue's answers are kept until somebody collects them: with their places they would hold up what waits behind.
        let place = (self.asked_by == AskedBy::Agent).then_some(self.place);
        let answer = Answer { place, ..Answer::decided(frame, tokens) };
        let _ = self.answer.send(answer);
    }

    /// Refuses the frame as a whole.
    pub(super) fn refuse(self, refusal: Refusal) {
        let _ = self.answer.send(Answer::refused(refusal));
    }
}

/// How many tokens a reply frame carries that may leave only while the boundary is open.
pub(crate) fn tokens_in(frame: &[u8]) -> u64 {
    let Ok(Reply::Decided(decided)) = Reply::parse(frame) else { return 0 };
    let rulings: Vec<Ruling<'_>> = decided.rulings().filter_map(Result::ok).collect();
    let outcomes: Vec<u16> = decided.outcomes().filter_map(|number| u16::try_from(number).ok()).collect();
    count(&rulings, &outcomes).unwarranted()
}

pub(super) fn count(rulings: &[Ruling<'_>], outcomes: &[u16]) -> Verdicts {
    let of = |outcome: &u16| rulings.get(usize::from(*outcome)).map(|ruling| ruling.verdict);
    let mut counts = Verdicts::default();
    for verdict in outcomes.iter().filter_map(of) {
        counts.tally.note(verdict);
        match verdict {
            Verdict::Allow { grounds, .. } => {
                counts.allows += 1;
                counts.warranted += u64::from(matches!(grounds, Grounds::Warrant { .. }));
            }
            Verdict::Hold { waiting, .. } => {
                counts.holds += 1;
                counts.waits += u64::from(waiting.is_some());
            }
            Verdict::Deny(_) => {}
        }
    }
    counts
}

/// The number of a ruling among the distinct ones; a batch has few.
pub(crate) fn number_of<'r>(ruling: Ruling<'r>, rulings: &mut Vec<Ruling<'r>>) -> u16 {
    let number = rulings.iter().position(|known| *known == ruling).unwrap_or_else(|| {
        rulings.push(ruling);
        rulings.len() - 1
    });
    // INVARIANT: a batch has at most MAX_BATCH_INTENTS rulings, which fits.
    u16::try_from(number).unwrap_or(u16::MAX)
}
