//! What one commit writes: a round with what belongs to it.

use assent_proto::hash::Hash;
use assent_proto::number::{Epoch, LeafIndex, Timestamp};
use assent_proto::tree::Frontier;

use crate::store::{BatchKey, Row};
use crate::{Leaves, SignedCheckpoint, Unsigned};

/// Digest of a request frame, by which a batch that is asked again is known. It is nothing that others verify, and every frame is
/// hashed whole: so BLAKE3, which is several times as fast here as SHA-256.
#[must_use]
pub fn request_digest(frame: &[u8]) -> Hash {
    let mut hasher = blake3::Hasher::new_derive_key("assent/request/v2");
    hasher.update(frame);
    Hash(*hasher.finalize().as_bytes())
}

/// A batch's answer, to be recorded with its entries.
#[derive(Debug)]
pub struct Recorded<'r> {
    /// Which batch, of whom.
    pub key: BatchKey,
    /// Digest of the request frame: [`request_digest`].
    pub request: Hash,
    /// The reply frame.
    pub reply: &'r [u8],
    /// Whether the reply carries tokens that may leave only while the token boundary is open.
    pub allows: bool,
}

/// All that one commit writes.
#[derive(Debug)]
pub struct Commit<'r> {
    /// Index of the first leaf.
    pub first: LeafIndex,
    /// The leaves, run by run.
    pub leaves: Vec<&'r Leaves>,
    /// The request frames, with the index of the first entry of each: beside the leaves, not in them.
    pub requests: Vec<(LeafIndex, &'r [u8])>,
    /// The answers.
    pub answers: Vec<Recorded<'r>>,
    /// What other rooms keep with these entries.
    pub rows: Vec<Row>,
    /// The tree after it.
    pub frontier: &'r Frontier,
    /// The checkpoint over it; none while the token boundary is closed.
    pub checkpoint: Option<SignedCheckpoint>,
    /// The epoch.
    pub epoch: Epoch,
    /// The epoch below which executors are to refuse tokens.
    pub lowest_epoch: Epoch,
    /// The gap that this commit leaves.
    pub unsigned: Unsigned,
    /// When: answers that no batch id can name any more are dropped.
    pub time: Timestamp,
}

impl Commit<'_> {
    /// How many leaves it adds.
    pub(crate) fn entries(&self) -> u64 {
        self.leaves.iter().map(|run| run.len() as u64).sum()
    }
}
