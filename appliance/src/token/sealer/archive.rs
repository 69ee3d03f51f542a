//! Letting go of volumes that lie in an archive: written down first, then done, between two rounds.

use std::sync::Arc;

use assent_proto::note::VerifierKey;
use tokio::sync::{OwnedMutexGuard, oneshot};

use super::{Message, Sealer, SealerError, SealerHandle};

/// Volumes to let go of.
#[derive(Debug)]
pub(in crate::token) struct Request {
    numbers: Vec<u64>,
    to: String,
    by: String,
    done: oneshot::Sender<bool>,
    /// Nothing else changes volumes until this is dropped.
    _alone: OwnedMutexGuard<()>,
}

impl SealerHandle {
    /// Lets go of these volumes, which lie in the archive at `to`; waits while requests are being erased, for which their
    /// leaves are read. False while the token boundary is closed, or a fence stays behind: a start compares it with the tree as it was
    /// there, and would have to look into what is gone; and where there is no room for the entry. None when the sealer has ended.
    pub(crate) async fn let_go(&self, numbers: Vec<u64>, to: String, by: String) -> Option<bool> {
        let (done, answered) = oneshot::channel();
        let _alone = Arc::clone(&self.volumes).lock_owned().await;
        let request = Box::new(Request { numbers, to, by, done, _alone });
        self.outbox.try_send(Message::LetGo(request)).ok()?;
        answered.await.ok()
    }
}

impl Sealer {
    pub(super) fn let_go(&mut self, request: Request, key: &VerifierKey<'_>) -> Result<(), SealerError> {
        let Request { numbers, to, by, done, _alone } = request;
        // Every fence first moves to the end of the log, for a start compares it with the tree as it was there.
        if !self.fence_at_the_end() || !self.boundary.is_open() {
            let _ = done.send(false);
            return Ok(());
        }
        let named: String = numbers.iter().map(|number| format!("volume {number}\n")).collect();
        let statement = format!("{named}archive {to}\n");
        if !self.write_down(("archive", by, statement), key)? {
            let _ = done.send(false);
            return Ok(());
        }
        self.disk.over(|| self.log.archived(&numbers))?;
        tracing::info!(volumes = numbers.len(), archive = to, "volumes of the log lie in an archive now");
        let _ = done.send(true);
        Ok(())
    }
}
