//! What a round is made of, part by part: `cargo bench -p assent --bench parts`.
//!
//! The tree of a round and its batches' proofs; a signature through the signer's process, verified; the commit. They come one
//! behind the other in the sealer, so the sum is what a round takes there. What stands before them is in `decide`, what an
//! executor does in `verify`; how long the real thing takes, with everything between, `assent bench` measures.

#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a benchmark may fail as loudly as a test"
)]

#[path = "../tests/end_to_end/support/not_run.rs"]
mod not_run;
#[path = "../tests/hsm_door/scratch.rs"]
#[expect(dead_code, reason = "tests need more of it")]
mod scratch;
#[path = "../appliance/log/tests/verification/synthetic.rs"]
mod synthetic;

use std::hint::black_box;
use std::time::Duration;

use appliance::clock::Stopwatch;
use assent_proto::checkpoint::Checkpoint;
use assent_proto::hash::Hash;
use assent_proto::note::VerifierKey;
use assent_proto::number::LeafIndex;
use assent_proto::tree::{Frontier, Range, Run};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use scratch::{PATIENCE, Scratch};
use synthetic::{ORIGIN, Synthetic};

/// Batches of a round, and the intents of each: a lone intent, those of many small agents, one large batch, many of them.
const ROUNDS: [(usize, usize); 4] = [(1, 1), (18, 1), (1, 1024), (16, 1024)];
/// Leaves in the log before the round.
const BEFORE: u64 = 1_000_000;

/// Appends a round to the log's tree, and takes each batch's proof from it.
fn tree(criterion: &mut Criterion) {
    let mut before = Frontier::new();
    (0..BEFORE).for_each(|leaf| before.append(Hash::of_leaf(&leaf.to_be_bytes())).expect("room"));
    let mut group = criterion.benchmark_group("tree");
    for (batches, intents) in ROUNDS {
        let leaves: Vec<Hash> =
            (0..batches * intents).map(|leaf| Hash::of_leaf(&leaf.to_le_bytes())).collect();
        group.throughput(Throughput::Elements(leaves.len() as u64));
        group.bench_function(BenchmarkId::from_parameter(format!("{batches} x {intents}")), |bencher| {
            bencher.iter(|| {
                let mut nodes = black_box(&leaves).clone();
                nodes.resize(Range::nodes_needed(leaves.len()), Hash::default());
                let run = Run::new(LeafIndex(BEFORE), leaves.len(), nodes).expect("a run");
                let mut tree = before.clone();
                tree.append_run(&run).expect("room");
                let range = run.range(tree.size(), before.subtrees()).expect("a range");
                for batch in 0..batches {
                    let first = LeafIndex(BEFORE + (batch * intents) as u64);
                    black_box(range.proof(first, intents).expect("a proof"));
                }
                tree.root()
            });
        });
    }
    group.finish();
}

/// Has the signer's process sign a checkpoint, and verifies it, as the sealer does.
fn signature(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("signature");
    let at_hand = [Scratch::softhsm(), Some(Scratch::simulator())];
    for scratch in at_hand.iter().flatten() {
        let (mut signer, _told) = scratch.keyed().signer();
        let key = VerifierKey::new(ORIGIN, &signer.identity().public_key).expect("a key");
        let mut tree = Frontier::new();
        let name = if scratch.is_simulator() { "firmware-sim" } else { "SoftHSM2" };
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                tree.append(Hash::of_leaf(b"leaf")).expect("room");
                let checkpoint = Checkpoint { origin: ORIGIN, size: tree.size(), root: tree.root() };
                let text = checkpoint.text().expect("a text");
                let signature = signer.sign(text.as_bytes(), PATIENCE).expect("a signature");
                key.verify(text.as_bytes(), &signature).expect("it is of that key");
            });
        });
    }
    group.finish();
}

/// Commits a round that is sealed by a software key, whose signature and proofs are in it.
fn commit(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("commit");
    group.sample_size(20);
    for (batches, intents) in ROUNDS {
        let mut log = Synthetic::started();
        group.throughput(Throughput::Elements((batches * intents) as u64));
        group.bench_function(BenchmarkId::from_parameter(format!("{batches} x {intents}")), |bencher| {
            bencher.iter_custom(|times| {
                let mut spent = Duration::ZERO;
                for _ in 0..times {
                    let round: Vec<_> = (0..batches).map(|_| log.decide(intents, 0)).collect();
                    let watch = Stopwatch::start();
                    log.seal(&round, true);
                    spent += watch.elapsed();
                }
                spent
            });
        });
    }
    group.finish();
}

criterion_group!(benches, tree, signature, commit);
criterion_main!(benches);
