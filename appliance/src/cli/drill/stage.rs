//! The stage: an appliance of its own in a scratch folder, with its HSM behind firmware-sim, and its operators' keys.
//!
//! Everything is as in production but the clock of the HSM's deadlines, which is set short so that a drill does not take
//! an afternoon. What is broken here is nobody else's.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail};
use rustix::process::{Pid, Signal, kill_process};

use super::super::scratch::{Scratch, serve};
use super::super::simulator;
use super::faults::Faults;
use crate::clock::Stopwatch;
use crate::config::Config;
use crate::control::{self, Story};
use crate::operators::SignatureFile;
use crate::provision::{self, AgentFiles};
use crate::serving::status::Status;
use crate::token::rearm::NAMESPACE;

/// Where Debian puts SoftHSM2.
const SOFTHSM: &str = "/usr/lib/softhsm/libsofthsm2.so";
/// How long one signature may take on the stage.
pub(super) const DEADLINE: Duration = Duration::from_millis(300);
/// How often an idle signer proves itself on the stage.
pub(super) const HEARTBEAT: Duration = Duration::from_millis(100);
/// How long anything may take that is waited for.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);
/// How often it is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(3);
/// The operators.
const OPERATORS: [&str; 2] = ["alice", "bob"];

/// Which HSM stands behind firmware-sim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Hsm {
    /// SoftHSM2, behind firmware-sim.
    Softhsm,
    /// Firmware-sim alone.
    Simulator,
}

impl Hsm {
    /// SoftHSM2 where it is installed.
    pub(super) fn here() -> Self {
        if Path::new(SOFTHSM).exists() { Self::Softhsm } else { Self::Simulator }
    }

    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::Softhsm => "SoftHSM2 behind firmware-sim",
            Self::Simulator => "firmware-sim",
        }
    }
}

/// Where drills are held.
#[derive(Clone, Debug)]
pub(super) enum Venue {
    /// On appliances of their own, with this HSM.
    Scratch(Hsm),
    /// On the running appliance of this configuration, for real.
    Live(PathBuf),
}

impl Venue {
    pub(super) fn label(&self) -> String {
        match self {
            Self::Scratch(hsm) => hsm.label().to_owned(),
            Self::Live(config) => format!("the running appliance of {}", config.display()),
        }
    }

    pub(super) const fn is_live(&self) -> bool {
        matches!(self, Self::Live(_))
    }
}

/// An appliance that may be broken.
pub(super) struct Stage {
    /// Its folder, where it is thrown away; for a live one, that of what is made here.
    folder: Scratch,
    simulator: PathBuf,
    config_file: PathBuf,
    config: Config,
    process: Option<Child>,
    pub(super) agent: AgentFiles,
    pub(super) address: String,
}

impl Stage {
    /// Sets one up, and starts nothing.
    pub(super) fn build(venue: &Venue, keep: bool) -> anyhow::Result<Self> {
        match venue {
            Venue::Scratch(hsm) => Self::scratch(*hsm, keep),
            Venue::Live(config) => Self::live(config, keep),
        }
    }

    /// The running appliance of this configuration. Its HSM must be one that may be broken, and we one of its agents.
    fn live(config_file: &Path, keep: bool) -> anyhow::Result<Self> {
        let config = Config::load(config_file)?;
        let simulator = config.hsm.environment.get("FIRMWARE_SIM_DIR").map(PathBuf::from);
        let simulator = simulator.filter(|_| config.hsm.allow_simulator).context(
            "the appliance's module is not firmware-sim: `hsm.environment` names no FIRMWARE_SIM_DIR, or no simulator is allowed",
        )?;
        let ours = assent_client::Config::from_env().context("a live drill asks as an agent")?;
        let agent = AgentFiles { ca: ours.ca, certificate: ours.cert, key: ours.key };
        let folder = Scratch::new("drill", keep)?;
        let config_file = config_file.to_owned();
        Ok(Self { folder, simulator, config_file, config, process: None, agent, address: ours.addr })
    }

    fn scratch(hsm: Hsm, keep: bool) -> anyhow::Result<Self> {
        let folder = Scratch::new("drill", keep)?;
        let root = std::fs::canonicalize(&folder.path)?;
        let port = std::net::UdpSocket::bind("127.0.0.1:0")?.local_addr()?.port();
        std::fs::create_dir_all(root.join("hsm/tokens"))?;
        let keys = OPERATORS.iter().map(|name| operator_key(&root, name)).collect::<Result<Vec<_>, _>>()?;
        let softhsm = format!(
            "directories.tokendir = {}\nobjectstore.backend = file\nlog.level = ERROR\nslots.removable = false\n",
            root.join("hsm/tokens").display()
        );
        std::fs::write(root.join("hsm/softhsm2.conf"), softhsm)?;
        let dev = provision::scratch(&root, &configuration(&root, port, hsm, &keys))?;
        let config = Config::load(&dev.config)?;
        let (address, simulator) = (config.listen.quic.to_string(), root.join("hsm/simulator"));
        let (config_file, agent) = (dev.config, dev.agent);
        Ok(Self { folder, simulator, config_file, config, process: None, agent, address })
    }

    /// Starts the appliance, and waits until it answers.
    pub(super) fn start(&mut self) -> anyhow::Result<()> {
        let _ = std::fs::remove_file(self.data().join(control::SOCKET));
        let traces = self.folder.path.join("traces.jsonl");
        let traces = std::fs::File::options().create(true).append(true).open(traces)?;
        self.process = Some(serve(&self.config_file, traces)?);
        self.until("the appliance answers", |_| true).map(drop)
    }

    /// kill -9, as a crash would.
    pub(super) fn kill(&mut self) -> anyhow::Result<()> {
        if let Some(mut process) = self.process.take() {
            process.kill()?;
            process.wait()?;
        }
        Ok(())
    }

    /// Stops it as an operator would.
    pub(super) fn stop(&mut self) -> anyhow::Result<()> {
        let Some(mut process) = self.process.take() else { return Ok(()) };
        kill_process(Pid::from_child(&process), Signal::TERM)?;
        let ended = process.wait()?;
        if ended.success() {
            Ok(())
        } else {
            bail!("the appliance stopped with {ended}: {}", self.last_words())
        }
    }

    /// Waits until its status is as wanted.
    pub(super) fn until(&self, what: &str, wanted: impl Fn(&Status) -> bool) -> anyhow::Result<Status> {
        self.until_within(PATIENCE, what, wanted)
    }

    /// As [`Self::until`], for so long.
    pub(super) fn until_within(
        &self,
        patience: Duration,
        what: &str,
        wanted: impl Fn(&Status) -> bool,
    ) -> anyhow::Result<Status> {
        let watch = Stopwatch::start();
        loop {
            match control::ask_status(self.data()) {
                Ok(status) if wanted(&status) => return Ok(status),
                _ if watch.elapsed() > patience => {
                    bail!("not within {patience:?}: {what}; {}", self.last_words())
                }
                Ok(_) | Err(_) => std::thread::sleep(LOOK_EVERY),
            }
        }
    }

    pub(super) fn status(&self) -> anyhow::Result<Status> {
        Ok(control::ask_status(self.data())?)
    }

    pub(super) fn story(&self) -> anyhow::Result<Story> {
        Ok(control::ask_story(self.data())?)
    }

    pub(super) fn data(&self) -> &Path {
        &self.config.appliance.data
    }

    pub(super) const fn config(&self) -> &Config {
        &self.config
    }

    /// The folder in which the HSM keeps its own.
    pub(super) fn tokens(&self) -> PathBuf {
        self.folder.path.join("hsm/tokens")
    }

    /// The signer's process, when there is one.
    pub(super) fn signer(&self) -> anyhow::Result<Pid> {
        let status = self.until("a signer runs", |status| status.counters.signer_process != 0)?;
        let process = i32::try_from(status.counters.signer_process).ok().and_then(Pid::from_raw);
        process.context("the signer's number is none")
    }

    /// Breaks the HSM.
    pub(super) fn inject(&self, line: &str) -> anyhow::Result<()> {
        self.simulator(&["inject", line]).map(drop)
    }

    /// Mends the HSM.
    pub(super) fn clear(&self) -> anyhow::Result<()> {
        self.simulator(&["clear"]).map(drop)
    }

    /// What firmware-sim tells of its faults.
    pub(super) fn faults(&self) -> anyhow::Result<Faults> {
        Ok(serde_json::from_str(&self.simulator(&["status", "--json"])?)?)
    }

    /// Tells the simulator of this stage's HSM something.
    fn simulator(&self, arguments: &[&str]) -> anyhow::Result<String> {
        simulator::tell(&self.simulator, arguments)
    }

    /// The operators' signatures over a statement, one each.
    pub(super) fn sign(&self, statement: &str) -> anyhow::Result<Vec<SignatureFile>> {
        let file = self.folder.path.join("statement");
        std::fs::write(&file, statement)?;
        OPERATORS.iter().map(|name| self.signature(name, &file)).collect()
    }

    fn signature(&self, name: &str, statement: &Path) -> anyhow::Result<SignatureFile> {
        let signature = statement.with_extension("sig");
        let _ = std::fs::remove_file(&signature);
        ssh_keygen(
            Command::new("ssh-keygen")
                .args(["-q", "-Y", "sign", "-n", NAMESPACE, "-f"])
                .arg(self.folder.path.join(name))
                .arg(statement),
        )?;
        Ok(SignatureFile { name: format!("{name}.sig"), text: std::fs::read_to_string(signature)? })
    }

    /// The end of what the appliance traced.
    fn last_words(&self) -> String {
        let traces = std::fs::read_to_string(self.folder.path.join("traces.jsonl")).unwrap_or_default();
        let lines: Vec<&str> = traces.lines().rev().take(3).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// Makes an operator's key; gives its public line.
fn operator_key(folder: &Path, name: &str) -> anyhow::Result<String> {
    let file = folder.join(name);
    ssh_keygen(
        Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-C", name, "-f"]).arg(&file),
    )?;
    let line = std::fs::read_to_string(file.with_extension("pub"))?;
    Ok(line.trim_end().to_owned())
}

fn ssh_keygen(command: &mut Command) -> anyhow::Result<()> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .context("cannot run ssh-keygen, with which operators sign; install openssh-client")?;
    if output.status.success() {
        return Ok(());
    }
    bail!("ssh-keygen: {}", String::from_utf8_lossy(&output.stderr).trim_end())
}

fn configuration(root: &Path, port: u16, hsm: Hsm, operators: &[String]) -> String {
    let mut text = format!(
        "[appliance]\nname = \"drill\"\n[listen]\nquic = \"127.0.0.1:{port}\"\nhttp = \"off\"\n[policy]\nwatch = false\n\
         [hsm]\nmodule = \"simulator\"\nallow_simulator = true\nslot_label = \"assent-drill\"\npin_file = \"hsm/pin\"\n\
         deadline = \"{}ms\"\nheartbeat = \"{}ms\"\nbackoff_max = \"250ms\"\noperators = {operators:?}\nquorum = 2\n\
         [hsm.environment]\nFIRMWARE_SIM_DIR = \"{}\"\n",
        DEADLINE.as_millis(),
        HEARTBEAT.as_millis(),
        root.join("hsm/simulator").display(),
    );
    if hsm == Hsm::Softhsm {
        let conf = root.join("hsm/softhsm2.conf");
        // Writing to a string cannot fail.
        let _ = write!(text, "FIRMWARE_SIM_MODULE = \"{SOFTHSM}\"\nSOFTHSM2_CONF = \"{}\"\n", conf.display());
    }
    text
}
