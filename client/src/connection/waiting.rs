//! What waits: asking what became of it, and withdrawing it.
//!
//! A ticket outlives connections: asking again after a reconnect is asking the same. The appliance holds a question for a
//! while when nothing is decided yet, so an agent that asks again at once does not ask often.

use assent_proto::limits::{MAX_BATCH_AGE_MS, MAX_SKEW_MS};
use assent_proto::refusal::Refusal;
use assent_proto::wire::{append_cancel, append_collect};
use tokio::time::sleep;

use super::pause::Pauses;
use super::{Client, ClientError};
use crate::batch::{Outcomes, ReplyError, Ticket};
use crate::clock;
use crate::limits::TICKET_PATIENCE;

/// What became of intents that waited.
#[derive(Clone, Debug)]
#[must_use]
#[expect(clippy::large_enum_variant, reason = "it is taken apart where it is given")]
pub enum Collected {
    /// They were decided; some of them may wait anew, under tickets of their own.
    Decided(Outcomes),
    /// They still wait: in the queue, or for operators, as the refusal says.
    Waiting(Refusal),
}

impl Client {
    /// Asks what became of intents that wait, and waits for it a while. Ask again where they still do.
    ///
    /// # Errors
    /// [`ClientError`]; with [`Refusal::TicketUnknown`] where nothing of ours waits under the ticket, or did too long ago.
    pub async fn collect(&self, ticket: &Ticket) -> Result<Collected, ClientError> {
        let mut frame = Vec::with_capacity(17);
        append_collect(ticket.id(), &mut frame);
        self.ask_about(ticket, &frame).await
    }

    /// Withdraws intents that wait. What was decided before that stands, and is what is given.
    ///
    /// # Errors
    /// As [`Client::collect`].
    pub async fn cancel(&self, ticket: &Ticket) -> Result<Collected, ClientError> {
        let mut frame = Vec::with_capacity(17);
        append_cancel(ticket.id(), &mut frame);
        self.ask_about(ticket, &frame).await
    }

    /// Asks until it is decided what waits, through outages and reconnects; at most until its answer is no longer kept. Some of
    /// what was decided may wait anew: see [`Outcomes::tickets`].
    ///
    /// # Errors
    /// As [`Client::collect`], for what asking again does not mend; and how it stood at last where it still waits then.
    pub async fn wait(&self, ticket: &Ticket) -> Result<Outcomes, ClientError> {
        let mut pauses = Pauses::new();
        let last = ticket.until().plus_ms(MAX_BATCH_AGE_MS - MAX_SKEW_MS);
        loop {
            let error = match self.collect(ticket).await {
                Ok(Collected::Decided(outcomes)) => return Ok(outcomes),
                Ok(Collected::Waiting(refusal)) => {
                    pauses = Pauses::new();
                    ClientError::Reply(ReplyError::Refused(refusal))
                }
                Err(error) if !error.can_be_repeated() => return Err(error),
                Err(error) => error,
            };
            // What waits may outlast its time where its end cannot be written down.
            if clock::now() > last {
                return Err(error);
            }
            sleep(pauses.next()).await;
        }
    }

    async fn ask_about(&self, ticket: &Ticket, frame: &[u8]) -> Result<Collected, ClientError> {
        self.check_fork()?;
        // The appliance may hold it for so long and be well: a deadline below that would never hear that it still waits.
        let deadline = self.shared.config.deadline.saturating_add(TICKET_PATIENCE);
        let reply = self.reply_to(None, frame, deadline).await?;
        match self.shared.open(ticket.batch().clone(), &reply) {
            Ok(outcomes) => self.check_fork().map(|()| Collected::Decided(outcomes)),
            Err(ReplyError::Refused(refusal @ (Refusal::Queued | Refusal::AwaitingApproval))) => {
                Ok(Collected::Waiting(refusal))
            }
            Err(error) => Err(ClientError::Reply(error)),
        }
    }
}
