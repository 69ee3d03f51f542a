//! The handle: how connections, operators and whoever shows something reach the sealer.
//!
//! It hands over, asks and hears; it never waits for the log. What it hands over is the sealer's from then on.

use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex};

use assent_proto::number::Epoch;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::life::Wait;
use super::{FenceInHsm, Gauges, Message, outage};
use crate::disk::Space;
use crate::limits::{MAX_PLACES_PER_PRINCIPAL, PLACE_BYTES};
use crate::log::SignedCheckpoint;
use crate::log::keyring::Keyring;
use crate::log::reader::Reader;
use crate::log::store::StoreError;
use crate::token::boundary::TokenBoundary;
use crate::token::cause::Cause;
use crate::token::disk_watch::DiskWatch;
use crate::token::draft::Draft;
use crate::token::operation::Operation;

/// What one principal, or the queue, may have of the places.
#[derive(Debug)]
pub struct Share(Arc<Semaphore>);

impl Default for Share {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MAX_PLACES_PER_PRINCIPAL)))
    }
}

impl Share {
    /// A place out of this share and of all places.
    async fn place(&self, bytes: usize, places: &Arc<Semaphore>) -> Option<Place> {
        let room = u32::try_from((1 + bytes / PLACE_BYTES).min(MAX_PLACES_PER_PRINCIPAL)).ok()?;
        // The share first: whoever has used theirs up stands in nobody's way.
        let of_share = Arc::clone(&self.0).acquire_many_owned(room).await.ok()?;
        let of_all = Arc::clone(places).acquire_many_owned(room).await.ok()?;
        Some(Place { _of_share: of_share, _of_all: of_all })
    }
}

/// A place among the drafts that wait, until it is dropped.
#[derive(Debug)]
pub struct Place {
    _of_share: OwnedSemaphorePermit,
    _of_all: OwnedSemaphorePermit,
}

/// How the rest of the appliance reaches the sealer.
#[derive(Clone, Debug)]
pub struct SealerHandle {
    pub(super) outbox: SyncSender<Message>,
    pub(super) places: Arc<Semaphore>,
    pub(super) disk: Arc<DiskWatch>,
    pub(super) hsm: Arc<Wait>,
    pub(super) boundary: Arc<TokenBoundary>,
    pub(super) gauges: Arc<Gauges>,
    pub(super) checkpoints: watch::Sender<Option<SignedCheckpoint>>,
    pub(super) keys: Arc<Mutex<Keyring>>,
    pub(super) reader: Reader,
    pub(super) fence_in_hsm: Arc<Mutex<FenceInHsm>>,
    /// Held by whoever erases or archives, one at a time: either clears away what the log does not refer to.
    pub(super) volumes: Arc<tokio::sync::Mutex<()>>,
    pub(super) space: Space,
}

impl SealerHandle {
    /// A place among the drafts that wait, for a frame of so many bytes, out of the share of whoever asks. While there is none
    /// the caller waits, and its peer with it.
    pub async fn place(&self, bytes: usize, share: &Share) -> Option<Place> {
        share.place(bytes, &self.places).await
    }

    /// Hears whether the disk hangs: then whoever waits is to be refused, and nothing more is taken in.
    #[must_use]
    pub fn disk_hangs(&self) -> watch::Receiver<bool> {
        self.disk.hangs()
    }

    /// Hands a draft over. False when the sealer has ended: then nothing was decided.
    #[must_use]
    pub fn submit(&self, draft: Draft) -> bool {
        // The draft holds a place, and the inbox has room for all places, so this never waits.
        self.outbox.try_send(Message::Draft(Box::new(draft))).is_ok()
    }

    /// Has the next round record something that the appliance did.
    pub fn record(&self, operation: Operation) {
        let _ = self.outbox.send(Message::Operation(operation));
    }

    /// Something of the log turned out to be damaged: the boundary closes for operators.
    pub fn damaged(&self, error: &StoreError) {
        let _ = self.outbox.send(Message::Damaged(Box::new(Cause::log_damaged(error))));
    }

    /// Has the sealer finish what waits, and end.
    pub fn stop(&self) {
        let _ = self.outbox.send(Message::Stop);
    }

    /// Has arming be tried in this epoch, and the order written down. False where the epoch is over.
    pub(in crate::token) fn order_rearm(
        &self,
        epoch: Epoch,
        cause: &Cause,
        revoke: bool,
        operation: Operation,
    ) -> bool {
        let order = outage::Order { epoch, revoke, operation: Box::new(operation) };
        self.boundary.permit(epoch, cause) && self.outbox.send(Message::Ordered(order)).is_ok()
    }

    /// Hears the newest checkpoint, now and from now on; every verified signature is told, of a heartbeat too.
    #[must_use]
    pub fn checkpoints(&self) -> watch::Receiver<Option<SignedCheckpoint>> {
        self.checkpoints.subscribe()
    }

    /// Reads the log beside the sealer.
    #[must_use]
    pub const fn reader(&self) -> &Reader {
        &self.reader
    }

    /// The boundary that the sealer opens and closes.
    #[must_use]
    pub const fn boundary(&self) -> &Arc<TokenBoundary> {
        &self.boundary
    }

    /// What the sealer has done.
    #[must_use]
    pub const fn gauges(&self) -> &Arc<Gauges> {
        &self.gauges
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::MAX_WAITING_DRAFTS;

    /// As many places as are to be had at once, for frames of so many bytes.
    fn all_that_are_had(share: &Share, places: &Arc<Semaphore>, bytes: usize) -> Vec<Place> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let had = |_| {
            let place = std::pin::pin!(share.place(bytes, places));
            // Polled once: what has to wait is none.
            runtime.block_on(async { at_once(place).await })
        };
        (0..=MAX_WAITING_DRAFTS).map_while(had).collect()
    }

    async fn at_once(mut place: std::pin::Pin<&mut impl Future<Output = Option<Place>>>) -> Option<Place> {
        std::future::poll_fn(|context| match place.as_mut().poll(context) {
            std::task::Poll::Ready(place) => std::task::Poll::Ready(place),
            std::task::Poll::Pending => std::task::Poll::Ready(None),
        })
        .await
    }

    #[test]
    fn whoever_floods_has_its_share_of_the_places_and_others_find_room() {
        let places = Arc::new(Semaphore::new(MAX_WAITING_DRAFTS));
        let (flood, other) = (Share::default(), Share::default());
        let taken = all_that_are_had(&flood, &places, 100);
        assert_eq!(taken.len(), MAX_PLACES_PER_PRINCIPAL);
        assert_eq!(all_that_are_had(&other, &places, 100).len(), MAX_PLACES_PER_PRINCIPAL);
        assert!(all_that_are_had(&flood, &places, 100).is_empty());
        drop(taken);
        assert_eq!(all_that_are_had(&flood, &places, 100).len(), MAX_PLACES_PER_PRINCIPAL);
    }

    #[test]
    fn large_frames_take_as_many_places_as_they_fill_and_the_largest_no_more_than_a_share() {
        let places = Arc::new(Semaphore::new(MAX_WAITING_DRAFTS));
        let large = all_that_are_had(&Share::default(), &places, 63 * PLACE_BYTES);
        assert_eq!(large.len(), MAX_PLACES_PER_PRINCIPAL / 64);
        drop(large);
        assert_eq!(all_that_are_had(&Share::default(), &places, usize::MAX / 2).len(), 1);
        // However many flood, what waits is bounded.
        let shares: Vec<Share> = (0..9).map(|_| Share::default()).collect();
        let taken: Vec<Place> =
            shares.iter().flat_map(|share| all_that_are_had(share, &places, 100)).collect();
        assert_eq!((taken.len(), places.available_permits()), (MAX_WAITING_DRAFTS, 0));
    }
}
