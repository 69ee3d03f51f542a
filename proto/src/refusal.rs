//! Refusals: the closed list of what a peer hears instead of leave.
//!
//! A number is never given to another refusal. A refusal tells the peer what it can act on, and whether asking again can
//! help; it names nothing of the appliance's inside, for which the operator has traces and the log.

use core::fmt;

use serde::{Deserialize, Serialize};

macro_rules! refusals {
    ($($(#[$doc:meta])* $number:literal $variant:ident $name:literal $retry:ident,)+) => {
        /// Why there is no leave.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Refusal {
            $($(#[$doc])* $variant = $number,)+
        }

        impl Refusal {
            /// Every refusal, by ascending number.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// Its number on the wire and in the log.
            #[must_use]
            pub const fn number(self) -> u8 {
                match self {
                    $(Self::$variant => $number,)+
                }
            }

            /// The refusal of this number, if there is one.
            #[must_use]
            pub const fn from_number(number: u8) -> Option<Self> {
                match number {
                    $($number => Some(Self::$variant),)+
                    _ => None,
                }
            }

            /// How JSON, metrics and text write it.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }

            /// Whether asking again can help.
            #[must_use]
            pub const fn retry(self) -> Retry {
                match self {
                    $(Self::$variant => Retry::$retry,)+
                }
            }
        }
    };
}

/// Whether asking again can help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// No: the same intent hears the same again.
    Never,
    /// Yes, when the boundary has opened again; with back-off.
    Later,
    /// Yes, when someone else has acted (an approval, an operator).
    AfterOthers,
}

refusals! {
    /// The peer's certificate names no agent, or one that is revoked.
    1 Unauthenticated "UNAUTHENTICATED" Never,
    /// The frame is over a limit, has bytes to spare, or is not canonical.
    2 FrameInvalid "FRAME_INVALID" Never,
    /// The catalog does not know the action.
    3 IntentUnclassified "INTENT_UNCLASSIFIED" Never,
    /// The catalog knows the action, but the intent does not fit it, or names an entity that does not exist.
    4 IntentInvalid "INTENT_INVALID" Never,
    /// The intent, or a value in it, is over a limit.
    5 IntentTooLarge "INTENT_TOO_LARGE" Never,
    /// The policies deny it.
    6 PolicyDenied "POLICY_DENIED" Never,
    /// Operators must approve it first.
    7 ApprovalRequired "APPROVAL_REQUIRED" AfterOthers,
    /// The policies could not be evaluated; this is no denial by policy.
    8 EvaluationUnavailable "EVALUATION_UNAVAILABLE" Later,
    /// No durable, HSM-signed log entry can be made now.
    9 TokenUnavailable "TOKEN_UNAVAILABLE" Later,
    /// This principal asks more than its share.
    10 QuotaExceeded "QUOTA_EXCEEDED" Later,
    /// The queue has no room.
    11 QueueFull "QUEUE_FULL" Later,
    /// The intent waits in the queue.
    12 Queued "QUEUED" Later,
    /// The intent waits for operators.
    13 AwaitingApproval "AWAITING_APPROVAL" AfterOthers,
    /// The time within which it was to be decided has passed.
    14 Expired "EXPIRED" Never,
    /// The batch id was used before, with other content.
    15 BatchConflict "BATCH_CONFLICT" Never,
    /// The appliance is stopping; another may answer.
    16 ShuttingDown "SHUTTING_DOWN" Later,
    /// Nothing of this principal waits under that ticket, and no answer is kept for it.
    17 TicketUnknown "TICKET_UNKNOWN" Never,
    /// It waited, and its agent or an operator withdrew it.
    18 Cancelled "CANCELLED" Never,
    /// Operators rejected it.
    19 ApprovalRejected "APPROVAL_REJECTED" Never,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl core::error::Error for Refusal {}

impl Serialize for Refusal {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(self.number())
    }
}

impl<'de> Deserialize<'de> for Refusal {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = u8::deserialize(deserializer)?;
        Self::from_number(number).ok_or_else(|| serde::de::Error::custom("no refusal has this number"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_ascend_without_gap_and_lead_back() {
        for (position, refusal) in Refusal::ALL.iter().enumerate() {
            assert_eq!(usize::from(refusal.number()), position + 1);
            assert_eq!(Refusal::from_number(refusal.number()), Some(*refusal));
        }
        assert_eq!(Refusal::from_number(0), None);
    }
}
