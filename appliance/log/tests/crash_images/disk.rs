//! A disk that keeps a journal: every operation in order, so that a crash can be put behind any of them.
//!
//! What it does at once is what a process would see that goes on; what a crash leaves is [`crate::crash`]'s to say. One
//! operation may be told to fail, done, not done or done by half. Folders are there before anybody makes them: the system's
//! disk makes them durable when it makes them.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use assent_log::disk::{Disk, DiskFile, Open};

use crate::crash::{Follower, SECTOR};
use crate::dice::Dice;

/// What lies on a disk, all of it durable.
pub(crate) type Image = BTreeMap<PathBuf, Arc<Vec<u8>>>;

/// Something that changed a disk. Files are known by number; names are only names.
#[derive(Clone, Debug)]
pub(crate) enum Op {
    Create {
        path: PathBuf,
        file: usize,
    },
    Rename {
        from: PathBuf,
        to: PathBuf,
        file: usize,
    },
    Remove {
        path: PathBuf,
    },
    SyncFolder {
        folder: PathBuf,
    },
    Write {
        file: usize,
        offset: usize,
        bytes: Vec<u8>,
    },
    SetLen {
        file: usize,
        len: usize,
    },
    Sync {
        file: usize,
    },
    /// What was written is not on the disk, and no later sync will bring it there.
    FailedSync {
        file: usize,
    },
    /// Opened behind a failed sync, and read from the disk itself: this is what is there.
    Reread {
        file: usize,
        bytes: Vec<u8>,
    },
}

/// What becomes of the operation that fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    NotDone,
    Done,
    /// A write: its first sectors only.
    Half,
}

/// The operation that is to fail.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fault {
    /// How many succeed before it.
    pub(crate) after: usize,
    /// The system's number for the error.
    pub(crate) error: i32,
    pub(crate) outcome: Outcome,
}

#[derive(Debug, Default)]
struct Inode {
    bytes: Vec<u8>,
    locked: bool,
    /// Whether a sync of it failed since it was opened last.
    doomed: bool,
}

#[derive(Debug, Default)]
struct State {
    names: BTreeMap<PathBuf, usize>,
    inodes: Vec<Inode>,
    journal: Vec<Op>,
    fault: Option<Fault>,
    /// Whether a fault was met since it was asked.
    met: bool,
    /// The process that used it is gone: nothing it does counts.
    dead: bool,
    /// Whether syncs hang, and how many do.
    hangs: bool,
    hanging: usize,
}

/// The disk; clones are the same one.
#[derive(Clone)]
pub(crate) struct FakeDisk {
    base: Arc<Image>,
    state: Arc<Mutex<State>>,
    moves: Arc<Condvar>,
}

impl fmt::Debug for FakeDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeDisk").field("operations", &self.at()).finish_non_exhaustive()
    }
}

/// What a disk began with, and what was done to it.
pub(crate) struct Journal {
    pub(crate) base: Arc<Image>,
    pub(crate) ops: Vec<Op>,
}

/// What the disk itself has of a file whose sync failed; the place in the journal decides what that is.
fn reread(base: &Image, ops: &[Op], file: usize) -> Vec<u8> {
    let mut follower = Follower::over(base, ops);
    follower.go_to(ops.len());
    follower.left_of(file, &mut Dice::new(ops.len() as u64))
}

impl FakeDisk {
    pub(crate) fn of(image: &Arc<Image>) -> Self {
        let mut state = State::default();
        for (path, bytes) in image.iter() {
            state.names.insert(path.clone(), state.inodes.len());
            state.inodes.push(Inode { bytes: bytes.to_vec(), ..Inode::default() });
        }
        Self { base: Arc::clone(image), state: Arc::new(Mutex::new(state)), moves: Arc::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many operations were done.
    pub(crate) fn at(&self) -> usize {
        self.state().journal.len()
    }

    /// From here on syncs hang, or those that hang go on.
    pub(crate) fn hang(&self, hangs: bool) {
        self.state().hangs = hangs;
        self.moves.notify_all();
    }

    /// Waits until a sync hangs, and gives what was done before it.
    pub(crate) fn when_it_hangs(&self) -> Journal {
        let mut state = self.state();
        while state.hanging == 0 {
            state = self.moves.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        Journal { base: Arc::clone(&self.base), ops: state.journal.clone() }
    }

    pub(crate) fn fail(&self, fault: Option<Fault>) {
        self.state().fault = fault;
    }

    /// Whether a fault was met since this was asked.
    pub(crate) fn met(&self) -> bool {
        std::mem::take(&mut self.state().met)
    }

    /// The process dies here: what it still does, as it is taken down, counts no more. Gives what was done.
    pub(crate) fn kill(&self) -> Journal {
        let mut state = self.state();
        state.dead = true;
        Journal { base: Arc::clone(&self.base), ops: std::mem::take(&mut state.journal) }
    }
}

fn not_found() -> io::Error {
    io::Error::from(io::ErrorKind::NotFound)
}

impl State {
    /// Does it, unless it is the one that is to fail.
    fn act(&mut self, op: Op) -> io::Result<()> {
        if self.dead {
            return Err(io::Error::other("the process is gone"));
        }
        let Some(fault) = &mut self.fault else { return self.apply(op) };
        if fault.after > 0 {
            fault.after -= 1;
            return self.apply(op);
        }
        let Fault { error, outcome, .. } = *fault;
        self.fault = None;
        self.met = true;
        match (op, outcome) {
            (Op::Sync { file }, Outcome::NotDone | Outcome::Half) => self.apply(Op::FailedSync { file })?,
            (Op::Write { file, offset, bytes }, Outcome::Half) => {
                let half = bytes.len() / 2 / SECTOR * SECTOR;
                self.apply(Op::Write { file, offset, bytes: bytes[..half].to_vec() })?;
            }
            (_, Outcome::NotDone) => {}
            (op, Outcome::Done | Outcome::Half) => self.apply(op)?,
        }
        Err(io::Error::from_raw_os_error(error))
    }

    fn apply(&mut self, op: Op) -> io::Result<()> {
        match &op {
            Op::Create { path, file } => {
                self.names.insert(path.clone(), *file);
            }
            Op::Rename { from, to, file } => {
                self.names.remove(from);
                self.names.insert(to.clone(), *file);
            }
            Op::Remove { path } => {
                self.names.remove(path).ok_or_else(not_found)?;
            }
            Op::Write { file, offset, bytes } => write(&mut self.inodes[*file].bytes, *offset, bytes),
            Op::SetLen { file, len } => self.inodes[*file].bytes.resize(*len, 0),
            Op::FailedSync { file } => self.inodes[*file].doomed = true,
            Op::Reread { file, bytes } => self.inodes[*file].bytes.clone_from(bytes),
            Op::SyncFolder { .. } | Op::Sync { .. } => {}
        }
        self.journal.push(op);
        Ok(())
    }
}

/// Puts bytes where they belong; what lies between the end and them is zero.
pub(crate) fn write(content: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    let end = offset + bytes.len();
    if content.len() < end {
        content.resize(end, 0);
    }
    content[offset..end].copy_from_slice(bytes);
}

impl Disk for FakeDisk {
    fn open(&self, path: &Path, open: Open) -> io::Result<Box<dyn DiskFile>> {
        let mut state = self.state();
        let file = match open {
            Open::Existing | Open::ReadOnly => {
                let file = *state.names.get(path).ok_or_else(not_found)?;
                if open == Open::Existing && std::mem::take(&mut state.inodes[file].doomed) {
                    let bytes = reread(&self.base, &state.journal, file);
                    state.apply(Op::Reread { file, bytes })?;
                }
                file
            }
            Open::Fresh { .. } => {
                let file = state.inodes.len();
                state.inodes.push(Inode::default());
                state.act(Op::Create { path: path.to_owned(), file })?;
                file
            }
        };
        drop(state);
        Ok(Box::new(FakeFile { disk: self.clone(), file, locks: Mutex::new(false) }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state();
        let file = *state.names.get(from).ok_or_else(not_found)?;
        state.act(Op::Rename { from: from.to_owned(), to: to.to_owned(), file })
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.names.get(path).ok_or_else(not_found)?;
        state.act(Op::Remove { path: path.to_owned() })
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        self.state().act(Op::SyncFolder { folder: folder.to_owned() })
    }

    fn make_folder(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        Ok(self.state().names.keys().filter(|path| path.parent() == Some(folder)).cloned().collect())
    }
}

/// An open file.
#[derive(Debug)]
struct FakeFile {
    disk: FakeDisk,
    file: usize,
    /// Whether it holds the lock.
    locks: Mutex<bool>,
}

fn small(offset: u64) -> usize {
    usize::try_from(offset).expect("a small file")
}

impl DiskFile for FakeFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.disk.state().inodes[self.file].bytes.len() as u64)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let state = self.disk.state();
        let from = small(offset);
        let there = state.inodes[self.file].bytes.get(from..from + buffer.len());
        buffer.copy_from_slice(there.ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))?);
        Ok(())
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let (offset, bytes) = (small(offset), bytes.to_vec());
        self.disk.state().act(Op::Write { file: self.file, offset, bytes })
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.disk.state().act(Op::SetLen { file: self.file, len: small(len) })
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.disk.state();
        while state.hangs {
            state.hanging += 1;
            self.disk.moves.notify_all();
            state = self.disk.moves.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.hanging -= 1;
        }
        state.act(Op::Sync { file: self.file })
    }

    fn try_lock(&self) -> io::Result<bool> {
        let mut state = self.disk.state();
        let free = !std::mem::replace(&mut state.inodes[self.file].locked, true);
        if free {
            *self.locks.lock().unwrap_or_else(PoisonError::into_inner) = true;
        }
        Ok(free)
    }

    fn unlock(&self) -> io::Result<()> {
        if std::mem::take(&mut *self.locks.lock().unwrap_or_else(PoisonError::into_inner)) {
            self.disk.state().inodes[self.file].locked = false;
        }
        Ok(())
    }
}

impl Drop for FakeFile {
    fn drop(&mut self) {
        let _ = self.unlock();
    }
}
