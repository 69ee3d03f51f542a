//! The appliance that is measured: a folder of its own, a process of its own, and agents that are enrolled there.
//!
//! It runs the program at hand, so what is measured is what was built.

mod agents;
mod hsm;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail};
use appliance::clock::{Clock, Stopwatch};
use appliance::config::Config;
use appliance::provision::{AgentFiles, Dev};
use appliance::{control, provision};
use assent_client::trust::Trust;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::children::tied;
use crate::scratch;

pub(crate) use agents::{Agents, Stretch, runtime};
pub(crate) use hsm::{Hsm, LABEL, Module};

/// How long it may take to open, and to stop.
const PATIENCE: Duration = Duration::from_secs(30);

/// An appliance that runs until it is dropped.
pub(crate) struct Bed {
    folder: TempDir,
    hsm: Hsm,
    config: PathBuf,
    data: PathBuf,
    listen: String,
    agents: Vec<AgentFiles>,
    trust: Trust,
    process: Option<Child>,
}

impl Bed {
    /// Provisions one with this HSM, enrols so many agents, and starts it. `pace`: that of a real device, which the simulator
    /// is to keep.
    pub(crate) fn start(hsm: Hsm, agents: usize, pace: Option<&str>) -> anyhow::Result<Self> {
        let folder = scratch::folder()?;
        let path = folder.path();
        hsm.prepare(path)?;
        agents::write_bundle(&path.join("bundle"), agents)?;
        let Dev { config, agent } = provision::scratch(path, &hsm.configuration(path))?;
        let loaded = Config::load(&config)?;
        let agents = agents::enroll(path, &loaded, &agent.ca, agents)?;
        let trust_file = path.join("trust.toml");
        let mut bed = Self {
            data: loaded.appliance.data.clone(),
            listen: String::new(),
            trust: export_trust(&config, &trust_file)?,
            folder,
            hsm,
            config,
            agents,
            process: None,
        };
        if let Some(pace) = pace {
            let settings = bed.folder.path().join("hsm/simulator/firmware-sim.toml");
            std::fs::write(&settings, format!("profile = \"{pace}\"\n"))?;
        }
        bed.launch()?;
        Ok(bed)
    }

    fn launch(&mut self) -> anyhow::Result<()> {
        let traces = std::fs::File::create(self.folder.path().join("traces"))?;
        let mut command = tied(std::env::current_exe()?.as_os_str())?;
        command.arg("--config").arg(&self.config).arg("serve");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(traces);
        self.process = Some(command.spawn().context("the appliance cannot be started")?);
        let watch = Stopwatch::start();
        loop {
            if let Ok(status) = control::ask_status(&self.data)
                && status.boundaries.token.open
            {
                self.listen = status.listen;
                return Ok(());
            }
            if watch.elapsed() > PATIENCE {
                let traces = std::fs::read_to_string(self.folder.path().join("traces")).unwrap_or_default();
                bail!("the appliance does not open within {PATIENCE:?}:\n{traces}");
            }
            std::thread::sleep(Duration::from_millis(5)); // WAIT: for the token boundary, up to PATIENCE
        }
    }

    /// The module, the slot and the PIN, for those who sign beside it.
    pub(crate) fn module(&self) -> anyhow::Result<Module> {
        self.hsm.module(self.folder.path())
    }

    /// The most memory that it has held since [`Self::forget_peak`], and the most that its signer has, together in megabytes.
    pub(crate) fn resident_peak_mb(&self) -> anyhow::Result<f64> {
        self.processes()?.iter().map(|id| high_water_mb(id)).sum()
    }

    /// What was held so far counts no more.
    pub(crate) fn forget_peak(&self) -> anyhow::Result<()> {
        // 5: the peak becomes what is held now (proc(5), clear_refs).
        let forget = |id: &String| std::fs::write(format!("/proc/{id}/clear_refs"), "5");
        self.processes()?.iter().try_for_each(forget).context("the kernel does not forget a peak of memory")
    }

    /// The appliance, and its signer.
    fn processes(&self) -> anyhow::Result<Vec<String>> {
        let id = self.process.as_ref().context("the appliance runs")?.id();
        let signers = children_of(id)?;
        if signers.is_empty() {
            bail!("the appliance has no signer, whose memory counts too");
        }
        Ok(std::iter::once(id.to_string()).chain(signers).collect())
    }

    /// Connects so many of the enrolled agents, each over its own socket.
    pub(crate) fn connect(&self, count: usize) -> anyhow::Result<Agents> {
        let files = self.agents.get(..count).context("so many agents are not enrolled")?;
        Agents::connect(&self.listen, files, &self.trust)
    }

    /// Stops it in order, and has its log verified: what was measured was true work.
    pub(crate) fn stop_and_verify(mut self) -> anyhow::Result<()> {
        let mut process = self.process.take().context("the appliance runs")?;
        terminate(&process)?;
        if !process.wait()?.success() {
            bail!("the appliance did not stop in order");
        }
        let mut verify = appliance_command(&self.config)?;
        let output =
            verify.args(["log", "verify", "--trust"]).arg(self.folder.path().join("trust.toml")).output()?;
        if !output.status.success() {
            std::io::stderr().write_all(&output.stderr)?;
            bail!("the log of the measured appliance does not verify");
        }
        Ok(())
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = terminate(&process);
            let _ = process.wait();
        }
    }
}

fn terminate(process: &Child) -> anyhow::Result<()> {
    kill_process(Pid::from_child(process), Signal::TERM).context("the appliance has ended by itself")
}

/// This program, as the appliance with this configuration.
fn appliance_command(config: &Path) -> anyhow::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("--config").arg(config);
    Ok(command)
}

fn export_trust(config: &Path, file: &Path) -> anyhow::Result<Trust> {
    let output = appliance_command(config)?.args(["trust", "export", "--out"]).arg(file).output()?;
    if !output.status.success() {
        bail!("no trust file: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(Trust::parse(&std::fs::read_to_string(file)?, Clock::system().now())?)
}

/// The processes that any thread of this one has started.
fn children_of(id: u32) -> anyhow::Result<Vec<String>> {
    let mut children = Vec::new();
    for thread in std::fs::read_dir(format!("/proc/{id}/task"))? {
        let of_thread = std::fs::read_to_string(thread?.path().join("children")).unwrap_or_default();
        children.extend(of_thread.split_whitespace().map(str::to_owned));
    }
    Ok(children)
}

/// `VmHWM` of a process, in megabytes.
fn high_water_mb(id: &str) -> anyhow::Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{id}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
    let kilobytes: f64 = kilobytes.context("the kernel does not tell the memory of a process")?.parse()?;
    Ok(kilobytes * 1024.0 / 1e6)
}
