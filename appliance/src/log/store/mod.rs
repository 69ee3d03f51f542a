//! The disk door of the log: redb, two-phase commits only, one blob a round.
//!
//! The default commit of redb is argued against accidents; this log stores bytes that peers choose, so every commit is a
//! two-phase one. A crash inside `create` would leave a file that cannot be opened, so a log is made elsewhere and renamed.
//! A plain open can return silently wrong data after bit rot, so every open checks the whole file.

use std::path::{Path, PathBuf};

use assent_proto::hash::Hash;
use assent_proto::number::{LeafIndex, Timestamp};
use assent_proto::wire::BatchId;
use redb::{Database, Durability, ReadableDatabase as _, ReadableTable as _, Table, TableDefinition};
use serde::{Deserialize, Serialize};

use super::{Commit, SignedCheckpoint};
use crate::identity::sync_folder_of;

mod round;
mod state;

pub use round::StoredRound;
pub use state::{Identity, STORE_VERSION, StoredCheckpoint, StoredHead};

use state::StoredHandOver;

/// First leaf index of a round, to its leaves and its checkpoint.
const ROUNDS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("rounds");
/// First leaf index of a round, to the requests that it answered. May be erased; the tree still verifies.
const REQUESTS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("requests");
/// Batch and principal, to the recorded answer. The oldest are dropped when no id can name them any more.
const ANSWERS: TableDefinition<'_, [u8; 24], &[u8]> = TableDefinition::new("answers");
/// The log's name and state.
const STATE: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("state");

const IDENTITY: &str = "identity";
const HEAD: &str = "head";
/// The newest checkpoint at which one key handed over to another.
const HANDED_OVER: &str = "handed_over";

/// Pages that are kept in memory.
const CACHE_BYTES: usize = 32 * 1024 * 1024;
/// How much longer, in milliseconds, an answer is kept than its batch id is taken: a batch may wait for its round, and the
/// clock may step back a little.
const ANSWER_MARGIN_MS: u64 = 60_000;
/// Answers dropped by one commit beyond as many as it adds, so that a burst of old ones drains without a pause.
const SPARE_DROPS: usize = 16;

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
}

fn access<E: Into<redb::Error>>(doing: &'static str) -> impl FnOnce(E) -> StoreError {
    move |error| StoreError::Access { doing, source: Box::new(error.into()) }
}

/// Names a batch of one principal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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

    fn oldest_current(now: Timestamp) -> Self {
        let oldest = now.minus_ms(assent_proto::limits::MAX_BATCH_AGE_MS + ANSWER_MARGIN_MS);
        let mut key = [0; 24];
        for (to, from) in key.iter_mut().zip(BatchId::new(oldest, [0; 10]).0) {
            *to = from;
        }
        Self(key)
    }
}

/// A recorded answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Digest of the request that it answers.
    pub request: Hash,
    /// Whether it carries tokens.
    pub allows: bool,
    /// The reply frame.
    pub reply: Vec<u8>,
}

/// The log's database.
#[derive(Debug)]
pub struct Store {
    database: Database,
}

impl Store {
    /// Makes an empty log. It appears under its name only when it is complete.
    ///
    /// # Errors
    /// [`StoreError`]; then there is no log at `path`.
    pub fn create(path: &Path, identity: &Identity) -> Result<(), StoreError> {
        if path.exists() {
            return Err(StoreError::Exists(path.to_owned()));
        }
        let unfinished = path.with_extension("unfinished");
        let file = |doing| move |source| StoreError::File { doing, path: path.to_owned(), source };
        match std::fs::remove_file(&unfinished) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(file("clear")(error)),
            Ok(()) | Err(_) => {}
        }
        let database = builder().create(&unfinished).map_err(|error| StoreError::Open(Box::new(error)))?;
        let store = Self { database };
        store.write("create", |write| {
            write.open_table(ROUNDS)?;
            write.open_table(REQUESTS)?;
            write.open_table(ANSWERS)?;
            let mut state = write.open_table(STATE)?;
            put(&mut state, IDENTITY, identity)?;
            put(&mut state, HEAD, &StoredHead::default())
        })?;
        drop(store);
        std::fs::rename(&unfinished, path).map_err(file("name"))?;
        sync_folder_of(path).map_err(file("sync the folder of"))
    }

    /// Opens a log, having checked all of the file.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        if !path.exists() {
            return Err(StoreError::Missing(path.to_owned()));
        }
        match builder().open(path) {
            Ok(database) => Ok(Self { database }),
            Err(redb::DatabaseError::DatabaseAlreadyOpen) => Err(StoreError::Busy),
            Err(error) => Err(StoreError::Open(Box::new(error))),
        }
    }

    /// Which log this is.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn identity(&self) -> Result<Identity, StoreError> {
        let identity: Identity = self.state(IDENTITY)?;
        if identity.version == STORE_VERSION { Ok(identity) } else { Err(StoreError::Unreadable("version")) }
    }

    /// The state after the last commit.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn head(&self) -> Result<StoredHead, StoreError> {
        self.state(HEAD)
    }

    /// The newest signed checkpoint, with both signatures where it is the boundary between two keys.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(super) fn newest(&self, head: &StoredHead) -> Result<Option<SignedCheckpoint>, StoreError> {
        Ok(head.newest(self.state_if_any::<StoredHandOver>(HANDED_OVER)?.as_ref()))
    }

    /// When the newest hand-over from one key to another was written.
    ///
    /// # Errors
    /// [`StoreError`]; also where there was none.
    pub(super) fn handed_over_at(&self) -> Result<Timestamp, StoreError> {
        self.state::<StoredHandOver>(HANDED_OVER).map(|handed_over| handed_over.time)
    }

    fn state<T: for<'de> Deserialize<'de> + Serialize>(&self, name: &'static str) -> Result<T, StoreError> {
        self.state_if_any(name)?.ok_or(StoreError::Unreadable(name))
    }

    fn state_if_any<T: for<'de> Deserialize<'de> + Serialize>(
        &self,
        name: &'static str,
    ) -> Result<Option<T>, StoreError> {
        let read = self.database.begin_read().map_err(access("read"))?;
        let table = read.open_table(STATE).map_err(access("read"))?;
        let Some(value) = table.get(name).map_err(access("read"))? else { return Ok(None) };
        assent_proto::codec::parse(value.value()).map(Some).map_err(|_| StoreError::Unreadable(name))
    }

    /// The recorded answer of a batch.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn answer(&self, key: &BatchKey) -> Result<Option<Answer>, StoreError> {
        let read = self.database.begin_read().map_err(access("read"))?;
        let table = read.open_table(ANSWERS).map_err(access("read"))?;
        let Some(value) = table.get(&key.0).map_err(access("read"))? else {
            return Ok(None);
        };
        let (request, rest) =
            value.value().split_first_chunk::<32>().ok_or(StoreError::Unreadable("answer"))?;
        let (allows, reply) = rest.split_first().ok_or(StoreError::Unreadable("answer"))?;
        Ok(Some(Answer { request: Hash(*request), allows: *allows != 0, reply: reply.to_vec() }))
    }

    /// The rounds from the one that begins at `first` on, in order.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn rounds(
        &self,
        first: LeafIndex,
    ) -> Result<impl Iterator<Item = Result<StoredRound, StoreError>> + use<>, StoreError> {
        let read = self.database.begin_read().map_err(access("read"))?;
        let table = read.open_table(ROUNDS).map_err(access("read"))?;
        let rows = table.range(first.0..).map_err(access("read"))?;
        Ok(rows.map(|row| {
            let (first, blob) = row.map_err(access("read"))?;
            StoredRound::parse(LeafIndex(first.value()), blob.value()).ok_or(StoreError::Unreadable("round"))
        }))
    }

    /// The requests of the round that begins at `first`, each with the index of its first entry.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn requests(&self, first: LeafIndex) -> Result<Vec<(LeafIndex, Vec<u8>)>, StoreError> {
        let read = self.database.begin_read().map_err(access("read"))?;
        let table = read.open_table(REQUESTS).map_err(access("read"))?;
        let Some(blob) = table.get(first.0).map_err(access("read"))? else {
            return Ok(Vec::new());
        };
        round::parse_requests(blob.value()).ok_or(StoreError::Unreadable("request"))
    }

    /// Writes a round: durable when this returns without an error, unknown otherwise.
    pub(super) fn commit(
        &self,
        commit: &Commit<'_>,
        newest: Option<&SignedCheckpoint>,
    ) -> Result<(), StoreError> {
        let blob = round::encode(&commit.leaves, commit.checkpoint.as_ref());
        let requests = round::encode_requests(&commit.requests);
        let head = StoredHead::after(commit, newest);
        self.write("append to", |write| {
            write.open_table(ROUNDS)?.insert(commit.first.0, blob.as_slice())?;
            if !commit.requests.is_empty() {
                write.open_table(REQUESTS)?.insert(commit.first.0, requests.as_slice())?;
            }
            record_answers(&mut write.open_table(ANSWERS)?, commit)?;
            let mut state = write.open_table(STATE)?;
            if let Some(handed_over) = StoredHandOver::of(commit) {
                put(&mut state, HANDED_OVER, &handed_over)?;
            }
            put(&mut state, HEAD, &head)
        })
    }

    fn write(
        &self,
        doing: &'static str,
        change: impl FnOnce(&redb::WriteTransaction) -> Result<(), redb::Error>,
    ) -> Result<(), StoreError> {
        let mut write = self.database.begin_write().map_err(access(doing))?;
        write.set_durability(Durability::Immediate).map_err(access(doing))?;
        write.set_two_phase_commit(true);
        change(&write).map_err(access(doing))?;
        write.commit().map_err(access(doing))
    }
}

fn record_answers(
    table: &mut Table<'_, [u8; 24], &'static [u8]>,
    commit: &Commit<'_>,
) -> Result<(), redb::Error> {
    let mut value = Vec::new();
    for answer in &commit.answers {
        value.clear();
        value.extend_from_slice(&answer.request.0);
        value.push(u8::from(answer.allows));
        value.extend_from_slice(answer.reply);
        table.insert(&answer.key.0, value.as_slice())?;
    }
    let oldest = BatchKey::oldest_current(commit.time);
    for _ in 0..commit.answers.len().saturating_add(SPARE_DROPS) {
        let outdated = table.first()?.is_some_and(|(key, _)| key.value() < oldest.0);
        if !outdated {
            break;
        }
        table.pop_first()?;
    }
    Ok(())
}

fn builder() -> redb::Builder {
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE_BYTES);
    builder.set_check_integrity_on_open(true);
    builder
}

fn put<T: Serialize>(
    state: &mut Table<'_, &'static str, &'static [u8]>,
    name: &str,
    value: &T,
) -> Result<(), redb::Error> {
    let mut bytes = Vec::new();
    assent_proto::codec::append(value, &mut bytes)
        .map_err(|error| redb::Error::Corrupted(format!("state `{name}`: {error}")))?;
    state.insert(name, bytes.as_slice())?;
    Ok(())
}
