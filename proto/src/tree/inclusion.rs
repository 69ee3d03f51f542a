//! Inclusion proofs (RFC 9162 section 2.1.3): a leaf is in the tree of this size, at this index.

use super::{ancestor, height};
use crate::hash::Hash;
use crate::number::{LeafIndex, TreeSize};

/// How many hashes prove that leaf; none where there is no such leaf. A proof of any other length is refused.
#[must_use]
pub fn path_length(index: LeafIndex, size: TreeSize) -> Option<usize> {
    if index.0 >= size.0 {
        return None;
    }
    let levels = height(size.0);
    let missing = (0..levels).filter(|level| !has_sibling(index.0, *level, size.0)).count();
    usize::try_from(levels).ok()?.checked_sub(missing)
}

/// Whether the node above `index` at `level` has a sibling: at the right edge of the tree some have none.
#[must_use]
pub fn has_sibling(index: u64, level: u32, size: u64) -> bool {
    let node = ancestor(index, level);
    node & 1 == 1 || ancestor(size.saturating_sub(1), level) > node
}

/// The root that a leaf hash and a path, nearest sibling first, lead to; none where the path's length is wrong.
#[must_use]
pub fn root(
    leaf_hash: Hash,
    index: LeafIndex,
    size: TreeSize,
    path: impl IntoIterator<Item = Hash>,
) -> Option<Hash> {
    if index.0 >= size.0 {
        return None;
    }
    let mut path = path.into_iter();
    let mut node = leaf_hash;
    for level in 0..height(size.0) {
        if has_sibling(index.0, level, size.0) {
            let sibling = path.next()?;
            let is_right = ancestor(index.0, level) & 1 == 1;
            node = if is_right { Hash::of_node(&sibling, &node) } else { Hash::of_node(&node, &sibling) };
        }
    }
    path.next().is_none().then_some(node)
}
