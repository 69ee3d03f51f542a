//! The memory on disk (redb): the same rules, and every use durable before it is admitted.
//!
//! `spent` counts by log and leaf, `ends` orders them by when they end, `numbers` and `number_ends` the same for the uses of
//! warrants; `clock` keeps when the memory began
//! and the latest time seen, so that neither a restart nor a clock that went back opens a token again. Two-phase commit on
//! every transaction, and the file's integrity is checked at open. What it does not see: that the whole file was replaced
//! by an older one.

use std::fs;
use std::hash::{BuildHasher as _, RandomState};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use assent_proto::number::Timestamp;
use redb::{
    Builder, Database, Durability, ReadableTable as _, ReadableTableMetadata as _, Table, TableDefinition,
    TableError, WriteTransaction,
};

use super::{SpendError, Use, WarrantUse};

/// Origin and leaf index to uses spent.
const SPENT: TableDefinition<'_, (&str, u64), u16> = TableDefinition::new("spent");
/// End, origin and leaf index, in the order of forgetting.
const ENDS: TableDefinition<'_, (u64, &str, u64), ()> = TableDefinition::new("ends");
/// A warrant's key and the number of a use, to the log and the leaf under which it was spent.
const NUMBERS: TableDefinition<'_, (&[u8; 32], u16), (&str, u64)> = TableDefinition::new("numbers");
/// End, key and number, in the order of forgetting.
const NUMBER_ENDS: TableDefinition<'_, (u64, &[u8; 32], u16), ()> = TableDefinition::new("number_ends");
/// By name, in milliseconds.
const CLOCK: TableDefinition<'_, &str, u64> = TableDefinition::new("clock");
const SINCE: &str = "since";
const LATEST: &str = "latest";

/// Why a store of spent uses does not serve.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// It does not open: not a store, damaged, or in use by another process.
    #[error("store of spent uses at `{path}` does not open: is another executor using it?")]
    Open {
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: Box<redb::Error>,
    },
    /// A new store could not be put in its place.
    #[error("store of spent uses cannot be made at `{path}`")]
    Make {
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A read or write failed; whether the use was recorded is not known, so there is no act.
    #[error("store of spent uses failed")]
    Storage(#[source] Box<redb::Error>),
    /// It opens, but does not say when it began.
    #[error("store of spent uses has no beginning: it is not one of ours")]
    Foreign,
}

/// Whatever redb reports while it reads or writes.
fn failed(error: impl Into<redb::Error>) -> StoreError {
    StoreError::Storage(Box::new(error.into()))
}

#[derive(Debug)]
pub(super) struct Store {
    capacity: usize,
    database: Database,
}

impl Store {
    pub(super) fn open(path: &Path, capacity: usize, since: Timestamp) -> Result<Self, StoreError> {
        if !path.exists() {
            make(path, since)?;
        }
        let database = Builder::new()
            .set_check_integrity_on_open(true)
            .open(path)
            .map_err(|error| StoreError::Open { path: path.to_owned(), source: Box::new(error.into()) })?;
        let store = Self { capacity, database };
        store.since()?;
        Ok(store)
    }

    fn since(&self) -> Result<Timestamp, StoreError> {
        use redb::ReadableDatabase as _;
        let transaction = self.database.begin_read().map_err(failed)?;
        let clock = transaction.open_table(CLOCK).map_err(|error| {
            if let TableError::Storage(error) = error { failed(error) } else { StoreError::Foreign }
        })?;
        let since = clock.get(SINCE).map_err(failed)?.ok_or(StoreError::Foreign)?;
        Ok(Timestamp(since.value()))
    }

    pub(super) fn spend(&self, one: &Use<'_>, now: Timestamp) -> Result<(), SpendError> {
        // Writers wait for one another here, so what is read below stays so until the commit.
        let transaction = durable(&self.database).map_err(SpendError::Store)?;
        match self.try_spend(&transaction, one, now).map_err(SpendError::Store)? {
            Ok(()) => transaction.commit().map_err(|error| SpendError::Store(failed(error))),
            Err(refusal) => {
                // What was forgotten on the way is forgotten again the next time.
                transaction.abort().map_err(|error| SpendError::Store(failed(error)))?;
                Err(refusal)
            }
        }
    }

    /// The outer error: the store failed. The inner: the rules refuse.
    fn try_spend(
        &self,
        transaction: &WriteTransaction,
        one: &Use<'_>,
        now: Timestamp,
    ) -> Result<Result<(), SpendError>, StoreError> {
        let (since, latest) = tick(transaction, now)?;
        if one.decided < since {
            return Ok(Err(SpendError::BeforeMemory { decided: one.decided, since }));
        }
        if one.until < latest {
            return Ok(Err(SpendError::Forgotten { latest }));
        }
        forget_before(transaction, latest)?;
        if let Some(warrant) = &one.warrant {
            if warrant.began < since {
                return Ok(Err(SpendError::WarrantBeforeMemory { began: warrant.began, since }));
            }
            if let Err(refusal) = self.try_number(transaction, warrant, one)? {
                return Ok(Err(refusal));
            }
        }
        let mut spent = transaction.open_table(SPENT).map_err(failed)?;
        let identity = (one.origin, one.index.0);
        let before = spent.get(identity).map_err(failed)?.map(|count| count.value());
        match before {
            Some(count) if count >= one.uses => return Ok(Err(SpendError::AlreadySpent { uses: one.uses })),
            Some(_) => {}
            None => {
                let open = usize::try_from(spent.len().map_err(failed)?).unwrap_or(usize::MAX);
                if open >= self.capacity {
                    return Ok(Err(SpendError::MemoryFull { capacity: self.capacity }));
                }
                let mut ends = transaction.open_table(ENDS).map_err(failed)?;
                ends.insert((one.until.0, one.origin, one.index.0), ()).map_err(failed)?;
            }
        }
        spent.insert(identity, before.unwrap_or(0).saturating_add(1)).map_err(failed)?;
        Ok(Ok(()))
    }
}

impl Store {
    /// Spends a use of a warrant under this leaf, or finds it spent there.
    fn try_number(
        &self,
        transaction: &WriteTransaction,
        warrant: &WarrantUse,
        one: &Use<'_>,
    ) -> Result<Result<(), SpendError>, StoreError> {
        let WarrantUse { key, number, until, .. } = warrant;
        let mut numbers = transaction.open_table(NUMBERS).map_err(failed)?;
        let here = (one.origin, one.index.0);
        let spent = numbers.get((key, *number)).map_err(failed)?.map(|at| at.value() == here);
        match spent {
            Some(true) => return Ok(Ok(())),
            Some(false) => return Ok(Err(SpendError::NumberSpent { number: *number })),
            None => {}
        }
        let kept = usize::try_from(numbers.len().map_err(failed)?).unwrap_or(usize::MAX);
        if kept >= self.capacity {
            return Ok(Err(SpendError::MemoryFull { capacity: self.capacity }));
        }
        numbers.insert((key, *number), here).map_err(failed)?;
        let mut ends = transaction.open_table(NUMBER_ENDS).map_err(failed)?;
        ends.insert((until.0, key, *number), ()).map_err(failed)?;
        Ok(Ok(()))
    }
}

/// When the memory began, and the latest time seen, `now` included.
fn tick(transaction: &WriteTransaction, now: Timestamp) -> Result<(Timestamp, Timestamp), StoreError> {
    let mut clock = transaction.open_table(CLOCK).map_err(failed)?;
    let since = clock.get(SINCE).map_err(failed)?.ok_or(StoreError::Foreign)?.value();
    let seen = clock.get(LATEST).map_err(failed)?.map_or(0, |time| time.value());
    let latest = seen.max(now.0);
    clock.insert(LATEST, latest).map_err(failed)?;
    Ok((Timestamp(since), Timestamp(latest)))
}

fn forget_before(transaction: &WriteTransaction, latest: Timestamp) -> Result<(), StoreError> {
    let mut ends = transaction.open_table(ENDS).map_err(failed)?;
    let mut spent = transaction.open_table(SPENT).map_err(failed)?;
    while let Some((until, origin, index)) = first_ended(&ends, latest)? {
        spent.remove((origin.as_str(), index)).map_err(failed)?;
        ends.remove((until, origin.as_str(), index)).map_err(failed)?;
    }
    let mut ends = transaction.open_table(NUMBER_ENDS).map_err(failed)?;
    let mut numbers = transaction.open_table(NUMBERS).map_err(failed)?;
    loop {
        let first = ends.first().map_err(failed)?.map(|(end, _)| {
            let (until, key, number) = end.value();
            (until, *key, number)
        });
        let Some((until, key, number)) = first.filter(|(until, ..)| *until < latest.0) else {
            return Ok(());
        };
        numbers.remove((&key, number)).map_err(failed)?;
        ends.remove((until, &key, number)).map_err(failed)?;
    }
}

/// The token that ended first, when it did so before `latest`.
fn first_ended(
    ends: &Table<'_, (u64, &'static str, u64), ()>,
    latest: Timestamp,
) -> Result<Option<(u64, String, u64)>, StoreError> {
    let first = ends.first().map_err(failed)?;
    let Some((until, origin, index)) = first.as_ref().map(|(end, _)| end.value()) else {
        return Ok(None);
    };
    Ok((until < latest.0).then(|| (until, origin.to_owned(), index)))
}

/// A transaction whose commit survives whatever the agents chose their bytes for.
fn durable(database: &Database) -> Result<WriteTransaction, StoreError> {
    let mut transaction = database.begin_write().map_err(failed)?;
    transaction.set_durability(Durability::Immediate).map_err(failed)?;
    transaction.set_two_phase_commit(true);
    Ok(transaction)
}

/// Makes a store beside `path` and gives it that name: a crash while redb makes a file leaves one that cannot be opened.
///
/// A name that is given already stays with its store: taken from there, that would go on unseen beside the new one, and each
/// would admit the same use. So of executors that start together all open what one of them made, and one gets it.
fn make(path: &Path, since: Timestamp) -> Result<(), StoreError> {
    let at = |source| StoreError::Make { path: path.to_owned(), source };
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".{:016x}.new", RandomState::new().hash_one(())));
    let beside = PathBuf::from(beside);
    fs::File::create_new(&beside).map_err(at)?;
    let named = begin(&beside, since).and_then(|()| match fs::hard_link(&beside, path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(at(error)),
        Ok(()) | Err(_) => Ok(()),
    });
    let removed = fs::remove_file(&beside).map_err(at);
    named.and(removed)?;
    // The name is durable only when the folder is, whoever gave it.
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(at)
}

/// Makes a store of an empty file, and closes it.
fn begin(path: &Path, since: Timestamp) -> Result<(), StoreError> {
    let database = Database::create(path).map_err(failed)?;
    let transaction = durable(&database)?;
    {
        let mut clock = transaction.open_table(CLOCK).map_err(failed)?;
        clock.insert(SINCE, since.0).map_err(failed)?;
        transaction.open_table(SPENT).map_err(failed)?;
        transaction.open_table(ENDS).map_err(failed)?;
    }
    transaction.commit().map_err(failed)
}

#[cfg(test)]
mod tests {
    use assent_proto::number::LeafIndex;

    use super::*;

    fn token(index: u64, until: u64, uses: u16) -> Use<'static> {
        let (decided, until) = (Timestamp(100), Timestamp(until));
        Use { origin: "o", index: LeafIndex(index), decided, until, uses, warrant: None }
    }

    /// A use of a warrant that lives from 90 to 400.
    fn numbered(number: u16, index: u64, until: u64) -> Use<'static> {
        let warrant = WarrantUse { key: [5; 32], number, began: Timestamp(90), until: Timestamp(400) };
        Use { warrant: Some(warrant), ..token(index, until, 1) }
    }

    #[test]
    fn number_of_a_warrant_is_spent_under_one_leaf_over_restarts_while_the_warrant_lives() {
        let folder = tempfile::tempdir().unwrap();
        let spend = |one: Use<'_>, now| open(&folder, 2).spend(&one, Timestamp(now));
        assert!(spend(numbered(1, 7, 200), 150).is_ok());
        assert!(matches!(spend(numbered(1, 8, 200), 150), Err(SpendError::NumberSpent { number: 1 })));
        assert!(matches!(spend(numbered(1, 7, 200), 150), Err(SpendError::AlreadySpent { .. })));
        // The token is over and forgotten; its number is not.
        assert!(matches!(spend(numbered(1, 9, 400), 300), Err(SpendError::NumberSpent { .. })));
        assert!(spend(numbered(2, 9, 400), 300).is_ok());
        assert!(matches!(spend(numbered(3, 10, 400), 300), Err(SpendError::MemoryFull { .. })));
        let other = WarrantUse { key: [6; 32], number: 1, began: Timestamp(90), until: Timestamp(500) };
        assert!(spend(Use { warrant: Some(other), ..token(12, 500, 1) }, 401).is_ok());
        let early = WarrantUse { began: Timestamp(49), ..other };
        let refused = spend(Use { warrant: Some(early), ..token(13, 500, 1) }, 401);
        assert!(matches!(refused, Err(SpendError::WarrantBeforeMemory { since: Timestamp(50), .. })));
    }

    fn open(folder: &tempfile::TempDir, capacity: usize) -> Store {
        Store::open(&folder.path().join("spent.redb"), capacity, Timestamp(50)).unwrap()
    }

    #[test]
    fn spent_uses_survive_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let now = Timestamp(150);
        assert!(open(&folder, 10).spend(&token(1, 200, 2), now).is_ok());
        assert!(open(&folder, 10).spend(&token(1, 200, 2), now).is_ok());
        let refused = open(&folder, 10).spend(&token(1, 200, 2), now);
        assert!(matches!(refused, Err(SpendError::AlreadySpent { uses: 2 })));
    }

    #[test]
    fn full_store_refuses_rather_than_evicts() {
        let folder = tempfile::tempdir().unwrap();
        let store = open(&folder, 2);
        let now = Timestamp(150);
        assert!(store.spend(&token(1, 200, 1), now).is_ok());
        assert!(store.spend(&token(2, 300, 1), now).is_ok());
        assert!(matches!(store.spend(&token(3, 300, 1), now), Err(SpendError::MemoryFull { capacity: 2 })));
        assert!(store.spend(&token(3, 300, 1), Timestamp(201)).is_ok());
        assert!(matches!(
            store.spend(&token(2, 300, 1), Timestamp(201)),
            Err(SpendError::AlreadySpent { .. })
        ));
    }

    #[test]
    fn clock_that_goes_back_over_a_restart_opens_nothing_again() {
        let folder = tempfile::tempdir().unwrap();
        let store = open(&folder, 2);
        assert!(store.spend(&token(1, 200, 1), Timestamp(150)).is_ok());
        assert!(store.spend(&token(2, 900, 1), Timestamp(500)).is_ok());
        drop(store);
        let refused = open(&folder, 2).spend(&token(1, 200, 1), Timestamp(150));
        assert!(matches!(refused, Err(SpendError::Forgotten { .. })));
    }

    #[test]
    fn beginning_is_that_of_the_first_opening() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("spent.redb");
        drop(Store::open(&path, 2, Timestamp(101)).unwrap());
        let store = Store::open(&path, 2, Timestamp(0)).unwrap();
        let refused = store.spend(&token(1, 200, 1), Timestamp(150));
        assert!(matches!(refused, Err(SpendError::BeforeMemory { since: Timestamp(101), .. })));
    }

    #[test]
    fn second_process_and_foreign_files_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("spent.redb");
        let _first = Store::open(&path, 2, Timestamp(0)).unwrap();
        assert!(matches!(Store::open(&path, 2, Timestamp(0)), Err(StoreError::Open { .. })));
        let other = folder.path().join("other");
        fs::write(&other, b"not a store").unwrap();
        assert!(matches!(Store::open(&other, 2, Timestamp(0)), Err(StoreError::Open { .. })));
        let foreign = folder.path().join("foreign.redb");
        drop(Database::create(&foreign).unwrap());
        assert!(matches!(Store::open(&foreign, 2, Timestamp(0)), Err(StoreError::Foreign)));
    }

    #[test]
    fn of_executors_that_start_together_one_gets_the_store() {
        for _ in 0..20 {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("spent.redb");
            let open = || Store::open(&path, 2, Timestamp(0));
            let opened: Vec<_> = std::thread::scope(|scope| {
                let threads: Vec<_> = (0..8).map(|_| scope.spawn(open)).collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).collect()
            });
            assert_eq!(opened.iter().filter(|opened| opened.is_ok()).count(), 1, "{opened:?}");
            for error in opened.iter().filter_map(|opened| opened.as_ref().err()) {
                let StoreError::Open { source, .. } = error else { panic!("{error:?}") };
                assert!(matches!(**source, redb::Error::DatabaseAlreadyOpen), "{source:?}");
            }
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
        }
    }

    #[test]
    fn unfinished_store_of_a_crash_is_in_nobodys_way() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("spent.redb.new"), b"half").unwrap();
        assert!(open(&folder, 2).spend(&token(1, 200, 1), Timestamp(150)).is_ok());
    }
}
