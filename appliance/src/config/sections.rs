//! The sections of the configuration: what each key is, its default and its bounds.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use assent_proto::checkpoint::check_origin;
use toml::Value;

use super::ConfigError;
use super::pin::{PinSource, read_pin};
use super::policy::{Signers, signers, threshold};
use super::reader::{Reader, Section, is_path};
use crate::hsm::HsmSettings;
use crate::identity::TrustDomain;
use crate::limits::MAX_CKA_ID_BYTES;
use crate::operators::ListError;
use crate::token::rearm::Office;

pub(super) const MILLISECOND: Duration = Duration::from_millis(1);
pub(super) const SECOND: Duration = Duration::from_secs(1);
pub(super) const MINUTE: Duration = Duration::from_secs(60);
pub(super) const HOUR: Duration = Duration::from_secs(60 * 60);
pub(super) const DAY: Duration = Duration::from_secs(24 * 60 * 60);
pub(super) const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// The word that stands for the embedded module.
const SIMULATOR: &str = "simulator";
/// The word that stands for no listener.
const OFF: &str = "off";
/// Bytes of a slot's label and of its serial number (PKCS#11 3.0 section 3.2).
const LABEL_BYTES: usize = 32;
const SERIAL_BYTES: usize = 16;

/// `[appliance]`: who it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Appliance {
    /// Its name among others.
    pub name: String,
    /// The host that its log's origin begins with.
    pub host: String,
    /// The number of its log, raised when a new one is begun.
    pub log: u32,
    /// The folder for what it must not forget.
    pub data: PathBuf,
}

/// `[listen]`: where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    /// For agents, over QUIC.
    pub quic: SocketAddr,
    /// For readers of the log, over HTTP; none: it is not served.
    pub http: Option<SocketAddr>,
    /// Whether they are given entries too, which name principals and what they asked.
    pub http_entries: bool,
    /// Whether they are given the whole status too, which names sinks, operators and folders.
    pub http_status: bool,
}

/// `[tls]`: certificates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// What agents' certificates must be signed by.
    pub ca: PathBuf,
    /// The appliance's own.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// The trust domain of the agents.
    pub trust_domain: TrustDomain,
    /// Whether agents may connect that the register does not know.
    pub accept_unregistered: bool,
}

/// `[hsm]`: what signs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hsm {
    /// The PKCS#11 module.
    pub module: Module,
    /// The slot's label.
    pub slot_label: String,
    /// Its serial number, when it is pinned.
    pub slot_serial: Option<String>,
    /// The key's `CKA_ID`.
    pub key_id: Vec<u8>,
    /// Where the PIN is.
    pub pin: PinSource,
    /// Whether a simulator may sign.
    pub allow_simulator: bool,
    /// How long one signature may take.
    pub deadline: Duration,
    /// How often an idle HSM is asked for a signature.
    pub heartbeat: Duration,
    /// Who opens the boundary again after an outage.
    pub rearm: Rearm,
    /// Signatures that must succeed in a row before it is opened.
    pub rearm_probes: u32,
    /// The longest wait between two attempts.
    pub backoff_max: Duration,
    /// Who may order re-arm after an integrity fault; nobody when absent.
    pub operators: Option<Signers>,
    /// How many of them must have signed.
    pub quorum: usize,
    /// The environment of the process that loads the module.
    pub environment: BTreeMap<String, String>,
}

/// Which PKCS#11 module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Module {
    /// The simulator that comes with the appliance.
    Simulator,
    /// A shared library.
    File(PathBuf),
}

/// Who opens the boundary again after the HSM was not available.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rearm {
    /// The appliance, when the probes succeeded.
    Automatic,
    /// Operators.
    Operator,
}

impl Appliance {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, ConfigError> {
        let mut section = reader.section("appliance")?;
        let name = section.value(
            "name",
            "assent",
            "1 to 63 of the characters A-Z, a-z, 0-9, dash and underscore",
            |value| text(value, 63, |byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)),
        )?;
        let host =
            section.value("host", "localhost", "a host name in lower case, without a port", |value| {
                let fits =
                    |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-".contains(&byte);
                text(value, 100, fits).filter(|host| host.split('.').all(|label| !label.is_empty()))
            })?;
        let log = section.integer("log", 1, 1..=u32::MAX)?;
        let data = section.path("data", "data")?;
        let appliance = Self { name, host, log, data };
        if check_origin(&appliance.origin()).is_err() {
            return Err(section.misfit("host", &appliance.host, "shorter: the log's origin is too long"));
        }
        section.finish()?;
        Ok(appliance)
    }

    pub(super) fn origin(&self) -> String {
        format!("{}/{}/log/{}", self.host, self.name, self.log)
    }
}

impl Listen {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, ConfigError> {
        let mut section = reader.section("listen")?;
        let allowed = "an address and a port, such as \"127.0.0.1:7743\" or \"[::]:7743\"";
        let quic = section.value("quic", "127.0.0.1:7743", allowed, |value| value.as_str()?.parse().ok())?;
        let allowed = "an address and a port, such as \"127.0.0.1:7744\", or \"off\"";
        let http = section.value("http", "127.0.0.1:7744", allowed, |value| match value.as_str()? {
            OFF => Some(None),
            address => address.parse().ok().map(Some),
        })?;
        let http_entries = section.boolean("http_entries", false)?;
        let http_status = section.boolean("http_status", false)?;
        section.finish()?;
        Ok(Self { quic, http, http_entries, http_status })
    }
}

impl Tls {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, ConfigError> {
        let mut section = reader.section("tls")?;
        let allowed = "a trust domain: the characters a-z, 0-9, dot, dash and underscore";
        let tls = Self {
            ca: section.path("ca", "tls/ca.pem")?,
            certificate: section.path("certificate", "tls/server.pem")?,
            key: section.path("key", "tls/server.key")?,
            trust_domain: section.value("trust_domain", "assent.test", allowed, |value| {
                TrustDomain::parse(value.as_str()?).ok()
            })?,
            accept_unregistered: section.boolean("accept_unregistered", false)?,
        };
        section.finish()?;
        Ok(tls)
    }
}

impl Hsm {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, ConfigError> {
        let mut section = reader.section("hsm")?;
        let hsm = Self {
            module: read_module(&mut section)?,
            slot_label: section.value("slot_label", "assent", "1 to 32 printable characters", |value| {
                text(value, LABEL_BYTES, is_printable)
            })?,
            slot_serial: section.optional("slot_serial", "1 to 16 printable characters", |value| {
                text(value, SERIAL_BYTES, is_printable)
            })?,
            key_id: section.value(
                "key_id",
                "01",
                "1 to 32 bytes in hexadecimal, such as \"01\"",
                |value| hexadecimal(value.as_str()?),
            )?,
            pin: read_pin(&mut section)?,
            allow_simulator: section.boolean("allow_simulator", false)?,
            deadline: section.duration("deadline", SECOND, MILLISECOND..=MINUTE)?,
            heartbeat: section.duration("heartbeat", SECOND, 10 * MILLISECOND..=MINUTE)?,
            rearm: section.value("rearm", "automatic", "\"automatic\" or \"operator\"", rearm)?,
            rearm_probes: section.integer("rearm_probes", 3, 1..=100)?,
            backoff_max: section.duration("backoff_max", SECOND / 2, 10 * MILLISECOND..=HOUR)?,
            operators: signers(&mut section, "hsm.operators")?,
            quorum: threshold(&mut section, "quorum", 2)?,
            environment: section.texts("environment")?,
        };
        if let Some(Signers::Lines(lines)) = hsm.operators.as_ref().filter(|_| hsm.office().is_err()) {
            let allowed = format!("a number that the {} keys of `hsm.operators` can reach", lines.len());
            return Err(section.misfit("quorum", &hsm.quorum.to_string(), &allowed));
        }
        section.finish()?;
        Ok(hsm)
    }

    /// Who may order re-arm; none where nobody is named.
    ///
    /// # Errors
    /// [`ListError`]: then nobody can.
    pub fn office(&self) -> Result<Option<Office>, ListError> {
        let Some(operators) = &self.operators else { return Ok(None) };
        let quorum = |threshold| operators.quorum("hsm.operators", threshold);
        Ok(Some(Office { grave: quorum(self.quorum)?, light: quorum(1)? }))
    }

    /// What the signer is started with; `simulator` is where the embedded module lies.
    #[must_use]
    pub fn settings(&self, simulator: &Path) -> HsmSettings {
        HsmSettings {
            module: match &self.module {
                Module::Simulator => simulator.to_owned(),
                Module::File(path) => path.clone(),
            },
            slot_label: self.slot_label.clone(),
            slot_serial: self.slot_serial.clone(),
            key_id: self.key_id.clone(),
            allow_simulator: self.allow_simulator,
            environment: self.environment.clone(),
            protected: Vec::new(),
            signer_program: None,
        }
    }
}

fn read_module(section: &mut Section<'_, '_>) -> Result<Module, ConfigError> {
    let folder = section.folder();
    let allowed = "the path of a PKCS#11 module, or \"simulator\"";
    let module = section.value("module", SIMULATOR, allowed, |value| match value.as_str()? {
        SIMULATOR => Some(Module::Simulator),
        path => is_path(path).then(|| Module::File(folder.join(path))),
    })?;
    if let Module::File(path) = &module {
        section.shown_as("module", path);
    }
    Ok(module)
}

fn rearm(value: &Value) -> Option<Rearm> {
    match value.as_str()? {
        "automatic" => Some(Rearm::Automatic),
        "operator" => Some(Rearm::Operator),
        _ => None,
    }
}

/// A text of 1 to `most` bytes, all of which fit.
pub(super) fn text(value: &Value, most: usize, fits: impl Fn(u8) -> bool) -> Option<String> {
    let text = value.as_str()?;
    let right = (1..=most).contains(&text.len()) && text.bytes().all(fits);
    right.then(|| text.to_owned())
}

const fn is_printable(byte: u8) -> bool {
    matches!(byte, b' '..=b'~')
}

fn hexadecimal(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = text.chars().map(|c| u8::try_from(c.to_digit(16)?).ok()).collect();
    let digits = digits.filter(|digits| digits.len().is_multiple_of(2))?;
    let bytes: Vec<u8> =
        digits.chunks_exact(2).map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit)).collect();
    (1..=MAX_CKA_ID_BYTES).contains(&bytes.len()).then_some(bytes)
}
