//! What must never be appended to: a log that is damaged, older than its fence, forked, or another's.

use std::path::{Path, PathBuf};

use assent_proto::entry::{Entry, Rearm, Salt};
use assent_proto::note::VerifierKey;
use assent_proto::number::{Epoch, LeafIndex, Timestamp};
use assent_proto::verify::TrustedKey;
use ed25519_dalek::{Signer as _, SigningKey};
use tempfile::TempDir;

use super::keyring::Keyring;
use super::store::{Identity, Store};
use super::verification::{Report, Verification};
use super::*;

pub(crate) const ORIGIN: &str = "localhost/test/log/1";

pub(crate) struct Scratch {
    folder: TempDir,
    signing: SigningKey,
}

impl Scratch {
    pub(crate) fn new() -> Self {
        let scratch =
            Self { folder: tempfile::tempdir().unwrap(), signing: SigningKey::from_bytes(&[1; 32]) };
        let identity = Identity::new(ORIGIN, &scratch.key().to_string());
        Store::create(&scratch.path(), &identity).unwrap();
        scratch
    }

    fn key(&self) -> VerifierKey<'static> {
        VerifierKey::new(ORIGIN, self.signing.verifying_key().as_bytes()).unwrap()
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("log.redb")
    }

    fn fence(&self) -> PathBuf {
        self.folder.path().join("fence/checkpoint")
    }

    fn ring_path(&self) -> PathBuf {
        self.folder.path().join("keys.toml")
    }

    /// The ring as it was kept last; at first, that of the founding key.
    pub(crate) fn ring(&self) -> Keyring {
        let founded = || Keyring::found(&self.ring_path(), &self.key(), &[1], Timestamp(0)).unwrap();
        Keyring::load(&self.ring_path()).unwrap().unwrap_or_else(founded)
    }

    pub(crate) fn open(&self) -> Result<Log, OpenError> {
        Log::open(&self.path(), &self.fence(), self.ring())
    }

    /// Appends a round of two entries; signed, or not.
    pub(crate) fn append(&self, log: &mut Log, time: u64, signed: bool) {
        let mut leaves = Leaves::default();
        for salt in 0..2 {
            let entry =
                Entry::Rearm(Rearm { salt: Salt([salt; 16]), time: Timestamp(time), epoch: Epoch(0) });
            leaves.push(&entry).unwrap();
        }
        let mut frontier = log.frontier().clone();
        leaves.hashes().iter().for_each(|hash| frontier.append(*hash).unwrap());
        let checkpoint = signed.then(|| self.sign(&frontier));
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
            time: Timestamp(time),
        };
        let receipt = log.commit(&commit).unwrap();
        assert_eq!(receipt.size(), frontier.size());
    }

    pub(crate) fn sign(&self, frontier: &Frontier) -> SignedCheckpoint {
        let (size, root) = (frontier.size(), frontier.root());
        let text = assent_proto::checkpoint::Checkpoint { origin: ORIGIN, size, root }.text().unwrap();
        let signature = self.signing.sign(text.as_bytes()).to_bytes();
        SignedCheckpoint { size, root, key_id: self.key().id(), signature, successor: None }
    }

    fn verify(&self) -> Report {
        let store = Reader::open(&self.path()).unwrap();
        let ever = TrustedKey { key: self.key(), not_before: Timestamp(0), not_after: Timestamp(u64::MAX) };
        Verification::new(ORIGIN, &[ever]).run(store.rounds(LeafIndex(0)).unwrap(), |_| ()).unwrap()
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::copy(from, to).unwrap();
}

#[test]
fn log_opens_where_it_was_left() {
    let scratch = Scratch::new();
    let mut log = scratch.open().unwrap();
    scratch.append(&mut log, 1, true);
    scratch.append(&mut log, 2, false);
    let frontier = log.frontier().clone();
    log.advance_fence().unwrap();
    drop(log);
    let log = scratch.open().unwrap();
    assert_eq!((log.frontier(), log.unsigned_entries()), (&frontier, 2));
}

#[test]
fn second_process_is_refused() {
    let scratch = Scratch::new();
    let _log = scratch.open().unwrap();
    assert!(matches!(scratch.open(), Err(OpenError::Store(StoreError::Busy))));
}

#[test]
fn log_of_another_key_is_refused() {
    let scratch = Scratch::new();
    let other = SigningKey::from_bytes(&[2; 32]);
    let key = VerifierKey::new(ORIGIN, other.verifying_key().as_bytes()).unwrap();
    let ring = Keyring::of_one(&scratch.ring_path(), &key, &[1], Timestamp(0));
    let opened = Log::open(&scratch.path(), &scratch.fence(), ring);
    assert!(matches!(opened, Err(OpenError::Identity { what: "verifier key", .. })));
}

#[test]
fn older_log_is_behind_its_fence() {
    let scratch = Scratch::new();
    let mut log = scratch.open().unwrap();
    scratch.append(&mut log, 1, true);
    drop(log);
    let older = scratch.folder.path().join("older");
    copy(&scratch.path(), &older);
    let mut log = scratch.open().unwrap();
    scratch.append(&mut log, 2, true);
    log.advance_fence().unwrap();
    drop(log);
    copy(&older, &scratch.path());
    assert!(matches!(scratch.open(), Err(OpenError::BehindFence { log: 2, fence: 4 })));
}

#[test]
fn forked_log_contradicts_its_fence() {
    let scratch = Scratch::new();
    let empty = scratch.folder.path().join("empty");
    copy(&scratch.path(), &empty);
    let mut log = scratch.open().unwrap();
    scratch.append(&mut log, 1, true);
    log.advance_fence().unwrap();
    drop(log);
    copy(&empty, &scratch.path());
    let fence = std::fs::read(scratch.fence()).unwrap();
    std::fs::remove_file(scratch.fence()).unwrap();
    let mut log = scratch.open().unwrap();
    scratch.append(&mut log, 9, true);
    scratch.append(&mut log, 10, true);
    drop(log);
    std::fs::write(scratch.fence(), fence).unwrap();
    assert!(matches!(scratch.open(), Err(OpenError::Forked(2))));
}

#[test]
fn missing_fence_is_refused_once_there_was_one() {
    let scratch = Scratch::new();
    let mut log = scratch.open().unwrap();
    scratch.append(&mut log, 1, true);
    drop(log);
    let mut log = scratch.open().expect("it died before its first fence");
    scratch.append(&mut log, 2, true);
    log.advance_fence().unwrap();
    drop(log);
    std::fs::remove_file(scratch.fence()).unwrap();
    assert!(matches!(scratch.open(), Err(OpenError::FenceMissing(_))));
}

#[test]
fn fence_of_another_key_is_refused() {
    let scratch = Scratch::new();
    let mut log = scratch.open().unwrap();
    scratch.append(&mut log, 1, true);
    log.advance_fence().unwrap();
    drop(log);
    let note = std::fs::read_to_string(scratch.fence()).unwrap();
    std::fs::write(scratch.fence(), note.replacen("\n2\n", "\n1\n", 1)).unwrap();
    assert!(matches!(scratch.open(), Err(OpenError::Fence(fence::FenceError::NotOurs { .. }))));
}

#[test]
fn flipped_bits_are_refused_or_change_nothing() {
    let scratch = Scratch::new();
    let mut log = scratch.open().unwrap();
    for time in 0..20 {
        scratch.append(&mut log, time, true);
    }
    log.advance_fence().unwrap();
    let frontier = log.frontier().clone();
    drop(log);
    let whole = std::fs::read(scratch.path()).unwrap();
    let (mut refused, mut same) = (0, 0);
    for flip in 0..200_usize {
        let mut damaged = whole.clone();
        let position = flip * 7919 % whole.len();
        damaged[position] ^= 1 << (flip % 8);
        std::fs::write(scratch.path(), &damaged).unwrap();
        match scratch.open() {
            Err(_) => refused += 1,
            Ok(log) => {
                assert_eq!(log.frontier(), &frontier, "a flip at {position} went unseen");
                same += 1;
            }
        }
    }
    println!("{refused} flips refused, {same} without effect");
    assert!(refused > 0);
}

#[test]
fn verification_tells_a_gap_without_its_outage_entry() {
    let scratch = Scratch::new();
    let mut log = scratch.open().unwrap();
    scratch.append(&mut log, 1, true);
    scratch.append(&mut log, 2, false);
    drop(log);
    let open_gap = scratch.verify();
    assert!(open_gap.verified() && !open_gap.gaps[0].closed, "an open gap is no lie yet");
    let mut log = scratch.open().unwrap();
    scratch.append(&mut log, 3, true);
    drop(log);
    let report = scratch.verify();
    assert_eq!((report.verified(), report.checkpoints), (false, 2));
    assert!(report.findings[0].what.contains("outage entry"), "{:?}", report.findings);
}

#[test]
fn verification_trusts_no_other_key() {
    let scratch = Scratch::new();
    let mut log = scratch.open().unwrap();
    scratch.append(&mut log, 1, true);
    drop(log);
    assert!(scratch.verify().verified());
    let store = Reader::open(&scratch.path()).unwrap();
    let report = Verification::new(ORIGIN, &[]).run(store.rounds(LeafIndex(0)).unwrap(), |_| ()).unwrap();
    assert!(report.findings[0].what.contains("no trusted key"), "{:?}", report.findings);
}
