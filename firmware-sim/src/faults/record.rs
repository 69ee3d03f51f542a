//! The record: the faults that are set and those that were, in `faults.json`.
//!
//! Written beside and renamed, under a lock of its own, so that nobody reads half of it. It is not synced: a fault need not outlive a
//! power failure.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::clock::{monotonic_us, monotonic_us_at, now_ms};
use crate::limits::{MAX_FAULTS_FILE_BYTES, MAX_PAST_FAULTS};
use crate::store::{Stamp, stamp};

/// A fault that is set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Entry {
    pub(crate) id: u64,
    /// The line that set it.
    pub(crate) fault: String,
    /// When it ends, in milliseconds since 1970; not known before it met a call.
    pub(crate) until_ms: Option<u64>,
}

/// A fault that is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Past {
    pub(crate) id: u64,
    pub(crate) fault: String,
    /// When it was cleared, was used up or its time was over, in microseconds of `CLOCK_MONOTONIC`.
    pub(crate) cleared_us: u64,
}

/// All of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Record {
    /// The last number given.
    pub(crate) last_id: u64,
    pub(crate) faults: Vec<Entry>,
    /// The oldest first.
    #[serde(default)]
    pub(crate) history: Vec<Past>,
}

impl Entry {
    /// Its time is up.
    pub(crate) fn is_past(&self) -> bool {
        self.until_ms.is_some_and(|until| now_ms() >= until)
    }

    /// When it was over, if that is now at the latest: at the end of its time.
    fn ended_us(&self) -> u64 {
        self.until_ms.map_or_else(monotonic_us, monotonic_us_at)
    }
}

impl Record {
    /// Moves the faults that are over into the history; how many.
    pub(crate) fn retire(&mut self, is_over: impl Fn(&Entry) -> bool) -> usize {
        let gone: Vec<Entry> = self.faults.extract_if(.., |entry| is_over(entry)).collect();
        let past =
            |entry: &Entry| Past { cleared_us: entry.ended_us(), id: entry.id, fault: entry.fault.clone() };
        self.history.extend(gone.iter().map(past));
        self.history.drain(..self.history.len().saturating_sub(MAX_PAST_FAULTS));
        gone.len()
    }
}

/// Reads the record of `folder`; an empty one when there is none.
pub(crate) fn read(folder: &Path) -> io::Result<Record> {
    let file = match File::open(path(folder)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Record::default()),
        Err(error) => return Err(error),
    };
    let mut text = String::new();
    file.take(MAX_FAULTS_FILE_BYTES).read_to_string(&mut text)?;
    Ok(serde_json::from_str(&text)?)
}

/// Which version of the record there is, none when there is no record.
pub(crate) fn version(folder: &Path) -> Option<Stamp> {
    fs::metadata(path(folder)).ok().map(|metadata| stamp(&metadata))
}

/// Changes the record of `folder`, when `edit` changed anything.
pub(crate) fn edit<T>(folder: &Path, edit: impl FnOnce(&mut Record) -> T) -> io::Result<T> {
    let turn = private_file().open(folder.join("faults.lock"))?;
    turn.lock()?;
    let before = read(folder)?;
    let mut record = before.clone();
    let made = edit(&mut record);
    if record != before {
        let beside = folder.join("faults.json.new");
        let mut file = private_file().truncate(true).open(&beside)?;
        file.write_all(&serde_json::to_vec_pretty(&record)?)?;
        fs::rename(&beside, path(folder))?;
    }
    Ok(made)
}

fn path(folder: &Path) -> PathBuf {
    folder.join("faults.json")
}

fn private_file() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create(true).mode(0o600);
    options
}
