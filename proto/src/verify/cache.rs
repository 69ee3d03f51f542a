//! Checkpoints whose signature has been verified, so that a round's tokens cost one signature check, not one each.
//!
//! An entry is made only after a strict verification, under the key itself and not its four-byte ID, so that nothing a
//! peer sends can put one here. Full, it forgets the oldest: forgetting costs a check, never a wrong answer.

use crate::checkpoint::Checkpoint;
use crate::entry::allow_leaf_hash;
use crate::hash::Hash;
use crate::note::VerifierKey;
use crate::number::TreeSize;
use crate::token::UnverifiedToken;
use crate::tree::PathMemo;

/// How many checkpoints are remembered.
const CAPACITY: usize = 64;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Verified {
    /// Digest of key, its name, and the log whose checkpoint it signed.
    key: Hash,
    size: TreeSize,
    root: Hash,
    signature: [u8; 64],
}

/// The newest verified checkpoints.
#[derive(Clone, Debug, Default)]
pub struct CheckpointCache {
    verified: heapless::Deque<Verified, CAPACITY>,
    /// The path that was hashed last: of the tokens of one round, most of it is the same.
    path: PathMemo,
}

impl CheckpointCache {
    /// Remembers nothing yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { verified: heapless::Deque::new(), path: PathMemo::new() }
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

    /// Whether the signature is this key's over the checkpoint of that log: remembered, or verified and then remembered.
    pub fn verify(
        &mut self,
        key: &VerifierKey<'_>,
        origin: &str,
        size: TreeSize,
        root: Hash,
        signature: &[u8; 64],
    ) -> bool {
        if self.holds(key, origin, size, root, signature) {
            return true;
        }
        let text = Checkpoint { origin, size, root }.text();
        let verifies = text.is_ok_and(|text| key.verify(text.as_bytes(), signature).is_ok());
        if verifies {
            self.insert(key, origin, size, root, *signature);
        }
        verifies
    }

    /// The root that the token's body and path lead to; none where its path has not the length that it must have.
    pub(super) fn root(&mut self, token: &UnverifiedToken<'_>) -> Option<Hash> {
        self.path.root(allow_leaf_hash(token.body), token.index, token.size, token.path())
    }

    /// Whether this very signature was verified: any other is looked at anew, so a token altered in any byte is refused.
    fn holds(
        &self,
        key: &VerifierKey<'_>,
        origin: &str,
        size: TreeSize,
        root: Hash,
        signature: &[u8; 64],
    ) -> bool {
        self.verified.iter().rev().any(|seen| {
            seen.size == size
                && seen.root == root
                && &seen.signature == signature
                && seen.key == digest(key, origin)
        })
    }

    fn insert(
        &mut self,
        key: &VerifierKey<'_>,
        origin: &str,
        size: TreeSize,
        root: Hash,
        signature: [u8; 64],
    ) {
        if self.verified.is_full() {
            self.verified.pop_front();
        }
        let _ = self.verified.push_back(Verified { key: digest(key, origin), size, root, signature });
    }
}

/// A log's own key has the log's name, a warrant's another; neither name holds a newline.
fn digest(key: &VerifierKey<'_>, origin: &str) -> Hash {
    let parts = [key.key().as_bytes().as_slice(), key.name().as_bytes(), b"\n", origin.as_bytes()];
    Hash::of_labelled(b"assent/cached-key/v2\0", parts)
}
