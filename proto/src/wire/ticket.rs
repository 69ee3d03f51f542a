//! Tickets: the names of what waits.
//!
//! A ticket is the id under which the intents that wait together are decided as a batch of their own: so collecting is
//! asking for a recorded answer. Both sides derive it from the batch, the position of its first intent and the end of the wait. Its
//! time is that end; while something waits under it, a batch of that id is taken from no agent.
//!
//! Intents of one batch with the same ruling wait together, up to a limit; one that awaits approval waits alone.

use super::request::BatchId;
use crate::hash::Hash;
use crate::limits::MAX_TICKET_INTENTS;
use crate::number::Timestamp;
use crate::refusal::Refusal;

/// Separates the derivation of tickets from every other hash.
pub const TICKET_LABEL: &[u8; 17] = b"assent/ticket/v1\0";

/// Intents of one ruling that wait together so far: one of these for each ruling of a reply, which takes the positions in order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Together {
    first: u32,
    count: usize,
}

impl Together {
    /// Takes the next one; gives the position of the first that it waits with, perhaps its own.
    pub const fn join(&mut self, position: u32, refusal: Refusal) -> u32 {
        let alone = !matches!(refusal, Refusal::Queued);
        if alone || self.count.is_multiple_of(MAX_TICKET_INTENTS) {
            (self.first, self.count) = (position, 0);
        }
        self.count = self.count.saturating_add(1);
        self.first
    }
}

/// Names what waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub BatchId);

impl Ticket {
    /// The ticket of what waits until then, from this position of a batch on.
    #[must_use]
    pub fn new(batch: BatchId, position: u32, until: Timestamp) -> Self {
        let hash = Hash::of_labelled(TICKET_LABEL, [&batch.0, position.to_be_bytes().as_slice()]);
        let mut random = [0; 10];
        for (to, from) in random.iter_mut().zip(hash.0) {
            *to = from;
        }
        Self(BatchId::new(until, random))
    }

    /// The end of the wait.
    #[must_use]
    pub const fn until(self) -> Timestamp {
        self.0.time()
    }
}

impl core::fmt::Display for Ticket {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.0.fmt(f)
    }
}

impl core::str::FromStr for Ticket {
    type Err = crate::codec::CodecError;

    /// Reads 32 hexadecimal digits in lower case.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.as_bytes();
        let mut id = [0; 16];
        if digits.len() != 32 {
            return Err(crate::codec::CodecError::Malformed);
        }
        let (pairs, _) = digits.as_chunks::<2>();
        for (byte, [high, low]) in id.iter_mut().zip(pairs) {
            *byte = digit(*high)? << 4 | digit(*low)?;
        }
        Ok(Self(BatchId(id)))
    }
}

const fn digit(digit: u8) -> Result<u8, crate::codec::CodecError> {
    match digit {
        b'0'..=b'9' => Ok(digit.wrapping_sub(b'0')),
        b'a'..=b'f' => Ok(digit.wrapping_sub(b'a').wrapping_add(10)),
        _ => Err(crate::codec::CodecError::Malformed),
    }
}
