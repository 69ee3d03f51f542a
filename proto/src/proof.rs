//! An inclusion proof as a text: C2SP tlog-proof, `c2sp.org/tlog-proof@v1`. (`FORMAT.md` section 18.)
//!
//! The one rule: nothing that the text says is believed before the path leads from the hash of the leaf to the root of a
//! checkpoint that somebody trusted signed. This reads one; the log room writes them.

use base64ct::{Base64, Encoding as _};
use core::fmt;

use crate::hash::Hash;
use crate::limits::{MAX_PATH_HASHES, MAX_PROOF_BYTES, MAX_TREE_SIZE};
use crate::lines;
use crate::number::{LeafIndex, TreeSize};
use crate::tree::inclusion;

/// The first line.
const HEAD: &str = "c2sp.org/tlog-proof@v1\n";

/// Why a text is no inclusion proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProofError {
    /// Longer than [`MAX_PROOF_BYTES`].
    TooLong,
    /// Not the lines that it should have.
    Malformed,
}

impl fmt::Display for ProofError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLong => "proof is too long",
            Self::Malformed => "proof is not in the form of a C2SP tlog-proof",
        })
    }
}

impl core::error::Error for ProofError {}

/// A leaf's place in a tree, and the signed checkpoint of that tree; believed by nobody yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InclusionProof<'a> {
    /// What came along, in base64; in a proof that we wrote, the bytes of the leaf.
    pub extra: Option<&'a str>,
    /// Where the leaf is.
    pub index: LeafIndex,
    /// The siblings, the leaf's own first.
    pub path: heapless::Vec<Hash, MAX_PATH_HASHES>,
    /// The checkpoint as a signed note, to the byte.
    pub note: &'a str,
}

impl<'a> InclusionProof<'a> {
    /// Parses a text.
    ///
    /// # Errors
    /// [`ProofError`].
    pub fn parse(text: &'a str) -> Result<Self, ProofError> {
        if text.len() > MAX_PROOF_BYTES {
            return Err(ProofError::TooLong);
        }
        Self::parsed(text).ok_or(ProofError::Malformed)
    }

    fn parsed(text: &'a str) -> Option<Self> {
        let rest = text.strip_prefix(HEAD)?;
        let (line, after) = lines::split_once(rest, b'\n')?;
        let (extra, line, mut rest) = match line.strip_prefix("extra ") {
            None => (None, line, after),
            Some(extra) => {
                let (line, after) = lines::split_once(after, b'\n')?;
                (Some(extra), line, after)
            }
        };
        let index = line.strip_prefix("index ").and_then(lines::decimal)?;
        let mut path = heapless::Vec::new();
        loop {
            let (line, after) = lines::split_once(rest, b'\n')?;
            rest = after;
            if line.is_empty() {
                break;
            }
            let mut hash = Hash::default();
            let decoded = Base64::decode(line, &mut hash.0).ok()?.len();
            (decoded == 32).then_some(())?;
            path.push(hash).ok()?;
        }
        (index < MAX_TREE_SIZE).then_some(Self { extra, index: LeafIndex(index), path, note: rest })
    }

    /// Decodes what came along into `buffer`. None where nothing did, it is no base64, or it does not fit.
    pub fn decoded_extra<'b>(&self, buffer: &'b mut [u8]) -> Option<&'b [u8]> {
        Base64::decode(self.extra?, buffer).ok()
    }

    /// Whether a tree of this size and root holds a leaf of this hash at the index.
    #[must_use]
    pub fn leads_to(&self, leaf_hash: Hash, size: TreeSize, root: Hash) -> bool {
        inclusion::root(leaf_hash, self.index, size, self.path.iter().copied()) == Some(root)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";

    #[test]
    fn a_proof_is_read_and_leads_to_its_root_only() {
        let text =
            heapless::format!(256; "c2sp.org/tlog-proof@v1\nextra AAE=\nindex 1\n{HASH}\n\nnote\n").unwrap();
        let proof = InclusionProof::parse(&text).unwrap();
        assert_eq!((proof.index, proof.path.len(), proof.note), (LeafIndex(1), 1, "note\n"));
        assert_eq!(proof.decoded_extra(&mut [0; 8]), Some(&[0, 1][..]));
        assert_eq!(proof.decoded_extra(&mut [0; 1]), None);
        let leaf = Hash::of_leaf(&[0, 1]);
        let root = Hash::of_node(&Hash::of_empty_tree(), &leaf);
        assert!(proof.leads_to(leaf, TreeSize(2), root) && !proof.leads_to(root, TreeSize(2), root));
        assert!(!proof.leads_to(leaf, TreeSize(4), root));
    }

    #[test]
    fn other_forms_are_refused() {
        for (head, extra, index, hash, rest) in [
            ("c2sp.org/tlog-proof@v2\n", "", "index 0\n", HASH, "\n\nnote"),
            (HEAD, "", "index 00\n", HASH, "\n\nnote"),
            (HEAD, "", "index +1\n", HASH, "\n\nnote"),
            (HEAD, "", "index 72057594037927936\n", HASH, "\n\nnote"),
            (HEAD, "", "", HASH, "\n\nnote"),
            (HEAD, "extra AAE=\n", "", HASH, "\n\nnote"),
            (HEAD, "extra AAE=\nextra AAE=\n", "index 0\n", HASH, "\n\nnote"),
            (HEAD, "", "index 0\n", "47DE", "\n\nnote"),
            (HEAD, "", "index 0\n", HASH, "\nnote"),
        ] {
            let text = heapless::format!(256; "{head}{extra}{index}{hash}{rest}").unwrap();
            assert_eq!(InclusionProof::parse(&text), Err(ProofError::Malformed), "{text}");
        }
        let long = [b'x'; MAX_PROOF_BYTES + 1];
        let long = core::str::from_utf8(&long).unwrap();
        assert_eq!(InclusionProof::parse(long), Err(ProofError::TooLong));
    }
}
