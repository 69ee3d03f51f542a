//! What the configuration says of a sink, `[[escalation.sink]]`, and what is wrong with it.
//!
//! Every key belongs to some kinds and is refused at the others; what a kind needs and lacks is named.

use std::path::PathBuf;
use std::time::Duration;

use super::alertmanager::Alertmanager;
use super::command::Command;
use super::pagerduty::{BASE_URL, PagerDuty};
use super::slack::Slack;
use super::webhook::Webhook;
use super::{Door, Sink};
use assent_doors::outbound::RootsError;

use crate::http::{Address, Client};
use crate::incident::Severity;
use crate::limits::{MAX_SINK_DEADLINE, MAX_SINK_NAME_BYTES, SINK_DEADLINE};
use crate::secret::{Secret, SecretError};

/// A kind of sink.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SinkKind {
    /// Standard Webhooks.
    Webhook,
    /// PagerDuty, Events API v2.
    PagerDuty,
    /// Slack, incoming webhook.
    Slack,
    /// Alertmanager, API v2.
    Alertmanager,
    /// A program.
    Command,
}

impl SinkKind {
    /// All kinds.
    pub const ALL: [Self; 5] =
        [Self::Webhook, Self::PagerDuty, Self::Slack, Self::Alertmanager, Self::Command];

    /// As `kind` has it.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::PagerDuty => "pagerduty",
            Self::Slack => "slack",
            Self::Alertmanager => "alertmanager",
            Self::Command => "command",
        }
    }

    /// What a configuration calls so.
    #[must_use]
    pub fn from_label(label: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.label() == label)
    }
}

/// One sink, as configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SinkConfig {
    /// `name`: letters, digits, `-` and `_`, at most 64; its own among the sinks.
    pub name: String,
    /// `kind`.
    pub kind: SinkKind,
    /// `url`: of a webhook; the base of an Alertmanager, or of PagerDuty's interface where it is not the usual one.
    pub url: Option<String>,
    /// `secret_file`: a webhook's `whsec_` lines, PagerDuty's routing key, Slack's URL, a bearer token for an Alertmanager.
    pub secret_file: Option<PathBuf>,
    /// `key_file`: a webhook's `whsk_` lines.
    pub key_file: Option<PathBuf>,
    /// `ca_file`: PEM certificates that are believed beside the system's.
    pub ca_file: Option<PathBuf>,
    /// `command`: an absolute path, and arguments.
    pub command: Vec<String>,
    /// `min_severity`: the least severity that it is told of; `warning` where nothing is said.
    pub min_severity: Severity,
    /// `deadline`: how long an attempt may last.
    pub deadline: Option<Duration>,
}

/// Why there is no such sink.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// The name cannot be used.
    #[error("`{0}` is no name of a sink: use letters, digits, - and _, at most {MAX_SINK_NAME_BYTES}")]
    Name(String),
    /// The kind needs a key.
    #[error("sink `{name}` needs {needed}")]
    Missing {
        /// The sink.
        name: String,
        /// What it needs.
        needed: &'static str,
    },
    /// The kind has no use for a key.
    #[error("sink `{name}` is of the kind {kind} and has no use for {key}; take it out")]
    Unused {
        /// The sink.
        name: String,
        /// Its kind.
        kind: &'static str,
        /// The key.
        key: &'static str,
    },
    /// The address cannot be used. It is not repeated: it may be a secret.
    #[error("the address of sink `{name}` {wrong}")]
    Address {
        /// The sink.
        name: String,
        /// What is wrong with it, and what to do.
        wrong: &'static str,
    },
    /// The command cannot be used.
    #[error("the command of sink `{0}` does not begin with an absolute path")]
    Command(String),
    /// The deadline is none.
    #[error("the deadline of sink `{name}` must be from 1 ms to {} s", MAX_SINK_DEADLINE.as_secs())]
    Deadline {
        /// The sink.
        name: String,
    },
    /// There is no secret.
    #[error("sink `{name}` has no secret")]
    Secret {
        /// The sink.
        name: String,
        /// Why.
        #[source]
        source: SecretError,
    },
    /// There are no certificates.
    #[error("sink `{name}` would believe nobody")]
    Roots {
        /// The sink.
        name: String,
        /// Why.
        #[source]
        source: RootsError,
    },
}

impl SinkConfig {
    /// A sink of which nothing but its name and kind is known.
    #[must_use]
    pub fn new(name: &str, kind: SinkKind) -> Self {
        Self {
            name: name.to_owned(),
            kind,
            url: None,
            secret_file: None,
            key_file: None,
            ca_file: None,
            command: Vec::new(),
            min_severity: Severity::Warning,
            deadline: None,
        }
    }

    /// Whether the name can be used and every key is of use to the kind; reads no file.
    ///
    /// # Errors
    /// [`SinkError::Name`], [`SinkError::Unused`].
    pub fn check_keys(&self) -> Result<(), SinkError> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        let length = self.name.len();
        if length == 0 || length > MAX_SINK_NAME_BYTES || !self.name.bytes().all(plain) {
            return Err(SinkError::Name(crate::visible::visible(&self.name, MAX_SINK_NAME_BYTES)));
        }
        self.refuse_what_is_of_no_use()
    }

    /// Builds the sink; reads its secrets and certificates. Nobody is asked yet.
    ///
    /// # Errors
    /// [`SinkError`].
    pub fn build(&self) -> Result<Sink, SinkError> {
        self.check_keys()?;
        let door = match self.kind {
            SinkKind::Webhook => self.webhook()?,
            SinkKind::PagerDuty => {
                let key = self.secret("PagerDuty's routing key, in one line")?;
                let base_url = self.url.as_deref().unwrap_or(BASE_URL);
                self.check(base_url, true)?;
                Door::PagerDuty(PagerDuty::new(base_url, key), self.client()?)
            }
            SinkKind::Slack => {
                let url = self.secret("Slack's webhook URL, in one line")?;
                self.check(url.reveal(), true)?;
                Door::Slack(Slack::new(url), self.client()?)
            }
            SinkKind::Alertmanager => {
                let base_url = self.url()?;
                self.check(base_url, self.secret_file.is_some())?;
                let bearer = self.secret_file.is_some();
                let bearer = bearer.then(|| self.secret("a bearer token, in one line")).transpose()?;
                Door::Alertmanager(Alertmanager::new(base_url, bearer), self.client()?)
            }
            SinkKind::Command => self.program()?,
        };
        Ok(Sink { name: self.name.clone(), min_severity: self.min_severity, door })
    }

    fn refuse_what_is_of_no_use(&self) -> Result<(), SinkError> {
        use SinkKind::{Alertmanager, Command, PagerDuty, Slack, Webhook};
        let http = [Webhook, PagerDuty, Slack, Alertmanager];
        let keys: [(&str, bool, &[SinkKind]); 5] = [
            ("url", self.url.is_some(), &[Webhook, PagerDuty, Alertmanager]),
            ("secret_file", self.secret_file.is_some(), &http),
            ("key_file", self.key_file.is_some(), &[Webhook]),
            ("ca_file", self.ca_file.is_some(), &http),
            ("command", !self.command.is_empty(), &[Command]),
        ];
        match keys.into_iter().find(|(_, given, kinds)| *given && !kinds.contains(&self.kind)) {
            Some((key, ..)) => {
                Err(SinkError::Unused { name: self.name.clone(), kind: self.kind.label(), key })
            }
            None => Ok(()),
        }
    }

    fn webhook(&self) -> Result<Door, SinkError> {
        let url = self.url()?;
        self.check(url, false)?;
        if self.secret_file.is_none() && self.key_file.is_none() {
            return Err(self.missing("key_file (ed25519) or secret_file (HMAC): a webhook is signed"));
        }
        let webhook = Webhook::new(url, self.secret_file.as_deref(), self.key_file.as_deref());
        let webhook = webhook.map_err(|source| SinkError::Secret { name: self.name.clone(), source })?;
        Ok(Door::Webhook(webhook, self.client()?))
    }

    fn program(&self) -> Result<Door, SinkError> {
        let Some((program, arguments)) = self.command.split_first() else {
            return Err(self.missing("command: a program and its arguments"));
        };
        let program = PathBuf::from(program);
        if !program.is_absolute() {
            return Err(SinkError::Command(self.name.clone()));
        }
        Ok(Door::Command(Command::new(program, arguments.to_vec(), self.deadline()?)))
    }

    fn missing(&self, needed: &'static str) -> SinkError {
        SinkError::Missing { name: self.name.clone(), needed }
    }

    fn url(&self) -> Result<&str, SinkError> {
        self.url.as_deref().ok_or_else(|| self.missing("url"))
    }

    fn secret(&self, expected: &'static str) -> Result<Secret, SinkError> {
        let path = self.secret_file.as_deref().ok_or_else(|| self.missing("secret_file"))?;
        Secret::line(path, expected).map_err(|source| SinkError::Secret { name: self.name.clone(), source })
    }

    /// Whether the address can be used, and whether what is sent there may be read on the way.
    fn check(&self, url: &str, secret: bool) -> Result<(), SinkError> {
        let wrong = |wrong| SinkError::Address { name: self.name.clone(), wrong };
        let address = Address::of(url).map_err(wrong)?;
        if secret && !address.is_private {
            return Err(wrong("would send a secret in the clear; use https"));
        }
        Ok(())
    }

    fn deadline(&self) -> Result<Duration, SinkError> {
        let deadline = self.deadline.unwrap_or(SINK_DEADLINE);
        let fits = deadline >= Duration::from_millis(1) && deadline <= MAX_SINK_DEADLINE;
        if fits { Ok(deadline) } else { Err(SinkError::Deadline { name: self.name.clone() }) }
    }

    fn client(&self) -> Result<Client, SinkError> {
        let client = Client::new(self.deadline()?, self.ca_file.as_deref());
        client.map_err(|source| SinkError::Roots { name: self.name.clone(), source })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::tests::file;

    #[test]
    fn kinds_have_labels() {
        for kind in SinkKind::ALL {
            assert_eq!(SinkKind::from_label(kind.label()), Some(kind));
        }
        assert_eq!(SinkKind::from_label("email"), None);
    }

    #[test]
    fn what_is_wrong_with_a_sink_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let key = Some(file(folder.path(), "key", "samplekeyhere"));
        let clear = Some(file(folder.path(), "clear", "http://hooks.example.org/hush"));
        let url = |url: &str| Some(url.to_owned());
        let of = |kind| SinkConfig::new("a", kind);
        use SinkKind::{Alertmanager, Command, PagerDuty, Slack, Webhook};
        for (config, said) in [
            (
                SinkConfig::new("", Webhook),
                "`` is no name of a sink: use letters, digits, - and _, at most 64",
            ),
            (SinkConfig::new("a b", Webhook), "`a b` is no name"),
            (of(Webhook), "sink `a` needs url"),
            (SinkConfig { url: url("https://x.org"), ..of(Webhook) }, "sink `a` needs key_file (ed25519) or"),
            (SinkConfig { url: url("ftp://x.org"), ..of(Webhook) }, "the address of sink `a` is not http"),
            (
                SinkConfig { url: url("https://u:hush@x.org"), ..of(Webhook) },
                "the address of sink `a` holds a",
            ),
            (of(PagerDuty), "sink `a` needs secret_file"),
            (
                SinkConfig { secret_file: key.clone(), url: url("http://x.org"), ..of(PagerDuty) },
                "the address of sink `a` would send a secret in the clear; use https",
            ),
            (SinkConfig { secret_file: clear, ..of(Slack) }, "the address of sink `a` would send a secret"),
            (
                SinkConfig { url: url("https://x.org"), ..of(Slack) },
                "sink `a` is of the kind slack and has no",
            ),
            (
                SinkConfig { key_file: key.clone(), ..of(Alertmanager) },
                "sink `a` is of the kind alertmanager",
            ),
            (
                SinkConfig { ca_file: key.clone(), ..of(Command) },
                "sink `a` is of the kind command and has no",
            ),
            (of(Command), "sink `a` needs command"),
            (
                SinkConfig { command: vec!["sh".to_owned()], ..of(Command) },
                "the command of sink `a` does not",
            ),
            (
                SinkConfig {
                    command: vec!["/bin/true".to_owned()],
                    deadline: Some(Duration::ZERO),
                    ..of(Command)
                },
                "the deadline of sink `a` must be from 1 ms to 60 s",
            ),
            (SinkConfig { secret_file: Some("/none".into()), ..of(Slack) }, "sink `a` has no secret"),
            (
                SinkConfig { secret_file: key.clone(), ca_file: Some("/none".into()), ..of(PagerDuty) },
                "sink `a` would believe nobody",
            ),
        ] {
            let error = config.build().unwrap_err().to_string();
            assert!(error.starts_with(said) && !error.contains("hush"), "{error}");
        }
        let local = SinkConfig { secret_file: key, url: url("http://127.0.0.1:1"), ..of(PagerDuty) };
        assert_eq!(local.build().unwrap().route().min_severity, Severity::Warning, "this machine hears all");
    }
}
