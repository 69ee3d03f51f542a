//! A run of leaves, and the perfect subtrees within it.

use super::{Range, RangeError, ancestor, first_leaf};
use crate::hash::Hash;
use crate::limits::MAX_TREE_SIZE;
use crate::number::{LeafIndex, TreeSize};

/// A run of leaves with all perfect subtrees within it: hashed once, for the tree that grows by it and for the proofs of its parts.
///
/// `B` holds the hashes of the leaves and behind them room, as [`Range::new`] wants it.
#[derive(Clone, Debug)]
pub struct Run<B> {
    start: u64,
    end: u64,
    nodes: B,
}

impl<B: AsRef<[Hash]>> Run<B> {
    /// Computes the perfect subtrees. `buffer` begins with the hashes of the leaves; what follows is overwritten.
    ///
    /// # Errors
    /// [`RangeError::Bounds`] where it ends behind the largest log, [`RangeError::Buffer`]. A run may be empty.
    pub fn new(start: LeafIndex, leaves: usize, mut buffer: B) -> Result<Self, RangeError>
    where
        B: AsMut<[Hash]>,
    {
        let start = start.0;
        let within = |end: &u64| *end < MAX_TREE_SIZE;
        let end = start.checked_add(leaves as u64).filter(within).ok_or(RangeError::Bounds)?;
        let nodes = buffer.as_mut();
        if nodes.len() < Range::nodes_needed(leaves) {
            return Err(RangeError::Buffer);
        }
        fill(start, end, nodes).ok_or(RangeError::Buffer)?;
        Ok(Self { start, end, nodes: buffer })
    }

    /// How many leaves.
    #[must_use]
    pub const fn leaves(&self) -> u64 {
        self.end.saturating_sub(self.start)
    }

    /// The nodes that it determines in a tree of `size` leaves, as [`Range::new`] would find them.
    ///
    /// # Errors
    /// [`RangeError`].
    pub fn range(&self, size: TreeSize, proof: &[Hash]) -> Result<Range<'_>, RangeError> {
        if self.start == self.end || self.end > size.0 || size.0 >= MAX_TREE_SIZE {
            return Err(RangeError::Bounds);
        }
        Range::around(self.start..self.end, size.0, proof, self.nodes.as_ref())
    }

    /// The fewest perfect subtrees that it consists of, from the left: the level and hash of each.
    pub(super) fn subtrees(&self) -> impl Iterator<Item = Option<(u32, Hash)>> {
        let mut next = self.start;
        core::iter::from_fn(move || {
            let left = self.end.checked_sub(next).filter(|left| *left > 0)?;
            let level = left.ilog2().min(next.trailing_zeros());
            let node = inside(self.start..self.end, self.nodes.as_ref(), level, ancestor(next, level));
            next = next.saturating_add(first_leaf(level, 1));
            Some(node.map(|node| (level, node)))
        })
    }

    pub(super) const fn start(&self) -> u64 {
        self.start
    }
}

/// A perfect subtree within a run of leaves, by its level and its number there.
pub(super) fn inside(run: core::ops::Range<u64>, nodes: &[Hash], level: u32, index: u64) -> Option<Hash> {
    let (mut offset, mut row) = (0_u64, Row::of_leaves(run.start, run.end));
    for _ in 0..level {
        offset = offset.checked_add(row.length())?;
        row = row.above();
    }
    let within = index.checked_sub(row.first).filter(|within| *within < row.length())?;
    nodes.get(usize::try_from(offset.checked_add(within)?).ok()?).copied()
}

/// The perfect subtrees of one height within a run: their numbers.
#[derive(Clone, Copy)]
struct Row {
    first: u64,
    end: u64,
}

impl Row {
    const fn of_leaves(start: u64, end: u64) -> Self {
        Self { first: start, end }
    }

    const fn above(self) -> Self {
        Self { first: self.first.div_ceil(2), end: self.end / 2 }
    }

    const fn length(self) -> u64 {
        self.end.saturating_sub(self.first)
    }
}

/// Computes the perfect subtrees above the leaves at the front of `buffer`, row behind row.
pub(super) fn fill(start: u64, end: u64, buffer: &mut [Hash]) -> Option<()> {
    let (mut offset, mut row) = (0_usize, Row::of_leaves(start, end));
    loop {
        let above = row.above();
        if above.length() == 0 {
            return Some(());
        }
        let length = usize::try_from(row.length()).ok()?;
        let (below, rest) = buffer.get_mut(offset..)?.split_at_mut_checked(length)?;
        let skip = usize::try_from(row.first & 1).ok()?;
        let (pairs, _) = below.get(skip..)?.as_chunks::<2>();
        for (node, [left, right]) in rest.iter_mut().zip(pairs) {
            *node = Hash::of_node(left, right);
        }
        offset = offset.checked_add(length)?;
        row = above;
    }
}
