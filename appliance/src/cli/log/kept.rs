//! Checkpoints that others kept: what shows that a log is not an older state of itself.

use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::{Source, unreadable};
use crate::cli::Globals;
use crate::config::Config;
use crate::log::reader::Reader;
use crate::log::verification::{Report, Verification};

/// Which of them.
#[derive(Debug, clap::Args)]
pub(super) struct Elsewhere {
    /// The log's fence; by default the configured appliance's, where the log is that one's.
    #[arg(long, value_name = "FILE")]
    fence: Option<PathBuf>,
    /// A checkpoint of this log that somebody kept, as a signed note: the log must lead to it.
    #[arg(long, value_name = "NOTE")]
    against: Vec<PathBuf>,
}

/// What others kept of the log.
#[derive(Debug, Default)]
pub(super) struct Kept {
    /// Checkpoints as signed notes, each with who kept it.
    notes: Vec<(String, String)>,
    /// The appliance's own fence, where there should be one and is none.
    missing: Option<PathBuf>,
}

impl Elsewhere {
    pub(super) fn read(&self, source: &Source, globals: &Globals, store: &Reader) -> anyhow::Result<Kept> {
        let mut kept = Kept::default();
        for path in &self.against {
            kept.notes.push((format!("the checkpoint {}", path.display()), text(path)?));
        }
        let fence = match &self.fence {
            Some(path) => Some(path.clone()),
            None if source.is_of_the_appliance() => Some(Config::load(&globals.config)?.fence_file()),
            None => None,
        };
        match fence {
            Some(path) if self.fence.is_some() => kept.fence(&path)?,
            Some(path) => kept.fence_of(path, store)?,
            None => {}
        }
        Ok(kept)
    }
}

impl Kept {
    /// What an appliance keeps of its own log: its fence.
    pub(super) fn of_fence(path: PathBuf, store: &Reader) -> anyhow::Result<Self> {
        let mut kept = Self::default();
        kept.fence_of(path, store)?;
        Ok(kept)
    }

    fn fence_of(&mut self, path: PathBuf, store: &Reader) -> anyhow::Result<()> {
        if path.exists() {
            return self.fence(&path);
        }
        if store.must_be_fenced().map_err(|error| unreadable(&error))? {
            self.missing = Some(path);
        }
        Ok(())
    }

    fn fence(&mut self, path: &Path) -> anyhow::Result<()> {
        self.notes.push((format!("the fence {}", path.display()), text(path)?));
        Ok(())
    }

    /// Has a verification hold the log against them.
    pub(super) fn hold<'t>(&self, mut verification: Verification<'t>) -> anyhow::Result<Verification<'t>> {
        for (keeper, note) in &self.notes {
            verification = verification.against(keeper.clone(), note.clone()).map_err(anyhow::Error::msg)?;
        }
        Ok(verification)
    }

    /// Tells what they cannot show.
    pub(super) fn tell(&self, report: &mut Report) {
        if let Some(path) = &self.missing {
            let what =
                "is missing: an older log could have been put back; restore it from where it is backed up";
            report.find(report.entries, format!("the fence {} {what}", path.display()));
        } else if self.notes.is_empty() {
            let what = "held against no checkpoint from elsewhere, so an older log would not be seen: give --fence or --against";
            report.remark(report.entries, what.to_owned());
        }
    }
}

fn text(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}
