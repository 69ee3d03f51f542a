//! `assent witness init|show`: this appliance's own key as a witness of others.

use std::io::Write as _;

use assent_proto::note::VerifierKey;
use clap::Subcommand;

use super::agent::address_for_others;
use super::{Exit, Format, Globals};
use crate::config::Config;
use crate::witness::{SigningKey, SigningKeyError, name_of};

/// What to do with the witness.
#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Make the key that cosigns, in the file that `witnessing.key` names, and print its verifier key. It is not the HSM's key.
    Init {
        /// The witness's name; by default the appliance's, such as `localhost/assent/witness`.
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
    },
    /// Print the verifier key that others put under `witness.ask`, and the logs that are witnessed.
    Show,
}

/// Runs the command.
pub(super) fn run(verb: Verb, globals: &Globals) -> anyhow::Result<Exit> {
    let config = Config::load(&globals.config)?;
    let path = &config.witnessing.key;
    let key = match (&verb, SigningKey::read(path)) {
        (Verb::Init { name }, Err(SigningKeyError::Missing(_))) => {
            let (host, appliance) = (&config.appliance.host, &config.appliance.name);
            let name = name.clone().unwrap_or_else(|| format!("{host}/{appliance}/witness"));
            SigningKey::create(path, &name)?
        }
        (_, found) => found?,
    };
    let vkey = key.verifier_key()?.to_string();
    let logs: Vec<_> = config
        .witnessing
        .logs
        .iter()
        .filter_map(|log| VerifierKey::parse(log).ok())
        .map(|key| key.name())
        .collect();
    let host = &config.appliance.host;
    let url = config.listen.http.map(|listen| format!("http://{}/witness", address_for_others(host, listen)));
    let mut out = crate::cli::stdout();
    match globals.output {
        Format::Json | Format::Jsonl => {
            let logs: Vec<_> = logs
                .iter()
                .map(|origin| serde_json::json!({"origin": origin, "checkpoint": format!("{}/checkpoint", name_of(origin))}))
                .collect();
            let json = serde_json::json!({
                "schema": "assent.v1.witness", "verifier_key": vkey, "url": url, "logs": logs,
            });
            writeln!(out, "{}", crate::shown::json(&json))?;
        }
        Format::Table => {
            writeln!(out, "{vkey}")?;
            let mut talk = crate::cli::stderr();
            match url {
                Some(url) => {
                    writeln!(talk, "for `witness.ask` of the logs that it is to witness: \"{vkey} {url}\"")?
                }
                None => writeln!(talk, "`listen.http` is off: nobody can ask it")?,
            }
            if logs.is_empty() {
                writeln!(talk, "next: name their verifier keys under `witnessing.logs`")?;
            }
            logs.iter().try_for_each(|origin| writeln!(talk, "witnesses {origin}"))?;
        }
    }
    Ok(Exit::Done)
}
