//! Why bytes are no entry. It names no content: an entry that does not parse says nothing that is believed.

use crate::codec::CodecError;

/// Why bytes are no entry that we know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryError {
    /// They do not begin with [`LEAF_LABEL`](super::LEAF_LABEL).
    Label,
    /// No kind has this byte, or its body is not known to this version.
    Kind(u8),
    /// The body is not canonical, or over its limit.
    Body(CodecError),
}

impl core::fmt::Display for EntryError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Label => f.write_str("leaf does not begin with its label"),
            Self::Kind(number) => write!(f, "entry kind {number} is not known"),
            Self::Body(error) => write!(f, "entry body: {error}"),
        }
    }
}

impl core::error::Error for EntryError {}
