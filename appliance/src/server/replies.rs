//! Replies on their way: what all peers together may leave unread.
//!
//! A reply takes memory until its peer has acknowledged it, and a peer may ask and never read. So large replies have one room
//! for all of them, and where one more does not fit, the oldest is given up: its stream is reset, and its agent asks again
//! under the batch's id, for the log keeps the answer. Whoever reads is never the oldest for long. Small ones are not counted:
//! there are no more of them than streams. The one rule: what is in the room never takes more than the limit.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::limits::{MAX_UNREAD_REPLY_BYTES, SMALL_REPLY_BYTES};

/// The room that replies take while they are not acknowledged.
#[derive(Clone, Debug, Default)]
pub(super) struct Replies(Arc<Mutex<Room>>);

#[derive(Debug, Default)]
struct Room {
    /// How many bytes lie in it.
    bytes: usize,
    /// The number of the next that comes in.
    next: u64,
    /// What lies in it, oldest first.
    replies: BTreeMap<u64, Lying>,
}

#[derive(Debug)]
struct Lying {
    bytes: usize,
    /// Dropped when it is given up.
    _keeps: oneshot::Sender<()>,
}

/// A reply that has set out; its room is free again when this is dropped.
#[derive(Debug)]
pub(super) struct OnItsWay {
    /// Its number in the room, where it is large enough to take some.
    in_room: Option<(u64, oneshot::Receiver<()>)>,
    replies: Replies,
}

impl Replies {
    /// Takes in a reply of so many bytes. For a large one older ones are given up until it fits.
    pub(super) fn set_out(&self, bytes: usize) -> OnItsWay {
        let in_room = (bytes > SMALL_REPLY_BYTES).then(|| self.lock().take_in(bytes));
        OnItsWay { in_room, replies: self.clone() }
    }

    fn lock(&self) -> MutexGuard<'_, Room> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Room {
    fn take_in(&mut self, bytes: usize) -> (u64, oneshot::Receiver<()>) {
        while self.bytes + bytes > MAX_UNREAD_REPLY_BYTES
            && let Some((_, oldest)) = self.replies.pop_first()
        {
            self.bytes -= oldest.bytes;
        }
        let (keeps, kept) = oneshot::channel();
        let number = self.next;
        self.next += 1;
        self.bytes += bytes;
        self.replies.insert(number, Lying { bytes, _keeps: keeps });
        (number, kept)
    }
}

impl OnItsWay {
    /// Whether it takes room until its peer has acknowledged it.
    pub(super) const fn takes_room(&self) -> bool {
        self.in_room.is_some()
    }

    /// Returns when it was given up for another.
    pub(super) async fn given_up(&mut self) {
        match &mut self.in_room {
            // Nothing is ever sent: what keeps it is gone.
            Some((_, kept)) => drop(kept.await),
            None => std::future::pending().await,
        }
    }
}

impl Drop for OnItsWay {
    fn drop(&mut self) {
        let Some((number, _)) = self.in_room else { return };
        let mut room = self.replies.lock();
        if let Some(left) = room.replies.remove(&number) {
            room.bytes -= left.bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether it was given up by now.
    async fn is_given_up(reply: &mut OnItsWay) -> bool {
        tokio::select! {
            biased;
            () = reply.given_up() => true,
            () = std::future::ready(()) => false,
        }
    }

    #[tokio::test]
    async fn the_oldest_gives_way_and_no_more_than_must() {
        let replies = Replies::default();
        let third = MAX_UNREAD_REPLY_BYTES / 3;
        let mut sent: Vec<OnItsWay> = (0..3).map(|_| replies.set_out(third)).collect();
        for reply in &mut sent {
            assert!(!is_given_up(reply).await, "all three fit");
        }
        sent.push(replies.set_out(third));
        let mut given_up = Vec::new();
        for reply in &mut sent {
            given_up.push(is_given_up(reply).await);
        }
        assert_eq!(given_up, [true, false, false, false]);
        assert_eq!(replies.lock().bytes, 3 * third);
    }

    #[tokio::test]
    async fn what_was_read_makes_room_and_is_not_counted_twice() {
        let replies = Replies::default();
        let read = replies.set_out(MAX_UNREAD_REPLY_BYTES / 2);
        let mut unread = replies.set_out(MAX_UNREAD_REPLY_BYTES / 2);
        drop(read);
        let mut fits = replies.set_out(MAX_UNREAD_REPLY_BYTES / 2);
        assert!(!is_given_up(&mut unread).await && !is_given_up(&mut fits).await);
        // The room of what was given up was free before its task comes to drop it.
        let whole = replies.set_out(MAX_UNREAD_REPLY_BYTES);
        assert!(is_given_up(&mut unread).await && is_given_up(&mut fits).await);
        drop((unread, fits));
        assert_eq!(replies.lock().bytes, MAX_UNREAD_REPLY_BYTES);
        drop(whole);
        let room = replies.lock();
        assert_eq!((room.bytes, room.replies.len()), (0, 0));
    }

    #[tokio::test]
    async fn small_ones_take_no_room_and_are_never_given_up() {
        let replies = Replies::default();
        let mut small = replies.set_out(SMALL_REPLY_BYTES);
        let _whole = replies.set_out(MAX_UNREAD_REPLY_BYTES);
        assert!(!small.takes_room() && !is_given_up(&mut small).await);
        assert_eq!(replies.lock().bytes, MAX_UNREAD_REPLY_BYTES);
    }
}
