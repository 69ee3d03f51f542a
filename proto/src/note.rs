//! Signed notes and verifier keys as C2SP signed-note (v1.0.0) defines them, for Ed25519 (type 0x01).
//!
//! A note is a text, an empty line, and signature lines. Signatures by unknown keys are ignored; one by a known key that
//! does not verify spoils the note. The signature is over the bare text: a key that signs notes must sign nothing else.

use base64ct::{Base64, Encoding as _};
use core::fmt::{self, Write as _};
use ed25519_dalek::{Signature, VerifyingKey};
use sha2::{Digest as _, Sha256};

use crate::checkpoint::check_origin;
use crate::cosignature::Cosignature;
use crate::limits::{MAX_NOTE_BYTES, MAX_NOTE_SIGNATURES};
use crate::lines;

/// The signature type of an Ed25519 note signature.
const ED25519: u8 = 0x01;
/// Key ID and signature, decoded.
const SIGNATURE_BLOB_BYTES: usize = 4 + 64;
/// What a signature line begins with: an em dash and a space.
pub(crate) const SIGNATURE_LINE: &str = "\u{2014} ";

/// Four bytes that tell keys apart; two keys may share them, so they prove nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(pub [u8; 4]);

impl KeyId {
    /// SHA-256(name, newline, type, key), the first four bytes.
    #[must_use]
    pub fn of(name: &str, key: &VerifyingKey) -> Self {
        Self::of_type(ED25519, name, key)
    }

    /// The same for a key whose signatures are of this type.
    pub(crate) fn of_type(kind: u8, name: &str, key: &VerifyingKey) -> Self {
        let mut sha = Sha256::new();
        sha.update(name.as_bytes());
        sha.update([b'\n', kind]);
        sha.update(key.as_bytes());
        let hash: [u8; 32] = sha.finalize().into();
        let [a, b, c, d, ..] = hash;
        Self([a, b, c, d])
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Why bytes are no note, or no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoteError {
    /// Longer than [`MAX_NOTE_BYTES`], or with more signatures than [`MAX_NOTE_SIGNATURES`].
    TooLong,
    /// Not the form that signed-note prescribes.
    Malformed,
    /// A key name that is empty, too long, or holds a space or a plus.
    KeyName,
    /// A verifier key of another type than is asked for, or one that is no strong point of the curve in its one encoding.
    Key,
    /// The key ID in a verifier key is not that of its name and key.
    KeyId,
    /// The signature by this key does not verify.
    Signature,
    /// No signature is by a key that we know.
    Unsigned,
}

impl fmt::Display for NoteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLong => "note is too long",
            Self::Malformed => "note is malformed",
            Self::KeyName => "key name is empty, too long, or holds a space or a plus",
            Self::Key => "key is not a strong Ed25519 key",
            Self::KeyId => "key ID does not belong to name and key",
            Self::Signature => "signature does not verify",
            Self::Unsigned => "no signature is by a known key",
        })
    }
}

impl core::error::Error for NoteError {}

/// A verifier key: a name and an Ed25519 key. Weak keys (of small order) cannot be held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VerifierKey<'a> {
    name: &'a str,
    id: KeyId,
    key: VerifyingKey,
}

impl<'a> VerifierKey<'a> {
    /// A key under a name.
    ///
    /// # Errors
    /// [`NoteError::KeyName`], [`NoteError::Key`].
    pub fn new(name: &'a str, key: &[u8; 32]) -> Result<Self, NoteError> {
        let key = strong_key(name, key)?;
        Ok(Self { name, id: KeyId::of(name, &key), key })
    }

    /// Parses `name+keyid+base64(type, key)`.
    ///
    /// # Errors
    /// [`NoteError`].
    pub fn parse(text: &'a str) -> Result<Self, NoteError> {
        let (name, key) = parse_vkey(ED25519, text)?;
        Ok(Self { name, id: KeyId::of(name, &key), key })
    }

    /// The key name, which for a log is its origin.
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

    /// Verifies a signature over `text`, strictly: no weak keys, no second form of a signature.
    ///
    /// # Errors
    /// [`NoteError::Signature`].
    pub fn verify(&self, text: &[u8], signature: &[u8; 64]) -> Result<(), NoteError> {
        self.key.verify_strict(text, &Signature::from_bytes(signature)).map_err(|_| NoteError::Signature)
    }
}

/// As signed-note writes it: `name+keyid+base64(type, key)`.
impl fmt::Display for VerifierKey<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_vkey(f, ED25519, self.name, self.id, &self.key)
    }
}

/// A key that we may hold under this name: the name that of a log, the bytes a strong point in its one encoding.
pub(crate) fn strong_key(name: &str, key: &[u8; 32]) -> Result<VerifyingKey, NoteError> {
    check_key_name(name)?;
    let key = VerifyingKey::from_bytes(key).map_err(|_| NoteError::Key)?;
    // RFC 8032 section 5.1.3: one point, one encoding. The curve library reduces a y that is not below the prime.
    let canonical = key.to_edwards().compress().as_bytes() == key.as_bytes();
    if key.is_weak() || !canonical { Err(NoteError::Key) } else { Ok(key) }
}

/// Parses `name+keyid+base64(type, key)`: name and key.
pub(crate) fn parse_vkey(kind: u8, text: &str) -> Result<(&str, VerifyingKey), NoteError> {
    let (name, rest) = lines::split_once(text, b'+').ok_or(NoteError::Malformed)?;
    let (id, encoded) = lines::split_once(rest, b'+').ok_or(NoteError::Malformed)?;
    let mut buffer = [0; 33];
    let blob = Base64::decode(encoded, &mut buffer).map_err(|_| NoteError::Malformed)?;
    let Some((_, bytes)) = blob.split_first().filter(|(found, _)| **found == kind) else {
        return Err(NoteError::Key);
    };
    // The decoded length counts, not the buffer's: a key that ends in zeroes must not have a shorter form.
    let key = strong_key(name, bytes.try_into().map_err(|_| NoteError::Malformed)?)?;
    let mut written = heapless::String::<8>::new();
    write!(written, "{}", KeyId::of_type(kind, name, &key)).map_err(|_| NoteError::Malformed)?;
    if written == id { Ok((name, key)) } else { Err(NoteError::KeyId) }
}

/// Writes `name+keyid+base64(type, key)`.
pub(crate) fn write_vkey(
    f: &mut fmt::Formatter<'_>,
    kind: u8,
    name: &str,
    id: KeyId,
    key: &VerifyingKey,
) -> fmt::Result {
    let mut blob = [kind; 33];
    for (to, from) in blob.iter_mut().skip(1).zip(key.as_bytes()) {
        *to = *from;
    }
    let mut encoded = [0; 44];
    let encoded = Base64::encode(&blob, &mut encoded).map_err(|_| fmt::Error)?;
    write!(f, "{name}+{id}+{encoded}")
}

/// The rule for a key that we hold: its name may be that of a log.
fn check_key_name(name: &str) -> Result<(), NoteError> {
    check_origin(name).map_err(|_| NoteError::KeyName)
}

/// The rule of signed-note, for keys that others hold. A witness with a long name must not spoil our note.
fn check_foreign_key_name(name: &str) -> Result<(), NoteError> {
    let wrong = name.is_empty() || name.chars().any(|c| c.is_whitespace() || c == '+');
    if wrong { Err(NoteError::KeyName) } else { Ok(()) }
}

/// One signature line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoteSignature<'a> {
    /// Name of the key that signed, as the line says.
    pub name: &'a str,
    /// ID of the key that signed, as the line says.
    pub id: KeyId,
    /// The signature; empty of meaning unless the type of the key is Ed25519.
    pub signature: [u8; 64],
}

impl fmt::Display for NoteSignature<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut blob = [0; SIGNATURE_BLOB_BYTES];
        for (to, from) in blob.iter_mut().zip(self.id.0.iter().chain(&self.signature)) {
            *to = *from;
        }
        let mut encoded = [0; 92];
        let encoded = Base64::encode(&blob, &mut encoded).map_err(|_| fmt::Error)?;
        writeln!(f, "{SIGNATURE_LINE}{} {encoded}", self.name)
    }
}

/// A note whose form is right; whether anybody signed it, [`Note::verify`] tells.
#[derive(Clone, Debug)]
pub struct Note<'a> {
    text: &'a str,
    signatures: heapless::Vec<NoteSignature<'a>, MAX_NOTE_SIGNATURES>,
    cosignatures: heapless::Vec<Cosignature<'a>, MAX_NOTE_SIGNATURES>,
}

impl<'a> Note<'a> {
    /// Parses a note. Signature lines whose blob has another length than Ed25519's and a witness's are those of unknown keys.
    ///
    /// # Errors
    /// [`NoteError::TooLong`], [`NoteError::Malformed`], [`NoteError::KeyName`].
    pub fn parse(note: &'a str) -> Result<Self, NoteError> {
        if note.len() > MAX_NOTE_BYTES {
            return Err(NoteError::TooLong);
        }
        if note.chars().any(|c| c < ' ' && c != '\n') {
            return Err(NoteError::Malformed);
        }
        let empty_line = note.as_bytes().windows(2).rposition(|pair| pair == b"\n\n");
        let (text, rest) = empty_line
            .and_then(|before| note.split_at_checked(before.saturating_add(1)))
            .ok_or(NoteError::Malformed)?;
        let lines = rest.strip_prefix('\n').filter(|lines| !lines.is_empty()).and_then(lines::of);
        let (mut signatures, mut cosignatures) = (heapless::Vec::new(), heapless::Vec::new());
        for (position, line) in lines.ok_or(NoteError::Malformed)?.enumerate() {
            if position >= MAX_NOTE_SIGNATURES {
                return Err(NoteError::TooLong);
            }
            match parse_signature_line(line)? {
                Line::Signature(signature) => {
                    signatures.push(signature).map_err(|_| NoteError::TooLong)?;
                }
                Line::Cosignature(cosignature) => {
                    cosignatures.push(cosignature).map_err(|_| NoteError::TooLong)?;
                }
                Line::Other => {}
            }
        }
        Ok(Self { text, signatures, cosignatures })
    }

    /// What was signed, with its last newline.
    #[must_use]
    pub const fn text(&self) -> &'a str {
        self.text
    }

    /// The Ed25519-shaped signatures, verified by nobody.
    #[must_use]
    pub fn signatures(&self) -> &[NoteSignature<'a>] {
        &self.signatures
    }

    /// The cosignatures of witnesses, verified by nobody: [`Note::cosigned_at`] does that.
    #[must_use]
    pub fn cosignatures(&self) -> &[Cosignature<'a>] {
        &self.cosignatures
    }

    /// Verifies every signature that claims to be by `key`, and that there is one.
    ///
    /// # Errors
    /// [`NoteError::Signature`], [`NoteError::Unsigned`].
    pub fn verify(&self, key: &VerifierKey<'_>) -> Result<(), NoteError> {
        let mut known = self.signatures.iter().filter(|line| line.name == key.name && line.id == key.id);
        let first = known.next().ok_or(NoteError::Unsigned)?;
        core::iter::once(first)
            .chain(known)
            .try_for_each(|line| key.verify(self.text.as_bytes(), &line.signature))
    }
}

/// A signature line, told by the length of its blob: whose it is, only a key can tell.
enum Line<'a> {
    Signature(NoteSignature<'a>),
    Cosignature(Cosignature<'a>),
    Other,
}

fn parse_signature_line(line: &str) -> Result<Line<'_>, NoteError> {
    let (name, encoded) = line
        .strip_prefix(SIGNATURE_LINE)
        .and_then(|rest| lines::split_once(rest, b' '))
        .ok_or(NoteError::Malformed)?;
    check_foreign_key_name(name)?;
    let mut buffer = [0; MAX_NOTE_BYTES];
    let blob = Base64::decode(encoded, &mut buffer).map_err(|_| NoteError::Malformed)?;
    let Some((id, rest)) = blob.split_first_chunk::<4>() else {
        return Err(NoteError::Malformed);
    };
    let id = KeyId(*id);
    if let Ok(signature) = <[u8; 64]>::try_from(rest) {
        return Ok(Line::Signature(NoteSignature { name, id, signature }));
    }
    Ok(Cosignature::of_blob(name, id, rest).map_or(Line::Other, Line::Cosignature))
}

#[cfg(test)]
mod tests {
    use core::str::FromStr as _;

    use super::*;

    /// The example of golang.org/x/mod/sumdb/note.
    const PETER: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    const NOTE: &str = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n\n\u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";

    #[test]
    fn example_of_the_go_implementation_verifies() {
        let key = VerifierKey::parse(PETER).unwrap();
        let note = Note::parse(NOTE).unwrap();
        assert_eq!(note.verify(&key), Ok(()));
        assert_eq!(heapless::format!(128; "{key}").unwrap(), PETER);
    }

    #[test]
    fn altered_text_spoils_the_note() {
        let key = VerifierKey::parse(PETER).unwrap();
        let altered = heapless::format!(512; "But {NOTE}").unwrap();
        assert_eq!(Note::parse(&altered).unwrap().verify(&key), Err(NoteError::Signature));
    }

    #[test]
    fn key_id_must_belong_to_the_key() {
        let altered = heapless::format!(128; "Paul{}", PETER.strip_prefix("Peter").unwrap()).unwrap();
        assert_eq!(VerifierKey::parse(&altered), Err(NoteError::KeyId));
    }

    #[test]
    fn key_of_small_order_is_refused() {
        let mut identity = [0; 32];
        identity[0] = 1;
        assert_eq!(VerifierKey::new("log", &identity), Err(NoteError::Key));
    }

    /// A key whose bytes end in zeroes, which a shorter encoding padded with zeroes would also give.
    #[test]
    fn key_that_is_cut_short_is_refused() {
        let bytes = (2..=u8::MAX)
            .map(|first| core::array::from_fn(|position| if position == 0 { first } else { 0 }))
            .find(|bytes| VerifierKey::new("log", bytes).is_ok())
            .unwrap();
        let key = VerifierKey::new("log", &bytes).unwrap();
        let whole = heapless::format!(128; "{key}").unwrap();
        assert_eq!(VerifierKey::parse(&whole), Ok(key));
        let mut buffer = [0; 8];
        let short = Base64::encode(&[ED25519, bytes[0]], &mut buffer).unwrap();
        let short = heapless::format!(128; "log+{}+{short}", key.id()).unwrap();
        assert_eq!(VerifierKey::parse(&short), Err(NoteError::Malformed));
    }

    #[test]
    fn key_that_is_not_in_its_one_encoding_is_refused() {
        // y = p + 3: the curve library takes it for y = 3, which is a strong point.
        let mut three = [0; 32];
        three[0] = 3;
        let mut beyond_the_prime = [0xff; 32];
        beyond_the_prime[0] = 0xed + 3;
        beyond_the_prime[31] = 0x7f;
        let taken = VerifyingKey::from_bytes(&beyond_the_prime).unwrap();
        assert_eq!(taken.to_edwards().compress().as_bytes(), &three);
        assert!(VerifierKey::new("log", &three).is_ok());
        assert_eq!(VerifierKey::new("log", &beyond_the_prime), Err(NoteError::Key));
    }

    #[test]
    fn signature_by_a_key_with_a_longer_name_than_ours_does_not_spoil_the_note() {
        let key = VerifierKey::parse(PETER).unwrap();
        let mut note = heapless::String::<1024>::from_str(NOTE).unwrap();
        let name = core::str::from_utf8(&[b'w'; 255]).unwrap();
        write!(note, "{}", NoteSignature { name, id: KeyId([1; 4]), signature: [2; 64] }).unwrap();
        let note = Note::parse(&note).unwrap();
        assert_eq!((note.signatures().len(), note.verify(&key)), (2, Ok(())));
    }
}
