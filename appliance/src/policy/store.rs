//! The disk door of the policies: the last good bundle, the version that may not be gone below, and when its source was last
//! confirmed.
//!
//! The rules are those of the log's store: a file of its own, made elsewhere and renamed, two-phase commits only, the whole
//! file checked at open. Bundle and version change in one commit. What is in the bundle it does not know.

use std::path::{Path, PathBuf};

use assent_proto::codec;
use assent_proto::number::Timestamp;
use redb::{Database, Durability, ReadableDatabase as _, TableDefinition, WriteTransaction};
use serde::{Deserialize, Serialize};

/// The store's name in the data folder.
pub const FILE: &str = "policies.redb";

const POLICIES: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("policies");
const FORMAT: &str = "format";
const BUNDLE: &str = "bundle";
const STATE: &str = "state";

/// The version of what this code stores.
const STORE_FORMAT: u32 = 1;
/// Pages that are kept in memory: it is read once and written seldom.
const CACHE_BYTES: usize = 1024 * 1024;

/// Why the store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has it open.
    #[error("another process has the policies' store open; stop it")]
    Busy,
    /// redb could not open or create the file.
    #[error(
        "cannot open the policies' store {}; restore it from a backup, for without it an older bundle could come back",
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
    #[error("cannot {doing} the policies' store")]
    Access {
        /// What was being done.
        doing: &'static str,
        /// What redb says.
        #[source]
        source: Box<redb::Error>,
    },
    /// The file system could not.
    #[error("cannot {doing} {}", path.display())]
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
    #[error("the policies' store holds a {0} that this version cannot read")]
    Unreadable(&'static str),
}

fn access<E: Into<redb::Error>>(doing: &'static str) -> impl FnOnce(E) -> StoreError {
    move |error| StoreError::Access { doing, source: Box::new(error.into()) }
}

/// What is remembered beside the bundle.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// The version that may not be gone below: that of the last bundle in force.
    pub version: Option<u64>,
    /// When the bundle's source was last confirmed, about.
    pub confirmed: Timestamp,
}

/// The policies' database.
#[derive(Debug)]
pub struct Store {
    database: Database,
}

impl Store {
    /// Opens the store, or makes an empty one. It appears under its name only when it is complete.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        if !path.exists() {
            create(path)?;
        }
        let store = match builder().open(path) {
            Ok(database) => Self { database },
            Err(redb::DatabaseError::DatabaseAlreadyOpen) => return Err(StoreError::Busy),
            Err(source) => return Err(StoreError::Open { path: path.to_owned(), source: Box::new(source) }),
        };
        match store.parsed::<u32>(FORMAT)? {
            Some(STORE_FORMAT) => Ok(store),
            Some(_) | None => Err(StoreError::Unreadable(FORMAT)),
        }
    }

    /// The last good bundle, as it was encoded.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn bundle(&self) -> Result<Option<Vec<u8>>, StoreError> {
        self.value(BUNDLE)
    }

    /// What is remembered beside it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn state(&self) -> Result<State, StoreError> {
        Ok(self.parsed(STATE)?.unwrap_or_default())
    }

    /// Keeps a bundle with its state: both, or neither.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn keep(&self, bundle: &[u8], state: &State) -> Result<(), StoreError> {
        write(&self.database, "write to", |write| {
            let mut table = write.open_table(POLICIES)?;
            table.insert(BUNDLE, bundle)?;
            table.insert(STATE, encoded(state)?.as_slice()).map(drop).map_err(Into::into)
        })
    }

    /// Keeps the state alone.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn remember(&self, state: &State) -> Result<(), StoreError> {
        write(&self.database, "write to", |write| {
            let mut table = write.open_table(POLICIES)?;
            table.insert(STATE, encoded(state)?.as_slice()).map(drop).map_err(Into::into)
        })
    }

    fn value(&self, name: &'static str) -> Result<Option<Vec<u8>>, StoreError> {
        let read = self.database.begin_read().map_err(access("read"))?;
        let table = read.open_table(POLICIES).map_err(access("read"))?;
        Ok(table.get(name).map_err(access("read"))?.map(|value| value.value().to_vec()))
    }

    fn parsed<T: for<'de> Deserialize<'de> + Serialize>(
        &self,
        name: &'static str,
    ) -> Result<Option<T>, StoreError> {
        let parse = |bytes: Vec<u8>| codec::parse(&bytes).map_err(|_| StoreError::Unreadable(name));
        self.value(name)?.map(parse).transpose()
    }
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
        let mut table = write.open_table(POLICIES)?;
        table.insert(FORMAT, encoded(&STORE_FORMAT)?.as_slice()).map(drop).map_err(Into::into)
    })?;
    drop(database);
    std::fs::rename(&unfinished, path).map_err(file("name"))?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = std::fs::File::open(folder.unwrap_or_else(|| Path::new(".")));
    folder.and_then(|folder| folder.sync_all()).map_err(file("sync the folder of"))
}

fn builder() -> redb::Builder {
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE_BYTES);
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

fn encoded<T: Serialize>(value: &T) -> Result<Vec<u8>, redb::Error> {
    let mut bytes = Vec::new();
    codec::append(value, &mut bytes).map_err(|error| redb::Error::Corrupted(error.to_string()))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bundle_and_state_outlive_the_process_that_kept_them() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        let store = Store::open(&path).unwrap();
        assert_eq!((store.bundle().unwrap(), store.state().unwrap()), (None, State::default()));
        let state = State { version: Some(7), confirmed: Timestamp(1000) };
        store.keep(b"bundle", &state).unwrap();
        let later = State { confirmed: Timestamp(2000), ..state };
        store.remember(&later).unwrap();
        drop(store);
        let store = Store::open(&path).unwrap();
        assert_eq!(
            (store.bundle().unwrap().as_deref(), store.state().unwrap()),
            (Some(&b"bundle"[..]), later)
        );
    }

    #[test]
    fn what_a_killed_maker_left_is_cleared() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        std::fs::write(path.with_extension("unfinished"), "half").unwrap();
        assert!(Store::open(&path).unwrap().bundle().unwrap().is_none());
    }

    #[test]
    fn a_damaged_store_is_not_replaced_by_an_empty_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        drop(Store::open(&path).unwrap());
        std::fs::write(&path, "damaged").unwrap();
        assert!(matches!(Store::open(&path), Err(StoreError::Open { .. })));
    }
}
