//! A ticket: intents that wait, and what it takes to fetch what becomes of them.
//!
//! Whoever keeps it may lose the connection, the process and the machine, and asks again. It can be written down as text. It
//! gives no leave, and is of use to the agent only that it was given to.

use std::fmt;
use std::str::FromStr;

use assent_proto::number::Timestamp;
use assent_proto::wire::{Request, Ticket as TicketId};

use super::{Batch, BatchError};
use crate::intent::Intent;

/// Intents that wait together.
#[derive(Clone, Debug)]
pub struct Ticket {
    batch: Batch,
    positions: Vec<usize>,
}

/// Why a text is no ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no ticket: a ticket is `{PREFIX}` and hexadecimal digits, as it was given out")]
pub struct TicketError;

/// What the text form begins with; the frame of its intents follows in hexadecimal digits.
const PREFIX: &str = "assent-ticket1.";

impl Ticket {
    pub(super) fn of_parts(id: TicketId, from: &Batch, positions: Vec<usize>) -> Self {
        let parts = positions.iter().map(|position| (from, *position));
        let batch = Batch::of_parts(id.0, parts).unwrap_or_else(|_| Batch {
            // Parts of a batch make no larger batch than it was.
            id: id.0,
            frame: Vec::new(),
            places: Vec::new(),
            trace: None,
            successions: Vec::new(),
        });
        // What a wallet asked for again and waits takes the same place when it comes.
        let successions = positions.iter().map_while(|position| from.succession(*position)).collect();
        Self { batch: batch.succeeding(successions), positions }
    }

    /// The ticket of that name, for these intents in the order in which they were asked.
    ///
    /// # Errors
    /// [`BatchError`].
    pub fn new(id: TicketId, intents: &[Intent]) -> Result<Self, BatchError> {
        let batch = Batch::new(id.0, intents)?;
        Ok(Self { batch, positions: (0..intents.len()).collect() })
    }

    /// Its name.
    #[must_use]
    pub const fn id(&self) -> TicketId {
        TicketId(self.batch.id)
    }

    /// By when what waits is decided, or expires.
    #[must_use]
    pub const fn until(&self) -> Timestamp {
        self.id().until()
    }

    /// Where its intents stood in the batch that was answered with it. A ticket that was read from a text, or made by
    /// [`Ticket::new`], knows nothing of that batch: then they are counted from 0 in their own order.
    #[must_use]
    pub fn positions(&self) -> &[usize] {
        &self.positions
    }

    /// Its intents, as the batch that is decided in the end.
    #[must_use]
    pub const fn batch(&self) -> &Batch {
        &self.batch
    }
}

impl fmt::Display for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(PREFIX)?;
        self.batch.frame.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for Ticket {
    type Err = TicketError;

    fn from_str(text: &str) -> Result<Self, TicketError> {
        let digits = text.trim().strip_prefix(PREFIX).ok_or(TicketError)?;
        let (pairs, rest) = digits.as_bytes().as_chunks::<2>();
        let value = |digit: u8| char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
        let byte = |[high, low]: &[u8; 2]| Some(value(*high)? << 4 | value(*low)?);
        let frame: Vec<u8> = pairs.iter().map(byte).collect::<Option<_>>().ok_or(TicketError)?;
        let request = Request::parse(&frame).map_err(|_| TicketError)?;
        if !rest.is_empty() {
            return Err(TicketError);
        }
        let mut batch = Batch::begin(request.batch(), request.intents().len()).map_err(|_| TicketError)?;
        for (intent, bytes) in request.intents() {
            batch.push(bytes, intent.act.bytes().len()).map_err(|_| TicketError)?;
        }
        let positions = (0..batch.len()).collect();
        Ok(Self { batch, positions })
    }
}

#[cfg(test)]
mod tests {
    use assent_proto::wire::BatchId;

    use super::*;
    use crate::uid::Uid;

    fn intents() -> Vec<Intent> {
        let intent = |id: &str| {
            let action = "Retail::Action::\"cancel_pending_order\"".parse().unwrap();
            Intent::new(action, Uid::new("Retail::Order", id), "store-api").with("reason", "none")
        };
        vec![intent("#W1"), intent("#W2")]
    }

    #[test]
    fn what_is_written_reads_back() {
        let id = TicketId::new(
            BatchId::new(Timestamp(1_790_000_000_000), [7; 10]),
            3,
            Timestamp(1_790_000_900_000),
        );
        let ticket = Ticket::new(id, &intents()).unwrap();
        let read: Ticket = ticket.to_string().parse().unwrap();
        assert_eq!((read.id(), read.positions()), (id, [0, 1].as_slice()));
        assert_eq!(read.batch().frame(), ticket.batch().frame());
        assert_eq!(read.batch().encoded(1), ticket.batch().encoded(1));
        assert_eq!(ticket.until(), Timestamp(1_790_000_900_000));
    }

    #[test]
    fn what_is_no_ticket_is_refused() {
        let id = TicketId::new(BatchId::new(Timestamp(1_790_000_000_000), [7; 10]), 3, Timestamp(0));
        let text = Ticket::new(id, &intents()).unwrap().to_string();
        let cut = text.get(..text.len() - 2).unwrap().to_owned();
        let odd = text.get(..text.len() - 1).unwrap().to_owned();
        for wrong in [String::new(), cut, odd, format!("{text}00"), text.replace("ticket1", "ticket2")] {
            assert_eq!(wrong.parse::<Ticket>().err(), Some(TicketError), "{wrong}");
        }
    }
}
