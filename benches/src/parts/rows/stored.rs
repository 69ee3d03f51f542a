//! The rows that a store's file really has, read without the log room: what the count is held against.

use std::path::Path;

use redb::{Database, ReadableDatabase as _, ReadableTable as _, TableDefinition};

use super::{BATCH_KEY_BYTES, HEAD_KEY, PIECE_KEY_BYTES};

/// Bytes of the last round, which begins at this leaf: its pieces, those of its requests, all recorded answers, and the head.
pub(super) fn bytes_of(store: &Path, first: u64) -> anyhow::Result<usize> {
    let store = Database::open(store)?;
    let read = store.begin_read()?;
    let mut bytes = HEAD_KEY.len();
    for name in ["rounds", "requests"] {
        let table = read.open_table(TableDefinition::<(u64, u32), &[u8]>::new(name))?;
        for row in table.range((first, 0)..)? {
            bytes += PIECE_KEY_BYTES + row?.1.value().len();
        }
    }
    for row in read.open_table(TableDefinition::<[u8; 24], &[u8]>::new("answers"))?.iter()? {
        bytes += BATCH_KEY_BYTES + row?.1.value().len();
    }
    let state = read.open_table(TableDefinition::<&str, &[u8]>::new("state"))?;
    Ok(bytes + state.get(HEAD_KEY)?.map_or(0, |head| head.value().len()))
}
