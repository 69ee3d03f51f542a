//! Leaves as bytes: one behind the other in one piece of memory.

/// The bytes of leaves, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeafBytes {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl LeafBytes {
    /// Room for so many leaves of so many bytes together.
    #[must_use]
    pub fn with_capacity(leaves: usize, bytes: usize) -> Self {
        Self { bytes: Vec::with_capacity(bytes), ends: Vec::with_capacity(leaves) }
    }

    /// Appends a leaf.
    pub fn push(&mut self, leaf: &[u8]) {
        self.bytes.extend_from_slice(leaf);
        self.ends.push(self.bytes.len());
    }

    /// The leaves of an entry bundle: each behind its length in two bytes (C2SP tlog-tiles). None where it is cut off.
    #[must_use]
    pub fn of_bundle(bytes: &[u8]) -> Option<Self> {
        let (mut leaves, mut rest) = (Self::default(), bytes);
        while !rest.is_empty() {
            let (length, behind) = rest.split_first_chunk::<2>()?;
            let (leaf, after) = behind.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
            leaves.push(leaf);
            rest = after;
        }
        Some(leaves)
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

    /// The leaf at this position.
    #[must_use]
    pub fn get(&self, position: usize) -> Option<&[u8]> {
        let start = match position.checked_sub(1) {
            None => 0,
            Some(before) => *self.ends.get(before)?,
        };
        self.bytes.get(start..*self.ends.get(position)?)
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
