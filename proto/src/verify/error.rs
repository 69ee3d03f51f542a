//! Why a token gives no leave: one error for each step of the verification, in bounded labels.

use core::fmt;

use crate::token::TokenError;

/// Why a token gives no leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum VerifyError {
    /// It is no token.
    Malformed(TokenError),
    /// Its body is not canonical, or over a limit.
    Body,
    /// No key that is trusted at the time has its key ID.
    UntrustedKey,
    /// The signature does not cover the root that it leads to.
    Signature,
    /// It is for another executor.
    Audience,
    /// It was given to another agent.
    Principal,
    /// Its window has not begun.
    TooEarly,
    /// Its window has passed.
    Expired,
    /// Its window is longer than this executor accepts, or ends before it begins.
    Window,
    /// It is from an epoch that is no longer accepted.
    Epoch,
    /// It is for something else than what is about to be done.
    Intent,
    /// It may not be used even once.
    Uses,
    /// Its authority is not accepted here.
    Grounds,
    /// Its authority is a warrant that is not trusted here.
    Warrant,
    /// It is no use that its warrant has.
    WarrantUse,
    /// Its window is not within its warrant's.
    WarrantWindow,
    /// It is for an act, or an agent, that its warrant does not cover.
    WarrantScope,
}

impl VerifyError {
    /// A bounded label for metrics.
    #[must_use]
    pub const fn kind(self) -> &'static str {
        match self {
            Self::Malformed(_) => "malformed",
            Self::Body => "body",
            Self::UntrustedKey => "untrusted_key",
            Self::Signature => "signature",
            Self::Audience => "audience",
            Self::Principal => "principal",
            Self::TooEarly => "too_early",
            Self::Expired => "expired",
            Self::Window => "window",
            Self::Epoch => "epoch",
            Self::Intent => "intent",
            Self::Uses => "uses",
            Self::Grounds => "grounds",
            Self::Warrant => "warrant",
            Self::WarrantUse => "warrant_use",
            Self::WarrantWindow => "warrant_window",
            Self::WarrantScope => "warrant_scope",
        }
    }
}

impl fmt::Display for VerifyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::Malformed(error) => return error.fmt(f),
            Self::Body => "token's claims are not canonical or over a limit",
            Self::UntrustedKey => "token is signed by no key that is trusted now",
            Self::Signature => "token is not covered by a signed checkpoint",
            Self::Audience => "token is for another audience",
            Self::Principal => "token was given to another agent",
            Self::TooEarly => "token's window has not begun",
            Self::Expired => "token's window has passed",
            Self::Window => "token's window is longer than accepted here",
            Self::Epoch => "token is from an epoch that is no longer accepted",
            Self::Intent => "token is for another intent",
            Self::Uses => "token has no uses",
            Self::Grounds => "token's grounds are not accepted here",
            Self::Warrant => "token's warrant is not trusted here",
            Self::WarrantUse => "token is no use that its warrant has",
            Self::WarrantWindow => "token's window is not within its warrant's",
            Self::WarrantScope => "token is for what its warrant does not cover",
        };
        f.write_str(text)
    }
}

impl core::error::Error for VerifyError {}

impl From<TokenError> for VerifyError {
    fn from(error: TokenError) -> Self {
        Self::Malformed(error)
    }
}
