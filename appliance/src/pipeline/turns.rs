//! Turns: whose frame is read, and who is decided, when.
//!
//! Deciding a batch of a thousand intents takes milliseconds of a processor, a lone intent microseconds; a frame may have
//! megabytes, and a lone intent's has a few hundred bytes. So that nobody waits behind a row of large batches, one processor is
//! left to the small ones, where there are several, and of one principal one large frame at a time is read, decided and handed to
//! the sealer, over all its connections. What it has sent beyond that waits unread, in windows that QUIC bounds. Of the places
//! among the drafts it has no more than a share.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::limits::{LARGE_FRAME_BYTES, MAX_LARGE_FRAMES_READ};
use crate::token::Share;

/// What one principal may have under way.
#[derive(Debug)]
pub(crate) struct Lane {
    large: Semaphore,
    share: Share,
}

impl Default for Lane {
    fn default() -> Self {
        Self { large: Semaphore::new(1), share: Share::default() }
    }
}

impl Lane {
    /// Its share of the places among the drafts.
    pub(super) const fn share(&self) -> &Share {
        &self.share
    }
}

/// The lanes of those who are connected, by their names.
#[derive(Debug, Default)]
pub(crate) struct Lanes(Mutex<HashMap<String, Weak<Lane>>>);

impl Lanes {
    /// The lane of this principal, for a connection more.
    pub(crate) fn of(&self, principal: &str) -> Arc<Lane> {
        let mut lanes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lane) = lanes.get(principal).and_then(Weak::upgrade) {
            return lane;
        }
        lanes.retain(|_, lane| lane.strong_count() > 0);
        let lane = Arc::new(Lane::default());
        lanes.insert(principal.to_owned(), Arc::downgrade(&lane));
        lane
    }
}

/// The turns of all.
#[derive(Debug)]
pub(super) struct Turns {
    reading: Semaphore,
    deciding: Semaphore,
}

/// The turn of a large frame, from when it is read until the sealer has it; a small one needs none. It ends when it is dropped.
#[derive(Debug, Default)]
pub(crate) struct Turn<'t> {
    _of_principal: Option<SemaphorePermit<'t>>,
    _of_all: Option<SemaphorePermit<'t>>,
}

impl Default for Turns {
    fn default() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Self::of(MAX_LARGE_FRAMES_READ, processors.saturating_sub(1).max(1))
    }
}

impl Turns {
    const fn of(reading: usize, deciding: usize) -> Self {
        Self { reading: Semaphore::const_new(reading), deciding: Semaphore::const_new(deciding) }
    }

    /// Waits until a large frame of this lane may be read.
    pub(super) async fn to_read<'t>(&'t self, lane: &'t Lane) -> Turn<'t> {
        // The semaphores are never closed; were they, nobody would have to wait.
        let of_principal = lane.large.acquire().await.ok();
        Turn { _of_principal: of_principal, _of_all: self.reading.acquire().await.ok() }
    }

    /// Waits until a frame of so many bytes may be decided. Small ones do not wait.
    pub(super) async fn to_decide(&self, bytes: usize) -> Option<SemaphorePermit<'_>> {
        if bytes <= LARGE_FRAME_BYTES { None } else { self.deciding.acquire().await.ok() }
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
    async fn large_frames_are_read_one_at_a_time_of_a_principal_and_few_of_all() {
        let (turns, lanes) = (Turns::of(2, 1), Lanes::default());
        let (first, again, second, third) = (lanes.of("a"), lanes.of("a"), lanes.of("b"), lanes.of("c"));
        let one = turns.to_read(&first).await;
        assert!(waits(turns.to_read(&again)).await, "a second connection is no second turn");
        let other = turns.to_read(&second).await;
        assert!(waits(turns.to_read(&third)).await, "as many at once as there are turns");
        drop(one);
        assert!(!waits(turns.to_read(&third)).await);
        drop(other);
    }

    #[tokio::test]
    async fn large_ones_take_turns_to_be_decided_and_small_ones_never_wait() {
        let turns = Turns::of(1, 1);
        let large = turns.to_decide(LARGE_FRAME_BYTES + 1).await;
        assert!(waits(turns.to_decide(LARGE_FRAME_BYTES + 1)).await);
        assert!(!waits(turns.to_decide(LARGE_FRAME_BYTES)).await);
        drop(large);
        assert!(!waits(turns.to_decide(LARGE_FRAME_BYTES + 1)).await);
    }

    #[test]
    fn a_lane_lasts_as_long_as_somebody_is_on_it() {
        let lanes = Lanes::default();
        let lane = lanes.of("a");
        assert!(Arc::ptr_eq(&lane, &lanes.of("a")));
        drop(lane);
        let _other = lanes.of("b");
        assert_eq!(lanes.0.lock().unwrap().len(), 1, "what nobody is on is forgotten");
    }
}
