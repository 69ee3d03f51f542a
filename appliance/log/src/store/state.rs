//! What the store keeps beside the rounds: which log it is, and its state after the last commit.

use assent_proto::hash::Hash;
use assent_proto::note::KeyId;
use assent_proto::number::{Epoch, Timestamp, TreeSize};
use serde::{Deserialize, Serialize};

use crate::limits::VOLUME_HEIGHT;
use crate::{Commit, KeySignature, SignedCheckpoint, Unsigned};

/// Which log this is, for ever.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Version of what is stored.
    pub version: u32,
    /// The log's origin.
    pub origin: String,
    /// The verifier key whose signatures the log takes, in C2SP form.
    pub verifier_key: String,
    /// Levels of the tree within one volume: it holds two to this power leaves.
    pub volume_height: u8,
}

impl Identity {
    /// A log of this origin, for this verifier key.
    #[must_use]
    pub fn new(origin: &str, verifier_key: &str) -> Self {
        let (origin, verifier_key) = (origin.to_owned(), verifier_key.to_owned());
        Self { version: STORE_VERSION, origin, verifier_key, volume_height: VOLUME_HEIGHT }
    }
}

/// The version of what this code stores.
pub const STORE_VERSION: u32 = 6;

/// A signed checkpoint as it is stored. A successor's signature is not in it: it stands beside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredCheckpoint {
    size: TreeSize,
    root: Hash,
    key_id: [u8; 4],
    signature: [[u8; 32]; 2],
}

/// The second signature over the checkpoint at which a key handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct StoredHandOver {
    pub(super) size: TreeSize,
    key_id: [u8; 4],
    signature: [[u8; 32]; 2],
    pub(super) time: Timestamp,
}

/// A signature in two halves, for serde knows arrays of up to 32.
fn halves(signature: &[u8; 64]) -> [[u8; 32]; 2] {
    let mut halves = [[0; 32]; 2];
    for (to, from) in halves.as_flattened_mut().iter_mut().zip(signature) {
        *to = *from;
    }
    halves
}

fn whole(halves: &[[u8; 32]; 2]) -> [u8; 64] {
    let mut signature = [0; 64];
    for (to, from) in signature.iter_mut().zip(halves.as_flattened()) {
        *to = *from;
    }
    signature
}

impl From<&SignedCheckpoint> for StoredCheckpoint {
    fn from(signed: &SignedCheckpoint) -> Self {
        let signature = halves(&signed.signature);
        Self { size: signed.size, root: signed.root, key_id: signed.key_id.0, signature }
    }
}

/// The state after the last commit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredHead {
    /// How many leaves.
    pub size: u64,
    /// Hashes of the perfect subtrees, largest first.
    pub frontier: Vec<Hash>,
    /// The newest signed checkpoint.
    pub signed: Option<StoredCheckpoint>,
    /// The epoch.
    pub epoch: Epoch,
    /// The epoch below which executors are to refuse tokens.
    pub lowest_epoch: Epoch,
    /// The gap that no checkpoint covers.
    pub unsigned: Unsigned,
}

impl StoredHandOver {
    /// What a commit hands over, if it does.
    pub(super) fn of(commit: &Commit<'_>) -> Option<Self> {
        let checkpoint = commit.checkpoint?;
        let KeySignature { key_id: KeyId(key_id), signature } = checkpoint.successor?;
        Some(Self { size: checkpoint.size, key_id, signature: halves(&signature), time: commit.time })
    }

    fn signature(&self) -> KeySignature {
        KeySignature { key_id: KeyId(self.key_id), signature: whole(&self.signature) }
    }
}

impl StoredHead {
    /// The newest signed checkpoint, with the second signature where it was the newest hand-over.
    pub(super) fn newest(&self, handed_over: Option<&StoredHandOver>) -> Option<SignedCheckpoint> {
        let stored = self.signed?;
        let successor = handed_over.filter(|handed_over| handed_over.size == stored.size);
        Some(SignedCheckpoint {
            size: stored.size,
            root: stored.root,
            key_id: KeyId(stored.key_id),
            signature: whole(&stored.signature),
            successor: successor.map(StoredHandOver::signature),
        })
    }

    pub(super) fn after(commit: &Commit<'_>, newest: Option<&SignedCheckpoint>) -> Self {
        Self {
            size: commit.frontier.size().0,
            frontier: commit.frontier.subtrees().to_vec(),
            signed: newest.map(StoredCheckpoint::from),
            epoch: commit.epoch,
            lowest_epoch: commit.lowest_epoch,
            unsigned: commit.unsigned,
        }
    }
}

/// A volume, as the store vouches for it: the files are what these numbers say, or damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredVolume {
    /// Root hash of its leaves.
    pub root: Hash,
    /// Digest of what frames them in its file.
    pub frame: Hash,
    /// Digest of all of the file with its leaves (BLAKE3).
    pub digest: Hash,
    /// Bytes of that file.
    pub leaves_bytes: u64,
    /// The requests beside them; none where there is none, or none any more.
    pub requests: Option<StoredRequests>,
    /// Whether its leaves lie in an archive only.
    pub archived: bool,
}

/// The file of a volume's requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredRequests {
    /// Which writing of it: each erasure makes another file.
    pub edition: u32,
    /// Its bytes.
    pub bytes: u64,
    /// Digest of all of it (BLAKE3).
    pub digest: Hash,
}
