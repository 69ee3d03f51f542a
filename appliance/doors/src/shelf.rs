//! A shelf: the small store of a room, in a redb file of its own.
//!
//! The rules are those of the log's store: made elsewhere and renamed, two-phase commits only, the whole file checked at open,
//! and one process at a time. After an error the file is opened anew before the next commit: what redb makes of a database
//! whose commit failed is not relied on.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use redb::{Database, Durability, ReadTransaction, ReadableDatabase as _, TableDefinition, WriteTransaction};

/// Pages that are kept in memory, in bytes: a shelf is read when it is opened, and written seldom.
const CACHE_BYTES: usize = 1024 * 1024;
/// The name of the format among the named values.
const FORMAT: &str = "format";

/// Values by name, in each shelf beside its tables.
pub type Named = TableDefinition<'static, &'static str, &'static [u8]>;

/// What a shelf is to its room.
pub struct Label {
    /// As an operator knows it: `the outbox`.
    pub name: &'static str,
    /// What to do where it does not open or cannot be read.
    pub remedy: &'static str,
    /// The values by name.
    pub named: Named,
    /// The version of what is stored, byte for byte.
    pub format: &'static [u8],
}

impl std::fmt::Debug for Label {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// Why a shelf did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum ShelfError {
    /// Another process has it open.
    #[error("another process has {name} open; stop it")]
    Busy {
        /// The shelf.
        name: &'static str,
    },
    /// redb could not open or create the file.
    #[error("cannot open {} {}; {}", label.name, path.display(), label.remedy)]
    Open {
        /// The shelf.
        label: &'static Label,
        /// The file.
        path: PathBuf,
        /// What redb says.
        #[source]
        source: Box<redb::DatabaseError>,
    },
    /// redb could not read or write.
    #[error("cannot {doing} {name}; see whether the disk is full or failing")]
    Access {
        /// The shelf.
        name: &'static str,
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
    #[error("{} holds a {what} that this version cannot read; {}", label.name, label.remedy)]
    Unreadable {
        /// The shelf.
        label: &'static Label,
        /// What cannot be read.
        what: &'static str,
    },
}

/// An open shelf.
#[derive(Debug)]
pub struct Shelf {
    label: &'static Label,
    path: PathBuf,
    /// None after an error.
    database: Mutex<Option<Database>>,
}

impl Shelf {
    /// Opens a shelf, or makes an empty one. It appears under its name only when it is complete.
    ///
    /// # Errors
    /// [`ShelfError`].
    pub fn open(path: &Path, label: &'static Label) -> Result<Self, ShelfError> {
        if !path.exists() {
            create(path, label)?;
        }
        let database = Mutex::new(Some(open(path, label)?));
        let shelf = Self { label, path: path.to_owned(), database };
        if shelf.value(FORMAT)?.as_deref() == Some(label.format) {
            Ok(shelf)
        } else {
            Err(shelf.unreadable(FORMAT))
        }
    }

    /// The value of this name.
    ///
    /// # Errors
    /// [`ShelfError`].
    pub fn value(&self, name: &'static str) -> Result<Option<Vec<u8>>, ShelfError> {
        self.read(|read| {
            let table = match read.open_table(self.label.named) {
                Err(redb::TableError::TableDoesNotExist(_)) => return Ok(None),
                opened => opened?,
            };
            Ok(table.get(name)?.map(|value| value.value().to_vec()))
        })
    }

    /// Reads what was committed.
    ///
    /// # Errors
    /// [`ShelfError`].
    pub fn read<T>(
        &self,
        look: impl FnOnce(&ReadTransaction) -> Result<T, redb::Error>,
    ) -> Result<T, ShelfError> {
        let mut held = self.database.lock().unwrap_or_else(PoisonError::into_inner);
        let database = held.take().map_or_else(|| open(&self.path, self.label), Ok)?;
        let seen = database.begin_read().map_err(Into::into).and_then(|read| look(&read));
        *held = Some(database);
        seen.map_err(access(self.label, "read"))
    }

    /// Puts values under their names: all of them, or none.
    ///
    /// # Errors
    /// [`ShelfError`].
    pub fn put(&self, values: &[(&str, &[u8])]) -> Result<(), ShelfError> {
        self.write(|write| {
            let mut table = write.open_table(self.label.named)?;
            values.iter().try_for_each(|(name, value)| table.insert(*name, *value).map(drop))?;
            Ok(())
        })
    }

    /// Makes a change durable: all of it, or none.
    ///
    /// # Errors
    /// [`ShelfError`].
    pub fn write(
        &self,
        change: impl FnOnce(&WriteTransaction) -> Result<(), redb::Error>,
    ) -> Result<(), ShelfError> {
        let mut held = self.database.lock().unwrap_or_else(PoisonError::into_inner);
        let database = held.take().map_or_else(|| open(&self.path, self.label), Ok)?;
        write(&database, change).map_err(access(self.label, "write to"))?;
        *held = Some(database);
        Ok(())
    }

    /// That something on it cannot be read.
    #[must_use]
    pub fn unreadable(&self, what: &'static str) -> ShelfError {
        ShelfError::Unreadable { label: self.label, what }
    }

    /// As after an error, with the file at another place: for tests of what a room does then.
    pub fn lose(&mut self, path: &Path) {
        *self.database.get_mut().unwrap_or_else(PoisonError::into_inner) = None;
        self.path = path.to_owned();
    }
}

/// Whether a file is a whole shelf of whichever room: a copy of one that was written meanwhile may not be.
///
/// # Errors
/// What redb says of it.
pub fn check(path: &Path) -> Result<(), redb::DatabaseError> {
    builder().open(path).map(drop)
}

fn access<E: Into<redb::Error>>(label: &Label, doing: &'static str) -> impl FnOnce(E) -> ShelfError {
    let name = label.name;
    move |error| ShelfError::Access { name, doing, source: Box::new(error.into()) }
}

fn open(path: &Path, label: &'static Label) -> Result<Database, ShelfError> {
    builder().open(path).map_err(|source| {
        if matches!(source, redb::DatabaseError::DatabaseAlreadyOpen) {
            ShelfError::Busy { name: label.name }
        } else {
            ShelfError::Open { label, path: path.to_owned(), source: Box::new(source) }
        }
    })
}

/// Makes an empty shelf beside its place and renames it: a crash inside `create` leaves a file that cannot be opened.
fn create(path: &Path, label: &'static Label) -> Result<(), ShelfError> {
    let unfinished = path.with_extension("unfinished");
    let file = |doing| move |source| ShelfError::File { doing, path: path.to_owned(), source };
    match std::fs::remove_file(&unfinished) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(file("clear")(error)),
        Ok(()) | Err(_) => {}
    }
    let database = builder().create(&unfinished).map_err(|source| ShelfError::Open {
        label,
        path: path.to_owned(),
        source: Box::new(source),
    })?;
    write(&database, |write| {
        write.open_table(label.named)?.insert(FORMAT, label.format)?;
        Ok(())
    })
    .map_err(access(label, "create"))?;
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
    change: impl FnOnce(&WriteTransaction) -> Result<(), redb::Error>,
) -> Result<(), redb::Error> {
    let mut write = database.begin_write()?;
    write.set_durability(Durability::Immediate)?;
    write.set_two_phase_commit(true);
    change(&write)?;
    Ok(write.commit()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    static LABEL: Label = Label {
        name: "the test's shelf",
        remedy: "begin anew",
        named: TableDefinition::new("named"),
        format: b"1",
    };
    static NEXT: Label = Label {
        name: "the test's shelf",
        remedy: "begin anew",
        named: TableDefinition::new("named"),
        format: b"2",
    };

    fn put(shelf: &Shelf, value: &[u8]) -> Result<(), ShelfError> {
        shelf.put(&[("name", value)])
    }

    #[test]
    fn what_was_put_outlives_the_process_and_one_process_has_it_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("shelf.redb");
        let shelf = Shelf::open(&path, &LABEL).unwrap();
        assert_eq!(shelf.value("name").unwrap(), None);
        put(&shelf, b"value").unwrap();
        let busy = Shelf::open(&path, &LABEL).unwrap_err();
        assert_eq!(busy.to_string(), "another process has the test's shelf open; stop it");
        drop(shelf);
        assert_eq!(
            Shelf::open(&path, &LABEL).unwrap().value("name").unwrap().as_deref(),
            Some(&b"value"[..])
        );
        let newer = Shelf::open(&path, &NEXT).unwrap_err();
        assert_eq!(
            newer.to_string(),
            "the test's shelf holds a format that this version cannot read; begin anew"
        );
    }

    #[test]
    fn what_a_killed_maker_left_is_cleared_and_what_is_damaged_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("shelf.redb");
        std::fs::write(path.with_extension("unfinished"), "half").unwrap();
        assert!(Shelf::open(&path, &LABEL).unwrap().value("name").unwrap().is_none());
        check(&path).unwrap();
        std::fs::write(&path, "damaged").unwrap();
        assert!(check(&path).is_err());
        assert!(matches!(Shelf::open(&path, &LABEL), Err(ShelfError::Open { .. })));
    }

    #[test]
    fn it_is_opened_anew_behind_an_error_and_a_change_is_whole_or_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("shelf.redb");
        let mut shelf = Shelf::open(&path, &LABEL).unwrap();
        put(&shelf, b"before").unwrap();
        let half = shelf.write(|write| {
            write.open_table(LABEL.named)?.insert("name", b"half".as_slice())?;
            Err(redb::Error::Corrupted("as a test has it".to_owned()))
        });
        assert!(matches!(half, Err(ShelfError::Access { doing: "write to", .. })), "{half:?}");
        assert_eq!(shelf.value("name").unwrap().as_deref(), Some(&b"before"[..]));
        shelf.lose(Path::new("/nonexistent/shelf.redb"));
        assert!(matches!(put(&shelf, b"lost"), Err(ShelfError::Open { .. })));
        shelf.lose(&path);
        put(&shelf, b"after").unwrap();
        assert_eq!(shelf.value("name").unwrap().as_deref(), Some(&b"after"[..]));
    }
}
