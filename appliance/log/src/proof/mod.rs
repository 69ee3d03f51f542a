//! Proofs, made from the nodes of the tree: that a leaf is in it, and that it begins as a smaller one did.
//!
//! Whoever has the perfect subtrees (a reader of the log, tiles from afar, or a test) gives them as a function of level and
//! number, and gets what `assent_proto::tree` verifies. The one rule: what is made here from wrong nodes does not verify, so
//! nothing here needs to believe its source. Each function asks for at most a few nodes a level and recurses nowhere.
//! (RFC 6962 sections 2.1.1 and 2.1.2; `proto/FORMAT.md` section 9.)

mod consistency;
mod inclusion;
mod signed;
#[cfg(test)]
mod tests;

use assent_proto::hash::Hash;
use assent_proto::limits::MAX_TREE_HEIGHT;
use assent_proto::number::{LeafIndex, TreeSize};
use assent_proto::tree::{height, inclusion::has_sibling};
use base64ct::{Base64, Encoding as _};

pub use consistency::ConsistencyProof;
pub use inclusion::InclusionProof;
pub use signed::{Cosigned, NoteRefusal, cosigned_by, opened};

/// Why a text is no proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// Longer than a proof can be.
    #[error("it is longer than a proof can be")]
    TooLong,
    /// Not the lines that it should have.
    #[error("it is not in the form of a proof")]
    Malformed,
    /// It does not lead from the leaf to the checkpoint's root, or not from the one checkpoint to the other.
    #[error("it does not prove what it says")]
    Refuted,
}

/// The hashes that prove leaf `index` in the tree of `size` leaves, its sibling first. None where there is no such leaf.
///
/// # Errors
/// What `node` says.
pub fn inclusion<E>(
    index: LeafIndex,
    size: TreeSize,
    mut node: impl FnMut(u32, u64) -> Result<Hash, E>,
) -> Result<Option<Vec<Hash>>, E> {
    if index.0 >= size.0 {
        return Ok(None);
    }
    path(index.0, 0, size.0, &mut node).map(Some)
}

/// The hashes that prove that the tree of `size` leaves begins with that of `old`: none at all where the two are one or `old` is
/// empty. `None` where `old` is the larger.
///
/// # Errors
/// What `node` says.
pub fn consistency<E>(
    old: TreeSize,
    size: TreeSize,
    mut node: impl FnMut(u32, u64) -> Result<Hash, E>,
) -> Result<Option<Vec<Hash>>, E> {
    let Some(last) = old.0.checked_sub(1).filter(|_| old != size) else {
        return Ok((old.0 <= size.0).then(Vec::new));
    };
    if old.0 > size.0 {
        return Ok(None);
    }
    // The largest perfect subtree that ends the old tree. Where it is the whole old tree, its root is known already.
    let level = old.0.trailing_zeros();
    let mut proof = Vec::new();
    if !old.0.is_power_of_two() {
        proof.push(node(level, last >> level)?);
    }
    proof.extend(path(last, level, size.0, &mut node)?);
    Ok(Some(proof))
}

/// The root of the tree of `size` leaves.
///
/// # Errors
/// What `node` says.
pub fn root<E>(size: TreeSize, mut node: impl FnMut(u32, u64) -> Result<Hash, E>) -> Result<Hash, E> {
    if size.0 == 0 { Ok(Hash::of_empty_tree()) } else { subtree(height(size.0), 0, size.0, &mut node) }
}

/// The root of the tree of `size` leaves in which the perfect subtrees of `2^level` leaves from number `first` on are `known`.
/// Nothing of what is known is asked for: so the result is that of the signed checkpoint only if all of it is right. None where
/// the tree does not hold all of it, or nothing is known.
///
/// # Errors
/// What `node` says.
pub fn root_over<E>(
    size: TreeSize,
    level: u32,
    first: u64,
    known: &[Hash],
    mut node: impl FnMut(u32, u64) -> Result<Hash, E>,
) -> Result<Option<Hash>, E> {
    let end = first.checked_add(known.len() as u64);
    let inside = level < MAX_TREE_HEIGHT && end.is_some_and(|end| end <= size.0 >> level);
    if known.is_empty() || !inside {
        return Ok(None);
    }
    let (mut first, mut run) = (first, known.to_vec());
    for level in level..height(size.0) {
        if first & 1 == 1 {
            first -= 1;
            run.insert(0, subtree(level, first, size.0, &mut node)?);
        }
        let end = first + run.len() as u64;
        if end & 1 == 1 && end <= (size.0 - 1) >> level {
            run.push(subtree(level, end, size.0, &mut node)?);
        }
        // At the right edge of the tree one may be left without a sibling: it stands for itself one level up.
        run = run.chunks(2).filter_map(joined).collect();
        first >>= 1;
    }
    Ok(run.first().copied())
}

fn joined(pair: &[Hash]) -> Option<Hash> {
    match pair {
        [left, right] => Some(Hash::of_node(left, right)),
        [alone] => Some(*alone),
        _ => None,
    }
}

/// The siblings above leaf `index` from `level` on.
fn path<E>(
    index: u64,
    level: u32,
    size: u64,
    node: &mut impl FnMut(u32, u64) -> Result<Hash, E>,
) -> Result<Vec<Hash>, E> {
    let levels = (level..height(size)).filter(|level| has_sibling(index, *level, size));
    levels.map(|level| subtree(level, (index >> level) ^ 1, size, node)).collect()
}

/// Node number `index` at `level`: at the right edge of the tree it may hold fewer leaves than others of its level.
fn subtree<E>(
    level: u32,
    index: u64,
    size: u64,
    node: &mut impl FnMut(u32, u64) -> Result<Hash, E>,
) -> Result<Hash, E> {
    let first = index << level;
    let leaves = (size - first).min(1 << level);
    if leaves == 1 << level {
        return node(level, index);
    }
    // Its perfect subtrees, the largest first: one for each bit of the number of leaves.
    let mut perfect = Vec::new();
    let mut at = first;
    for below in (0..level).rev().filter(|below| leaves >> below & 1 == 1) {
        perfect.push(node(below, at >> below)?);
        at += 1 << below;
    }
    let joined = perfect.into_iter().rev().reduce(|right, left| Hash::of_node(&left, &right));
    // INVARIANT: a node that exists holds a leaf, so there is a subtree.
    Ok(joined.unwrap_or_default())
}

/// A hash as a line of a proof.
fn hash_line(hash: &Hash) -> String {
    Base64::encode_string(&hash.0)
}

/// The hashes of a proof, at most so many, and what follows the empty line behind them.
fn parse_hashes(text: &str, most: usize) -> Result<(Vec<Hash>, &str), ProofError> {
    let (mut rest, mut hashes) = (text, Vec::new());
    loop {
        let (line, after) = rest.split_once('\n').ok_or(ProofError::Malformed)?;
        rest = after;
        if line.is_empty() {
            return Ok((hashes, rest));
        }
        let mut hash = Hash::default();
        match Base64::decode(line, &mut hash.0) {
            Ok(decoded) if decoded.len() == 32 && hashes.len() < most => hashes.push(hash),
            Ok(_) | Err(_) => return Err(ProofError::Malformed),
        }
    }
}

/// A decimal as C2SP writes it: no sign, no leading zero.
pub(crate) fn parse_decimal(text: &str) -> Option<u64> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| plain)
}
