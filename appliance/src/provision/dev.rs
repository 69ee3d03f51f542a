//! An appliance with throw-away keys: the same files, commands and processes as in production, made in one go.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::{ProvisionError, file, found_log, hsm_settings, init_config, init_identity};
use crate::clock::Clock;
use crate::config::{Config, ConfigError};
use crate::identity::{CertificateAuthority, Record, Registry, RegistryError, write_durably};
use crate::log::hex::hex;
use crate::sample;

/// How long the throw-away agent's certificate lives.
const AGENT_LIFETIME: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Where an agent's credentials lie.
#[derive(Clone, Debug)]
pub struct AgentFiles {
    /// The CA that signed the appliance's certificate.
    pub ca: PathBuf,
    /// The agent's certificate.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

/// A provisioned folder.
#[derive(Clone, Debug)]
pub struct Dev {
    /// The configuration.
    pub config: PathBuf,
    /// The sample's agent, enrolled.
    pub agent: AgentFiles,
}

/// Why it was not provisioned.
#[derive(Debug, thiserror::Error)]
pub enum DevError {
    /// A stage failed.
    #[error(transparent)]
    Stage(#[from] ProvisionError),
    /// The configuration that we wrote is refused.
    #[error("the configuration is refused")]
    Config(#[from] ConfigError),
    /// A command of ours failed.
    #[error("`assent {command}` failed: {talk}")]
    Command {
        /// Which.
        command: String,
        /// What it said.
        talk: String,
    },
    /// The agent cannot be registered.
    #[error("the agent cannot be registered")]
    Registry(#[from] RegistryError),
}

/// Provisions `folder` for development, or finds it provisioned. Port 0 takes any that is free, for agents and for HTTP.
///
/// # Errors
/// [`DevError`].
pub fn dev(folder: &Path, port: u16, http_port: u16, console_port: Option<u16>) -> Result<Dev, DevError> {
    std::fs::create_dir_all(folder).map_err(file("make", folder))?;
    let folder = &std::fs::canonicalize(folder).map_err(file("find", folder))?;
    scratch(folder, &(configuration(folder, port, http_port) + &console(console_port)))
}

/// Provisions `folder`, named from the root, as this configuration says, or finds it provisioned.
///
/// # Errors
/// [`DevError`].
pub fn scratch(folder: &Path, configuration: &str) -> Result<Dev, DevError> {
    let now = Clock::system().now();
    let path = folder.join("assent.toml");
    init_config(&path, configuration)?;
    let config = Config::load(&path)?;
    init_identity(&config, now)?;
    if !config.policy.bundle.exists() {
        sample::write_bundle(&config.policy.bundle).map_err(file("write", &config.policy.bundle))?;
    }
    let agent = enroll(folder, &config)?;
    if !super::log_file(&config).exists() {
        make_authority(folder, &path, &config)?;
        let pin = config.hsm.pin.read().map_err(ProvisionError::from)?;
        found_log(&config, &pin, now)?;
    }
    Ok(Dev { config: path, agent })
}

/// The operator of a development appliance.
pub const OPERATOR: &str = "operator";

fn configuration(folder: &Path, port: u16, http_port: u16) -> String {
    let simulator = folder.join("hsm/simulator");
    format!(
        r#"# A development appliance: everything is as in production, and the keys are thrown away.
[appliance]
name = "dev"

[listen]
quic = "127.0.0.1:{port}"
http = "127.0.0.1:{http_port}"
http_entries = true
http_status = true

[hsm]
module = "simulator"
allow_simulator = true
slot_label = "assent-dev"
pin_file = "hsm/pin"

[hsm.environment]
FIRMWARE_SIM_DIR = "{}"
"#,
        simulator.display()
    )
}

/// A console of this machine alone, with one operator who may do everything; without a port, none.
fn console(port: Option<u16>) -> String {
    let Some(port) = port else { return "\n[console]\nlisten = \"off\"\n".to_owned() };
    format!(
        r#"
[console]
listen = "127.0.0.1:{port}"
origin = "http://localhost:{port}"

[[console.operator]]
name = "{OPERATOR}"
roles = ["viewer", "approver", "sre", "security"]
"#
    )
}

/// Makes the slot and the key with the commands that a security team would use.
fn make_authority(folder: &Path, config_path: &Path, config: &Config) -> Result<(), DevError> {
    let hsm = folder.join("hsm");
    let simulator = hsm.join("simulator");
    std::fs::create_dir_all(&simulator).map_err(file("make", &simulator))?;
    let (pin, so_pin) = (hsm.join("pin"), hsm.join("so-pin"));
    let begun = so_pin.exists();
    for path in [&pin, &so_pin].into_iter().filter(|path| !path.exists()) {
        write_durably(path, random_pin().as_bytes(), 0o600).map_err(file("write", path))?;
    }
    let label = config.hsm.slot_label.as_str();
    let pins = ["--so-pin-file".as_ref(), so_pin.as_os_str(), "--pin-file".as_ref(), pin.as_os_str()];
    // Where an earlier run has begun, what it came to is looked at: neither slot nor key is made twice.
    let there = |command, list, key, wanted: &str| -> Result<bool, DevError> {
        Ok(begun && lists(ours(config_path, config, command)?.args(["-o", "json"]), list, key, wanted))
    };
    if !there("hsm list", "slots", "label", label)? {
        let mut init = ours(config_path, config, "hsm init")?;
        init.args(["--slot-label", label]).args(pins);
        finish(init, "hsm init")?;
    }
    if !there("keys list", "keys", "key_id", &hex(&config.hsm.key_id))? {
        finish(ours(config_path, config, "keys generate")?, "keys generate")?;
    }
    Ok(())
}

/// Whether what a command of ours lists has something of this name. Where it lists nothing, what follows says why.
fn lists(process: &mut Command, list: &str, key: &str, wanted: &str) -> bool {
    let Ok(output) = process.output() else { return false };
    let listed: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    let rows = listed.get(list).and_then(serde_json::Value::as_array);
    rows.is_some_and(|rows| rows.iter().any(|row| row.get(key).is_some_and(|found| found == wanted)))
}

fn ours(config_path: &Path, config: &Config, command: &str) -> Result<Command, DevError> {
    let program = std::env::current_exe().map_err(file("find", Path::new("this program")))?;
    let mut process = Command::new(program);
    process.arg("--config").arg(config_path).args(command.split(' '));
    process.envs(hsm_settings(config)?.environment).stdin(Stdio::null());
    Ok(process)
}

fn finish(mut process: Command, command: &str) -> Result<(), DevError> {
    let output = process.output().map_err(file("run", Path::new("this program")))?;
    if output.status.success() {
        return Ok(());
    }
    let talk = String::from_utf8_lossy(&output.stderr).trim_end().to_owned();
    Err(DevError::Command { command: command.to_owned(), talk })
}

fn random_pin() -> String {
    let mut random = [0; 8];
    // A throw-away PIN of a simulator: where the system gives no random bytes, nothing else works either.
    let _ = getrandom::fill(&mut random);
    format!("{:016x}\n", u64::from_be_bytes(random))
}

fn enroll(folder: &Path, config: &Config) -> Result<AgentFiles, DevError> {
    let agents = folder.join("agents");
    let files = AgentFiles {
        ca: config.tls.ca.clone(),
        certificate: agents.join(format!("{}.pem", sample::AGENT)),
        key: agents.join(format!("{}.key", sample::AGENT)),
    };
    if files.certificate.exists() {
        return Ok(files);
    }
    std::fs::create_dir_all(&agents).map_err(file("make", &agents))?;
    let now = Clock::system().now();
    let ca = CertificateAuthority::open(&config.tls.ca, &config.ca_key()).map_err(ProvisionError::from)?;
    let id = config.tls.trust_domain.agent(sample::AGENT).map_err(ProvisionError::from)?;
    let issued = ca.issue_agent(&id, AGENT_LIFETIME, now).map_err(ProvisionError::from)?;
    // Registered first: where a kill comes between, the next run issues another, and nobody holds this one.
    let registry = Registry::open(&config.agents_path())?;
    registry.add(&Record::new(sample::AGENT, id, &issued, now))?;
    issued.write(&files.certificate, &files.key).map_err(ProvisionError::from)?;
    Ok(files)
}
