//! Volumes: the bound part of the log. Two files each, written once, durable before the store lets go of the rounds in them.
//!
//! The one rule: a volume is bound only under a signed checkpoint, and whatever is read from it is worth what the root hash
//! that the store keeps of it is worth. A volume's requests lie in a file of their own, for they can be erased.
//!
//! The file of the leaves, `NUMBER.leaves`, numbers big-endian:
//! ```text
//! label 17 | first leaf u64 | height u8
//! entries:  (length u16 | leaf)*            the entry bundles of C2SP tlog-tiles, one behind the other
//! nodes:    level 0, level 1, ... height    the hashes of all perfect subtrees; 256 of level 0 are a tile
//! rounds:   first leaf of the first round, varint | (leaves, varint | signatures, checkpoint)*   of the rounds that end in
//!           it, as the store has them; the first one may have begun in a volume before
//! offsets:  u64 of each bundle, and of their end
//! footer:   u64 of nodes, rounds, offsets | label 17
//! ```
//! What is neither entry nor node is covered by the frame's digest. The file of the requests, `NUMBER.EDITION.requests`:
//! `label 19 | first leaf u64 | (first entry varint | length varint | frame)*`, covered by a digest of its own.

mod checking;
mod reading;
mod requests;
#[cfg(test)]
mod tests;
mod writing;

use std::path::{Path, PathBuf};

pub(crate) use checking::check_all;
pub(crate) use reading::{RoundEnd, Volume};
pub(crate) use requests::{Frames, VolumeRequests};
pub(crate) use writing::{bind, rebind, write_requests};

use crate::store::{Store, StoreError};

/// What the file of the leaves begins and ends with.
const LABEL: &[u8; 17] = b"assent/volume/v1\0";
/// What the file of the requests begins with.
const REQUESTS_LABEL: &[u8; 19] = b"assent/requests/v1\0";
/// Bytes before the entries.
const HEAD_BYTES: u64 = 17 + 8 + 1;
/// Bytes behind the offsets.
const FOOTER_BYTES: u64 = 3 * 8 + 17;

/// Where a volume's leaves lie.
pub(crate) fn leaves_path(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{number:012}.leaves"))
}

/// Where a volume's requests lie.
pub(crate) fn requests_path(folder: &Path, number: u64, edition: u32) -> PathBuf {
    folder.join(format!("{number:012}.{edition}.requests"))
}

/// Bytes of all nodes of a volume of this height.
const fn nodes_bytes(height: u8) -> u64 {
    32 * ((2 << height) - 1)
}

/// Where the nodes of a level begin, behind the first of level 0.
const fn level_offset(height: u8, level: u32) -> u64 {
    // Levels below it: 2^height + 2^(height - 1) + ... nodes.
    32 * ((2 << height) - (2 << (height as u32 - level)))
}

/// How many entry bundles a volume of this height has.
const fn bundles(height: u8) -> u64 {
    (1_u64 << height).div_ceil(crate::limits::BUNDLE_LEAVES)
}

/// Removes what nothing refers to: files of volumes that no commit told of, and requests that were written anew or erased.
///
/// # Errors
/// [`StoreError`]; then something may be left, until this is done again.
pub(crate) fn clear(store: &Store) -> Result<(), StoreError> {
    let folder = store.volumes_folder();
    let failed = |source| StoreError::File { doing: "clear", path: folder.clone(), source };
    let files = store.disk().list(&folder).map_err(failed)?;
    if files.is_empty() {
        return Ok(());
    }
    let snapshot = store.snapshot()?;
    let volumes = snapshot.volumes()?;
    let mut kept = std::collections::HashSet::new();
    for number in 0..volumes {
        let stored = snapshot.volume(number)?;
        kept.extend((!stored.archived).then(|| leaves_path(&folder, number)));
        kept.extend(stored.requests.map(|requests| requests_path(&folder, number, requests.edition)));
    }
    let mut removed = false;
    for file in files.iter().filter(|file| !kept.contains(*file)) {
        store.disk().remove(file).map_err(failed)?;
        removed = true;
    }
    if removed { store.disk().sync_folder(&folder).map_err(failed) } else { Ok(()) }
}
