//! Rows: what other rooms keep with their entries, in the same commit or not at all.
//!
//! What waits, and what was done under a warrant, must be as durable as the entries that tell of it, and no less. The log
//! does not know what the bytes say. A row's first byte says whose it is.

use redb::{ReadableDatabase as _, TableDefinition, WriteTransaction};

use super::{Store, StoreError, access};

/// Keys, to what a room keeps under them.
pub(super) const ROWS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("rows");

/// Whose rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// How what waits does so.
    Waits = 1,
    /// The intents that wait.
    WaitingIntents = 2,
    /// Charters, warrants and their uses.
    BreakGlass = 3,
}

/// One change of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    key: Vec<u8>,
    /// What it holds from here on; none: there is no such row any more.
    value: Option<Vec<u8>>,
}

impl Row {
    /// Holds this from here on.
    #[must_use]
    pub fn put(room: Room, key: &[u8], value: Vec<u8>) -> Self {
        Self { key: whole(room, key), value: Some(value) }
    }

    /// Is there no more.
    #[must_use]
    pub fn removed(room: Room, key: &[u8]) -> Self {
        Self { key: whole(room, key), value: None }
    }
}

fn whole(room: Room, key: &[u8]) -> Vec<u8> {
    let mut whole = Vec::with_capacity(1 + key.len());
    whole.push(room as u8);
    whole.extend_from_slice(key);
    whole
}

pub(super) fn change(write: &WriteTransaction, rows: &[Row]) -> Result<(), redb::Error> {
    if rows.is_empty() {
        return Ok(());
    }
    let mut table = write.open_table(ROWS)?;
    for Row { key, value } in rows {
        match value {
            Some(value) => drop(table.insert(key.as_slice(), value.as_slice())?),
            None => drop(table.remove(key.as_slice())?),
        }
    }
    Ok(())
}

impl Store {
    /// The row of that key.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn row(&self, room: Room, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let read = self.database.begin_read().map_err(access("read"))?;
        let table = read.open_table(ROWS).map_err(access("read"))?;
        let value = table.get(whole(room, key).as_slice()).map_err(access("read"))?;
        Ok(value.map(|value| value.value().to_vec()))
    }

    /// Hands every row of a room to `take`, in the order of their keys.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn rows(&self, room: Room, mut take: impl FnMut(&[u8], &[u8])) -> Result<(), StoreError> {
        let read = self.database.begin_read().map_err(access("read"))?;
        let table = read.open_table(ROWS).map_err(access("read"))?;
        let (first, behind) = ([room as u8], [room as u8 + 1]);
        for row in table.range(first.as_slice()..behind.as_slice()).map_err(access("read"))? {
            let (key, value) = row.map_err(access("read"))?;
            take(key.value().get(1..).unwrap_or_default(), value.value());
        }
        Ok(())
    }
}
