//! What changes in a ring: a key is announced, takes over, and is retired in the end.
//!
//! No key comes back, under no id. A change that could not be made durable is no change.

use assent_proto::note::{NoteError, VerifierKey};
use assent_proto::number::{Timestamp, TreeSize};

use super::{Keyring, KeyringError, NextKey, RingKey, Standing};
use crate::disk::Disk;
use crate::limits::MAX_RING_KEYS;

/// Why the ring does not take a key, or does not let one go. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum KeyRefusal {
    /// The id has had its time, or has it.
    #[error(
        "key {0} is in the key ring already, and a key never comes back; make another with `assent keys generate --key-id`"
    )]
    InUse(String),
    /// The same public key under another id.
    #[error("the public key of {0} is in the key ring already; a key never comes back under another id")]
    SameKey(String),
    /// It is no key that can sign here.
    #[error("key {key} cannot sign for this log: {source}")]
    Unusable {
        /// Its id.
        key: String,
        /// Why.
        source: NoteError,
    },
    /// Nobody was told of it.
    #[error(
        "key {0} was not announced; run `assent keys announce --key-id {0}`, then bring `assent trust export` to executors, agents and auditors"
    )]
    NotAnnounced(String),
    /// There is no such key in the ring.
    #[error("the key ring has no key {0}; `assent keys list` shows it")]
    Unknown(String),
    /// It signs.
    #[error("key {0} signs; rotate to another one first (`assent keys rotate`)")]
    Signs(String),
    /// It was retired before.
    #[error("key {0} is retired already")]
    Retired(String),
    /// Its last tokens may still be good.
    #[error("tokens of key {key} may be good for another {} s; retire it then", left_ms.div_ceil(1000))]
    TokensOutstanding {
        /// Its id.
        key: String,
        /// For how long.
        left_ms: u64,
    },
    /// The ring is full.
    #[error("the key ring has {MAX_RING_KEYS} keys, which is its limit; begin log n+1")]
    Full,
    /// It could not be made durable.
    #[error(transparent)]
    Ring(#[from] KeyringError),
}

impl Keyring {
    /// Whether a key could be announced under this id.
    ///
    /// # Errors
    /// [`KeyRefusal::InUse`], [`KeyRefusal::Full`].
    pub fn take_id(&self, cka_id: &str) -> Result<(), KeyRefusal> {
        if self.keys().any(|key| key.cka_id == cka_id) {
            return Err(KeyRefusal::InUse(cka_id.to_owned()));
        }
        if self.keys().count() >= MAX_RING_KEYS { Err(KeyRefusal::Full) } else { Ok(()) }
    }

    /// The announced key, when it has this id.
    ///
    /// # Errors
    /// [`KeyRefusal::InUse`], [`KeyRefusal::NotAnnounced`].
    pub fn announced(&self, cka_id: &str) -> Result<&NextKey, KeyRefusal> {
        self.take_id(cka_id)?;
        let next = self.next.as_ref().filter(|next| next.cka_id == cka_id);
        next.ok_or_else(|| KeyRefusal::NotAnnounced(cka_id.to_owned()))
    }

    /// Names the key that is to sign next. One that was announced before and never signed is forgotten.
    ///
    /// # Errors
    /// [`KeyRefusal`].
    pub fn announce(
        &mut self,
        disk: &dyn Disk,
        cka_id: &str,
        public_key: &[u8; 32],
        now: Timestamp,
    ) -> Result<&NextKey, KeyRefusal> {
        self.take_id(cka_id)?;
        let key = VerifierKey::new(&self.origin, public_key)
            .map_err(|source| KeyRefusal::Unusable { key: cka_id.to_owned(), source })?;
        let vkey = key.to_string();
        if self.keys().any(|key| key.vkey == vkey) {
            return Err(KeyRefusal::SameKey(cka_id.to_owned()));
        }
        let before = self.next.clone();
        // Announced twice, it is as old as it was: executors may have been told of it at the first time.
        let announced = match &before {
            Some(same) if same.vkey == vkey && same.cka_id == cka_id => same.announced,
            Some(_) | None => now,
        };
        self.next = Some(NextKey { cka_id: cka_id.to_owned(), vkey, announced });
        if let Err(error) = self.save(disk) {
            self.next = before;
            self.unsure = true;
            return Err(error.into());
        }
        self.unsure = false;
        self.next.as_ref().ok_or_else(|| KeyRefusal::NotAnnounced(cka_id.to_owned()))
    }

    /// Lets the announced key sign from the checkpoint of this size on, in memory: whoever calls has its commit behind it.
    pub(crate) fn hand_over(&mut self, from: TreeSize, now: Timestamp) {
        if let Some(NextKey { cka_id, vkey, .. }) = self.next.take() {
            self.later.push(RingKey { cka_id, vkey, from, since: now, retired: None });
        }
    }

    /// Notes since when the HSM keeps a fence of this log, durably; or that it need not.
    ///
    /// # Errors
    /// [`KeyringError::File`].
    pub(crate) fn note_fence(
        &mut self,
        disk: &dyn Disk,
        since: Option<Timestamp>,
    ) -> Result<(), KeyringError> {
        let before = std::mem::replace(&mut self.hsm_fence, since);
        let saved = self.save(disk).inspect_err(|_| self.hsm_fence = before);
        self.unsure = saved.is_err();
        saved
    }

    /// Marks a key as retired, once nothing that it signed can be good any more.
    ///
    /// # Errors
    /// [`KeyRefusal`].
    pub fn retire(&mut self, disk: &dyn Disk, cka_id: &str, now: Timestamp) -> Result<(), KeyRefusal> {
        let named = || cka_id.to_owned();
        match self.standing(cka_id).map(|(_, standing)| standing) {
            None | Some(Standing::Next { .. }) => return Err(KeyRefusal::Unknown(named())),
            Some(Standing::Signs { .. }) => return Err(KeyRefusal::Signs(named())),
            Some(Standing::Retired { .. }) => return Err(KeyRefusal::Retired(named())),
            Some(Standing::Signed { over, .. }) if now <= over => {
                let left_ms = over.0.saturating_sub(now.0).saturating_add(1);
                return Err(KeyRefusal::TokensOutstanding { key: named(), left_ms });
            }
            Some(Standing::Signed { .. }) => {}
        }
        let before = self.clone();
        let mut all = std::iter::once(&mut self.founding).chain(&mut self.later);
        if let Some(key) = all.find(|key| key.cka_id == cka_id) {
            key.retired = Some(now);
        }
        self.save(disk).inspect_err(|_| *self = Self { unsure: true, ..before })?;
        self.unsure = false;
        Ok(())
    }
}
