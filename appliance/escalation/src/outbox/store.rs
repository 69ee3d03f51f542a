//! The outbox's shelf: records by number, and what stands beside them. They are JSON, and no rule is known here.

use std::collections::BTreeMap;
use std::path::Path;

use assent_doors::shelf::{Label, Named, Shelf, ShelfError};
use redb::{ReadableTable as _, TableDefinition};

use super::record::Record;
use super::state::Standing;
use crate::limits::MAX_RECORD_BYTES;

/// Number of an incident, to its record.
const INCIDENTS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("incidents");
/// What stands beside them.
const BESIDE: Named = Named::new("beside");
const STANDING: &str = "standing";

static LABEL: Label = Label {
    name: "the outbox",
    remedy: "move it away to begin an empty one, whereby escalations that wait in it are lost",
    named: BESIDE,
    format: b"assent.v1.escalation.outbox",
};

/// What one commit writes.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// Records by number; none: it is gone.
    pub(super) records: Vec<(u64, Option<Vec<u8>>)>,
    pub(super) standing: Option<Vec<u8>>,
}

#[derive(Debug)]
pub(super) struct Store(Shelf);

impl Store {
    /// Opens the store, or makes an empty one.
    pub(super) fn open(path: &Path) -> Result<Self, ShelfError> {
        Shelf::open(path, &LABEL).map(Self)
    }

    /// All that is in it.
    pub(super) fn load(&self) -> Result<(BTreeMap<u64, Record>, Standing), ShelfError> {
        let standing = match self.0.value(STANDING)? {
            Some(bytes) => serde_json::from_slice(&bytes).map_err(|_| self.0.unreadable(STANDING))?,
            None => Standing::default(),
        };
        let records = self.0.read(|read| {
            let table = match read.open_table(INCIDENTS) {
                Err(redb::TableError::TableDoesNotExist(_)) => return Ok(Some(BTreeMap::new())),
                opened => opened?,
            };
            let mut records = BTreeMap::new();
            for row in table.iter()? {
                let (number, bytes) = row?;
                let bytes = Some(bytes.value()).filter(|bytes| bytes.len() <= MAX_RECORD_BYTES);
                let record: Option<Record> = bytes.and_then(|bytes| serde_json::from_slice(bytes).ok());
                let Some(record) = record else { return Ok(None) };
                records.insert(number.value(), record);
            }
            Ok(Some(records))
        })?;
        Ok((records.ok_or_else(|| self.0.unreadable("record"))?, standing))
    }

    /// Makes changes durable: all of them, or none.
    pub(super) fn commit(&self, changes: &Changes) -> Result<(), ShelfError> {
        self.0.write(|write| {
            let mut table = write.open_table(INCIDENTS)?;
            for (number, record) in &changes.records {
                match record {
                    Some(bytes) => drop(table.insert(number, bytes.as_slice())?),
                    None => drop(table.remove(number)?),
                }
            }
            if let Some(standing) = &changes.standing {
                write.open_table(BESIDE)?.insert(STANDING, standing.as_slice())?;
            }
            Ok(())
        })
    }

    #[cfg(test)]
    pub(super) fn lose(&mut self, path: &Path) {
        self.0.lose(path);
    }
}
