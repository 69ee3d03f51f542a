//! One turn of the sealer: sign, verify, commit, release; or, where it cannot sign, deny, commit, release.

use std::time::Duration;

use assent_proto::checkpoint::Checkpoint;
use assent_proto::entry::Salt;
use assent_proto::hash::Hash;
use assent_proto::note::VerifierKey;
use assent_proto::number::Epoch;
use assent_proto::refusal::Refusal;

use super::{Sealer, SealerError};
use crate::break_glass::{LentWarrant, UnderWarrant};
use crate::clock::Stopwatch;
use crate::disk::Room;
use crate::log::store::Answers;
use crate::log::{Fatal, Leaves, SignedCheckpoint};
use crate::token::arming::Watched;
use crate::token::cause::Cause;
use crate::token::draft::{AskedBy, Draft, tokens_in};
use crate::token::operation::Operation;
use crate::token::parking::Signing;
use crate::token::round::Round;
use crate::token::sealed::{Sealed, Unsigned};

/// Operators are warned of a signature that takes this share of its deadline.
const SLOW_SHARE: u32 = 6;

impl Sealer {
    /// Makes one round of what waits, if anything does.
    pub(super) fn turn(&mut self, key: &VerifierKey<'_>) -> Result<(), SealerError> {
        self.notice_trip();
        let drafts = self.next_drafts()?;
        // Until the first arming there is nothing that could not wait for a signature over it.
        let nothing_urgent = !self.operations.iter().any(|operation| self.booted || operation.cannot_wait());
        if drafts.is_empty() && nothing_urgent {
            return Ok(());
        }
        let room = self.look_for_room();
        if room == Room::None {
            // What the appliance did itself waits for room.
            drafts.into_iter().for_each(|draft| self.refuse_without_entry(draft));
            return Ok(());
        }
        let epoch = self.noted;
        if self.boundary.is_open_in(epoch) { self.seal(drafts, epoch, key) } else { self.deny(drafts) }
    }

    /// Takes the drafts whose turn it is. One whose batch was decided before is answered from the log instead.
    fn next_drafts(&mut self) -> Result<Vec<Draft>, SealerError> {
        let mut choice = self.turns.choose(self.settings.entries_max, self.drafts.iter().map(Draft::seen));
        let (mut chosen, mut later) = (Vec::new(), Vec::new());
        let drafts = std::mem::take(&mut self.drafts);
        if drafts.is_empty() {
            self.turns = choice.end();
            return Ok(chosen);
        }
        let answers = self.disk.over(|| self.log.answers())?;
        for draft in drafts {
            let seen = draft.seen();
            if !choice.may_take(&seen) {
                later.push(draft);
            } else if let Some(draft) = self.answer_from_the_log(draft, &answers)? {
                choice.take(&seen);
                chosen.push(draft);
            }
        }
        self.turns = choice.end();
        self.drafts = later;
        Ok(chosen)
    }

    /// Gives the draft back where its batch is new, and no ticket's.
    fn answer_from_the_log(&self, draft: Draft, answers: &Answers) -> Result<Option<Draft>, SealerError> {
        let Some(recorded) = self.disk.over(|| answers.get(&draft.key)).map_err(Fatal::from)? else {
            // The hold behind the ticket may have become durable since the batch was taken in.
            if draft.asked_by == AskedBy::Agent && self.queue.has(&draft.key) {
                draft.refuse(Refusal::BatchConflict);
                return Ok(None);
            }
            return Ok(Some(draft));
        };
        if draft.asked_by != AskedBy::Agent {
            self.queue.end(&draft.key);
        }
        if recorded.request != draft.request {
            draft.refuse(Refusal::BatchConflict);
        } else if recorded.allows && !self.boundary.is_open() {
            draft.refuse(Refusal::TokenUnavailable);
        } else {
            let tokens = if recorded.allows { tokens_in(&recorded.reply) } else { 0 };
            draft.answer(recorded.reply, tokens);
        }
        Ok(None)
    }

    fn seal(
        &mut self,
        mut drafts: Vec<Draft>,
        epoch: Epoch,
        key: &VerifierKey<'_>,
    ) -> Result<(), SealerError> {
        // What waited and was decided in another epoch waits on.
        drafts.retain(|draft| draft.may_be_signed_in(epoch) || draft.asked_by != AskedBy::Queue);
        for draft in &mut drafts {
            let by = if draft.may_be_signed_in(epoch) { Signing::Hsm } else { Signing::Nobody };
            draft.settle(by, &self.queue)?;
        }
        let operations = self.operation_leaves(epoch)?;
        let round = gather(self, operations, drafts)?;
        if round.is_empty() {
            return Ok(());
        }
        match self.sign(&round.checkpoint(key.name()), key) {
            // The signer may have been lost since: then the signature is dropped, nobody has seen it.
            Ok(checkpoint) if self.boundary.is_open_in(epoch) => self.commit_sealed(round, checkpoint, epoch),
            Ok(_) => self.deny(round.drafts),
            Err(cause) => {
                self.close(cause);
                self.deny(round.drafts)
            }
        }
    }

    pub(super) fn commit_sealed(
        &mut self,
        round: Round,
        checkpoint: SignedCheckpoint,
        epoch: Epoch,
    ) -> Result<(), SealerError> {
        let (entries, tally) = (round.entries(), round.tally());
        let mut sealed = Sealed::new(round, checkpoint, epoch).ok_or(SealerError::Round("no range proof"))?;
        let now = self.clock.now();
        // Commit before release: whoever is answered may act on a token at once.
        let commit = sealed.commit(self.lowest_epoch(), now)?;
        let receipt = self.disk.over(|| self.log.commit(&commit))?;
        drop(commit);
        // The watch looks now and then: of what came late just between two looks, only its own return tells.
        if self.boundary.is_open() && self.disk.take_late() {
            self.close(Cause::disk_hangs(self.settings.disk_deadline));
        }
        self.keep(sealed.take_kept());
        self.operations.clear();
        self.checkpoints.send_replace(Some(checkpoint));
        self.show_size();
        let count = |tokens| self.gauges.round(entries, tokens, &tally);
        sealed.release(&receipt, &self.boundary, &self.queue, count);
        Ok(())
    }

    /// Has the HSM sign a checkpoint, and believes nothing: the signature must verify over our own copy of the text.
    pub(super) fn sign(
        &mut self,
        checkpoint: &Checkpoint<'_>,
        key: &VerifierKey<'_>,
    ) -> Result<SignedCheckpoint, Cause> {
        let signer = self.signer.as_mut().ok_or_else(Cause::starting)?;
        let began = Stopwatch::start();
        let deadline = self.authority.deadline;
        let signed = self.hsm.over(deadline, || sign_by(signer, checkpoint, key, deadline));
        let took = began.elapsed();
        self.gauges.asked_to_sign(took, signed.as_ref().err());
        let signature = signed?;
        self.mind(took);
        self.gauges.signature(self.clock.now());
        self.idle = Stopwatch::start();
        let (size, root) = (checkpoint.size, checkpoint.root);
        Ok(SignedCheckpoint { size, root, key_id: key.id(), signature, successor: None })
    }

    /// A signature that came in time may still be a warning: the next one may not.
    fn mind(&self, took: Duration) {
        if took >= self.authority.deadline / SLOW_SHARE {
            tracing::warn!(?took, deadline = ?self.authority.deadline, "the HSM is slow; past the deadline the boundary closes");
            self.gauges.slow();
        }
    }

    /// Logs a round without the HSM's signature. Its allows become denials, or holds that wait, before anything is written, but
    /// for those that a warrant is for.
    pub(super) fn deny(&mut self, mut drafts: Vec<Draft>) -> Result<(), SealerError> {
        self.notice_trip();
        let epoch = self.noted;
        // What waited waits on: it is decided when a signature can be had.
        drafts.retain(|draft| draft.asked_by != AskedBy::Queue);
        self.keep_what_has_room(&mut drafts);
        let mut lent = if drafts.is_empty() { None } else { self.lend() };
        for draft in &mut drafts {
            // What was decided in another epoch did not know that the boundary is closed.
            let by = match &mut lent {
                Some(lent) if draft.epoch == epoch => Signing::Warrant(lent),
                Some(_) | None => Signing::Nobody,
            };
            draft.settle(by, &self.queue)?;
        }
        let operations = self.operation_leaves(epoch)?;
        let round = gather(self, operations, drafts)?;
        if round.is_empty() {
            return Ok(());
        }
        let under = match lent.filter(LentWarrant::is_used) {
            Some(lent) => Some(
                lent.sign(&round.checkpoint(self.break_glass.origin()))
                    .ok_or(SealerError::Round("the warrant's key does not sign"))?,
            ),
            None => None,
        };
        self.commit_unsigned(round, under.as_ref(), epoch)
    }

    fn commit_unsigned(
        &mut self,
        round: Round,
        under: Option<&UnderWarrant>,
        epoch: Epoch,
    ) -> Result<(), SealerError> {
        let mut unsigned = self.log.unsigned();
        unsigned.since = unsigned.since.or_else(|| self.boundary.closed().map(|closed| closed.since));
        unsigned.holds += round.holds();
        unsigned.denials += round.entries() - round.holds() - round.allows();
        unsigned.refused += self.unlogged;
        let (entries, tally) = (round.entries(), round.tally());
        let mut written = Unsigned::new(round, under, epoch).ok_or(SealerError::Round("no range proof"))?;
        let commit = written.commit(unsigned, self.log.lowest_epoch(), self.clock.now())?;
        let receipt = self.disk.over(|| self.log.commit(&commit))?;
        drop(commit);
        self.keep(written.take_kept());
        self.operations.clear();
        self.unlogged = 0;
        self.show_size();
        written.release(&receipt, &self.queue, |tokens| self.gauges.round(entries, tokens, &tally));
        Ok(())
    }

    /// Refuses a draft of which the log will tell no more than the count of its intents.
    fn refuse_without_entry(&mut self, draft: Draft) {
        if draft.asked_by != AskedBy::Agent {
            // It waits on, and is told so by losing the draft.
            return;
        }
        let intents = draft.leaves.len() as u64;
        self.unlogged += intents;
        self.gauges.refused_unlogged(intents);
        draft.refuse(Refusal::TokenUnavailable);
    }

    /// Refuses the drafts that the unsigned tail, or the disk, has no room for, without an entry. What the
    /// appliance did itself is written all the same: a trip, an order.
    fn keep_what_has_room(&mut self, drafts: &mut Vec<Draft>) {
        let tail = self.settings.unsigned_max.saturating_sub(self.log.unsigned_entries());
        let mut room = if self.room > Room::Reserve { tail } else { 0 };
        for draft in std::mem::take(drafts) {
            let wanted = draft.leaves.len() as u64;
            if let Some(left) = room.checked_sub(wanted) {
                room = left;
                drafts.push(draft);
                continue;
            }
            self.refuse_without_entry(draft);
        }
        // The outage is to have a leaf that its count can stand behind.
        if self.unlogged > 0 && self.log.unsigned_entries() == 0 && self.operations.is_empty() {
            self.operations.push(Operation::Alive);
        }
    }

    /// The leaves of what the appliance did. The operations stay until a commit has them.
    pub(super) fn operation_leaves(&self, epoch: Epoch) -> Result<Leaves, SealerError> {
        let now = self.clock.now();
        let mut leaves = Leaves::default();
        for operation in &self.operations {
            leaves
                .push(&operation.entry(fresh_salt()?, now, epoch))
                .map_err(|_| SealerError::Round("an operation cannot be encoded"))?;
        }
        Ok(leaves)
    }

    /// The checkpoint that the log stands at: what heartbeats and probes sign again.
    pub(super) fn standing_checkpoint<'o>(&self, origin: &'o str) -> Checkpoint<'o> {
        let signed = self.log.signed();
        Checkpoint {
            origin,
            size: signed.map(|signed| signed.size).unwrap_or_default(),
            root: signed.map_or_else(Hash::of_empty_tree, |signed| signed.root),
        }
    }

    /// Seals a round of the appliance's own entries, while the boundary is still closed.
    pub(super) fn seal_operations(
        &mut self,
        operations: Vec<Operation>,
        key: &VerifierKey<'_>,
    ) -> Result<Result<(), Cause>, SealerError> {
        let epoch = self.noted;
        self.operations.extend(operations);
        let round = gather(self, self.operation_leaves(epoch)?, Vec::new())?;
        match self.sign(&round.checkpoint(key.name()), key) {
            Ok(checkpoint) => self.commit_sealed(round, checkpoint, epoch).map(Ok),
            Err(cause) => Ok(Err(cause)),
        }
    }
}

/// Has one signer sign a checkpoint, and verifies what it gives.
pub(super) fn sign_by(
    signer: &mut Watched,
    checkpoint: &Checkpoint<'_>,
    key: &VerifierKey<'_>,
    deadline: Duration,
) -> Result<[u8; 64], Cause> {
    let text = checkpoint.text().map_err(|_| Cause::starting())?;
    let signature = signer.sign(text.as_bytes(), deadline).map_err(|fault| Cause::from(&fault))?;
    key.verify(text.as_bytes(), &signature).map_err(|_| Cause::bad_signature())?;
    Ok(signature)
}

pub(super) fn gather(sealer: &Sealer, operations: Leaves, drafts: Vec<Draft>) -> Result<Round, SealerError> {
    let round = Round::gather(sealer.log.frontier(), operations, drafts)
        .map_err(|_| SealerError::Round("the tree is full"))?;
    Ok(round.keeping(&sealer.operations, &sealer.break_glass, sealer.clock.now()))
}

/// A salt that nobody can guess.
pub(in crate::token) fn fresh_salt() -> Result<Salt, SealerError> {
    let mut salt = Salt::default();
    getrandom::fill(&mut salt.0).map_err(|_| SealerError::Round("the system gives no random bytes"))?;
    Ok(salt)
}
