//! Erasure: what one principal asked goes, what was decided stays, and the chain still verifies.
//!
//! The one rule: an erased request is named by nothing once the commit that says so is durable, and its file is gone, at the
//! latest by the next start. Volumes are written anew beside whoever appends; what is not bound yet is amended by them. redb
//! does not overwrite the pages that it frees: they go when it uses them again.

use assent_proto::entry::{Entry, Hold};
use assent_proto::number::LeafIndex;

use crate::reader::Reader;
use crate::store::{RequestRow, Snapshot, StoreError, StoredRequests, StoredVolume};
use crate::{Fatal, Log, volume};

/// What the log calls the act: its statement names the principal in a line `principal ID`, and the reason.
pub const ERASURE_ACT: &str = "erase";

/// Volumes whose requests were written anew, without those of a principal; nothing refers to them yet.
#[derive(Debug, Default)]
pub struct Erasure {
    principal: String,
    /// Volumes that were looked at.
    through: u64,
    /// Those that are to change, and what their requests become.
    volumes: Vec<(u64, Option<StoredRequests>)>,
    erased: Erased,
    /// Whether there was anything of theirs when it was prepared.
    finds_any: bool,
}

/// What was erased.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Erased {
    /// Requests.
    pub requests: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Erased {
    const fn count(&mut self, frame: &[u8]) {
        self.requests += 1;
        self.bytes += frame.len() as u64;
    }
}

impl Reader {
    /// Writes the requests of all volumes anew without those of this principal, beside the ones in force.
    ///
    /// # Errors
    /// [`StoreError`]; then nothing has changed.
    pub fn prepare_erasure(&self, principal: &str) -> Result<Erasure, StoreError> {
        let snapshot = self.store().snapshot()?;
        let through = snapshot.volumes()?;
        let principal = principal.to_owned();
        let mut erasure = Erasure { principal, through, ..Erasure::default() };
        for number in 0..through {
            erasure.volume(self, &snapshot, number)?;
        }
        let mut unbound = Erasure { principal: erasure.principal.clone(), ..Erasure::default() };
        erasure.finds_any = erasure.erased.requests > 0 || !unbound.rows(self, &snapshot)?.is_empty();
        Ok(erasure)
    }

    /// Whether the leaf at this index is about an intent of this principal.
    #[expect(clippy::wildcard_enum_match_arm, reason = "no other kind is about an intent")]
    fn is_of(&self, snapshot: &Snapshot, index: LeafIndex, principal: &str) -> Result<bool, StoreError> {
        let leaves = self.leaves_at(snapshot, index.0..index.0.saturating_add(1))?;
        let entry = leaves.get(0).and_then(|leaf| Entry::parse(leaf).ok());
        Ok(match entry.ok_or(StoreError::Unreadable("entry"))? {
            Entry::Allow(allow) => allow.principal == principal,
            Entry::Deny(deny) | Entry::Hold(Hold { denial: deny, .. }) => deny.principal == principal,
            _ => false,
        })
    }
}

impl Erasure {
    /// Whether there was anything of that principal, in volumes or before them.
    #[must_use]
    pub const fn finds_any(&self) -> bool {
        self.finds_any
    }

    fn volume(&mut self, reader: &Reader, snapshot: &Snapshot, number: u64) -> Result<(), StoreError> {
        let store = reader.store();
        let (disk, folder) = (&**store.disk(), store.volumes_folder());
        let stored = snapshot.volume(number)?;
        let Some(before) = stored.requests else { return Ok(()) };
        let (mut kept, mut erased) = (Vec::new(), Erased::default());
        for (first, frame) in volume::read_requests(disk, &folder, number, &stored)? {
            if reader.is_of(snapshot, first, &self.principal)? {
                erased.count(&frame);
            } else {
                kept.push(Ok((first, frame)));
            }
        }
        if erased == Erased::default() {
            return Ok(());
        }
        let start = number << store.height();
        let after =
            volume::write_requests(disk, &folder, number, before.edition + 1, start, kept.into_iter())?;
        self.volumes.push((number, after));
        self.erased.requests += erased.requests;
        self.erased.bytes += erased.bytes;
        Ok(())
    }

    /// The rows of the store that change.
    fn rows(&mut self, reader: &Reader, snapshot: &Snapshot) -> Result<Vec<RequestRow>, StoreError> {
        let mut rows = Vec::new();
        for row in snapshot.request_rows(0..u64::MAX)? {
            let RequestRow { round, requests } = row?;
            let mut kept: Vec<(LeafIndex, Vec<u8>)> = Vec::new();
            let count = requests.len();
            for (first, frame) in requests {
                if reader.is_of(snapshot, first, &self.principal)? {
                    self.erased.count(&frame);
                } else {
                    kept.push((first, frame));
                }
            }
            if kept.len() < count {
                rows.push(RequestRow { round, requests: kept });
            }
        }
        Ok(rows)
    }
}

impl Log {
    /// Puts a prepared erasure in force, and erases what came since.
    ///
    /// # Errors
    /// [`Fatal`]: what is erased is unknown, and start-up finds out.
    pub fn erase(&mut self, mut erasure: Erasure) -> Result<Erased, Fatal> {
        // What is being bound still holds what is to go.
        self.binder.discard();
        let reader = self.reader();
        let snapshot = self.store.snapshot()?;
        for number in erasure.through..snapshot.volumes()? {
            erasure.volume(&reader, &snapshot, number)?;
        }
        self.disk.sync_folder(&self.store.volumes_folder()).or_else(|source| {
            let none = erasure.volumes.is_empty() && source.kind() == std::io::ErrorKind::NotFound;
            let path = self.store.volumes_folder();
            if none { Ok(()) } else { Err(StoreError::File { doing: "sync", path, source }) }
        })?;
        let rows = erasure.rows(&reader, &snapshot)?;
        let mut volumes = Vec::new();
        for (number, requests) in &erasure.volumes {
            volumes.push((*number, StoredVolume { requests: *requests, ..snapshot.volume(*number)? }));
        }
        drop(snapshot);
        if !volumes.is_empty() || !rows.is_empty() {
            self.store.amend(&volumes, &rows)?;
            volume::clear(&self.store)?;
        }
        Ok(erasure.erased)
    }
}
