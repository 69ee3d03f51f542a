//! A token as the client holds it: the bytes to hand to the executor, and what they grant.
//!
//! It does not tell that the token verifies: that is the executor's to find out, and it believes nobody.

use std::fmt;

use assent_proto::entry::Grounds;
use assent_proto::limits::MAX_TOKEN_BYTES;
use assent_proto::number::{LeafIndex, Timestamp};
pub use assent_proto::token::TokenError;
use assent_proto::token::{self, Text};

/// Leave for one intent, lent by the [`Outcomes`](crate::Outcomes) that hold it.
///
/// Displays as its text form, `assent1.` and base64url, for files and headers.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Token<'o> {
    pub(crate) bytes: &'o [u8],
    pub(crate) index: LeafIndex,
    pub(crate) not_before: Timestamp,
    pub(crate) not_after: Timestamp,
    pub(crate) uses: u16,
    pub(crate) grounds: Grounds,
}

impl<'o> Token<'o> {
    /// The bytes that an executor verifies.
    #[must_use]
    pub const fn bytes(&self) -> &'o [u8] {
        self.bytes
    }

    /// Where its entry is in the audit log.
    #[must_use]
    pub const fn index(&self) -> LeafIndex {
        self.index
    }

    /// From when it is good.
    #[must_use]
    pub const fn not_before(&self) -> Timestamp {
        self.not_before
    }

    /// Until when it is good.
    #[must_use]
    pub const fn not_after(&self) -> Timestamp {
        self.not_after
    }

    /// How often it may be used.
    #[must_use]
    pub const fn uses(&self) -> u16 {
        self.uses
    }

    /// Whence it has its authority.
    #[must_use]
    pub const fn grounds(&self) -> Grounds {
        self.grounds
    }
}

impl fmt::Display for Token<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Text(self.bytes).fmt(f)
    }
}

impl fmt::Debug for Token<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token(leaf {}, until {})", self.index, self.not_after)
    }
}

/// The bytes of a token in text form.
///
/// # Errors
/// [`TokenError::Text`], [`TokenError::Length`].
pub fn parse_text(text: &str) -> Result<Vec<u8>, TokenError> {
    let mut buffer = [0; MAX_TOKEN_BYTES];
    token::parse_text(text, &mut buffer).map(<[u8]>::to_vec)
}
