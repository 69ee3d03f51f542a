//! The tree: the leaves of the certificate-transparency test vectors, and every proof over them.

use assent_proto::hash::Hash;

use super::File;
use crate::naive;

/// The roots of the trees of the first 0, 1, ... of these leaves, as certificate-transparency published them.
const ROOTS: [&str; 9] = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];

fn leaves() -> Vec<Vec<u8>> {
    let leaves: [&[u8]; 8] = [
        b"",
        b"\x00",
        b"\x10",
        b"\x20\x21",
        b"\x30\x31",
        b"\x40\x41\x42\x43",
        b"\x50\x51\x52\x53\x54\x55\x56\x57",
        b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
    ];
    leaves.map(<[u8]>::to_vec).to_vec()
}

pub(super) fn roots() -> String {
    let mut file = File::new(
        "tree-roots",
        &["Root hashes (RFC 6962 section 2.1) of the certificate-transparency leaves."],
    );
    for (count, root) in ROOTS.iter().enumerate() {
        file.case(&format!("{count} leaves"));
        for leaf in &leaves()[..count] {
            file.bytes("leaf", leaf);
        }
        file.field("root", root);
    }
    file.0
}

struct Inclusion {
    leaf: Vec<u8>,
    index: u64,
    size: u64,
    path: Vec<Hash>,
    root: Hash,
}

impl Inclusion {
    fn of(index: usize, size: usize) -> Self {
        let (tree, leaf) = (&leaves()[..size], leaves()[index].clone());
        let (path, root) = (naive::path(index, tree), naive::root(tree));
        Self { leaf, index: index as u64, size: size as u64, path, root }
    }

    fn write(&self, file: &mut File, name: &str, result: &str) {
        file.case(name).bytes("leaf", &self.leaf).field("index", self.index).field("size", self.size);
        file.hashes("path", &self.path).field("root", self.root).field("result", result);
    }
}

pub(super) fn inclusion() -> String {
    let about = ["Inclusion proofs (RFC 9162 section 2.1.3): does the path lead from leaf to root?"];
    let mut file = File::new("tree-inclusion", &about);
    for size in 1..=8 {
        for index in 0..size {
            Inclusion::of(index, size).write(&mut file, &format!("leaf {index} of {size}"), "ok");
        }
    }
    let alike = Inclusion { size: 8, ..Inclusion::of(4, 7) };
    alike.write(&mut file, "another size of the same shape: only a signed checkpoint binds the size", "ok");
    let mut refuse = |name: &str, alter: fn(&mut Inclusion)| {
        let mut proof = Inclusion::of(4, 7);
        alter(&mut proof);
        proof.write(&mut file, name, "refused");
    };
    refuse("index altered", |proof| proof.index = 5);
    refuse("size altered to one with a shorter path", |proof| proof.size = 5);
    refuse("size altered to one with a longer path", |proof| proof.size = 9);
    refuse("index at the size", |proof| proof.index = 7);
    refuse("tree without leaves", |proof| (proof.index, proof.size) = (0, 0));
    refuse("path under-long", |proof| proof.path.truncate(2));
    refuse("path over-long", |proof| proof.path.push(Hash([0; 32])));
    refuse("path in another order", |proof| proof.path.reverse());
    refuse("hash of the path altered", |proof| proof.path[1].0[31] ^= 1);
    refuse("leaf altered", |proof| proof.leaf[0] ^= 1);
    refuse("node presented as leaf", |proof| {
        // The node above leaves 4 and 5, in the tree whose leaves are the nodes of the first level.
        let children = [naive::root(&leaves()[4..5]), naive::root(&leaves()[5..6])];
        (proof.leaf, proof.index, proof.size) = (children.map(|hash| hash.0).concat(), 2, 4);
        proof.path.remove(0);
    });
    file.0
}

struct Consistency {
    old_size: u64,
    old_root: Hash,
    size: u64,
    root: Hash,
    proof: Vec<Hash>,
}

impl Consistency {
    fn of(old: usize, size: usize) -> Self {
        let (tree, proof) = (&leaves()[..size], naive::consistency(old, &leaves()[..size]));
        let (old_root, root) = (naive::root(&tree[..old]), naive::root(tree));
        Self { old_size: old as u64, old_root, size: size as u64, root, proof }
    }

    fn write(&self, file: &mut File, name: &str, result: &str) {
        file.case(name).field("old-size", self.old_size).field("old-root", self.old_root);
        file.field("size", self.size).field("root", self.root);
        file.hashes("proof", &self.proof).field("result", result);
    }
}

pub(super) fn consistency() -> String {
    let about = ["Consistency proofs (RFC 9162 section 2.1.4): does the old tree begin the new one?"];
    let mut file = File::new("tree-consistency", &about);
    for size in 1..=8 {
        for old in 1..=size {
            Consistency::of(old, size).write(&mut file, &format!("{old} begins {size}"), "ok");
        }
    }
    let empty =
        Consistency { old_size: 0, old_root: naive::root(&[]), proof: Vec::new(), ..Consistency::of(5, 5) };
    empty.write(&mut file, "the empty tree begins every tree", "ok");
    let mut refuse = |name: &str, alter: fn(&mut Consistency)| {
        let mut proof = Consistency::of(3, 7);
        alter(&mut proof);
        proof.write(&mut file, name, "refused");
    };
    refuse("old size altered", |proof| proof.old_size = 4);
    refuse("size altered to one with a shorter proof", |proof| proof.size = 4);
    refuse("size altered to one with a longer proof", |proof| proof.size = 9);
    refuse("old root of a fork", |proof| proof.old_root.0[0] ^= 1);
    refuse("root of a fork", |proof| proof.root.0[0] ^= 1);
    refuse("proof under-long", |proof| proof.proof.truncate(2));
    refuse("proof over-long", |proof| proof.proof.push(Hash([0; 32])));
    refuse("tree shrunk", |proof| {
        (proof.old_size, proof.size) = (7, 3);
        (proof.old_root, proof.root) = (proof.root, proof.old_root);
    });
    refuse("one size with two roots", |proof| {
        (proof.old_size, proof.size) = (3, 3);
        proof.proof.clear();
    });
    file.0
}

pub(super) fn ranges() -> String {
    let about = [
        "Range proofs: the subtrees left of the run, largest first, then the siblings right of its last leaf, lowest",
        "first. Where the result is ok the run leads to the root.",
    ];
    let mut file = File::new("tree-ranges", &about);
    let mut write =
        |name: &str, (start, run, size): (u64, &[Vec<u8>], u64), proof: &[Hash], root, result: &str| {
            file.case(name).field("start", start).field("size", size);
            for leaf in run {
                file.bytes("leaf", leaf);
            }
            file.hashes("proof", proof).field("root", root).field("result", result);
        };
    let all = leaves();
    for size in [1, 5, 7, 8] {
        for (start, end) in (0..size).flat_map(|start| (start + 1..=size).map(move |end| (start, end))) {
            let (tree, run) = (&all[..size], &all[start..end]);
            let proof = naive::range(start, end, tree);
            let name = format!("leaves {start} to {end} of {size}");
            write(&name, (start as u64, run, size as u64), &proof, naive::root(tree), "ok");
        }
    }
    let (run, root, proof) = (&all[2..5], naive::root(&all[..7]), naive::range(2, 5, &all[..7]));
    let mut swapped = run.to_vec();
    swapped.swap(0, 1);
    let more = [&*proof, &[root]].concat();
    write("start altered", (1, run, 7), &proof, root, "refused");
    write("size altered to one with a shorter proof", (2, run, 5), &proof, root, "refused");
    write("size altered to one with a longer proof", (2, run, 9), &proof, root, "refused");
    write("leaves swapped", (2, &swapped, 7), &proof, root, "refused");
    write("proof under-long", (2, run, 7), &proof[1..], root, "refused");
    write("proof over-long", (2, run, 7), &more, root, "refused");
    write("run without leaves", (2, &[], 7), &proof, root, "refused");
    write("run beyond the tree", (5, run, 7), &proof, root, "refused");
    write("tree larger than a log", (2, run, 1 << 56), &proof, root, "refused");
    file.0
}
