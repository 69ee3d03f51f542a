//! Outcomes: what became of each intent, in types that cannot be taken for one another.
//!
//! "The policies deny it", "it cannot be decided now", "it waits for operators" and "it is malformed" ask four different
//! things of an agent. Only the first of them is a denial by policy.

use std::fmt;

use assent_proto::refusal::{Refusal, Retry};
use assent_proto::wire::Verdict;

use crate::token::Token;

/// What became of an intent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome<'o> {
    /// Leave, with the token that proves it.
    Allowed(Token<'o>),
    /// The policies deny it; asking again hears the same.
    Denied(Reason<'o>),
    /// No leave yet: it waits in the queue or for operators.
    Held(Reason<'o>),
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

impl<'o> Outcome<'o> {
    /// The token, when there is one.
    #[must_use]
    pub const fn token(&self) -> Option<Token<'o>> {
        match self {
            Self::Allowed(token) => Some(*token),
            Self::Denied(_) | Self::Held(_) | Self::Unavailable(_) | Self::Invalid(_) => None,
        }
    }

    /// Why there is no leave, when there is none.
    #[must_use]
    pub const fn reason(&self) -> Option<Reason<'o>> {
        match self {
            Self::Allowed(_) => None,
            Self::Denied(reason) | Self::Held(reason) | Self::Unavailable(reason) | Self::Invalid(reason) => {
                Some(*reason)
            }
        }
    }

    /// A bounded label for metrics.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Allowed(_) => "allowed",
            Self::Denied(_) => "denied",
            Self::Held(_) => "held",
            Self::Unavailable(_) => "unavailable",
            Self::Invalid(_) => "invalid",
        }
    }

    /// What a verdict other than leave means to the agent.
    pub(crate) const fn refused(verdict: &Verdict, reason: Reason<'o>) -> Self {
        if matches!(verdict, Verdict::Hold(_)) {
            return Self::Held(reason);
        }
        match (reason.refusal, reason.refusal.retry()) {
            (Refusal::PolicyDenied, _) => Self::Denied(reason),
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
        Ok(())
    }
}
