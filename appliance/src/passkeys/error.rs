//! Why something was not done for somebody who says that they are an operator.

use assent_doors::shelf::ShelfError;

use super::role::Act;
use crate::limits::{MAX_PASSKEYS, MAX_PASSKEYS_PER_OPERATOR};

/// Why a ceremony or an act is refused. What it says is for the person at the browser or at the command line: it tells nobody
/// which link, key or session would have done.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The configuration names nobody of that name.
    #[error(
        "`{name}` is no operator; add a section [[console.operator]] with that name and roles, and restart"
    )]
    UnknownOperator {
        /// The name, with what does not print made visible.
        name: String,
    },
    /// No such key or operator has a passkey.
    #[error(
        "`{who}` is neither an operator with a passkey nor the fingerprint of one; see `assent operator list`"
    )]
    UnknownKey {
        /// What was named, with what does not print made visible.
        who: String,
    },
    /// The link is unknown, was used, or is past its time.
    #[error("this link is not valid, or not any more; ask for another: `assent operator invite NAME`")]
    Link,
    /// Nothing of the kind was begun, it was finished, or it took too long.
    #[error("this was not begun, is over, or took too long; begin again")]
    NotBegun,
    /// The browser's answer is refused.
    #[error("the browser's answer is refused: {0}")]
    Answer(String),
    /// The passkey is not known here, was revoked, or is somebody else's.
    #[error("this passkey is not one that counts here; use another, or enrol it anew")]
    Key,
    /// The passkey is enrolled already.
    #[error("this passkey is enrolled already; see `assent operator list`")]
    KnownKey,
    /// The authenticator has signed less often than it had before.
    #[error(
        "this passkey has signed less often than before, as a copy of it would have; revoke it unless you know why"
    )]
    Counter,
    /// There is no such session, or not any more.
    #[error("you are not logged in, or not any more; log in")]
    NoSession,
    /// None of the operator's roles allows it.
    #[error("`{}` is not for your roles; see the table of roles in the runbook", .0.label())]
    Role(Act),
    /// It is not something that is signed.
    #[error("`{}` takes no signature", .0.label())]
    Unsigned(Act),
    /// A text that would not stand in a statement.
    #[error("{0}")]
    Text(String),
    /// As many as there may be at once.
    #[error("there are as many {0} as there may be; wait until some are over")]
    TooMany(&'static str),
    /// The register has no room for another passkey.
    #[error(
        "no more than {MAX_PASSKEYS_PER_OPERATOR} passkeys of one operator and {MAX_PASSKEYS} in all; revoke one first"
    )]
    Full,
    /// What must be written down could not be.
    #[error("it cannot be written down now, and was not done")]
    Store(#[from] ShelfError),
    /// The system gives no random bytes.
    #[error("the system gives no random bytes")]
    Random(#[source] getrandom::Error),
}

impl IdentityError {
    /// A bounded label.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::UnknownOperator { .. } => "unknown_operator",
            Self::UnknownKey { .. } => "unknown_key",
            Self::Link => "link",
            Self::NotBegun => "not_begun",
            Self::Answer(_) => "answer",
            Self::Key => "key",
            Self::KnownKey => "known_key",
            Self::Counter => "counter",
            Self::NoSession => "no_session",
            Self::Role(_) => "role",
            Self::Unsigned(_) => "unsigned",
            Self::Text(_) => "text",
            Self::TooMany(_) => "too_many",
            Self::Full => "full",
            Self::Store(_) => "store",
            Self::Random(_) => "random",
        }
    }
}

/// Why the console's operators cannot be known.
#[derive(Debug, thiserror::Error)]
pub enum PasskeysError {
    /// The origin is no site that a browser would make passkeys for.
    #[error(
        "no passkey can be made for {origin}; `console.origin` is https:// and a host name, or http://localhost"
    )]
    Origin {
        /// The origin.
        origin: String,
    },
    /// The register cannot be read.
    #[error("cannot read the register of passkeys")]
    Register(#[from] ShelfError),
}
