//! A run of leaves: their bytes one behind the other, and their hashes.

use assent_proto::codec::CodecError;
use assent_proto::entry::Entry;
use assent_proto::hash::Hash;

/// Leaves in order, in one piece of memory.
#[derive(Clone, Debug, Default)]
pub struct Leaves {
    bytes: Vec<u8>,
    ends: Vec<usize>,
    hashes: Vec<Hash>,
}

impl Leaves {
    /// Room for so many leaves of so many bytes.
    #[must_use]
    pub fn with_capacity(leaves: usize, bytes: usize) -> Self {
        Self {
            bytes: Vec::with_capacity(bytes),
            ends: Vec::with_capacity(leaves),
            hashes: Vec::with_capacity(leaves),
        }
    }

    /// Appends an entry, and gives its hash.
    ///
    /// # Errors
    /// When the entry cannot be encoded.
    pub fn push(&mut self, entry: &Entry<'_>) -> Result<Hash, CodecError> {
        let start = self.bytes.len();
        entry.append(&mut self.bytes)?;
        let hash = Hash::of_leaf(self.bytes.get(start..).unwrap_or_default());
        self.ends.push(self.bytes.len());
        self.hashes.push(hash);
        Ok(hash)
    }

    /// How many leaves there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Their hashes, in order.
    #[must_use]
    pub fn hashes(&self) -> &[Hash] {
        &self.hashes
    }

    /// Their bytes, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        let mut start = 0;
        self.ends.iter().map(move |end| {
            let leaf = self.bytes.get(start..*end).unwrap_or_default();
            start = *end;
            leaf
        })
    }
}
