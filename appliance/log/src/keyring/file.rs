//! The ring's file, `log-N.keys.toml`: read whole, checked whole, written beside and renamed into place.
//!
//! Its last line is a digest of all above it. It keeps nobody out who can write the file; but of a retired key no signature is asked
//! for any more, so a bit that rots in it would be noticed by nothing else.

use std::collections::BTreeSet;
use std::path::Path;

use assent_proto::hash::Hash;
use assent_proto::note::VerifierKey;
use assent_proto::number::{Timestamp, TreeSize};
use serde::{Deserialize, Serialize};

use super::{Keyring, KeyringError, NextKey, RingKey};
use crate::disk::{Disk, system};
use crate::limits::{MAX_RING_BYTES, MAX_RING_KEYS};

/// What the file says that it is.
const SCHEMA: &str = "assent.v1.keys";
/// What its reader is told first.
const HEAD: &str = "# The verifier keys of this log, the oldest first. The appliance is held to the last; it writes this file itself.\n";
/// What the last line begins with; behind it are hexadecimal digits.
pub(super) const DIGEST: &str = "# digest: ";

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    schema: String,
    origin: String,
    /// Since when the HSM keeps a fence of this log: a missing one is missed.
    hsm_fence_ms: Option<u64>,
    key: Vec<Key>,
    next: Option<Next>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Key {
    cka_id: String,
    vkey: String,
    from_size: u64,
    since_ms: u64,
    retired_ms: Option<u64>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Next {
    cka_id: String,
    vkey: String,
    announced_ms: u64,
}

impl Keyring {
    /// Reads the ring at `path` of the system's disk; none where there is no file.
    ///
    /// # Errors
    /// [`KeyringError`]; then no key is to be believed.
    pub fn load(path: &Path) -> Result<Option<Self>, KeyringError> {
        Self::load_on(&*system(), path)
    }

    /// Reads the ring at `path` of this disk; none where there is no file.
    ///
    /// # Errors
    /// [`KeyringError`]; then no key is to be believed.
    pub fn load_on(disk: &dyn Disk, path: &Path) -> Result<Option<Self>, KeyringError> {
        let malformed = |why| KeyringError::Malformed { path: path.to_owned(), why };
        let bytes = match disk.read(path, MAX_RING_BYTES) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return Ok(None),
            Err(error) if error.kind() == std::io::ErrorKind::FileTooLarge => {
                return Err(malformed(format!("it is longer than {MAX_RING_BYTES} bytes")));
            }
            Err(source) => {
                return Err(KeyringError::File { doing: "read", path: path.to_owned(), source });
            }
        };
        let text = String::from_utf8(bytes).map_err(|_| malformed("it is no text".to_owned()))?;
        parse(&text, path).map(Some).map_err(malformed)
    }

    /// Makes the ring durable as it is.
    ///
    /// # Errors
    /// [`KeyringError::File`]; the file then holds what it held.
    pub(crate) fn save(&self, disk: &dyn Disk) -> Result<(), KeyringError> {
        let failed = |source| KeyringError::File { doing: "write", path: self.path.clone(), source };
        let body = toml::to_string(&self.file()).map_err(|error| failed(std::io::Error::other(error)))?;
        let text = with_digest(&format!("{HEAD}{body}"));
        disk.write_durably(&self.path, text.as_bytes(), 0o600).map_err(failed)
    }

    /// Writes the ring once more where its file may hold something else than what is in force.
    ///
    /// # Errors
    /// [`KeyringError::File`].
    pub(crate) fn make_sure(&mut self, disk: &dyn Disk) -> Result<(), KeyringError> {
        if self.unsure {
            self.save(disk)?;
            self.unsure = false;
        }
        Ok(())
    }

    fn file(&self) -> File {
        let key = |key: &RingKey| Key {
            cka_id: key.cka_id.clone(),
            vkey: key.vkey.clone(),
            from_size: key.from.0,
            since_ms: key.since.0,
            retired_ms: key.retired.map(|at| at.0),
        };
        let next = |next: &NextKey| Next {
            cka_id: next.cka_id.clone(),
            vkey: next.vkey.clone(),
            announced_ms: next.announced.0,
        };
        File {
            schema: SCHEMA.to_owned(),
            origin: self.origin.clone(),
            hsm_fence_ms: self.hsm_fence.map(|since| since.0),
            key: self.keys().map(key).collect(),
            next: self.next.as_ref().map(next),
        }
    }
}

/// The ring's text with the line behind it that vouches for it.
pub(super) fn with_digest(text: &str) -> String {
    let digest = Hash::of_labelled(b"assent/keys/v1\0", [text.as_bytes()]);
    format!("{text}{DIGEST}{}\n", crate::hex::hex(&digest.0))
}

fn parse(text: &str, path: &Path) -> Result<Keyring, String> {
    let (above, _) = text.rsplit_once(DIGEST).ok_or("its last line is no digest of what stands above it")?;
    if with_digest(above) != text {
        return Err("it is not as it was written: its digest is another".to_owned());
    }
    let file: File = toml::from_str(text).map_err(|error| error.message().to_owned())?;
    if file.schema != SCHEMA {
        return Err(format!("its schema is not `{SCHEMA}`"));
    }
    let File { origin, hsm_fence_ms, key, next, .. } = file;
    if key.len() > MAX_RING_KEYS {
        return Err(format!("it has more than {MAX_RING_KEYS} keys"));
    }
    let mut keys: Vec<RingKey> = key.into_iter().map(ring_key).collect();
    let next = next.map(|next| NextKey {
        cka_id: next.cka_id,
        vkey: next.vkey,
        announced: Timestamp(next.announced_ms),
    });
    check(&origin, &keys, next.as_ref())?;
    let later = keys.split_off(1);
    let founding = keys.pop().ok_or("it has no key")?;
    let hsm_fence = hsm_fence_ms.map(Timestamp);
    Ok(Keyring { path: path.to_owned(), origin, founding, later, next, hsm_fence, unsure: false })
}

fn ring_key(key: Key) -> RingKey {
    RingKey {
        cka_id: key.cka_id,
        vkey: key.vkey,
        from: TreeSize(key.from_size),
        since: Timestamp(key.since_ms),
        retired: key.retired_ms.map(Timestamp),
    }
}

/// There is a key; sizes rise from 0; every key is one of this log; none comes twice; the last one is not retired.
fn check(origin: &str, keys: &[RingKey], next: Option<&NextKey>) -> Result<(), String> {
    let last = keys.last().ok_or("it has no key")?;
    if keys.first().is_some_and(|founding| founding.from != TreeSize(0)) {
        return Err("its first key does not sign from the first checkpoint on".to_owned());
    }
    if !keys.is_sorted_by(|one, next| one.from < next.from) {
        return Err("its keys are not in the order in which they signed".to_owned());
    }
    if last.retired.is_some() {
        return Err("the key that signs is marked as retired".to_owned());
    }
    let mut seen = BTreeSet::new();
    let all = keys.iter().map(|key| (&key.cka_id, &key.vkey));
    for (cka_id, vkey) in all.chain(next.map(|next| (&next.cka_id, &next.vkey))) {
        let key = VerifierKey::parse(vkey).map_err(|error| format!("`{vkey}`: {error}"))?;
        if key.name() != origin {
            return Err(format!("`{vkey}` is not of origin `{origin}`"));
        }
        if crate::hex::unhex(cka_id).map(|bytes| crate::hex::hex(&bytes)).as_ref() != Some(cka_id) {
            return Err(format!("`{cka_id}` is no CKA_ID in hexadecimal digits"));
        }
        if !seen.insert(cka_id) || !seen.insert(vkey) {
            return Err(format!("key {cka_id} comes twice"));
        }
    }
    Ok(())
}
