//! `assent operator invite|list|revoke`: the passkeys of operators at the console.
//!
//! The running appliance answers. A link is shown here once and kept nowhere: whoever has it enrols a passkey in that operator's name,
//! so it is handed to them, and to nobody else.

use std::io::Write as _;
use std::time::Duration;

use assent_proto::number::Timestamp;
use clap::Subcommand;
use serde_json::json;

use super::hsm::print_table;
use super::output::json_lines;
use super::{Exit, Failure, Format, Globals, stdout, utc};
use crate::config::{Config, duration};
use crate::control;
use crate::limits::{LINK_LIFETIME, MAX_LINK_LIFETIME, MIN_LINK_LIFETIME};
use crate::passkeys::{OperatorAnswer, OperatorOrder, OperatorView, PasskeyView};
use crate::shown::{self, counted, visible};

/// What to do with operators.
#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Make a link by which an operator enrols a passkey, once. It needs a section [[console.operator]] of that name.
    Invite {
        /// Who.
        name: String,
        /// How long the link is valid: 1m to 1d. [default: 15m]
        #[arg(long, value_name = "DURATION", value_parser = lifetime)]
        valid: Option<Duration>,
    },
    /// List operators, their roles and their passkeys, each as an SSH key.
    List,
    /// Revoke all passkeys of an operator, or one; with them end their sessions.
    Revoke {
        /// An operator, or the fingerprint of a passkey.
        #[arg(value_name = "NAME|FINGERPRINT")]
        who: String,
    },
}

fn lifetime(text: &str) -> Result<Duration, String> {
    let fits = |lifetime: &Duration| (MIN_LINK_LIFETIME..=MAX_LINK_LIFETIME).contains(lifetime);
    duration(text).filter(fits).ok_or_else(|| "a duration from 1m to 1d, with its unit".to_owned())
}

/// Runs the command.
pub(super) fn run(verb: &Verb, globals: &Globals) -> anyhow::Result<Exit> {
    let config = Config::load(&globals.config)?;
    let order = match verb {
        Verb::Invite { name, valid } => {
            let valid_s = valid.unwrap_or(LINK_LIFETIME).as_secs();
            OperatorOrder::Invite { name: name.clone(), valid_s }
        }
        Verb::List => OperatorOrder::List,
        Verb::Revoke { who } => OperatorOrder::Revoke { who: who.clone() },
    };
    let answer = control::ask_operators(&config.appliance.data, order);
    match answer.map_err(|error| super::unavailable(&error))? {
        OperatorAnswer::Invited { name, link, until_ms } => invited(&name, &link, until_ms, globals.output),
        OperatorAnswer::Listed(operators) => list(&operators, globals.output),
        OperatorAnswer::Revoked { keys } => revoked(&keys, globals.output),
        OperatorAnswer::Refused(message) => Err(Failure { message, exit: Exit::Failed }.into()),
    }
}

fn invited(name: &str, link: &str, until_ms: u64, format: Format) -> anyhow::Result<Exit> {
    match format {
        Format::Json | Format::Jsonl => {
            let document = json!({
                "schema": "assent.v1.operator.invite", "name": name, "link": link, "until_ms": until_ms,
            });
            writeln!(stdout(), "{}", shown::json(&document))?;
        }
        Format::Table => {
            talk!(
                "give this to {} and to nobody else; it serves once, until {}. Then `assent operator list`",
                visible(name),
                utc(Timestamp(until_ms))
            );
            writeln!(stdout(), "{link}")?;
        }
    }
    Ok(Exit::Done)
}

fn list(operators: &[OperatorView], format: Format) -> anyhow::Result<Exit> {
    match format {
        Format::Json => {
            let document = json!({"schema": "assent.v1.operator.list", "operators": operators});
            writeln!(stdout(), "{}", shown::json(&document))?;
        }
        Format::Jsonl => json_lines("assent.v1.operator", operators)?,
        Format::Table => {
            let rows: Vec<_> = operators.iter().flat_map(rows).collect();
            print_table(["NAME", "ROLES", "STATE", "SINCE", "LAST USED", "FINGERPRINT", "SSH KEY"], &rows)?;
        }
    }
    let keys: usize = operators.iter().map(|operator| good(operator).count()).sum();
    talk!(
        "{} of {}. An SSH key counts where a list names it: for approvals the bundle's operators.toml",
        counted(keys as u64, "passkey", "passkeys"),
        counted(operators.len() as u64, "operator", "operators")
    );
    Ok(Exit::Done)
}

fn good(operator: &OperatorView) -> impl Iterator<Item = &PasskeyView> {
    operator.keys.iter().filter(|key| key.revoked_ms.is_none())
}

fn rows(operator: &OperatorView) -> Vec<[String; 7]> {
    let roles: Vec<&str> = operator.roles.iter().map(|role| role.label()).collect();
    let roles = if roles.is_empty() { "none".to_owned() } else { roles.join(",") };
    let time = |time: Option<u64>| time.map_or_else(|| "-".to_owned(), |at| utc(Timestamp(at)));
    let row = |key: Option<&PasskeyView>| {
        let state = match key {
            None => "not enrolled",
            Some(PasskeyView { revoked_ms: Some(_), .. }) => "revoked",
            Some(_) => "enrolled",
        };
        let told = |tell: fn(&PasskeyView) -> String| key.map_or_else(|| "-".to_owned(), tell);
        [
            visible(&operator.name),
            roles.clone(),
            state.to_owned(),
            time(key.map(|key| key.since_ms)),
            time(key.and_then(|key| key.used_ms)),
            told(|key| key.fingerprint.clone()),
            told(|key| key.line.clone()),
        ]
    };
    if operator.keys.is_empty() {
        vec![row(None)]
    } else {
        operator.keys.iter().map(|key| row(Some(key))).collect()
    }
}

fn revoked(keys: &[PasskeyView], format: Format) -> anyhow::Result<Exit> {
    match format {
        Format::Json | Format::Jsonl => {
            let document = json!({"schema": "assent.v1.operator.revoke", "keys": keys});
            writeln!(stdout(), "{}", shown::json(&document))?;
        }
        Format::Table => {
            for key in keys {
                writeln!(stdout(), "{} is revoked, and its sessions are over", key.fingerprint)?;
            }
            talk!("lists that name the SSH key still do: take it out of the bundle's operators.toml");
        }
    }
    Ok(Exit::Done)
}
