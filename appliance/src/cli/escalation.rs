//! `assent escalation list|test|retry`: what people are to know, whether they can be told, and once more.
//!
//! The running appliance answers; it alone has the outbox and the sinks' secrets.

use std::io::Write as _;

use assent_escalation::{ESCAPED, IncidentView, OutboxView, StageView};
use clap::Subcommand;
use serde_json::json;

use super::hsm::print_table;
use super::output::json_lines;
use super::{Exit, Failure, Format, Globals, utc};
use crate::config::Config;
use crate::control;
use crate::escalation::{EscalationAnswer, EscalationOrder, Tested};
use crate::shown::{counted, visible};

/// What to do with escalations.
#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// List incidents, open and past, and how far each has come at each sink.
    List,
    /// Send a test to a sink, or to all, and tell what became of it. Ends with 1 when one did not take it.
    Test {
        /// Which sink; by default all.
        #[arg(value_name = "SINK")]
        sink: Option<String>,
    },
    /// Try again at once what was not delivered.
    Retry {
        /// Which incident, by its number in the list.
        #[arg(value_name = "ID", required_unless_present = "all", conflicts_with = "all")]
        id: Option<u64>,
        /// Everything, also at sinks that wanted nothing more.
        #[arg(long)]
        all: bool,
    },
}

/// Runs the command.
pub(super) fn run(verb: &Verb, globals: &Globals) -> anyhow::Result<Exit> {
    let config = Config::load(&globals.config)?;
    let order = match verb {
        Verb::List => EscalationOrder::List,
        Verb::Test { sink } => EscalationOrder::Test { sink: sink.clone() },
        Verb::Retry { id, .. } => EscalationOrder::Retry { id: *id },
    };
    let answer = control::ask_escalation(&config.appliance.data, order);
    match answer.map_err(|error| super::unavailable(&error))? {
        EscalationAnswer::Listed { outbox, left_out } => list(&outbox, left_out, globals.output),
        EscalationAnswer::Tested(tested) => show_tests(&tested, globals.output),
        EscalationAnswer::Retried(events) => {
            let document = json!({"schema": "assent.v1.escalation.retry", "events": events});
            match globals.output {
                Format::Json | Format::Jsonl => {
                    writeln!(crate::cli::stdout(), "{}", crate::shown::json(&document))?
                }
                Format::Table => {
                    let events = counted(events as u64, "event is", "events are");
                    writeln!(crate::cli::stdout(), "{events} tried again")?;
                }
            }
            talk!("next: `assent escalation list` shows what becomes of them");
            Ok(Exit::Done)
        }
        EscalationAnswer::Refused(message) => Err(Failure { message, exit: Exit::Failed }.into()),
    }
}

/// What it is about, and whether some text of it stands escaped.
fn marked(incident: &IncidentView) -> String {
    let hides = incident.details.iter().any(|detail| detail.name == ESCAPED);
    format!("{}{}", if hides { "ESCAPED " } else { "" }, incident.summary)
}

fn list(outbox: &OutboxView, left_out: usize, format: Format) -> anyhow::Result<Exit> {
    let mut out = crate::cli::stdout();
    match format {
        Format::Json => {
            let document = json!({
                "schema": "assent.v1.escalation.list", "outbox": outbox, "left_out": left_out,
            });
            writeln!(out, "{}", crate::shown::json(&document))?;
        }
        Format::Jsonl => {
            drop(out);
            json_lines("assent.v1.escalation.incident", &outbox.incidents)?;
        }
        Format::Table => {
            drop(out);
            let rows: Vec<_> = outbox.incidents.iter().map(row).collect();
            print_table(["ID", "KIND", "SEVERITY", "SINCE", "ENDED", "SINKS", "SUMMARY"], &rows)?;
        }
    }
    if left_out > 0 {
        let incidents =
            counted(left_out as u64, "more incident, the oldest, is", "more incidents, of the oldest, are");
        talk!("{incidents} not shown");
    }
    if outbox.sinks.is_empty() {
        talk!("nobody is told: no `[[escalation.sink]]` is configured");
    }
    if let Some(why) = &outbox.not_durable {
        talk!("what was raised last would not outlive the appliance: {}", visible(why));
    }
    let undeliverable: usize = outbox.sinks.iter().map(|sink| sink.undeliverable).sum();
    if undeliverable > 0 {
        talk!("next: mend the sink, `assent escalation test`, then `assent escalation retry --all`");
    }
    Ok(Exit::Done)
}

fn row(incident: &IncidentView) -> [String; 7] {
    let drill = if incident.drill { " (drill)" } else { "" };
    [
        incident.id.to_string(),
        format!("{}{drill}", incident.kind.label()),
        incident.severity.label().to_owned(),
        utc(incident.since_ms),
        incident.ended_ms.map_or_else(|| "-".to_owned(), utc),
        sinks(incident),
        marked(incident),
    ]
}

/// How far it has come, sink by sink: its end where there is one, and its begin where that is behind.
fn sinks(incident: &IncidentView) -> String {
    let each = incident.deliveries.iter().map(|delivery| {
        let (word, progress) = match &delivery.ended {
            Some(ended) if delivery.begun.stage == StageView::Delivered => ("end ", ended),
            Some(_) | None => ("", &delivery.begun),
        };
        let stage = match progress.stage {
            StageView::Waiting => "waiting",
            StageView::Delivered => "delivered",
            StageView::Undeliverable => "undeliverable",
        };
        format!("{}: {word}{stage}", delivery.sink)
    });
    let all: Vec<String> = each.collect();
    if all.is_empty() { "-".to_owned() } else { all.join(", ") }
}

fn show_tests(tested: &[Tested], format: Format) -> anyhow::Result<Exit> {
    let mut out = crate::cli::stdout();
    match format {
        Format::Json => {
            let document = json!({"schema": "assent.v1.escalation.test", "sinks": tested});
            writeln!(out, "{}", crate::shown::json(&document))?;
        }
        Format::Jsonl => {
            drop(out);
            json_lines("assent.v1.escalation.tested", tested)?;
        }
        Format::Table => {
            for Tested { sink, failed } in tested {
                match failed {
                    None => writeln!(out, "{sink}: delivered")?,
                    Some(reason) => writeln!(out, "{sink}: FAILED: {}", visible(reason))?,
                }
            }
        }
    }
    if tested.is_empty() {
        talk!("no sink is configured; see `[[escalation.sink]]` in the example of `assent init`");
        return Ok(Exit::Failed);
    }
    let failed = tested.iter().filter(|test| test.failed.is_some()).count();
    if failed > 0 {
        talk!("next: see to the {failed} that did not take it, then test again");
    }
    Ok(if failed == 0 { Exit::Done } else { Exit::Failed })
}
