//! The ring against a log that hands over: whatever a kill leaves behind, one key is in force, and no key comes back.

use std::path::PathBuf;

use assent_proto::checkpoint::Checkpoint;
use assent_proto::entry::{Entry, KeyAdded, Rearm, Salt};
use assent_proto::note::KeyId;
use assent_proto::number::{Epoch, LeafIndex};
use assent_proto::verify::TrustedKey;
use ed25519_dalek::{Signer as _, SigningKey};
use tempfile::TempDir;

use super::*;
use crate::reader::Reader;
use crate::store::{Identity, Store};
use crate::verification::{Report, Verification};
use crate::{Commit, Leaves, Log, OpenError, Unsigned};

const ORIGIN: &str = "localhost/test/log/1";

/// A log with its ring, and software keys that stand for those of an HSM: key 1 founds it.
struct Scratch {
    folder: TempDir,
}

impl Scratch {
    fn new() -> Self {
        let scratch = Self { folder: tempfile::tempdir().unwrap() };
        let key = key(1);
        Keyring::found(&scratch.path("ring"), &key, &[1], Timestamp(1)).unwrap();
        let identity = Identity::new(ORIGIN, &key.to_string());
        Store::create(&scratch.path("log"), &identity).unwrap();
        scratch
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn ring(&self) -> Keyring {
        Keyring::load(&self.path("ring")).unwrap().unwrap()
    }

    fn refuses_ring(&self, bytes: &[u8]) {
        std::fs::write(self.path("ring"), bytes).unwrap();
        let loaded = Keyring::load(&self.path("ring"));
        let text = String::from_utf8_lossy(bytes);
        assert!(matches!(loaded, Err(KeyringError::Malformed { .. })), "{text}");
    }

    fn open(&self) -> Result<Log, OpenError> {
        Log::open(&self.path("log"), &self.path("fence"), self.ring())
    }

    /// A log whose founding round names key 1.
    fn founded(&self) -> Log {
        let mut log = self.open().unwrap();
        append(&mut log, Some(1), &[1]);
        log.advance_fence().unwrap();
        log
    }

    fn announce(log: &mut Log, number: u8) {
        let public_key = *signing(number).verifying_key().as_bytes();
        log.announce(&format!("{number:02x}"), &public_key, Timestamp(2)).unwrap();
    }

    fn verify(&self, trusted: &[u8]) -> Report {
        let ever = |number: &u8| TrustedKey {
            key: key(*number),
            not_before: Timestamp(0),
            not_after: Timestamp(u64::MAX),
        };
        let trusted: Vec<_> = trusted.iter().map(ever).collect();
        let store = Reader::open(&self.path("log")).unwrap();
        Verification::new(ORIGIN, &trusted).run(store.rounds(LeafIndex(0)).unwrap(), |_| ()).unwrap()
    }
}

fn signing(number: u8) -> SigningKey {
    SigningKey::from_bytes(&[number; 32])
}

fn key(number: u8) -> VerifierKey<'static> {
    VerifierKey::new(ORIGIN, signing(number).verifying_key().as_bytes()).unwrap()
}

/// Appends a round of two entries, the first of which may name a key, signed by these keys.
fn append(log: &mut Log, names: Option<u8>, signers: &[u8]) {
    let time = Timestamp(log.frontier().size().0 + 10);
    let vkey = names.map(|number| key(number).to_string());
    let mut leaves = Leaves::default();
    if let Some(vkey) = &vkey {
        leaves.push(&Entry::Key(KeyAdded { salt: Salt([1; 16]), time, vkey })).unwrap();
    }
    leaves.push(&Entry::Rearm(Rearm { salt: Salt([2; 16]), time, epoch: Epoch(0) })).unwrap();
    let mut frontier = log.frontier().clone();
    leaves.hashes().iter().for_each(|hash| frontier.append(*hash).unwrap());
    let (size, root) = (frontier.size(), frontier.root());
    let text = Checkpoint { origin: ORIGIN, size, root }.text().unwrap();
    let mut signatures = signers.iter().map(|number| KeySignature {
        key_id: key(*number).id(),
        signature: signing(*number).sign(text.as_bytes()).to_bytes(),
    });
    let checkpoint = signatures.next().map(|KeySignature { key_id, signature }| SignedCheckpoint {
        size,
        root,
        key_id,
        signature,
        successor: signatures.next(),
    });
    let commit = Commit {
        first: LeafIndex(log.frontier().size().0),
        leaves: vec![&leaves],
        requests: Vec::new(),
        answers: Vec::new(),
        rows: Vec::new(),
        frontier: &frontier,
        checkpoint,
        epoch: Epoch(0),
        lowest_epoch: Epoch(0),
        unsigned: Unsigned::default(),
        time,
    };
    let _receipt = log.commit(&commit).unwrap();
}

#[test]
fn ring_leads_back_from_its_file() {
    let scratch = Scratch::new();
    let mut log = scratch.founded();
    Scratch::announce(&mut log, 2);
    assert_eq!(&scratch.ring(), log.keys());
    append(&mut log, Some(2), &[1, 2]);
    assert_eq!(&scratch.ring(), log.keys());
    assert_eq!(log.keys().signing().cka_id, "02");
    assert_eq!(log.keys().next(), None);
}

#[test]
fn log_that_handed_over_opens_and_goes_on_under_the_new_key() {
    let scratch = Scratch::new();
    let mut log = scratch.founded();
    Scratch::announce(&mut log, 2);
    append(&mut log, Some(2), &[1, 2]);
    // The fence still holds the last checkpoint of the old key.
    drop(log);
    let mut log = scratch.open().unwrap();
    log.advance_fence().unwrap();
    let note = std::fs::read_to_string(scratch.path("fence")).unwrap();
    assert_eq!(note.lines().filter(|line| line.starts_with('\u{2014}')).count(), 2, "{note}");
    drop(log);
    let mut log = scratch.open().expect("the fence at the boundary is ours by both keys");
    append(&mut log, None, &[2]);
    log.advance_fence().unwrap();
    drop(log);
    scratch.open().unwrap();
    let report = scratch.verify(&[1, 2]);
    assert!(report.verified(), "{:?}", report.findings);
    let keys: Vec<_> = report.keys.iter().map(|key| (key.from_size, key.checkpoints)).collect();
    assert_eq!((keys, report.checkpoints), (vec![(2, 2), (4, 2)], 3), "the boundary counts for both");
}

#[test]
fn kill_between_commit_and_ring_is_made_good_at_start() {
    let scratch = Scratch::new();
    let mut log = scratch.founded();
    Scratch::announce(&mut log, 2);
    let before = std::fs::read(scratch.path("ring")).unwrap();
    append(&mut log, Some(2), &[1, 2]);
    let finished = log.keys().clone();
    drop(log);
    std::fs::write(scratch.path("ring"), &before).unwrap();
    assert_eq!(scratch.ring().signing().cka_id, "01", "as a kill would have left it");
    let log = scratch.open().unwrap();
    assert_eq!(log.keys(), &finished, "its time included");
    drop(log);
    assert_eq!(scratch.ring(), finished, "and durable");
}

#[test]
fn kill_before_the_commit_leaves_the_old_key_signing() {
    let scratch = Scratch::new();
    let mut log = scratch.founded();
    Scratch::announce(&mut log, 2);
    drop(log);
    let mut log = scratch.open().unwrap();
    assert_eq!(
        (log.keys().signing().cka_id.as_str(), log.keys().at(TreeSize(9)).cka_id.as_str()),
        ("01", "01")
    );
    append(&mut log, None, &[1]);
    append(&mut log, Some(2), &[1, 2]);
    assert_eq!(log.keys().signing().cka_id, "02", "it can be tried again");
}

#[test]
fn checkpoint_at_the_boundary_needs_both_signatures_of_the_right_keys() {
    for signers in [&[1_u8, 3][..], &[3, 2], &[2, 1], &[2]] {
        let scratch = Scratch::new();
        let mut log = scratch.founded();
        Scratch::announce(&mut log, 2);
        let before = std::fs::read(scratch.path("ring")).unwrap();
        append(&mut log, Some(2), signers);
        drop(log);
        std::fs::write(scratch.path("ring"), &before).unwrap();
        assert!(matches!(scratch.open(), Err(OpenError::Signature)), "{signers:?}");
        assert!(!scratch.verify(&[1, 2, 3]).verified(), "{signers:?}");
    }
}

#[test]
fn key_that_handed_over_signs_nothing_more() {
    let scratch = Scratch::new();
    let mut log = scratch.founded();
    Scratch::announce(&mut log, 2);
    append(&mut log, Some(2), &[1, 2]);
    append(&mut log, None, &[1]);
    drop(log);
    assert!(matches!(scratch.open(), Err(OpenError::Signature)));
    let report = scratch.verify(&[1, 2]);
    assert!(report.findings[0].what.contains("which is in force"), "{:?}", report.findings);
}

#[test]
fn key_that_nobody_announced_does_not_take_over() {
    let scratch = Scratch::new();
    let mut log = scratch.founded();
    append(&mut log, None, &[2]);
    drop(log);
    assert!(matches!(scratch.open(), Err(OpenError::Signature)));
}

#[test]
fn older_log_beside_a_newer_ring_is_refused() {
    let scratch = Scratch::new();
    let mut log = scratch.founded();
    Scratch::announce(&mut log, 2);
    drop(log);
    let fence = std::fs::read(scratch.path("fence")).unwrap();
    std::fs::copy(scratch.path("log"), scratch.path("older")).unwrap();
    let mut log = scratch.open().unwrap();
    append(&mut log, Some(2), &[1, 2]);
    drop(log);
    std::fs::copy(scratch.path("older"), scratch.path("log")).unwrap();
    std::fs::write(scratch.path("fence"), fence).unwrap();
    assert!(matches!(scratch.open(), Err(OpenError::BehindRing { log: 2, ring: 4 })));
}

#[test]
fn auditor_with_the_newest_key_alone_can_follow_the_log_back() {
    let scratch = Scratch::new();
    let mut log = scratch.founded();
    Scratch::announce(&mut log, 2);
    append(&mut log, Some(2), &[1, 2]);
    append(&mut log, None, &[2]);
    drop(log);
    let report = scratch.verify(&[2]);
    assert!(report.verified(), "{:?}", report.findings);
    assert_eq!(report.keys.iter().map(|key| key.trusted).collect::<Vec<_>>(), [false, true]);
    let report = scratch.verify(&[1]);
    assert!(report.findings[0].what.contains("no trusted key"), "{:?}", report.findings);
    assert!(!scratch.verify(&[]).verified());
}

#[test]
fn key_that_is_named_without_a_checkpoint_is_told() {
    let scratch = Scratch::new();
    let mut log = scratch.founded();
    append(&mut log, Some(2), &[]);
    drop(log);
    let report = scratch.verify(&[1]);
    assert!(report.findings[0].what.contains("no checkpoint covered"), "{:?}", report.findings);
}

#[test]
fn no_key_comes_back_and_none_is_retired_too_soon() {
    let scratch = Scratch::new();
    let mut log = scratch.founded();
    let public = |number: u8| *signing(number).verifying_key().as_bytes();
    assert!(matches!(log.announce("01", &public(2), Timestamp(2)), Err(KeyRefusal::InUse(_))));
    assert!(matches!(log.announce("02", &public(1), Timestamp(2)), Err(KeyRefusal::SameKey(_))));
    assert!(matches!(log.announce("02", &[0; 32], Timestamp(2)), Err(KeyRefusal::Unusable { .. })));
    assert!(matches!(log.keys().announced("02"), Err(KeyRefusal::NotAnnounced(_))));
    assert!(matches!(log.retire("01", Timestamp(2)), Err(KeyRefusal::Signs(_))));
    Scratch::announce(&mut log, 2);
    assert!(matches!(log.retire("02", Timestamp(2)), Err(KeyRefusal::Unknown(_))));
    append(&mut log, Some(2), &[1, 2]);
    assert!(matches!(log.announce("01", &public(3), Timestamp(2)), Err(KeyRefusal::InUse(_))));
    assert!(matches!(log.keys().announced("01"), Err(KeyRefusal::InUse(_))));
    let over = over(log.keys().signing().since);
    let too_soon = log.retire("01", over).unwrap_err();
    assert!(matches!(too_soon, KeyRefusal::TokensOutstanding { left_ms: 1, .. }), "{too_soon}");
    log.retire("01", over.plus_ms(1)).unwrap();
    assert!(matches!(log.retire("01", over.plus_ms(2)), Err(KeyRefusal::Retired(_))));
    assert_eq!(&scratch.ring(), log.keys());
    assert!(matches!(log.announce("01", &public(3), Timestamp(2)), Err(KeyRefusal::InUse(_))));
}

#[test]
fn announced_twice_a_key_is_as_old_as_it_was() {
    let scratch = Scratch::new();
    let mut log = scratch.founded();
    let public = |number: u8| *signing(number).verifying_key().as_bytes();
    assert_eq!(log.announce("02", &public(2), Timestamp(5)).unwrap().announced, Timestamp(5));
    assert_eq!(log.announce("02", &public(2), Timestamp(9)).unwrap().announced, Timestamp(5));
    assert_eq!(log.announce("03", &public(3), Timestamp(9)).unwrap().announced, Timestamp(9));
    assert!(matches!(log.keys().announced("02"), Err(KeyRefusal::NotAnnounced(_))), "another was announced");
}

#[test]
fn damaged_rings_are_refused() {
    let scratch = Scratch::new();
    let mut log = scratch.founded();
    Scratch::announce(&mut log, 2);
    append(&mut log, Some(2), &[1, 2]);
    drop(log);
    let written = std::fs::read_to_string(scratch.path("ring")).unwrap();
    let good = written.rsplit_once(file::DIGEST).unwrap().0;
    let cases = [
        good.replace("from_size = 4", "from_size = 0"),
        good.replace("from_size = 0", "from_size = 1"),
        good.replace("cka_id = \"02\"", "cka_id = \"01\""),
        good.replace("cka_id = \"02\"", "cka_id = \"0A\""),
        good.replace("origin = \"localhost", "origin = \"elsewhere"),
        good.replace(&key(2).to_string(), &key(1).to_string()),
        good.replace("v1.keys", "v2.keys"),
        format!("{good}retired_ms = 5\n"),
        format!("{good}more = 5\n"),
        String::new(),
        format!("schema = \"assent.v1.keys\"\norigin = \"{ORIGIN}\"\nkey = []\n"),
    ];
    // Of all that the digest is right, so each is found out for what it says.
    for text in cases {
        assert_ne!(text, good);
        scratch.refuses_ring(file::with_digest(&text).as_bytes());
    }
    scratch.refuses_ring(good.as_bytes());
    for position in 0..written.len() {
        let mut flipped = written.clone().into_bytes();
        flipped[position] ^= 1 << (position % 8);
        scratch.refuses_ring(&flipped);
    }
    let unknown = SignedCheckpoint {
        size: TreeSize(2),
        root: assent_proto::hash::Hash::default(),
        key_id: KeyId([0; 4]),
        signature: [0; 64],
        successor: None,
    };
    std::fs::write(scratch.path("ring"), written).unwrap();
    assert!(!scratch.ring().verifies(&unknown));
}
