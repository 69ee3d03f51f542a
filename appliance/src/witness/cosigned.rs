//! The newest checkpoint that witnesses cosigned, with their lines: a small file beside the fence.
//!
//! The one rule: what is kept is a note that anybody can verify, and it only moves forward. A file that is lost or damaged loses
//! nothing but time: the witnesses are asked again.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use assent_proto::checkpoint::Checkpoint;
use assent_proto::hash::Hash;
use assent_proto::limits::{MAX_NOTE_BYTES, MAX_NOTE_SIGNATURES};
use assent_proto::note::Note;
use assent_proto::number::TreeSize;

use crate::log::SignedCheckpoint;
use crate::log::disk::write_durably;
use crate::log::fence::signed_note;

/// Signature lines of a checkpoint of ours before any witness has cosigned it: two where a key hands over.
const OWN_LINES: usize = 2;

/// Where it is kept.
#[must_use]
pub fn cosigned_path(fence: &Path) -> PathBuf {
    fence.with_extension("cosigned")
}

/// The note with its cosignatures, if they are over this checkpoint of the log of that origin.
#[must_use]
pub fn note_of(path: &Path, origin: &str, signed: &SignedCheckpoint) -> Option<String> {
    let held = Held::read(path, origin)?;
    (held.size == signed.size && held.root == signed.root).then_some(held.note)
}

/// A checkpoint that was cosigned.
#[derive(Clone, Debug)]
struct Held {
    size: TreeSize,
    root: Hash,
    /// When the last witness cosigned, in seconds since 1970.
    time_s: u64,
    note: String,
}

impl Held {
    fn read(path: &Path, origin: &str) -> Option<Self> {
        let note = std::fs::read_to_string(path).ok().filter(|note| note.len() <= MAX_NOTE_BYTES)?;
        Self::parse(note, origin)
    }

    fn parse(note: String, origin: &str) -> Option<Self> {
        let parsed = Note::parse(&note).ok()?;
        let checkpoint =
            Checkpoint::parse(parsed.text()).ok().filter(|checkpoint| checkpoint.origin == origin)?;
        let time_s = parsed.cosignatures().iter().map(|line| line.time_s).max()?;
        let (size, root) = (checkpoint.size, checkpoint.root);
        drop(parsed);
        Some(Self { size, root, time_s, note })
    }
}

/// The newest checkpoint that was cosigned, for whoever serves it.
#[derive(Debug)]
pub struct Cosignatures {
    path: PathBuf,
    origin: String,
    held: Mutex<Option<Held>>,
}

impl Cosignatures {
    /// Those of the log of this origin, as they were kept last.
    #[must_use]
    pub fn open(path: PathBuf, origin: String) -> Self {
        let held = Mutex::new(Held::read(&path, &origin));
        Self { path, origin, held }
    }

    /// Size of the tree that was cosigned last.
    #[must_use]
    pub fn size(&self) -> Option<TreeSize> {
        self.lock().as_ref().map(|held| held.size)
    }

    /// Adds lines that were verified over this checkpoint, durably. Lines over an older one than is held are left out, and so are
    /// more than a note may have.
    ///
    /// # Errors
    /// What the system says; then what was held is held still.
    pub fn add(&self, signed: &SignedCheckpoint, lines: &[String]) -> std::io::Result<()> {
        let mut held = self.lock();
        if lines.is_empty() || held.as_ref().is_some_and(|held| held.size > signed.size) {
            return Ok(());
        }
        let same = held.as_ref().filter(|held| held.size == signed.size && held.root == signed.root);
        let known: Vec<String> = same.into_iter().flat_map(|held| cosignature_lines(&held.note)).collect();
        let name = |line: &String| line.split(' ').nth(1).map(str::to_owned);
        let mut kept: Vec<&String> =
            known.iter().filter(|known| lines.iter().all(|line| name(line) != name(known))).collect();
        kept.extend(lines);
        kept.truncate(MAX_NOTE_SIGNATURES - OWN_LINES);
        let mut note = signed_note(&self.origin, signed);
        kept.into_iter().for_each(|line| note.push_str(line));
        write_durably(&self.path, note.as_bytes(), 0o644)?;
        *held = Held::parse(note, &self.origin);
        Ok(())
    }

    /// The checkpoint to show: the cosigned one while its cosignatures are fresh or nothing is newer, else the newest that was
    /// signed.
    #[must_use]
    pub fn note(&self, newest: &SignedCheckpoint, now_s: u64, fresh_s: u64) -> String {
        let held = self.lock();
        let shown = held.as_ref().filter(|held| {
            let newest_too = held.size == newest.size && held.root == newest.root;
            // A time that lies far ahead is no proof that it is fresh, either.
            newest_too || (held.size < newest.size && held.time_s.abs_diff(now_s) <= fresh_s)
        });
        shown.map_or_else(|| signed_note(&self.origin, newest), |held| held.note.clone())
    }

    fn lock(&self) -> MutexGuard<'_, Option<Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The lines of witnesses, each with its newline.
fn cosignature_lines(note: &str) -> Vec<String> {
    Note::parse(note)
        .map_or_else(|_| Vec::new(), |note| note.cosignatures().iter().map(ToString::to_string).collect())
}

#[cfg(test)]
mod tests {
    use assent_proto::cosignature::Cosignature;
    use assent_proto::note::KeyId;

    use super::*;

    const ORIGIN: &str = "localhost/test/log/1";

    fn signed(size: u64) -> SignedCheckpoint {
        let root = Hash([u8::try_from(size).unwrap(); 32]);
        SignedCheckpoint {
            size: TreeSize(size),
            root,
            key_id: KeyId([1; 4]),
            signature: [2; 64],
            successor: None,
        }
    }

    fn line(name: &str, time_s: u64) -> String {
        Cosignature { name, id: KeyId([3; 4]), time_s, signature: [4; 64] }.to_string()
    }

    fn names(note: &str) -> Vec<(String, u64)> {
        let note = Note::parse(note).unwrap();
        note.cosignatures().iter().map(|line| (line.name.to_owned(), line.time_s)).collect()
    }

    #[test]
    fn cosigned_checkpoint_is_shown_while_it_is_fresh_or_the_newest() {
        let folder = tempfile::tempdir().unwrap();
        let kept = Cosignatures::open(folder.path().join("cosigned"), ORIGIN.to_owned());
        assert_eq!(kept.note(&signed(5), 100, 30), signed_note(ORIGIN, &signed(5)));
        kept.add(&signed(5), &[line("w", 100)]).unwrap();
        assert_eq!(names(&kept.note(&signed(5), 9999, 30)), [("w".to_owned(), 100)]);
        assert_eq!(names(&kept.note(&signed(7), 130, 30)), [("w".to_owned(), 100)]);
        assert_eq!(kept.note(&signed(7), 131, 30), signed_note(ORIGIN, &signed(7)));
        assert_eq!(
            kept.note(&signed(7), 69, 30),
            signed_note(ORIGIN, &signed(7)),
            "its time lies ahead of ours"
        );
        // A log that lost what it had must not show it.
        assert_eq!(kept.note(&signed(3), 100, 30), signed_note(ORIGIN, &signed(3)));
    }

    #[test]
    fn lines_of_one_checkpoint_gather_and_those_of_an_older_one_go() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cosigned");
        let kept = Cosignatures::open(path.clone(), ORIGIN.to_owned());
        kept.add(&signed(5), &[line("w", 1)]).unwrap();
        kept.add(&signed(5), &[line("v", 2), line("w", 3)]).unwrap();
        kept.add(&signed(4), &[line("x", 4)]).unwrap();
        let all = [("v".to_owned(), 2), ("w".to_owned(), 3)];
        assert_eq!(names(&note_of(&path, ORIGIN, &signed(5)).unwrap()), all);
        let again = Cosignatures::open(path.clone(), ORIGIN.to_owned());
        assert_eq!((again.size(), names(&again.note(&signed(5), 9, 0)).len()), (Some(TreeSize(5)), 2));
        again.add(&signed(6), &[line("v", 5)]).unwrap();
        assert_eq!(note_of(&path, ORIGIN, &signed(5)), None);
        assert_eq!(names(&note_of(&path, ORIGIN, &signed(6)).unwrap()), [("v".to_owned(), 5)]);
        assert_eq!(note_of(&path, "localhost/other/log/1", &signed(6)), None);
    }

    #[test]
    fn more_lines_than_a_note_may_have_are_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cosigned");
        let kept = Cosignatures::open(path.clone(), ORIGIN.to_owned());
        let many: Vec<String> = (0..40).map(|number| line(&format!("w{number}"), 1)).collect();
        kept.add(&signed(5), &many).unwrap();
        let handing_over = SignedCheckpoint { successor: Some(signed(5).signature()), ..signed(5) };
        kept.add(&handing_over, &many).unwrap();
        assert!(note_of(&path, ORIGIN, &signed(5)).is_some());
    }
}
