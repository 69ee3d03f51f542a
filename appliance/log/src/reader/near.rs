//! The signed checkpoints around a size, found by what volumes and store say of their rounds: no leaf of a volume is read.

use assent_proto::number::TreeSize;

use super::Reader;
use crate::SignedCheckpoint;
use crate::store::{Snapshot, StoreError};

/// Signed checkpoints around a size; none where none is here.
#[derive(Clone, Copy, Debug, Default)]
pub struct Near {
    /// The newest that is smaller.
    pub below: Option<SignedCheckpoint>,
    /// The one of that size.
    pub at: Option<SignedCheckpoint>,
    /// The oldest that is larger.
    pub above: Option<SignedCheckpoint>,
}

impl Near {
    fn meet(&mut self, size: TreeSize, signed: SignedCheckpoint) {
        match signed.size.cmp(&size) {
            std::cmp::Ordering::Equal => self.at = Some(signed),
            std::cmp::Ordering::Less if self.below.is_none_or(|known| known.size < signed.size) => {
                self.below = Some(signed);
            }
            std::cmp::Ordering::Greater if self.above.is_none_or(|known| known.size > signed.size) => {
                self.above = Some(signed);
            }
            std::cmp::Ordering::Less | std::cmp::Ordering::Greater => {}
        }
    }
}

impl Reader {
    /// The signed checkpoints around this size.
    ///
    /// # Errors
    /// [`StoreError`]; [`StoreError::Archived`] where the round that ends there lies in an archive.
    pub fn checkpoints_near(&self, size: TreeSize) -> Result<Near, StoreError> {
        let (snapshot, mut near) = (self.store.snapshot()?, Near::default());
        let volumes = snapshot.volumes()?;
        // A round stands in the volume of its last leaf.
        let own = size.0.saturating_sub(1) >> self.store.height();
        for number in own..volumes {
            match self.ends_of(&snapshot, number) {
                Ok(ends) => ends.into_iter().for_each(|signed| near.meet(size, signed)),
                Err(StoreError::Archived { .. }) if number > own => break,
                Err(error) => return Err(error),
            }
            if near.above.is_some() {
                break;
            }
        }
        if near.above.is_none() {
            for round in snapshot.rounds_from(0)? {
                round?.checkpoint.into_iter().for_each(|signed| near.meet(size, signed));
                if near.above.is_some() {
                    break;
                }
            }
        }
        for number in (0..own.min(volumes)).rev() {
            if near.below.is_some() {
                break;
            }
            match self.ends_of(&snapshot, number) {
                Ok(ends) => ends.into_iter().for_each(|signed| near.meet(size, signed)),
                Err(StoreError::Archived { .. }) => break,
                Err(error) => return Err(error),
            }
        }
        Ok(near)
    }

    /// The checkpoints of the rounds that end in a volume.
    fn ends_of(&self, snapshot: &Snapshot, number: u64) -> Result<Vec<SignedCheckpoint>, StoreError> {
        let ends = self.volume(snapshot, number)?.rounds()?;
        Ok(ends.into_iter().filter_map(|end| end.checkpoint).collect())
    }
}
