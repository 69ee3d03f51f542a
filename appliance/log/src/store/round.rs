//! The stored form of a round: `count | (length | leaf)* | signatures | checkpoint`, numbers as varints. Signatures is 0
//! where nothing was signed, else 1, or 2 at the boundary between two keys; checkpoint then is
//! `size | root 32 | (key ID 4 | signature 64) as often`. Of its requests: `count | (first index | length | frame)*`.

use assent_proto::codec::{self, Cursor};
use assent_proto::hash::Hash;
use assent_proto::note::KeyId;
use assent_proto::number::{LeafIndex, TreeSize};

use super::pieces::Cutter;
use crate::leaf_bytes::LeafBytes;
use crate::limits::MAX_ROUND_LEAVES;
use crate::{KeySignature, Leaves, SignedCheckpoint};

/// A round as it was stored.
#[derive(Clone, Debug)]
pub struct StoredRound {
    /// Index of its first leaf.
    pub first: LeafIndex,
    /// Bytes of its leaves.
    pub leaves: LeafBytes,
    /// The checkpoint over it, if one was signed.
    pub checkpoint: Option<SignedCheckpoint>,
}

pub(super) fn write(
    mut to: Cutter<'_, '_>,
    runs: &[&Leaves],
    checkpoint: Option<&SignedCheckpoint>,
) -> Result<(), redb::Error> {
    let count: usize = runs.iter().map(|run| run.len()).sum();
    to.take(|out| codec::append_varint(count as u64, out))?;
    for leaf in runs.iter().flat_map(|run| run.iter()) {
        to.take(|out| codec::append_bytes(leaf, out))?;
    }
    to.take(|out| append_signatures(checkpoint, out))?;
    to.end()
}

/// Signatures, and the checkpoint where there are any.
pub(crate) fn append_signatures(checkpoint: Option<&SignedCheckpoint>, out: &mut Vec<u8>) {
    match checkpoint {
        None => out.push(0),
        Some(signed) => {
            out.push(1 + u8::from(signed.successor.is_some()));
            codec::append_varint(signed.size.0, out);
            out.extend_from_slice(&signed.root.0);
            for KeySignature { key_id, signature } in
                std::iter::once(signed.signature()).chain(signed.successor)
            {
                out.extend_from_slice(&key_id.0);
                out.extend_from_slice(&signature);
            }
        }
    }
}

/// What [`append_signatures`] wrote.
pub(crate) fn parse_signatures(cursor: &mut Cursor<'_>) -> Option<Option<SignedCheckpoint>> {
    match cursor.byte().ok()? {
        0 => Some(None),
        signatures @ (1 | 2) => parse_checkpoint(cursor, signatures == 2).map(Some),
        _ => None,
    }
}

impl StoredRound {
    /// Size of the tree behind it.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.first.0.saturating_add(self.leaves.len() as u64)
    }

    pub(super) fn parse(first: LeafIndex, blob: &[u8]) -> Option<Self> {
        let mut cursor = Cursor::new(blob);
        let count = cursor.count(MAX_ROUND_LEAVES).ok()?;
        let mut leaves = LeafBytes::with_capacity(count, blob.len());
        for _ in 0..count {
            leaves.push(cursor.bytes(usize::from(u16::MAX)).ok()?);
        }
        let checkpoint = parse_signatures(&mut cursor)?;
        cursor.end().ok()?;
        Some(Self { first, leaves, checkpoint })
    }
}

fn parse_checkpoint(cursor: &mut Cursor<'_>, handed_over: bool) -> Option<SignedCheckpoint> {
    let (size, root) = (TreeSize(cursor.varint().ok()?), Hash(cursor.array().ok()?));
    let KeySignature { key_id, signature } = parse_signature(cursor)?;
    let successor = if handed_over { Some(parse_signature(cursor)?) } else { None };
    Some(SignedCheckpoint { size, root, key_id, signature, successor })
}

fn parse_signature(cursor: &mut Cursor<'_>) -> Option<KeySignature> {
    Some(KeySignature { key_id: KeyId(cursor.array().ok()?), signature: cursor.array().ok()? })
}

pub(super) fn write_requests<'r>(
    mut to: Cutter<'_, '_>,
    requests: impl ExactSizeIterator<Item = (LeafIndex, &'r [u8])>,
) -> Result<(), redb::Error> {
    to.take(|out| codec::append_varint(requests.len() as u64, out))?;
    for (first, frame) in requests {
        to.take(|out| {
            codec::append_varint(first.0, out);
            codec::append_bytes(frame, out);
        })?;
    }
    to.end()
}

pub(super) fn parse_requests(blob: &[u8]) -> Option<Vec<(LeafIndex, Vec<u8>)>> {
    let mut cursor = Cursor::new(blob);
    let count = cursor.count(MAX_ROUND_LEAVES).ok()?;
    let mut requests = Vec::with_capacity(count);
    for _ in 0..count {
        let first = LeafIndex(cursor.varint().ok()?);
        requests.push((first, cursor.bytes(assent_proto::limits::MAX_FRAME_BYTES).ok()?.to_vec()));
    }
    cursor.end().ok()?;
    Some(requests)
}
