//! Whose checkpoint a note is: opened under the keys that somebody trusts, and who cosigned it.
//!
//! The rule of C2SP signed-note: lines of unknown keys are ignored, one of a known key that does not verify spoils the note, and
//! there must be one of a known key. When a key is trusted is not asked here: a log outlives its keys, and what an old one signed
//! it signed.

use assent_proto::checkpoint::{Checkpoint, CheckpointError};
use assent_proto::cosignature::WitnessKey;
use assent_proto::note::{Note, NoteError, VerifierKey};

/// Why a note is not taken for a checkpoint of a trusted log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoteRefusal {
    /// It is no note, or a known key's line does not verify.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// Its text is no checkpoint.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// It is of a log of which no key is trusted.
    #[error("no trusted key is of its origin")]
    Unknown,
}

/// A witness, and when it cosigned.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Cosigned {
    /// The witness's name.
    pub witness: String,
    /// When, in seconds since 1970.
    pub time_s: u64,
}

/// The checkpoint of a note that a key of its origin signed.
///
/// # Errors
/// [`NoteRefusal`].
pub fn opened<'n, 'k>(
    note: &'n str,
    keys: impl IntoIterator<Item = VerifierKey<'k>>,
) -> Result<Checkpoint<'n>, NoteRefusal> {
    let note = Note::parse(note)?;
    let checkpoint = Checkpoint::parse(note.text())?;
    let (mut known, mut signed) = (false, false);
    for key in keys.into_iter().filter(|key| key.name() == checkpoint.origin) {
        known = true;
        match note.verify(&key) {
            Ok(()) => signed = true,
            Err(NoteError::Unsigned) => {}
            Err(error) => return Err(error.into()),
        }
    }
    match (known, signed) {
        (_, true) => Ok(checkpoint),
        (true, false) => Err(NoteError::Unsigned.into()),
        (false, false) => Err(NoteRefusal::Unknown),
    }
}

/// Which of these witnesses cosigned the note, each verified. It does not ask whether the log itself signed.
///
/// # Errors
/// [`NoteRefusal::Note`]: the note does not parse, or a line of one of them does not verify.
pub fn cosigned_by(note: &str, witnesses: &[WitnessKey<'_>]) -> Result<Vec<Cosigned>, NoteRefusal> {
    let note = Note::parse(note)?;
    let mut found = Vec::new();
    for key in witnesses {
        match note.cosigned_at(key) {
            Ok(time_s) => found.push(Cosigned { witness: key.name().to_owned(), time_s }),
            Err(NoteError::Unsigned) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(found)
}
