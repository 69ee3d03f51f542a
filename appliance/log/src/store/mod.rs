//! The store: redb on the disk door, two-phase commits only.
//!
//! It holds the log's state, the rounds since the last volume was bound, and the answers that may be asked for again; so its
//! size does not grow with the log. What stands in volumes it vouches for by their roots.
//!
//! The default commit of redb is argued against accidents; this log stores bytes that peers choose, so every commit is a
//! two-phase one. A crash inside `create` would leave a file that cannot be opened, so a log is made elsewhere and renamed.
//! A plain open can return silently wrong data after bit rot, so every open checks the whole file.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use assent_proto::hash::Hash;
use assent_proto::number::Timestamp;
use assent_proto::wire::BatchId;
use redb::{Database, TableDefinition};
use serde::{Deserialize, Serialize};

use crate::disk::{Disk, DiskFile, Open, Overlay, folder_of, system};
use crate::limits::{MAX_VOLUME_HEIGHT, STORED_PIECE_BYTES};

mod answers;
mod backend;
mod copy;
mod pieces;
pub(crate) mod round;
mod rows;
mod snapshot;
mod state;
mod writing;

pub use answers::{Answer, Answers};
pub use round::StoredRound;
pub use rows::{Room, Row};
pub(crate) use snapshot::{RequestRow, Snapshot};
pub use state::{Identity, STORE_VERSION, StoredCheckpoint, StoredHead, StoredRequests, StoredVolume};

use backend::Backend;
use pieces::Pieces;
use state::StoredHandOver;
use writing::put;

/// First leaf index of a round, to its leaves and its checkpoint.
const ROUNDS: Pieces<'_> = TableDefinition::new("rounds");
/// First leaf index of a round, to the requests that it answered. May be erased; the tree still verifies.
const REQUESTS: Pieces<'_> = TableDefinition::new("requests");
/// Batch and principal, to the recorded answer. The oldest are dropped when no id can name them any more.
const ANSWERS: TableDefinition<'_, [u8; 24], &[u8]> = TableDefinition::new("answers");
/// Number of a volume, to what the store vouches for.
const VOLUMES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("volumes");
/// The log's name and state.
const STATE: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("state");

const IDENTITY: &str = "identity";
const HEAD: &str = "head";
/// The newest checkpoint at which one key handed over to another.
const HANDED_OVER: &str = "handed_over";
/// The size at which the log was closed in order.
const CLOSED: &str = "closed";

/// Pages that are kept in memory.
const CACHE_BYTES: usize = 16 * 1024 * 1024;
/// How much longer, in milliseconds, an answer is kept than its batch id is taken: a batch may wait for its round, and the
/// clock may step back a little.
const ANSWER_MARGIN_MS: u64 = 60_000;
/// Why the store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no such file.
    #[error("there is no log at {}", .0.display())]
    Missing(PathBuf),
    /// There is one already.
    #[error("there is a log at {} already", .0.display())]
    Exists(PathBuf),
    /// Another process has it open.
    #[error("another process has the log open; stop it, or work on a copy")]
    Busy,
    /// redb could not open or create the file.
    #[error("cannot open the log")]
    Open(#[source] Box<redb::DatabaseError>),
    /// redb could not read or write.
    #[error("cannot {doing} the log")]
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
    #[error("the log holds a {0} that this version cannot read")]
    Unreadable(&'static str),
    /// Another version of this program wrote it.
    #[error(
        "the log is of format {0}, and this version reads format {STORE_VERSION}; serve it with the version that wrote it, and found a log anew for this one"
    )]
    Version(u32),
    /// A volume is not what the store vouches for.
    #[error("the log's volume {} is damaged: {what}; restore it from a backup or from the archive", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: &'static str,
    },
    /// The leaves lie in an archive.
    #[error(
        "the leaves from {first} to {end} lie in an archive, not here; bring them back, on a copy of the log, with `assent log restore`"
    )]
    Archived {
        /// The first of them.
        first: u64,
        /// The first that is not among them.
        end: u64,
    },
}

fn access<E: Into<redb::Error>>(doing: &'static str) -> impl FnOnce(E) -> StoreError {
    move |error| StoreError::Access { doing, source: Box::new(error.into()) }
}

/// Names a batch of one principal. Ordered by the time of the batch id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BatchKey([u8; 24]);

impl BatchKey {
    /// The batch id first, so that keys are ordered by time; then eight bytes of the principal's hash, so that nobody
    /// fetches another's answer.
    #[must_use]
    pub fn new(batch: BatchId, principal: &str) -> Self {
        let mut key = [0; 24];
        let hash = Hash::of_labelled(b"assent/batch/v1\0", [principal.as_bytes()]);
        for (to, from) in key.iter_mut().zip(batch.0.iter().chain(&hash.0)) {
            *to = *from;
        }
        Self(key)
    }

    /// The least key of that batch, whosever it is.
    #[must_use]
    pub fn first_of(batch: BatchId) -> Self {
        let mut key = [0; 24];
        for (to, from) in key.iter_mut().zip(batch.0) {
            *to = from;
        }
        Self(key)
    }

    /// Its bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 24] {
        &self.0
    }

    fn oldest_current(now: Timestamp) -> Self {
        let oldest = now.minus_ms(assent_proto::limits::MAX_BATCH_AGE_MS + ANSWER_MARGIN_MS);
        Self::first_of(BatchId::new(oldest, [0; 10]))
    }
}

/// The log's database, and where its volumes lie.
#[derive(Debug)]
pub struct Store {
    database: Database,
    disk: Arc<dyn Disk>,
    path: PathBuf,
    height: u8,
    piece_bytes: usize,
}

fn unopened(path: &Path, source: std::io::Error) -> StoreError {
    if source.kind() == std::io::ErrorKind::NotFound {
        StoreError::Missing(path.to_owned())
    } else {
        StoreError::File { doing: "open", path: path.to_owned(), source }
    }
}

/// Makes a store of what `fill` writes. It appears under its name only when it is complete.
fn made_on(
    disk: &Arc<dyn Disk>,
    path: &Path,
    height: u8,
    fill: impl FnOnce(&redb::WriteTransaction) -> Result<(), redb::Error>,
) -> Result<(), StoreError> {
    let file = |doing| move |source| StoreError::File { doing, path: path.to_owned(), source };
    if disk.exists(path).map_err(file("look for"))? {
        return Err(StoreError::Exists(path.to_owned()));
    }
    let unfinished = path.with_extension("unfinished");
    let fresh = disk.open(&unfinished, Open::Fresh { mode: 0o600 }).map_err(file("make"))?;
    let store = Store::of(Store::database(fresh)?, Arc::clone(disk), path, height);
    store.write("create", fill)?;
    drop(store);
    disk.rename(&unfinished, path).map_err(file("name"))?;
    disk.sync_folder(folder_of(path)).map_err(file("sync the folder of"))
}

impl Store {
    /// Makes an empty log on the system's disk. It appears under its name only when it is complete.
    ///
    /// # Errors
    /// [`StoreError`]; then there is no log at `path`.
    pub fn create(path: &Path, identity: &Identity) -> Result<(), StoreError> {
        Self::create_on(system(), path, identity)
    }

    /// Makes an empty log on this disk.
    ///
    /// # Errors
    /// [`StoreError`]; then there is no log at `path`.
    pub fn create_on(disk: Arc<dyn Disk>, path: &Path, identity: &Identity) -> Result<(), StoreError> {
        made_on(&disk, path, identity.volume_height, |write| {
            write.open_table(ROUNDS)?;
            write.open_table(REQUESTS)?;
            write.open_table(ANSWERS)?;
            write.open_table(VOLUMES)?;
            write.open_table(rows::ROWS)?;
            let mut state = write.open_table(STATE)?;
            put(&mut state, IDENTITY, identity)?;
            put(&mut state, HEAD, &StoredHead::default())
        })
    }

    /// Opens a log on the system's disk, having checked all of the database.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        Self::open_on(system(), path)
    }

    /// Opens a log on this disk, having checked all of the database. Its volumes are checked where they are read, or all of
    /// them by [`crate::reader::Reader::check_volumes`].
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn open_on(disk: Arc<dyn Disk>, path: &Path) -> Result<Self, StoreError> {
        let file = disk.open(path, Open::Existing).map_err(|source| unopened(path, source))?;
        Self::open_file(disk, path, file)
    }

    /// Opens a log on the system's disk, having checked all of the database, to read it: no byte of it changes.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(crate) fn open_untouched(path: &Path) -> Result<Self, StoreError> {
        let disk = system();
        let file = disk.open(path, Open::ReadOnly).and_then(Overlay::over);
        let file = file.map_err(|source| unopened(path, source))?;
        Self::open_file(disk, path, Box::new(file))
    }

    fn open_file(disk: Arc<dyn Disk>, path: &Path, file: Box<dyn DiskFile>) -> Result<Self, StoreError> {
        if file.len().is_ok_and(|length| length == 0) {
            // redb would make a log of it.
            return Err(StoreError::Unreadable("file without a byte"));
        }
        let mut store = Self::of(Self::database(file)?, disk, path, 0);
        store.height = store.identity()?.volume_height;
        if store.height > MAX_VOLUME_HEIGHT {
            return Err(StoreError::Unreadable("volume height"));
        }
        Ok(store)
    }

    fn of(database: Database, disk: Arc<dyn Disk>, path: &Path, height: u8) -> Self {
        Self { database, disk, path: path.to_owned(), height, piece_bytes: STORED_PIECE_BYTES }
    }

    /// From here on it cuts rounds to pieces of so many bytes. Whoever reads goes by the pieces' numbers, not by their size.
    pub(crate) const fn cutting_to(mut self, piece_bytes: usize) -> Self {
        self.piece_bytes = piece_bytes;
        self
    }

    fn database(file: Box<dyn DiskFile>) -> Result<Database, StoreError> {
        let mut builder = Database::builder();
        builder.set_cache_size(CACHE_BYTES);
        builder.set_check_integrity_on_open(true);
        builder.create_with_backend(Backend::new(file)).map_err(|error| {
            let busy = matches!(error, redb::DatabaseError::DatabaseAlreadyOpen);
            if busy { StoreError::Busy } else { StoreError::Open(Box::new(error)) }
        })
    }

    /// Levels of the tree within one volume.
    pub(crate) const fn height(&self) -> u8 {
        self.height
    }

    /// Its file.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The disk that it lies on.
    pub(crate) const fn disk(&self) -> &Arc<dyn Disk> {
        &self.disk
    }

    /// Where its volumes lie.
    pub(crate) fn volumes_folder(&self) -> PathBuf {
        self.path.with_extension("volumes")
    }

    /// Which log this is.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn identity(&self) -> Result<Identity, StoreError> {
        let identity: Identity = self.state(IDENTITY)?;
        if identity.version == STORE_VERSION {
            Ok(identity)
        } else {
            Err(StoreError::Version(identity.version))
        }
    }

    /// The state after the last commit.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn head(&self) -> Result<StoredHead, StoreError> {
        self.state(HEAD)
    }

    /// When the newest hand-over from one key to another was written.
    ///
    /// # Errors
    /// [`StoreError`]; also where there was none.
    pub(crate) fn handed_over_at(&self) -> Result<Timestamp, StoreError> {
        self.state::<StoredHandOver>(HANDED_OVER).map(|handed_over| handed_over.time)
    }

    fn state<T: for<'de> Deserialize<'de> + Serialize>(&self, name: &'static str) -> Result<T, StoreError> {
        self.state_if_any(name)?.ok_or(StoreError::Unreadable(name))
    }

    fn state_if_any<T: for<'de> Deserialize<'de> + Serialize>(
        &self,
        name: &'static str,
    ) -> Result<Option<T>, StoreError> {
        self.snapshot()?.state_if_any(name)
    }

    /// Whether the log was closed in order, and nothing was written since.
    pub(crate) fn closed_in_order(&self, head: &StoredHead) -> Result<bool, StoreError> {
        Ok(self.state_if_any::<u64>(CLOSED)? == Some(head.size))
    }
}
