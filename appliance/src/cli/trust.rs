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
use crate::log::keyring::{Keyring, Standing};
use crate::provision;

/// How long an exported key is trusted, unless told otherwise.
const DEFAULT_DAYS: u64 = 365;
/// Milliseconds of a day.
const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// What to do with trust.
#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Write the trust file: origin, verifier keys and their dates. A key that was announced is in it; one that handed over
    /// is, until its last token is over.
    Export {
        /// Where to write it; by default to standard output.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        /// For how many days the key that signs, and the announced one, are to be trusted from now on.
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
        None => crate::cli::stdout().write_all(text.as_bytes())?,
    }
    Ok(Exit::Done)
}

/// The trust file of the configured appliance. A day before now is trusted too, for tokens that exist already.
pub(crate) fn export(config: &Config, now: Timestamp, days: u64) -> anyhow::Result<String> {
    let ring = provision::keyring(config)?;
    let mut trusted = succeeded(config, &ring, now)?;
    let (not_before, latest) = (now.minus_ms(DAY_MS), now.plus_ms(days.saturating_mul(DAY_MS)));
    let announced = ring.next().map(|next| (&next.cka_id, &next.vkey));
    for (cka_id, vkey) in ring.keys().map(|key| (&key.cka_id, &key.vkey)).chain(announced) {
        let not_after = match ring.standing(cka_id).map(|(_, standing)| standing) {
            Some(Standing::Signs { .. } | Standing::Next { .. }) => latest,
            // What it decided before it handed over may still be good; nothing that it signs later is to be.
            Some(Standing::Signed { over, .. }) if now <= over => over.min(latest),
            Some(Standing::Signed { .. } | Standing::Retired { .. }) | None => continue,
        };
        trusted.push(TrustedKey { key: parsed(vkey)?, not_before, not_after });
    }
    Ok(Trust::new(&trusted)?.render())
}

/// The last key of each log that another one succeeded: auditors begin with it, and executors take nothing of it any more. It
/// ends when the next log was opened, for it may be in wrong hands.
fn succeeded(config: &Config, newest: &Keyring, now: Timestamp) -> anyhow::Result<Vec<TrustedKey<'static>>> {
    let rings = provision::keyrings_before(config)?;
    let ends = rings.iter().skip(1).chain([newest]).map(|next| next.founding().since);
    let key = |(ring, not_after): (&Keyring, Timestamp)| {
        let not_before = now.min(not_after).minus_ms(DAY_MS);
        let key = Trust::new(&[TrustedKey { key: parsed(&ring.signing().vkey)?, not_before, not_after }])?;
        Ok(key.keys().to_vec())
    };
    let keys: anyhow::Result<Vec<_>> = rings.iter().zip(ends).map(key).collect();
    Ok(keys?.concat())
}

/// Trust in every key of the configured appliance's own rings, at any time: for commands that read its own logs.
pub(super) fn own(config: &Config) -> anyhow::Result<Trust> {
    let mut rings = provision::keyrings_before(config)?;
    rings.push(provision::keyring(config)?);
    let vkeys = |ring: &'_ Keyring| -> Vec<String> {
        let all = ring.keys().map(|key| key.vkey.clone());
        all.chain(ring.next().map(|next| next.vkey.clone())).collect()
    };
    let all: Vec<String> = rings.iter().flat_map(vkeys).collect();
    let mut keys = Vec::new();
    for vkey in &all {
        let (not_before, not_after) = (Timestamp(0), Timestamp(u64::MAX));
        keys.push(TrustedKey { key: parsed(vkey)?, not_before, not_after });
    }
    Ok(Trust::new(&keys)?)
}

fn parsed(vkey: &str) -> anyhow::Result<VerifierKey<'_>> {
    VerifierKey::parse(vkey).context("a verifier key of the key ring is malformed")
}
