//! Status: the faults that are set and those that were, what each did and when, and the pace, as a JSON object.
//!
//! What struck is counted on disk for all processes, so it is told whoever answers, and also when nobody has loaded the module.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use serde::Serialize;

use crate::configuration::pace;
use crate::faults::met::Faults;
use crate::faults::record::{self, Entry, Past};
use crate::faults::strikes::{self, Tally};

#[derive(Serialize)]
struct Status {
    /// The process that answers, when it is one that has loaded the module.
    process: Option<u32>,
    /// The pace of signatures in a process that loads the module now.
    pace: String,
    faults: Vec<Set>,
    /// The oldest first.
    history: Vec<Over>,
}

#[derive(Serialize)]
struct Set {
    #[serde(flatten)]
    entry: Entry,
    /// Calls that it met, in the process that answers.
    met: Option<u64>,
    #[serde(flatten)]
    strikes: Strikes,
}

#[derive(Serialize)]
struct Over {
    #[serde(flatten)]
    past: Past,
    #[serde(flatten)]
    strikes: Strikes,
}

/// Moments are microseconds of `CLOCK_MONOTONIC`.
#[derive(Serialize)]
struct Strikes {
    /// Calls that it struck, in all processes.
    struck: u64,
    first_struck_us: Option<u64>,
    last_struck_us: Option<u64>,
}

impl Strikes {
    fn of(tallies: &BTreeMap<u64, Tally>, id: u64) -> Self {
        let tally = tallies.get(&id).copied().unwrap_or_default();
        Self { struck: tally.struck, first_struck_us: tally.first_us(), last_struck_us: tally.last_us() }
    }
}

/// The answer to `status`, from the process that has `faults`, or from one that found none.
pub(super) fn status(folder: &Path, faults: Option<&Faults>) -> io::Result<String> {
    // A fault whose time is up is over, also when no call has come since.
    let record = record::edit(folder, |record| {
        record.retire(Entry::is_past);
        record.clone()
    })?;
    let tallies = strikes::read(folder)?;
    let met = faults.map(Faults::met);
    let set = |entry: Entry| Set {
        met: met.as_ref().map(|met| met.get(&entry.id).copied().unwrap_or(0)),
        strikes: Strikes::of(&tallies, entry.id),
        entry,
    };
    let over = |past: Past| Over { strikes: Strikes::of(&tallies, past.id), past };
    let status = Status {
        process: faults.map(|_| std::process::id()),
        pace: pace(folder).map_err(io::Error::other)?,
        faults: record.faults.into_iter().map(set).collect(),
        history: record.history.into_iter().map(over).collect(),
    };
    Ok(serde_json::to_string(&status)?)
}
