//! The tree as RFC 6962 section 2.1 defines it: by recursion over the list of leaves, with no regard to speed.
//!
//! It shares nothing with the crate but the 32 bytes of a hash, so that agreeing with it means something.

use assent_proto::hash::Hash;
use sha2::{Digest as _, Sha256};

/// The largest power of two smaller than `count`.
fn split(count: usize) -> usize {
    let mut half = 1;
    while half * 2 < count {
        half *= 2;
    }
    half
}

/// MTH(D[n]), section 2.1.
pub(crate) fn root(leaves: &[Vec<u8>]) -> Hash {
    match leaves {
        [] => Hash(Sha256::digest([]).into()),
        [leaf] => Hash(Sha256::new().chain_update([0]).chain_update(leaf).finalize().into()),
        _ => {
            let (left, right) = leaves.split_at(split(leaves.len()));
            let (left, right) = (root(left).0, root(right).0);
            Hash(Sha256::new().chain_update([1]).chain_update(left).chain_update(right).finalize().into())
        }
    }
}

/// PATH(m, D[n]), section 2.1.1.
pub(crate) fn path(index: usize, leaves: &[Vec<u8>]) -> Vec<Hash> {
    if leaves.len() == 1 {
        return Vec::new();
    }
    let (left, right) = leaves.split_at(split(leaves.len()));
    let (mut hashes, sibling) = match index.checked_sub(left.len()) {
        None => (path(index, left), root(right)),
        Some(index) => (path(index, right), root(left)),
    };
    hashes.push(sibling);
    hashes
}

/// PROOF(m, D[n]), section 2.1.2.
pub(crate) fn consistency(old: usize, leaves: &[Vec<u8>]) -> Vec<Hash> {
    subproof(old, leaves, true)
}

/// SUBPROOF(m, D[n], b), section 2.1.2.
fn subproof(old: usize, leaves: &[Vec<u8>], whole: bool) -> Vec<Hash> {
    if old == leaves.len() {
        return if whole { Vec::new() } else { vec![root(leaves)] };
    }
    let (left, right) = leaves.split_at(split(leaves.len()));
    let (mut hashes, sibling) = if old <= left.len() {
        (subproof(old, left, whole), root(right))
    } else {
        (subproof(old - left.len(), right, false), root(left))
    };
    hashes.push(sibling);
    hashes
}

/// The largest subtrees that hold no leaf of `[start, end)`, from left to right: what a range proof consists of.
pub(crate) fn range(start: usize, end: usize, leaves: &[Vec<u8>]) -> Vec<Hash> {
    beside(start, end, 0, leaves)
}

fn beside(start: usize, end: usize, first: usize, leaves: &[Vec<u8>]) -> Vec<Hash> {
    if end <= first || first + leaves.len() <= start {
        return vec![root(leaves)];
    }
    if leaves.len() == 1 {
        return Vec::new();
    }
    let (left, right) = leaves.split_at(split(leaves.len()));
    let mut hashes = beside(start, end, first, left);
    hashes.extend(beside(start, end, first + left.len(), right));
    hashes
}
