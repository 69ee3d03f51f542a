//! The configuration: `assent.toml` and what it becomes.
//!
//! The one rule: nothing is guessed. A key that we do not know is refused, a number carries its unit, and each error names
//! the key, the line and what is allowed. Relative paths are relative to the file's own folder. Which file it is, the
//! command line decides; whether what it names exists, `assent doctor` looks.

mod break_glass;
mod console;
mod escalation;
mod log;
mod pin;
mod policy;
mod queue;
mod quota;
mod reader;
mod sections;
mod traces;
mod units;
mod witness;

#[cfg(test)]
mod tests;

use std::io::Read as _;
use std::path::{Path, PathBuf};

use serde::Serialize;

pub use break_glass::BreakGlass;
pub use console::{Console, ConsoleOperator};
pub use escalation::Escalation;
pub use log::{Fence, HsmFence, Log, Round};
pub use pin::PinSource;
pub use policy::{Policy, Signers};
pub use queue::Queue;
pub use quota::Quota;
pub use sections::{Appliance, Hsm, Listen, Module, Rearm, Tls};
pub use traces::Traces;
pub use witness::{Witnessed, Witnessing};

use crate::identity::tls::{TlsSettings, TransportLimits};
use crate::limits::MAX_CONFIGURATION_BYTES;
use reader::Reader;
pub(crate) use units::{parse_duration as duration, show_duration};

/// What an appliance is told.
#[derive(Clone, Debug)]
pub struct Config {
    /// The file itself.
    pub file: PathBuf,
    /// Who it is.
    pub appliance: Appliance,
    /// Where it listens.
    pub listen: Listen,
    /// Its certificates, and whose it accepts.
    pub tls: Tls,
    /// What signs.
    pub hsm: Hsm,
    /// What decides.
    pub policy: Policy,
    /// How much is signed at once.
    pub round: Round,
    /// What the log's disk must do for it.
    pub log: Log,
    /// Where the newest checkpoint is kept against rollback.
    pub fence: Fence,
    /// Who cosigns the log's checkpoints.
    pub witness: Witnessed,
    /// Whose checkpoints are cosigned here.
    pub witnessing: Witnessing,
    /// Who is told when something needs people.
    pub escalation: Escalation,
    /// How much may wait.
    pub queue: Queue,
    /// How soon what was done under a warrant is to be looked at.
    pub break_glass: BreakGlass,
    /// Who operates at the console.
    pub console: Console,
    /// What one connection may use.
    pub quota: Quota,
    /// Where spans go.
    pub traces: Traces,
    settings: Vec<Setting>,
}

/// One value, and where it came from.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Setting {
    /// Section and key: `hsm.deadline`.
    pub key: String,
    /// The value; none where the key is not set and has no default.
    pub value: Option<toml::Value>,
    /// Where it came from.
    #[serde(flatten)]
    pub origin: Origin,
}

/// Where a value came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "origin", rename_all = "snake_case")]
pub enum Origin {
    /// From this line of the file.
    File {
        /// Counted from 1.
        line: usize,
    },
    /// Nobody said otherwise.
    Default,
    /// From the key ring of the log, which a rotation has changed: the file names the key that the log was founded for.
    Keyring,
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// There is no file.
    #[error(
        "there is no configuration at {}; write one with `assent init`, or name another with --config or ASSENT_CONFIG",
        path.display()
    )]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The file cannot be read.
    #[error("cannot read the configuration {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// The file is too long.
    #[error("the configuration {} is longer than {MAX_CONFIGURATION_BYTES} bytes", path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
    },
    /// It is no TOML.
    #[error("{}:{line}: no TOML: {message}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What the parser says.
        message: String,
    },
    /// It has a key that we do not know.
    #[error("{}:{line}: `{key}` is unknown; here are allowed: {allowed}", path.display())]
    Unknown {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// Section and key.
        key: String,
        /// What is allowed in its place.
        allowed: String,
    },
    /// A value is not allowed.
    #[error("{}:{line}: `{key}` cannot be {found}; it is {allowed}", path.display())]
    Value {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// Section and key.
        key: String,
        /// What it is.
        found: String,
        /// What it may be.
        allowed: String,
    },
    /// A sink of escalations is not one.
    #[error("{}:{line}: this sink cannot be used", path.display())]
    Sink {
        /// The file.
        path: PathBuf,
        /// Where it begins, counted from 1.
        line: usize,
        /// What is wrong with it, and what to do.
        #[source]
        source: assent_escalation::SinkError,
    },
    /// Two keys exclude each other.
    #[error("{}:{line}: `{key}` cannot stand beside `{other}`; keep one of them", path.display())]
    Beside {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// Section and key.
        key: String,
        /// The other.
        other: String,
    },
}

impl Config {
    /// The commented file that `assent init` writes. It says what is the default anyway.
    pub const EXAMPLE: &str = include_str!("example.toml");

    /// Reads a configuration.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let mut text = String::new();
        let read = std::fs::File::open(path)
            .and_then(|file| file.take(MAX_CONFIGURATION_BYTES + 1).read_to_string(&mut text));
        match read {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                Err(ConfigError::Missing { path: path.to_owned() })
            }
            Err(source) => Err(ConfigError::Unreadable { path: path.to_owned(), source }),
            Ok(_) if text.len() as u64 > MAX_CONFIGURATION_BYTES => {
                Err(ConfigError::TooLong { path: path.to_owned() })
            }
            Ok(_) => Self::parse(&text, path),
        }
    }

    /// Takes a configuration from a text, as if it stood at `path`.
    ///
    /// # Errors
    /// [`ConfigError`], but for those of the file system.
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let mut reader = Reader::new(text, path)?;
        let config = Self {
            file: path.to_owned(),
            appliance: Appliance::read(&mut reader)?,
            listen: Listen::read(&mut reader)?,
            tls: Tls::read(&mut reader)?,
            hsm: Hsm::read(&mut reader)?,
            policy: Policy::read(&mut reader)?,
            round: Round::read(&mut reader)?,
            log: Log::read(&mut reader)?,
            fence: Fence::read(&mut reader)?,
            witness: Witnessed::read(&mut reader)?,
            witnessing: Witnessing::read(&mut reader)?,
            escalation: Escalation::read(&mut reader)?,
            queue: Queue::read(&mut reader)?,
            break_glass: BreakGlass::read(&mut reader)?,
            console: Console::read(&mut reader)?,
            quota: Quota::read(&mut reader)?,
            traces: Traces::read(&mut reader)?,
            settings: Vec::new(),
        };
        Ok(Self { settings: reader.finish()?, ..config })
    }

    /// Every value that holds, in the order of the sections, and where it came from. Paths are as they are used.
    #[must_use]
    pub fn effective(&self) -> &[Setting] {
        &self.settings
    }

    /// The log's origin: `<host>/<name>/log/<n>`.
    #[must_use]
    pub fn origin(&self) -> String {
        self.appliance.origin()
    }

    /// The origin of the console's site: what passkeys are made for.
    #[must_use]
    pub fn console_origin(&self) -> String {
        self.console.origin(&self.appliance.host)
    }

    /// The fence's file: the first log's at the configured path, that of log n beside it, with `-n` in its name. So each log
    /// has a fence and a latch of its own, and what holds an abandoned one goes on to hold it.
    #[must_use]
    pub fn fence_file(&self) -> PathBuf {
        self.fence.file(self.appliance.log)
    }

    /// What holds the boundary until operators have answered: beside the fence, with the ending `latch`.
    #[must_use]
    pub fn latch_file(&self) -> PathBuf {
        self.fence_file().with_extension("latch")
    }

    /// The register of agents.
    #[must_use]
    pub fn agents_path(&self) -> PathBuf {
        self.appliance.data.join("agents.json")
    }

    /// The built-in CA's key: beside its certificate, with the ending `key`.
    #[must_use]
    pub fn ca_key(&self) -> PathBuf {
        self.tls.ca.with_extension("key")
    }

    /// What people are to know, until they do.
    #[must_use]
    pub fn outbox_path(&self) -> PathBuf {
        self.appliance.data.join("escalations.redb")
    }

    /// What the socket for agents is made from.
    #[must_use]
    pub fn tls_settings(&self) -> TlsSettings {
        TlsSettings {
            ca: self.tls.ca.clone(),
            certificate: self.tls.certificate.clone(),
            key: self.tls.key.clone(),
            trust_domain: self.tls.trust_domain.clone(),
            transport: TransportLimits {
                streams: self.quota.streams(),
                unread_bytes: self.quota.unread_per_connection,
                unsent_bytes: self.quota.unsent_per_connection,
                idle_timeout: self.quota.idle_timeout,
            },
        }
    }
}
