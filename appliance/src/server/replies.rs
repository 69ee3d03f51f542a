//! Replies on their way: what all peers together may leave unread.
//!
//! A reply takes memory until its peer has acknowledged it, and a peer may ask and never read. So large replies have one room
//! for all of them, and where one more does not fit, whoever has most in it loses their oldest: its stream is reset, and its
//! agent asks again under the batch's id, for the log keeps the answer. Small ones are not counted: there are no more of them
//! than streams. The one rule: what counts as being in the room never takes more than the limit.

use std::collections::{BTreeMap, HashMap};
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
    /// Whose they are; nobody without any.
    principals: HashMap<Arc<str>, Share>,
}

/// What one principal has in it.
#[derive(Debug, Default)]
struct Share {
    bytes: usize,
    /// Oldest first.
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
    /// Where it is in the room, if it is large enough to take some.
    in_room: Option<InRoom>,
    replies: Replies,
}

#[derive(Debug)]
struct InRoom {
    principal: Arc<str>,
    number: u64,
    kept: oneshot::Receiver<()>,
}

impl Replies {
    /// Takes in a reply of so many bytes to this principal. For a large one others are given up until it fits.
    pub(super) fn set_out(&self, principal: &str, bytes: usize) -> OnItsWay {
        let in_room = (bytes > SMALL_REPLY_BYTES).then(|| self.lock().take_in(principal.into(), bytes));
        OnItsWay { in_room, replies: self.clone() }
    }

    fn lock(&self) -> MutexGuard<'_, Room> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Room {
    fn take_in(&mut self, principal: Arc<str>, bytes: usize) -> InRoom {
        while self.bytes + bytes > MAX_UNREAD_REPLY_BYTES && self.give_up_one() {}
        let (keeps, kept) = oneshot::channel();
        let number = self.next;
        self.next += 1;
        self.bytes += bytes;
        let share = self.principals.entry(Arc::clone(&principal)).or_default();
        share.bytes += bytes;
        share.replies.insert(number, Lying { bytes, _keeps: keeps });
        InRoom { principal, number, kept }
    }

    /// The oldest of whoever has most. False where there is none.
    fn give_up_one(&mut self) -> bool {
        let most = self.principals.iter().max_by_key(|(_, share)| share.bytes);
        let Some((principal, number)) = most.and_then(|(principal, share)| {
            share.replies.keys().next().map(|number| (Arc::clone(principal), *number))
        }) else {
            return false;
        };
        self.remove(&principal, number);
        true
    }

    fn remove(&mut self, principal: &Arc<str>, number: u64) {
        let Some(share) = self.principals.get_mut(principal) else { return };
        if let Some(left) = share.replies.remove(&number) {
            share.bytes -= left.bytes;
            self.bytes -= left.bytes;
        }
        if share.replies.is_empty() {
            self.principals.remove(principal);
        }
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
            Some(InRoom { kept, .. }) => drop(kept.await),
            None => std::future::pending().await,
        }
    }
}

impl Drop for OnItsWay {
    fn drop(&mut self) {
        if let Some(InRoom { principal, number, .. }) = &self.in_room {
            self.replies.lock().remove(principal, *number);
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
        let mut sent: Vec<OnItsWay> = (0..3).map(|_| replies.set_out("agent", third)).collect();
        for reply in &mut sent {
            assert!(!is_given_up(reply).await, "all three fit");
        }
        sent.push(replies.set_out("agent", third));
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
        let read = replies.set_out("agent", MAX_UNREAD_REPLY_BYTES / 2);
        let mut unread = replies.set_out("agent", MAX_UNREAD_REPLY_BYTES / 2);
        drop(read);
        let mut fits = replies.set_out("agent", MAX_UNREAD_REPLY_BYTES / 2);
        assert!(!is_given_up(&mut unread).await && !is_given_up(&mut fits).await);
        // The room of what was given up was free before its task comes to drop it.
        let whole = replies.set_out("agent", MAX_UNREAD_REPLY_BYTES);
        assert!(is_given_up(&mut unread).await && is_given_up(&mut fits).await);
        drop((unread, fits));
        assert_eq!(replies.lock().bytes, MAX_UNREAD_REPLY_BYTES);
        drop(whole);
        let room = replies.lock();
        assert_eq!((room.bytes, room.principals.len()), (0, 0));
    }

    #[tokio::test]
    async fn small_ones_take_no_room_and_are_never_given_up() {
        let replies = Replies::default();
        let mut small = replies.set_out("agent", SMALL_REPLY_BYTES);
        let _whole = replies.set_out("agent", MAX_UNREAD_REPLY_BYTES);
        assert!(!small.takes_room() && !is_given_up(&mut small).await);
        assert_eq!(replies.lock().bytes, MAX_UNREAD_REPLY_BYTES);
    }

    #[tokio::test]
    async fn whoever_reads_nothing_of_much_loses_it_and_not_those_who_have_little() {
        let replies = Replies::default();
        let mut older = replies.set_out("reads slowly", 2 * SMALL_REPLY_BYTES);
        let quarter = MAX_UNREAD_REPLY_BYTES / 4;
        let mut hoard: Vec<OnItsWay> = (0..4).map(|_| replies.set_out("hoards", quarter)).collect();
        let mut newer = replies.set_out("asks later", quarter);
        assert!(!is_given_up(&mut older).await && !is_given_up(&mut newer).await);
        let mut given_up = Vec::new();
        for reply in &mut hoard {
            given_up.push(is_given_up(reply).await);
        }
        assert_eq!(given_up, [true, true, false, false], "the fourth did not fit, and the last one");
    }
}
