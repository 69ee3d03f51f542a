//! The fence against rollback: the newest signed checkpoint, kept outside the database.
//!
//! No check inside one file sees that the whole file was replaced by an older one. So the newest checkpoint also lies on a
//! second path, as the signed note that it is. A log that is behind its fence, or contradicts it, is refused at start.
//! Whoever can replace both files can still roll back; witnesses are the stronger form.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use assent_proto::checkpoint::Checkpoint;
use assent_proto::limits::MAX_NOTE_BYTES;
use assent_proto::note::{Note, NoteSignature};

use super::keyring::Keyring;
use super::{KeySignature, SignedCheckpoint};
use crate::disk::{Disk, folder_of};

/// Why the fence cannot be trusted or moved.
#[derive(Debug, thiserror::Error)]
pub enum FenceError {
    /// The file system could not.
    #[error("cannot {doing} the fence {}", path.display())]
    File {
        /// What was being done.
        doing: &'static str,
        /// To which file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// The file is no checkpoint of this log signed by the key that was in force.
    #[error("the fence {} is no signed checkpoint of this log: {why}", path.display())]
    NotOurs {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
}

/// The file on the second path.
#[derive(Debug)]
pub struct Fence {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    origin: String,
    /// Size that it holds.
    size: u64,
}

impl Fence {
    /// Reads the fence: what it holds, or none where nothing was ever signed.
    ///
    /// # Errors
    /// [`FenceError`]; a fence that cannot be read refuses the start.
    pub fn open(
        disk: Arc<dyn Disk>,
        path: &Path,
        keys: &Keyring,
    ) -> Result<(Self, Option<SignedCheckpoint>), FenceError> {
        let mut fence = Self { disk, path: path.to_owned(), origin: keys.origin().to_owned(), size: 0 };
        let not_ours = |why: String| FenceError::NotOurs { path: path.to_owned(), why };
        let bytes = match fence.disk.read(path, MAX_NOTE_BYTES as u64) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return Ok((fence, None)),
            Err(error) if error.kind() == std::io::ErrorKind::FileTooLarge => {
                return Err(not_ours(format!("it is longer than {MAX_NOTE_BYTES} bytes")));
            }
            Err(source) => return Err(fence.file("read", source)),
        };
        let text = String::from_utf8(bytes).map_err(|_| not_ours("it is no text".to_owned()))?;
        let held = read_note(&text, keys).map_err(not_ours)?;
        fence.size = held.size.0;
        Ok((fence, Some(held)))
    }

    /// Moves the fence forward; it never moves back.
    ///
    /// # Errors
    /// [`FenceError::File`]; then it stands where it stood.
    pub fn advance(&mut self, signed: &SignedCheckpoint) -> Result<(), FenceError> {
        if signed.size.0 <= self.size {
            return Ok(());
        }
        let note = signed_note(&self.origin, signed);
        let folder = folder_of(&self.path);
        self.disk.make_folder(folder).map_err(|source| self.file("make the folder of", source))?;
        let written = self.disk.write_durably(&self.path, note.as_bytes(), 0o644);
        written.map_err(|source| self.file("write", source))?;
        self.size = signed.size.0;
        Ok(())
    }

    fn file(&self, doing: &'static str, source: std::io::Error) -> FenceError {
        FenceError::File { doing, path: self.path.clone(), source }
    }
}

/// The checkpoint as a C2SP signed note: one signature line, and two at the boundary between two keys.
#[must_use]
pub fn signed_note(origin: &str, signed: &SignedCheckpoint) -> String {
    let checkpoint = Checkpoint { origin, size: signed.size, root: signed.root };
    let line =
        |by: KeySignature| NoteSignature { name: origin, id: by.key_id, signature: by.signature }.to_string();
    let lines: String = std::iter::once(signed.signature()).chain(signed.successor).map(line).collect();
    // INVARIANT: the origin was checked when the log was made, so the text always exists.
    let text = checkpoint.text().unwrap_or_default();
    format!("{text}\n{lines}")
}

/// A note of this log, signed by the key that was in force at its size.
///
/// # Errors
/// What is wrong with it.
pub fn read_note(text: &str, keys: &Keyring) -> Result<SignedCheckpoint, String> {
    let note = Note::parse(text).map_err(|error| error.to_string())?;
    let checkpoint = Checkpoint::parse(note.text()).map_err(|error| error.to_string())?;
    if checkpoint.origin != keys.origin() {
        return Err(format!("its origin is `{}`", checkpoint.origin));
    }
    let key = keys.at(checkpoint.size).verifier_key().map_err(|error| error.to_string())?;
    note.verify(&key).map_err(|error| error.to_string())?;
    let mut ours = note.signatures().iter().filter(|line| line.name == keys.origin());
    let line = ours.find(|line| line.id == key.id()).ok_or("no signature of this log's key")?;
    let successor = note.signatures().iter().find(|other| other.name == line.name && other.id != line.id);
    let signed = SignedCheckpoint {
        size: checkpoint.size,
        root: checkpoint.root,
        key_id: line.id,
        signature: line.signature,
        successor: successor.map(|other| KeySignature { key_id: other.id, signature: other.signature }),
    };
    if keys.verifies(&signed) { Ok(signed) } else { Err("it is not signed as the key ring says".to_owned()) }
}
