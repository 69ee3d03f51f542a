//! The register of passkeys: who enrolled which, how often it has signed, and whether it was revoked.
//!
//! A shelf in the data folder. The rule it keeps: what is remembered in memory is what is on disk; a change that cannot be written was not
//! made. It holds no secret. It grants nothing: an approver's key counts where the bundle lists it.

use std::path::Path;

use assent_doors::shelf::{Label, Named, Shelf, ShelfError};
use assent_proto::number::Timestamp;
use serde::{Deserialize, Serialize};

use super::IdentityError;
use super::site::Credential;
use crate::limits::{MAX_PASSKEYS, MAX_PASSKEYS_PER_OPERATOR};
use crate::operators::OperatorKey;

const KEYS: &str = "keys";

static LABEL: Label = Label {
    name: "the register of passkeys",
    remedy: "restore it from a backup, or move it away and have operators enrol anew",
    named: Named::new("passkeys"),
    format: b"assent.v1.passkeys",
};

/// A passkey that was enrolled.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Enrolled {
    /// Whose.
    pub(super) name: String,
    /// The SSH public key: type and key.
    pub(super) line: String,
    /// As the library keeps it.
    pub(super) credential: Credential,
    /// How often the authenticator says that it has signed; zero where it does not count.
    pub(super) counter: u32,
    /// When it was enrolled.
    pub(super) since: Timestamp,
    /// When it was used last.
    pub(super) used: Option<Timestamp>,
    /// When it was revoked.
    pub(super) revoked: Option<Timestamp>,
}

impl Enrolled {
    /// The key, under its operator's name.
    pub(super) fn key(&self) -> Option<OperatorKey> {
        OperatorKey::parse(&format!("{} {}", self.line, self.name)).ok()
    }

    /// Its fingerprint, as `ssh-keygen -l` shows it.
    pub(super) fn fingerprint(&self) -> String {
        self.key().map(|key| key.fingerprint()).unwrap_or_default()
    }

    /// Takes what the authenticator says of itself: a count that goes back, or stands still where it counts, is that of a copy.
    pub(super) fn count(&mut self, counter: u32, now: Timestamp) -> Result<(), IdentityError> {
        if (counter > 0 || self.counter > 0) && counter <= self.counter {
            return Err(IdentityError::Counter);
        }
        self.counter = counter;
        self.used = Some(now);
        Ok(())
    }
}

/// The register.
#[derive(Debug)]
pub(super) struct Register {
    shelf: Shelf,
    keys: Vec<Enrolled>,
}

impl Register {
    /// Opens the register, or makes an empty one.
    pub(super) fn open(path: &Path) -> Result<Self, ShelfError> {
        let shelf = Shelf::open(path, &LABEL)?;
        let keys = match shelf.value(KEYS)? {
            Some(bytes) => serde_json::from_slice(&bytes).map_err(|_| shelf.unreadable(KEYS))?,
            None => Vec::new(),
        };
        Ok(Self { shelf, keys })
    }

    /// All of them, in the order in which they were enrolled.
    pub(super) fn all(&self) -> &[Enrolled] {
        &self.keys
    }

    /// Those of an operator that count.
    pub(super) fn of<'r>(&'r self, name: &'r str) -> impl Iterator<Item = &'r Enrolled> {
        self.keys.iter().filter(move |key| key.name == name && key.revoked.is_none())
    }

    /// The passkey of this credential, if it counts.
    pub(super) fn find(&self, credential: &[u8]) -> Option<&Enrolled> {
        self.keys.iter().find(|key| key.credential.id() == credential && key.revoked.is_none())
    }

    /// Adds one. Of those that were revoked the oldest is forgotten where there is no room.
    pub(super) fn add(&mut self, key: Enrolled) -> Result<(), IdentityError> {
        let known = |known: &Enrolled| known.credential.id() == key.credential.id() || known.line == key.line;
        if self.keys.iter().any(known) {
            return Err(IdentityError::KnownKey);
        }
        if self.of(&key.name).count() >= MAX_PASSKEYS_PER_OPERATOR {
            return Err(IdentityError::Full);
        }
        let mut keys = self.keys.clone();
        if keys.len() >= MAX_PASSKEYS {
            let oldest = keys.iter().position(|key| key.revoked.is_some()).ok_or(IdentityError::Full)?;
            keys.remove(oldest);
        }
        keys.push(key);
        Ok(self.keep(keys)?)
    }

    /// Puts a changed one in its place.
    pub(super) fn replace(&mut self, changed: Enrolled) -> Result<(), ShelfError> {
        let mut keys = self.keys.clone();
        if let Some(known) = keys.iter_mut().find(|known| known.line == changed.line) {
            *known = changed;
        }
        self.keep(keys)
    }

    /// Revokes what is named: all passkeys of an operator, or the one of this fingerprint. Gives those that counted until now.
    pub(super) fn revoke(&mut self, who: &str, now: Timestamp) -> Result<Vec<Enrolled>, ShelfError> {
        let (mut keys, mut revoked) = (self.keys.clone(), Vec::new());
        let named = |key: &Enrolled| key.revoked.is_none() && (key.name == who || key.fingerprint() == who);
        for key in keys.iter_mut().filter(|key| named(key)) {
            key.revoked = Some(now);
            revoked.push(key.clone());
        }
        if !revoked.is_empty() {
            self.keep(keys)?;
        }
        Ok(revoked)
    }

    fn keep(&mut self, keys: Vec<Enrolled>) -> Result<(), ShelfError> {
        let bytes = serde_json::to_vec(&keys).map_err(|_| self.shelf.unreadable(KEYS))?;
        self.shelf.put(&[(KEYS, &bytes)])?;
        self.keys = keys;
        Ok(())
    }

    #[cfg(test)]
    pub(super) fn lose(&mut self, path: &Path) {
        self.shelf.lose(path);
    }
}
