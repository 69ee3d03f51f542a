//! Checks of the vectors: the tree's here, the frames' beside.

pub(crate) mod frames;

use assent_proto::hash::Hash;
use assent_proto::number::{LeafIndex, TreeSize};
use assent_proto::tree::{Frontier, Range, consistency, inclusion};

use crate::cases::Case;
use crate::{Outcome, ok_if};

pub(crate) fn tree_roots(case: &mut Case) -> Outcome {
    let mut frontier = Frontier::new();
    for leaf in case.all_bytes("leaf") {
        frontier.append(Hash::of_leaf(&leaf)).expect("the log has room");
    }
    (case.text("root"), frontier.root().to_string())
}

pub(crate) fn tree_inclusion(case: &mut Case) -> Outcome {
    let (index, size) = (LeafIndex(case.parsed("index")), TreeSize(case.parsed("size")));
    let (leaf, path) = (Hash::of_leaf(&case.bytes("leaf")), case.hashes("path"));
    let holds = inclusion::root(leaf, index, size, path) == Some(case.hash("root"));
    (case.text("result"), ok_if(holds))
}

pub(crate) fn tree_consistency(case: &mut Case) -> Outcome {
    let (old_size, size) = (TreeSize(case.parsed("old-size")), TreeSize(case.parsed("size")));
    let (old_root, root, proof) = (case.hash("old-root"), case.hash("root"), case.hashes("proof"));
    (case.text("result"), ok_if(consistency::verify(old_size, old_root, size, root, &proof)))
}

pub(crate) fn tree_ranges(case: &mut Case) -> Outcome {
    let (start, size) = (LeafIndex(case.parsed("start")), TreeSize(case.parsed("size")));
    let (leaves, proof, root) = (case.all_bytes("leaf"), case.hashes("proof"), case.hash("root"));
    let mut nodes: Vec<_> = leaves.iter().map(|leaf| Hash::of_leaf(leaf)).collect();
    nodes.resize(Range::nodes_needed(leaves.len()), Hash::default());
    let range = Range::new(start, leaves.len(), size, &proof, &mut nodes);
    (case.text("result"), ok_if(range.is_ok_and(|range| range.root() == root)))
}
