//! What a command needs that plays with an appliance: a scratch folder, gone when the command is unless it is to stay, and
//! the appliance's process.

use std::io::Write as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::Context as _;

/// A folder that goes when it is dropped.
pub(super) struct Scratch {
    pub(super) path: PathBuf,
    keep: bool,
}

impl Scratch {
    /// Makes one for this purpose, for its owner only.
    pub(super) fn new(purpose: &str, keep: bool) -> anyhow::Result<Self> {
        let mut random = [0; 4];
        getrandom::fill(&mut random).context("the system gives no random bytes")?;
        let name = format!("assent-{purpose}-{:08x}", u32::from_be_bytes(random));
        let path = std::env::temp_dir().join(name);
        let made = std::fs::DirBuilder::new().mode(0o700).create(&path);
        made.with_context(|| format!("cannot make {}", path.display()))?;
        Ok(Self { path, keep })
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if self.keep {
            let _ = writeln!(crate::cli::stderr(), "kept: {}", self.path.display());
        } else {
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}

/// Starts `assent serve` as its own process, whose traces go to this file.
pub(super) fn serve(config: &Path, traces: std::fs::File) -> anyhow::Result<Child> {
    Command::new(std::env::current_exe()?)
        .arg("--config")
        .arg(config)
        .arg("serve")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(traces)
        .spawn()
        .context("cannot start the appliance")
}
