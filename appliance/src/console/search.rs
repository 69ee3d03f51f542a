//! The log, searched from its end backwards, and one entry with the proof that it is in the log.
//!
//! The rules it keeps: a search reads a bounded number of leaves in a bounded time and says where it stopped; what is shown of an
//! entry is the leaf itself and what leads from it to a signed checkpoint, so that whoever looks can verify it without us.

use assent_proto::entry::{Entry, Kind};
use assent_proto::number::LeafIndex;
use serde_json::Value;

use crate::cli::log::entry::{about, json as shown_entry, kind_name};
use crate::clock::Stopwatch;
use crate::limits::{CONSOLE_SEARCH_TIME, MAX_CONSOLE_HITS, MAX_CONSOLE_SEARCHED};
use crate::log::SignedCheckpoint;
use crate::log::fence::signed_note;
use crate::log::proof::{self, InclusionProof};
use crate::log::reader::Reader;
use crate::log::store::StoreError;

/// What is looked for; what is absent narrows nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Query {
    /// Of this kind.
    pub kind: String,
    /// With this text in what is shown of it, in whatever case.
    pub text: String,
    /// Before this leaf; the end of the log where it is absent.
    pub before: Option<u64>,
}

/// One entry that was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Hit {
    /// Where it is.
    pub index: u64,
    /// When it was made, in milliseconds since 1970.
    pub time_ms: u64,
    /// Its kind.
    pub kind: String,
    /// All of it.
    pub shown: Value,
    /// What it is about, in a line, as `assent log show` says it.
    pub about: String,
}

/// What a search found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    /// The newest first.
    pub hits: Vec<Hit>,
    /// Leaves that were looked at.
    pub searched: u64,
    /// Where it goes on; none at the beginning of the log.
    pub rest: Option<u64>,
    /// Whether what lies before is in an archive.
    pub archived: bool,
}

/// Leaves that are read at once.
const STRIDE: u64 = 512;

/// Kinds, by their names.
#[must_use]
pub fn kinds() -> Vec<String> {
    Kind::ALL.iter().copied().map(kind_name).collect()
}

/// Searches.
///
/// # Errors
/// What the store says.
pub fn search(reader: &Reader, query: &Query) -> Result<Found, StoreError> {
    let watch = Stopwatch::start();
    let wanted = query.text.to_lowercase();
    let size = reader.size()?.0;
    let mut end = query.before.map_or(size, |before| before.min(size));
    let mut found = Found::default();
    while end > 0 {
        let begin = end.saturating_sub(STRIDE);
        let leaves = match reader.leaves(begin..end) {
            Ok(leaves) => leaves,
            Err(StoreError::Archived { .. }) => {
                found.archived = true;
                break;
            }
            Err(error) => return Err(error),
        };
        for index in (begin..end).rev() {
            let position = usize::try_from(index.saturating_sub(begin)).unwrap_or(usize::MAX);
            found.searched += 1;
            end = index;
            if let Some(hit) = leaves.get(position).and_then(|leaf| hit(index, leaf, query, &wanted)) {
                found.hits.push(hit);
                if found.hits.len() == MAX_CONSOLE_HITS {
                    break;
                }
            }
        }
        let enough = found.hits.len() == MAX_CONSOLE_HITS || found.searched >= MAX_CONSOLE_SEARCHED;
        if enough || watch.left_of(CONSOLE_SEARCH_TIME).is_none() {
            break;
        }
    }
    found.rest = (end > 0 && !found.archived).then_some(end);
    Ok(found)
}

fn hit(index: u64, leaf: &[u8], query: &Query, wanted: &str) -> Option<Hit> {
    let entry = Entry::parse(leaf).ok()?;
    let kind = kind_name(entry.kind());
    if !query.kind.is_empty() && query.kind != kind {
        return None;
    }
    let shown = shown_entry(index, &entry);
    let fits = wanted.is_empty() || shown.to_string().to_lowercase().contains(wanted);
    fits.then(|| Hit { index, time_ms: entry.time().0, kind, shown, about: about(&entry) })
}

/// The entry of this leaf; none where it is none.
pub(super) fn hit_of(index: u64, leaf: &[u8]) -> Option<Hit> {
    hit(index, leaf, &Query::default(), "")
}

/// One entry, with the proof that it is in the log.
#[derive(Clone, Debug)]
pub struct Proved {
    /// It.
    pub hit: Hit,
    /// Its bytes.
    pub leaf: Vec<u8>,
    /// The proof, as C2SP has it; none where no signed checkpoint covers it yet.
    pub proof: Option<InclusionProof>,
    /// The checkpoint that it leads to.
    pub checkpoint: Option<SignedCheckpoint>,
}

/// Reads the entry of this index; none where there is none.
///
/// # Errors
/// What the store says.
pub fn proved(reader: &Reader, origin: &str, index: u64) -> Result<Option<Proved>, StoreError> {
    if index >= reader.size()?.0 {
        return Ok(None);
    }
    let leaves = reader.leaves(index..index + 1)?;
    let Some(leaf) = leaves.get(0) else { return Ok(None) };
    let Some(hit) = hit_of(index, leaf) else { return Ok(None) };
    let checkpoint = reader.checkpoint()?.filter(|signed| index < signed.size.0);
    let proof = match &checkpoint {
        None => None,
        Some(signed) => {
            let node = |level, number| reader.node(level, number);
            let path = proof::inclusion(LeafIndex(index), signed.size, node)?;
            let whole = |path| InclusionProof {
                extra: Some(leaf.to_vec()),
                index: LeafIndex(index),
                path,
                note: signed_note(origin, signed),
            };
            path.map(whole)
        }
    };
    Ok(Some(Proved { hit, leaf: leaf.to_vec(), proof, checkpoint }))
}
