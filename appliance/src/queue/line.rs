//! A line of the queue: one ticket, and how it waits. The intents themselves lie on disk.

use assent_proto::intent::Priority;
use assent_proto::number::{LeafIndex, Timestamp};
use assent_proto::refusal::Refusal;
use assent_proto::wire::{BatchId, Ticket};
use serde::{Deserialize, Serialize};

use crate::log::store::BatchKey;

/// For what a ticket waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    /// For the boundaries to be open.
    Queued,
    /// For operators.
    AwaitingApproval(Vec<Approver>),
    /// For the boundaries, with the approvals that were needed.
    Approved(Vec<Approver>),
    /// For its end: this operator rejected it.
    Rejected(Approver),
}

/// An operator who answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approver {
    /// The operator's name.
    pub name: String,
    /// The operator's key, as OpenSSH writes it.
    pub key: String,
    /// The entry of the answer.
    pub leaf: LeafIndex,
}

/// One ticket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    pub(super) id: [u8; 16],
    /// Whose intents wait.
    pub principal: String,
    /// Their place.
    pub priority: Priority,
    /// Since when.
    pub since: Timestamp,
    /// The leaf of the first intent's hold; the others' follow as they stood in their batch.
    pub hold: LeafIndex,
    /// How many intents.
    pub intents: u32,
    /// Bytes of the request that they are decided by.
    pub bytes: u32,
    /// For what they wait.
    pub state: State,
}

impl State {
    /// How people and JSON have it.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::AwaitingApproval(_) => "awaiting_approval",
            Self::Approved(_) => "approved",
            Self::Rejected(_) => "rejected",
        }
    }
}

impl Line {
    /// A ticket that begins to wait.
    #[must_use]
    pub fn new(ticket: Ticket, principal: &str, priority: Priority, since: Timestamp) -> Self {
        let principal = principal.to_owned();
        let (hold, state) = (LeafIndex(0), State::Queued);
        Self { id: ticket.0.0, principal, priority, since, hold, intents: 0, bytes: 0, state }
    }

    /// Its name.
    #[must_use]
    pub const fn ticket(&self) -> Ticket {
        Ticket(BatchId(self.id))
    }

    /// Under which its intents and its decision are kept.
    #[must_use]
    pub fn key(&self) -> BatchKey {
        BatchKey::new(BatchId(self.id), &self.principal)
    }

    /// What its agent hears while it waits.
    #[must_use]
    pub const fn refusal(&self) -> Refusal {
        match self.state {
            State::Queued | State::Approved(_) => Refusal::Queued,
            State::AwaitingApproval(_) | State::Rejected(_) => Refusal::AwaitingApproval,
        }
    }

    /// Who approved it so far.
    #[must_use]
    pub fn approvers(&self) -> &[Approver] {
        match &self.state {
            State::Queued | State::Rejected(_) => &[],
            State::AwaitingApproval(approvers) | State::Approved(approvers) => approvers,
        }
    }

    /// Whether operators are to answer it.
    #[must_use]
    pub const fn awaits_approval(&self) -> bool {
        matches!(self.state, State::AwaitingApproval(_))
    }

    /// Whether it is decided as soon as the boundaries are open.
    #[must_use]
    pub const fn is_ready(&self) -> bool {
        matches!(self.state, State::Queued | State::Approved(_))
    }

    pub(super) fn parse(row: &[u8]) -> Option<Self> {
        assent_proto::codec::parse(row).ok()
    }

    /// As the log keeps it.
    ///
    /// # Errors
    /// None for any value of this type; the signature is that of the codec.
    pub fn encoded(&self) -> Result<Vec<u8>, assent_proto::codec::CodecError> {
        let mut row = Vec::with_capacity(128);
        assent_proto::codec::append(self, &mut row)?;
        Ok(row)
    }
}
