//! The sections `[witness]` and `[witnessing]`: who cosigns this log, and whose logs this appliance cosigns.

use std::path::PathBuf;
use std::time::Duration;

use assent_proto::cosignature::WitnessKey;
use assent_proto::note::VerifierKey;
use toml::Value;

use super::ConfigError;
use super::reader::{Reader, Section};
use super::sections::{HOUR, MILLISECOND, SECOND};
use crate::limits::{MAX_WITNESSED_KEYS, MAX_WITNESSES};

/// `[witness]`: who cosigns this log's checkpoints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Witnessed {
    /// Those that are asked: verifier key and URL.
    pub ask: Vec<(String, String)>,
    /// How often they are asked.
    pub interval: Duration,
    /// The authorities that their certificates are believed under; the system's where none is named.
    pub ca: Option<PathBuf>,
}

/// `[witnessing]`: whose checkpoints this appliance cosigns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Witnessing {
    /// Verifier keys of the logs; of none, and it is no witness.
    pub logs: Vec<String>,
    /// The file of the key that cosigns.
    pub key: PathBuf,
}

impl Witnessed {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, ConfigError> {
        let mut section = reader.section("witness")?;
        let allowed = "a list of texts such as \"VKEY http://127.0.0.1:7744/witness\", each the verifier key of a witness, a space, and its URL";
        let witnessed = Self {
            ask: list(&mut section, "ask", MAX_WITNESSES, allowed, asked)?,
            interval: section.duration("interval", 10 * SECOND, 100 * MILLISECOND..=HOUR)?,
            ca: section.optional_path("ca")?,
        };
        section.finish()?;
        Ok(witnessed)
    }
}

impl Witnessing {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, ConfigError> {
        let mut section = reader.section("witnessing")?;
        let allowed =
            "a list of verifier keys of logs, as `assent init` and `assent status -o json` print them";
        let log = |text: &str| VerifierKey::parse(text).is_ok().then(|| text.to_owned());
        let witnessing = Self {
            logs: list(&mut section, "logs", MAX_WITNESSED_KEYS, allowed, log)?,
            key: section.path("key", "witness.key")?,
        };
        section.finish()?;
        Ok(witnessing)
    }
}

/// A list of at most so many texts, each of which parses and stands there once.
fn list<T: PartialEq>(
    section: &mut Section<'_, '_>,
    key: &'static str,
    most: usize,
    allowed: &str,
    parse: impl Fn(&str) -> Option<T>,
) -> Result<Vec<T>, ConfigError> {
    section.value(key, Vec::<String>::new(), allowed, |value: &Value| {
        let texts = value.as_array().filter(|texts| texts.len() <= most)?;
        let mut parsed = Vec::new();
        for text in texts {
            let one = parse(text.as_str()?).filter(|one| !parsed.contains(one))?;
            parsed.push(one);
        }
        Some(parsed)
    })
}

fn asked(text: &str) -> Option<(String, String)> {
    let (vkey, url) = text.split_once(' ')?;
    let is_http = url.starts_with("http://") || url.starts_with("https://");
    let is_url =
        is_http && !url.contains(|c: char| c.is_whitespace() || c.is_control() || c == '?' || c == '#');
    (WitnessKey::parse(vkey).is_ok() && is_url).then(|| (vkey.to_owned(), url.to_owned()))
}
