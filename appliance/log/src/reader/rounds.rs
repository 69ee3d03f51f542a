//! Rounds in order, from volumes and then from the store, whatever is bound meanwhile.

use std::vec::IntoIter;

use assent_proto::number::LeafIndex;

use super::Reader;
use crate::store::{Snapshot, StoreError, StoredRound};
use crate::volume::{RoundEnd, Volume};

/// The rounds of a log, as they were when the first of them was asked for.
pub struct Rounds {
    reader: Reader,
    snapshot: Snapshot,
    /// How many volumes there are.
    volumes: u64,
    /// The volume whose rounds are next.
    number: u64,
    ends: IntoIter<RoundEnd>,
    volume: Option<(u64, Volume)>,
    /// Index at which the next round begins.
    next: u64,
    tail: Option<Box<dyn Iterator<Item = Result<StoredRound, StoreError>> + Send>>,
    failed: bool,
}

impl std::fmt::Debug for Rounds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rounds").field("next", &self.next).finish_non_exhaustive()
    }
}

impl Rounds {
    pub(super) fn new(reader: Reader, first: LeafIndex) -> Result<Self, StoreError> {
        let snapshot = reader.store.snapshot()?;
        let volumes = snapshot.volumes()?;
        // The round that ends at `first` stands in the volume of the leaf before it.
        let number = first.0.saturating_sub(1) >> reader.store.height();
        let mut rounds = Self {
            reader,
            snapshot,
            volumes,
            number,
            ends: Vec::new().into_iter(),
            volume: None,
            next: first.0,
            tail: None,
            failed: false,
        };
        if first.0 > 0 {
            rounds.skip_to(first.0)?;
        }
        Ok(rounds)
    }

    /// Sets `next` to the first beginning of a round that is not before `first`.
    fn skip_to(&mut self, first: u64) -> Result<(), StoreError> {
        while let Some(end) = self.next_end()? {
            if end.end >= first {
                self.next = end.end;
                return Ok(());
            }
        }
        if let Some(round) = self.snapshot.round_around(first - 1)? {
            self.next = round.end();
        }
        Ok(())
    }

    /// The next round that ends in a volume.
    fn next_end(&mut self) -> Result<Option<RoundEnd>, StoreError> {
        loop {
            if let Some(end) = self.ends.next() {
                return Ok(Some(end));
            }
            if self.number >= self.volumes {
                return Ok(None);
            }
            self.ends = self.reader.volume(&self.snapshot, self.number)?.rounds()?.into_iter();
            self.number += 1;
        }
    }

    fn read(&mut self) -> Result<Option<StoredRound>, StoreError> {
        if self.tail.is_none()
            && let Some(RoundEnd { first, end, checkpoint }) = self.next_end()?
        {
            self.next = end;
            return Ok(Some(StoredRound {
                first: LeafIndex(first),
                leaves: self.leaves(first, end)?,
                checkpoint,
            }));
        }
        if self.tail.is_none() {
            self.tail = Some(Box::new(self.snapshot.rounds_from(self.next)?));
            self.volume = None;
        }
        self.tail.as_mut().and_then(Iterator::next).transpose()
    }

    /// The leaves of a round that ends in a volume, which stays open for the next.
    fn leaves(&mut self, first: u64, end: u64) -> Result<crate::LeafBytes, StoreError> {
        let mut leaves = crate::LeafBytes::default();
        let height = self.reader.store.height();
        let mut index = first;
        while index < end {
            let number = index >> height;
            if self.volume.as_ref().is_none_or(|(open, _)| *open != number) {
                self.volume = Some((number, self.reader.volume(&self.snapshot, number)?));
            }
            let to = ((number + 1) << height).min(end);
            if let Some((_, volume)) = &mut self.volume {
                volume.leaves(index, to, &mut leaves)?;
            }
            index = to;
        }
        Ok(leaves)
    }
}

impl Iterator for Rounds {
    type Item = Result<StoredRound, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let read = self.read().transpose();
        self.failed = matches!(read, Some(Err(_)));
        read
    }
}
