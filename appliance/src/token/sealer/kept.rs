//! An act that a room keeps something of: its entry and the room's rows go into one commit, or neither does.

use assent_proto::note::VerifierKey;
use assent_proto::number::LeafIndex;
use tokio::sync::oneshot;

use super::{Message, Sealer, SealerError, SealerHandle};
use crate::token::operation::{Answered, Operation};

/// An operator's answer to a hold, and who waits for its entry.
#[derive(Debug)]
pub(in crate::token) struct Request {
    answered: Box<Answered>,
    done: oneshot::Sender<LeafIndex>,
}

impl SealerHandle {
    /// Writes down an answer, and in the same commit what the queue keeps of it. Gives where its entry lies; none: it was not
    /// written, for there is no room on the disk or the sealer has ended.
    pub(crate) async fn keep(&self, answered: Answered) -> Option<LeafIndex> {
        let (done, written) = oneshot::channel();
        let request = Box::new(Request { answered: Box::new(answered), done });
        self.outbox.try_send(Message::Keep(request)).ok()?;
        written.await.ok()
    }
}

impl Sealer {
    pub(super) fn write_kept(&mut self, request: Request, key: &VerifierKey<'_>) -> Result<(), SealerError> {
        let Request { answered, done } = request;
        // What waits goes first: it was asked before.
        self.turn(key)?;
        if let Some(index) = self.write_at_once(Operation::Answered(answered), key)? {
            let _ = done.send(index);
        }
        Ok(())
    }

    /// Writes an act that somebody waits for in the next round, and says where it stands; none: nothing was committed.
    pub(super) fn write_at_once(
        &mut self,
        act: Operation,
        key: &VerifierKey<'_>,
    ) -> Result<Option<LeafIndex>, SealerError> {
        self.acted = None;
        let is_it = |left: &Operation| matches!(left, Operation::BreakGlass(_) | Operation::Answered(_));
        self.write_or_forget(act, is_it, key)?;
        Ok(self.acted.take())
    }

    /// Writes an act in the next round; false: nothing was committed, and it is forgotten, for whoever waits is told that it
    /// was not written. `is_it` knows it among what is left: a trip may have come to stand in front of it.
    pub(super) fn write_or_forget(
        &mut self,
        act: Operation,
        is_it: impl Fn(&Operation) -> bool,
        key: &VerifierKey<'_>,
    ) -> Result<bool, SealerError> {
        self.operations.push(act);
        self.turn(key)?;
        let left = self.operations.iter().rposition(is_it);
        if let Some(at) = left {
            self.operations.remove(at);
        }
        Ok(left.is_none())
    }

    /// The same of what an operator orders, before it is done: an act of this name.
    pub(super) fn write_down(
        &mut self,
        (act, by, statement): (&'static str, String, String),
        key: &VerifierKey<'_>,
    ) -> Result<bool, SealerError> {
        let order = Operation::Operators { act, by: vec![by], statement, signatures: Vec::new() };
        let is_it =
            |left: &Operation| matches!(left, Operation::Operators { act: other, .. } if *other == act);
        self.write_or_forget(order, is_it, key)
    }
}
