//! Orders about the archive: an operator's word to the running appliance, which alone lets go of volumes.

use serde::{Deserialize, Serialize};

use super::{Archive, ArchiveError};
use crate::log::reader::Reader;
use crate::log::store::StoreError;
use crate::token::SealerHandle;
use assent_proto::entry::Entry;

/// Volumes that one order moves at most: whoever wants more orders again, and sees how far it is.
const MAX_VOLUMES: usize = 8;

/// What an operator orders.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArchiveOrder {
    /// A folder on the appliance's machine, or an address.
    pub to: String,
    /// Entries that stay here, the newest.
    pub keep: u64,
    /// Only what was decided before this time, in milliseconds since 1970.
    pub before_ms: Option<u64>,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum ArchiveAnswer {
    /// These went.
    Archived {
        /// How many volumes.
        volumes: u64,
        /// How many entries are in them.
        entries: u64,
        /// How many volumes are still to go by the same order.
        left: u64,
    },
    /// Nothing was let go.
    Refused {
        /// Why.
        reason: String,
    },
}

/// Moves some of the volumes that an order means. None when the sealer has ended.
pub async fn carry_out(handle: &SealerHandle, order: ArchiveOrder, by: String) -> Option<ArchiveAnswer> {
    let reader = handle.reader().clone();
    let refused = |error: &dyn std::error::Error| ArchiveAnswer::Refused { reason: chain(error) };
    let due = match due(&reader, &order) {
        Ok(due) => due,
        Err(error) => return Some(refused(&error)),
    };
    let (now, left) = due.split_at(due.len().min(MAX_VOLUMES));
    if let Err(error) = put(&reader, &order.to, now).await {
        return Some(refused(&error));
    }
    let entries =
        now.iter().map(|number| reader.leaves_of(*number)).map(|range| range.end - range.start).sum();
    if !now.is_empty() && !handle.let_go(now.to_vec(), order.to, by).await? {
        let reason = "a fence stays behind the log (the token boundary is closed, or file or HSM cannot be written: see `assent status`), or the disk has no room for the entry; archive when that is mended";
        return Some(ArchiveAnswer::Refused { reason: reason.to_owned() });
    }
    Some(ArchiveAnswer::Archived { volumes: now.len() as u64, entries, left: left.len() as u64 })
}

async fn put(reader: &Reader, to: &str, numbers: &[u64]) -> Result<(), ArchiveError> {
    let archive = Archive::open(to, &reader.identity()?.origin)?;
    let signed = reader.checkpoint()?.ok_or(StoreError::Unreadable("checkpoint"))?;
    for number in numbers {
        archive.put_volume(reader, &signed, *number).await?;
    }
    Ok(())
}

/// The volumes that an order means, oldest first.
fn due(reader: &Reader, order: &ArchiveOrder) -> Result<Vec<u64>, StoreError> {
    let end = reader.size()?.0.saturating_sub(order.keep);
    let mut due = Vec::new();
    for number in reader.volumes_here()? {
        let range = reader.leaves_of(number);
        if range.end > end || !is_before(reader, range.end - 1, order.before_ms)? {
            break;
        }
        due.push(number);
    }
    Ok(due)
}

fn is_before(reader: &Reader, index: u64, before_ms: Option<u64>) -> Result<bool, StoreError> {
    let Some(before) = before_ms else { return Ok(true) };
    let leaves = reader.leaves(index..index + 1)?;
    let entry =
        leaves.get(0).and_then(|leaf| Entry::parse(leaf).ok()).ok_or(StoreError::Unreadable("entry"))?;
    Ok(entry.time().0 < before)
}

/// An error and what caused it, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |error| error.source())
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}
