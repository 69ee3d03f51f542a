//! Break-glass at the sealer: an act is asked about and written in one step, and a warrant is lent while nothing can be signed.
//!
//! Nothing happens between the question whether an act is due and its entry, for this thread does both. What is kept of it
//! changes in the same commit, so a kill leaves the entry with what follows from it, or neither.

use assent_proto::note::VerifierKey;
use assent_proto::number::LeafIndex;
use tokio::sync::oneshot;

use super::{Message, Sealer, SealerError, SealerHandle};
use crate::break_glass::{Act, LentWarrant, Moment};
use crate::disk::Room;
use crate::token::operation::Operation;
use crate::token::round::Kept;

/// An act, and who waits for what becomes of it.
#[derive(Debug)]
pub(in crate::token) struct Request {
    act: Act,
    answer: oneshot::Sender<Result<LeafIndex, String>>,
}

impl SealerHandle {
    /// Has an act written, where it is due; gives its leaf, or what is missing. None when the sealer has ended.
    pub(crate) async fn act(&self, act: Act) -> Option<Result<LeafIndex, String>> {
        let (answer, answered) = oneshot::channel();
        self.outbox.try_send(Message::Act(Box::new(Request { act, answer }))).ok()?;
        answered.await.ok()
    }
}

impl Sealer {
    pub(super) fn act(&mut self, request: Request, key: &VerifierKey<'_>) -> Result<(), SealerError> {
        let Request { act, answer } = request;
        // What waits goes first: it was asked before, and may close the boundary or open it.
        self.turn(key)?;
        let refusal = self.break_glass.check(&act, &self.moment()).err();
        let refusal = refusal.or_else(|| {
            let has_room = self.look_for_room() > Room::None;
            (!has_room).then(|| "the disk has no room for another entry: see `assent status`".to_owned())
        });
        if let Some(refusal) = refusal {
            tracing::warn!("break-glass: {refusal}");
            let _ = answer.send(Err(refusal));
            return Ok(());
        }
        let written = self.write_at_once(Operation::BreakGlass(Box::new(act)), key)?;
        let _ = answer.send(written.ok_or_else(|| "it could not be written: see `assent status`".to_owned()));
        Ok(())
    }

    fn moment(&self) -> Moment {
        Moment {
            now: self.clock.now(),
            is_open: self.boundary.is_open(),
            closed_since: self.told_closed,
            covered: self.log.signed().map(|signed| signed.size).unwrap_or_default(),
        }
    }

    /// The warrant that lives. A log that is in doubt is not written on its strength; and what its end waits with, in the same
    /// round, comes behind it.
    pub(super) fn lend(&self) -> Option<LentWarrant> {
        let closed = self.boundary.closed()?;
        let ends =
            |waiting: &Operation| matches!(waiting, Operation::BreakGlass(act) if act.ends_a_warrant());
        if closed.cause.is_of_the_log() || self.operations.iter().any(ends) {
            return None;
        }
        self.break_glass.lend(self.clock.now())
    }

    /// Takes over what a commit changed of break-glass, and whether the log tells now that the boundary is closed. To be called
    /// when the commit is durable, and before its operations are forgotten.
    pub(super) fn keep(&mut self, kept: Kept) {
        let now = self.clock.now();
        let Kept { changes, act, rows: _ } = kept;
        self.acted = act.or(self.acted);
        self.break_glass.apply(changes, now);
        for operation in &self.operations {
            if let Operation::Tripped { at, .. } = operation {
                self.told_closed = self.told_closed.or(Some(*at));
            } else if matches!(operation, Operation::StartedClosed) {
                self.told_closed = self.told_closed.or(Some(now));
            } else if matches!(operation, Operation::Rearmed) {
                self.told_closed = None;
            }
        }
    }

    /// Whether the log is to be told that the boundary is closed, as a process left it open that was killed: a warrant is
    /// refused by whoever verifies, where the log does not say so.
    pub(super) fn is_closed_untold(&self) -> bool {
        let failed = self.attempts.has_failed() && !self.booted && self.room > Room::None;
        failed
            && self.told_closed.is_none()
            && self.log.signed().is_some()
            && self.break_glass.has_charters(self.clock.now())
    }

    /// The end of the warrant that lives, for the boundary opens.
    pub(super) fn warrant_ends(&self) -> Option<Operation> {
        let by = vec!["re-arm".to_owned()];
        let act = self.break_glass.ending(by, "the token boundary is open again", self.clock.now())?;
        Some(Operation::BreakGlass(Box::new(act)))
    }
}
