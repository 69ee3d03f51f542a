//! The outbox's disk door: a redb file of its own, made elsewhere and renamed, two-phase commits only, checked at open.
//!
//! It keeps records and what stands beside them as JSON, and knows no rule. After an error the file is opened anew before the
//! next commit: what redb makes of a database whose commit failed is not relied on.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use redb::{
    Database, Durability, ReadableDatabase as _, ReadableTable as _, TableDefinition, WriteTransaction,
};

use super::record::Record;
use super::state::Standing;
use crate::limits::{MAX_RECORD_BYTES, STORE_CACHE_BYTES};

/// Number of an incident, to its record.
const INCIDENTS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("incidents");
/// What stands beside them.
const BESIDE: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("beside");
const FORMAT: &str = "format";
const STANDING: &str = "standing";

/// The version of what this code stores.
const STORE_FORMAT: &[u8] = b"assent.v1.escalation.outbox";

/// Why the store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has it open.
    #[error("another process has the outbox open; stop it")]
    Busy,
    /// redb could not open or create the file.
    #[error(
        "cannot open the outbox {}; move it away to begin an empty one, whereby escalations that wait in it are lost",
        path.display()
    )]
    Open {
        /// The file.
        path: PathBuf,
        /// What redb says.
        #[source]
        source: Box<redb::DatabaseError>,
    },
    /// redb could not read or write.
    #[error("cannot {doing} the outbox; see whether the disk is full or failing")]
    Access {
        /// What was being done.
        doing: &'static str,
        /// What redb says.
        #[source]
        source: Box<redb::Error>,
    },
    /// The file system could not.
    #[error("cannot {doing} {}; see whether the disk is full or failing", path.display())]
    File {
        /// What was being done.
        doing: &'static str,
        /// To which file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// What is stored is not what this version stores.
    #[error("the outbox holds a {0} that this version cannot read; move it away to begin an empty one")]
    Unreadable(&'static str),
}

fn access<E: Into<redb::Error>>(doing: &'static str) -> impl FnOnce(E) -> StoreError {
    move |error| StoreError::Access { doing, source: Box::new(error.into()) }
}

/// What one commit writes.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// Records by number; none: it is gone.
    pub(super) records: Vec<(u64, Option<Vec<u8>>)>,
    pub(super) standing: Option<Vec<u8>>,
}

/// The database; none after an error.
#[derive(Debug)]
pub(super) struct Store {
    path: PathBuf,
    database: Option<Database>,
}

impl Store {
    /// Opens the store, or makes an empty one. It appears under its name only when it is complete.
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        if !path.exists() {
            create(path)?;
        }
        let store = Self { path: path.to_owned(), database: Some(open(path)?) };
        match store.beside(FORMAT)?.as_deref() {
            Some(STORE_FORMAT) => Ok(store),
            Some(_) | None => Err(StoreError::Unreadable(FORMAT)),
        }
    }

    /// All that is in it.
    pub(super) fn load(&self) -> Result<(BTreeMap<u64, Record>, Standing), StoreError> {
        let standing = match self.beside(STANDING)? {
            Some(bytes) => serde_json::from_slice(&bytes).map_err(|_| StoreError::Unreadable(STANDING))?,
            None => Standing::default(),
        };
        let mut records = BTreeMap::new();
        let Some(database) = &self.database else { return Ok((records, standing)) };
        let read = database.begin_read().map_err(access("read"))?;
        let table = read.open_table(INCIDENTS).map_err(access("read"))?;
        for row in table.iter().map_err(access("read"))? {
            let (number, bytes) = row.map_err(access("read"))?;
            let bytes = Some(bytes.value()).filter(|bytes| bytes.len() <= MAX_RECORD_BYTES);
            let record = bytes.and_then(|bytes| serde_json::from_slice(bytes).ok());
            records.insert(number.value(), record.ok_or(StoreError::Unreadable("record"))?);
        }
        Ok((records, standing))
    }

    /// Makes changes durable: all of them, or none.
    pub(super) fn commit(&mut self, changes: &Changes) -> Result<(), StoreError> {
        let database = match self.database.take() {
            Some(database) => database,
            None => open(&self.path)?,
        };
        write(&database, "write to", |write| {
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
        })?;
        self.database = Some(database);
        Ok(())
    }

    /// As after an error, with the file at another place.
    #[cfg(test)]
    pub(super) fn lose(&mut self, path: &Path) {
        self.database = None;
        self.path = path.to_owned();
    }

    fn beside(&self, name: &'static str) -> Result<Option<Vec<u8>>, StoreError> {
        let Some(database) = &self.database else { return Ok(None) };
        let read = database.begin_read().map_err(access("read"))?;
        let table = match read.open_table(BESIDE) {
            Err(redb::TableError::TableDoesNotExist(_)) => return Ok(None),
            opened => opened.map_err(access("read"))?,
        };
        Ok(table.get(name).map_err(access("read"))?.map(|value| value.value().to_vec()))
    }
}

fn open(path: &Path) -> Result<Database, StoreError> {
    builder().open(path).map_err(|source| {
        if matches!(source, redb::DatabaseError::DatabaseAlreadyOpen) {
            StoreError::Busy
        } else {
            StoreError::Open { path: path.to_owned(), source: Box::new(source) }
        }
    })
}

/// Makes an empty store beside its place and renames it: a crash inside `create` leaves a file that cannot be opened.
fn create(path: &Path) -> Result<(), StoreError> {
    let unfinished = path.with_extension("unfinished");
    let file = |doing| move |source| StoreError::File { doing, path: path.to_owned(), source };
    match std::fs::remove_file(&unfinished) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(file("clear")(error)),
        Ok(()) | Err(_) => {}
    }
    let database = builder()
        .create(&unfinished)
        .map_err(|source| StoreError::Open { path: path.to_owned(), source: Box::new(source) })?;
    write(&database, "create", |write| {
        write.open_table(INCIDENTS)?;
        write.open_table(BESIDE)?.insert(FORMAT, STORE_FORMAT).map(drop).map_err(Into::into)
    })?;
    drop(database);
    std::fs::rename(&unfinished, path).map_err(file("name"))?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = std::fs::File::open(folder.unwrap_or_else(|| Path::new(".")));
    folder.and_then(|folder| folder.sync_all()).map_err(file("sync the folder of"))
}

fn builder() -> redb::Builder {
    let mut builder = Database::builder();
    builder.set_cache_size(STORE_CACHE_BYTES);
    builder.set_check_integrity_on_open(true);
    builder
}

fn write(
    database: &Database,
    doing: &'static str,
    change: impl FnOnce(&WriteTransaction) -> Result<(), redb::Error>,
) -> Result<(), StoreError> {
    let mut write = database.begin_write().map_err(access(doing))?;
    write.set_durability(Durability::Immediate).map_err(access(doing))?;
    write.set_two_phase_commit(true);
    change(&write).map_err(access(doing))?;
    write.commit().map_err(access(doing))
}
