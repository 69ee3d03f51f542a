//! An inclusion proof as a file that anybody can verify offline: C2SP tlog-proof, `c2sp.org/tlog-proof@v1`.
//!
//! The file names its leaf by index only; what the leaf is, whoever verifies says, or the `extra` line brings along. The one
//! rule: nothing that the file says is believed before the path leads from the hash of the leaf to the root of a checkpoint that
//! somebody trusted signed. (`proto/FORMAT.md` section 18.)

use std::fmt;

use assent_proto::checkpoint::Checkpoint;
use assent_proto::hash::Hash;
use assent_proto::limits::{MAX_PATH_HASHES, MAX_TREE_SIZE};
use assent_proto::number::LeafIndex;
use assent_proto::tree::inclusion;
use base64ct::{Base64, Encoding as _};

use super::{ProofError, hash_line, parse_decimal, parse_hashes};
use crate::limits::MAX_PROOF_BYTES;

/// The first line.
const HEAD: &str = "c2sp.org/tlog-proof@v1\n";

/// A leaf's place in a tree, and the signed checkpoint of that tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InclusionProof {
    /// Bytes that came along; where we wrote them, those of the leaf. Nobody vouches for them.
    pub extra: Option<Vec<u8>>,
    /// Where the leaf is.
    pub index: LeafIndex,
    /// The siblings, the leaf's own first.
    pub path: Vec<Hash>,
    /// The checkpoint as a signed note, to the byte.
    pub note: String,
}

impl InclusionProof {
    /// Parses a file.
    ///
    /// # Errors
    /// [`ProofError::TooLong`], [`ProofError::Malformed`].
    pub fn parse(text: &str) -> Result<Self, ProofError> {
        if text.len() > MAX_PROOF_BYTES {
            return Err(ProofError::TooLong);
        }
        let rest = text.strip_prefix(HEAD).ok_or(ProofError::Malformed)?;
        let (extra, rest) = match rest.strip_prefix("extra ") {
            Some(rest) => {
                let (encoded, rest) = rest.split_once('\n').ok_or(ProofError::Malformed)?;
                (Some(Base64::decode_vec(encoded).map_err(|_| ProofError::Malformed)?), rest)
            }
            None => (None, rest),
        };
        let (index, rest) = rest.split_once('\n').ok_or(ProofError::Malformed)?;
        let index = index.strip_prefix("index ").and_then(parse_decimal);
        let index = index.filter(|index| *index < MAX_TREE_SIZE).ok_or(ProofError::Malformed)?;
        let (path, note) = parse_hashes(rest, MAX_PATH_HASHES)?;
        Ok(Self { extra, index: LeafIndex(index), path, note: note.to_owned() })
    }

    /// Verifies that the tree of `checkpoint` holds a leaf of this hash at the index. The checkpoint is the one of [`Self::note`], as
    /// [`super::opened`] gave it.
    ///
    /// # Errors
    /// [`ProofError::Refuted`].
    pub fn verify(&self, leaf_hash: Hash, checkpoint: &Checkpoint<'_>) -> Result<(), ProofError> {
        let root = inclusion::root(leaf_hash, self.index, checkpoint.size, self.path.iter().copied());
        if root == Some(checkpoint.root) { Ok(()) } else { Err(ProofError::Refuted) }
    }
}

impl fmt::Display for InclusionProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HEAD)?;
        if let Some(extra) = &self.extra {
            writeln!(f, "extra {}", Base64::encode_string(extra))?;
        }
        writeln!(f, "index {}", self.index)?;
        self.path.iter().try_for_each(|hash| writeln!(f, "{}", hash_line(hash)))?;
        write!(f, "\n{}", self.note)
    }
}
