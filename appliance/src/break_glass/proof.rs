//! Proofs for executors: the charter under a checkpoint that the HSM signed, the warrant under one that its own key signs.
//!
//! They are made from the log and say nothing that its leaves do not say. The checkpoint of the warrant's key goes into the
//! file alone: nothing of it is stored. The log is read while nothing of the room is held: the sealer needs the room at every
//! pass, and a warrant is for the day on which the disk may be slow.

use std::sync::Arc;

use assent_proto::checkpoint::Checkpoint;
use assent_proto::hash::Hash;
use assent_proto::note::{NoteSignature, VerifierKey};
use assent_proto::number::{LeafIndex, Timestamp};
use assent_proto::verify::warrant_key_name;

use super::BreakGlass;
use super::key::Prepared;
use super::line::{CharterLine, WarrantLine};
use super::order::WarrantProofs;
use crate::log::fence::signed_note;
use crate::log::proof::{InclusionProof, inclusion};
use crate::log::reader::Reader;
use crate::log::store::StoreError;

fn unreadable(error: &StoreError) -> String {
    format!("the proof cannot be made: {error}")
}

fn path(reader: &Reader, leaf: LeafIndex, checkpoint: &Checkpoint<'_>) -> Result<Vec<Hash>, String> {
    let path = inclusion(leaf, checkpoint.size, |level, index| reader.node(level, index));
    path.map_err(|error| unreadable(&error))?
        .ok_or_else(|| format!("the tree of {} leaves does not hold leaf {leaf}", checkpoint.size))
}

/// What proofs are made of, beside the log.
#[derive(Debug)]
pub(super) struct Provable {
    charter: CharterLine,
    line: WarrantLine,
    prepared: Arc<Prepared>,
}

impl BreakGlass {
    /// What the proofs of the warrant that lives are made of.
    pub(super) fn provable(&self, now: Timestamp) -> Result<Provable, String> {
        let state = self.lock();
        let line = state.book.active(now).ok_or("no warrant lives")?;
        let warrant = line.warrant().ok_or("the warrant cannot be read")?;
        let charter = state.book.charter(line.charter).ok_or("the charter is not kept here")?;
        let prepared = state.keys.get(&warrant.key).ok_or("the warrant's key is gone")?;
        Ok(Provable { charter: charter.clone(), line: line.clone(), prepared: Arc::clone(prepared) })
    }

    /// The proofs of the warrant that lives. They are verified before they are given away. Reads the log, and may wait for it.
    pub(super) fn proofs(&self, reader: &Reader, now: Timestamp) -> Result<WarrantProofs, String> {
        let Provable { charter, line, prepared } = self.provable(now)?;
        let signed = reader.checkpoint().map_err(|error| unreadable(&error))?;
        let signed = signed.ok_or("the HSM has signed no checkpoint yet")?;
        let covering = Checkpoint { origin: &self.origin, size: signed.size, root: signed.root };
        let of_charter = InclusionProof {
            extra: Some(charter.bytes.clone()),
            index: charter.leaf,
            path: path(reader, charter.leaf, &covering)?,
            note: signed_note(&self.origin, &signed),
        };
        let refuted = |_| "the log does not prove what it holds: `assent log verify` it".to_owned();
        of_charter.verify(charter.hash(), &covering).map_err(refuted)?;

        let size = reader.size().map_err(|error| unreadable(&error))?;
        let root = reader.frontier(size).map_err(|error| unreadable(&error))?.root();
        let checkpoint = Checkpoint { origin: &self.origin, size, root };
        let text = checkpoint.text().map_err(|error| error.to_string())?;
        let name = warrant_key_name(&self.origin, line.leaf).map_err(|error| error.to_string())?;
        let key = VerifierKey::new(&name, prepared.key.public()).map_err(|error| error.to_string())?;
        let signature = prepared.key.sign(&key, text.as_bytes()).ok_or("the warrant's key does not sign")?;
        let by_warrant = NoteSignature { name: &name, id: key.id(), signature };
        let of_warrant = InclusionProof {
            extra: Some(line.bytes.clone()),
            index: line.leaf,
            path: path(reader, line.leaf, &checkpoint)?,
            note: format!("{text}\n{by_warrant}"),
        };
        of_warrant.verify(Hash::of_leaf(&line.bytes), &checkpoint).map_err(refuted)?;
        Ok(WarrantProofs {
            origin: self.origin.clone(),
            charter: of_charter.to_string(),
            warrant: of_warrant.to_string(),
        })
    }
}
