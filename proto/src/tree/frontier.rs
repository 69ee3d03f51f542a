//! The frontier: the hashes of the perfect subtrees that a tree of some size consists of, largest first (RFC 6962 section
//! 2.1: each split is at the largest power of two, so the bits of the size name the subtrees). It is all that appending
//! needs, and a log's whole state in one hash for each bit that is set.

use super::{Run, ancestor};
use crate::hash::Hash;
use crate::limits::{MAX_TREE_HEIGHT, MAX_TREE_SIZE};
use crate::number::TreeSize;

const MAX_SUBTREES: usize = MAX_TREE_HEIGHT as usize;

/// A tree to append to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    subtrees: heapless::Vec<Hash, MAX_SUBTREES>,
}

/// The log has as many leaves as a log can have, or a stored frontier does not have one hash for each bit of its size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrontierError;

impl core::fmt::Display for FrontierError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("tree is full, or its frontier does not fit its size")
    }
}

impl core::error::Error for FrontierError {}

impl Frontier {
    /// A tree without leaves.
    #[must_use]
    pub const fn new() -> Self {
        Self { size: 0, subtrees: heapless::Vec::new() }
    }

    /// The frontier of a tree of `size` leaves, from its stored hashes.
    ///
    /// # Errors
    /// [`FrontierError`] when there is not one hash for each bit of the size.
    pub fn restore(size: TreeSize, subtrees: &[Hash]) -> Result<Self, FrontierError> {
        let fits = size.0 < MAX_TREE_SIZE && u32::try_from(subtrees.len()) == Ok(size.0.count_ones());
        if !fits {
            return Err(FrontierError);
        }
        heapless::Vec::from_slice(subtrees)
            .map(|subtrees| Self { size: size.0, subtrees })
            .map_err(|_| FrontierError)
    }

    /// How many leaves there are.
    #[must_use]
    pub const fn size(&self) -> TreeSize {
        TreeSize(self.size)
    }

    /// Hashes of the perfect subtrees, largest first.
    #[must_use]
    pub fn subtrees(&self) -> &[Hash] {
        &self.subtrees
    }

    /// Appends a leaf by its hash.
    ///
    /// # Errors
    /// [`FrontierError`] when the log is full.
    pub fn append(&mut self, leaf_hash: Hash) -> Result<(), FrontierError> {
        self.append_subtree(0, leaf_hash)
    }

    /// Appends a perfect subtree of `2^level` leaves by its hash. It begins at a multiple of as many leaves.
    ///
    /// # Errors
    /// [`FrontierError`] when the log is full, or ends elsewhere.
    pub fn append_subtree(&mut self, level: u32, hash: Hash) -> Result<(), FrontierError> {
        let leaves =
            1_u64.checked_shl(level).filter(|leaves| *leaves < MAX_TREE_SIZE).ok_or(FrontierError)?;
        if !self.size.is_multiple_of(leaves) {
            return Err(FrontierError);
        }
        let grown =
            self.size.checked_add(leaves).filter(|size| *size < MAX_TREE_SIZE).ok_or(FrontierError)?;
        let mut node = hash;
        for _ in 0..ancestor(self.size, level).trailing_ones() {
            let left = self.subtrees.pop().ok_or(FrontierError)?;
            node = Hash::of_node(&left, &node);
        }
        self.subtrees.push(node).map_err(|_| FrontierError)?;
        self.size = grown;
        Ok(())
    }

    /// Appends a run of leaves whose perfect subtrees are known: a few hashes, however many leaves it has. It begins where the tree
    /// ends.
    ///
    /// # Errors
    /// [`FrontierError`] when the log is full, or ends elsewhere; then some of it may have been appended.
    pub fn append_run<B: AsRef<[Hash]>>(&mut self, run: &Run<B>) -> Result<(), FrontierError> {
        if run.start() != self.size {
            return Err(FrontierError);
        }
        run.subtrees().try_for_each(|subtree| {
            let (level, hash) = subtree.ok_or(FrontierError)?;
            self.append_subtree(level, hash)
        })
    }

    /// The root hash.
    #[must_use]
    pub fn root(&self) -> Hash {
        let mut smallest_first = self.subtrees.iter().rev();
        let Some(last) = smallest_first.next() else {
            return Hash::of_empty_tree();
        };
        smallest_first.fold(*last, |right, left| Hash::of_node(left, &right))
    }
}
