//! Pieces: how what belongs to a round lies in rows.
//!
//! redb gives a row a run of pages whose length is a power of two, reads all of it to remove the row, and all of the last row to put
//! another behind it. In one row, five megabytes of leaves would be written as eight and read back three times. So they
//! are cut to pieces that fill their pages, without regard to what they are bytes of; a round that is small is one piece.

use std::ops::RangeInclusive;

use redb::{ReadOnlyTable, Table, TableDefinition};

use super::{StoreError, access};

/// First leaf index of a round, and the number of a piece of it.
pub(super) type Key = (u64, u32);

/// A table of pieces.
pub(super) type Pieces<'n> = TableDefinition<'n, Key, &'static [u8]>;

/// The keys of every piece of these rounds.
pub(super) const fn of_rounds(first: u64, last: u64) -> RangeInclusive<Key> {
    (first, 0)..=(last, u32::MAX)
}

/// Cuts a round's bytes to pieces, and keeps no more of them than one piece and what was appended last.
pub(super) struct Cutter<'t, 'w> {
    table: &'t mut Table<'w, Key, &'static [u8]>,
    piece_bytes: usize,
    round: u64,
    number: u32,
    bytes: Vec<u8>,
}

impl<'t, 'w> Cutter<'t, 'w> {
    /// Cuts to pieces of so many bytes, one at least.
    pub(super) fn new(table: &'t mut Table<'w, Key, &'static [u8]>, piece_bytes: usize, round: u64) -> Self {
        Self { table, piece_bytes: piece_bytes.max(1), round, number: 0, bytes: Vec::new() }
    }

    /// Takes what `append` appends.
    pub(super) fn take(&mut self, append: impl FnOnce(&mut Vec<u8>)) -> Result<(), redb::Error> {
        append(&mut self.bytes);
        if self.bytes.len() < self.piece_bytes {
            return Ok(());
        }
        let bytes = std::mem::take(&mut self.bytes);
        let mut pieces = bytes.chunks_exact(self.piece_bytes);
        pieces.by_ref().try_for_each(|piece| self.put(piece))?;
        let left = pieces.remainder().len();
        self.bytes = bytes;
        self.bytes.drain(..self.bytes.len() - left);
        Ok(())
    }

    /// Puts what is left.
    pub(super) fn end(mut self) -> Result<(), redb::Error> {
        let bytes = std::mem::take(&mut self.bytes);
        if bytes.is_empty() { Ok(()) } else { self.put(&bytes) }
    }

    fn put(&mut self, piece: &[u8]) -> Result<(), redb::Error> {
        self.table.insert((self.round, self.number), piece)?;
        self.number += 1;
        Ok(())
    }
}

/// Puts rounds together again, one after the other: each with the index of its first leaf.
pub(super) struct Joined {
    rows: redb::Range<'static, Key, &'static [u8]>,
    /// The first piece of the round that is next.
    next: Option<(u64, Vec<u8>)>,
    what: &'static str,
}

/// The rounds whose pieces have these keys; `what` names them to the operator.
pub(super) fn joined(
    table: &ReadOnlyTable<Key, &'static [u8]>,
    keys: RangeInclusive<Key>,
    what: &'static str,
) -> Result<Joined, StoreError> {
    let mut joined = Joined { rows: table.range(keys).map_err(access("read"))?, next: None, what };
    joined.next = match joined.piece()? {
        Some((first, 0, bytes)) => Some((first, bytes)),
        Some(_) => return Err(StoreError::Unreadable(what)),
        None => None,
    };
    Ok(joined)
}

impl Joined {
    fn piece(&mut self) -> Result<Option<(u64, u32, Vec<u8>)>, StoreError> {
        let Some(row) = self.rows.next() else { return Ok(None) };
        let (key, piece) = row.map_err(access("read"))?;
        let (first, number) = key.value();
        Ok(Some((first, number, piece.value().to_vec())))
    }

    fn round(&mut self) -> Result<Option<(u64, Vec<u8>)>, StoreError> {
        let Some((first, mut bytes)) = self.next.take() else { return Ok(None) };
        let mut expected = 1;
        while let Some((round, number, piece)) = self.piece()? {
            match number {
                0 if round > first => {
                    self.next = Some((round, piece));
                    break;
                }
                _ if (round, number) == (first, expected) => bytes.extend_from_slice(&piece),
                _ => return Err(StoreError::Unreadable(self.what)),
            }
            expected += 1;
        }
        Ok(Some((first, bytes)))
    }
}

impl Iterator for Joined {
    type Item = Result<(u64, Vec<u8>), StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.round().transpose()
    }
}

#[cfg(test)]
mod tests {
    use redb::backends::InMemoryBackend;
    use redb::{Database, ReadableDatabase as _, ReadableTableMetadata as _, TableDefinition};

    use super::{Cutter, Pieces, joined, of_rounds};
    use crate::limits::STORED_PIECE_BYTES;
    use crate::store::StoreError;

    const TABLE: Pieces<'_> = TableDefinition::new("pieces");

    fn database(rounds: &[(u64, usize)]) -> Database {
        let database = Database::builder().create_with_backend(InMemoryBackend::new()).unwrap();
        let write = database.begin_write().unwrap();
        for (round, length) in rounds {
            let mut table = write.open_table(TABLE).unwrap();
            let mut cutter = Cutter::new(&mut table, STORED_PIECE_BYTES, *round);
            let bytes = bytes(*round, *length);
            // By what a leaf may have, and by what a frame may.
            for run in bytes.chunks(if round % 2 == 0 { 300 } else { 3 * STORED_PIECE_BYTES + 7 }) {
                cutter.take(|out| out.extend_from_slice(run)).unwrap();
            }
            cutter.end().unwrap();
        }
        write.commit().unwrap();
        database
    }

    fn bytes(round: u64, length: usize) -> Vec<u8> {
        (0..length).map(|at| u8::try_from((at as u64 + 31 * round) % 251).unwrap()).collect()
    }

    fn rounds(database: &Database, first: u64, last: u64) -> Result<Vec<(u64, Vec<u8>)>, StoreError> {
        let table = database.begin_read().unwrap().open_table(TABLE).unwrap();
        joined(&table, of_rounds(first, last), "round")?.collect()
    }

    #[test]
    fn rounds_come_back_as_they_were_whatever_they_are_cut_to() {
        let piece = STORED_PIECE_BYTES;
        let stored = [(0, 1), (2, piece - 1), (3, piece), (4, piece + 1), (5, 9 * piece + 5), (90, 700)];
        let database = database(&stored);
        let expected: Vec<_> =
            stored.iter().map(|(round, length)| (*round, bytes(*round, *length))).collect();
        assert_eq!(rounds(&database, 0, u64::MAX).unwrap(), expected);
        assert_eq!(rounds(&database, 3, 5).unwrap(), expected[2..5]);
        assert_eq!(rounds(&database, 6, 89).unwrap(), []);
    }

    #[test]
    fn a_round_without_one_of_its_pieces_is_none() {
        for missing in 0..3 {
            let database = database(&[(7, 3 * STORED_PIECE_BYTES), (8, 10)]);
            let write = database.begin_write().unwrap();
            write.open_table(TABLE).unwrap().remove((7, missing)).unwrap();
            write.commit().unwrap();
            let read = rounds(&database, 0, 9).map(|rounds| rounds[0].1.len());
            if missing < 2 {
                assert!(matches!(read, Err(StoreError::Unreadable("round"))), "{missing}");
            } else {
                // The last one is missed by whoever parses what came back, for every round says how much it is.
                assert_eq!(read.unwrap(), 2 * STORED_PIECE_BYTES);
            }
        }
    }

    #[test]
    fn pieces_fill_their_pages() {
        let write = database(&[(0, 40 * STORED_PIECE_BYTES)]).begin_write().unwrap();
        let stats = write.open_table(TABLE).unwrap().stats().unwrap();
        assert_eq!(stats.leaf_pages(), 40);
        assert!(stats.fragmented_bytes() < stats.stored_bytes() / 100, "{stats:?}");
    }
}
