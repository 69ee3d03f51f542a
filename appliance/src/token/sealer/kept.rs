//! An act that a room keeps something of: its entry and the room's rows go into one commit, or neither does.

use assent_proto::note::VerifierKey;
use assent_proto::number::LeafIndex;
use tokio::sync::oneshot;

use super::{Message, Sealer, SealerError, SealerHandle};
use crate::log::store::Row;
use crate::token::operation::Operation;

/// Makes the rows, when it is known where the entry lies.
pub(super) type Rows = Box<dyn Fn(LeafIndex) -> Vec<Row> + Send>;

/// An act, and what is kept of it.
pub(in crate::token) struct Request {
    operation: Operation,
    rows: Rows,
    done: oneshot::Sender<LeafIndex>,
}

impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Request({:?})", self.operation)
    }
}

impl SealerHandle {
    /// Writes down an act, and in the same commit what a room keeps of it. Gives where its entry lies; none: it was not
    /// written, for there is no room on the disk or the sealer has ended.
    pub(crate) async fn keep(
        &self,
        operation: Operation,
        rows: impl Fn(LeafIndex) -> Vec<Row> + Send + 'static,
    ) -> Option<LeafIndex> {
        let (done, answered) = oneshot::channel();
        let request = Box::new(Request { operation, rows: Box::new(rows), done });
        self.outbox.try_send(Message::Keep(request)).ok()?;
        answered.await.ok()
    }
}

impl Sealer {
    pub(super) fn write_kept(&mut self, request: Request, key: &VerifierKey<'_>) -> Result<(), SealerError> {
        let Request { operation, rows, done } = request;
        // What waits goes first, so that this is the last of what goes next.
        self.turn(key)?;
        self.operations.push(operation);
        self.keeping = Some(rows);
        let before = self.size();
        self.turn(key)?;
        self.keeping = None;
        if self.size() == before {
            // INVARIANT: nothing was committed, so it stands where it was put.
            self.operations.pop();
            return Ok(());
        }
        if let Some(index) = self.kept_at.take() {
            let _ = done.send(index);
        }
        Ok(())
    }

    /// The rows of the act that is the last of the appliance's own entries in a round that begins here.
    pub(super) fn kept_rows(&mut self, first: LeafIndex) -> Vec<Row> {
        let Some(rows) = &self.keeping else { return Vec::new() };
        let last = (self.operations.len() as u64).saturating_sub(1);
        let index = LeafIndex(first.0.saturating_add(last));
        self.kept_at = Some(index);
        rows(index)
    }
}
