//! `assent trust export`: the file that executors and auditors hold.

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::Context as _;
use assent_client::trust::Trust;
use assent_proto::note::VerifierKey;
use assent_proto::number::Timestamp;
use assent_proto::verify::TrustedKey;
use clap::Subcommand;

use super::{Exit, Globals};
use crate::clock::Clock;
use crate::config::Config;

/// How long an exported key is trusted, unless told otherwise.
const DEFAULT_DAYS: u64 = 365;
/// Milliseconds of a day.
const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// What to do with trust.
#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Write the trust file: origin, verifier key and its dates.
    Export {
        /// Where to write it; by default to standard output.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        /// For how many days the key is to be trusted from now on.
        #[arg(long, default_value_t = DEFAULT_DAYS)]
        days: u64,
    },
}

/// Runs the command.
pub(super) fn run(verb: Verb, globals: &Globals) -> anyhow::Result<Exit> {
    let Verb::Export { out, days } = verb;
    let config = Config::load(&globals.config)?;
    let now = Clock::system().now();
    let text = export(&config, now, days)?;
    match out {
        Some(path) => {
            std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?
        }
        None => std::io::stdout().write_all(text.as_bytes())?,
    }
    Ok(Exit::Done)
}

/// The trust file of the configured appliance. A day before now is trusted too, for tokens that exist already.
pub(crate) fn export(config: &Config, now: Timestamp, days: u64) -> anyhow::Result<String> {
    let text = crate::provision::verifier_key(config)?;
    let key = VerifierKey::parse(&text).context("the pinned verifier key is malformed")?;
    let not_after = now.plus_ms(days.saturating_mul(DAY_MS));
    let trusted = TrustedKey { key, not_before: now.minus_ms(DAY_MS), not_after };
    Ok(Trust::new(&[trusted])?.render())
}

/// Trust in the configured appliance's own key, at any time: for commands that read its own log.
pub(super) fn own(config: &Config) -> anyhow::Result<Trust> {
    let text = crate::provision::verifier_key(config)?;
    let key = VerifierKey::parse(&text).context("the pinned verifier key is malformed")?;
    let ever = TrustedKey { key, not_before: Timestamp(0), not_after: Timestamp(u64::MAX) };
    Ok(Trust::new(&[ever])?)
}
