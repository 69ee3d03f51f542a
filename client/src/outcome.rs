//! Outcomes: what became of each intent, in types that cannot be taken for one another.
//!
//! "The policies deny it", "it cannot be decided now", "it waits for operators" and "it is malformed" ask four different
//! things of an agent. Only the first of them is a denial by policy.

use std::fmt;

use assent_proto::intent::Priority;
use assent_proto::number::Timestamp;
use assent_proto::refusal::{Refusal, Retry};
use assent_proto::wire::{Ticket as TicketId, Verdict, Waiting};

use crate::token::Token;

/// What became of an intent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome<'o> {
    /// Leave, with the token that proves it.
    Allowed(Token<'o>),
    /// The policies deny it, or operators rejected it; asking again hears the same.
    Denied(Reason<'o>),
    /// No leave yet: it waits in the queue, and is decided when the boundary is open again.
    Queued(Waits<'o>),
    /// No leave yet: it waits for operators.
    AwaitingApproval(Waits<'o>),
    /// Operators must approve it, and it does not wait for that: ask with [`OnUnavailable::Queue`](crate::OnUnavailable).
    Held(Reason<'o>),
    /// It waited, and the time within which it was to be decided has passed. Nobody denied it.
    Expired(Reason<'o>),
    /// It waited, and was withdrawn.
    Cancelled(Reason<'o>),
    /// It could not be decided now; asking again later can help. This is no denial.
    Unavailable(Reason<'o>),
    /// It was never put to the policies, and never will be as it is.
    Invalid(Reason<'o>),
}

/// Why there is no leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reason<'o> {
    /// The refusal, from the closed list.
    pub refusal: Refusal,
    /// Ids of the first policies that determined it.
    pub policies: &'o [String],
    /// How many policies determined it.
    pub policies_total: u32,
    /// The risk score under which it was decided.
    pub risk: i64,
}

/// How an intent waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waits<'o> {
    /// Under which ticket; other intents of its batch may wait under the same.
    pub ticket: TicketId,
    /// Its place in the queue.
    pub priority: Priority,
    /// Why there is no leave yet.
    pub reason: Reason<'o>,
}

impl Waits<'_> {
    /// By when it is decided, or expires.
    #[must_use]
    pub const fn until(&self) -> Timestamp {
        self.ticket.until()
    }
}

impl<'o> Outcome<'o> {
    /// The token, when there is one.
    #[must_use]
    pub const fn token(&self) -> Option<Token<'o>> {
        match self {
            Self::Allowed(token) => Some(*token),
            Self::Denied(_)
            | Self::Queued(_)
            | Self::AwaitingApproval(_)
            | Self::Held(_)
            | Self::Expired(_)
            | Self::Cancelled(_)
            | Self::Unavailable(_)
            | Self::Invalid(_) => None,
        }
    }

    /// Why there is no leave, when there is none.
    #[must_use]
    pub const fn reason(&self) -> Option<Reason<'o>> {
        match self {
            Self::Allowed(_) => None,
            Self::Queued(waits) | Self::AwaitingApproval(waits) => Some(waits.reason),
            Self::Denied(reason)
            | Self::Held(reason)
            | Self::Expired(reason)
            | Self::Cancelled(reason)
            | Self::Unavailable(reason)
            | Self::Invalid(reason) => Some(*reason),
        }
    }

    /// A bounded label for metrics.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Allowed(_) => "allowed",
            Self::Denied(_) => "denied",
            Self::Queued(_) => "queued",
            Self::AwaitingApproval(_) => "awaiting_approval",
            Self::Held(_) => "held",
            Self::Expired(_) => "expired",
            Self::Cancelled(_) => "cancelled",
            Self::Unavailable(_) => "unavailable",
            Self::Invalid(_) => "invalid",
        }
    }

    /// How it waits, when it does.
    #[must_use]
    pub const fn waits(&self) -> Option<Waits<'o>> {
        match self {
            Self::Queued(waits) | Self::AwaitingApproval(waits) => Some(*waits),
            Self::Allowed(_)
            | Self::Denied(_)
            | Self::Held(_)
            | Self::Expired(_)
            | Self::Cancelled(_)
            | Self::Unavailable(_)
            | Self::Invalid(_) => None,
        }
    }

    /// What a verdict other than leave means to the agent.
    pub(crate) const fn refused(verdict: &Verdict, ticket: Option<TicketId>, reason: Reason<'o>) -> Self {
        if let Verdict::Hold { waiting, .. } = verdict {
            return match (waiting, ticket) {
                (Some(Waiting { priority, .. }), Some(ticket)) => {
                    let waits = Waits { ticket, priority: *priority, reason };
                    if matches!(reason.refusal, Refusal::AwaitingApproval) {
                        Self::AwaitingApproval(waits)
                    } else {
                        Self::Queued(waits)
                    }
                }
                _ => Self::Held(reason),
            };
        }
        match (reason.refusal, reason.refusal.retry()) {
            (Refusal::PolicyDenied | Refusal::ApprovalRejected, _) => Self::Denied(reason),
            (Refusal::Expired, _) => Self::Expired(reason),
            (Refusal::Cancelled, _) => Self::Cancelled(reason),
            (_, Retry::Later) => Self::Unavailable(reason),
            (_, Retry::AfterOthers) => Self::Held(reason),
            (_, Retry::Never) => Self::Invalid(reason),
        }
    }
}

impl fmt::Display for Outcome<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind())?;
        let Some(reason) = self.reason() else {
            return Ok(());
        };
        write!(f, ": {}", reason.refusal)?;
        for (position, policy) in reason.policies.iter().enumerate() {
            write!(f, "{}`{policy}`", if position == 0 { " by " } else { ", " })?;
        }
        match self.waits() {
            Some(waits) => write!(f, " under ticket {}", waits.ticket),
            None => Ok(()),
        }
    }
}
