//! `assent log erase|archive|restore`: what is kept of the log, and where.
//!
//! Erasure and archiving are orders to the running appliance, which alone changes what it has; a volume comes back from an
//! archive while the appliance stands still.

use std::io::Write as _;

use anyhow::bail;
use serde_json::json;

use super::moment::Moment;
use crate::archive::{Archive, ArchiveAnswer, ArchiveOrder};
use crate::cli::output::Failure;
use crate::cli::progress::Progress;
use crate::cli::{Exit, Format, Globals, stdout, unavailable};
use crate::config::Config;
use crate::control;
use crate::log::reader::Reader;
use crate::shown::counted;
use crate::token::{ErasureAnswer, ErasureOrder};

/// Whose requests are to be erased, and why.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Erase {
    /// The principal whose intents are to be erased: a SPIFFE ID.
    #[arg(long, value_name = "SPIFFE-ID")]
    principal: String,
    /// Why, for the log.
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

/// Which volumes go where.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Move {
    /// The archive: a folder on the appliance's machine, or an address such as s3://bucket/logs.
    #[arg(long, value_name = "PLACE")]
    to: String,
    /// Entries that stay here, the newest.
    #[arg(long, value_name = "ENTRIES", default_value_t = 1_000_000)]
    keep: u64,
    /// Only what was decided before this time, such as 2026-11-24 or 90d for so long ago.
    #[arg(long, value_name = "TIME")]
    before: Option<Moment>,
}

/// Whence volumes come back.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Restore {
    /// The archive.
    #[arg(long, value_name = "PLACE")]
    from: String,
    /// The log's file; by default the configured appliance's.
    #[arg(long, value_name = "FILE")]
    log: Option<std::path::PathBuf>,
    /// Index of an entry that is wanted; all that is archived comes back where none is named.
    #[arg(long, value_name = "INDEX")]
    entry: Option<u64>,
}

/// Has the appliance erase what a principal asked.
pub(super) fn erase(order: Erase, globals: &Globals) -> anyhow::Result<Exit> {
    let Erase { principal, reason } = order;
    let config = Config::load(&globals.config)?;
    let order = ErasureOrder { principal: principal.clone(), reason };
    let answer = control::ask_erasure(&config.appliance.data, order).map_err(|error| unavailable(&error))?;
    match answer {
        ErasureAnswer::Refused { reason } => Err(Failure { message: reason, exit: Exit::Failed }.into()),
        ErasureAnswer::Erased { requests, bytes } => {
            match globals.output {
                Format::Table => {
                    let requests = counted(requests, "request", "requests");
                    writeln!(stdout(), "{requests} of {principal} erased, {bytes} bytes")?;
                }
                Format::Json | Format::Jsonl => writeln!(
                    stdout(),
                    "{}",
                    json!({"schema": "assent.v1.log.erase", "principal": principal, "requests": requests, "bytes": bytes})
                )?,
            }
            talk!("backups and copies of the log still have them; the entries stay, and the log verifies");
            Ok(Exit::Done)
        }
    }
}

/// Has the appliance move old volumes, a few at a time.
pub(super) fn archive(order: Move, globals: &Globals) -> anyhow::Result<Exit> {
    let Move { to, keep, before } = order;
    let config = Config::load(&globals.config)?;
    let order = ArchiveOrder { to: to.clone(), keep, before_ms: before.map(|Moment(time)| time.0) };
    let (mut moved, mut in_them, mut bar) = (0, 0, None);
    loop {
        let answer = control::ask_archive(&config.appliance.data, order.clone());
        let (volumes, entries, left) = match answer.map_err(|error| unavailable(&error))? {
            ArchiveAnswer::Refused { reason } => {
                return Err(Failure { message: reason, exit: Exit::Failed }.into());
            }
            ArchiveAnswer::Archived { volumes, entries, left } => (volumes, entries, left),
        };
        (moved, in_them) = (moved + volumes, in_them + entries);
        let whole = moved + left;
        bar.get_or_insert_with(|| Progress::new("archiving", in_them.max(1) / moved.max(1) * whole))
            .show(in_them);
        if left == 0 || volumes == 0 {
            break;
        }
    }
    bar.iter().for_each(Progress::clear);
    match globals.output {
        Format::Table => {
            let (one, several) = (
                format!("volume with {in_them} entries lies"),
                format!("volumes with {in_them} entries lie"),
            );
            writeln!(stdout(), "{} in {to}", counted(moved, &one, &several))?;
        }
        Format::Json | Format::Jsonl => writeln!(
            stdout(),
            "{}",
            json!({"schema": "assent.v1.log.archive", "volumes": moved, "entries": in_them, "archive": to})
        )?,
    }
    if moved == 0 {
        talk!("nothing was old enough: whole volumes go, and the newest {keep} entries stay (--keep)");
    }
    Ok(Exit::Done)
}

/// Brings volumes back.
pub(super) fn restore(order: Restore, globals: &Globals) -> anyhow::Result<Exit> {
    let Restore { from, log, entry } = order;
    let path = match log {
        Some(path) => path,
        None => crate::provision::log_file(&Config::load(&globals.config)?),
    };
    let reader = Reader::open_to_restore(&path)?;
    let archive = Archive::open(&from, &reader.identity()?.origin)?;
    let here = reader.volumes_here()?;
    let wanted = |number: &u64| entry.is_none_or(|entry| reader.leaves_of(*number).contains(&entry));
    let away: Vec<u64> =
        (0..reader.volumes()?).filter(|number| !here.contains(number)).filter(wanted).collect();
    if away.is_empty()
        && let Some(entry) = entry
    {
        bail!("entry {entry} lies in no archive: it is here, or there is none");
    }
    let mut bar = Progress::new(
        "restoring",
        away.iter().map(|number| reader.leaves_of(*number)).map(|leaves| leaves.end - leaves.start).sum(),
    );
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut done = 0;
    for number in &away {
        runtime.block_on(archive.restore_volume(&reader, *number))?;
        let leaves = reader.leaves_of(*number);
        done += leaves.end - leaves.start;
        bar.show(done);
    }
    bar.clear();
    match globals.output {
        Format::Table => {
            let (one, several) =
                (format!("volume with {done} entries is"), format!("volumes with {done} entries are"));
            writeln!(stdout(), "{} here again", counted(away.len() as u64, &one, &several))?;
        }
        Format::Json | Format::Jsonl => writeln!(
            stdout(),
            "{}",
            json!({"schema": "assent.v1.log.restore", "volumes": away.len(), "entries": done, "archive": from})
        )?,
    }
    Ok(Exit::Done)
}
