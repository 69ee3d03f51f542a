//! What an executor pays for the first token under a checkpoint, one strict signature check; and for that check alone, its floor.
//!
//! A further token takes a whole round to measure, for the same one again would be remembered: `assent bench` does, and
//! measures a JWT, PASETO and Biscuit beside both.

#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a benchmark that cannot go on stops")]

use std::hint::black_box;

use assent_proto::checkpoint::Checkpoint;
use assent_proto::codec::Cursor;
use assent_proto::context::Context;
use assent_proto::entry::{Allow, Entry, Grounds, Policies, Salt};
use assent_proto::hash::Hash;
use assent_proto::intent::{Act, Uid};
use assent_proto::note::VerifierKey;
use assent_proto::number::{Epoch, LeafIndex, Timestamp};
use assent_proto::token;
use assent_proto::tree::{Frontier, Range};
use assent_proto::verify::{CheckpointCache, Expected, TrustedKey, verify};
use criterion::{Criterion, criterion_group, criterion_main};
use ed25519_dalek::{Signer as _, SigningKey};

/// Leaves in the log before the round, and in the round.
const BEFORE: u64 = 1_000_000;
const ROUND: usize = 1024;
const ORIGIN: &str = "localhost/bench/log/1";
const NOW: Timestamp = Timestamp(1_795_000_000_000);

fn act_bytes() -> Vec<u8> {
    let mut bytes = Vec::new();
    Uid { type_name: "Retail::Action", id: "cancel_pending_order" }.append(&mut bytes);
    Uid { type_name: "Retail::Order", id: "#W5765741" }.append(&mut bytes);
    bytes.extend([1, 6]);
    bytes.extend(b"reason");
    bytes.extend([2, 18]);
    bytes.extend(b"ordered by mistake");
    assert!(Context::read(&mut Cursor::new(&bytes[bytes.len() - 28..])).is_ok());
    bytes
}

/// A token in the middle of a round, in a log of a million leaves.
fn token(signing: &SigningKey, act: &Act<'_>) -> Vec<u8> {
    let allow = Allow {
        salt: Salt([7; 16]),
        time: NOW,
        epoch: Epoch(3),
        bundle: Hash([9; 32]),
        principal: "spiffe://assent.test/agent/retail-support",
        audience: "store-api",
        action: act.action,
        resource: act.resource,
        intent: act.digest(),
        not_before: NOW,
        not_after: NOW.plus_ms(300_000),
        uses: 1,
        risk: 40,
        grounds: Grounds::Policy,
        policies: ["cancel-or-redirect-own-pending-order"].into_iter().collect::<Policies<'_>>(),
    };
    let mut leaf = Vec::new();
    Entry::Allow(allow).append(&mut leaf).expect("an entry");
    let mut tree = Frontier::new();
    (0..BEFORE).for_each(|leaf| tree.append(Hash::of_leaf(&leaf.to_be_bytes())).expect("a leaf"));
    let before = tree.clone();
    let mut nodes: Vec<Hash> = (0..ROUND as u64).map(|leaf| Hash::of_leaf(&leaf.to_le_bytes())).collect();
    nodes[ROUND / 2] = Hash::of_leaf(&leaf);
    nodes.iter().for_each(|hash| tree.append(*hash).expect("a leaf"));
    nodes.resize(Range::nodes_needed(ROUND), Hash::default());
    let range =
        Range::new(LeafIndex(BEFORE), ROUND, tree.size(), before.subtrees(), &mut nodes).expect("a range");
    let index = LeafIndex(BEFORE + ROUND as u64 / 2);
    let checkpoint = Checkpoint { origin: ORIGIN, size: tree.size(), root: tree.root() };
    let signature = signing.sign(checkpoint.text().expect("a text").as_bytes()).to_bytes();
    let key = VerifierKey::new(ORIGIN, signing.verifying_key().as_bytes()).expect("a key");
    let (body, path) = (&leaf[16..], range.path(index).expect("a path"));
    let mut bytes = Vec::new();
    token::append(key.id(), tree.size(), index, body, &path, &signature, &mut bytes);
    bytes
}

fn assent(c: &mut Criterion) {
    let signing = SigningKey::from_bytes(&[42; 32]);
    let bytes = act_bytes();
    let act = Act::parse(&bytes).expect("an act");
    let token = token(&signing, &act);
    println!("a token of {} bytes", token.len());
    let key = VerifierKey::new(ORIGIN, signing.verifying_key().as_bytes()).expect("a key");
    let keys = [TrustedKey { key, not_before: Timestamp(0), not_after: Timestamp(u64::MAX) }];
    let expected = Expected {
        keys: &keys,
        audience: "store-api",
        act: &act,
        principal: None,
        now: NOW,
        skew_ms: 1000,
        window_cap_ms: 600_000,
        lowest_epoch: Epoch(0),
        break_glass: false,
        warrants: &[],
    };
    c.bench_function("token_cold", |b| {
        b.iter(|| {
            verify(black_box(&token), &expected, &mut CheckpointCache::new())
                .expect("a good token")
                .identity()
        });
    });
    let text = b"localhost/bench/log/1\n1001024\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n";
    let signature = signing.sign(text);
    let verifying = signing.verifying_key();
    c.bench_function("bare_verify_strict", |b| {
        b.iter(|| verifying.verify_strict(black_box(text), &signature).expect("a good signature"));
    });
}

criterion_group!(benches, assent);
criterion_main!(benches);
