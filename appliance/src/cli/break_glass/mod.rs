//! `assent breakglass charter|warrant|review`: leave for a few things, when nothing else can be signed.
//!
//! The running appliance answers. What is to be signed is printed on standard output, byte for byte, and who must sign on
//! standard error; with `--key` it is signed here. Texts of people are shown with whatever does not print made visible.

mod charter;
mod review;
mod used;
mod warrant;
mod wish;

use std::io::Write as _;
use std::path::{Path, PathBuf};

use assent_client::Trust;
use assent_client::warrant::Warrant;
use assent_proto::number::Timestamp;
use clap::Subcommand;
use serde::Serialize;
use serde_json::json;

use super::output::{json_lines, signatures};
use super::{Exit, Failure, Format, Globals, stdout, unavailable};
use crate::break_glass::{BreakGlassAnswer, BreakGlassOrder};
use crate::config::Config;
use crate::control;
use crate::operators::SignatureFile;
use crate::shown::{self, visible};

/// About what.
#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// In good times: what a warrant may give leave for, and whose signatures that takes.
    Charter {
        #[command(subcommand)]
        verb: charter::Verb,
    },
    /// In bad times: leave under a charter, while the token boundary is closed.
    Warrant {
        #[command(subcommand)]
        verb: warrant::Verb,
    },
    /// Afterwards: each use of a warrant, looked at by an operator who did not sign it.
    Review {
        #[command(subcommand)]
        verb: review::Verb,
    },
}

/// Signatures, or keys to make them with. Without any, the statement is printed that is to be signed.
#[derive(Debug, clap::Args)]
pub(super) struct Signed {
    /// An operator's signature over the statement; may be given several times.
    #[arg(long = "signature", value_name = "FILE")]
    signatures: Vec<PathBuf>,
    /// An operator's key to sign with here, or its public half where an agent holds it; may be given several times.
    #[arg(long = "key", value_name = "FILE")]
    keys: Vec<PathBuf>,
}

/// Runs the command.
pub(super) fn run(verb: &Verb, globals: &Globals) -> anyhow::Result<Exit> {
    match verb {
        Verb::Charter { verb } => charter::run(verb, globals),
        Verb::Warrant { verb } => warrant::run(verb, globals),
        Verb::Review { verb } => review::run(verb, globals),
    }
}

fn ask(data: &Path, order: BreakGlassOrder) -> anyhow::Result<BreakGlassAnswer> {
    let answer = control::ask_break_glass(data, order).map_err(|error| unavailable(&error))?;
    if let BreakGlassAnswer::Refused { reason, invalid } = answer {
        let exit = if invalid { Exit::Invalid } else { Exit::Failed };
        return Err(Failure { message: reason, exit }.into());
    }
    Ok(answer)
}

/// Asks for what is to be signed, signs it with the keys that are named, and orders it; without either, prints it.
fn signed_order(
    globals: &Globals,
    verb: &str,
    by: &Signed,
    order: impl Fn(Vec<SignatureFile>) -> BreakGlassOrder,
) -> anyhow::Result<Exit> {
    let data = Config::load(&globals.config)?.appliance.data;
    let mut files = signatures(&by.signatures)?;
    if files.is_empty() || !by.keys.is_empty() {
        let answer = ask(&data, order(Vec::new()))?;
        let BreakGlassAnswer::ToSign { namespace, statement, used, .. } = &answer else {
            return unexpected();
        };
        if let (Some(used), false) = (used, by.keys.is_empty()) {
            // Nobody signs for a use that they have not seen.
            used::describe(&mut crate::cli::stderr(), used)?;
        }
        for key in &by.keys {
            files.push(super::signing::sign(namespace, statement, key)?);
        }
        if files.is_empty() {
            return to_sign(&answer, verb, globals);
        }
    }
    let BreakGlassAnswer::Done { leaf, by } = ask(&data, order(files))? else { return unexpected() };
    done(verb, leaf, &by, globals)?;
    Ok(Exit::Done)
}

/// Prints what is to be signed, and by whom.
fn to_sign(answer: &BreakGlassAnswer, verb: &str, globals: &Globals) -> anyhow::Result<Exit> {
    let BreakGlassAnswer::ToSign { namespace, statement, operators, threshold, used } = answer else {
        return unexpected();
    };
    match globals.output {
        Format::Table => {
            if let Some(used) = used {
                used::describe(&mut crate::cli::stderr(), used)?;
            }
            write!(stdout(), "{statement}")?;
        }
        Format::Json | Format::Jsonl => {
            let mut document = json!({
                "schema": format!("assent.v1.breakglass.{verb}"), "statement": statement, "namespace": namespace,
                "operators": operators, "threshold": threshold,
            });
            if let (Some(used), Some(fields)) = (used, document.as_object_mut()) {
                fields.insert("reviewed".to_owned(), serde_json::to_value(used)?);
            }
            writeln!(stdout(), "{}", shown::json(&document))?;
        }
    }
    let names: Vec<String> = operators.iter().map(|name| visible(name)).collect();
    talk!("to be signed by {threshold} of: {}", names.join(", "));
    talk!("write it to a file, and sign that with `ssh-keygen -Y sign -n {namespace} -f KEY FILE`");
    Ok(Exit::Pending)
}

/// Says where it stands in the log.
fn done(verb: &str, leaf: u64, by: &[String], globals: &Globals) -> std::io::Result<()> {
    let names: Vec<String> = by.iter().map(|name| visible(name)).collect();
    match globals.output {
        Format::Table => writeln!(stdout(), "in the log at leaf {leaf}, by {}", names.join(", ")),
        Format::Json | Format::Jsonl => {
            let document = json!({"schema": format!("assent.v1.breakglass.{verb}"), "leaf": leaf, "by": by});
            writeln!(stdout(), "{}", shown::json(&document))
        }
    }
}

/// Prints a list of things, each called `item`, as JSON; false where it is to be a table.
fn listed<T: Serialize>(
    verb: &str,
    (item, name): (&str, &str),
    items: &[T],
    globals: &Globals,
) -> anyhow::Result<bool> {
    match globals.output {
        Format::Table => return Ok(false),
        Format::Json => {
            let document = json!({"schema": format!("assent.v1.breakglass.{verb}"), name: items});
            writeln!(stdout(), "{}", shown::json(&document))?;
        }
        Format::Jsonl => json_lines(&format!("assent.v1.breakglass.{item}"), items)?,
    }
    Ok(true)
}

fn unexpected<T>() -> anyhow::Result<T> {
    anyhow::bail!("the appliance's answer is not understood; is it of another version?")
}

/// The warrants in these files, each verified under a trust.
pub(super) fn warrants(files: &[PathBuf], trust: &Trust, now: Timestamp) -> anyhow::Result<Vec<Warrant>> {
    use anyhow::Context as _;
    let read = |path: &PathBuf| {
        let text =
            std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        Warrant::parse(&text, trust, now)
            .with_context(|| format!("cannot use the warrant {}", path.display()))
    };
    files.iter().map(read).collect()
}
