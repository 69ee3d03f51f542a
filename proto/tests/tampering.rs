//! Tokens that were tampered with, and a cache that an enemy may feed: no flipped bit verifies, nothing but a signature
//! gets a checkpoint remembered.

#![expect(clippy::unwrap_used, reason = "the functions beside the tests may fail as loudly as the tests")]

use assent_proto::checkpoint::Checkpoint;
use assent_proto::entry::{Allow, Entry, Grounds, Policies, Salt};
use assent_proto::hash::Hash;
use assent_proto::intent::{Act, Uid};
use assent_proto::limits::MAX_TOKEN_BYTES;
use assent_proto::note::{KeyId, VerifierKey};
use assent_proto::number::{Epoch, LeafIndex, Timestamp, TreeSize};
use assent_proto::token::{self, HEAD_BYTES, TokenError};
use assent_proto::verify::{CheckpointCache, Expected, TrustedKey, VerifyError, verify, verify_checkpoint};
use assent_proto::wire::SignedCheckpoint;
use ed25519_dalek::{Signer as _, SigningKey};
use proptest::prelude::*;

#[expect(dead_code, reason = "roots and inclusion proofs suffice here")]
mod naive;

const ORIGIN: &str = "log.example/appliance/log/1";
const NOW: Timestamp = Timestamp(1_790_000_000_000);
/// An action, a resource, an empty context.
const ACT: &[u8] = b"\x01A\x01a\x01R\x01r\x00";

fn leaf(uses: u16) -> Vec<u8> {
    let entry = Entry::Allow(Allow {
        salt: Salt([9; 16]),
        time: NOW,
        epoch: Epoch(1),
        bundle: Hash([2; 32]),
        principal: "spiffe://example/agent",
        audience: "executor",
        action: Uid { type_name: "A", id: "a" },
        resource: Uid { type_name: "R", id: "r" },
        intent: Act::parse(ACT).unwrap().digest(),
        not_before: NOW,
        not_after: NOW.plus_ms(1000),
        uses,
        risk: 0,
        grounds: Grounds::Policy,
        policies: Policies::default(),
    });
    let mut bytes = Vec::new();
    entry.append(&mut bytes).unwrap();
    bytes
}

/// A token of leaf `index` under a checkpoint of these leaves, signed by `key` and said to be by `id`.
fn token(leaves: &[Vec<u8>], index: usize, key: &SigningKey, id: KeyId) -> Vec<u8> {
    let size = TreeSize(leaves.len() as u64);
    let text = Checkpoint { origin: ORIGIN, size, root: naive::root(leaves) }.text().unwrap();
    let (body, path) = (leaves.get(index).unwrap().get(16..).unwrap(), naive::path(index, leaves));
    let (index, signature) = (LeafIndex(index as u64), key.sign(text.as_bytes()).to_bytes());
    let mut out = Vec::new();
    token::append(id, size, index, body, &path, &signature, &mut out);
    out
}

/// A log of seven leaves, all allows, and two keys, the first of which an executor trusts.
struct Scene {
    leaves: Vec<Vec<u8>>,
    keys: [SigningKey; 2],
}

impl Scene {
    fn new() -> Self {
        let keys = [[1; 32], [2; 32]].map(|seed| SigningKey::from_bytes(&seed));
        Self { leaves: (1..8).map(leaf).collect(), keys }
    }

    fn key(&self, number: usize) -> VerifierKey<'static> {
        VerifierKey::new(ORIGIN, self.keys.get(number).unwrap().verifying_key().as_bytes()).unwrap()
    }

    fn token(&self, index: usize) -> Vec<u8> {
        token(&self.leaves, index, &self.keys[0], self.key(0).id())
    }

    fn verify(&self, token: &[u8], cache: &mut CheckpointCache) -> Result<LeafIndex, VerifyError> {
        self.verify_under(&[self.key(0)], token, cache)
    }

    fn verify_under(
        &self,
        keys: &[VerifierKey<'_>],
        token: &[u8],
        cache: &mut CheckpointCache,
    ) -> Result<LeafIndex, VerifyError> {
        let trusted = |key: &VerifierKey<'_>| (*key.key().as_bytes(), key.name().to_owned());
        let owned: Vec<_> = keys.iter().map(trusted).collect();
        let keys: Vec<_> = owned
            .iter()
            .map(|(key, name)| TrustedKey {
                key: VerifierKey::new(name, key).unwrap(),
                not_before: Timestamp(0),
                not_after: Timestamp(u64::MAX),
            })
            .collect();
        let expected = Expected {
            keys: &keys,
            audience: "executor",
            act: &Act::parse(ACT).unwrap(),
            principal: None,
            now: NOW,
            skew_ms: 0,
            window_cap_ms: 1000,
            lowest_epoch: Epoch(0),
            break_glass: false,
            warrants: &[],
        };
        verify(token, &expected, cache).map(|token| token.identity().1)
    }
}

#[test]
fn every_flipped_bit_is_refused() {
    let scene = Scene::new();
    let token = scene.token(4);
    assert_eq!(scene.verify(&token, &mut CheckpointCache::new()), Ok(LeafIndex(4)));
    for (at, bit) in (0..token.len()).flat_map(|at| (0..8).map(move |bit| (at, bit))) {
        let mut flipped = token.clone();
        flipped[at] ^= 1 << bit;
        let outcome = scene.verify(&flipped, &mut CheckpointCache::new());
        assert!(outcome.is_err(), "bit {bit} of byte {at} flipped: {outcome:?}");
    }
}

#[test]
fn every_flipped_bit_is_refused_when_the_checkpoint_is_remembered() {
    let scene = Scene::new();
    let (token, mut cache) = (scene.token(4), CheckpointCache::new());
    scene.verify(&token, &mut cache).unwrap();
    for (at, bit) in (0..token.len()).flat_map(|at| (0..8).map(move |bit| (at, bit))) {
        let mut flipped = token.clone();
        flipped[at] ^= 1 << bit;
        let outcome = scene.verify(&flipped, &mut cache);
        assert!(outcome.is_err(), "bit {bit} of byte {at} flipped: {outcome:?}");
    }
}

#[test]
fn every_shorter_and_every_longer_token_is_refused() {
    let scene = Scene::new();
    let (token, mut cache) = (scene.token(4), CheckpointCache::new());
    scene.verify(&token, &mut cache).unwrap();
    for length in 0..token.len() {
        assert!(scene.verify(&token[..length], &mut cache).is_err(), "{length} bytes of {}", token.len());
    }
    for extra in 1..100 {
        let longer = [&*token, &vec![0; extra]].concat();
        assert!(scene.verify(&longer, &mut cache).is_err(), "{extra} bytes to spare");
    }
}

#[test]
fn one_leaf_has_one_identity_under_every_checkpoint() {
    let scene = Scene::new();
    let key = &scene.keys[0];
    for size in 5..=7 {
        let token = token(&scene.leaves[..size], 4, key, scene.key(0).id());
        assert_eq!(scene.verify(&token, &mut CheckpointCache::new()), Ok(LeafIndex(4)));
    }
}

#[test]
fn refused_token_gets_nothing_remembered() {
    let scene = Scene::new();
    let mut cache = CheckpointCache::new();
    let mut forged = scene.token(4);
    let signature = forged.len() - 1;
    forged[signature] ^= 1;
    for _ in 0..3 {
        assert_eq!(scene.verify(&forged, &mut cache), Err(VerifyError::Signature));
    }
}

#[test]
fn checkpoint_that_another_key_signed_is_not_remembered_for_ours() {
    let scene = Scene::new();
    let mut cache = CheckpointCache::new();
    // The second key signs a log of its own making; an executor that trusts it remembers the checkpoint.
    let theirs = token(&scene.leaves, 4, &scene.keys[1], scene.key(1).id());
    assert_eq!(scene.verify_under(&[scene.key(1)], &theirs, &mut cache), Ok(LeafIndex(4)));
    // The same root under our key's ID, with their signature, finds nothing in the same cache.
    let as_ours = token(&scene.leaves, 4, &scene.keys[1], scene.key(0).id());
    assert_eq!(scene.verify(&as_ours, &mut cache), Err(VerifyError::Signature));
    assert_eq!(scene.verify(&theirs, &mut cache), Err(VerifyError::UntrustedKey));
}

#[test]
fn checkpoint_of_another_origin_is_not_remembered_for_ours() {
    let scene = Scene::new();
    let (mut cache, key) = (CheckpointCache::new(), scene.keys[0].verifying_key());
    let token = scene.token(4);
    scene.verify(&token, &mut cache).unwrap();
    let elsewhere = VerifierKey::new("log.example/appliance/log/2", key.as_bytes()).unwrap();
    let mut moved = token;
    moved[1..5].copy_from_slice(&elsewhere.id().0);
    assert_eq!(scene.verify_under(&[elsewhere], &moved, &mut cache), Err(VerifyError::Signature));
}

#[test]
fn remembered_root_does_not_stand_for_another_size() {
    let scene = Scene::new();
    let mut cache = CheckpointCache::new();
    let token = scene.token(4);
    scene.verify(&token, &mut cache).unwrap();
    // Leaf 4 has a path of the same shape in trees of 7 and 8 leaves, so the root comes out the same.
    let mut larger = token;
    larger[12] = 8;
    assert_eq!(scene.verify(&larger, &mut cache), Err(VerifyError::Signature));
}

#[test]
fn checkpoint_that_was_pushed_is_verified_like_a_token_and_remembered_once() {
    let scene = Scene::new();
    let (size, root, time) = (TreeSize(7), naive::root(&scene.leaves), NOW);
    let text = Checkpoint { origin: ORIGIN, size, root }.text().unwrap();
    let signature = scene.keys[0].sign(text.as_bytes()).to_bytes();
    let signed = SignedCheckpoint { time, size, root, key_id: scene.key(0).id(), signature };
    let between =
        |key, not_before, not_after| [TrustedKey { key, not_before: Timestamp(not_before), not_after }];
    let trust = between(scene.key(0), 0, NOW);
    let push = |signed: &SignedCheckpoint, keys: &[TrustedKey<'static>], cache: &mut CheckpointCache| {
        verify_checkpoint(signed, keys, NOW, cache).map(|key| key.name())
    };
    let mut cache = CheckpointCache::new();
    let wrong = [
        (SignedCheckpoint { size: TreeSize(8), ..signed }, VerifyError::Signature),
        (SignedCheckpoint { root: Hash([0; 32]), ..signed }, VerifyError::Signature),
        (SignedCheckpoint { signature: [0; 64], ..signed }, VerifyError::Signature),
        (SignedCheckpoint { key_id: scene.key(1).id(), ..signed }, VerifyError::UntrustedKey),
        (SignedCheckpoint { time: NOW.plus_ms(1), ..signed }, VerifyError::UntrustedKey),
    ];
    for (signed, error) in wrong {
        assert_eq!(push(&signed, &trust, &mut cache), Err(error));
    }
    assert_eq!(push(&signed, &between(scene.key(1), 0, NOW), &mut cache), Err(VerifyError::UntrustedKey));
    assert_eq!(cache.len(), 0, "what was refused is not remembered");
    for _ in 0..3 {
        assert_eq!(push(&signed, &trust, &mut cache), Ok(ORIGIN));
    }
    assert_eq!(cache.len(), 1);
    assert_eq!(scene.verify(&scene.token(4), &mut cache), Ok(LeafIndex(4)));
    assert_eq!(cache.len(), 1, "its tokens need no second look at the signature");
    let expired = between(scene.key(0), 0, NOW.minus_ms(1));
    assert_eq!(push(&signed, &expired, &mut cache), Err(VerifyError::UntrustedKey), "remembered or not");
}

#[test]
fn flood_of_checkpoints_costs_checks_and_never_answers() {
    let scene = Scene::new();
    let mut cache = CheckpointCache::new();
    let first = scene.token(4);
    scene.verify(&first, &mut cache).unwrap();
    let mut forged = first.clone();
    forged.last_chunk_mut::<64>().unwrap().fill(7);
    assert_eq!(
        scene.verify(&forged, &mut cache),
        Err(VerifyError::Signature),
        "what is remembered is a signature"
    );
    // Enough others to push it out of the cache.
    for uses in 100..300 {
        let leaves = [leaf(uses)];
        let token = token(&leaves, 0, &scene.keys[0], scene.key(0).id());
        scene.verify(&token, &mut cache).unwrap();
    }
    assert_eq!(scene.verify(&forged, &mut cache), Err(VerifyError::Signature));
    assert_eq!(scene.verify(&first, &mut cache), Ok(LeafIndex(4)));
}

#[test]
fn body_of_one_leaf_does_not_verify_at_another() {
    let scene = Scene::new();
    for (mine, theirs) in (0..7).flat_map(|mine| (0..7).map(move |theirs| (mine, theirs))) {
        let (mut token, other) = (scene.token(mine), &scene.leaves[theirs][16..]);
        token.splice(HEAD_BYTES..HEAD_BYTES + other.len(), other.iter().copied());
        let expected = if mine == theirs { Ok(LeafIndex(mine as u64)) } else { Err(VerifyError::Signature) };
        assert_eq!(scene.verify(&token, &mut CheckpointCache::new()), expected);
    }
}

#[test]
fn text_longer_than_any_token_is_refused() {
    let text = format!("{}{}", token::TEXT_PREFIX, "A".repeat(MAX_TOKEN_BYTES * 4 / 3 + 4));
    let mut buffer = [0; MAX_TOKEN_BYTES];
    assert_eq!(token::parse_text(&text, &mut buffer), Err(TokenError::Length));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_damage_is_refused(
        at in any::<prop::sample::Index>(),
        bytes in proptest::collection::vec(any::<u8>(), 1..40),
    ) {
        let scene = Scene::new();
        let token = scene.token(4);
        let mut damaged = token.clone();
        let from = at.index(token.len());
        damaged.splice(from..token.len().min(from + bytes.len()), bytes);
        prop_assume!(damaged != token);
        prop_assert!(scene.verify(&damaged, &mut CheckpointCache::new()).is_err());
    }

    #[test]
    fn any_bytes_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        prop_assert!(Scene::new().verify(&bytes, &mut CheckpointCache::new()).is_err());
    }
}
