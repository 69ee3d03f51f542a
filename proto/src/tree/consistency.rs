//! Consistency proofs (RFC 9162 section 2.1.4): the tree of one size begins the tree of another.

use super::ancestor;
use super::inclusion::has_sibling;
use crate::hash::Hash;
use crate::number::TreeSize;

/// Whether `proof` shows that the tree with `old_root` is the beginning of the tree with `root`.
///
/// A tree is consistent with itself by an empty proof, and every tree with the empty one likewise.
#[must_use]
pub fn verify(old_size: TreeSize, old_root: Hash, size: TreeSize, root: Hash, proof: &[Hash]) -> bool {
    if old_size.0 > size.0 {
        return false;
    }
    if old_size == size {
        return proof.is_empty() && old_root == root;
    }
    if old_size.0 == 0 {
        return proof.is_empty() && old_root == Hash::of_empty_tree();
    }
    roots(old_size.0, old_root, size.0, proof) == Some((old_root, root))
}

/// Both roots that the proof leads to: `0 < old_size < size`.
fn roots(old_size: u64, old_root: Hash, size: u64, proof: &[Hash]) -> Option<(Hash, Hash)> {
    let last = old_size.checked_sub(1)?;
    // The largest perfect subtree that ends the old tree is where both walks begin.
    let first_level = old_size.trailing_zeros();
    let mut path = proof.iter().copied();
    let seed = if old_size.is_power_of_two() { old_root } else { path.next()? };
    let (mut old_node, mut node) = (seed, seed);
    for level in first_level..super::height(size) {
        if !has_sibling(last, level, size) {
            continue;
        }
        let sibling = path.next()?;
        if ancestor(last, level) & 1 == 1 {
            old_node = Hash::of_node(&sibling, &old_node);
            node = Hash::of_node(&sibling, &node);
        } else {
            node = Hash::of_node(&node, &sibling);
        }
    }
    path.next().is_none().then_some((old_node, node))
}
