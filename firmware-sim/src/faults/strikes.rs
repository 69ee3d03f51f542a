//! Strikes: how often each fault struck, and when, over all processes, in the file `strikes`.
//!
//! One line of fixed width a fault: its number, how often it struck, and the first and the last moment in microseconds of the
//! clock that every process shares (`CLOCK_MONOTONIC`). A line is replaced in one write under the file's own lock, before the
//! faulty answer is given or the call begins to wait or to die: whoever hears the answer may kill us at once, and the line is
//! there. It is not synced; the moments mean nothing after a restart of the machine anyway.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use crate::clock::monotonic_us;
use crate::limits::FAULT_LINES;

/// Four numbers of twenty digits, and what is between them.
const LINE_BYTES: usize = 84;

/// What is known of one fault.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) id: u64,
    pub(crate) struck: u64,
    first_us: u64,
    last_us: u64,
}

impl Tally {
    /// When it struck first.
    pub(crate) fn first_us(&self) -> Option<u64> {
        (self.struck > 0).then_some(self.first_us)
    }

    /// When it struck last.
    pub(crate) fn last_us(&self) -> Option<u64> {
        (self.struck > 0).then_some(self.last_us)
    }

    fn line(&self) -> String {
        format!("{:020} {:020} {:020} {:020}\n", self.id, self.struck, self.first_us, self.last_us)
    }

    /// What cannot be read never struck.
    fn parse(line: &[u8]) -> Option<Self> {
        let mut numbers = std::str::from_utf8(line).ok()?.split_whitespace().map(str::parse);
        let mut next = || numbers.next()?.ok();
        Some(Self { id: next()?, struck: next()?, first_us: next()?, last_us: next()? })
    }
}

/// The line that belongs to the fault of that number, and to no other one that is set or remembered.
pub(crate) const fn line_of(id: u64) -> u64 {
    id % FAULT_LINES
}

/// Counts a strike of fault `id` at this moment, unless it has struck `times` already; which one it is, counted from one.
pub(crate) fn claim(folder: &Path, id: u64, times: Option<u64>) -> io::Result<Option<u64>> {
    change(folder, id, |tally| {
        let tally = tally.get_or_insert(Tally { id, ..Tally::default() });
        if times.is_some_and(|times| tally.struck >= times) {
            return None;
        }
        tally.struck = tally.struck.saturating_add(1);
        tally.strike_now();
        Some(tally.struck)
    })
}

/// The last strike of fault `id` was not when it was counted, but is now.
pub(crate) fn note(folder: &Path, id: u64) -> io::Result<()> {
    change(folder, id, |tally| {
        if let Some(tally) = tally {
            tally.strike_now();
        }
    })
}

/// Fault `id` is new: what was counted under another fault of its line is over.
pub(crate) fn begin(folder: &Path, id: u64) -> io::Result<()> {
    change(folder, id, |tally| *tally = Some(Tally { id, ..Tally::default() }))
}

/// Everything that was counted, by number of fault.
pub(crate) fn read(folder: &Path) -> io::Result<BTreeMap<u64, Tally>> {
    let file = match File::open(folder.join(FILE)) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(error) => return Err(error),
    };
    file.lock_shared()?;
    let read = (0..FAULT_LINES).map(|line| at(&file, line)).collect::<io::Result<Vec<_>>>()?;
    Ok(read.into_iter().map(|tally| (tally.id, tally)).collect())
}

const FILE: &str = "strikes";

impl Tally {
    fn strike_now(&mut self) {
        self.last_us = monotonic_us();
        if self.struck <= 1 {
            self.first_us = self.last_us;
        }
    }
}

/// Dropping the file ends our turn.
fn change<T>(folder: &Path, id: u64, edit: impl FnOnce(&mut Option<Tally>) -> T) -> io::Result<T> {
    let mut options = OpenOptions::new();
    let file =
        options.read(true).write(true).create(true).truncate(false).mode(0o600).open(folder.join(FILE))?;
    file.lock()?;
    let before = Some(at(&file, line_of(id))?).filter(|tally| tally.id == id);
    let mut after = before;
    let made = edit(&mut after);
    if let Some(tally) = after.filter(|_| after != before) {
        file.write_all_at(tally.line().as_bytes(), line_of(id).saturating_mul(LINE_BYTES as u64))?;
    }
    Ok(made)
}

fn at(file: &File, line: u64) -> io::Result<Tally> {
    let mut bytes = [0; LINE_BYTES];
    match file.read_exact_at(&mut bytes, line.saturating_mul(LINE_BYTES as u64)) {
        Ok(()) => Ok(Tally::parse(&bytes).unwrap_or_default()),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(Tally::default()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_comes_back_and_is_as_long_as_every_other() {
        for tally in [Tally::default(), Tally { id: 7, struck: u64::MAX, first_us: 1, last_us: u64::MAX }] {
            assert_eq!(tally.line().len(), LINE_BYTES);
            assert_eq!(Tally::parse(tally.line().as_bytes()), Some(tally));
        }
        assert_eq!(Tally::parse(&[0; LINE_BYTES]), None);
    }

    #[test]
    fn a_fault_strikes_no_oftener_than_it_may_however_many_ask() {
        let folder = tempfile::tempdir().unwrap();
        let claimed = std::thread::scope(|scope| {
            let asks = || (0..50).filter(|_| claim(folder.path(), 3, Some(120)).unwrap().is_some()).count();
            let askers: Vec<_> = (0..4).map(|_| scope.spawn(asks)).collect();
            askers.into_iter().map(|asker| asker.join().unwrap()).sum::<usize>()
        });
        assert_eq!(claimed, 120);
        let tally = read(folder.path()).unwrap()[&3];
        assert_eq!(tally.struck, 120);
        assert!(tally.first_us() < tally.last_us());
    }

    #[test]
    fn a_new_fault_takes_the_line_of_a_forgotten_one() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(claim(folder.path(), 5, None).unwrap(), Some(1));
        begin(folder.path(), 5 + FAULT_LINES).unwrap();
        let tallies = read(folder.path()).unwrap();
        assert!(!tallies.contains_key(&5));
        assert_eq!((tallies[&(5 + FAULT_LINES)].struck, tallies[&(5 + FAULT_LINES)].first_us()), (0, None));
    }

    #[test]
    fn the_moment_moves_on_and_the_count_does_not() {
        let folder = tempfile::tempdir().unwrap();
        claim(folder.path(), 1, None).unwrap();
        let counted = read(folder.path()).unwrap()[&1];
        note(folder.path(), 1).unwrap();
        let noted = read(folder.path()).unwrap()[&1];
        assert_eq!(noted.struck, 1);
        assert!(noted.first_us() > counted.first_us());
        claim(folder.path(), 1, None).unwrap();
        note(folder.path(), 1).unwrap();
        assert_eq!(read(folder.path()).unwrap()[&1].first_us(), noted.first_us());
    }
}
