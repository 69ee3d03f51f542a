//! A sealed round: the HSM signed a checkpoint that covers these entries, and the signature verified.
//!
//! The one rule: until they are durable the tokens in it have no accessor. [`Sealed::release`] takes the log's receipt, and there
//! is no other way to the bytes of a sealed round. Two others lead to tokens. The log's recorded answer is given again, and only
//! while the boundary is open (`sealer/turn.rs`, `pipeline/waiting.rs`). Uses of a warrant stand in an `Unsigned` round, whose
//! `release` takes a receipt too, and asks for no open boundary.

use assent_proto::number::{Epoch, Timestamp};
use assent_proto::refusal::Refusal;
use assent_proto::wire::{Sealing, append_sealing};

use super::boundary::TokenBoundary;
use super::draft::DraftError;
use super::round::{Kept, Round};
use crate::break_glass::UnderWarrant;
use crate::log::{self, Commit, Receipt, Recorded, SignedCheckpoint};
use crate::queue::Queue;

/// Tells its holder that the entries are covered by an HSM-signed checkpoint. It does not tell that they are durable, and
/// until they are there is no way to the tokens:
///
/// ```compile_fail
/// fn peek(sealed: &appliance::token::Sealed) -> &[Vec<u8>] {
///     &sealed.replies
/// }
/// ```
///
/// ```compile_fail
/// fn skip(sealed: appliance::token::Sealed, boundary: &appliance::token::TokenBoundary) {
///     sealed.release(boundary, todo!(), |_| ());
/// }
/// ```
#[derive(Debug)]
#[must_use]
pub struct Sealed {
    round: Round,
    replies: Vec<Vec<u8>>,
    checkpoint: SignedCheckpoint,
    epoch: Epoch,
}

impl Sealed {
    /// Joins a round with its signature, which the caller has verified over the round's own checkpoint.
    pub(super) fn new(mut round: Round, checkpoint: SignedCheckpoint, epoch: Epoch) -> Option<Self> {
        let firsts = round.firsts();
        let mut sealings = Vec::with_capacity(firsts.len());
        let counts: Vec<usize> = round.drafts.iter().map(|draft| draft.leaves.len()).collect();
        let range = round.range()?;
        for (first, count) in firsts.into_iter().zip(counts) {
            let SignedCheckpoint { size, key_id, signature, .. } = checkpoint;
            sealings.push(Sealing { first, size, key_id, signature, proof: range.proof(first, count)? });
        }
        let finish = |(draft, sealing): (&mut super::Draft, Sealing)| {
            let mut reply = std::mem::take(&mut draft.begun);
            append_sealing(Some(&sealing), &mut reply);
            reply
        };
        let replies = round.drafts.iter_mut().zip(sealings).map(finish).collect();
        Some(Self { round, replies, checkpoint, epoch })
    }

    /// What the log is to make durable.
    pub(super) fn commit(&self, lowest: Epoch, time: Timestamp) -> Result<Commit<'_>, DraftError> {
        let epochs = (self.epoch, lowest);
        commit(&self.round, &self.replies, Some(self.checkpoint), epochs, log::Unsigned::default(), time)
    }

    /// What it changes of break-glass.
    pub(super) fn take_kept(&mut self) -> Kept {
        std::mem::take(&mut self.round.kept)
    }

    /// Lets the answers out, which takes the receipt of the very commit that made them durable. Where the boundary closed
    /// meanwhile nothing goes out; the answers are recorded, and asking again after re-arm fetches them.
    ///
    /// How many tokens go out is told before the first of them does: whoever has an answer finds it counted.
    pub fn release(
        mut self,
        receipt: &Receipt,
        boundary: &TokenBoundary,
        queue: &Queue,
        count: impl FnOnce(u64),
    ) {
        assert_eq!(receipt.size(), self.checkpoint.size, "the receipt is for this round");
        tell(&mut self.round, queue);
        if !boundary.is_open_in(self.epoch) {
            count(0);
            return self.round.drafts.into_iter().for_each(|draft| draft.refuse(Refusal::TokenUnavailable));
        }
        count(self.round.allows());
        for (draft, reply) in self.round.drafts.into_iter().zip(self.replies) {
            let tokens = draft.counts.allows;
            draft.answer(reply, tokens);
        }
    }
}

/// A round that the HSM did not sign: what it allows, it allows under a warrant; all else that it lets out are refusals.
#[derive(Debug)]
#[must_use]
pub(super) struct Unsigned {
    round: Round,
    replies: Vec<Vec<u8>>,
    epoch: Epoch,
}

impl Unsigned {
    /// Takes a round in which nothing is allowed but under this warrant, whose key signed a checkpoint over the round. The
    /// checkpoint goes into the answers that hold uses, and nowhere else.
    pub(super) fn new(round: Round, under: Option<&UnderWarrant>, epoch: Epoch) -> Option<Self> {
        // INVARIANT: no unsigned allow can become valid later. A warrant's is valid from the start, or never.
        assert_eq!(round.allows(), round.warranted(), "an unsigned round allows nothing but under a warrant");
        let firsts = round.firsts();
        let (size, mut sealings) = (round.after.size(), Vec::with_capacity(firsts.len()));
        for (place, first) in firsts.into_iter().enumerate() {
            let draft = round.drafts.get(place)?;
            if draft.uses.is_empty() {
                assert_eq!(draft.counts.allows, 0, "what is allowed is a use");
                sealings.push(None);
                continue;
            }
            let under = under?;
            assert!(draft.uses.iter().all(|used| used.warrant == under.warrant()), "uses of one warrant");
            assert_eq!(draft.counts.allows, draft.uses.len() as u64, "every allow is a use");
            let (count, key_id, signature) = (draft.leaves.len(), under.key_id(), under.signature());
            let proof = round.range()?.proof(first, count)?;
            sealings.push(Some(Sealing { first, size, key_id, signature, proof }));
        }
        let finish = |(draft, sealing): (&super::Draft, Option<Sealing>)| {
            let mut reply = draft.begun.clone();
            append_sealing(sealing.as_ref(), &mut reply);
            reply
        };
        let replies = round.drafts.iter().zip(sealings).map(finish).collect();
        Some(Self { round, replies, epoch })
    }

    pub(super) fn commit(
        &self,
        unsigned: log::Unsigned,
        lowest: Epoch,
        time: Timestamp,
    ) -> Result<Commit<'_>, DraftError> {
        commit(&self.round, &self.replies, None, (self.epoch, lowest), unsigned, time)
    }

    /// What it changes of break-glass.
    pub(super) fn take_kept(&mut self) -> Kept {
        std::mem::take(&mut self.round.kept)
    }

    /// Lets the answers out, which takes the receipt of the very commit that made them durable. Tokens under a warrant need no
    /// open boundary, and count as none that do. How many of them go out is told before the first does.
    pub(super) fn release(mut self, receipt: &Receipt, queue: &Queue, count: impl FnOnce(u64)) {
        assert_eq!(receipt.size(), self.round.after.size(), "the receipt is for this round");
        tell(&mut self.round, queue);
        count(self.round.warranted());
        for (draft, reply) in self.round.drafts.into_iter().zip(self.replies) {
            draft.answer(reply, 0);
        }
    }
}

fn commit<'r>(
    round: &'r Round,
    replies: &'r [Vec<u8>],
    checkpoint: Option<SignedCheckpoint>,
    (epoch, lowest_epoch): (Epoch, Epoch),
    unsigned: log::Unsigned,
    time: Timestamp,
) -> Result<Commit<'r>, DraftError> {
    let recorded = |(draft, reply): (&'r super::Draft, &'r Vec<u8>)| Recorded {
        key: draft.key,
        request: draft.request,
        reply,
        allows: draft.counts.unwarranted() > 0,
    };
    let mut rows = Vec::new();
    for (first, draft) in round.firsts().into_iter().zip(&round.drafts) {
        rows.extend(draft.rows(first)?);
    }
    for change in &round.kept.changes {
        rows.extend(change.rows()?);
    }
    rows.extend(round.kept.rows.iter().cloned());
    Ok(Commit {
        first: round.first(),
        leaves: std::iter::once(&round.operations)
            .chain(round.drafts.iter().map(|draft| &draft.leaves))
            .collect(),
        requests: round
            .firsts()
            .into_iter()
            .zip(round.drafts.iter().map(|draft| draft.frame.as_slice()))
            .collect(),
        answers: round.drafts.iter().zip(replies).map(recorded).collect(),
        rows,
        frontier: &round.after,
        checkpoint,
        epoch,
        lowest_epoch,
        unsigned,
        time,
    })
}

/// Tells the queue what waits from here on, and what does no longer. Behind the commit, and before anybody is answered: who
/// hears of a ticket may ask for it at once.
fn tell(round: &mut Round, queue: &Queue) {
    for (first, draft) in round.firsts().into_iter().zip(&mut round.drafts) {
        draft.tell(first, queue);
    }
}
