//! The log room: the book that every decision stands in before it leaves the building.
//!
//! The one rule: a [`Receipt`] exists only after a commit is durable. What a commit did when it reports an error is
//! unknown, so every such error is [`Fatal`]: the process stops, and start-up recovers.
//!
//! The room does not sign and does not decide. Format: `proto/FORMAT.md`, sections 8, 9 and 10.

#![forbid(unsafe_code)]

mod archiving;
pub mod binding;
mod commit;
pub mod disk;
mod erasure;
pub mod fence;
pub mod hex;
pub mod keyring;
mod latch;
mod leaf_bytes;
mod leaves;
pub mod limits;
pub mod predecessor;
pub mod proof;
pub mod reader;
mod recovery;
pub mod second_fence;
pub mod store;
mod succession;
#[cfg(test)]
mod tests;
pub mod tiles;
pub mod verification;
mod volume;

use std::sync::Arc;

use assent_proto::hash::Hash;
use assent_proto::note::{KeyId, VerifierKey};
use assent_proto::number::{Epoch, Timestamp, TreeSize};
use assent_proto::tree::Frontier;
use serde::{Deserialize, Serialize};

pub use commit::{Commit, Recorded, request_digest};
pub use erasure::{ERASURE_ACT, Erased, Erasure};
pub use latch::Latched;
pub use leaf_bytes::LeafBytes;
pub use leaves::Leaves;
pub use recovery::{OpenError, Place};
pub use succession::KeyReport;

use self::binding::Binder;
use self::disk::Disk;
use self::fence::Fence;
use self::keyring::{KeyRefusal, Keyring, KeyringError};
use self::reader::Reader;
use self::store::{Answers, Store, StoreError};

/// Our own state is unknown. Nothing handles it: the process stops, and start-up finds out what is so.
#[derive(Debug, thiserror::Error)]
#[error("the log's state is unknown; stopping, start-up will recover it")]
pub struct Fatal(#[source] Unknown);

/// What made it so.
#[derive(Debug, thiserror::Error)]
enum Unknown {
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The log has a new signing key, and the ring's file does not tell.
    #[error(transparent)]
    Keyring(#[from] KeyringError),
}

impl From<StoreError> for Fatal {
    fn from(error: StoreError) -> Self {
        Self(error.into())
    }
}

/// Tells its holder that a round is in the log, durably, and so is all before it: the log up to this size. It does not tell
/// under which signature, or that there is one: who made the round knows (in the token room, `Sealed` or `Unsigned`).
///
/// Only [`Log::commit`] makes one, so nothing is released that is not in the log:
///
/// ```compile_fail
/// let forged = assent_log::Receipt { size: assent_proto::number::TreeSize(1) };
/// ```
#[derive(Debug)]
#[must_use]
pub struct Receipt {
    size: TreeSize,
}

impl Receipt {
    /// Size of the tree that is durable.
    #[must_use]
    pub const fn size(&self) -> TreeSize {
        self.size
    }
}

/// One key's signature over a checkpoint's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeySignature {
    /// Whose.
    pub key_id: KeyId,
    /// Over the text alone.
    pub signature: [u8; 64],
}

impl KeySignature {
    /// Whether it is this key's signature over this text.
    #[must_use]
    pub fn verifies(&self, key: &VerifierKey<'_>, text: &[u8]) -> bool {
        self.key_id == key.id() && key.verify(text, &self.signature).is_ok()
    }
}

/// A checkpoint that the HSM signed, as the log keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignedCheckpoint {
    /// How many leaves it covers.
    pub size: TreeSize,
    /// Their root hash.
    pub root: Hash,
    /// Whose signature.
    pub key_id: KeyId,
    /// The signature over the checkpoint's text.
    pub signature: [u8; 64],
    /// At the boundary between two keys, the signature of the one that takes over.
    pub successor: Option<KeySignature>,
}

impl SignedCheckpoint {
    /// The signature of the key in force.
    #[must_use]
    pub const fn signature(&self) -> KeySignature {
        KeySignature { key_id: self.key_id, signature: self.signature }
    }
}

/// What became of intents while no checkpoint could be signed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unsigned {
    /// When the boundary closed; none: there is no gap.
    pub since: Option<Timestamp>,
    /// Denials in the gap.
    pub denials: u64,
    /// Holds in the gap.
    pub holds: u64,
    /// Intents that were refused meanwhile without an entry.
    pub refused: u64,
}

/// The log's state in memory: what the store's last commit says.
#[derive(Debug)]
pub struct Log {
    disk: Arc<dyn Disk>,
    store: Arc<Store>,
    binder: Binder,
    /// Whether all volumes were checked when it was opened.
    checked: bool,
    fence: Fence,
    keys: Keyring,
    frontier: Frontier,
    signed: Option<SignedCheckpoint>,
    epoch: Epoch,
    /// The epoch that the entries tell of; the latch may know a later one.
    told_epoch: Epoch,
    lowest_epoch: Epoch,
    unsigned: Unsigned,
    /// Causes of the trips in the unsigned tail with which it was opened.
    trips: Vec<Latched>,
    latch: latch::Latch,
}

impl Log {
    /// The tree that the next round appends to.
    #[must_use]
    pub const fn frontier(&self) -> &Frontier {
        &self.frontier
    }

    /// Reads it from any thread.
    #[must_use]
    pub fn reader(&self) -> Reader {
        Reader::new(Arc::clone(&self.store))
    }

    /// The newest signed checkpoint.
    #[must_use]
    pub const fn signed(&self) -> Option<&SignedCheckpoint> {
        self.signed.as_ref()
    }

    /// Its verifier keys.
    #[must_use]
    pub const fn keys(&self) -> &Keyring {
        &self.keys
    }

    /// Names the key that is to sign next.
    ///
    /// # Errors
    /// [`KeyRefusal`].
    pub fn announce(
        &mut self,
        cka_id: &str,
        public_key: &[u8; 32],
        now: Timestamp,
    ) -> Result<&keyring::NextKey, KeyRefusal> {
        self.keys.announce(&*self.disk, cka_id, public_key, now)
    }

    /// Marks a key as retired.
    ///
    /// # Errors
    /// [`KeyRefusal`].
    pub fn retire(&mut self, cka_id: &str, now: Timestamp) -> Result<(), KeyRefusal> {
        self.keys.retire(&*self.disk, cka_id, now)
    }

    /// The epoch of the last commit.
    #[must_use]
    pub const fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// The epoch that the entries tell of: below [`Log::epoch`] where a kill came between a latch and its trip's entry.
    #[must_use]
    pub const fn told_epoch(&self) -> Epoch {
        self.told_epoch
    }

    /// The epoch below which executors are to refuse tokens.
    #[must_use]
    pub const fn lowest_epoch(&self) -> Epoch {
        self.lowest_epoch
    }

    /// Why the boundary closed in the outage in which the log was opened: the last causes, oldest first. Empty where its end
    /// was signed.
    #[must_use]
    pub fn trips(&self) -> &[Latched] {
        &self.trips
    }

    /// The integrity fault that operators have not answered yet.
    #[must_use]
    pub const fn latched(&self) -> Option<&Latched> {
        self.latch.held.as_ref()
    }

    /// Holds the boundary for operators, over restarts too.
    ///
    /// # Errors
    /// When it would not outlive this process.
    pub fn latch(&mut self, epoch: Epoch, cause: &str) -> std::io::Result<()> {
        self.latch.set(epoch, cause)
    }

    /// Lets go of what is held. To be called when the re-arm that operators ordered is in the log.
    ///
    /// # Errors
    /// When it would be forgotten at the next start; then it holds as before.
    pub fn unlatch(&mut self) -> std::io::Result<()> {
        self.latch.lift()
    }

    /// The gap that no checkpoint covers yet.
    #[must_use]
    pub const fn unsigned(&self) -> Unsigned {
        self.unsigned
    }

    /// How many leaves no checkpoint covers yet.
    #[must_use]
    pub fn unsigned_entries(&self) -> u64 {
        let covered = self.signed.map_or(0, |signed| signed.size.0);
        self.frontier.size().0.saturating_sub(covered)
    }

    /// The answers that are recorded by now.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn answers(&self) -> Result<Answers, Fatal> {
        Ok(self.store.answers()?)
    }

    /// Makes a round durable.
    ///
    /// # Errors
    /// [`Fatal`], whatever happened: the commit may or may not be there.
    pub fn commit(&mut self, commit: &Commit<'_>) -> Result<Receipt, Fatal> {
        assert_eq!(commit.first.0, self.frontier.size().0, "a round begins where the log ends");
        if commit.checkpoint.is_some_and(|checkpoint| checkpoint.successor.is_some()) {
            // Should a kill come behind this commit, the ring's file must name the key that takes over.
            self.keys.make_sure(&*self.disk).map_err(|error| Fatal(error.into()))?;
        }
        let signed = commit.checkpoint.or(self.signed);
        let bound = self.binder.bound(commit.time);
        self.store.commit(
            commit,
            signed.as_ref(),
            bound.as_ref().map(|(number, volume)| (*number, volume)),
        )?;
        if bound.is_some() {
            self.binder.told();
        }
        self.frontier = commit.frontier.clone();
        self.signed = signed;
        self.epoch = commit.epoch;
        self.told_epoch = commit.epoch;
        self.lowest_epoch = commit.lowest_epoch;
        self.unsigned = commit.unsigned;
        // The commit has decided; the ring's file follows. Should it not, start-up reads the hand-over in the log.
        if commit.checkpoint.is_some_and(|checkpoint| checkpoint.successor.is_some()) {
            self.keys.hand_over(self.frontier.size(), commit.time);
            self.keys.save(&*self.disk).map_err(|error| Fatal(error.into()))?;
        }
        self.binder.look(self.signed.map_or(0, |signed| signed.size.0), commit.time);
        Ok(Receipt { size: self.frontier.size() })
    }

    /// Why a volume could not be bound, since this was asked last: the store keeps its rounds, and it is tried again.
    pub const fn binding_failure(&mut self) -> Option<StoreError> {
        self.binder.take_failure()
    }

    /// Whether every volume was checked when it was opened. After a stop in order it was not: [`Reader::check_volumes`] does.
    #[must_use]
    pub const fn checked(&self) -> bool {
        self.checked
    }

    /// Writes down that it was closed in order: the next start need not check what no commit can have touched.
    ///
    /// # Errors
    /// [`Fatal`].
    pub fn close(self) -> Result<(), Fatal> {
        Ok(self.store.close(self.frontier.size().0)?)
    }

    /// Brings the fence up to the newest signed checkpoint.
    ///
    /// # Errors
    /// When the fence cannot be written; the log itself is unharmed.
    pub fn advance_fence(&mut self) -> Result<(), fence::FenceError> {
        match &self.signed {
            Some(signed) => self.fence.advance(signed),
            None => Ok(()),
        }
    }
}
