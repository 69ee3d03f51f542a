//! The shop of a bad day: an appliance with operators, a charter to come, and people who are told; and the commands that
//! operators type.

use std::io::Write as _;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::cli::demo::PATIENCE;
use crate::cli::scratch::serve;
use crate::cli::simulator;
use crate::clock::Stopwatch;
use crate::config::Config;
use crate::control;
use crate::provision::{self, AgentFiles};
use crate::sample;
use crate::serving::status::Status;

/// The operators. Two of the three sign a warrant; ann and ben approve refunds.
pub(super) const OPERATORS: [&str; 3] = ["ann", "ben", "cleo"];

/// What a command of ours ended with.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) code: i32,
    pub(super) out: String,
    pub(super) talk: String,
}

/// A running appliance, ended with the demo.
pub(super) struct Shop {
    process: Child,
    pub(super) folder: PathBuf,
    pub(super) config: Config,
    file: PathBuf,
    pub(super) address: String,
    pub(super) agent: AgentFiles,
}

impl Shop {
    pub(super) fn open(scratch: &Path, sink: SocketAddr) -> anyhow::Result<Self> {
        let folder = scratch.join("appliance");
        let dev = provision::dev(&folder, 0, 0, None)?;
        for name in OPERATORS {
            keygen(&folder, &["-q", "-t", "ed25519", "-N", "", "-C", name, "-f", name])?;
        }
        let lines = OPERATORS.map(|name| public(&folder, name));
        let lines = lines.into_iter().collect::<anyhow::Result<Vec<_>>>()?;
        extend_bundle(&folder, &lines)?;
        configure(&dev.config, &folder, &lines, sink)?;
        let config = Config::load(&dev.config)?;
        let process = serve(&dev.config, std::fs::File::create(folder.join("traces.jsonl"))?)?;
        let (agent, file) = (dev.agent, dev.config);
        let mut shop = Self { process, folder, config, file, address: String::new(), agent };
        shop.address = shop.wait_until("the appliance opens", |status| status.boundaries.token.open)?.listen;
        let trust = crate::cli::trust::export(&shop.config, crate::clock::Clock::system().now(), 1)?;
        std::fs::write(shop.folder.join("trust.toml"), trust)?;
        Ok(shop)
    }

    pub(super) fn status(&self) -> Option<Status> {
        control::ask_status(&self.config.appliance.data).ok()
    }

    pub(super) fn wait_until(
        &mut self,
        what: &str,
        holds: impl Fn(&Status) -> bool,
    ) -> anyhow::Result<Status> {
        let watch = Stopwatch::start();
        loop {
            match self.status() {
                Some(status) if holds(&status) => return Ok(status),
                _ if watch.elapsed() > PATIENCE => bail!("{what}: not in time; see its traces with --keep"),
                _ => std::thread::sleep(Duration::from_millis(2)),
            }
            if let Some(ended) = self.process.try_wait()? {
                bail!("the appliance ended with {ended}; see its traces with --keep");
            }
        }
    }

    /// Types a command, as an operator would.
    pub(super) fn type_in(&self, words: &[&str]) -> anyhow::Result<Ended> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("--config").arg(&self.file).args(words).current_dir(&self.folder);
        let output = command.stdin(Stdio::null()).output()?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let code = output.status.code().unwrap_or(-1);
        Ok(Ended { code, out: text(&output.stdout), talk: text(&output.stderr) })
    }

    /// The same, where it must end well.
    pub(super) fn must(&self, words: &[&str]) -> anyhow::Result<String> {
        let Ended { code, out, talk } = self.type_in(words)?;
        if code != 0 {
            bail!("`assent {}` ended with {code}: {talk}", words.join(" "));
        }
        Ok(out)
    }

    /// The same, as JSON.
    pub(super) fn told(&self, words: &[&str]) -> anyhow::Result<serde_json::Value> {
        let words: Vec<&str> = words.iter().chain(&["-o", "json"]).copied().collect();
        serde_json::from_str(&self.must(&words)?).context("the command's output is no JSON")
    }

    /// Takes the HSM away.
    pub(super) fn break_hsm(&mut self) -> anyhow::Result<()> {
        self.simulate(&["inject", "remove"])?;
        self.wait_until("the boundary closes", |status| !status.boundaries.token.open).map(drop)
    }

    /// Brings it back.
    pub(super) fn mend_hsm(&mut self) -> anyhow::Result<()> {
        self.simulate(&["clear"])?;
        self.wait_until("the boundary opens", |status| status.boundaries.token.open).map(drop)
    }

    fn simulate(&self, words: &[&str]) -> anyhow::Result<()> {
        simulator::tell(&self.folder.join("hsm/simulator"), words).map(drop)
    }

    /// Stops it as an operator would.
    pub(super) fn stop(&mut self) -> anyhow::Result<()> {
        kill_process(Pid::from_child(&self.process), Signal::TERM)?;
        let ended = self.process.wait()?;
        if ended.success() { Ok(()) } else { bail!("the appliance stopped with {ended}") }
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn keygen(folder: &Path, words: &[&str]) -> anyhow::Result<()> {
    let mut command = Command::new("ssh-keygen");
    let output = command.args(words).current_dir(folder).stdin(Stdio::null()).output();
    let output = output.context("ssh-keygen does not run; install OpenSSH's client (openssh-client)")?;
    if output.status.success() {
        Ok(())
    } else {
        bail!("ssh-keygen {}", String::from_utf8_lossy(&output.stderr))
    }
}

fn public(folder: &Path, name: &str) -> anyhow::Result<String> {
    Ok(std::fs::read_to_string(folder.join(format!("{name}.pub")))?.trim().to_owned())
}

/// Adds what a bad day takes to the sample's bundle.
fn extend_bundle(folder: &Path, lines: &[String]) -> anyhow::Result<()> {
    let bundle = folder.join("bundle");
    let catalog = bundle.join("catalog.cedarschema");
    let text = std::fs::read_to_string(&catalog)?;
    let (inside, _) = text.rsplit_once('}').context("the sample's catalog has no end")?;
    std::fs::write(&catalog, format!("{inside}{}}}\n", sample::BAD_DAY_ACTIONS))?;
    std::fs::write(bundle.join("policies/payments.cedar"), sample::BAD_DAY_POLICIES)?;
    let mut operators = String::new();
    for (name, line) in OPERATORS.iter().zip(lines) {
        let groups = if *name == "cleo" { "[\"security\"]" } else { "[\"payments-oncall\"]" };
        operators.push_str(&format!(
            "[[operator]]\nname = \"{name}\"\nkeys = [{}]\ngroups = {groups}\n\n",
            toml::Value::from(line.as_str())
        ));
    }
    std::fs::write(bundle.join("operators.toml"), operators)?;
    Ok(())
}

/// Operators who order charters, a heartbeat that sees a fault soon, and somebody who is told.
fn configure(file: &Path, folder: &Path, lines: &[String], sink: SocketAddr) -> anyhow::Result<()> {
    let text = std::fs::read_to_string(file)?;
    let operators = toml::Value::from(lines.to_vec());
    let hsm = format!("[hsm]\noperators = {operators}\nheartbeat = \"50ms\"\n");
    let told = format!(
        "\n[[escalation.sink]]\nname = \"oncall\"\nkind = \"webhook\"\nurl = \"http://{sink}/hook\"\nsecret_file = \"webhook.secret\"\nmin_severity = \"info\"\ndeadline = \"2s\"\n"
    );
    std::fs::write(file, text.replacen("[hsm]\n", &hsm, 1) + &told)?;
    let mut secret = std::fs::OpenOptions::new();
    let mut secret = secret.write(true).create_new(true).mode(0o600).open(folder.join("webhook.secret"))?;
    Ok(secret.write_all(b"whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=\n")?)
}
