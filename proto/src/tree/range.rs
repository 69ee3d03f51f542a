//! The nodes that a contiguous run of leaves and the hashes beside it determine.
//!
//! For leaves `[start, end)` of a tree of `size` leaves, a range proof is: the perfect subtrees left of `start`, largest
//! first (the frontier at `start`), then the siblings right of leaf `end - 1`, lowest first. With the leaves' hashes they
//! determine the root, the inclusion proof of every leaf of the run, and the range proof of every part of it. So one
//! structure serves the appliance (the run is its round), the client (its batch) and whoever verifies.
//!
//! Memory is the caller's: [`Range::nodes_needed`] hashes for the perfect subtrees within the run. All else is one hash a
//! level on each side.

use super::inclusion::has_sibling;
use super::run::{fill, inside};
use super::{ancestor, first_leaf, height};
use crate::hash::Hash;
use crate::limits::{MAX_PATH_HASHES, MAX_RANGE_PROOF_HASHES, MAX_TREE_HEIGHT, MAX_TREE_SIZE};
use crate::number::{LeafIndex, TreeSize};

/// Why hashes make no range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RangeError {
    /// The run is empty, ends behind the tree, or the tree is larger than a log can be.
    Bounds,
    /// The proof has not exactly the hashes that the run needs.
    ProofLength,
    /// The buffer is smaller than [`Range::nodes_needed`].
    Buffer,
}

impl core::fmt::Display for RangeError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Bounds => "leaves do not lie within the tree",
            Self::ProofLength => "range proof has the wrong number of hashes",
            Self::Buffer => "buffer is too small for the range",
        })
    }
}

impl core::error::Error for RangeError {}

/// One hash a level.
#[derive(Clone, Debug)]
struct ByLevel([Hash; MAX_PATH_HASHES + 1]);

impl ByLevel {
    const fn new() -> Self {
        Self([Hash([0; 32]); MAX_PATH_HASHES + 1])
    }

    fn set(&mut self, level: u32, hash: Hash) {
        if let Some(slot) = self.0.get_mut(level as usize) {
            *slot = hash;
        }
    }

    fn at(&self, level: u32) -> Option<Hash> {
        self.0.get(level as usize).copied()
    }
}

/// The nodes known from a run of leaves.
#[derive(Debug)]
pub struct Range<'b> {
    start: u64,
    end: u64,
    size: u64,
    /// Perfect subtrees within the run, level by level from the leaves.
    inside: &'b [Hash],
    /// Perfect subtrees left of the run, where bit `level` of `start` is set.
    left: ByLevel,
    /// Siblings right of the run's last leaf, where there are any.
    right: ByLevel,
    /// Nodes above leaf `start`, where they begin before it.
    left_edge: ByLevel,
    /// Nodes above leaf `end - 1`.
    right_edge: ByLevel,
}

impl<'b> Range<'b> {
    /// How many hashes the buffer for a run of `leaves` leaves must hold.
    #[must_use]
    pub const fn nodes_needed(leaves: usize) -> usize {
        leaves.saturating_mul(2)
    }

    /// Computes the nodes. `buffer` begins with the hashes of the leaves; what follows is overwritten.
    ///
    /// # Errors
    /// [`RangeError`].
    pub fn new(
        start: LeafIndex,
        leaves: usize,
        size: TreeSize,
        proof: &[Hash],
        buffer: &'b mut [Hash],
    ) -> Result<Self, RangeError> {
        let (start, size) = (start.0, size.0);
        let end = start.checked_add(leaves as u64).ok_or(RangeError::Bounds)?;
        if leaves == 0 || end > size || size >= MAX_TREE_SIZE {
            return Err(RangeError::Bounds);
        }
        if buffer.len() < Self::nodes_needed(leaves) {
            return Err(RangeError::Buffer);
        }
        fill(start, end, buffer).ok_or(RangeError::Buffer)?;
        Self::around(start..end, size, proof, buffer)
    }

    /// The nodes of a run whose perfect subtrees are known.
    pub(super) fn around(
        run: core::ops::Range<u64>,
        size: u64,
        proof: &[Hash],
        nodes: &'b [Hash],
    ) -> Result<Self, RangeError> {
        let mut range = Self {
            start: run.start,
            end: run.end,
            size,
            inside: nodes,
            left: ByLevel::new(),
            right: ByLevel::new(),
            left_edge: ByLevel::new(),
            right_edge: ByLevel::new(),
        };
        range.take_proof(proof).ok_or(RangeError::ProofLength)?;
        range.climb_left_edge().ok_or(RangeError::Bounds)?;
        range.climb_right_edge().ok_or(RangeError::Bounds)?;
        Ok(range)
    }

    /// The root hash that leaves and proof lead to.
    #[must_use]
    pub fn root(&self) -> Hash {
        self.right_edge.at(height(self.size)).unwrap_or_default()
    }

    /// The inclusion proof of a leaf of the run, nearest sibling first.
    #[must_use]
    pub fn path(&self, index: LeafIndex) -> Option<heapless::Vec<Hash, MAX_PATH_HASHES>> {
        if !(self.start..self.end).contains(&index.0) {
            return None;
        }
        let siblings = (0..height(self.size))
            .filter(|level| has_sibling(index.0, *level, self.size))
            .map(|level| self.node(level, ancestor(index.0, level) ^ 1));
        gathered(siblings)
    }

    /// The inclusion proofs of leaves one after the other: of two neighbours most is the same.
    #[must_use]
    pub const fn paths(&self) -> Paths<'_, 'b> {
        Paths { range: self, path: heapless::Vec::new(), last: None }
    }

    /// The range proof of a part of the run.
    #[must_use]
    pub fn proof(
        &self,
        start: LeafIndex,
        leaves: usize,
    ) -> Option<heapless::Vec<Hash, MAX_RANGE_PROOF_HASHES>> {
        let end = start.0.checked_add(leaves as u64)?;
        if leaves == 0 || start.0 < self.start || end > self.end {
            return None;
        }
        let left = levels_left_of(start.0).map(|level| self.node(level, ancestor(start.0, level) ^ 1));
        let right = levels_right_of(end, self.size)
            .map(|level| self.node(level, ancestor(end.saturating_sub(1), level).saturating_add(1)));
        gathered(left.chain(right))
    }

    /// The node of that number at `level`, when leaves and proof determine it.
    fn node(&self, level: u32, index: u64) -> Option<Hash> {
        let last = self.end.checked_sub(1)?;
        if index == ancestor(last, level) {
            return self.right_edge.at(level);
        }
        if index > ancestor(last, level) {
            return self.right.at(level);
        }
        let begins = first_leaf(level, index);
        if begins >= self.start {
            return self.inside_node(level, index);
        }
        let contains_start = index == ancestor(self.start, level);
        if contains_start { self.left_edge.at(level) } else { self.left.at(level) }
    }

    fn inside_node(&self, level: u32, index: u64) -> Option<Hash> {
        inside(self.start..self.end, self.inside, level, index)
    }

    fn take_proof(&mut self, proof: &[Hash]) -> Option<()> {
        let mut hashes = proof.iter().copied();
        for level in levels_left_of(self.start) {
            self.left.set(level, hashes.next()?);
        }
        for level in levels_right_of(self.end, self.size) {
            self.right.set(level, hashes.next()?);
        }
        hashes.next().is_none().then_some(())
    }

    /// Nodes above leaf `start` that begin before it and end within the run.
    fn climb_left_edge(&mut self) -> Option<()> {
        let mut node = self.inside_node(0, self.start)?;
        for level in 0..height(self.size) {
            let index = ancestor(self.start, level);
            node = if index & 1 == 1 {
                Hash::of_node(&self.left.at(level)?, &node)
            } else {
                let sibling = index.saturating_add(1);
                if first_leaf(level, sibling.saturating_add(1)) > self.end {
                    return Some(());
                }
                Hash::of_node(&node, &self.inside_node(level, sibling)?)
            };
            self.left_edge.set(level.saturating_add(1), node);
        }
        Some(())
    }

    /// Nodes above leaf `end - 1`, up to the root.
    fn climb_right_edge(&mut self) -> Option<()> {
        let last = self.end.checked_sub(1)?;
        let mut node = self.inside_node(0, last)?;
        self.right_edge.set(0, node);
        for level in 0..height(self.size) {
            if has_sibling(last, level, self.size) {
                let index = ancestor(last, level);
                let sibling = self.node(level, index ^ 1)?;
                let is_right = index & 1 == 1;
                node = if is_right { Hash::of_node(&sibling, &node) } else { Hash::of_node(&node, &sibling) };
            }
            self.right_edge.set(level.saturating_add(1), node);
        }
        Some(())
    }
}

/// Inclusion proofs, one after the other.
#[derive(Debug)]
pub struct Paths<'r, 'b> {
    range: &'r Range<'b>,
    path: heapless::Vec<Hash, MAX_PATH_HASHES>,
    /// The leaf that `path` is of.
    last: Option<u64>,
}

impl Paths<'_, '_> {
    /// The inclusion proof of a leaf of the run, nearest sibling first. It costs least for the leaf behind the one asked for before.
    pub fn of(&mut self, index: LeafIndex) -> Option<&[Hash]> {
        let follows = self.last.take().and_then(|last| last.checked_add(1)) == Some(index.0);
        if !(follows && self.advance(index.0)?) {
            self.path = self.range.path(index)?;
        }
        self.last = Some(index.0);
        Some(&self.path)
    }

    /// Makes the path of the leaf before into this one's. False where it has another number of hashes at the levels that change, as
    /// at the edge of the tree.
    fn advance(&mut self, index: u64) -> Option<bool> {
        let (range, before) = (self.range, index.checked_sub(1)?);
        if index >= range.end {
            return None;
        }
        let changed = 0..index.trailing_zeros().saturating_add(1).min(height(range.size));
        let has = |leaf: u64| changed.clone().filter(move |level| has_sibling(leaf, *level, range.size));
        if has(before).count() != has(index).count() {
            return Some(false);
        }
        for (slot, level) in self.path.iter_mut().zip(has(index)) {
            *slot = range.node(level, ancestor(index, level) ^ 1)?;
        }
        Some(true)
    }
}

/// All of them, or none; unlike heapless's `collect` it cannot panic when there are too many.
fn gathered<const N: usize>(hashes: impl Iterator<Item = Option<Hash>>) -> Option<heapless::Vec<Hash, N>> {
    let mut all = heapless::Vec::new();
    for hash in hashes {
        all.push(hash?).ok()?;
    }
    Some(all)
}

/// Levels of the perfect subtrees left of `start`, largest first.
fn levels_left_of(start: u64) -> impl Iterator<Item = u32> {
    (0..MAX_TREE_HEIGHT).rev().filter(move |level| ancestor(start, *level) & 1 == 1)
}

/// Levels at which leaf `end - 1` has a sibling to its right, lowest first.
fn levels_right_of(end: u64, size: u64) -> impl Iterator<Item = u32> {
    let last = end.saturating_sub(1);
    (0..height(size)).filter(move |level| ancestor(last, *level) & 1 == 0 && has_sibling(last, *level, size))
}
