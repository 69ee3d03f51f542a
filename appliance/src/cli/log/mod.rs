//! `assent log`: the log, offline, for auditors.
//!
//! The appliance holds its log open; these commands read it after a stop, or a copy of it. They need the log and a trust
//! file; archived bundles where they decide again, or look for a category. One file a verb, and what verbs share beside them.

mod csv;
mod decision;
pub(crate) mod entry;
mod export;
mod filter;
mod keeping;
mod kept;
mod moment;
mod ocsf;
pub(crate) mod report;
mod rows;
mod selection;
mod succeed;
mod verify;

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use assent_client::trust::Trust;
use clap::Subcommand;

use super::{Exit, Globals};
use crate::config::Config;
use crate::log::reader::Reader;
use crate::log::store::StoreError;
use crate::policy::archive::{Archive, FOLDER};

/// What to do with the log.
#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Verify every leaf, every checkpoint and every gap.
    Verify(verify::Options),
    /// Print entries: all, or those that every filter lets through.
    Show(export::Show),
    /// Write entries for another tool, each with the evidence that it is in the log.
    Export(export::Export),
    /// Write a page for auditors about a period: one file, verified as it is written, with proofs.
    Report(report::Options),
    /// Prove that a leaf is in the log, or that it only grew.
    Prove(super::prove::Options),
    /// Print a signed checkpoint, with the cosignatures of witnesses.
    Checkpoint(super::prove::CheckpointOptions),
    /// Verify a proof that somebody handed over, offline.
    CheckProof(super::prove::CheckOptions),
    /// Have the appliance erase what a principal asked; what was decided stays.
    Erase(keeping::Erase),
    /// Have the appliance move old volumes of its log to an archive.
    Archive(keeping::Move),
    /// Open the next log, as operators, in place of one that must not go on.
    Succeed(succeed::Options),
    /// Bring volumes back from an archive, while the appliance stands still.
    Restore(keeping::Restore),
}

impl Verb {
    /// Whether it prints rows, which can be CSV or OCSF.
    pub(super) const fn prints_rows(&self) -> bool {
        matches!(self, Self::Show(_) | Self::Export(_))
    }
}

/// Which log, and whom to trust.
#[derive(Debug, clap::Args)]
pub(super) struct Source {
    /// The log's file; by default the configured appliance's.
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// The trust file to verify against; by default the configured appliance's own key ring.
    #[arg(long, value_name = "FILE")]
    trust: Option<PathBuf>,
    /// The folder of archived bundles; by default `bundles` beside the log.
    #[arg(long, value_name = "FOLDER")]
    bundles: Option<PathBuf>,
}

impl Source {
    /// No log, and this trust file.
    pub(super) const fn trusting(trust: Option<PathBuf>) -> Self {
        Self { log: None, trust, bundles: None }
    }

    /// Whether it is the configured appliance's own log.
    pub(super) const fn is_of_the_appliance(&self) -> bool {
        self.log.is_none()
    }

    fn path(&self, globals: &Globals) -> anyhow::Result<PathBuf> {
        match &self.log {
            Some(path) => Ok(path.clone()),
            None => Ok(crate::provision::log_file(&Config::load(&globals.config)?)),
        }
    }

    pub(super) fn open(&self, globals: &Globals) -> anyhow::Result<Reader> {
        Reader::open(&self.path(globals)?).map_err(|error| unreadable(&error))
    }

    fn archive(&self, globals: &Globals) -> anyhow::Result<Archive> {
        match &self.bundles {
            Some(folder) if !folder.is_dir() => {
                anyhow::bail!(
                    "there is no folder {}; name the one that holds archived bundles",
                    folder.display()
                )
            }
            Some(folder) => Ok(Archive::at(folder)),
            None => {
                let log = self.path(globals)?;
                Ok(Archive::at(&log.parent().unwrap_or_else(|| Path::new(".")).join(FOLDER)))
            }
        }
    }

    /// Whom it trusts, in words.
    pub(super) fn trust_name(&self) -> String {
        self.trust.as_ref().map_or_else(
            || {
                "this appliance's own key ring, which whoever has its disk can change (--trust FILE)"
                    .to_owned()
            },
            |path| format!("the trust file {}", path.display()),
        )
    }

    pub(super) fn trust(&self, globals: &Globals) -> anyhow::Result<Trust> {
        match &self.trust {
            Some(path) => {
                let text = std::fs::read_to_string(path).with_context(|| trust_of(path))?;
                // A log outlives its keys: those that are no longer trusted for tokens still sign its past.
                Trust::parse_for_audit(&text).with_context(|| trust_of(path))
            }
            None => super::trust::own(&Config::load(&globals.config)?),
        }
    }
}

/// What the store says, with the exit code of what it means.
fn unreadable(error: &StoreError) -> anyhow::Error {
    let exit = match error {
        StoreError::Open(_)
        | StoreError::Access { .. }
        | StoreError::Unreadable(_)
        | StoreError::Version(_)
        | StoreError::Damaged { .. } => Exit::Invalid,
        StoreError::Missing(_)
        | StoreError::Exists(_)
        | StoreError::Busy
        | StoreError::Archived { .. }
        | StoreError::File { .. } => Exit::Failed,
    };
    super::failure(error, exit)
}

fn trust_of(path: &Path) -> String {
    format!("cannot use the trust file {}", path.display())
}

/// Runs the command.
pub(super) fn run(verb: Verb, globals: &Globals) -> anyhow::Result<Exit> {
    match verb {
        Verb::Verify(options) => verify::run(&options, globals),
        Verb::Show(options) => export::show(&options, globals),
        Verb::Export(options) => export::export(&options, globals),
        Verb::Report(options) => report::run(&options, globals),
        Verb::Prove(options) => super::prove::run(&options, globals),
        Verb::Checkpoint(options) => super::prove::checkpoint(&options, globals),
        Verb::CheckProof(options) => super::prove::check(&options, globals),
        Verb::Erase(options) => keeping::erase(options, globals),
        Verb::Archive(options) => keeping::archive(options, globals),
        Verb::Succeed(options) => succeed::run(&options, globals),
        Verb::Restore(options) => keeping::restore(options, globals),
    }
}
