//! Erasure: what one principal asked goes, what was decided stays, and the chain still verifies.
//!
//! The one rule: an erased request is named by nothing once the commit that says so is durable, and its file is gone, at the
//! latest by the next start. Volumes are written anew beside whoever appends; what is not bound yet is amended by them. redb
//! does not overwrite the pages that it frees: they go when it uses them again.

use std::path::Path;
use std::sync::Arc;

use assent_proto::entry::{Entry, Hold};
use assent_proto::number::LeafIndex;

use crate::disk::Disk;
use crate::reader::Reader;
use crate::store::{RequestRow, Snapshot, StoreError, StoredRequests, StoredVolume};
use crate::volume::{self, VolumeRequests};
use crate::{Fatal, Log};

/// What the log calls the act: its statement names the principal in a line `principal ID`, and the reason.
pub const ERASURE_ACT: &str = "erase";

/// Volumes whose requests were written anew, without those of a principal; nothing refers to them yet.
#[derive(Debug, Default)]
pub struct Erasure {
    principal: String,
    /// Volumes that were looked at.
    through: u64,
    /// Those that are to change.
    volumes: Vec<Rewritten>,
    /// Whether there was anything of theirs when it was prepared.
    finds_any: bool,
}

/// A volume whose requests were written anew.
#[derive(Clone, Copy, Debug)]
struct Rewritten {
    number: u64,
    /// The edition without whose erased requests this is.
    of: u32,
    /// What its requests become; none: all of them go.
    requests: Option<StoredRequests>,
    erased: Erased,
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
    const fn count(&mut self, frame_bytes: usize) {
        self.requests += 1;
        self.bytes += frame_bytes as u64;
    }

    const fn add(&mut self, other: Self) {
        self.requests += other.requests;
        self.bytes += other.bytes;
    }
}

impl Reader {
    /// Writes the requests of all volumes anew without those of this principal, beside the ones in force. `has_room` says
    /// whether so many bytes may be written to the volumes' folder.
    ///
    /// One at a time, and nothing is archived until this is in force or given up. Should another erasure be put in force
    /// before, what this one wrote is cleared away, and written once more when its turn comes.
    ///
    /// # Errors
    /// [`StoreError`]; then nothing has changed, and nothing that was written is left.
    pub fn prepare_erasure(
        &self,
        principal: &str,
        has_room: impl Fn(u64) -> bool,
    ) -> Result<Erasure, StoreError> {
        let mut erasure = Erasure { principal: principal.to_owned(), ..Erasure::default() };
        match erasure.prepare(self, has_room) {
            Ok(()) => Ok(erasure),
            Err(error) => {
                self.give_up(erasure);
                Err(error)
            }
        }
    }

    /// Takes away what a prepared erasure wrote; what cannot be taken away goes with the next that is put in force.
    pub fn give_up(&self, erasure: Erasure) {
        let (disk, folder) = (self.store().disk(), self.store().volumes_folder());
        for Rewritten { number, requests, .. } in erasure.volumes {
            let written = requests.map(|requests| volume::requests_path(&folder, number, requests.edition));
            drop(written.map(|path| disk.remove(&path)));
        }
    }
}

/// Whether a leaf is about an intent of this principal.
#[expect(clippy::wildcard_enum_match_arm, reason = "no other kind is about an intent")]
fn is_of(leaf: Option<&[u8]>, principal: &str) -> Result<bool, StoreError> {
    let entry = leaf.and_then(|leaf| Entry::parse(leaf).ok());
    Ok(match entry.ok_or(StoreError::Unreadable("entry"))? {
        Entry::Allow(allow) => allow.principal == principal,
        Entry::Deny(deny) | Entry::Hold(Hold { denial: deny, .. }) => deny.principal == principal,
        _ => false,
    })
}

/// The next edition whose file is not there: another erasure may have written one, or left it.
fn free_edition(disk: &dyn Disk, folder: &Path, number: u64, of: u32) -> Result<u32, StoreError> {
    let mut edition = of;
    loop {
        edition = edition.checked_add(1).ok_or(StoreError::Unreadable("edition of requests"))?;
        let path = volume::requests_path(folder, number, edition);
        match disk.exists(&path) {
            Ok(false) => return Ok(edition),
            Ok(true) => {}
            Err(source) => return Err(StoreError::File { doing: "look for", path, source }),
        }
    }
}

impl Erasure {
    /// Whether there was anything of that principal, in volumes or before them.
    #[must_use]
    pub const fn finds_any(&self) -> bool {
        self.finds_any
    }

    fn prepare(&mut self, reader: &Reader, has_room: impl Fn(u64) -> bool) -> Result<(), StoreError> {
        let snapshot = reader.store().snapshot()?;
        self.through = snapshot.volumes()?;
        for number in 0..self.through {
            self.volume(reader, &snapshot, number, &has_room)?;
        }
        let in_volumes = !self.volumes.is_empty();
        self.finds_any = in_volumes || !self.rows(&snapshot)?.0.is_empty();
        Ok(())
    }

    fn volume(
        &mut self,
        reader: &Reader,
        snapshot: &Snapshot,
        number: u64,
        has_room: impl Fn(u64) -> bool,
    ) -> Result<(), StoreError> {
        let store = reader.store();
        let (disk, folder) = (&**store.disk(), store.volumes_folder());
        let stored = snapshot.volume(number)?;
        let Some(before) = stored.requests else { return Ok(()) };
        let requests = Arc::new(VolumeRequests::read(disk, &folder, number, &stored)?);
        let (mut goes, mut erased) = (Vec::with_capacity(requests.places.len()), Erased::default());
        for place in &requests.places {
            let leaves = reader.leaves_at(snapshot, place.first.0..place.first.0.saturating_add(1))?;
            let is_theirs = is_of(leaves.get(0), &self.principal)?;
            goes.push(is_theirs);
            if is_theirs {
                erased.count(place.length);
            }
        }
        if erased == Erased::default() {
            return Ok(());
        }
        if !has_room(before.bytes) {
            let source = std::io::ErrorKind::StorageFull.into();
            return Err(StoreError::File { doing: "write requests anew in", path: folder, source });
        }
        let start = number << store.height();
        let edition = free_edition(disk, &folder, number, before.edition)?;
        let frames = requests.frames(disk, &(0..u64::MAX))?.zip(goes);
        let kept = frames.filter_map(|(request, goes)| (!goes).then_some(request));
        let requests = volume::write_requests(disk, &folder, number, edition, start, kept)?;
        self.volumes.push(Rewritten { number, of: before.edition, requests, erased });
        Ok(())
    }

    /// The volumes that have another edition now, or whose new file is gone, and no more among those that are to change.
    fn take_stale(&mut self, reader: &Reader, snapshot: &Snapshot) -> Result<Vec<u64>, StoreError> {
        let (disk, folder) = (reader.store().disk(), reader.store().volumes_folder());
        let mut stale = Vec::new();
        for Rewritten { number, of, requests, .. } in &self.volumes {
            let in_force = snapshot.volume(*number)?.requests.map(|requests| requests.edition);
            let is_there = requests.is_none_or(|requests| {
                disk.exists(&volume::requests_path(&folder, *number, requests.edition)).unwrap_or(false)
            });
            if in_force != Some(*of) || !is_there {
                stale.push(*number);
            }
        }
        self.volumes.retain(|rewritten| !stale.contains(&rewritten.number));
        Ok(stale)
    }

    /// The rows of the store that change, and what goes with them.
    fn rows(&self, snapshot: &Snapshot) -> Result<(Vec<RequestRow>, Erased), StoreError> {
        let (mut rows, mut erased) = (Vec::new(), Erased::default());
        for row in snapshot.request_rows(0..u64::MAX)? {
            let RequestRow { round, requests } = row?;
            let stored = snapshot.round_around(round)?.ok_or(StoreError::Unreadable("round"))?;
            let mut kept: Vec<(LeafIndex, Vec<u8>)> = Vec::new();
            let count = requests.len();
            for (first, frame) in requests {
                let place = first.0.checked_sub(stored.first.0).and_then(|place| usize::try_from(place).ok());
                if is_of(place.and_then(|place| stored.leaves.get(place)), &self.principal)? {
                    erased.count(frame.len());
                } else {
                    kept.push((first, frame));
                }
            }
            if kept.len() < count {
                rows.push(RequestRow { round, requests: kept });
            }
        }
        Ok((rows, erased))
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
        let stale = erasure.take_stale(&reader, &snapshot)?;
        for number in stale.into_iter().chain(erasure.through..snapshot.volumes()?) {
            // What is written here is one volume's, or a few: it goes by the room that a commit goes by.
            erasure.volume(&reader, &snapshot, number, |_| true)?;
        }
        self.disk.sync_folder(&self.store.volumes_folder()).or_else(|source| {
            let none = erasure.volumes.is_empty() && source.kind() == std::io::ErrorKind::NotFound;
            let path = self.store.volumes_folder();
            if none { Ok(()) } else { Err(StoreError::File { doing: "sync", path, source }) }
        })?;
        let (rows, mut erased) = erasure.rows(&snapshot)?;
        let mut volumes = Vec::new();
        for rewritten in &erasure.volumes {
            let Rewritten { number, requests, .. } = *rewritten;
            volumes.push((number, StoredVolume { requests, ..snapshot.volume(number)? }));
            erased.add(rewritten.erased);
        }
        drop(snapshot);
        if !volumes.is_empty() || !rows.is_empty() {
            self.store.amend(&volumes, &rows)?;
            volume::clear(&self.store)?;
        }
        Ok(erased)
    }
}
