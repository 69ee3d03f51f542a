//! Archiving: the leaves of old volumes go elsewhere, the roots stay, and the chain still verifies.
//!
//! The one rule: a volume's file goes only after the commit that says that it lies in the archive is durable, and it comes back
//! only as what the store vouches for. Where the archive is, and that it holds what it was given, is its keeper's to see to.
//! Requests are not archived: whoever must be able to erase them knows where they are.

use std::ops::Range;

use crate::leaf_bytes::LeafBytes;
use crate::reader::Reader;
use crate::store::{StoreError, StoredVolume};
use crate::{Fatal, Log, volume};

impl Reader {
    /// The indices of a volume's leaves.
    #[must_use]
    pub fn leaves_of(&self, number: u64) -> Range<u64> {
        let height = self.store().height();
        number << height..(number + 1) << height
    }

    /// The volumes whose leaves are here, oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn volumes_here(&self) -> Result<Vec<u64>, StoreError> {
        let snapshot = self.store().snapshot()?;
        let mut here = Vec::new();
        for number in 0..snapshot.volumes()? {
            here.extend((!snapshot.volume(number)?.archived).then_some(number));
        }
        Ok(here)
    }

    /// What a volume's file has of the rounds that end in it: an archive keeps it beside the tiles.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn rounds_of(&self, number: u64) -> Result<Vec<u8>, StoreError> {
        self.volume(&self.store().snapshot()?, number)?.rounds_bytes()
    }

    /// Brings a volume back from an archive, of a log that nobody has open to append: its entry bundles in order, and its rounds.
    ///
    /// # Errors
    /// [`StoreError`]; then it is not here.
    pub fn restore(
        &self,
        number: u64,
        bundles: impl Iterator<Item = LeafBytes>,
        rounds: &[u8],
    ) -> Result<(), StoreError> {
        let stored = self.store().snapshot()?.volume(number)?;
        volume::rebind(self.store(), number, &stored, bundles, rounds)?;
        self.store().amend(&[(number, StoredVolume { archived: false, ..stored })], &[])
    }
}

impl Log {
    /// Lets go of volumes that lie in an archive.
    ///
    /// # Errors
    /// [`Fatal`]; then it is unknown which of them are let go.
    pub fn archived(&mut self, numbers: &[u64]) -> Result<(), Fatal> {
        let snapshot = self.store.snapshot()?;
        let mut volumes = Vec::new();
        for number in numbers {
            volumes.push((*number, StoredVolume { archived: true, ..snapshot.volume(*number)? }));
        }
        drop(snapshot);
        // What is being bound is nobody's yet, and would be cleared away.
        self.binder.discard();
        self.store.amend(&volumes, &[])?;
        Ok(volume::clear(&self.store)?)
    }
}
