//! A round: what waits, appended to a copy of the tree. Nothing is signed and nothing is written yet.

use assent_proto::checkpoint::Checkpoint;
use assent_proto::hash::Hash;
use assent_proto::number::LeafIndex;
use assent_proto::tree::{Frontier, FrontierError, Range};

use super::draft::Draft;
use crate::log::Leaves;

/// Entries in order: the appliance's own first, then the drafts'.
#[derive(Debug)]
pub(super) struct Round {
    pub(super) before: Frontier,
    pub(super) after: Frontier,
    pub(super) operations: Leaves,
    pub(super) drafts: Vec<Draft>,
    /// Hashes of all leaves, with room behind them for the nodes above.
    nodes: Vec<Hash>,
}

impl Round {
    pub(super) fn gather(
        tree: &Frontier,
        operations: Leaves,
        drafts: Vec<Draft>,
    ) -> Result<Self, FrontierError> {
        let mut after = tree.clone();
        let runs = std::iter::once(&operations).chain(drafts.iter().map(|draft| &draft.leaves));
        let mut nodes: Vec<Hash> = runs.flat_map(|run| run.hashes().iter().copied()).collect();
        for hash in &nodes {
            after.append(*hash)?;
        }
        nodes.resize(Range::nodes_needed(nodes.len()), Hash::default());
        Ok(Self { before: tree.clone(), after, operations, drafts, nodes })
    }

    pub(super) fn first(&self) -> LeafIndex {
        LeafIndex(self.before.size().0)
    }

    pub(super) fn leaves(&self) -> usize {
        self.nodes.len() / 2
    }

    pub(super) fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    pub(super) fn checkpoint<'o>(&self, origin: &'o str) -> Checkpoint<'o> {
        Checkpoint { origin, size: self.after.size(), root: self.after.root() }
    }

    /// The nodes that the round's leaves determine: every draft's range proof is among them.
    pub(super) fn range(&mut self) -> Option<Range<'_>> {
        let (first, leaves) = (self.first(), self.leaves());
        Range::new(first, leaves, self.after.size(), self.before.subtrees(), &mut self.nodes).ok()
    }

    /// Index of each draft's first entry.
    pub(super) fn firsts(&self) -> Vec<LeafIndex> {
        let mut next = self.first().0 + self.operations.len() as u64;
        let first_of = |draft: &Draft| {
            let first = next;
            next += draft.leaves.len() as u64;
            LeafIndex(first)
        };
        self.drafts.iter().map(first_of).collect()
    }

    pub(super) fn allows(&self) -> u64 {
        self.drafts.iter().map(|draft| draft.counts.allows).sum()
    }

    pub(super) fn holds(&self) -> u64 {
        self.drafts.iter().map(|draft| draft.counts.holds).sum()
    }

    pub(super) fn entries(&self) -> u64 {
        self.drafts.iter().map(|draft| draft.leaves.len() as u64).sum()
    }
}
