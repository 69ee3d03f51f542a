//! The demo's appliance: `assent serve`, as its own process.

use std::path::{Path, PathBuf};
use std::process::Child;

use anyhow::{Context as _, bail};
use rustix::process::{Pid, Signal, kill_process};

use super::PATIENCE;
use crate::cli::scratch::serve;
use crate::clock::Stopwatch;
use crate::config::Config;
use crate::control;
use crate::provision;
use crate::serving::status::Status;

/// A running appliance, ended with the demo.
pub(super) struct Appliance {
    process: Child,
    pub(super) config: Config,
    /// Where agents connect.
    pub(super) address: String,
    pub(super) agent: provision::AgentFiles,
    /// What an executor holds.
    pub(super) trust: PathBuf,
}

impl Appliance {
    pub(super) fn start(scratch: &Path) -> anyhow::Result<Self> {
        let folder = scratch.join("appliance");
        let dev = provision::dev(&folder, 0, 0, None)?;
        let config = Config::load(&dev.config)?;
        let traces = std::fs::File::create(folder.join("traces.jsonl"))?;
        let process = serve(&dev.config, traces)?;
        let trust = scratch.join("trust.toml");
        let now = crate::clock::Clock::system().now();
        std::fs::write(&trust, crate::cli::trust::export(&config, now, 1)?)?;
        let mut appliance = Self { process, config, address: String::new(), agent: dev.agent, trust };
        appliance.address = appliance.wait_until_open()?.listen;
        Ok(appliance)
    }

    pub(super) fn status(&self) -> Option<Status> {
        control::ask_status(&self.config.appliance.data).ok()
    }

    /// Waits until a token could be released now.
    pub(super) fn wait_until_open(&mut self) -> anyhow::Result<Status> {
        let watch = Stopwatch::start();
        loop {
            match self.status() {
                Some(status) if status.boundaries.token.open => return Ok(status),
                _ if watch.elapsed() > PATIENCE => {
                    bail!("the appliance does not open; see its traces with --keep")
                }
                _ => std::thread::sleep(std::time::Duration::from_millis(2)),
            }
            if let Some(ended) = self.process.try_wait()? {
                bail!("the appliance ended with {ended}; see its traces with --keep");
            }
        }
    }

    /// What no operator would do: kill -9 of the only process that can sign.
    pub(super) fn kill_signer(&self) -> anyhow::Result<()> {
        let process = self.status().map_or(0, |status| status.counters.signer_process);
        let pid =
            i32::try_from(process).ok().and_then(Pid::from_raw).context("the appliance has no signer")?;
        kill_process(pid, Signal::KILL).context("cannot kill the signer")
    }

    /// Stops it as an operator would.
    pub(super) fn stop(&mut self) -> anyhow::Result<()> {
        kill_process(Pid::from_child(&self.process), Signal::TERM)?;
        let ended = self.process.wait()?;
        if ended.success() { Ok(()) } else { bail!("the appliance stopped with {ended}") }
    }
}

impl Drop for Appliance {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
