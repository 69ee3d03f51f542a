//! `assent backup create|restore`: what an appliance would be lost without, copied while it serves, and put back.
//!
//! A log that was put back behind its fence is there for auditors and for the next log; `assent serve` refuses it, and the
//! command says so with 4.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use assent_proto::number::Timestamp;
use clap::Subcommand;
use serde_json::json;

use super::output::utc;
use super::{Exit, Format, Globals, failure, stdout};
use crate::backup::{self, BackupError, Facts, Restored, Standing};
use crate::clock::Clock;
use crate::config::Config;

/// What to do.
#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Copy log, key ring, register of agents, bundles, configuration and certificates to a new folder, and verify the copy.
    Create {
        /// The folder, where there is nothing yet.
        #[arg(value_name = "FOLDER")]
        to: PathBuf,
        /// Copy the private keys of the CA, of the appliance's certificate and of the witness, too. A PIN is never copied.
        #[arg(long)]
        with_private_keys: bool,
    },
    /// Verify a backup, and put it back where the configuration says and nothing is in its way.
    Restore {
        /// The backup.
        #[arg(value_name = "FOLDER")]
        from: PathBuf,
    },
}

/// Runs the command.
pub(super) fn run(verb: Verb, globals: &Globals) -> anyhow::Result<Exit> {
    let now = Clock::system().now();
    match verb {
        Verb::Create { to, with_private_keys } => {
            let config = Config::load(&globals.config)?;
            let made =
                backup::create(&config, &to, with_private_keys, now).map_err(|error| failed(&error))?;
            created(&made, &to, globals)
        }
        Verb::Restore { from } => {
            let restored = backup::restore(&from, &globals.config, now).map_err(|error| failed(&error))?;
            told(&restored, globals)
        }
    }
}

fn created(facts: &Facts, to: &Path, globals: &Globals) -> anyhow::Result<Exit> {
    let mut out = stdout();
    match globals.output {
        Format::Json | Format::Jsonl => {
            let json = json!({"schema": "assent.v1.backup.create", "folder": to.display().to_string(), "backup": facts});
            writeln!(out, "{json}")?;
        }
        Format::Table => summary(&mut out, facts, to)?,
    }
    if !facts.private_keys {
        talk!("private keys are not in it (--with-private-keys), and no PIN ever is");
    }
    talk!("next: carry it to another machine; its SHA256SUMS there tells whether it arrived whole");
    Ok(Exit::Done)
}

fn told(restored: &Restored, globals: &Globals) -> anyhow::Result<Exit> {
    let Restored { facts, standing, kept, missing } = restored;
    let names = |paths: &[PathBuf]| paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>();
    let mut out = stdout();
    match globals.output {
        Format::Json | Format::Jsonl => {
            let fence = match standing {
                Standing::Unfenced => "made",
                Standing::Reaches => "reached",
                Standing::Behind { .. } => "ahead",
            };
            let json = json!({
                "schema": "assent.v1.backup.restore", "backup": facts, "fence": fence,
                "kept": names(kept), "missing": names(missing),
            });
            writeln!(out, "{json}")?;
        }
        Format::Table => summary(&mut out, facts, &globals.config)?,
    }
    names(kept).iter().for_each(|path| talk!("kept as it is: {path}"));
    names(missing).iter().for_each(|path| talk!("missing: {path}; put it back from where keys are kept"));
    Ok(match standing {
        Standing::Unfenced | Standing::Reaches => {
            talk!(
                "next: `assent log verify`, `assent serve`; the HSM opens it only where it has seen no later end of this log"
            );
            Exit::Done
        }
        Standing::Behind { fence } => {
            let seen = fence.map_or_else(
                || "has seen it under a later key".to_owned(),
                |fence| format!("has seen {fence} entries, or other ones"),
            );
            talk!(
                "the log ends at {} entries and its fence {seen}: it will not be served. Restore the newest backup, or open the next log: \
                 `assent log succeed`",
                facts.signed_entries
            );
            Exit::Pending
        }
    })
}

fn summary(out: &mut impl std::io::Write, facts: &Facts, place: &Path) -> std::io::Result<()> {
    writeln!(out, "{} at {}", facts.origin, place.display())?;
    writeln!(out, "made      {} by version {}", utc(Timestamp(facts.made_ms)), facts.version)?;
    writeln!(
        out,
        "log       {} entries, verified; {} under the checkpoint",
        facts.entries, facts.signed_entries
    )?;
    writeln!(out, "root      {}", facts.root)?;
    if facts.archived_volumes > 0 {
        writeln!(out, "archived  {} volumes, whose leaves are not here", facts.archived_volumes)?;
    }
    Ok(())
}

/// What cannot be verified ends with 3, what could not be done with 1.
fn failed(error: &BackupError) -> anyhow::Error {
    let exit = match error {
        BackupError::Malformed { .. } | BackupError::Damaged { .. } | BackupError::Unverified { .. } => {
            Exit::Invalid
        }
        BackupError::Exists(_)
        | BackupError::Unsigned
        | BackupError::Another { .. }
        | BackupError::Refused(_)
        | BackupError::File { .. }
        | BackupError::Log(_)
        | BackupError::Keyring(_)
        | BackupError::Config(_)
        | BackupError::Provision(_) => Exit::Failed,
    };
    failure(error, exit)
}
