//! Why an act was not done, for the person at the page.

use crate::break_glass::BreakGlassAnswer;
use crate::passkeys::IdentityError;
use crate::queue::approving::ApprovalAnswer;
use crate::token::rearm::Ordered;

/// Why nothing was done.
#[derive(Debug, thiserror::Error)]
pub enum ActError {
    /// The page is out of date.
    #[error("this page has not heard of the appliance for too long; look again, then act")]
    Stale,
    /// What it shows is not so any more.
    #[error(
        "this has changed since you looked; nothing was done. What is marked is new: look again, then act"
    )]
    Changed,
    /// The operator's identity.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The desk refuses.
    #[error("{0}")]
    Refused(String),
    /// Nothing of the kind was begun.
    #[error("this was not begun, is over, or took too long; begin again")]
    NotBegun,
    /// The appliance is stopping.
    #[error("the appliance is stopping; nothing was done")]
    Stopping,
}

impl ActError {
    /// A bounded label.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Stale => "stale",
            Self::Changed => "changed",
            Self::Identity(error) => error.kind(),
            Self::Refused(_) => "refused",
            Self::NotBegun => "not_begun",
            Self::Stopping => "stopping",
        }
    }
}

pub(super) fn of_approval(answer: ApprovalAnswer) -> ActError {
    match answer {
        ApprovalAnswer::Refused(why) | ApprovalAnswer::Invalid(why) => ActError::Refused(why),
        ApprovalAnswer::Listed { .. }
        | ApprovalAnswer::Shown { .. }
        | ApprovalAnswer::ToSign { .. }
        | ApprovalAnswer::Recorded { .. } => ActError::NotBegun,
    }
}

pub(super) fn of_order(answer: Ordered) -> ActError {
    ActError::Refused(match answer {
        Ordered::NotClosed => "the token boundary is open".to_owned(),
        Ordered::ByItself { cause } => format!("it re-arms by itself: {cause}"),
        Ordered::NoOperators => "no operators are named under `hsm.operators`".to_owned(),
        Ordered::Refused { reason } => reason,
        Ordered::ToSign { .. } | Ordered::Trying { .. } => return ActError::NotBegun,
    })
}

pub(super) fn of_break_glass(answer: BreakGlassAnswer) -> ActError {
    match answer {
        BreakGlassAnswer::Refused { reason, .. } => ActError::Refused(reason),
        BreakGlassAnswer::ToSign { .. }
        | BreakGlassAnswer::Done { .. }
        | BreakGlassAnswer::Active { .. }
        | BreakGlassAnswer::Charters(_)
        | BreakGlassAnswer::Warrants(_)
        | BreakGlassAnswer::Reviews { .. }
        | BreakGlassAnswer::Use(_) => ActError::NotBegun,
    }
}
