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

    /// Appends the leaves of another from position `from` up to `to`, as far as it has them.
    pub fn append(&mut self, other: &Self, from: usize, to: usize) {
        let before = |position: usize| position.checked_sub(1).and_then(|last| other.ends.get(last)).copied();
        let (from, to) = (from.min(other.len()), to.min(other.len()));
        let (start, end) = (before(from).unwrap_or(0), before(to).unwrap_or(0));
        let (Some(bytes), Some(ends)) = (other.bytes.get(start..end), other.ends.get(from..to)) else {
            return;
        };
        // Where a leaf ends here: as far behind `start` as there, behind what is here already.
        let here = self.bytes.len();
        self.ends.extend(ends.iter().map(|end| here + (end - start)));
        self.bytes.extend_from_slice(bytes);
    }

    /// The leaves of an entry bundle: each behind its length in two bytes (C2SP tlog-tiles). None where it is cut off.
    #[must_use]
    pub fn of_bundle(bytes: &[u8]) -> Option<Self> {
        let (mut leaves, mut rest) = (Self::with_capacity(256, bytes.len()), bytes);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_others_is_appended_as_if_leaf_by_leaf() {
        let mut others = LeafBytes::default();
        [&b"a"[..], b"", b"bcd", b"ef"].into_iter().for_each(|leaf| others.push(leaf));
        for (from, to) in [(0, 4), (1, 3), (2, 2), (3, 9), (4, 4), (0, 1), (9, 12)] {
            let (mut together, mut one_by_one) = (LeafBytes::default(), LeafBytes::default());
            together.push(b"before");
            one_by_one.push(b"before");
            together.append(&others, from, to);
            (from..to).filter_map(|position| others.get(position)).for_each(|leaf| one_by_one.push(leaf));
            assert_eq!(together, one_by_one, "{from}..{to}");
        }
    }
}
