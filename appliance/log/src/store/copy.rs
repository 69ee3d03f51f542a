//! A copy of the store as it is at one commit, made beside whoever appends.
//!
//! The one rule: rows are copied, not the file's bytes. So the copy is of one commit however long it takes, nobody waits for
//! it, and what was erased and merely not overwritten yet does not come along. It appears under its name only when it is
//! complete and durable. It does not say that it was closed in order: whoever opens it checks every volume. Volumes are
//! files of their own, which whoever copies takes along.

use std::path::Path;

use redb::{Key, ReadTransaction, ReadableTable as _, TableDefinition, Value, WriteTransaction};

use super::{
    ANSWERS, CLOSED, REQUESTS, ROUNDS, STATE, Store, StoreError, StoredHead, VOLUMES, made_on, rows,
};
use crate::disk::system;

impl Store {
    /// Copies it to `path` of the system's disk, where there must be nothing; gives the state that the copy is of.
    ///
    /// # Errors
    /// [`StoreError`]; then there is nothing at `path`.
    pub(crate) fn copy_to(&self, path: &Path) -> Result<StoredHead, StoreError> {
        let snapshot = self.snapshot()?;
        let read = snapshot.transaction();
        made_on(&system(), path, self.height, |write| {
            table(read, write, ROUNDS)?;
            table(read, write, REQUESTS)?;
            table(read, write, ANSWERS)?;
            table(read, write, VOLUMES)?;
            table(read, write, rows::ROWS)?;
            table(read, write, STATE)?;
            write.open_table(STATE)?.remove(CLOSED)?;
            Ok(())
        })?;
        // What was written is read back as it will be: a disk that lost it is found out now.
        let (copied, head) = (Self::open_untouched(path)?, snapshot.head()?);
        let same = copied.identity()? == self.identity()? && copied.head()? == head;
        if same { Ok(head) } else { Err(StoreError::Unreadable("copy")) }
    }
}

/// Every row of one table.
fn table<K: Key + 'static, V: Value + 'static>(
    read: &ReadTransaction,
    write: &WriteTransaction,
    table: TableDefinition<'_, K, V>,
) -> Result<(), redb::Error> {
    let mut to = write.open_table(table)?;
    for row in read.open_table(table)?.iter()? {
        let (key, value) = row?;
        to.insert(key.value(), value.value())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use assent_proto::number::LeafIndex;

    use crate::reader::Reader;
    use crate::store::StoreError;
    use crate::tests::Scratch;

    #[test]
    fn a_copy_is_of_one_commit_while_the_log_goes_on() {
        let scratch = Scratch::new();
        let mut log = scratch.open().unwrap();
        (0..3).for_each(|time| scratch.append(&mut log, time, true));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.redb");
        let before = log.reader().head().unwrap();
        assert_eq!(log.reader().copy_to(&path).unwrap(), before);
        scratch.append(&mut log, 3, true);
        let copy = Reader::open(&path).unwrap();
        assert_eq!(copy.head().unwrap(), before);
        assert!(copy.checkpoint().unwrap().is_some());
        assert_eq!(copy.size().unwrap().0, 6);
        assert_eq!(copy.leaves(0..6).unwrap().iter().count(), 6);
        assert_eq!(copy.rounds(LeafIndex(0)).unwrap().count(), 3);
        assert!(copy.volume_files().unwrap().is_empty());
        assert!(matches!(log.reader().copy_to(&path), Err(StoreError::Exists(_))), "nothing is replaced");
        assert_eq!(log.frontier().size().0, 8);
    }

    #[test]
    fn a_copy_does_not_say_that_it_was_closed_in_order() {
        let scratch = Scratch::new();
        let mut log = scratch.open().unwrap();
        scratch.append(&mut log, 0, true);
        log.close().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.redb");
        let log = scratch.open().unwrap();
        let closed = |reader: &Reader| reader.store().closed_in_order(&reader.head().unwrap()).unwrap();
        assert!(closed(&log.reader()));
        log.reader().copy_to(&path).unwrap();
        assert!(!closed(&Reader::open(&path).unwrap()));
    }
}
