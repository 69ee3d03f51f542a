//! This appliance as the witness of other logs (C2SP tlog-witness v1.0.0).
//!
//! The one rule: of one log it cosigns one history. What was cosigned is durable before the cosignature leaves, and looking at it
//! and replacing it are one step. Its record of a log is a note that carries its own cosignature; where that does not verify, the
//! log is not answered, for a witness that forgot is worse than none. It never asks anybody anything.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use assent_proto::checkpoint::Checkpoint;
use assent_proto::hash::Hash;
use assent_proto::limits::MAX_NOTE_BYTES;
use assent_proto::note::{Note, NoteError, VerifierKey};
use assent_proto::number::TreeSize;
use serde::{Deserialize, Serialize};

use super::key::{SigningKey, SigningKeyError};
use crate::clock::Clock;
use crate::log::disk::write_durably;
use crate::log::proof::{ConsistencyProof, NoteRefusal, opened};

/// Why this appliance cannot be a witness.
#[derive(Debug, thiserror::Error)]
pub enum WitnessError {
    /// Its key cannot be used.
    #[error(transparent)]
    Key(#[from] SigningKeyError),
    /// Its folder cannot be made.
    #[error("cannot make {}", path.display())]
    Folder {
        /// Which.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
}

/// The answer to a log that asks for a cosignature, as HTTP has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// 200: the cosignature line.
    Cosigned(String),
    /// 400: not a request, or its old size is above its new one.
    Malformed,
    /// 403: no key that is trusted for that log signed the checkpoint.
    Unsigned,
    /// 404: not a log that is witnessed here.
    Unknown,
    /// 409: the request does not begin where the last one ended, which is here.
    Behind(TreeSize),
    /// 422: the log did not grow from what was cosigned.
    Inconsistent,
    /// 500: the record cannot be read or written.
    Failed,
}

/// How far a log was witnessed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WitnessedStatus {
    /// The log's origin.
    pub origin: String,
    /// Size of the tree that was cosigned last; 0 before the first.
    pub size: u64,
    /// When, in seconds since 1970; 0 before the first.
    pub time_s: u64,
    /// Whether the record cannot be believed any more, so that the log is not answered.
    pub damaged: bool,
}

/// What was cosigned last of one log.
#[derive(Clone, Debug)]
struct Record {
    size: TreeSize,
    root: Hash,
    time_s: u64,
    note: String,
}

/// A log whose record there is, is not yet, or is not to be believed.
#[derive(Clone, Debug)]
enum Known {
    Never,
    Last(Record),
    Damaged,
}

/// The witness.
#[derive(Debug)]
pub struct Witness {
    key: SigningKey,
    /// Verifier keys of the logs, in C2SP form; a log may have several.
    logs: Vec<String>,
    folder: PathBuf,
    clock: Clock,
    known: Mutex<BTreeMap<String, Known>>,
}

impl Witness {
    /// The witness of the logs whose verifier keys these are, with its records in `folder`.
    ///
    /// # Errors
    /// [`WitnessError`].
    pub fn open(key: &Path, logs: Vec<String>, folder: PathBuf, clock: Clock) -> Result<Self, WitnessError> {
        let key = SigningKey::read(key)?;
        std::fs::create_dir_all(&folder)
            .map_err(|source| WitnessError::Folder { path: folder.clone(), source })?;
        let mut known = BTreeMap::new();
        for origin in logs.iter().filter_map(|vkey| VerifierKey::parse(vkey).ok()).map(|key| key.name()) {
            let last = read_record(&folder.join(name_of(origin)), origin, &key);
            if matches!(last, Known::Damaged) {
                tracing::error!(origin, folder = %folder.display(), "the record of a witnessed log is damaged; it is not answered until the record is restored");
            }
            known.insert(origin.to_owned(), last);
        }
        Ok(Self { key, logs, folder, clock, known: Mutex::new(known) })
    }

    /// Answers `add-checkpoint`.
    pub fn add_checkpoint(&self, body: &str) -> Answer {
        let Ok(proof) = ConsistencyProof::parse(body) else { return Answer::Malformed };
        let keys = self.logs.iter().filter_map(|vkey| VerifierKey::parse(vkey).ok());
        let checkpoint = match opened(&proof.note, keys) {
            Ok(checkpoint) if proof.old <= checkpoint.size => checkpoint,
            Ok(_) => return Answer::Malformed,
            Err(NoteRefusal::Unknown) => return Answer::Unknown,
            Err(NoteRefusal::Note(NoteError::Signature | NoteError::Unsigned)) => return Answer::Unsigned,
            Err(NoteRefusal::Note(_) | NoteRefusal::Checkpoint(_)) => return Answer::Malformed,
        };
        // INVARIANT: from the look at what was cosigned to its replacement nobody else looks.
        let mut known = self.lock();
        let (held, root) = match known.get(checkpoint.origin) {
            Some(Known::Last(last)) => (last.size, last.root),
            Some(Known::Never) => (TreeSize(0), Hash::of_empty_tree()),
            Some(Known::Damaged) | None => return Answer::Failed,
        };
        if proof.old != held {
            return Answer::Behind(held);
        }
        if proof.verify(root, &checkpoint).is_err() {
            tracing::error!(
                origin = checkpoint.origin,
                cosigned = held.0,
                asked = checkpoint.size.0,
                note = proof.note,
                "a log that is witnessed here did not grow from what was cosigned"
            );
            return Answer::Inconsistent;
        }
        let Some((record, line)) = self.cosign(&proof, &checkpoint) else { return Answer::Malformed };
        let path = self.folder.join(name_of(checkpoint.origin));
        // Durable before it leaves: a witness that forgets what it cosigned would cosign another history.
        if let Err(error) = write_durably(&path, record.note.as_bytes(), 0o644) {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "the record of a witnessed log cannot be written"
            );
            return Answer::Failed;
        }
        known.insert(checkpoint.origin.to_owned(), Known::Last(record));
        Answer::Cosigned(line)
    }

    /// What was cosigned last, as a note with the log's signatures and ours. `name` is the SHA-256 of the origin, in hexadecimal.
    #[must_use]
    pub fn checkpoint(&self, name: &str) -> Option<String> {
        let known = self.lock();
        let last = known.iter().find(|(origin, _)| name_of(origin) == name)?.1;
        if let Known::Last(record) = last { Some(record.note.clone()) } else { None }
    }

    /// How far each log was witnessed.
    #[must_use]
    pub fn status(&self) -> Vec<WitnessedStatus> {
        let status = |(origin, known): (&String, &Known)| {
            let (size, time_s) = match known {
                Known::Last(last) => (last.size.0, last.time_s),
                Known::Never | Known::Damaged => (0, 0),
            };
            WitnessedStatus { origin: origin.clone(), size, time_s, damaged: matches!(known, Known::Damaged) }
        };
        self.lock().iter().map(status).collect()
    }

    /// The record of a checkpoint, and the line that is its answer. Of the note only lines stay that were verified: the log's.
    fn cosign(&self, proof: &ConsistencyProof, checkpoint: &Checkpoint<'_>) -> Option<(Record, String)> {
        let note = Note::parse(&proof.note).ok()?;
        let time_s = self.clock.now().0 / 1000;
        let line = self.key.cosign(note.text(), time_s)?;
        let keys: Vec<_> = self.logs.iter().filter_map(|vkey| VerifierKey::parse(vkey).ok()).collect();
        let verified = note.signatures().iter().filter(|line| {
            keys.iter()
                .any(|key| (key.name(), key.id()) == (line.name, line.id) && key.name() == checkpoint.origin)
        });
        let lines: String = verified.map(ToString::to_string).collect();
        let note = format!("{}\n{lines}{line}", note.text());
        Some((Record { size: checkpoint.size, root: checkpoint.root, time_s, note }, line))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How the record of a log is named: by the hash of its origin, which may hold slashes.
#[must_use]
pub fn name_of(origin: &str) -> String {
    Hash::of_labelled(b"", [origin.as_bytes()]).to_string()
}

/// Only that there is no file means that there was no cosignature.
fn read_record(path: &Path, origin: &str, key: &SigningKey) -> Known {
    match std::fs::read_to_string(path) {
        Ok(note) if note.len() <= MAX_NOTE_BYTES => {
            parse_record(note, origin, key).map_or(Known::Damaged, Known::Last)
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Known::Never,
        Ok(_) | Err(_) => Known::Damaged,
    }
}

fn parse_record(text: String, origin: &str, key: &SigningKey) -> Option<Record> {
    let note = Note::parse(&text).ok()?;
    let checkpoint = Checkpoint::parse(note.text()).ok().filter(|checkpoint| checkpoint.origin == origin)?;
    let time_s = note.cosigned_at(&key.verifier_key().ok()?).ok()?;
    let (size, root) = (checkpoint.size, checkpoint.root);
    drop(note);
    Some(Record { size, root, time_s, note: text })
}
