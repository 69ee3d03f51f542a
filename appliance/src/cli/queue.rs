//! `assent queue list|show|cancel`: what waits while it cannot be decided.
//!
//! The running appliance answers. Texts of agents are shown with whatever does not print made visible.

use std::io::Write as _;

use clap::Subcommand;
use serde_json::json;

use super::hsm::print_table;
use super::output::json_lines;
use super::{Exit, Failure, Format, Globals, stdout, utc};
use crate::config::Config;
use crate::control;
use crate::queue::desk::{IntentView, QueueAnswer, QueueOrder, QueueStatus, TicketView};
use crate::shown::{self, counted, visible};
use assent_proto::number::Timestamp;

/// What to do with what waits.
#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// List the tickets that wait, in the order in which they are decided.
    List,
    /// Show a ticket and its intents.
    Show {
        /// Which.
        ticket: String,
    },
    /// Withdraw a ticket: its agent hears CANCELLED, and the log has who did it and why.
    Cancel {
        /// Which.
        ticket: String,
        /// Why, for whoever reads the log.
        #[arg(long)]
        reason: String,
    },
}

/// Runs the command.
pub(super) fn run(verb: &Verb, globals: &Globals) -> anyhow::Result<Exit> {
    let config = Config::load(&globals.config)?;
    let order = match verb {
        Verb::List => QueueOrder::List,
        Verb::Show { ticket } => QueueOrder::Show { ticket: ticket.clone() },
        Verb::Cancel { ticket, reason } => {
            QueueOrder::Cancel { ticket: ticket.clone(), reason: reason.clone() }
        }
    };
    let answer = control::ask_queue(&config.appliance.data, order);
    match answer.map_err(|error| super::unavailable(&error))? {
        QueueAnswer::Listed { tickets, left_out, status } => {
            list(&tickets, left_out, &status, globals.output)
        }
        QueueAnswer::Shown { ticket, intents, left_out } => show(&ticket, &intents, left_out, globals.output),
        QueueAnswer::Cancelled(view) => {
            match globals.output {
                Format::Json | Format::Jsonl => {
                    let document = json!({"schema": "assent.v1.queue.cancel", "ticket": view});
                    writeln!(stdout(), "{}", shown::json(&document))?;
                }
                Format::Table => {
                    let (TicketView { ticket, intents, .. }, principal) = (&view, visible(&view.principal));
                    writeln!(
                        stdout(),
                        "ticket {ticket} of {principal} is withdrawn: {} denied as CANCELLED",
                        counted((*intents).into(), "intent is", "intents are")
                    )?;
                }
            }
            Ok(Exit::Done)
        }
        QueueAnswer::Refused(message) => Err(Failure { message, exit: Exit::Failed }.into()),
    }
}

fn list(tickets: &[TicketView], left_out: u64, status: &QueueStatus, format: Format) -> anyhow::Result<Exit> {
    match format {
        Format::Json => {
            let document = json!({
                "schema": "assent.v1.queue.list", "tickets": tickets, "left_out": left_out, "queue": status,
            });
            writeln!(stdout(), "{}", shown::json(&document))?;
        }
        Format::Jsonl => json_lines("assent.v1.queue.ticket", tickets)?,
        Format::Table => {
            let rows: Vec<_> = tickets.iter().map(row).collect();
            print_table(["TICKET", "PRIORITY", "STATE", "INTENTS", "SINCE", "UNTIL", "PRINCIPAL"], &rows)?;
        }
    }
    if left_out > 0 {
        talk!("{} not shown", counted(left_out, "more ticket is", "more tickets are"));
    }
    let queued: u64 = status.queued.iter().sum();
    talk!(
        "{} queued, {} approval; {} may wait. `assent queue show TICKET` shows the intents",
        counted(queued, "intent", "intents"),
        counted(status.awaiting_approval, "awaits", "await"),
        status.intents_max
    );
    Ok(Exit::Done)
}

fn row(view: &TicketView) -> [String; 7] {
    [
        view.ticket.clone(),
        view.priority.clone(),
        view.state.clone(),
        view.intents.to_string(),
        utc(Timestamp(view.since_ms)),
        utc(Timestamp(view.until_ms)),
        visible(&view.principal),
    ]
}

fn show(view: &TicketView, intents: &[IntentView], left_out: u64, format: Format) -> anyhow::Result<Exit> {
    match format {
        Format::Json => {
            let document = json!({
                "schema": "assent.v1.queue.show", "ticket": view, "intents": intents, "left_out": left_out,
            });
            writeln!(stdout(), "{}", shown::json(&document))?;
        }
        Format::Jsonl => json_lines("assent.v1.queue.intent", intents)?,
        Format::Table => {
            let mut out = stdout();
            describe(&mut out, view)?;
            intents
                .iter()
                .try_for_each(|intent| describe_intent(&mut out, &intent.digest, &intent.intent))?;
        }
    }
    if left_out > 0 {
        talk!("{} not shown", counted(left_out, "more intent is", "more intents are"));
    }
    Ok(Exit::Done)
}

/// A ticket, a line for each thing that is known of it.
pub(super) fn describe(out: &mut impl std::io::Write, view: &TicketView) -> std::io::Result<()> {
    writeln!(out, "ticket     {}", view.ticket)?;
    writeln!(out, "principal  {}", visible(&view.principal))?;
    writeln!(out, "state      {}, priority {}", view.state, view.priority)?;
    writeln!(out, "since      {}", utc(Timestamp(view.since_ms)))?;
    writeln!(out, "until      {}", utc(Timestamp(view.until_ms)))?;
    writeln!(out, "hold       leaf {} of the log", view.hold)?;
    if !view.approved_by.is_empty() {
        writeln!(out, "approved   by {}", visible(&view.approved_by.join(", ")))?;
    }
    Ok(())
}

/// An intent in full, with whatever does not print made visible.
pub(super) fn describe_intent(
    out: &mut impl std::io::Write,
    digest: &str,
    intent: &serde_json::Value,
) -> std::io::Result<()> {
    writeln!(out, "intent     {digest}")?;
    for mark in shown::marks(intent) {
        writeln!(out, "{mark}")?;
    }
    let text = serde_json::to_string_pretty(intent)?;
    text.lines().try_for_each(|line| writeln!(out, "  {}", visible(line)))
}
