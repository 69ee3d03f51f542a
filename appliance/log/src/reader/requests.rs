//! Requests in order of their entries, from volumes and then from the store: one file or one row in memory at a time.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::vec::IntoIter;

use assent_proto::number::LeafIndex;

use super::Reader;
use crate::store::{RequestRow, Snapshot, StoreError};
use crate::volume;

/// Volumes whose requests are kept in memory for whoever asks for one round after the other: two, for rounds are examined side
/// by side.
const KEPT_VOLUMES: usize = 2;

/// The requests of the volumes that were read last.
#[derive(Debug, Default)]
pub(super) struct Kept(Mutex<VecDeque<Volume>>);

#[derive(Clone, Debug)]
struct Volume {
    number: u64,
    edition: u32,
    requests: Arc<Vec<(LeafIndex, Vec<u8>)>>,
}

impl Kept {
    fn find(&self, number: u64, edition: u32) -> Option<Volume> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().find(|volume| (volume.number, volume.edition) == (number, edition)).cloned()
    }

    fn keep(&self, volume: Volume) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.push_back(volume);
        if kept.len() > KEPT_VOLUMES {
            kept.pop_front();
        }
    }
}

impl Reader {
    /// The requests whose first entry lies in `range`, each with that entry's index; erased ones are not among them.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn requests_in(&self, range: Range<u64>) -> Result<Vec<(LeafIndex, Vec<u8>)>, StoreError> {
        let snapshot = self.store.snapshot()?;
        let height = self.store.height();
        let bound = snapshot.volumes()? << height;
        let mut found = Vec::new();
        let mut index = range.start;
        while index < range.end.min(bound) {
            let end = (((index >> height) + 1) << height).min(range.end);
            let requests = self.requests_of(&snapshot, index >> height)?.requests;
            let first = requests.partition_point(|(first, _)| first.0 < index);
            let inside = requests.iter().skip(first).take_while(|(first, _)| first.0 < end);
            found.extend(inside.cloned());
            index = end;
        }
        if index < range.end {
            for row in snapshot.request_rows(index..range.end)? {
                let row = row?;
                // What a round's row has and should not have, whoever looks at that round is to see.
                let own = row.round >= index;
                let inside = |first: LeafIndex| own || (index..range.end).contains(&first.0);
                found.extend(row.requests.into_iter().filter(|(first, _)| inside(*first)));
            }
        }
        Ok(found)
    }

    fn requests_of(&self, snapshot: &Snapshot, number: u64) -> Result<Volume, StoreError> {
        let stored = snapshot.volume(number)?;
        let edition = stored.requests.map_or(0, |requests| requests.edition);
        if let Some(volume) = self.kept.find(number, edition) {
            return Ok(volume);
        }
        let (disk, folder) = (self.store.disk(), self.store.volumes_folder());
        let requests = Arc::new(volume::read_requests(&**disk, &folder, number, &stored)?);
        let volume = Volume { number, edition, requests };
        self.kept.keep(volume.clone());
        Ok(volume)
    }
}

/// The requests of a log that are still here, as they were when the first of them was asked for.
pub struct Requests {
    reader: Reader,
    snapshot: Snapshot,
    volumes: u64,
    /// The volume whose requests are next.
    number: u64,
    /// Index below which entries are not asked for.
    from: u64,
    here: IntoIter<(LeafIndex, Vec<u8>)>,
    rows: Option<Box<dyn Iterator<Item = Result<RequestRow, StoreError>> + Send>>,
}

impl std::fmt::Debug for Requests {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Requests").field("from", &self.from).finish_non_exhaustive()
    }
}

impl Requests {
    pub(super) fn new(reader: Reader, first: LeafIndex) -> Result<Self, StoreError> {
        let snapshot = reader.store.snapshot()?;
        let volumes = snapshot.volumes()?;
        let number = first.0 >> reader.store.height();
        Ok(Self {
            reader,
            snapshot,
            volumes,
            number,
            from: first.0,
            here: Vec::new().into_iter(),
            rows: None,
        })
    }

    fn load(&mut self) -> Result<bool, StoreError> {
        let store = &self.reader.store;
        let requests = if self.number < self.volumes {
            let stored = self.snapshot.volume(self.number)?;
            let requests =
                volume::read_requests(&**store.disk(), &store.volumes_folder(), self.number, &stored)?;
            self.number += 1;
            requests
        } else {
            let bound = self.volumes << store.height();
            let rows = match &mut self.rows {
                Some(rows) => rows,
                None => {
                    self.from = self.from.max(bound);
                    let rows = self.snapshot.request_rows(self.from..u64::MAX)?;
                    self.rows.insert(Box::new(rows))
                }
            };
            let Some(row) = rows.next() else { return Ok(false) };
            row?.requests
        };
        let from = self.from;
        let mut requests = requests;
        requests.retain(|(first, _)| first.0 >= from);
        self.here = requests.into_iter();
        Ok(true)
    }
}

impl Iterator for Requests {
    type Item = Result<(LeafIndex, Vec<u8>), StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(request) = self.here.next() {
                return Some(Ok(request));
            }
            match self.load() {
                Ok(true) => {}
                Ok(false) => return None,
                Err(error) => return Some(Err(error)),
            }
        }
    }
}
