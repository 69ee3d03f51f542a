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

    /// Writes an act that somebody waits for in the next round; none: nothing was committed, and the act is forgotten, for
    /// whoever waits is told that it was not written.
    pub(super) fn write_at_once(
        &mut self,
        act: Operation,
        key: &VerifierKey<'_>,
    ) -> Result<Option<LeafIndex>, SealerError> {
        self.acted = None;
        self.operations.push(act);
        self.turn(key)?;
        self.operations.retain(|left| !matches!(left, Operation::BreakGlass(_) | Operation::Answered(_)));
        Ok(self.acted.take())
    }

    /// Writes down what an operator orders, before it is done; false: nothing was committed, and the order is forgotten.
    pub(super) fn write_down(
        &mut self,
        order: Operation,
        key: &VerifierKey<'_>,
    ) -> Result<bool, SealerError> {
        let at = self.operations.len();
        self.operations.push(order);
        self.turn(key)?;
        // A commit has all of them, and what stays was not written; a trip that was noticed meanwhile stands behind it.
        if self.operations.len() > at {
            self.operations.remove(at);
            return Ok(false);
        }
        Ok(true)
    }
}
