//! Turns: who is decided when.
//!
//! Deciding a batch of a thousand intents takes milliseconds of a processor, a lone intent microseconds. So that nobody waits behind
//! a row of large batches, one processor is always left to the small ones, and of one connection one large batch is decided at a
//! time, whatever it has in flight. Nothing else is held meanwhile: a turn ends before the sealer is waited for.

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::limits::LARGE_FRAME_BYTES;

/// The turns of one connection.
#[derive(Debug)]
pub(crate) struct Lane(Semaphore);

impl Default for Lane {
    fn default() -> Self {
        Self(Semaphore::new(1))
    }
}

/// The turns of all.
#[derive(Debug)]
pub(super) struct Turns(Semaphore);

/// A turn, until it is dropped.
pub(super) struct Turn<'t> {
    _of_connection: Option<SemaphorePermit<'t>>,
    _of_all: Option<SemaphorePermit<'t>>,
}

impl Default for Turns {
    fn default() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Self(Semaphore::new(processors.saturating_sub(1).max(1)))
    }
}

impl Turns {
    /// Waits until a frame of so many bytes may be decided. Small ones do not wait.
    pub(super) async fn take<'t>(&'t self, lane: &'t Lane, bytes: usize) -> Turn<'t> {
        if bytes <= LARGE_FRAME_BYTES {
            return Turn { _of_connection: None, _of_all: None };
        }
        // The semaphores are never closed; were they, nobody would have to wait.
        let of_connection = lane.0.acquire().await.ok();
        Turn { _of_connection: of_connection, _of_all: self.0.acquire().await.ok() }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    async fn waits(turn: impl Future) -> bool {
        tokio::time::timeout(Duration::from_millis(20), turn).await.is_err()
    }

    #[tokio::test]
    async fn large_ones_take_turns_and_small_ones_never_wait() {
        let (turns, first, second) = (Turns(Semaphore::new(2)), Lane::default(), Lane::default());
        let large = LARGE_FRAME_BYTES + 1;
        let one = turns.take(&first, large).await;
        assert!(waits(turns.take(&first, large)).await, "one at a time of one connection");
        assert!(!waits(turns.take(&first, LARGE_FRAME_BYTES)).await);
        let other = turns.take(&second, large).await;
        let third = Lane::default();
        assert!(waits(turns.take(&third, large)).await, "as many at once as there are turns");
        assert!(!waits(turns.take(&third, 1)).await);
        drop(one);
        assert!(!waits(turns.take(&third, large)).await);
        drop(other);
    }
}
