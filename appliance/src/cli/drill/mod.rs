//! `assent drill list|run|report`: failures, rehearsed.
//!
//! Each drill has an appliance of its own in a scratch folder, real agents that ask it, and an HSM that is broken on
//! purpose. What must hold is asked of the log, of the clients and of the socket. It ends with 0 only if everything held.
//! (`appliance/DESIGN.md`, "Drills".)

mod account;
mod catalogue;
mod checks;
mod closing;
mod evidence;
mod faults;
mod load;
mod page;
mod rehearsal;
mod stage;
mod timeline;

use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Subcommand;
use serde::Serialize;
use serde_json::{Value, json};

use account::Account;
use catalogue::{Drill, ROWS, chosen};
use stage::{Hsm, Venue};

use super::output::{json_line, json_lines};
use super::{Exit, Failure, Format, Globals, simulator};
use crate::shown::counted;

/// The files of a report, in its folder.
const ACCOUNTS: &str = "drills.jsonl";
const PAGE: &str = "drills.html";

/// What to do with drills.
#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// List the drills: what is broken, and what must come of it.
    List,
    /// Hold drills: `all`, rows of the list, or a row under one load, such as `remove/loaded`.
    Run(Options),
    /// Show the report of the last run, and write its page again.
    Report {
        /// The report's folder.
        #[arg(default_value = "assent-drills")]
        folder: PathBuf,
    },
}

/// Which drills, and on what.
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// Which.
    #[arg(required = true)]
    names: Vec<String>,
    /// The HSM behind firmware-sim; by default SoftHSM2 where it is installed.
    #[arg(long)]
    hsm: Option<Hsm>,
    /// Break the HSM of the running appliance, for real: it must be firmware-sim. The agent is that of ASSENT_ADDR,
    /// ASSENT_CA, ASSENT_CERT and ASSENT_KEY.
    #[arg(long, conflicts_with = "hsm")]
    live: bool,
    /// Where the report is written.
    #[arg(long, value_name = "FOLDER", default_value = "assent-drills")]
    out: PathBuf,
    /// Keep the appliances' folders, and say where they are.
    #[arg(long)]
    keep: bool,
    /// How often `closing` closes the boundary.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u16).range(2..=10_000))]
    times: u16,
}

/// Runs the command.
pub(super) fn run(verb: &Verb, globals: &Globals) -> anyhow::Result<Exit> {
    match verb {
        Verb::List => list(globals.output),
        Verb::Run(options) => hold(options, globals),
        Verb::Report { folder } => report(folder, globals.output),
    }
}

/// A row of the list.
#[derive(Serialize)]
struct Listed {
    name: &'static str,
    hypothesis: &'static str,
}

fn list(format: Format) -> anyhow::Result<Exit> {
    let rows = ROWS.iter().map(|row| Listed { name: row.name, hypothesis: row.hypothesis });
    let all: Vec<Listed> =
        rows.chain([Listed { name: closing::NAME, hypothesis: closing::HYPOTHESIS }]).collect();
    match format {
        Format::Json => json_line(&json!({"schema": "assent.v1.drills", "drills": all}))?,
        Format::Jsonl => json_lines("assent.v1.drills.drill", &all)?,
        Format::Table => {
            let mut out = crate::cli::stdout();
            for Listed { name, hypothesis } in &all {
                writeln!(out, "{name:<14} {hypothesis}")?;
            }
            writeln!(
                crate::cli::stderr(),
                "each but `{}` under three loads: NAME/idle, NAME/lone, NAME/loaded",
                closing::NAME
            )?;
        }
    }
    Ok(Exit::Done)
}

fn hold(options: &Options, globals: &Globals) -> anyhow::Result<Exit> {
    let format = globals.output;
    let venue = if options.live {
        Venue::Live(globals.config.clone())
    } else {
        Venue::Scratch(options.hsm.unwrap_or_else(Hsm::here))
    };
    let measures = !options.live && options.names.iter().any(|name| name == closing::NAME || name == "all");
    let others: Vec<String> = options.names.iter().filter(|name| *name != closing::NAME).cloned().collect();
    let drills = chosen(&others, options.live).map_err(|name| {
        let of = if options.live { " for a live appliance" } else { "" };
        let message = format!("there is no drill `{name}`{of}; `assent drill list` shows them");
        Failure { message, exit: Exit::Failed }
    })?;
    simulator::require()?;
    let count = drills.len() + usize::from(measures);
    talk!("{} on {}", counted(count as u64, "drill", "drills"), venue.label());
    let mut lines = Vec::new();
    for drill in &drills {
        let account = account_of(drill, &venue, options.keep);
        print(&account, format)?;
        lines.push(serde_json::to_value(&account)?);
    }
    if measures {
        let measured =
            closing::measure(&venue, options.keep, usize::from(options.times)).unwrap_or_else(|why| {
                serde_json::to_value(Account::failed(
                    closing::NAME.to_owned(),
                    closing::HYPOTHESIS,
                    &venue.label(),
                    &why,
                ))
                .unwrap_or_default()
            });
        print_measured(&measured, format)?;
        lines.push(measured);
    }
    write(&options.out, &lines)?;
    conclude(&lines, &options.out)
}

fn account_of(drill: &Drill, venue: &Venue, keep: bool) -> Account {
    match rehearsal::hold(drill, venue, keep) {
        Ok(observed) => checks::judge(drill, venue, &observed),
        Err(why) => Account::failed(drill.name(), drill.row.hypothesis, &venue.label(), &why),
    }
}

/// One line a drill; what did not hold below it.
fn print(account: &Account, format: Format) -> anyhow::Result<()> {
    let mut out = crate::cli::stdout();
    if format != Format::Table {
        writeln!(out, "{}", serde_json::to_string(account)?)?;
        return Ok(());
    }
    let time = |time: Option<f64>| time.map_or_else(|| "-".to_owned(), |time| format!("{time:.2} ms"));
    let word = if account.passed { "held" } else { "FAILED" };
    writeln!(
        out,
        "{word:<7} {:<22} closed after {:>10}   open again after {:>11}   {:>6} allowed {:>6} refused",
        account.name,
        time(account.closed_after_ms),
        time(account.rearmed_after_ms),
        account.allowed,
        account.refused,
    )?;
    for check in account.broken() {
        writeln!(out, "        not held: {}: {}", check.what, check.seen)?;
    }
    Ok(())
}

fn print_measured(measured: &Value, format: Format) -> anyhow::Result<()> {
    // One that could not be held says why, as every other.
    if let Ok(failed) = serde_json::from_value::<Account>(measured.clone()) {
        return print(&failed, format);
    }
    let mut out = crate::cli::stdout();
    if format != Format::Table {
        writeln!(out, "{measured}")?;
        return Ok(());
    }
    let word = if measured.get("passed") == Some(&Value::Bool(true)) { "held" } else { "FAILED" };
    let times = |of: &str| {
        let number = |name: &str| measured.get(of)?.get(name)?.as_f64();
        let all = ["p50_ms", "p99_ms", "max_ms"]
            .map(|name| number(name).map_or("-".to_owned(), |ms| format!("{ms:.3}")));
        all.join(" / ")
    };
    writeln!(
        out,
        "{word:<7} {:<22} p50 / p99 / longest in ms: error {}; dead signer {}; from its kill {}",
        closing::NAME,
        times("after_error"),
        times("after_death"),
        times("after_kill"),
    )?;
    Ok(())
}

fn write(folder: &Path, lines: &[Value]) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    for (name, text) in [(ACCOUNTS, text), (PAGE, page::of(lines))] {
        let path = folder.join(name);
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

fn conclude(lines: &[Value], folder: &Path) -> anyhow::Result<Exit> {
    let held = lines.iter().filter(|line| line.get("passed") == Some(&Value::Bool(true))).count();
    talk!("{held} of {} drills held; the page: {}", lines.len(), folder.join(PAGE).display());
    Ok(if held == lines.len() { Exit::Done } else { Exit::Invalid })
}

fn report(folder: &Path, format: Format) -> anyhow::Result<Exit> {
    let path = folder.join(ACCOUNTS);
    let text = std::fs::read_to_string(&path)
        .with_context(|| format!("cannot read {}; `assent drill run` writes it", path.display()))?;
    let lines = text.lines().map(serde_json::from_str).collect::<Result<Vec<Value>, _>>()?;
    for line in &lines {
        match serde_json::from_value::<Account>(line.clone()) {
            Ok(account) => print(&account, format)?,
            Err(_) => print_measured(line, format)?,
        }
    }
    write(folder, &lines)?;
    conclude(&lines, folder)
}
