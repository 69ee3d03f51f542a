//! Replies on their way: what all peers together may leave unread.
//!
//! A reply takes memory until its peer has acknowledged it, and a peer may ask and never read. So large replies have one room
//! for all of them, and where one more does not fit, whoever has most in it loses their oldest: its stream is reset, and its
//! agent asks again under the batch's id, for the log keeps the answer. Small ones are not counted: there are no more of them
//! than streams.

use super::room::{GivesWay, InRoom, Room};
use crate::limits::{MAX_UNREAD_REPLY_BYTES, SMALL_REPLY_BYTES};

/// The room that replies take while they are not acknowledged.
#[derive(Debug)]
pub(super) struct Replies(Room);

/// A reply that has set out; its room, where it is large enough to take some, is free again when this is dropped.
#[derive(Debug)]
pub(super) struct OnItsWay(Option<InRoom>);

impl Default for Replies {
    fn default() -> Self {
        Self(Room::new(MAX_UNREAD_REPLY_BYTES, GivesWay::Oldest))
    }
}

impl Replies {
    /// Takes in a reply of so many bytes to this principal. For a large one others are given up until it fits.
    pub(super) fn set_out(&self, principal: &str, bytes: usize) -> OnItsWay {
        OnItsWay((bytes > SMALL_REPLY_BYTES).then(|| self.0.take_in(principal, bytes)))
    }
}

impl OnItsWay {
    /// Whether it takes room until its peer has acknowledged it.
    pub(super) const fn takes_room(&self) -> bool {
        self.0.is_some()
    }

    /// Returns when it was given up for another.
    pub(super) async fn given_up(&mut self) {
        match &mut self.0 {
            Some(in_room) => in_room.given_up().await,
            None => std::future::pending().await,
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
    async fn small_ones_take_no_room_and_are_never_given_up() {
        let replies = Replies::default();
        let mut small = replies.set_out("agent", SMALL_REPLY_BYTES);
        let mut large = replies.set_out("agent", SMALL_REPLY_BYTES + 1);
        let whole = replies.set_out("agent", MAX_UNREAD_REPLY_BYTES);
        assert!(!small.takes_room() && !is_given_up(&mut small).await);
        assert!(large.takes_room() && is_given_up(&mut large).await);
        assert!(whole.takes_room());
    }
}
