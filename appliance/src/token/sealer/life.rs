//! A sign of life: whether the sealer's thread goes round.
//!
//! The one rule: only that thread gives it, between two rounds. Who asks waits for as long as it takes, so a thread that
//! hangs gives none. While the disk is known to hang, the watch over it answers in its place: the boundary is closed, and
//! nobody but the kernel can end that wait.

use std::sync::mpsc::TrySendError;

use tokio::sync::oneshot;

use super::{Message, SealerHandle};
use crate::limits::LIFE_PAUSE;

impl SealerHandle {
    /// Waits for a sign of life. False when the sealer has ended.
    pub(crate) async fn lives(&self) -> bool {
        let mut disk = self.disk_hangs();
        tokio::select! {
            biased;
            true = async { disk.wait_for(|hangs| *hangs).await.is_ok() } => true,
            alive = self.answers() => alive,
        }
    }

    /// Asks the thread itself.
    async fn answers(&self) -> bool {
        loop {
            let (alive, heard) = oneshot::channel();
            match self.outbox.try_send(Message::Live(alive)) {
                Ok(()) => return heard.await.is_ok(),
                // It has much to do, or hangs: which of the two, the next attempt tells.
                Err(TrySendError::Full(_)) => tokio::time::sleep(LIFE_PAUSE).await,
                Err(TrySendError::Disconnected(_)) => return false,
            }
        }
    }
}
