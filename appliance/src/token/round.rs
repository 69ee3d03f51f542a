//! A round: what waits, appended to a copy of the tree. Nothing is signed and nothing is written yet.

use assent_proto::checkpoint::Checkpoint;
use assent_proto::hash::Hash;
use assent_proto::number::{LeafIndex, Timestamp};
use assent_proto::tree::{Frontier, FrontierError, Range, Run};

use super::draft::{Draft, Use};
use super::operation::Operation;
use crate::break_glass::{BreakGlass, Change, UseLine};
use crate::log::Leaves;
use crate::log::store::Row;
use crate::meters::Tally;

/// Entries in order: the appliance's own first, then the drafts'.
#[derive(Debug)]
pub(super) struct Round {
    pub(super) before: Frontier,
    pub(super) after: Frontier,
    pub(super) operations: Leaves,
    pub(super) drafts: Vec<Draft>,
    /// All leaves with the nodes above them: hashed once, for the tree and for the proofs of the drafts.
    run: Run<Vec<Hash>>,
    /// What is kept with it.
    pub(super) kept: Kept,
}

/// What rooms keep of a round: in its commit, and of break-glass behind it.
#[derive(Debug, Default)]
pub(super) struct Kept {
    pub(super) changes: Vec<Change>,
    /// Rows of other rooms.
    pub(super) rows: Vec<Row>,
    /// Where an act of operators stands.
    pub(super) act: Option<LeafIndex>,
}

impl Round {
    pub(super) fn gather(
        tree: &Frontier,
        operations: Leaves,
        drafts: Vec<Draft>,
    ) -> Result<Self, FrontierError> {
        let mut after = tree.clone();
        let runs = std::iter::once(&operations).chain(drafts.iter().map(|draft| &draft.leaves));
        let leaves = runs.clone().map(Leaves::len).sum();
        let mut nodes = Vec::with_capacity(Range::nodes_needed(leaves));
        runs.for_each(|run| nodes.extend_from_slice(run.hashes()));
        nodes.resize(Range::nodes_needed(leaves), Hash::default());
        let run = Run::new(LeafIndex(tree.size().0), leaves, nodes).map_err(|_| FrontierError)?;
        after.append_run(&run)?;
        Ok(Self { before: tree.clone(), after, operations, drafts, run, kept: Kept::default() })
    }

    /// The same, with what is kept of it: what operators did, and the uses in it.
    pub(super) fn keeping(mut self, operations: &[Operation], room: &BreakGlass, now: Timestamp) -> Self {
        let mut kept = Kept::default();
        for ((index, leaf), operation) in (self.first().0..).zip(self.operations.iter()).zip(operations) {
            let index = LeafIndex(index);
            if let Operation::BreakGlass(act) = operation {
                kept.changes.extend(room.changes(act, index, leaf, now));
                kept.act = Some(index);
            } else if let Operation::Answered(answered) = operation {
                kept.rows.extend(answered.keeps.rows(index));
                kept.act = Some(index);
            }
        }
        for (first, draft) in self.firsts().into_iter().zip(&self.drafts) {
            let made = draft.uses.iter().map(|Use { warrant, number, position, time }| UseLine {
                warrant: *warrant,
                number: *number,
                leaf: LeafIndex(first.0.saturating_add(u64::from(*position))),
                time: *time,
                review: None,
            });
            kept.changes.extend(made.map(Change::Use));
        }
        self.kept = kept;
        self
    }

    pub(super) fn first(&self) -> LeafIndex {
        LeafIndex(self.before.size().0)
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.run.leaves() == 0
    }

    pub(super) fn checkpoint<'o>(&self, origin: &'o str) -> Checkpoint<'o> {
        Checkpoint { origin, size: self.after.size(), root: self.after.root() }
    }

    /// The nodes that the round's leaves determine: every draft's range proof is among them.
    pub(super) fn range(&self) -> Option<Range<'_>> {
        self.run.range(self.after.size(), self.before.subtrees()).ok()
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

    /// Of the allows, those under a warrant.
    pub(super) fn warranted(&self) -> u64 {
        self.drafts.iter().map(|draft| draft.counts.warranted).sum()
    }

    pub(super) fn holds(&self) -> u64 {
        self.drafts.iter().map(|draft| draft.counts.holds).sum()
    }

    /// What was decided, as it is counted for monitoring.
    pub(super) fn tally(&self) -> Tally {
        let mut tally = Tally::default();
        self.drafts.iter().for_each(|draft| tally.add(&draft.counts.tally));
        tally
    }

    pub(super) fn entries(&self) -> u64 {
        self.drafts.iter().map(|draft| draft.leaves.len() as u64).sum()
    }
}
