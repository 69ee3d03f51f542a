//! Checkpoints whose signature has been verified, so that a round's tokens cost one signature check, not one each.
//!
//! An entry is made only after a strict verification, under the key itself and not its four-byte ID, so that nothing a
//! peer sends can put one here. Full, it forgets the oldest: forgetting costs a check, never a wrong answer.

use crate::hash::Hash;
use crate::note::VerifierKey;
use crate::number::TreeSize;

/// How many checkpoints are remembered.
const CAPACITY: usize = 64;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Verified {
    /// Digest of key name and key.
    key: Hash,
    size: TreeSize,
    root: Hash,
    signature: [u8; 64],
}

/// The newest verified checkpoints.
#[derive(Clone, Debug, Default)]
pub struct CheckpointCache {
    verified: heapless::Deque<Verified, CAPACITY>,
}

impl CheckpointCache {
    /// Remembers nothing yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { verified: heapless::Deque::new() }
    }

    /// How many checkpoints are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.verified.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.verified.is_empty()
    }

    /// Whether this very signature was verified: any other is looked at anew, so a token altered in any byte is refused.
    pub(super) fn holds(
        &self,
        key: &VerifierKey<'_>,
        size: TreeSize,
        root: Hash,
        signature: &[u8; 64],
    ) -> bool {
        self.verified.iter().rev().any(|seen| {
            seen.size == size && seen.root == root && &seen.signature == signature && seen.key == digest(key)
        })
    }

    pub(super) fn insert(&mut self, key: &VerifierKey<'_>, size: TreeSize, root: Hash, signature: [u8; 64]) {
        if self.verified.is_full() {
            self.verified.pop_front();
        }
        let _ = self.verified.push_back(Verified { key: digest(key), size, root, signature });
    }
}

fn digest(key: &VerifierKey<'_>) -> Hash {
    Hash::of_labelled(b"assent/cached-key/v1\0", [key.key().as_bytes(), key.name().as_bytes()])
}
