//! The key with which this appliance cosigns for others: Ed25519, in a file that only its owner reads.
//!
//! It is not the HSM's key and never may be: that one signs checkpoints of its own log and nothing else, since a note's
//! signature has no prefix that says what it is for. What this key can do is vouch that another log grew; it makes no token and
//! opens no boundary, so a file is enough for it. The file has the form of Go's `sumdb/note`: `PRIVATE+KEY+name+id+base64(0x04,
//! seed)`.

use std::fmt;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use assent_proto::cosignature::{self, Cosignature, WitnessKey};
use assent_proto::note::NoteError;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64ct::{Base64, Encoding as _};
use zeroize::Zeroizing;

use crate::log::disk::write_durably;

/// What the file begins with.
const PREFIX: &str = "PRIVATE+KEY+";
/// Bytes of the file.
const MAX_FILE_BYTES: u64 = 1024;

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum SigningKeyError {
    /// The file cannot be read or written.
    #[error("cannot {doing} the witness's key {}", path.display())]
    File {
        /// What was being done.
        doing: &'static str,
        /// To which file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// There is none.
    #[error("there is no witness's key at {}; make one with `assent witness init`", .0.display())]
    Missing(PathBuf),
    /// The file holds no key of a witness.
    #[error("{} holds no key of a witness", .0.display())]
    Malformed(PathBuf),
    /// The name cannot be that of a witness.
    #[error("`{name}` cannot be the name of a witness: {cause}")]
    Name {
        /// The name.
        name: String,
        /// What is wrong with it.
        cause: NoteError,
    },
    /// The system gives no random bytes.
    #[error("the system gives no random bytes")]
    Random(#[from] getrandom::Error),
}

/// A key that cosigns.
pub struct SigningKey {
    name: String,
    pair: Ed25519KeyPair,
    public: [u8; 32],
}

impl SigningKey {
    /// Makes a key under this name in a new file, for its owner only.
    ///
    /// # Errors
    /// [`SigningKeyError`]; where there is a file it stays as it is.
    pub fn create(path: &Path, name: &str) -> Result<Self, SigningKeyError> {
        let mut seed = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *seed)?;
        let key = Self::of_seed(name, &seed)?;
        let id = key.verifier_key().map_or_else(|_| String::new(), |key| key.id().to_string());
        let mut blob = Zeroizing::new(vec![cosignature::TYPE]);
        blob.extend_from_slice(&*seed);
        let encoded = Zeroizing::new(Base64::encode_string(&blob));
        let text = Zeroizing::new(format!("{PREFIX}{name}+{id}+{}\n", &*encoded));
        let file = |doing| move |source| SigningKeyError::File { doing, path: path.to_owned(), source };
        if path.exists() {
            return Err(file("make")(std::io::ErrorKind::AlreadyExists.into()));
        }
        write_durably(path, text.as_bytes(), 0o600).map_err(file("make"))?;
        Ok(key)
    }

    /// Reads the key. That others may read it is said in a trace.
    ///
    /// # Errors
    /// [`SigningKeyError`].
    pub fn read(path: &Path) -> Result<Self, SigningKeyError> {
        let unread = |source: std::io::Error| {
            let missing = source.kind() == std::io::ErrorKind::NotFound;
            let path = path.to_owned();
            if missing {
                SigningKeyError::Missing(path)
            } else {
                SigningKeyError::File { doing: "read", path, source }
            }
        };
        let file = std::fs::File::open(path).map_err(unread)?;
        if file.metadata().is_ok_and(|metadata| metadata.permissions().mode() & 0o077 != 0) {
            tracing::warn!(path = %path.display(), "others can read the witness's key; chmod 0600");
        }
        // The capacity holds all that is read, so that no copy is left behind by growing.
        let mut text = Zeroizing::new(String::with_capacity(1024));
        file.take(MAX_FILE_BYTES).read_to_string(&mut text).map_err(unread)?;
        Self::parse(text.trim_end()).ok_or_else(|| SigningKeyError::Malformed(path.to_owned()))
    }

    fn parse(text: &str) -> Option<Self> {
        let (name, rest) = text.strip_prefix(PREFIX)?.split_once('+')?;
        let (id, encoded) = rest.split_once('+')?;
        let blob = Zeroizing::new(Base64::decode_vec(encoded).ok()?);
        let (kind, seed) = blob.split_first()?;
        let seed = Zeroizing::new(<[u8; 32]>::try_from(seed).ok()?);
        let key = Self::of_seed(name, &seed).ok().filter(|_| *kind == cosignature::TYPE)?;
        let same = key.verifier_key().is_ok_and(|key| key.id().to_string() == id);
        same.then_some(key)
    }

    fn of_seed(name: &str, seed: &[u8; 32]) -> Result<Self, SigningKeyError> {
        let wrong = |cause| SigningKeyError::Name { name: name.to_owned(), cause };
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| wrong(NoteError::Key))?;
        let public = pair.public_key().as_ref().try_into().map_err(|_| wrong(NoteError::Key))?;
        WitnessKey::new(name, &public).map_err(wrong)?;
        Ok(Self { name: name.to_owned(), pair, public })
    }

    /// The verifier key that others hold.
    ///
    /// # Errors
    /// None, for a key that exists: its name and bytes were taken once.
    pub fn verifier_key(&self) -> Result<WitnessKey<'_>, NoteError> {
        WitnessKey::new(&self.name, &self.public)
    }

    /// The cosignature line over a checkpoint's text at this time; none for a text that is none of a checkpoint.
    #[must_use]
    pub fn cosign(&self, text: &str, time_s: u64) -> Option<String> {
        let message = cosignature::message(time_s, text)?;
        let signature = self.pair.sign(message.as_bytes()).as_ref().try_into().ok()?;
        let id = self.verifier_key().ok()?.id();
        Some(Cosignature { name: &self.name, id, time_s, signature }.to_string())
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.name)
    }
}

#[cfg(test)]
mod tests {
    use assent_proto::note::Note;

    use super::*;

    const TEXT: &str = "log.test/a\n1\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n";

    #[test]
    fn a_key_comes_back_from_its_file_and_cosigns_what_verifies() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let made = SigningKey::create(&path, "w.test/1").unwrap();
        let read = SigningKey::read(&path).unwrap();
        assert_eq!(read.verifier_key(), made.verifier_key());
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let note = format!("{TEXT}\n{}", read.cosign(TEXT, 7).unwrap());
        assert_eq!(Note::parse(&note).unwrap().cosigned_at(&made.verifier_key().unwrap()), Ok(7));
        assert!(read.cosign(&"x".repeat(1000), 7).is_none());
        assert!(matches!(SigningKey::create(&path, "w.test/1"), Err(SigningKeyError::File { .. })));
        assert!(!format!("{read:?}").contains("PRIVATE"));
    }

    #[test]
    fn what_is_no_key_of_a_witness_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        assert!(matches!(SigningKey::read(&path), Err(SigningKeyError::Missing(_))));
        assert!(matches!(SigningKey::create(&path, "a name"), Err(SigningKeyError::Name { .. })));
        assert!(!path.exists());
        SigningKey::create(&path, "w").unwrap();
        let good = std::fs::read_to_string(&path).unwrap();
        // The first bits behind `base64(` are the type; behind the name stands the ID.
        let of_a_log = good.replacen("+B", "+A", 1);
        for bad in
            ["", "PRIVATE+KEY+w", &good.replace("+w+", "+v+"), &of_a_log, good.split_at(good.len() - 5).0]
        {
            std::fs::write(&path, bad).unwrap();
            assert!(matches!(SigningKey::read(&path), Err(SigningKeyError::Malformed(_))), "{bad}");
        }
    }
}
