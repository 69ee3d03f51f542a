//! Trees, proofs, tiles and checkpoints against crates that others wrote: `ct-merkle` and `tlog_tiles`.
//!
//! They share nothing with ours but SHA-256. Each must find what the others made good, to the byte, and refuse what is altered.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "the functions beside the tests may fail as loudly as the tests"
)]

use std::convert::Infallible;

use assent_log::proof::{self, ConsistencyProof, InclusionProof};
use assent_log::tiles::{self, Level, Tile};
use assent_proto::checkpoint::Checkpoint;
use assent_proto::hash::Hash;
use assent_proto::number::{LeafIndex, TreeSize};
use assent_proto::tree::{Frontier, consistency, inclusion};
use ct_merkle::mem_backed_tree::MemoryBackedTree;
use proptest::prelude::*;
use sha2::Sha256;
use tlog_tiles::tlog;

/// A tree of so many leaves, in three hands.
struct Trees {
    leaves: Vec<Vec<u8>>,
    /// Hashes of the perfect subtrees, by level.
    levels: Vec<Vec<Hash>>,
    theirs: MemoryBackedTree<Sha256, Vec<u8>>,
}

impl Trees {
    fn of(size: u64) -> Self {
        let leaves: Vec<Vec<u8>> = (0..size).map(|index| format!("leaf {index}").into_bytes()).collect();
        let mut levels = vec![leaves.iter().map(|leaf| Hash::of_leaf(leaf)).collect::<Vec<_>>()];
        while levels.last().unwrap().len() > 1 {
            let below = levels.last().unwrap().chunks_exact(2);
            levels.push(below.map(|pair| Hash::of_node(&pair[0], &pair[1])).collect());
        }
        let mut theirs = MemoryBackedTree::new();
        leaves.iter().for_each(|leaf| theirs.push(leaf.clone()));
        Self { leaves, levels, theirs }
    }

    fn size(&self) -> TreeSize {
        TreeSize(self.leaves.len() as u64)
    }

    fn node(&self, level: u32, index: u64) -> Result<Hash, Infallible> {
        Ok(self.levels[level as usize][usize::try_from(index).unwrap()])
    }

    fn root(&self) -> Hash {
        self.root_at(self.size().0)
    }

    /// The root as it was at an earlier size.
    fn root_at(&self, size: u64) -> Hash {
        proof::root(TreeSize(size), |level, index| self.node(level, index)).unwrap()
    }
}

/// The tree as `tlog_tiles` reads it.
impl tlog::HashReader for Trees {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<tlog::Hash>, tlog::Error> {
        let hash = |index: &u64| {
            let (level, number) = tlog::split_stored_hash_index(*index);
            tlog::Hash(self.levels[usize::from(level)][usize::try_from(number).unwrap()].0)
        };
        Ok(indexes.iter().map(hash).collect())
    }
}

fn bytes(path: &[Hash]) -> Vec<u8> {
    path.iter().flat_map(|hash| hash.0).collect()
}

fn theirs(path: &[Hash]) -> Vec<tlog::Hash> {
    path.iter().map(|hash| tlog::Hash(hash.0)).collect()
}

#[test]
fn roots_of_every_small_size_are_theirs() {
    for size in 1..=300 {
        let trees = Trees::of(size);
        let mut frontier = Frontier::new();
        trees.levels[0].iter().for_each(|hash| frontier.append(*hash).unwrap());
        assert_eq!(trees.root(), frontier.root(), "size {size}");
        assert_eq!(&trees.root().0[..], &trees.theirs.root().as_bytes()[..], "size {size}");
        assert_eq!(trees.root().0, tlog::tree_hash(size, &trees).unwrap().0, "size {size}");
    }
    let nothing = proof::root(TreeSize(0), |_, _| Err("a node of an empty tree"));
    assert_eq!(nothing, Ok(Hash::of_empty_tree()));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(128) })]

    #[test]
    fn inclusion_proofs_are_theirs_and_verify_with_them(size in 1_u64..3000, at in any::<prop::sample::Index>()) {
        let (trees, index) = (Trees::of(size), at.index(usize::try_from(size).unwrap()));
        let number = index as u64;
        let path = proof::inclusion(LeafIndex(number), trees.size(), |l, i| trees.node(l, i)).unwrap().unwrap();
        let leaf_hash = trees.levels[0][index];
        let made = trees.theirs.prove_inclusion(index);
        prop_assert_eq!(bytes(&path), made.as_bytes());
        let record = tlog::prove_record(size, number, &trees).unwrap();
        prop_assert_eq!(&theirs(&path), &record);

        let given = ct_merkle::InclusionProof::try_from_bytes(bytes(&path)).unwrap();
        prop_assert!(trees.theirs.root().verify_inclusion(&trees.leaves[index], number, &given).is_ok());
        let (root, leaf) = (tlog::Hash(trees.root().0), tlog::Hash(leaf_hash.0));
        prop_assert!(tlog::check_record(&theirs(&path), size, root, number, leaf).is_ok());
        let ours = |path: Vec<Hash>| inclusion::root(leaf_hash, LeafIndex(number), trees.size(), path);
        prop_assert_eq!(ours(path.clone()), Some(trees.root()));

        // Altered anywhere, nobody takes it.
        for position in 0..path.len() {
            let mut altered = path.clone();
            altered[position].0[7] ^= 1;
            prop_assert!(tlog::check_record(&theirs(&altered), size, root, number, leaf).is_err());
            prop_assert_ne!(ours(altered), Some(trees.root()));
        }
    }

    #[test]
    fn consistency_proofs_are_theirs_and_verify_with_them(size in 2_u64..3000, at in any::<prop::sample::Index>()) {
        let trees = Trees::of(size);
        let old = 1 + at.index(usize::try_from(size - 1).unwrap()) as u64;
        let path = proof::consistency(TreeSize(old), trees.size(), |l, i| trees.node(l, i)).unwrap().unwrap();
        let made = trees.theirs.prove_consistency(usize::try_from(size - old).unwrap());
        prop_assert_eq!(bytes(&path), made.as_bytes());
        prop_assert_eq!(&theirs(&path), &tlog::prove_tree(size, old, &trees).unwrap());

        let (old_root, root) = (trees.root_at(old), trees.root());
        let check = |path: &[Hash], old_root: Hash| {
            let ours = consistency::verify(TreeSize(old), old_root, TreeSize(size), root, path);
            let others = tlog::check_tree(&theirs(path), size, tlog::Hash(root.0), old, tlog::Hash(old_root.0));
            (ours, others.is_ok())
        };
        prop_assert_eq!(check(&path, old_root), (true, true));
        prop_assert_eq!(check(&path, Hash([9; 32])), (false, false));
        for position in 0..path.len() {
            let mut altered = path.clone();
            altered[position].0[7] ^= 1;
            prop_assert_eq!(check(&altered, old_root), (false, false));
        }
    }

    #[test]
    fn tiles_are_theirs(size in 1_u64..70_000, hash in any::<prop::sample::Index>(), level in 0_u32..3) {
        let trees = Trees::of(size);
        let hashes = size >> (8 * level);
        prop_assume!(hashes > 0);
        let hash = hash.index(usize::try_from(hashes).unwrap()) as u64;
        let tile = Tile::holding(level, hash, trees.size()).unwrap();
        let (of, width) = (u8::try_from(level).unwrap(), u32::try_from(tile.width).unwrap());
        let theirs = tlog_tiles::Tile::new(8, of, tile.number, width, false);
        prop_assert_eq!(format!("tile/8/{tile}"), theirs.path());
        prop_assert_eq!(Tile::parse(&tile.to_string()), Some(tile));

        let first = tile.number * tiles::WIDTH;
        let run: Vec<Hash> = (first..first + tile.width).map(|at| trees.node(8 * level, at).unwrap()).collect();
        prop_assert_eq!(bytes(&run), theirs.read_data(&trees).unwrap());

        // What a tile says is bound to the root, and nothing of it may differ.
        let over = |run: &[Hash]| {
            proof::root_over(trees.size(), 8 * level, first, run, |l, i| trees.node(l, i)).unwrap()
        };
        prop_assert_eq!(over(&run), Some(trees.root()));
        for position in [0, run.len() / 2, run.len() - 1] {
            let mut altered = run.clone();
            altered[position].0[31] ^= 0x80;
            prop_assert_ne!(over(&altered), Some(trees.root()));
        }
    }

    #[test]
    fn nodes_come_back_from_tiles(size in 1_u64..5000, at in any::<prop::sample::Index>(), level in 0_u32..13) {
        let trees = Trees::of(size);
        let nodes = size >> level;
        prop_assume!(nodes > 0);
        let index = at.index(usize::try_from(nodes).unwrap()) as u64;
        let tile = |tile: Tile| {
            let Level::Hashes(of) = tile.level else { panic!("hashes are asked for") };
            let first = tile.number * tiles::WIDTH;
            let run = (first..first + tile.width).map(|at| trees.node(8 * of, at));
            run.collect::<Result<Vec<_>, _>>().map(|run| bytes(&run))
        };
        let node = tiles::node(level, index, trees.size(), tile).unwrap();
        prop_assert_eq!(node, Some(trees.node(level, index).unwrap()));
    }

    #[test]
    fn paths_of_tiles_are_read_as_they_read_them(
        path in "(entries|data|[0-9]{1,2})(/x00[0-9]|/x[0-9]{3}|/[0-9]{1,4}){0,3}/x?[0-9]{3}([.]p/[1-9][0-9]{0,2}|[.]p/0[0-9])?",
    ) {
        // Theirs falls over these.
        let (level, _) = path.split_once('/').unwrap();
        prop_assume!(level.parse().is_ok_and(|level: u32| level < 64) || level.len() > 2);
        prop_assume!(!path.ends_with("/00") && !path.ends_with(".p/0"));
        let theirs = tlog_tiles::Tile::from_path(&format!("tile/8/{}", path.replace("entries", "data")));
        // Theirs takes `data`, which C2SP does not have.
        let theirs = theirs.ok().filter(|_| !path.contains("data"));
        let ours = Tile::parse(&path);
        prop_assert_eq!(ours.is_some(), theirs.is_some(), "{:?}", theirs);
        if let (Some(ours), Some(theirs)) = (ours, theirs) {
            prop_assert_eq!((ours.number, ours.width), (theirs.level_index(), u64::from(theirs.width())));
            prop_assert_eq!(ours.to_string(), path);
        }
    }

    #[test]
    fn checkpoints_are_read_as_they_read_them(
        origin in "[a-z./]{0,3}( |[+])?[a-z]{0,3}", size in "0?[0-9]{1,20}", root in any::<[u8; 32]>(),
        tail in "(|\n|more\n)",
    ) {
        let root = tlog::Hash(root);
        let text = format!("{origin}\n{size}\n{root}\n{tail}");
        let theirs = tlog_tiles::Checkpoint::from_bytes(text.as_bytes());
        match (Checkpoint::parse(&text), theirs) {
            (Ok(ours), Ok(theirs)) => {
                let said = (theirs.origin(), theirs.size(), theirs.hash().0);
                prop_assert_eq!((ours.origin, ours.size.0, ours.root.0), said);
                prop_assert_eq!(ours.text().unwrap().as_bytes().to_vec(), theirs.to_bytes());
            }
            // Ours is the stricter: no extension lines, no spaces and no plus in an origin.
            (Err(_), _) => {}
            (Ok(ours), Err(_)) => prop_assert!(false, "only we take {ours:?}"),
        }
    }

    #[test]
    fn proofs_come_back_from_their_texts(
        index in 0_u64..1 << 56, path in prop::collection::vec(any::<[u8; 32]>(), 0..=56),
        extra in prop::option::of(any::<Vec<u8>>()),
    ) {
        let path: Vec<Hash> = path.into_iter().map(Hash).collect();
        let note = "o\n1\nroot\n\n\u{2014} o sig\n".to_owned();
        let proof = InclusionProof { extra, index: LeafIndex(index), path: path.clone(), note: note.clone() };
        prop_assert_eq!(InclusionProof::parse(&proof.to_string()), Ok(proof));
        let proof = ConsistencyProof { old: TreeSize(index), path, note };
        prop_assert_eq!(ConsistencyProof::parse(&proof.to_string()), Ok(proof));
    }
}
