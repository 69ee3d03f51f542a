//! The store: one file a slot, in one folder.
//!
//! A slot's file is replaced as a whole: written beside, synced, renamed, and the folder synced, so that a pair of keys or a PIN
//! count is there or not, whenever the power goes. Processes that share the folder take turns at its lock file.
//! **The keys in it are not protected**, except by the modes 0700 and 0600.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::attributes::Object;
use crate::limits::{MAX_SLOT_FILE_BYTES, MAX_SLOTS};
use crate::pins::PinRecord;
use crate::slots::SlotNumber;

const FORMAT: u32 = 1;
const NOTICE: &str = "simulator: the keys in this file are not protected";

/// An initialised slot as it lies on disk.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SlotRecord {
    format: u32,
    notice: String,
    pub(crate) label: String,
    pub(crate) serial: String,
    pub(crate) so_pin: PinRecord,
    pub(crate) user_pin: Option<PinRecord>,
    /// The number of the next object; numbers are not used twice.
    pub(crate) next_object: u64,
    pub(crate) objects: BTreeMap<u64, Object>,
}

impl SlotRecord {
    /// An empty slot without a user PIN.
    pub(crate) fn new(label: String, serial: String, so_pin: PinRecord) -> Self {
        Self {
            format: FORMAT,
            notice: NOTICE.to_owned(),
            label,
            serial,
            so_pin,
            user_pin: None,
            next_object: 1,
            objects: BTreeMap::new(),
        }
    }
}

/// Which version of a slot's file somebody has read. Each write makes a new file, so no two versions have the same stamp
/// within the life of both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    inode: u64,
    bytes: u64,
    seconds: i64,
    nanoseconds: i64,
}

/// The folder.
#[derive(Debug)]
pub(crate) struct Store {
    folder: PathBuf,
}

impl Store {
    /// Creates `folder`, 0700, when it is missing.
    pub(crate) fn create(folder: &Path) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)
    }

    /// The store in `folder`, which exists.
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Waits until no other process writes. Dropping the file ends our turn.
    pub(crate) fn lock(&self) -> io::Result<File> {
        let file = private_file().create(true).open(self.folder.join("lock"))?;
        file.lock()?;
        Ok(file)
    }

    /// The version of a slot's file, none when there is no file.
    pub(crate) fn stamp(&self, slot: SlotNumber) -> io::Result<Option<Stamp>> {
        match fs::metadata(self.path(slot)) {
            Ok(metadata) => Ok(Some(stamp(&metadata))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Reads a slot, none when there is no file.
    pub(crate) fn read(&self, slot: SlotNumber) -> io::Result<Option<(SlotRecord, Stamp)>> {
        let file = match File::open(self.path(slot)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let metadata = file.metadata()?;
        if metadata.len() > MAX_SLOT_FILE_BYTES {
            return Err(io::Error::from(io::ErrorKind::FileTooLarge));
        }
        let mut text = String::new();
        file.take(MAX_SLOT_FILE_BYTES).read_to_string(&mut text)?;
        let record: SlotRecord = serde_json::from_str(&text)?;
        if record.format != FORMAT {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "unknown format"));
        }
        Ok(Some((record, stamp(&metadata))))
    }

    /// Replaces a slot's file. On an error the old one stays. The caller holds the lock.
    pub(crate) fn write(&self, slot: SlotNumber, record: &SlotRecord) -> io::Result<Stamp> {
        let text = serde_json::to_vec_pretty(record)?;
        let beside = self.folder.join(format!("slot-{slot}.new"));
        let mut file = private_file().create(true).truncate(true).open(&beside)?;
        file.write_all(&text)?;
        file.sync_all()?;
        let stamp = stamp(&file.metadata()?);
        fs::rename(&beside, self.path(slot))?;
        File::open(&self.folder)?.sync_all()?;
        Ok(stamp)
    }

    /// Every slot number that there may be.
    pub(crate) fn numbers() -> impl Iterator<Item = SlotNumber> {
        (0..MAX_SLOTS).map(SlotNumber::from_index)
    }

    /// Where the state lies.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    fn path(&self, slot: SlotNumber) -> PathBuf {
        self.folder.join(format!("slot-{slot}.json"))
    }
}

fn private_file() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).mode(0o600);
    options
}

/// The version of the file that `metadata` describes.
pub(crate) fn stamp(metadata: &fs::Metadata) -> Stamp {
    Stamp {
        inode: metadata.ino(),
        bytes: metadata.len(),
        seconds: metadata.mtime(),
        nanoseconds: metadata.mtime_nsec(),
    }
}
