//! SHA-256 as the log uses it (RFC 6962 section 2.1): leaves and nodes are hashed under different prefixes, so that
//! neither can be passed off as the other.

use core::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// A SHA-256 hash: of a leaf, a node, an intent or a bundle.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Hash(pub [u8; 32]);

impl Hash {
    /// Root hash of the tree without leaves: the hash of nothing.
    #[must_use]
    pub fn of_empty_tree() -> Self {
        Self(Sha256::digest([]).into())
    }

    /// Hash of a leaf: SHA-256(0x00, leaf).
    #[must_use]
    pub fn of_leaf(leaf: &[u8]) -> Self {
        Self::of_leaf_parts([leaf])
    }

    /// Hash of a leaf that lies in parts.
    #[must_use]
    pub fn of_leaf_parts<const N: usize>(parts: [&[u8]; N]) -> Self {
        let mut sha = Sha256::new_with_prefix([0x00]);
        for part in parts {
            sha.update(part);
        }
        Self(sha.finalize().into())
    }

    /// Hash of a node: SHA-256(0x01, left, right).
    #[must_use]
    pub fn of_node(left: &Self, right: &Self) -> Self {
        let mut block = [0x01; 65];
        let (_, halves) = block.split_at_mut(1);
        if let ([left_half, right_half], _) = halves.as_chunks_mut::<32>() {
            (*left_half, *right_half) = (left.0, right.0);
        }
        Self(Sha256::digest(block).into())
    }

    /// Hash of `parts`, one after the other, under a label that separates its use from all others.
    #[must_use]
    pub fn of_labelled<const N: usize>(label: &[u8], parts: [&[u8]; N]) -> Self {
        let mut sha = Sha256::new_with_prefix(label);
        for part in parts {
            sha.update(part);
        }
        Self(sha.finalize().into())
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaf_and_node_of_the_same_bytes_differ() {
        let (left, right) = (Hash([1; 32]), Hash([2; 32]));
        let mut bytes = [1; 64];
        bytes[32..].fill(2);
        assert_ne!(Hash::of_node(&left, &right), Hash::of_leaf(&bytes));
    }
}
