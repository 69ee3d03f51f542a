//! Notices: what an appliance tells its agents unasked, on one stream that it opens towards each.
//!
//! `1 | (length varint | kind u8 | body)*`. A notice says how things stand and nothing of how they came to be so: the newest
//! counts, and whoever missed the others missed nothing. A kind that a reader does not know it passes over by its length;
//! whatever else is wrong ends the stream.
//!
//! The one rule: a notice can take leave away and never gives any. It does not replace the log, nor a token's verification.

use serde::{Deserialize, Serialize};

use crate::checkpoint::check_origin;
use crate::codec::{self, CodecError, Cursor};
use crate::hash::Hash;
use crate::limits::{MAX_NOTICE_BYTES, MAX_TREE_SIZE};
use crate::note::KeyId;
use crate::number::{Epoch, Timestamp, TreeSize};

/// The first byte of a stream of notices.
const VERSION: u8 = 1;
const STANDING: u8 = 1;
const CHECKPOINT: u8 = 2;
const KEY: u8 = 3;

/// What must happen before a closed token boundary opens again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Closure {
    /// It re-arms by itself when the HSM answers again.
    Availability,
    /// The HSM cannot be trusted: operators must act.
    Integrity,
}

/// How the token boundary stands: trip, re-arm, epoch and revocation in one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing<'a> {
    /// When this was said.
    pub time: Timestamp,
    /// Whose boundary: the origin of its log.
    pub origin: &'a str,
    /// Its epoch.
    pub epoch: Epoch,
    /// Why it is closed; none: it is open.
    pub closed: Option<Closure>,
    /// Tokens of this log that were decided in a lower epoch are revoked. Never above `epoch`.
    pub lowest_epoch: Epoch,
}

/// A signed state of the log. Its origin is that of the key, as in a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignedCheckpoint {
    /// When this was said.
    pub time: Timestamp,
    /// How many leaves.
    pub size: TreeSize,
    /// Their root hash.
    pub root: Hash,
    /// Whose signature.
    pub key_id: KeyId,
    /// The signature over the checkpoint's text.
    pub signature: [u8; 64],
}

/// The key that signs from now on. Hearsay: no reader trusts a key for this, nor is it checked to be one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyInUse<'a> {
    /// When this was said.
    pub time: Timestamp,
    /// The verifier key, in C2SP form.
    pub vkey: &'a str,
}

/// One notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice<'a> {
    /// How the token boundary stands.
    Standing(Standing<'a>),
    /// The newest signed state of the log.
    Checkpoint(SignedCheckpoint),
    /// The key that signs.
    Key(KeyInUse<'a>),
}

/// What stood at the front of the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrived<'a> {
    /// A notice.
    Notice(Notice<'a>),
    /// A notice of a kind that this version does not know.
    Unknown(u8),
}

impl<'a> Standing<'a> {
    fn parse(body: &'a [u8]) -> Result<Self, CodecError> {
        let standing: Self = codec::parse(body)?;
        standing.check().map(|()| standing)
    }

    /// A lowest epoch that is yet to come would revoke for good what nobody has decided.
    fn check(&self) -> Result<(), CodecError> {
        check_origin(self.origin).map_err(|_| CodecError::Malformed)?;
        if self.lowest_epoch > self.epoch { Err(CodecError::Malformed) } else { Ok(()) }
    }
}

impl SignedCheckpoint {
    fn parse(body: &[u8]) -> Result<Self, CodecError> {
        let mut cursor = Cursor::new(body);
        let time = Timestamp(cursor.varint()?);
        let size = TreeSize(cursor.varint()?);
        let signed = Self {
            time,
            size,
            root: Hash(cursor.array()?),
            key_id: KeyId(cursor.array()?),
            signature: cursor.array()?,
        };
        cursor.end()?;
        signed.check().map(|()| signed)
    }

    fn check(&self) -> Result<(), CodecError> {
        if self.size.0 < MAX_TREE_SIZE { Ok(()) } else { Err(CodecError::TooLong) }
    }

    fn append(&self, out: &mut impl Extend<u8>) {
        codec::append_varint(self.time.0, out);
        codec::append_varint(self.size.0, out);
        out.extend(self.root.0);
        out.extend(self.key_id.0);
        out.extend(self.signature);
    }
}

impl<'a> Notice<'a> {
    /// The kind's byte.
    #[must_use]
    pub const fn kind(&self) -> u8 {
        match self {
            Self::Standing(_) => STANDING,
            Self::Checkpoint(_) => CHECKPOINT,
            Self::Key(_) => KEY,
        }
    }

    /// Parses kind and body, without the length before them; none where the kind is not known.
    ///
    /// # Errors
    /// [`CodecError`].
    pub fn parse(bytes: &'a [u8]) -> Result<Option<Self>, CodecError> {
        if bytes.len() > MAX_NOTICE_BYTES {
            return Err(CodecError::TooLong);
        }
        let (kind, body) = bytes.split_first().ok_or(CodecError::Truncated)?;
        match *kind {
            STANDING => Standing::parse(body).map(|standing| Some(Self::Standing(standing))),
            CHECKPOINT => SignedCheckpoint::parse(body).map(|signed| Some(Self::Checkpoint(signed))),
            KEY => codec::parse(body).map(|key| Some(Self::Key(key))),
            _ => Ok(None),
        }
    }

    /// Appends the notice behind its length. What a reader would refuse is not written.
    ///
    /// # Errors
    /// [`CodecError`]: nothing was appended.
    pub fn append(&self, out: &mut impl Extend<u8>) -> Result<(), CodecError> {
        let mut written: heapless::Vec<u8, MAX_NOTICE_BYTES> = heapless::Vec::new();
        let mut body = Bounded { written: &mut written, overflown: false };
        body.extend([self.kind()]);
        match self {
            Self::Standing(standing) => {
                standing.check()?;
                codec::append(standing, &mut body)?;
            }
            Self::Checkpoint(signed) => {
                signed.check()?;
                signed.append(&mut body);
            }
            Self::Key(key) => codec::append(key, &mut body)?,
        }
        if body.overflown {
            return Err(CodecError::TooLong);
        }
        codec::append_bytes(&written, out);
        Ok(())
    }
}

/// Takes bytes up to a notice's limit.
struct Bounded<'w> {
    written: &'w mut heapless::Vec<u8, MAX_NOTICE_BYTES>,
    overflown: bool,
}

impl Extend<u8> for Bounded<'_> {
    fn extend<I: IntoIterator<Item = u8>>(&mut self, bytes: I) {
        for byte in bytes {
            self.overflown |= self.written.push(byte).is_err();
        }
    }
}

/// Appends what a stream of notices begins with.
pub fn begin_notices(out: &mut impl Extend<u8>) {
    out.extend([VERSION]);
}

/// Reads a stream of notices, however its bytes are cut on their way.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoticeReader {
    begun: bool,
}

impl NoticeReader {
    /// At the start of a stream.
    #[must_use]
    pub const fn new() -> Self {
        Self { begun: false }
    }

    /// Takes one notice off the front of `bytes`. None: it takes more bytes than these; what is left of them is to come
    /// again with more behind it, and is never longer than a notice with its length.
    ///
    /// # Errors
    /// [`CodecError`]: the rest of the stream is not to be believed.
    pub fn read<'b>(&mut self, bytes: &mut &'b [u8]) -> Result<Option<Arrived<'b>>, CodecError> {
        let mut cursor = Cursor::new(bytes);
        if !self.begun {
            match cursor.byte() {
                Ok(VERSION) => (self.begun, *bytes) = (true, cursor.rest()),
                Ok(_) => return Err(CodecError::Malformed),
                Err(_) => return Ok(None),
            }
        }
        match cursor.bytes(MAX_NOTICE_BYTES) {
            Ok(notice) => {
                let arrived = match Notice::parse(notice) {
                    Ok(Some(known)) => Arrived::Notice(known),
                    Ok(None) => Arrived::Unknown(notice.first().copied().unwrap_or_default()),
                    // The notice has all the bytes that it says it has: more of them would not mend it.
                    Err(error) => return Err(error),
                };
                *bytes = cursor.rest();
                Ok(Some(arrived))
            }
            Err(CodecError::Truncated) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// The notices of a stream that has ended, such as a file that one was written to. Kinds that are not known are left out.
///
/// After an error it ends.
pub fn notices(bytes: &[u8]) -> impl Iterator<Item = Result<Notice<'_>, CodecError>> {
    let (mut reader, mut rest, mut ended) = (NoticeReader::new(), bytes, false);
    core::iter::from_fn(move || {
        while !ended {
            match reader.read(&mut rest) {
                Ok(Some(Arrived::Notice(notice))) => return Some(Ok(notice)),
                Ok(Some(Arrived::Unknown(_))) => {}
                Ok(None) => {
                    ended = true;
                    let whole = rest.is_empty() && reader.begun;
                    return (!whole).then_some(Err(CodecError::Truncated));
                }
                Err(error) => {
                    ended = true;
                    return Some(Err(error));
                }
            }
        }
        None
    })
}
