//! The token: an inclusion proof of an allow entry under an HSM-signed checkpoint.
//!
//! `version u8 = 1 | key ID 4 | tree size u64 BE | leaf index u64 BE | body length u16 BE | Allow body | path, 32 bytes
//! each | signature 64`. The number of path hashes follows from index and size, so the length is exact. Kind, origin and
//! root are not in it: a verifier supplies the first two and computes the third, so there is nothing to believe.

use base64ct::{Base64UrlUnpadded, Encoding as _};
use core::fmt;

use crate::codec::{CodecError, Cursor};
use crate::entry::allow_leaf_hash;
use crate::hash::Hash;
use crate::limits::{MAX_BODY_BYTES, MAX_TOKEN_BYTES, MAX_TREE_SIZE};
use crate::note::KeyId;
use crate::number::{LeafIndex, TreeSize};
use crate::tree::inclusion;

/// The version that begins a token.
pub const VERSION: u8 = 1;
/// Bytes before the body.
pub const HEAD_BYTES: usize = 1 + 4 + 8 + 8 + 2;
/// What the text form begins with; base64url without padding follows.
pub const TEXT_PREFIX: &str = "assent1.";

/// A token in its parts, believed by nobody yet.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct UnverifiedToken<'a> {
    /// Whose signature it claims.
    pub key_id: KeyId,
    /// Size of the tree that the signature covers.
    pub size: TreeSize,
    /// Where its entry is.
    pub index: LeafIndex,
    /// The body of its entry: encoded [`crate::entry::Allow`].
    pub body: &'a [u8],
    path: &'a [u8],
    /// The signature over the checkpoint.
    pub signature: [u8; 64],
}

/// Why bytes are no token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenError {
    /// Of another version.
    Version,
    /// Not exactly as long as its index, size and body make it.
    Length,
    /// The leaf index is not below the tree size, or the tree is larger than a log can be.
    Index,
    /// The text form does not begin with [`TEXT_PREFIX`], or is not base64url.
    Text,
}

impl fmt::Display for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Version => "token is of another version",
            Self::Length => "token is too long or too short",
            Self::Index => "token's leaf index is not in its tree",
            Self::Text => "token text is not `assent1.` and base64url",
        })
    }
}

impl core::error::Error for TokenError {}

impl From<CodecError> for TokenError {
    fn from(_: CodecError) -> Self {
        Self::Length
    }
}

impl<'a> UnverifiedToken<'a> {
    /// Takes a token apart.
    ///
    /// # Errors
    /// [`TokenError`].
    pub fn parse(bytes: &'a [u8]) -> Result<Self, TokenError> {
        let mut cursor = Cursor::new(bytes);
        if cursor.byte()? != VERSION {
            return Err(TokenError::Version);
        }
        let key_id = KeyId(cursor.array()?);
        let size = TreeSize(u64::from_be_bytes(cursor.array()?));
        let index = LeafIndex(u64::from_be_bytes(cursor.array()?));
        let body_length = usize::from(u16::from_be_bytes(cursor.array()?));
        if body_length > MAX_BODY_BYTES {
            return Err(TokenError::Length);
        }
        let body = cursor.take(body_length)?;
        let hashes = inclusion::path_length(index, size)
            .filter(|_| size.0 < MAX_TREE_SIZE)
            .ok_or(TokenError::Index)?;
        let path = cursor.take(hashes.saturating_mul(32))?;
        let signature = cursor.array()?;
        cursor.end()?;
        Ok(Self { key_id, size, index, body, path, signature })
    }

    /// The siblings of its leaf, the nearest first.
    pub fn path(&self) -> impl Iterator<Item = Hash> + use<'a> {
        let (hashes, _) = self.path.as_chunks::<32>();
        hashes.iter().copied().map(Hash)
    }

    /// The root hash that body and path lead to. It proves nothing until a signature covers it.
    #[must_use]
    pub fn root(&self) -> Option<Hash> {
        inclusion::root(allow_leaf_hash(self.body), self.index, self.size, self.path())
    }
}

impl fmt::Debug for UnverifiedToken<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UnverifiedToken(leaf {} of {} under key {})", self.index, self.size, self.key_id)
    }
}

/// Appends a token made of its parts.
pub fn append(
    key_id: KeyId,
    size: TreeSize,
    index: LeafIndex,
    body: &[u8],
    path: &[Hash],
    signature: &[u8; 64],
    out: &mut impl Extend<u8>,
) {
    out.extend([VERSION]);
    out.extend(key_id.0);
    out.extend(size.0.to_be_bytes());
    out.extend(index.0.to_be_bytes());
    // INVARIANT: a body is at most MAX_BODY_BYTES, which fits (asserted in limits.rs).
    out.extend(u16::try_from(body.len()).unwrap_or(u16::MAX).to_be_bytes());
    out.extend(body.iter().copied());
    for hash in path {
        out.extend(hash.0);
    }
    out.extend(*signature);
}

/// Decodes the text form into `buffer`.
///
/// # Errors
/// [`TokenError::Text`], [`TokenError::Length`].
pub fn parse_text<'b>(text: &str, buffer: &'b mut [u8; MAX_TOKEN_BYTES]) -> Result<&'b [u8], TokenError> {
    let encoded = text.strip_prefix(TEXT_PREFIX).ok_or(TokenError::Text)?;
    Base64UrlUnpadded::decode(encoded, buffer).map_err(|error| match error {
        base64ct::Error::InvalidLength => TokenError::Length,
        base64ct::Error::InvalidEncoding => TokenError::Text,
    })
}

/// A token's bytes in text form, for files and headers.
#[derive(Clone, Copy, Debug)]
pub struct Text<'a>(pub &'a [u8]);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(TEXT_PREFIX)?;
        // Three bytes make four characters, so pieces of a multiple of three join without padding.
        self.0.chunks(96).try_for_each(|piece| {
            let mut buffer = [0; 128];
            f.write_str(Base64UrlUnpadded::encode(piece, &mut buffer).map_err(|_| fmt::Error)?)
        })
    }
}
