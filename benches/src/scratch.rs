//! Scratch: where what is measured lies while it is, all in one folder.
//!
//! Whoever stops a benchmark, with Ctrl-C or worse, leaves nobody in this process to remove gigabytes. So a process of its own
//! waits for the end of this one, however it ends, and sweeps behind it.

use std::io::{ErrorKind, Read as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::Context as _;
use appliance::clock::Stopwatch;
use tempfile::TempDir;

use crate::children::helper;

/// The word that makes this program the one that sweeps.
const VERB: &str = "sweep";
/// What the name of a scratch folder begins with: nothing else is ever removed.
const PREFIX: &str = "assent-bench-";
/// How long what ran here may take to end: an appliance has what it answered read.
const PATIENCE: Duration = Duration::from_secs(20);

static ALL: OnceLock<PathBuf> = OnceLock::new();

/// The folder of this run, until it is dropped.
#[derive(Debug)]
pub(crate) struct Scratch {
    all: TempDir,
    /// Its standard input ends when this process does.
    sweeper: Child,
}

impl Scratch {
    /// Makes it, once a process.
    pub(crate) fn begin() -> anyhow::Result<Self> {
        let all = tempfile::Builder::new().prefix(PREFIX).tempdir();
        let all =
            all.context("no folder can be made where temporary files lie; TMPDIR says where that is")?;
        let mut command = helper(VERB)?;
        // In a group of its own: Ctrl-C is meant for the others.
        command.arg(all.path()).process_group(0);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let sweeper = command.spawn().context("nobody can be started who sweeps up")?;
        let _ = ALL.set(all.path().to_owned());
        Ok(Self { all, sweeper })
    }

    /// Removes it.
    pub(crate) fn end(mut self) -> anyhow::Result<()> {
        let path = self.all.path().display().to_string();
        self.all.close().with_context(|| format!("{path} is left behind"))?;
        drop(self.sweeper.stdin.take());
        self.sweeper.wait().context("whoever sweeps up does not end")?;
        Ok(())
    }
}

/// A folder in it.
pub(crate) fn folder() -> anyhow::Result<TempDir> {
    let all = ALL.get().context("there is no scratch folder")?;
    tempfile::tempdir_in(all).with_context(|| format!("no folder can be made in {}", all.display()))
}

/// Waits until whoever started this has ended, and removes what it left.
pub(crate) fn sweep(folder: &Path) -> anyhow::Result<()> {
    let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    anyhow::ensure!(name.starts_with(PREFIX), "{} is no scratch folder", folder.display());
    // Nothing is ever sent: it ends.
    std::io::stdin().lock().read_to_end(&mut Vec::new())?;
    let watch = Stopwatch::start();
    loop {
        match std::fs::remove_dir_all(folder) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) if watch.elapsed() > PATIENCE => return Err(error.into()),
            // Somebody who is ending writes in it still.
            Err(_) => std::thread::sleep(Duration::from_millis(50)), // WAIT: for the others to end, up to PATIENCE
        }
    }
}
