//! Inclusion proofs, one after the other, without hashing again what the last one hashed.
//!
//! Tokens of one round share the upper part of their paths. This remembers one computation, the last, and no verdict: where a path
//! meets it at the same node and goes on by the same siblings, it leads to the same root. Any other is hashed as it stands.

use super::inclusion::has_sibling;
use super::{ancestor, height};
use crate::hash::Hash;
use crate::limits::MAX_PATH_HASHES;
use crate::number::{LeafIndex, TreeSize};

/// The nodes and siblings of the last path, by level.
#[derive(Clone, Debug)]
pub struct PathMemo {
    index: u64,
    /// 0 where there is none.
    size: u64,
    nodes: [Hash; MAX_PATH_HASHES + 1],
    siblings: [Hash; MAX_PATH_HASHES],
}

impl Default for PathMemo {
    fn default() -> Self {
        Self::new()
    }
}

impl PathMemo {
    /// Remembers nothing yet.
    #[must_use]
    pub const fn new() -> Self {
        let none = Hash([0; 32]);
        Self { index: 0, size: 0, nodes: [none; MAX_PATH_HASHES + 1], siblings: [none; MAX_PATH_HASHES] }
    }

    /// What [`inclusion::root`](super::inclusion::root) gives.
    pub fn root(
        &mut self,
        leaf_hash: Hash,
        index: LeafIndex,
        size: TreeSize,
        path: impl IntoIterator<Item = Hash>,
    ) -> Option<Hash> {
        let (index, size) = (index.0, size.0);
        if index >= size {
            return None;
        }
        // Only there can it meet the last one first. Until it is through, nothing is remembered.
        let meets = (core::mem::take(&mut self.size) == size)
            .then(|| u64::BITS.saturating_sub((index ^ self.index).leading_zeros()));
        let (mut path, mut node, mut is_known) = (path.into_iter(), leaf_hash, false);
        for level in 0..height(size) {
            is_known = is_known || (meets == Some(level) && *self.node(level)? == node);
            if has_sibling(index, level, size) {
                let sibling = path.next()?;
                is_known = is_known && *self.sibling(level)? == sibling;
                if !is_known {
                    *self.node(level)? = node;
                    *self.sibling(level)? = sibling;
                    let is_right = ancestor(index, level) & 1 == 1;
                    node = if is_right {
                        Hash::of_node(&sibling, &node)
                    } else {
                        Hash::of_node(&node, &sibling)
                    };
                }
            } else if !is_known {
                *self.node(level)? = node;
            }
            if is_known {
                node = *self.node(level.saturating_add(1))?;
            }
        }
        *self.node(height(size))? = node;
        if path.next().is_some() {
            return None;
        }
        (self.index, self.size) = (index, size);
        Some(node)
    }

    fn node(&mut self, level: u32) -> Option<&mut Hash> {
        self.nodes.get_mut(level as usize)
    }

    fn sibling(&mut self, level: u32) -> Option<&mut Hash> {
        self.siblings.get_mut(level as usize)
    }
}
