//! A sign of life: whether the sealer's thread goes round.
//!
//! The one rule: that thread gives it, between two rounds. Who asks waits for as long as it takes, so a thread that hangs gives
//! none. Two others answer in its place: while it waits for the HSM or the disk and their deadline is not over, who sees that;
//! and while the disk is known to hang, the watch over it, for the boundary is closed then, and nobody but the kernel can end
//! that wait.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::TrySendError;
use std::time::Duration;

use tokio::sync::oneshot;

use super::{Message, SealerHandle};
use crate::clock::Mark;
use crate::limits::{LIFE_LOOK, LIFE_PAUSE};

/// Until when the HSM's answer is waited for; 0 while none is.
#[derive(Debug, Default)]
pub(super) struct Wait(AtomicU64);

impl Wait {
    /// Does what takes so long at most, or is cut off.
    pub(super) fn over<T>(&self, at_most: Duration, work: impl FnOnce() -> T) -> T {
        let at_most = u64::try_from(at_most.as_micros()).unwrap_or(u64::MAX);
        self.0.store(Mark::now().0.saturating_add(at_most), Ordering::SeqCst);
        let done = work();
        self.0.store(0, Ordering::SeqCst);
        done
    }

    fn is_in_time(&self) -> bool {
        Mark::now().0 < self.0.load(Ordering::SeqCst)
    }
}

impl SealerHandle {
    /// Waits for a sign of life. False when the sealer has ended.
    pub(crate) async fn lives(&self) -> bool {
        let mut disk = self.disk_hangs();
        tokio::select! {
            biased;
            true = async { disk.wait_for(|hangs| *hangs).await.is_ok() } => true,
            alive = self.answers() => alive,
            () = self.waits_in_time() => true,
        }
    }

    /// Ends when the thread is seen to wait for what is not late yet: a deadline may be longer than a service manager's patience.
    async fn waits_in_time(&self) {
        loop {
            // WAIT: the thread itself answers first, unless it stands somewhere.
            tokio::time::sleep(LIFE_LOOK).await;
            if self.hsm.is_in_time() || self.disk.waits_in_time() {
                return;
            }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_in_time_until_its_deadline_and_no_longer() {
        let wait = Wait::default();
        assert!(!wait.is_in_time(), "nothing is waited for");
        wait.over(Duration::from_secs(3600), || assert!(wait.is_in_time()));
        assert!(!wait.is_in_time(), "it was answered");
        wait.over(Duration::ZERO, || assert!(!wait.is_in_time(), "it is late"));
    }
}
