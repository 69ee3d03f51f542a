//! The witness against logs that grow, go back, fork and lie, with no network between.

use assent_proto::checkpoint::Checkpoint;
use assent_proto::hash::Hash;
use assent_proto::note::{Note, NoteSignature, VerifierKey};
use assent_proto::number::{LeafIndex, Timestamp, TreeSize};
use ed25519_dalek::Signer as _;
use tempfile::TempDir;

use super::*;
use crate::clock::Clock;
use crate::log::proof::{ConsistencyProof, consistency, root};

/// A key of a witness of this name.
pub(crate) fn key(name: &str) -> SigningKey {
    let folder = tempfile::tempdir().unwrap();
    SigningKey::create(&folder.path().join("key"), name).unwrap()
}

/// A log whose leaf `i` is a number, and from `forked` on another one.
struct Log {
    signing: ed25519_dalek::SigningKey,
    forked: u64,
}

const ORIGIN: &str = "log.test/a/log/1";

impl Log {
    fn new(seed: u8) -> Self {
        Self { signing: ed25519_dalek::SigningKey::from_bytes(&[seed; 32]), forked: u64::MAX }
    }

    fn key(&self) -> VerifierKey<'static> {
        VerifierKey::new(ORIGIN, self.signing.verifying_key().as_bytes()).unwrap()
    }

    fn node(&self, level: u32, index: u64) -> Result<Hash, std::convert::Infallible> {
        if level == 0 {
            let leaf = LeafIndex(if index < self.forked { index } else { index + 1000 });
            return Ok(Hash::of_leaf(&leaf.0.to_be_bytes()));
        }
        let (left, right) = (self.node(level - 1, 2 * index)?, self.node(level - 1, 2 * index + 1)?);
        Ok(Hash::of_node(&left, &right))
    }

    fn note(&self, size: u64) -> String {
        let root = root(TreeSize(size), |level, index| self.node(level, index)).unwrap();
        let text = Checkpoint { origin: ORIGIN, size: TreeSize(size), root }.text().unwrap();
        let signature = self.signing.sign(text.as_bytes()).to_bytes();
        format!("{text}\n{}", NoteSignature { name: ORIGIN, id: self.key().id(), signature })
    }

    fn request(&self, old: u64, size: u64) -> String {
        let (old, new) = (TreeSize(old), TreeSize(size));
        let path = consistency(old, new, |level, index| self.node(level, index)).unwrap().unwrap_or_default();
        ConsistencyProof { old, path, note: self.note(size) }.to_string()
    }
}

struct Scratch {
    folder: TempDir,
    witness: Witness,
    log: Log,
}

impl Scratch {
    fn new() -> Self {
        let (folder, log) = (tempfile::tempdir().unwrap(), Log::new(1));
        SigningKey::create(&folder.path().join("key"), "w.test/1").unwrap();
        let witness = Self::open(&folder, &log);
        Self { folder, witness, log }
    }

    fn open(folder: &TempDir, log: &Log) -> Witness {
        let clock = Clock::manual(Timestamp(1_700_000_000_000));
        let logs = vec![log.key().to_string()];
        Witness::open(&folder.path().join("key"), logs, folder.path().join("records"), clock).unwrap()
    }

    /// As after a restart.
    fn reopen(&mut self) {
        self.witness = Self::open(&self.folder, &self.log);
    }

    fn ask(&self, old: u64, size: u64) -> Answer {
        self.witness.add_checkpoint(&self.log.request(old, size))
    }

    fn record(&self) -> std::path::PathBuf {
        self.folder.path().join("records").join(name_of(ORIGIN))
    }
}

#[test]
fn a_log_that_grows_is_cosigned_and_the_line_verifies() {
    let mut scratch = Scratch::new();
    for (old, size) in [(0, 3), (3, 3), (3, 4), (4, 11)] {
        let Answer::Cosigned(line) = scratch.ask(old, size) else { panic!("{old} to {size}") };
        let note = format!("{}{line}", scratch.log.note(size));
        let key = SigningKey::read(&scratch.folder.path().join("key")).unwrap();
        let cosigned = Note::parse(&note).unwrap().cosigned_at(&key.verifier_key().unwrap());
        assert_eq!(cosigned, Ok(1_700_000_000));
        assert_eq!(scratch.witness.checkpoint(&name_of(ORIGIN)), Some(note));
        scratch.reopen();
    }
    assert_eq!(scratch.witness.status()[0].size, 11);
    assert_eq!(scratch.witness.checkpoint(&name_of("another")), None);
}

#[test]
fn a_log_that_went_back_or_was_forked_is_refused_also_after_a_restart() {
    let mut scratch = Scratch::new();
    assert!(matches!(scratch.ask(0, 8), Answer::Cosigned(_)));
    scratch.reopen();
    for (old, size) in [(0, 5), (5, 6), (0, 8), (0, 0), (7, 9), (9, 12)] {
        assert_eq!(scratch.ask(old, size), Answer::Behind(TreeSize(8)), "{old} to {size}");
    }
    scratch.log.forked = 6;
    for size in [8, 9, 16] {
        assert_eq!(scratch.ask(8, size), Answer::Inconsistent, "{size}");
    }
    scratch.log.forked = u64::MAX;
    assert!(matches!(scratch.ask(8, 16), Answer::Cosigned(_)));
}

#[test]
fn what_is_asked_wrongly_is_answered_as_the_specification_says() {
    let scratch = Scratch::new();
    assert!(matches!(scratch.ask(0, 4), Answer::Cosigned(_)));
    let good = scratch.log.request(4, 6);
    let ask = |body: &str| scratch.witness.add_checkpoint(body);
    for malformed in
        ["", "old 4\n", &good.replace("old 4", "old 04"), &good.replace("old 4", "old 7"), "old 4\n\nnote\n"]
    {
        assert_eq!(ask(malformed), Answer::Malformed, "{malformed}");
    }
    assert_eq!(ask(&good.replace(ORIGIN, "log.test/b/log/1")), Answer::Unknown);
    // The right name, another key; and a signature over something else.
    assert_eq!(scratch.witness.add_checkpoint(&Log::new(2).request(4, 6)), Answer::Unsigned);
    assert_eq!(ask(&good.replace("\n6\n", "\n5\n")), Answer::Unsigned);
    let other_proof =
        ConsistencyProof { path: vec![Hash::default(); 3], ..ConsistencyProof::parse(&good).unwrap() };
    assert_eq!(ask(&other_proof.to_string()), Answer::Inconsistent);
    assert!(matches!(ask(&good), Answer::Cosigned(_)), "nothing of it did any harm");
}

#[test]
fn a_witness_whose_record_is_damaged_answers_nobody_of_that_log() {
    let mut scratch = Scratch::new();
    assert!(matches!(scratch.ask(0, 4), Answer::Cosigned(_)));
    let record = std::fs::read_to_string(scratch.record()).unwrap();
    let smaller = record.replace("\n4\n", "\n3\n");
    for damaged in ["", &smaller, &record.replace('A', "B")] {
        std::fs::write(scratch.record(), damaged).unwrap();
        scratch.reopen();
        assert!(scratch.witness.status()[0].damaged);
        assert_eq!((scratch.ask(4, 6), scratch.ask(0, 6)), (Answer::Failed, Answer::Failed));
    }
    std::fs::write(scratch.record(), record).unwrap();
    scratch.reopen();
    assert!(matches!(scratch.ask(4, 6), Answer::Cosigned(_)));
}

#[test]
fn nothing_leaves_that_could_not_be_kept() {
    let scratch = Scratch::new();
    assert!(matches!(scratch.ask(0, 4), Answer::Cosigned(_)));
    std::fs::remove_file(scratch.record()).unwrap();
    std::fs::create_dir_all(scratch.record().join("taken")).unwrap();
    assert_eq!(scratch.ask(4, 6), Answer::Failed);
    assert_eq!(scratch.ask(4, 5), Answer::Failed, "it stands where it stood");
    assert_eq!(scratch.ask(6, 7), Answer::Behind(TreeSize(4)));
}

#[test]
fn two_requests_at_once_never_roll_the_record_back() {
    let scratch = Scratch::new();
    let sizes: Vec<u64> = (1..60).collect();
    std::thread::scope(|scope| {
        for size in &sizes {
            let scratch = &scratch;
            scope.spawn(move || {
                let mut old = 0;
                while let Answer::Behind(now) = scratch.ask(old.min(*size), *size) {
                    if now.0 > *size {
                        return;
                    }
                    old = now.0;
                }
            });
        }
    });
    let reached = scratch.witness.status()[0].size;
    assert_eq!(reached, 59, "the largest is never overtaken by a smaller one");
}
