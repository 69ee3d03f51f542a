//! The intent: what an agent asks leave to do.
//!
//! It has two parts. The *act* (action, resource, context) is what will happen; its digest binds a token to it, and an
//! executor computes the same digest from what it is about to do. The *terms* (audience, window, uses, ...) are how the
//! agent wants the leave; the token's claims state what was granted of them.

use serde::{Deserialize, Serialize};

use crate::codec::{self, CodecError, Cursor};
use crate::context::Context;
use crate::hash::Hash;
use crate::limits::{MAX_ID_BYTES, MAX_INTENT_BYTES, MAX_NAME_BYTES};

/// Separates the digest of an act from every other hash.
pub const DIGEST_LABEL: &[u8] = b"assent/intent/v1\0";

/// A Cedar entity: type name and id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Uid<'a> {
    /// The type's full name, such as `Retail::Order`.
    #[serde(borrow)]
    pub type_name: &'a str,
    /// The id, any string.
    #[serde(borrow)]
    pub id: &'a str,
}

impl<'a> Uid<'a> {
    pub(crate) fn read(cursor: &mut Cursor<'a>) -> Result<Self, CodecError> {
        Ok(Self { type_name: cursor.string(MAX_NAME_BYTES)?, id: cursor.string(MAX_ID_BYTES)? })
    }

    /// Appends the encoding.
    pub fn append(&self, out: &mut impl Extend<u8>) {
        codec::append_bytes(self.type_name.as_bytes(), out);
        codec::append_bytes(self.id.as_bytes(), out);
    }
}

/// As Cedar writes it, `Retail::Order::"#W1"`, with Rust's escapes in the id so that no control character gets through.
impl core::fmt::Display for Uid<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}::\"{}\"", self.type_name, self.id.escape_debug())
    }
}

/// What is to happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Act<'a> {
    /// Cedar's action.
    pub action: Uid<'a>,
    /// Cedar's resource.
    pub resource: Uid<'a>,
    /// Cedar's context, without the record `assent` that only the appliance asserts.
    pub context: Context<'a>,
    bytes: &'a [u8],
}

impl<'a> Act<'a> {
    fn read(cursor: &mut Cursor<'a>) -> Result<Self, CodecError> {
        let start = *cursor;
        let (action, resource) = (Uid::read(cursor)?, Uid::read(cursor)?);
        let context = Context::read(cursor)?;
        let length = start.rest().len().saturating_sub(cursor.rest().len());
        Ok(Self { action, resource, context, bytes: { start }.take(length)? })
    }

    /// Parses the encoding of an act that stands alone, as an executor makes it.
    ///
    /// # Errors
    /// Whatever makes the bytes not one canonical act within the limits.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, CodecError> {
        let mut cursor = Cursor::over_text(bytes);
        let act = Self::read(&mut cursor)?;
        cursor.end()?;
        Ok(act)
    }

    /// The canonical bytes.
    #[must_use]
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The intent digest: what a token is bound to.
    #[must_use]
    pub fn digest(&self) -> Hash {
        Hash::of_labelled(DIGEST_LABEL, [self.bytes])
    }
}

/// In which order a queue drains.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Priority {
    /// Last.
    Low,
    /// In between; what an action has that names none.
    Normal,
    /// Before what is normal.
    High,
    /// First.
    Critical,
}

/// What is to become of an intent that cannot be decided now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum OnUnavailable {
    /// Refuse it.
    #[default]
    Fail,
    /// Keep it until it can be.
    Queue,
    /// Decide it under a break-glass warrant, where one is active that covers it; refuse it where none is.
    Warrant,
}

/// How the agent wants the leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms<'a> {
    /// Who is to act on the token.
    #[serde(borrow)]
    pub audience: &'a str,
    /// How long the token is to be good, in seconds; none: as long as the catalog grants.
    pub window_s: Option<u32>,
    /// How often the token may be used; none: as often as the catalog grants.
    pub uses: Option<u16>,
    /// Place in a queue; none: the catalog's.
    pub priority: Option<Priority>,
    /// What to do when it cannot be decided now.
    pub on_unavailable: OnUnavailable,
}

/// An intent as it came: canonical, within the limits, judged by nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Intent<'a> {
    /// What is to happen.
    pub act: Act<'a>,
    /// How the leave is wanted.
    pub terms: Terms<'a>,
}

/// Why bytes are no intent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IntentError {
    /// The bytes, or a name or value in them, exceed a limit.
    TooLarge,
    /// The bytes are not the canonical encoding of any intent.
    Malformed(CodecError),
}

impl From<CodecError> for IntentError {
    fn from(error: CodecError) -> Self {
        match error {
            CodecError::TooLong => Self::TooLarge,
            CodecError::Truncated
            | CodecError::Trailing
            | CodecError::NotCanonical
            | CodecError::Malformed => Self::Malformed(error),
        }
    }
}

impl<'a> Intent<'a> {
    /// Parses the encoding: act, then terms, then nothing.
    ///
    /// # Errors
    /// [`IntentError`]: over a limit, or not canonical.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, IntentError> {
        if bytes.len() > MAX_INTENT_BYTES {
            return Err(IntentError::TooLarge);
        }
        let mut cursor = Cursor::over_text(bytes);
        let act = Act::read(&mut cursor)?;
        let terms: Terms<'a> = codec::parse(cursor.rest())?;
        if terms.audience.len() > MAX_NAME_BYTES {
            return Err(IntentError::TooLarge);
        }
        Ok(Self { act, terms })
    }

    /// What its entry repeats of it.
    #[must_use]
    pub fn essence(&self) -> Essence<'a> {
        let Act { action, resource, .. } = self.act;
        Essence { action, resource, audience: self.terms.audience, digest: self.act.digest() }
    }
}

/// What an entry repeats of an intent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Essence<'a> {
    /// Cedar's action.
    pub action: Uid<'a>,
    /// Cedar's resource.
    pub resource: Uid<'a>,
    /// Who is to act on the token.
    pub audience: &'a str,
    /// The intent digest.
    pub digest: Hash,
}

impl<'a> Essence<'a> {
    /// Of an intent that the caller has encoded itself, whose act takes `act` bytes: its context is not looked at again.
    ///
    /// # Errors
    /// Where the bytes do not begin with what an intent begins with.
    pub fn of_own(bytes: &'a [u8], act: usize) -> Result<Self, CodecError> {
        let (act, terms) = bytes.split_at_checked(act).ok_or(CodecError::Truncated)?;
        let mut cursor = Cursor::new(act);
        let (action, resource) = (Uid::read(&mut cursor)?, Uid::read(&mut cursor)?);
        let audience = Cursor::new(terms).string(MAX_NAME_BYTES)?;
        Ok(Self { action, resource, audience, digest: Hash::of_labelled(DIGEST_LABEL, [act]) })
    }
}
