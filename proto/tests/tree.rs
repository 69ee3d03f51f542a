//! The tree's arithmetic against the recursive definitions of RFC 6962 section 2.1: every small tree, and larger ones at
//! random.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "the functions beside the tests may fail as loudly as the tests"
)]

use assent_proto::hash::Hash;
use assent_proto::limits::MAX_TREE_SIZE;
use assent_proto::number::{LeafIndex, TreeSize};
use assent_proto::tree::{Frontier, PathMemo, Range, RangeError, Run, consistency, inclusion};
use proptest::prelude::*;

mod naive;

const EVERY_SIZE_UP_TO: usize = 70;
const EVERY_RANGE_UP_TO: usize = 40;

fn leaves(count: usize) -> Vec<Vec<u8>> {
    (0..count).map(|position| position.to_be_bytes().repeat(position % 3 + 1)).collect()
}

fn hashes(leaves: &[Vec<u8>]) -> Vec<Hash> {
    leaves.iter().map(|leaf| Hash::of_leaf(leaf)).collect()
}

fn size(count: usize) -> TreeSize {
    TreeSize(count as u64)
}

fn index(position: usize) -> LeafIndex {
    LeafIndex(position as u64)
}

fn frontier(leaves: &[Vec<u8>]) -> Frontier {
    let mut frontier = Frontier::new();
    for leaf in leaves {
        frontier.append(Hash::of_leaf(leaf)).expect("the log has room");
    }
    frontier
}

/// The proof with one bit of each hash flipped in turn, without each hash in turn, and with one more.
fn altered(proof: &[Hash]) -> Vec<Vec<Hash>> {
    let mut all: Vec<_> = (0..proof.len())
        .flat_map(|position| {
            let (mut flipped, mut shorter) = (proof.to_vec(), proof.to_vec());
            flipped[position].0[position % 32] ^= 1;
            shorter.remove(position);
            [flipped, shorter]
        })
        .collect();
    all.push([proof, &[Hash([7; 32])]].concat());
    all
}

/// The buffer of a run: its leaves' hashes, and room.
fn buffer(start: usize, end: usize, all: &[Hash]) -> Vec<Hash> {
    let mut buffer = all[start..end].to_vec();
    buffer.resize(Range::nodes_needed(end - start), Hash([0xee; 32]));
    buffer
}

fn root_of_range(
    start: usize,
    end: usize,
    count: usize,
    all: &[Hash],
    proof: &[Hash],
) -> Result<Hash, RangeError> {
    Range::new(index(start), end - start, size(count), proof, &mut buffer(start, end, all))
        .map(|range| range.root())
}

#[test]
fn frontier_has_the_root_of_the_definition_at_every_size() {
    let all = leaves(EVERY_SIZE_UP_TO);
    for count in 0..=all.len() {
        let grown = frontier(&all[..count]);
        assert_eq!((grown.size(), grown.root()), (size(count), naive::root(&all[..count])));
        assert_eq!(Frontier::restore(size(count), grown.subtrees()), Ok(grown));
    }
}

#[test]
fn perfect_subtrees_append_like_their_leaves_and_only_where_they_may_begin() {
    let all = leaves(64);
    for (start, level) in [(0, 0), (0, 3), (4, 2), (8, 3), (6, 1), (32, 5), (48, 4)] {
        let count = 1 << level;
        let subtree = frontier(&all[start..start + count]).root();
        let mut grown = frontier(&all[..start]);
        grown.append_subtree(level, subtree).expect("it begins where it may");
        assert_eq!(grown, frontier(&all[..start + count]));
    }
    let mut odd = frontier(&all[..6]);
    assert!(odd.append_subtree(2, Hash::default()).is_err());
    assert!(odd.append_subtree(60, Hash::default()).is_err());
    assert_eq!(odd, frontier(&all[..6]), "what is refused changes nothing");
}

#[test]
fn remembered_paths_lead_where_they_lead_alone() {
    let all = hashes(&leaves(70));
    let mut memo = PathMemo::new();
    for size in [1_usize, 2, 3, 7, 8, 33, 64, 70] {
        let mut nodes = all[..size].to_vec();
        nodes.resize(Range::nodes_needed(size), Hash::default());
        let tree_size = TreeSize(size as u64);
        let tree = Range::new(LeafIndex(0), size, tree_size, &[], &mut nodes).expect("a tree");
        // In order, backwards, and with jumps; after each, some that were altered at every place.
        let order = (0..size).chain((0..size).rev()).chain((0..size).map(|step| step * 37 % size));
        for index in order {
            let (leaf, index) = (all[index], LeafIndex(index as u64));
            let path = tree.path(index).expect("a path");
            let alone = |leaf, path: &[Hash]| inclusion::root(leaf, index, tree_size, path.iter().copied());
            assert_eq!(memo.root(leaf, index, tree_size, path.iter().copied()), Some(tree.root()));
            for place in 0..=path.len() {
                let (mut wrong, mut other) = (path.clone(), leaf);
                match wrong.get_mut(place) {
                    Some(hash) => hash.0[31] ^= 1,
                    None => other.0[0] ^= 1,
                }
                let remembered = memo.root(other, index, tree_size, wrong.iter().copied());
                assert_eq!(remembered, alone(other, &wrong), "{size} {index:?} {place}");
                assert_ne!(remembered, Some(tree.root()));
            }
            let short = &path[..path.len().saturating_sub(1)];
            let remembered = memo.root(leaf, index, tree_size, short.iter().copied());
            assert_eq!(remembered, alone(leaf, short));
            let long = path.iter().copied().chain([leaf]);
            assert_eq!(memo.root(leaf, index, tree_size, long), None);
            assert_eq!(memo.root(leaf, index, tree_size, path.iter().copied()), Some(tree.root()));
        }
    }
}

#[test]
fn paths_in_order_are_those_of_each_leaf() {
    let all = hashes(&leaves(90));
    for size in 1..=70_usize {
        for start in [0, 1, 5, size / 2] {
            let count = size.saturating_sub(start).min(33);
            if count == 0 {
                continue;
            }
            let mut buffer = all[start..start + count].to_vec();
            buffer.resize(Range::nodes_needed(count), Hash::default());
            let whole = all[..size].to_vec();
            let mut nodes = whole.clone();
            nodes.resize(Range::nodes_needed(size), Hash::default());
            let tree =
                Range::new(LeafIndex(0), size, TreeSize(size as u64), &[], &mut nodes).expect("a tree");
            let proof = tree.proof(LeafIndex(start as u64), count).expect("a part");
            let range =
                Range::new(LeafIndex(start as u64), count, TreeSize(size as u64), &proof, &mut buffer)
                    .expect("a range");
            let mut paths = range.paths();
            let order = (start..start + count).chain([start, start + count - 1]).map(|index| index as u64);
            for index in order.map(LeafIndex) {
                assert_eq!(paths.of(index), range.path(index).as_deref(), "{size} {start} {index:?}");
            }
            assert_eq!(paths.of(LeafIndex((start + count) as u64)), None);
        }
    }
}

#[test]
fn runs_append_like_their_leaves_and_give_the_same_ranges() {
    let all = leaves(70);
    for start in 0..40 {
        for count in 0..30 {
            let mut buffer = hashes(&all[start..start + count]);
            buffer.resize(Range::nodes_needed(count), Hash::default());
            let run = Run::new(LeafIndex(start as u64), count, buffer.clone()).expect("a run");
            let before = frontier(&all[..start]);
            let mut grown = before.clone();
            grown.append_run(&run).expect("it begins where the tree ends");
            assert_eq!(grown, frontier(&all[..start + count]), "{start} {count}");
            let range = run.range(grown.size(), before.subtrees());
            let expected =
                Range::new(LeafIndex(start as u64), count, grown.size(), before.subtrees(), &mut buffer);
            assert_eq!(range.as_ref().map(Range::root), expected.as_ref().map(Range::root));
            if let (Ok(range), Ok(expected)) = (range, expected) {
                assert_eq!(range.root(), grown.root());
                let index = LeafIndex((start + count / 2) as u64);
                assert_eq!(range.path(index), expected.path(index));
            }
            assert!(frontier(&all[..start + 1]).append_run(&run).is_err(), "it begins elsewhere");
        }
    }
    assert!(Run::new(LeafIndex(MAX_TREE_SIZE - 1), 1, vec![Hash::default(); 2]).is_err());
    assert!(Run::new(LeafIndex(0), 2, vec![Hash::default(); 3]).is_err());
}

#[test]
fn frontier_of_the_wrong_number_of_hashes_is_refused() {
    for (count, given) in [(0, 1), (1, 0), (3, 1), (3, 3), (4, 2)] {
        assert!(Frontier::restore(TreeSize(count), &vec![Hash::default(); given]).is_err());
    }
    assert!(Frontier::restore(TreeSize(MAX_TREE_SIZE), &[Hash::default()]).is_err());
    assert!(Frontier::restore(TreeSize(u64::MAX), &[Hash::default(); 64]).is_err());
}

#[test]
fn full_log_takes_no_leaf() {
    let last = MAX_TREE_SIZE - 1;
    let mut full = Frontier::restore(TreeSize(last), &[Hash::default(); 56]).unwrap();
    let before = full.clone();
    assert!(full.append(Hash::default()).is_err());
    assert_eq!(full, before);
}

#[test]
fn inclusion_paths_are_those_of_the_definition_at_every_size() {
    let all = leaves(EVERY_SIZE_UP_TO);
    for count in 1..=all.len() {
        let (tree, root) = (&all[..count], naive::root(&all[..count]));
        for (position, leaf) in tree.iter().enumerate() {
            let path = naive::path(position, tree);
            let lead = |path: &[Hash]| {
                inclusion::root(Hash::of_leaf(leaf), index(position), size(count), path.iter().copied())
            };
            assert_eq!(inclusion::path_length(index(position), size(count)), Some(path.len()));
            assert_eq!(lead(&path), Some(root));
            assert!(altered(&path).iter().all(|path| lead(path) != Some(root)));
        }
        assert_eq!(inclusion::path_length(index(count), size(count)), None);
        assert_eq!(inclusion::root(root, index(count), size(count), []), None);
    }
}

#[test]
fn leaf_at_another_index_leads_to_another_root() {
    let all = leaves(EVERY_RANGE_UP_TO);
    for count in 1..=all.len() {
        let root = naive::root(&all[..count]);
        for right in 0..count {
            let (leaf, path) = (Hash::of_leaf(&all[right]), naive::path(right, &all[..count]));
            for wrong in (0..count).filter(|wrong| *wrong != right) {
                let led = inclusion::root(leaf, index(wrong), size(count), path.iter().copied());
                assert_ne!(led, Some(root), "leaf {right} passed for leaf {wrong} of {count}");
            }
        }
    }
}

#[test]
fn consistency_proofs_are_those_of_the_definition_at_every_size() {
    let all = leaves(EVERY_SIZE_UP_TO);
    for count in 1..=all.len() {
        let root = naive::root(&all[..count]);
        for old in 1..=count {
            let (old_root, proof) = (naive::root(&all[..old]), naive::consistency(old, &all[..count]));
            let holds = |old_root, root, proof: &[Hash]| {
                consistency::verify(size(old), old_root, size(count), root, proof)
            };
            assert!(holds(old_root, root, &proof), "{old} begins {count}");
            assert!(altered(&proof).iter().all(|proof| !holds(old_root, root, proof)));
            assert!(!holds(Hash([9; 32]), root, &proof));
            assert!(!holds(old_root, Hash([9; 32]), &proof));
        }
        assert!(consistency::verify(size(0), Hash::of_empty_tree(), size(count), root, &[]));
        assert!(!consistency::verify(size(0), root, size(count), root, &[]));
        assert!(!consistency::verify(size(count + 1), root, size(count), root, &[]));
    }
}

#[test]
fn range_proofs_are_those_of_the_definition_for_every_run_of_every_small_tree() {
    let all = leaves(EVERY_RANGE_UP_TO);
    let hashes = hashes(&all);
    for count in 1..=all.len() {
        let root = naive::root(&all[..count]);
        for (start, end) in (0..count).flat_map(|start| (start + 1..=count).map(move |end| (start, end))) {
            let proof = naive::range(start, end, &all[..count]);
            assert_eq!(root_of_range(start, end, count, &hashes, &proof), Ok(root));
            for altered in altered(&proof) {
                assert_ne!(root_of_range(start, end, count, &hashes, &altered), Ok(root));
            }
            let mut other = hashes.clone();
            other[(start + end) / 2].0[0] ^= 1;
            assert_ne!(root_of_range(start, end, count, &other, &proof), Ok(root));
        }
    }
}

#[test]
fn every_path_and_every_part_of_a_range_is_that_of_the_definition() {
    let all = leaves(EVERY_RANGE_UP_TO);
    let hashes = hashes(&all);
    for count in (1..=14).chain([31, 33]) {
        let tree = &all[..count];
        for (start, end) in (0..count).flat_map(|start| (start + 1..=count).map(move |end| (start, end))) {
            let (proof, mut nodes) = (naive::range(start, end, tree), buffer(start, end, &hashes));
            let range = Range::new(index(start), end - start, size(count), &proof, &mut nodes).unwrap();
            check_parts(&range, start, end, tree);
        }
    }
}

fn check_parts(range: &Range<'_>, start: usize, end: usize, tree: &[Vec<u8>]) {
    for position in 0..tree.len() {
        let path = range.path(index(position));
        let expected = (start..end).contains(&position).then(|| naive::path(position, tree));
        assert_eq!(path.as_deref(), expected.as_deref(), "leaf {position} of [{start}, {end})");
    }
    for (from, to) in (start..end).flat_map(|from| (from + 1..=end).map(move |to| (from, to))) {
        let part = range.proof(index(from), to - from);
        assert_eq!(
            part.as_deref(),
            Some(&*naive::range(from, to, tree)),
            "[{from}, {to}) of [{start}, {end})"
        );
    }
    assert_eq!(range.proof(index(start), 0), None);
    assert_eq!(range.proof(index(start), end - start + 1), None);
    assert!(start == 0 || range.proof(index(start - 1), 1).is_none());
}

#[test]
fn range_outside_the_tree_or_without_room_is_refused() {
    let mut nodes = [Hash::default(); 4];
    let refused =
        |start, leaves, size, nodes: &mut [Hash]| Range::new(start, leaves, size, &[], nodes).map(|_| ());
    for (start, leaves, size) in
        [(0, 0, 4), (3, 2, 4), (u64::MAX, 1, 4), (u64::MAX, 2, u64::MAX), (0, 1, MAX_TREE_SIZE)]
    {
        let outcome = refused(LeafIndex(start), leaves, TreeSize(size), &mut nodes);
        assert_eq!(outcome, Err(RangeError::Bounds));
    }
    assert_eq!(refused(LeafIndex(0), 3, TreeSize(3), &mut nodes), Err(RangeError::Buffer));
    assert_eq!(refused(LeafIndex(0), usize::MAX, TreeSize(3), &mut nodes), Err(RangeError::Bounds));
}

#[test]
fn proofs_at_the_far_end_of_the_largest_log_verify() {
    let (last, count) = (MAX_TREE_SIZE - 2, MAX_TREE_SIZE - 1);
    let length = inclusion::path_length(LeafIndex(last), TreeSize(count)).unwrap();
    let path = vec![Hash([5; 32]); length];
    let leaf = Hash([6; 32]);
    let root = inclusion::root(leaf, LeafIndex(last), TreeSize(count), path.iter().copied()).unwrap();
    // All hashes left of the last leaf are the frontier before it, largest first: the path backwards.
    let mut nodes = [leaf, Hash::default()];
    let range = Range::new(LeafIndex(last), 1, TreeSize(count), &path, &mut nodes).unwrap();
    assert_eq!(range.root(), root);
    let mut grown = Frontier::restore(TreeSize(last), &path).unwrap();
    grown.append(leaf).unwrap();
    assert_eq!(grown.root(), root);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn larger_trees_agree_with_the_definition(count in 71_usize..1500, a in any::<usize>(), b in any::<usize>()) {
        let all = leaves(count);
        let (root, hashes) = (naive::root(&all), hashes(&all));
        prop_assert_eq!(frontier(&all).root(), root);

        let (start, old) = (a % count, b % count + 1);
        let path = naive::path(start, &all);
        let led = inclusion::root(hashes[start], index(start), size(count), path.iter().copied());
        prop_assert_eq!(led, Some(root));
        let proof = naive::consistency(old, &all);
        prop_assert!(consistency::verify(size(old), naive::root(&all[..old]), size(count), root, &proof));

        let end = start + 1 + b % (count - start);
        let (proof, mut nodes) = (naive::range(start, end, &all), buffer(start, end, &hashes));
        let range = Range::new(index(start), end - start, size(count), &proof, &mut nodes).unwrap();
        prop_assert_eq!(range.root(), root);
        let (from, to) = (start + a % (end - start), end - b % (end - start));
        let path = range.path(index(from));
        prop_assert_eq!(path.as_deref(), Some(&*naive::path(from, &all)));
        if from < to {
            let part = range.proof(index(from), to - from);
            prop_assert_eq!(part.as_deref(), Some(&*naive::range(from, to, &all)));
        }
    }

    #[test]
    fn proofs_of_any_numbers_never_panic(
        a in any::<u64>(),
        b in any::<u64>(),
        leaves in 0_usize..9,
        proof in proptest::collection::vec(any::<[u8; 32]>().prop_map(Hash), 0..70),
    ) {
        let (first, count) = (LeafIndex(a), TreeSize(b));
        let _ = inclusion::path_length(first, count);
        let _ = inclusion::root(Hash::default(), first, count, proof.iter().copied());
        let _ = consistency::verify(TreeSize(a), Hash::default(), count, Hash::default(), &proof);
        let _ = Frontier::restore(count, &proof);
        let mut nodes = [Hash::default(); 16];
        if let Ok(range) = Range::new(first, leaves, count, &proof, &mut nodes) {
            let _ = (range.root(), range.path(first), range.proof(first, leaves), range.path(LeafIndex(b)));
        }
    }
}
