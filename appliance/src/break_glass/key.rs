//! The key of a warrant: Ed25519, made for that one warrant, in a file that only its owner reads, gone when the warrant is.
//!
//! What it can do is bounded by what operators have signed: a verifier takes it for the uses of its warrant and for nothing else.
//! Until they have signed, its file gives nobody anything. With it lies what it was made for, so that neither a restart nor a kill between the
//! two loses the one or the other.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use assent_proto::note::VerifierKey;
use assent_proto::number::{LeafIndex, Timestamp};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize as _, Zeroizing};

use crate::limits::{MAX_PREPARED_FILE_BYTES, MAX_PREPARED_WARRANTS};
use crate::log::disk::{system, write_durably};
use crate::log::hex::{hex, unhex};

const SCHEMA: &str = "assent.v1.breakglass.key";

/// What a warrant is to be, which operators are to sign.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Wanted {
    pub(super) charter: LeafIndex,
    pub(super) uses: u16,
    pub(super) not_before: Timestamp,
    pub(super) not_after: Timestamp,
    pub(super) reason: String,
}

/// A key that signs checkpoints under a warrant.
pub(crate) struct WarrantKey {
    pair: Ed25519KeyPair,
    public: [u8; 32],
}

/// A key, and what it was made for.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) key: WarrantKey,
    pub(super) wanted: Wanted,
}

/// Keys, by their public halves, and the folder in which they lie.
#[derive(Debug)]
pub(super) struct Keys {
    folder: PathBuf,
    prepared: BTreeMap<[u8; 32], std::sync::Arc<Prepared>>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    schema: String,
    /// In hexadecimal.
    seed: String,
    wanted: Wanted,
}

impl WarrantKey {
    fn of_seed(seed: &[u8; 32]) -> Option<Self> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).ok()?;
        let public = pair.public_key().as_ref().try_into().ok()?;
        Some(Self { pair, public })
    }

    pub(super) const fn public(&self) -> &[u8; 32] {
        &self.public
    }

    /// Its signature over a checkpoint's text, under this name. As with every key: none that does not verify.
    pub(super) fn sign(&self, key: &VerifierKey<'_>, text: &[u8]) -> Option<[u8; 64]> {
        let signature = self.pair.sign(text).as_ref().try_into().ok()?;
        key.verify(text, &signature).ok().map(|()| signature)
    }
}

impl fmt::Debug for WarrantKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WarrantKey({})", hex(&self.public))
    }
}

impl Prepared {
    /// Makes a key for what is wanted, and its file in the folder: durable when this returns. Waits for the disk, so nothing of
    /// the room is held meanwhile.
    pub(super) fn make(folder: &Path, wanted: Wanted) -> Result<Self, String> {
        let mut seed = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *seed).map_err(|error| format!("the system gives no random bytes: {error}"))?;
        let key = WarrantKey::of_seed(&seed).ok_or("no key can be made")?;
        let mut file = File { schema: SCHEMA.to_owned(), seed: hex(&*seed), wanted: wanted.clone() };
        let text = serde_json::to_string(&file).map(Zeroizing::new);
        file.seed.zeroize();
        let text = text.map_err(|error| error.to_string())?;
        let path = path_in(folder, &key.public);
        let written = system().make_folder(folder).and_then(|()| {
            let owner_only = std::os::unix::fs::PermissionsExt::from_mode(0o700);
            std::fs::set_permissions(folder, owner_only)?;
            write_durably(&path, text.as_bytes(), 0o600)
        });
        written.map_err(|error| format!("cannot keep the warrant's key in {}: {error}", path.display()))?;
        Ok(Self { key, wanted })
    }

    /// Removes the file of a key that nobody takes. Where it cannot be, the next start finds it and removes it in its time.
    pub(super) fn discard(folder: &Path, public: &[u8; 32]) {
        let _ = std::fs::remove_file(path_in(folder, public));
    }
}

impl Keys {
    /// The keys that lie in this folder. What is none of ours is left, and said in a trace.
    pub(super) fn open(folder: PathBuf) -> Self {
        let mut keys = Self { folder, prepared: BTreeMap::new() };
        let Ok(files) = std::fs::read_dir(&keys.folder) else { return keys };
        for file in files.flatten().take(4 * MAX_PREPARED_WARRANTS) {
            match read(&file.path()) {
                Some(prepared) => drop(keys.prepared.insert(prepared.key.public, prepared.into())),
                None => {
                    tracing::warn!(path = %file.path().display(), "this is no key of a warrant, and is left alone");
                }
            }
        }
        keys
    }

    /// Where a key is to be made, while one more may be.
    pub(super) fn place(&self) -> Result<PathBuf, String> {
        if self.prepared.len() >= MAX_PREPARED_WARRANTS {
            return Err(format!(
                "{MAX_PREPARED_WARRANTS} warrants are prepared already; activate one of them, or wait until they are over"
            ));
        }
        Ok(self.folder.clone())
    }

    /// Takes a key that was made in the folder; none once others took the last place. Its file is then the caller's to remove.
    pub(super) fn take(&mut self, made: Prepared) -> Result<std::sync::Arc<Prepared>, String> {
        self.place()?;
        let prepared = std::sync::Arc::new(made);
        self.prepared.insert(prepared.key.public, std::sync::Arc::clone(&prepared));
        Ok(prepared)
    }

    pub(super) fn get(&self, public: &[u8; 32]) -> Option<&std::sync::Arc<Prepared>> {
        self.prepared.get(public)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &std::sync::Arc<Prepared>> {
        self.prepared.values()
    }

    /// Removes the keys that are of no use any more.
    pub(super) fn keep(&mut self, is_of_use: impl Fn(&Prepared) -> bool) {
        let folder = &self.folder;
        self.prepared.retain(|public, prepared| {
            if is_of_use(prepared) {
                return true;
            }
            let path = path_in(folder, public);
            match std::fs::remove_file(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    tracing::error!(%error, path = %path.display(), "the key of a warrant that is over cannot be removed");
                    true
                }
                Ok(()) | Err(_) => false,
            }
        });
    }
}

fn path_in(folder: &Path, public: &[u8; 32]) -> PathBuf {
    folder.join(format!("{}.key", hex(public)))
}

fn read(path: &Path) -> Option<Prepared> {
    let file = std::fs::File::open(path).ok()?;
    // The capacity holds all that is read, so that no copy is left behind by growing.
    let mut text = Zeroizing::new(String::with_capacity(MAX_PREPARED_FILE_BYTES));
    file.take(MAX_PREPARED_FILE_BYTES as u64).read_to_string(&mut text).ok()?;
    let File { schema, seed, wanted } = serde_json::from_str(&text).ok()?;
    let digits = Zeroizing::new(seed);
    let bytes = Zeroizing::new(unhex(&digits)?);
    let seed = Zeroizing::new(<[u8; 32]>::try_from(bytes.as_slice()).ok()?);
    let key = WarrantKey::of_seed(&seed).filter(|_| schema == SCHEMA)?;
    let is_its_name = path.file_stem().is_some_and(|stem| stem == hex(&key.public).as_str());
    is_its_name.then_some(Prepared { key, wanted })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn wanted(not_after: u64) -> Wanted {
        let (not_before, not_after) = (Timestamp(1), Timestamp(not_after));
        Wanted { charter: LeafIndex(7), uses: 2, not_before, not_after, reason: "the HSM is gone".to_owned() }
    }

    fn make(keys: &mut Keys, wanted: Wanted) -> Result<std::sync::Arc<Prepared>, String> {
        let folder = keys.place()?;
        keys.take(Prepared::make(&folder, wanted)?)
    }

    #[test]
    fn a_key_comes_back_with_what_it_was_made_for_and_goes_when_it_is_of_no_use() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("break-glass");
        let mut keys = Keys::open(place.clone());
        let (first, second) = (make(&mut keys, wanted(10)).unwrap(), make(&mut keys, wanted(20)).unwrap());
        assert_ne!(first.key.public(), second.key.public());
        let path = path_in(&place, first.key.public());
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(!format!("{first:?}").contains("seed"));
        std::fs::write(place.join("note.key"), "a stranger's").unwrap();
        let mut again = Keys::open(place);
        assert_eq!(again.all().count(), 2);
        let read = again.get(first.key.public()).unwrap();
        assert_eq!(read.wanted, wanted(10));
        let name = "log.test/1/warrant/9";
        let key = VerifierKey::new(name, read.key.public()).unwrap();
        assert!(read.key.sign(&key, b"text").is_some());
        let other = VerifierKey::new(name, second.key.public()).unwrap();
        assert_eq!(read.key.sign(&other, b"text"), None, "a signature that does not verify is none");
        again.keep(|prepared| prepared.wanted.not_after > Timestamp(10));
        assert!(again.get(first.key.public()).is_none() && again.get(second.key.public()).is_some());
        assert!(!path.exists());
    }

    #[test]
    fn a_key_under_another_name_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let mut keys = Keys::open(folder.path().to_owned());
        let made = make(&mut keys, wanted(10)).unwrap();
        std::fs::rename(path_in(folder.path(), made.key.public()), folder.path().join("x.key")).unwrap();
        assert_eq!(Keys::open(folder.path().to_owned()).all().count(), 0);
    }

    #[test]
    fn no_more_are_prepared_than_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let mut keys = Keys::open(folder.path().to_owned());
        let late = Prepared::make(&keys.place().unwrap(), wanted(10)).unwrap();
        for _ in 0..MAX_PREPARED_WARRANTS {
            make(&mut keys, wanted(10)).unwrap();
        }
        assert!(keys.take(late).unwrap_err().contains("prepared already"), "others took the last place");
        assert!(make(&mut keys, wanted(10)).unwrap_err().contains("prepared already"));
    }
}
