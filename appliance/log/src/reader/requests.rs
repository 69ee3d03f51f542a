//! Requests in order of their entries, from volumes and then from the store: one frame of a volume, or one row, in memory at a
//! time.
//!
//! The rule it keeps: what agents asked decides how long a volume's requests are, and not what a look at them takes. Beside
//! that frame there is what is held of a volume (`volume/requests.rs`), and what is kept for the next question, which is
//! bounded in bytes ([`MAX_KEPT_REQUESTS_BYTES`]).

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::vec::IntoIter;

use assent_proto::limits::MAX_BATCH_INTENTS;
use assent_proto::number::LeafIndex;

use super::Reader;
use crate::limits::{MAX_KEPT_REQUESTS_BYTES, MAX_WHOLE_REQUESTS_BYTES};
use crate::store::{RequestRow, Snapshot, StoreError};
use crate::volume::{Frames, VolumeRequests};

/// The requests of the volumes that were read last, for whoever asks for one round after the other.
#[derive(Debug, Default)]
pub(super) struct Kept {
    volumes: Mutex<VecDeque<Volume>>,
    /// Whoever reads a large file has it, and others find what they wait for kept.
    reading: Mutex<()>,
}

#[derive(Clone, Debug)]
struct Volume {
    number: u64,
    edition: u32,
    requests: Arc<VolumeRequests>,
}

impl Kept {
    fn find(&self, number: u64, edition: u32) -> Option<Arc<VolumeRequests>> {
        let kept = self.volumes.lock().unwrap_or_else(PoisonError::into_inner);
        let found = kept.iter().rev().find(|volume| (volume.number, volume.edition) == (number, edition));
        found.map(|volume| Arc::clone(&volume.requests))
    }

    /// Keeps it in place of another edition, and lets go of the oldest until the rest is within bounds.
    fn keep(&self, volume: Volume) {
        let mut kept = self.volumes.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|other| other.number != volume.number);
        kept.push_back(volume);
        while held_bytes(&kept) > MAX_KEPT_REQUESTS_BYTES {
            kept.pop_front();
        }
    }
}

fn held_bytes(volumes: &VecDeque<Volume>) -> usize {
    volumes.iter().map(|volume| size_of::<Volume>() + volume.requests.held_bytes()).sum()
}

impl Reader {
    /// The requests whose first entry lies in `range`, each with that entry's index, as they are when this is asked; erased
    /// ones are not among them. Each is read when its turn comes.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn each_request_in(&self, range: Range<u64>) -> Result<Requests, StoreError> {
        Requests::new(self.clone(), range)
    }

    /// The same, all in memory at once: for whoever asks for little, or may take as much as agents wrote.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn requests_in(&self, range: Range<u64>) -> Result<Vec<(LeafIndex, Vec<u8>)>, StoreError> {
        self.each_request_in(range)?.collect()
    }

    /// The last request whose first entry is no later than this one, as far back as a batch may reach: the one that this
    /// entry is about, unless that was erased or the entry is about none.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn request_around(&self, index: LeafIndex) -> Result<Option<(LeafIndex, Vec<u8>)>, StoreError> {
        let (snapshot, height) = (self.store.snapshot()?, self.store.height());
        let bound = snapshot.volumes()? << height;
        let (first, end) = (index.0.saturating_sub(MAX_BATCH_INTENTS as u64 - 1), index.0.saturating_add(1));
        let (mut last, unbound) = (None, first.max(bound)..end);
        if !unbound.is_empty() {
            for row in snapshot.request_rows(unbound.clone())? {
                let mut requests = row?.requests.into_iter();
                last = requests.rfind(|(first, _)| unbound.contains(&first.0)).or(last);
            }
        }
        let mut end = end.min(bound);
        while last.is_none() && first < end {
            let number = (end - 1) >> height;
            let here = (number << height).max(first)..end;
            last = self.frames(&snapshot, number, &here)?.next_back().transpose()?;
            end = here.start;
        }
        Ok(last)
    }

    /// Bytes of memory that what is kept takes.
    #[cfg(test)]
    pub(crate) fn kept_bytes(&self) -> usize {
        held_bytes(&self.kept.volumes.lock().unwrap())
    }

    /// The requests of a volume whose first entry lies in `range`.
    fn frames(&self, snapshot: &Snapshot, number: u64, range: &Range<u64>) -> Result<Frames, StoreError> {
        self.requests_of(snapshot, number)?.frames(&**self.store.disk(), range)
    }

    fn requests_of(&self, snapshot: &Snapshot, number: u64) -> Result<Arc<VolumeRequests>, StoreError> {
        let stored = snapshot.volume(number)?;
        let read = || {
            let (disk, folder) = (self.store.disk(), self.store.volumes_folder());
            VolumeRequests::read(&**disk, &folder, number, &stored).map(Arc::new)
        };
        let Some(file) = stored.requests else { return read() };
        if let Some(requests) = self.kept.find(number, file.edition) {
            return Ok(requests);
        }
        // To read it takes long, and once is enough: whoever waited looks again.
        let is_large = file.bytes > MAX_WHOLE_REQUESTS_BYTES;
        let _reading = is_large.then(|| self.kept.reading.lock().unwrap_or_else(PoisonError::into_inner));
        if is_large && let Some(requests) = self.kept.find(number, file.edition) {
            return Ok(requests);
        }
        let requests = read()?;
        self.kept.keep(Volume { number, edition: file.edition, requests: Arc::clone(&requests) });
        Ok(requests)
    }
}

/// The requests of a log that are still here, as they were when the first of them was asked for.
pub struct Requests {
    reader: Reader,
    snapshot: Snapshot,
    /// How many leaves stand in volumes.
    bound: u64,
    /// Index of the first entry that was not asked for yet.
    next: u64,
    /// Index of the first entry that is not to be asked for.
    end: u64,
    frames: Option<Frames>,
    row: IntoIter<(LeafIndex, Vec<u8>)>,
    rows: Option<Box<dyn Iterator<Item = Result<RequestRow, StoreError>> + Send>>,
}

impl std::fmt::Debug for Requests {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Requests").field("next", &self.next).field("end", &self.end).finish_non_exhaustive()
    }
}

impl Requests {
    pub(super) fn new(reader: Reader, range: Range<u64>) -> Result<Self, StoreError> {
        let snapshot = reader.store.snapshot()?;
        let bound = snapshot.volumes()? << reader.store.height();
        let Range { start: next, end } = range;
        let (frames, row, rows) = (None, Vec::new().into_iter(), None);
        Ok(Self { reader, snapshot, bound, next, end, frames, row, rows })
    }

    fn read(&mut self) -> Result<Option<(LeafIndex, Vec<u8>)>, StoreError> {
        loop {
            if let Some(request) = self.frames.as_mut().and_then(Iterator::next) {
                return request.map(Some);
            }
            if let Some(request) = self.row.next() {
                return Ok(Some(request));
            }
            if !self.load()? {
                return Ok(None);
            }
        }
    }

    /// Goes on to the next volume or row; false where there is none.
    fn load(&mut self) -> Result<bool, StoreError> {
        if self.next >= self.end {
            return Ok(false);
        }
        if self.next < self.bound {
            let height = self.reader.store.height();
            let number = self.next >> height;
            let here = self.next..((number + 1) << height).min(self.end);
            self.frames = Some(self.reader.frames(&self.snapshot, number, &here)?);
            self.next = here.end;
            return Ok(true);
        }
        let unbound = self.next..self.end;
        let rows = match &mut self.rows {
            Some(rows) => rows,
            None => self.rows.insert(Box::new(self.snapshot.request_rows(unbound.clone())?)),
        };
        let Some(RequestRow { round, mut requests }) = rows.next().transpose()? else { return Ok(false) };
        // What a round's row has and should not have, whoever looks at that round is to see.
        requests.retain(|(first, _)| round >= unbound.start || unbound.contains(&first.0));
        self.row = requests.into_iter();
        Ok(true)
    }
}

impl Iterator for Requests {
    type Item = Result<(LeafIndex, Vec<u8>), StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        let read = self.read().transpose();
        if matches!(read, Some(Err(_))) {
            self.end = self.next;
        }
        read
    }
}
