//! `assent queue list|show|cancel`: what waits while it cannot be decided.
//!
//! The running appliance answers. Texts of agents are shown with whatever does not print made visible.

use std::io::Write as _;

use clap::Subcommand;
use serde_json::json;

use super::hsm::print_table;
use super::{Exit, Failure, Format, Globals, utc};
use crate::config::Config;
use crate::control;
use crate::queue::desk::{IntentView, QueueAnswer, QueueOrder, QueueStatus, TicketView};
use crate::shown::{self, visible};
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
        QueueAnswer::Cancelled(ticket) => {
            match globals.output {
                Format::Json | Format::Jsonl => {
                    let document = json!({"schema": "assent.v1.queue.cancel", "ticket": ticket});
                    writeln!(std::io::stdout(), "{}", shown::json(&document))?;
                }
                Format::Table => {
                    let TicketView { ticket, intents, principal, .. } = &ticket;
                    writeln!(
                        std::io::stdout(),
                        "ticket {ticket} of {principal} is withdrawn: {intents} intents are denied as CANCELLED"
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
            writeln!(std::io::stdout(), "{}", shown::json(&document))?;
        }
        Format::Jsonl => {
            let mut out = std::io::stdout().lock();
            for ticket in tickets {
                writeln!(out, "{}", shown::json(&serde_json::to_value(ticket)?))?;
            }
        }
        Format::Table => {
            let rows: Vec<_> = tickets.iter().map(row).collect();
            print_table(["TICKET", "PRIORITY", "STATE", "INTENTS", "SINCE", "UNTIL", "PRINCIPAL"], &rows)?;
        }
    }
    if left_out > 0 {
        eprintln!("{left_out} more tickets are not shown");
    }
    let queued: u64 = status.queued.iter().sum();
    eprintln!(
        "{queued} intents queued, {} await approval; {} may wait. `assent queue show TICKET` shows the intents",
        status.awaiting_approval, status.intents_max
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
    let mut out = std::io::stdout().lock();
    match format {
        Format::Json => {
            let document = json!({
                "schema": "assent.v1.queue.show", "ticket": view, "intents": intents, "left_out": left_out,
            });
            writeln!(out, "{}", shown::json(&document))?;
        }
        Format::Jsonl => {
            for intent in intents {
                writeln!(out, "{}", shown::json(&serde_json::to_value(intent)?))?;
            }
        }
        Format::Table => {
            describe(&mut out, view)?;
            intents.iter().try_for_each(|intent| describe_intent(&mut out, intent))?;
        }
    }
    if left_out > 0 {
        eprintln!("{left_out} more intents are not shown");
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
pub(super) fn describe_intent(out: &mut impl std::io::Write, view: &IntentView) -> std::io::Result<()> {
    writeln!(out, "intent     {}", view.digest)?;
    let text = serde_json::to_string_pretty(&view.intent)?;
    text.lines().try_for_each(|line| writeln!(out, "  {}", visible(line)))
}
