//! A file that is read from the disk and written in memory.
//!
//! The store checks and mends itself when it is opened, and remembers that it was. An auditor's copy must stay as it is, byte
//! for byte, and may lie where nobody can write. So what reading a log would change is changed here, and forgotten.

use std::collections::BTreeMap;
use std::io;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::DiskFile;

const PAGE: u64 = PAGE_BYTES as u64;
const PAGE_BYTES: usize = 4096;

/// The file, and what was written over it.
#[derive(Debug)]
pub(crate) struct Overlay {
    file: Box<dyn DiskFile>,
    written: RwLock<Written>,
}

#[derive(Debug)]
struct Written {
    len: u64,
    /// Bytes of the file that are still seen: none behind where it was ever cut.
    seen: u64,
    pages: BTreeMap<u64, Vec<u8>>,
}

impl Overlay {
    /// Over a file that can be read.
    ///
    /// # Errors
    /// What the system says to its length.
    pub(crate) fn over(file: Box<dyn DiskFile>) -> io::Result<Self> {
        let len = file.len()?;
        Ok(Self { file, written: RwLock::new(Written { len, seen: len, pages: BTreeMap::new() }) })
    }

    fn read(&self) -> RwLockReadGuard<'_, Written> {
        self.written.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Written> {
        self.written.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Fills the buffer with what the file has there, and with zeroes behind what is seen of it.
    fn below(&self, seen: u64, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let there = usize::try_from(seen.saturating_sub(offset)).unwrap_or(usize::MAX).min(buffer.len());
        let (there, beyond) = buffer.split_at_mut(there);
        beyond.fill(0);
        if there.is_empty() { Ok(()) } else { self.file.read_at(offset, there) }
    }
}

/// The parts of a range that lie in one page each: its page, where it begins in it, and where in the range.
fn parts(
    offset: u64,
    bytes: usize,
) -> impl Iterator<Item = (u64, std::ops::Range<usize>, std::ops::Range<usize>)> {
    let end = offset.saturating_add(bytes as u64);
    (offset / PAGE..end.div_ceil(PAGE)).map(move |page| {
        let (from, to) = ((page * PAGE).max(offset), ((page + 1) * PAGE).min(end));
        let place = |at: u64, start: u64| usize::try_from(at - start).unwrap_or(usize::MAX);
        (page, place(from, page * PAGE)..place(to, page * PAGE), place(from, offset)..place(to, offset))
    })
}

impl DiskFile for Overlay {
    fn len(&self) -> io::Result<u64> {
        Ok(self.read().len)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let written = self.read();
        if offset.checked_add(buffer.len() as u64).is_none_or(|end| end > written.len) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.below(written.seen, offset, buffer)?;
        if written.pages.is_empty() {
            return Ok(());
        }
        for (page, within, place) in parts(offset, buffer.len()) {
            let bytes = written.pages.get(&page).and_then(|page| page.get(within));
            if let (Some(bytes), Some(to)) = (bytes, buffer.get_mut(place)) {
                to.copy_from_slice(bytes);
            }
        }
        Ok(())
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut written = self.write();
        let seen = written.seen;
        for (number, within, place) in parts(offset, bytes.len()) {
            let page = match written.pages.entry(number) {
                std::collections::btree_map::Entry::Occupied(page) => page.into_mut(),
                std::collections::btree_map::Entry::Vacant(place) => {
                    let mut page = vec![0; PAGE_BYTES];
                    self.below(seen, number * PAGE, &mut page)?;
                    place.insert(page)
                }
            };
            if let (Some(to), Some(from)) = (page.get_mut(within), bytes.get(place)) {
                to.copy_from_slice(from);
            }
        }
        written.len = written.len.max(offset.saturating_add(bytes.len() as u64));
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut written = self.write();
        written.seen = written.seen.min(len);
        written.pages.retain(|page, _| page * PAGE < len);
        if let Some(last) = written.pages.get_mut(&(len / PAGE)) {
            let kept = usize::try_from(len % PAGE).unwrap_or(usize::MAX);
            last.iter_mut().skip(kept).for_each(|byte| *byte = 0);
        }
        written.len = len;
        Ok(())
    }

    /// There is nothing that should outlive it.
    fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    fn try_lock(&self) -> io::Result<bool> {
        self.file.try_lock()
    }

    fn unlock(&self) -> io::Result<()> {
        self.file.unlock()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::{Open, system};
    use proptest::prelude::*;

    #[derive(Clone, Debug)]
    enum Step {
        Write(usize, Vec<u8>),
        Cut(usize),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let write = (0..20_000_usize, prop::collection::vec(any::<u8>(), 0..9000))
            .prop_map(|(at, bytes)| Step::Write(at, bytes));
        let step = prop_oneof![4 => write, 1 => (0..20_000_usize).prop_map(Step::Cut)];
        prop::collection::vec(step, 0..12)
    }

    proptest! {
        #[test]
        fn it_reads_as_a_file_would_and_leaves_the_file_alone(
            base in prop::collection::vec(any::<u8>(), 0..12_000), steps in steps(),
        ) {
            let scratch = tempfile::tempdir().unwrap();
            let path = scratch.path().join("file");
            std::fs::write(&path, &base).unwrap();
            let overlay = Overlay::over(system().open(&path, Open::ReadOnly).unwrap()).unwrap();
            let mut model = base.clone();
            for step in steps {
                match step {
                    Step::Write(at, bytes) => {
                        overlay.write_at(at as u64, &bytes).unwrap();
                        let end = at + bytes.len();
                        model.resize(model.len().max(end), 0);
                        model[at..end].copy_from_slice(&bytes);
                    }
                    Step::Cut(len) => {
                        overlay.set_len(len as u64).unwrap();
                        model.resize(len, 0);
                    }
                }
                prop_assert_eq!(overlay.len().unwrap(), model.len() as u64);
                let mut all = vec![1; model.len()];
                overlay.read_at(0, &mut all).unwrap();
                prop_assert!(all == model);
                let mut beyond = [0; 1];
                prop_assert!(overlay.read_at(model.len() as u64, &mut beyond).is_err());
            }
            prop_assert!(std::fs::read(&path).unwrap() == base);
        }
    }
}
