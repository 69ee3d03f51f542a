//! The disk door: all that the log asks of a file system.
//!
//! The one rule: nothing is durable before it was synced, a name included; whoever wants a name to outlive a power cut syncs
//! its folder. The system's own disk is [`system`]; a test brings another behind the same trait and decides what a crash
//! leaves of it. It retries nothing.

mod overlay;
mod system;

use std::fmt::Debug;
use std::io;
use std::path::{Path, PathBuf};

pub(crate) use overlay::Overlay;
pub use system::system;

/// How a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Open {
    /// To read and to write what is there.
    Existing,
    /// To read what is there.
    ReadOnly,
    /// A new and empty one with these permission bits; what stood under the name is gone.
    Fresh {
        /// Permission bits.
        mode: u32,
    },
}

/// A file system, or what a test takes for one.
pub trait Disk: Debug + Send + Sync {
    /// Opens a file.
    ///
    /// # Errors
    /// What the system says.
    fn open(&self, path: &Path, open: Open) -> io::Result<Box<dyn DiskFile>>;

    /// Gives a file another name, in place of what had it.
    ///
    /// # Errors
    /// What the system says.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// What the system says.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes the names in a folder durable.
    ///
    /// # Errors
    /// What the system says.
    fn sync_folder(&self, folder: &Path) -> io::Result<()>;

    /// Makes a folder, and those above it, where there is none: durable when this returns without an error.
    ///
    /// # Errors
    /// What the system says.
    fn make_folder(&self, folder: &Path) -> io::Result<()>;

    /// The files in a folder; none where there is no folder.
    ///
    /// # Errors
    /// What the system says.
    fn list(&self, folder: &Path) -> io::Result<Vec<PathBuf>>;
}

/// An open file.
#[expect(clippy::len_without_is_empty, reason = "a file's length is asked for, never whether it is none")]
pub trait DiskFile: Debug + Send + Sync {
    /// Its length in bytes.
    ///
    /// # Errors
    /// What the system says.
    fn len(&self) -> io::Result<u64>;

    /// Fills the buffer from this offset on.
    ///
    /// # Errors
    /// What the system says; also where the file ends before.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()>;

    /// Writes all bytes from this offset on. Not durable yet.
    ///
    /// # Errors
    /// What the system says; then some of them may have been written.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Cuts the file, or lengthens it by zeroes.
    ///
    /// # Errors
    /// What the system says.
    fn set_len(&self, len: u64) -> io::Result<()>;

    /// Makes durable what was written.
    ///
    /// # Errors
    /// What the system says; then what was written may or may not be there, and syncing again would not tell.
    fn sync(&self) -> io::Result<()>;

    /// Keeps others from the file until it is unlocked or closed; false where another has it.
    ///
    /// # Errors
    /// What the system says.
    fn try_lock(&self) -> io::Result<bool>;

    /// Lets others at the file again. Closing it does so too, but no sooner than in each process that was forked meanwhile and has not
    /// begun its own program.
    ///
    /// # Errors
    /// What the system says.
    fn unlock(&self) -> io::Result<()>;
}

/// What the log makes of the door's primitives.
impl dyn Disk + '_ {
    /// All bytes of a file of at most `limit` bytes; none where there is no such file.
    ///
    /// # Errors
    /// What the system says, or [`io::ErrorKind::FileTooLarge`].
    pub fn read(&self, path: &Path, limit: u64) -> io::Result<Option<Vec<u8>>> {
        let file = match self.open(path, Open::ReadOnly) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened?,
        };
        let length = file.len()?;
        let length = usize::try_from(length).ok().filter(|_| length <= limit);
        let mut bytes = vec![0; length.ok_or_else(|| io::Error::from(io::ErrorKind::FileTooLarge))?];
        file.read_at(0, &mut bytes)?;
        Ok(Some(bytes))
    }

    /// Whether there is a file of this name.
    ///
    /// # Errors
    /// What the system says.
    pub fn exists(&self, path: &Path) -> io::Result<bool> {
        match self.open(path, Open::ReadOnly) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Puts `bytes` at `path` with these permission bits: whole and durable, or what was there before. Its folder must exist.
    ///
    /// # Errors
    /// What the system says; unless the folder could not be synced, `path` is as it was.
    pub fn write_durably(&self, path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
        let unfinished = unfinished(path)?;
        let written = self.open(&unfinished, Open::Fresh { mode }).and_then(|file| {
            file.write_at(0, bytes)?;
            file.sync()
        });
        written.and_then(|()| self.rename(&unfinished, path)).inspect_err(|_| {
            let _ = self.remove(&unfinished);
        })?;
        self.sync_folder(folder_of(path))
    }

    /// Removes a file for good; fine where there is none.
    ///
    /// # Errors
    /// What the system says; then it may be there again after a power cut.
    pub fn remove_durably(&self, path: &Path) -> io::Result<()> {
        match self.remove(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        self.sync_folder(folder_of(path))
    }
}

/// The folder that `path` lies in.
#[must_use]
pub fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."))
}

/// A name of its own for every writer: a folder may be shared, and nobody's file is written through.
fn unfinished(path: &Path) -> io::Result<PathBuf> {
    let name = path.file_name().ok_or_else(|| io::Error::from(io::ErrorKind::InvalidFilename))?;
    let mut unfinished = name.to_owned();
    unfinished.push(format!(".{}.unfinished", std::process::id()));
    Ok(folder_of(path).join(unfinished))
}

/// Puts `bytes` at `path` of the system's disk, as [`Disk`] does.
///
/// # Errors
/// What the system says; unless the folder could not be synced, `path` is as it was.
pub fn write_durably(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let disk: &dyn Disk = &system::System;
    disk.write_durably(path, bytes, mode)
}

/// Makes durable what stands in the folder that `path` of the system's disk lies in: a rename, a removal.
///
/// # Errors
/// What the system says.
pub fn sync_folder_of(path: &Path) -> io::Result<()> {
    system::System.sync_folder(folder_of(path))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_file_gets_its_mode_and_replaces_the_old_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        std::fs::write(&path, "old and open").unwrap();
        write_durably(&path, b"new", 0o600).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn what_a_killed_writer_left_does_not_stop_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        std::fs::write(unfinished(&path).unwrap(), "half").unwrap();
        write_durably(&path, b"whole", 0o600).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"whole");
    }

    #[test]
    fn a_failed_write_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let taken = folder.path().join("folder");
        std::fs::create_dir_all(taken.join("inner")).unwrap();
        assert!(write_durably(&taken, b"x", 0o600).is_err());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_over_its_limit_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("note");
        write_durably(&path, b"12345", 0o600).unwrap();
        assert_eq!(system().read(&path, 5).unwrap().as_deref(), Some(b"12345".as_slice()));
        assert_eq!(system().read(&path, 4).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
        assert_eq!(system().read(&folder.path().join("none"), 4).unwrap(), None);
    }
}
