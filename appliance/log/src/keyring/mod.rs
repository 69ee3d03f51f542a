//! The key ring of a log: its verifier keys in order, and from which tree size on each of them signs.
//!
//! The one rule: a key is in the ring's file, durably, before it signs anything that others see; and it is never taken out.
//! The checkpoint at which one key hands over to the next carries both signatures. What the file does not yet know of a
//! hand-over, the log tells when it is opened: the commit of that checkpoint is what decides. Only the process that holds
//! the log writes the file. It holds no secret, but whoever can change it decides which HSM key the appliance is held to.

mod change;
mod file;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use assent_proto::checkpoint::Checkpoint;
use assent_proto::limits::{MAX_SKEW_MS, MAX_WINDOW_S};
use assent_proto::note::{NoteError, VerifierKey};
use assent_proto::number::{Timestamp, TreeSize};

pub use change::KeyRefusal;

use super::{KeySignature, SignedCheckpoint};
use crate::disk::{Disk, system};

/// Why a ring cannot be read or kept.
#[derive(Debug, thiserror::Error)]
pub enum KeyringError {
    /// The file system could not.
    #[error("cannot {doing} the key ring {}", path.display())]
    File {
        /// What was being done.
        doing: &'static str,
        /// To which file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// The file is no key ring.
    #[error("{} is no key ring: {why}; restore it from a backup of the same day as the log", path.display())]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
}

/// A key that signs, or signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RingKey {
    /// Its `CKA_ID`, in hexadecimal.
    pub cka_id: String,
    /// The key, in C2SP form.
    pub vkey: String,
    /// Size of the first checkpoint that it signed; 0 for the key that the log was founded for.
    pub from: TreeSize,
    /// Since when it signs.
    pub since: Timestamp,
    /// When it was retired: nothing that it signed is good any more.
    pub retired: Option<Timestamp>,
}

/// The key that is to come, which others are told of ahead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NextKey {
    /// Its `CKA_ID`, in hexadecimal.
    pub cka_id: String,
    /// The key, in C2SP form.
    pub vkey: String,
    /// When it was announced.
    pub announced: Timestamp,
}

/// What a key of the ring does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It will sign.
    Next {
        /// When it was announced.
        announced: Timestamp,
    },
    /// It signs.
    Signs {
        /// Since when.
        since: Timestamp,
    },
    /// It signed, and its tokens may still be good.
    Signed {
        /// When it handed over.
        until: Timestamp,
        /// When its last token is over.
        over: Timestamp,
    },
    /// It signed, and nothing of it is good any more.
    Retired {
        /// Since when.
        at: Timestamp,
    },
}

/// All verifier keys of a log; at least the one that it was founded for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keyring {
    path: PathBuf,
    origin: String,
    founding: RingKey,
    later: Vec<RingKey>,
    next: Option<NextKey>,
    /// Since when the HSM keeps a fence of this log; one that is missing then is missed.
    hsm_fence: Option<Timestamp>,
    /// Whether the file may hold something else: it could not be written as it was to be.
    unsure: bool,
}

impl RingKey {
    /// The key, parsed.
    ///
    /// # Errors
    /// [`NoteError`]; none for a key of a ring that was loaded or founded.
    pub fn verifier_key(&self) -> Result<VerifierKey<'_>, NoteError> {
        VerifierKey::parse(&self.vkey)
    }

    /// The bytes of its `CKA_ID`.
    #[must_use]
    pub fn cka_id_bytes(&self) -> Vec<u8> {
        crate::hex::unhex(&self.cka_id).unwrap_or_default()
    }
}

impl NextKey {
    /// The bytes of its `CKA_ID`.
    #[must_use]
    pub fn cka_id_bytes(&self) -> Vec<u8> {
        crate::hex::unhex(&self.cka_id).unwrap_or_default()
    }
}

impl Keyring {
    /// The ring of a log that has one key, in memory only.
    #[must_use]
    pub fn of_one(path: &Path, key: &VerifierKey<'_>, cka_id: &[u8], since: Timestamp) -> Self {
        let founding = RingKey {
            cka_id: crate::hex::hex(cka_id),
            vkey: key.to_string(),
            from: TreeSize(0),
            since,
            retired: None,
        };
        let origin = key.name().to_owned();
        Self {
            path: path.to_owned(),
            origin,
            founding,
            later: Vec::new(),
            next: None,
            hsm_fence: None,
            unsure: false,
        }
    }

    /// Makes the ring of a log that is about to be founded, on the system's disk.
    ///
    /// # Errors
    /// [`KeyringError::File`]; then there is none.
    pub fn found(
        path: &Path,
        key: &VerifierKey<'_>,
        cka_id: &[u8],
        now: Timestamp,
    ) -> Result<Self, KeyringError> {
        Self::found_on(&*system(), path, key, cka_id, now)
    }

    /// Makes it on this disk.
    ///
    /// # Errors
    /// [`KeyringError::File`]; then there is none.
    pub fn found_on(
        disk: &dyn Disk,
        path: &Path,
        key: &VerifierKey<'_>,
        cka_id: &[u8],
        now: Timestamp,
    ) -> Result<Self, KeyringError> {
        let ring = Self::of_one(path, key, cka_id, now);
        ring.save(disk)?;
        Ok(ring)
    }

    /// Name of the log.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// All keys that sign or signed, the oldest first.
    pub fn keys(&self) -> impl DoubleEndedIterator<Item = &RingKey> {
        std::iter::once(&self.founding).chain(&self.later)
    }

    /// The key that the log was founded for.
    #[must_use]
    pub const fn founding(&self) -> &RingKey {
        &self.founding
    }

    /// The key that signs.
    #[must_use]
    pub fn signing(&self) -> &RingKey {
        self.later.last().unwrap_or(&self.founding)
    }

    /// The key that was announced, if one is.
    #[must_use]
    pub const fn next(&self) -> Option<&NextKey> {
        self.next.as_ref()
    }

    /// Since when the HSM keeps a fence of this log; none where it never did, or need not.
    #[must_use]
    pub const fn fenced_in_hsm(&self) -> Option<Timestamp> {
        self.hsm_fence
    }

    /// The key with that `CKA_ID`, and what it does.
    #[must_use]
    pub fn standing(&self, cka_id: &str) -> Option<(&str, Standing)> {
        if let Some(next) = self.next.as_ref().filter(|next| next.cka_id == cka_id) {
            return Some((&next.vkey, Standing::Next { announced: next.announced }));
        }
        let key = self.keys().find(|key| key.cka_id == cka_id)?;
        let standing = match (self.handed_over(key), key.retired) {
            (_, Some(at)) => Standing::Retired { at },
            (None, None) => Standing::Signs { since: key.since },
            (Some(until), None) => Standing::Signed { until, over: over(until) },
        };
        Some((&key.vkey, standing))
    }

    /// When this key of the ring handed over to another; none while it signs.
    #[must_use]
    pub fn handed_over(&self, key: &RingKey) -> Option<Timestamp> {
        self.later.iter().find(|after| after.from > key.from).map(|after| after.since)
    }

    /// The key in force at a tree size: the one whose signature a checkpoint of that size carries, and at a boundary the
    /// one that hands over.
    #[must_use]
    pub fn at(&self, size: TreeSize) -> &RingKey {
        self.later.iter().rev().find(|key| key.from < size).unwrap_or(&self.founding)
    }

    /// Whether the key in force signed this checkpoint; and at a boundary, the key that takes over too.
    #[must_use]
    pub fn verifies(&self, signed: &SignedCheckpoint) -> bool {
        let checkpoint = Checkpoint { origin: &self.origin, size: signed.size, root: signed.root };
        let Ok(text) = checkpoint.text() else {
            return false;
        };
        let by = |key: &RingKey, signature: &KeySignature| {
            key.verifier_key().is_ok_and(|key| signature.verifies(&key, text.as_bytes()))
        };
        let takes_over = self.later.iter().find(|key| key.from == signed.size);
        by(self.at(signed.size), &signed.signature())
            && match (takes_over, &signed.successor) {
                (None, None) => true,
                (Some(key), Some(signature)) => by(key, signature),
                (Some(_), None) | (None, Some(_)) => false,
            }
    }

    /// Whether the file does not know yet that this checkpoint handed over to the announced key.
    #[must_use]
    pub(super) fn lags_behind(&self, signed: &SignedCheckpoint) -> bool {
        let Some((next, successor)) = self.next.as_ref().zip(signed.successor.as_ref()) else {
            return false;
        };
        let id = VerifierKey::parse(&next.vkey).map(|key| key.id());
        id == Ok(successor.key_id) && signed.size > self.signing().from
    }
}

/// When the last token of a key that handed over then is over: the longest window, and what clocks may differ.
#[must_use]
pub const fn over(handed_over: Timestamp) -> Timestamp {
    handed_over.plus_ms(MAX_WINDOW_S as u64 * 1000 + MAX_SKEW_MS)
}
