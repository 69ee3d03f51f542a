//! redb on the disk door.

use std::io;
use std::ops::Bound;

use redb::{BackendError, StorageBackend};

use crate::disk::DiskFile;

/// A file of the door, as redb wants it.
#[derive(Debug)]
pub(super) struct Backend(Box<dyn DiskFile>);

impl Backend {
    pub(super) const fn new(file: Box<dyn DiskFile>) -> Self {
        Self(file)
    }
}

impl StorageBackend for Backend {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read_at(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write_at(offset, data)
    }

    /// One process has the log, whole: no other kind of lock is offered, and redb asks for no other then.
    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        let whole = matches!(start, Bound::Unbounded | Bound::Included(0)) && end == Bound::Unbounded;
        if whole { self.0.try_lock().map_err(BackendError::Io) } else { Err(BackendError::Unsupported) }
    }

    fn unlock_range(&self, _: Bound<u64>, _: Bound<u64>) -> Result<(), BackendError> {
        self.0.unlock().map_err(BackendError::Io)
    }

    fn close(&self) -> io::Result<()> {
        self.0.unlock()
    }
}
