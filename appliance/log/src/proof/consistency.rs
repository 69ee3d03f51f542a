//! A consistency proof as a text: what a log sends to a witness (C2SP tlog-witness, `add-checkpoint`), and a file for whoever
//! kept an older checkpoint.
//!
//! It holds the size of the older tree and not its root: that the verifier has from elsewhere, or there would be nothing to
//! compare. (`proto/FORMAT.md` section 18.)

use std::fmt;

use assent_proto::checkpoint::Checkpoint;
use assent_proto::hash::Hash;
use assent_proto::number::TreeSize;
use assent_proto::tree::consistency;

use super::{ProofError, hash_line, parse_decimal, parse_hashes};
use crate::limits::{MAX_CONSISTENCY_HASHES, MAX_PROOF_BYTES};

/// That a tree begins as another one did, and the signed checkpoint of the larger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsistencyProof {
    /// Leaves of the older tree.
    pub old: TreeSize,
    /// The hashes; none where the older tree is empty or the same.
    pub path: Vec<Hash>,
    /// The newer checkpoint as a signed note, to the byte.
    pub note: String,
}

impl ConsistencyProof {
    /// Parses a request's body, or a file.
    ///
    /// # Errors
    /// [`ProofError::TooLong`], [`ProofError::Malformed`].
    pub fn parse(text: &str) -> Result<Self, ProofError> {
        if text.len() > MAX_PROOF_BYTES {
            return Err(ProofError::TooLong);
        }
        let (old, rest) = text.split_once('\n').ok_or(ProofError::Malformed)?;
        let old = old.strip_prefix("old ").and_then(parse_decimal).ok_or(ProofError::Malformed)?;
        let (path, note) = parse_hashes(rest, MAX_CONSISTENCY_HASHES)?;
        Ok(Self { old: TreeSize(old), path, note: note.to_owned() })
    }

    /// Verifies that the tree of `checkpoint` begins with the one of `old_root`. The checkpoint is the one of [`Self::note`], as
    /// [`super::opened`] gave it.
    ///
    /// # Errors
    /// [`ProofError::Refuted`].
    pub fn verify(&self, old_root: Hash, checkpoint: &Checkpoint<'_>) -> Result<(), ProofError> {
        let proven = consistency::verify(self.old, old_root, checkpoint.size, checkpoint.root, &self.path);
        if proven { Ok(()) } else { Err(ProofError::Refuted) }
    }
}

impl fmt::Display for ConsistencyProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "old {}", self.old)?;
        self.path.iter().try_for_each(|hash| writeln!(f, "{}", hash_line(hash)))?;
        write!(f, "\n{}", self.note)
    }
}
