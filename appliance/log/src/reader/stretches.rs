//! The leaves that are here, in order and a few thousand at a time, and the stretches that lie in an archive instead.
//!
//! For whoever looks at entries one by one: where rounds begin and end is not asked, so a log whose old volumes went to an archive
//! is read as far as it is here, from any leaf on, and nothing before that leaf is read.

use std::ops::Range;

use super::Reader;
use crate::leaf_bytes::LeafBytes;
use crate::store::{Snapshot, StoreError, StoredRound};
use crate::volume::Volume;

/// Leaves of a stretch at most, where they come from a volume.
const MOST_LEAVES: u64 = 4096;

/// What comes next in a log.
#[derive(Clone, Debug)]
pub enum Stretch {
    /// Leaves that are here.
    Here {
        /// Index of the first of them.
        first: u64,
        /// Their bytes.
        leaves: LeafBytes,
    },
    /// Indices of leaves that lie in an archive.
    Archived(Range<u64>),
}

/// The stretches of a range of leaves, as they were when the first of them was asked for.
pub struct Stretches {
    reader: Reader,
    snapshot: Snapshot,
    /// How many leaves stand in volumes.
    bound: u64,
    next: u64,
    end: u64,
    volume: Option<(u64, Volume)>,
    tail: Option<Box<dyn Iterator<Item = Result<StoredRound, StoreError>> + Send>>,
}

impl std::fmt::Debug for Stretches {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stretches").field("next", &self.next).field("end", &self.end).finish_non_exhaustive()
    }
}

impl Reader {
    /// The leaves of this range that there are, in order, and which of them lie in an archive.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn stretches(&self, range: Range<u64>) -> Result<Stretches, StoreError> {
        let snapshot = self.store.snapshot()?;
        let bound = snapshot.volumes()? << self.store.height();
        let end = range.end.min(snapshot.head()?.size);
        let reader = self.clone();
        Ok(Stretches { reader, snapshot, bound, next: range.start, end, volume: None, tail: None })
    }
}

impl Stretches {
    fn read(&mut self) -> Result<Option<Stretch>, StoreError> {
        if self.next >= self.end {
            return Ok(None);
        }
        if self.next < self.bound { self.of_volume().map(Some) } else { self.of_tail() }
    }

    fn of_volume(&mut self) -> Result<Stretch, StoreError> {
        let height = self.reader.store.height();
        let number = self.next >> height;
        let behind = ((number + 1) << height).min(self.end);
        if self.volume.as_ref().is_none_or(|(open, _)| *open != number) {
            self.volume = match self.reader.volume(&self.snapshot, number) {
                Ok(volume) => Some((number, volume)),
                Err(StoreError::Archived { .. }) => {
                    let first = std::mem::replace(&mut self.next, behind);
                    return Ok(Stretch::Archived(first..behind));
                }
                Err(error) => return Err(error),
            };
        }
        let to = ((self.next / MOST_LEAVES + 1) * MOST_LEAVES).min(behind);
        let mut leaves = LeafBytes::default();
        if let Some((_, volume)) = &mut self.volume {
            volume.leaves(self.next, to, &mut leaves)?;
        }
        let first = std::mem::replace(&mut self.next, to);
        Ok(Stretch::Here { first, leaves })
    }

    fn of_tail(&mut self) -> Result<Option<Stretch>, StoreError> {
        let missing = || StoreError::Unreadable("leaf");
        let rounds = match &mut self.tail {
            Some(rounds) => rounds,
            None => {
                let around = self.snapshot.round_around(self.next)?.ok_or_else(missing)?;
                self.tail.insert(Box::new(self.snapshot.rounds_from(around.first.0)?))
            }
        };
        let round = rounds.next().ok_or_else(missing)??;
        let (first, end) = (self.next, round.end().min(self.end));
        let mut leaves = LeafBytes::default();
        let inside = (round.first.0..end).zip(round.leaves.iter()).filter(|(index, _)| *index >= first);
        inside.for_each(|(_, leaf)| leaves.push(leaf));
        self.next = end;
        Ok(Some(Stretch::Here { first, leaves }))
    }
}

impl Iterator for Stretches {
    type Item = Result<Stretch, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        let read = self.read();
        if read.is_err() {
            self.end = self.next;
        }
        read.transpose()
    }
}
