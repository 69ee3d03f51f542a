//! `assent config check|show`: what the configuration says, and what holds.

use std::io::Write as _;

use clap::Subcommand;
use serde::Serialize;

use super::hsm::print_table;
use super::output::json_lines;
use super::{Exit, Format, Globals};
use crate::config::{Config, Origin, Setting};
use crate::log::hex::hex;
use crate::provision;

/// What to do with the configuration.
#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Read it; an error names the line and what is allowed.
    Check,
    /// Show what it sets.
    Show {
        /// Every value that holds, and where it came from.
        #[arg(long)]
        effective: bool,
    },
}

/// The settings of one file.
#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    file: String,
    settings: Vec<&'a Setting>,
}

/// Runs the command.
pub(super) fn run(verb: Verb, globals: &Globals) -> anyhow::Result<Exit> {
    let config = Config::load(&globals.config)?;
    let effective = effective(&config);
    let wanted = |setting: &&Setting| match verb {
        Verb::Check => false,
        Verb::Show { effective } => effective || setting.origin != Origin::Default,
    };
    let file = globals.config.display().to_string();
    let settings: Vec<_> = effective.iter().filter(wanted).collect();
    let mut out = crate::cli::stdout();
    match (&verb, globals.output) {
        (Verb::Check, Format::Table) => {
            writeln!(out, "{file} is well-formed; the origin is {}", config.origin())?
        }
        (Verb::Check, Format::Json | Format::Jsonl) => {
            let origin = config.origin();
            let schema = "assent.v1.config_check";
            writeln!(out, "{}", serde_json::json!({ "schema": schema, "file": file, "origin": origin }))?;
        }
        (Verb::Show { .. }, Format::Json) => {
            let document = Document { schema: "assent.v1.config", file, settings };
            writeln!(out, "{}", crate::shown::json_of(&document)?)?;
        }
        (Verb::Show { .. }, Format::Jsonl) => {
            drop(out);
            json_lines("assent.v1.config.setting", &settings)?;
        }
        (Verb::Show { .. }, Format::Table) => {
            drop(out);
            let rows: Vec<_> = settings.into_iter().map(|setting| cells(setting, &file)).collect();
            print_table(["KEY", "VALUE", "FROM"], &rows)?;
        }
    }
    Ok(Exit::Done)
}

/// What holds: after a rotation the key that signs is not the one that the file names.
fn effective(config: &Config) -> Vec<Setting> {
    let mut settings = config.effective().to_vec();
    // A ring that cannot be read is for `serve` to refuse; the file says what it says.
    let Ok(ring) = provision::keyring(config) else { return settings };
    let signing = &ring.signing().cka_id;
    if let Some(setting) = settings.iter_mut().find(|setting| setting.key == "hsm.key_id")
        && signing != &hex(&config.hsm.key_id)
    {
        setting.value = Some(toml::Value::String(signing.clone()));
        setting.origin = Origin::Keyring;
    }
    settings
}

fn cells(setting: &Setting, file: &str) -> [String; 3] {
    let value = setting.value.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string);
    let from = match setting.origin {
        Origin::File { line } => format!("{file}:{line}"),
        Origin::Default => "default".to_owned(),
        Origin::Keyring => "the log's key ring".to_owned(),
    };
    [setting.key.clone(), value, from]
}
