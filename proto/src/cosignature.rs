//! Cosignatures as C2SP tlog-cosignature (v1.0.1) defines them, for Ed25519 (type 0x04): a witness says that it saw a log
//! grow consistently up to a checkpoint, and when.
//!
//! The signed message begins with a line of its own, so a witness's key can never be made to sign a checkpoint, nor a log's
//! key a cosignature. What a cosignature does not tell: that the log told others the same; whoever asks enough witnesses
//! learns that.

use base64ct::{Base64, Encoding as _};
use core::fmt::{self, Write as _};
use ed25519_dalek::{Signature, VerifyingKey};

use crate::limits::MAX_COSIGNED_BYTES;
use crate::note::{self, KeyId, Note, NoteError};

/// The signature type of a timestamped Ed25519 cosignature.
pub const TYPE: u8 = 0x04;
/// Time and signature, decoded; the key ID stands before them.
pub(crate) const BLOB_BYTES: usize = 8 + 64;
/// The latest time that a cosignature may name.
const MAX_TIME_S: u64 = i64::MAX.unsigned_abs();

/// The key of a witness: a name and an Ed25519 key. Its key ID is another than that of a log's key of the same bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WitnessKey<'a> {
    name: &'a str,
    id: KeyId,
    key: VerifyingKey,
}

impl<'a> WitnessKey<'a> {
    /// A key under a name.
    ///
    /// # Errors
    /// [`NoteError::KeyName`], [`NoteError::Key`].
    pub fn new(name: &'a str, key: &[u8; 32]) -> Result<Self, NoteError> {
        let key = note::strong_key(name, key)?;
        Ok(Self { name, id: KeyId::of_type(TYPE, name, &key), key })
    }

    /// Parses `name+keyid+base64(0x04, key)`.
    ///
    /// # Errors
    /// [`NoteError`].
    pub fn parse(text: &'a str) -> Result<Self, NoteError> {
        let (name, key) = note::parse_vkey(TYPE, text)?;
        Ok(Self { name, id: KeyId::of_type(TYPE, name, &key), key })
    }

    /// The witness's name.
    #[must_use]
    pub const fn name(&self) -> &'a str {
        self.name
    }

    /// The key ID.
    #[must_use]
    pub const fn id(&self) -> KeyId {
        self.id
    }

    /// The key itself.
    #[must_use]
    pub const fn key(&self) -> &VerifyingKey {
        &self.key
    }

    /// Verifies a cosignature over a checkpoint's text, strictly.
    ///
    /// # Errors
    /// [`NoteError::Signature`]; also for one of another witness, and for a text longer than our checkpoints can be.
    pub fn verify(&self, text: &str, cosignature: &Cosignature<'_>) -> Result<(), NoteError> {
        if cosignature.name != self.name || cosignature.id != self.id || cosignature.time_s > MAX_TIME_S {
            return Err(NoteError::Signature);
        }
        let message = message(cosignature.time_s, text).ok_or(NoteError::Signature)?;
        let signature = Signature::from_bytes(&cosignature.signature);
        self.key.verify_strict(message.as_bytes(), &signature).map_err(|_| NoteError::Signature)
    }
}

/// As signed-note writes it: `name+keyid+base64(0x04, key)`.
impl fmt::Display for WitnessKey<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        note::write_vkey(f, TYPE, self.name, self.id, &self.key)
    }
}

/// One cosignature line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cosignature<'a> {
    /// Name of the witness, as the line says.
    pub name: &'a str,
    /// ID of its key, as the line says.
    pub id: KeyId,
    /// When it was made, in seconds since 1970.
    pub time_s: u64,
    /// Over the message of that time and the checkpoint's text; verified by nobody yet.
    pub signature: [u8; 64],
}

impl<'a> Cosignature<'a> {
    /// What stands behind the key ID of a signature line; none where it has another length.
    pub(crate) fn of_blob(name: &'a str, id: KeyId, blob: &[u8]) -> Option<Self> {
        let (time, signature) = blob.split_first_chunk::<8>()?;
        let signature = signature.try_into().ok()?;
        Some(Self { name, id, time_s: u64::from_be_bytes(*time), signature })
    }
}

impl fmt::Display for Cosignature<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut blob = [0; 4 + BLOB_BYTES];
        let bytes = self.id.0.iter().copied().chain(self.time_s.to_be_bytes()).chain(self.signature);
        for (to, from) in blob.iter_mut().zip(bytes) {
            *to = from;
        }
        let mut encoded = [0; 104];
        let encoded = Base64::encode(&blob, &mut encoded).map_err(|_| fmt::Error)?;
        writeln!(f, "{}{} {encoded}", note::SIGNATURE_LINE, self.name)
    }
}

/// What a witness signs at `time_s`: a line that no checkpoint begins with, the time, and the checkpoint's text. None where
/// the text is longer than a checkpoint of ours can be.
#[must_use]
pub fn message(time_s: u64, text: &str) -> Option<heapless::String<MAX_COSIGNED_BYTES>> {
    let mut message = heapless::String::new();
    write!(message, "cosignature/v1\ntime {time_s}\n{text}").ok()?;
    Some(message)
}

impl Note<'_> {
    /// When `key`'s witness cosigned this note: the latest time of its lines, each of which must verify.
    ///
    /// # Errors
    /// [`NoteError::Signature`], [`NoteError::Unsigned`].
    pub fn cosigned_at(&self, key: &WitnessKey<'_>) -> Result<u64, NoteError> {
        let of_key = |line: &&Cosignature<'_>| line.name == key.name && line.id == key.id;
        let mut latest = None;
        for line in self.cosignatures().iter().filter(of_key) {
            key.verify(self.text(), line)?;
            latest = latest.max(Some(line.time_s));
        }
        latest.ok_or(NoteError::Unsigned)
    }
}

#[cfg(test)]
mod tests {
    use core::str::FromStr as _;

    use ed25519_dalek::{Signer as _, SigningKey};

    use super::*;

    const TEXT: &str = "localhost/dev/log/1\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n";

    fn cosigned(seed: u8, name: &str, time_s: u64) -> heapless::String<512> {
        let signing = SigningKey::from_bytes(&[seed; 32]);
        let key = WitnessKey::new(name, signing.verifying_key().as_bytes()).unwrap();
        let signature = signing.sign(message(time_s, TEXT).unwrap().as_bytes()).to_bytes();
        let mut note = heapless::String::from_str(TEXT).unwrap();
        write!(note, "\n{}", Cosignature { name, id: key.id(), time_s, signature }).unwrap();
        note
    }

    fn key(seed: u8, name: &str) -> WitnessKey<'_> {
        WitnessKey::new(name, SigningKey::from_bytes(&[seed; 32]).verifying_key().as_bytes()).unwrap()
    }

    #[test]
    fn cosignature_comes_back_from_its_line_and_verifies() {
        let text = cosigned(1, "w.example/1", 1_700_000_000);
        let note = Note::parse(&text).unwrap();
        assert_eq!(note.signatures().len(), 0, "it is no signature of the log's kind");
        assert_eq!(note.cosigned_at(&key(1, "w.example/1")), Ok(1_700_000_000));
        assert_eq!(note.cosigned_at(&key(2, "w.example/1")), Err(NoteError::Unsigned));
        assert_eq!(note.cosigned_at(&key(1, "w.example/2")), Err(NoteError::Unsigned));
    }

    #[test]
    fn cosignature_covers_its_time_and_the_text() {
        let text = cosigned(1, "w", 1_700_000_000);
        let note = Note::parse(&text).unwrap();
        let (line, key) = (note.cosignatures()[0], key(1, "w"));
        assert_eq!(key.verify(TEXT, &line), Ok(()));
        let other = Cosignature { time_s: line.time_s + 1, ..line };
        assert_eq!(key.verify(TEXT, &other), Err(NoteError::Signature));
        assert_eq!(key.verify("o\n0\n\n", &line), Err(NoteError::Signature));
    }

    #[test]
    fn key_of_a_witness_is_not_that_of_a_log() {
        let witness = key(1, "w");
        let log = note::VerifierKey::new("w", witness.key().as_bytes()).unwrap();
        assert_ne!(witness.id(), log.id());
        let text = heapless::format!(200; "{witness}").unwrap();
        assert_eq!(WitnessKey::parse(&text), Ok(witness));
        assert_eq!(note::VerifierKey::parse(&text), Err(NoteError::Key));
        assert_eq!(WitnessKey::parse(&heapless::format!(200; "{log}").unwrap()), Err(NoteError::Key));
    }

    #[test]
    fn one_wrong_line_of_a_known_witness_spoils_the_others() {
        let mut text = heapless::String::<1024>::from_str(&cosigned(1, "w", 7)).unwrap();
        let line = Cosignature { name: "w", id: key(1, "w").id(), time_s: 8, signature: [0; 64] };
        write!(text, "{line}").unwrap();
        assert_eq!(Note::parse(&text).unwrap().cosigned_at(&key(1, "w")), Err(NoteError::Signature));
    }
}
