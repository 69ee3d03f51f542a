//! What people are to know, and whether they do; and the times that the token boundary closed and opened.

use maud::{Markup, html};

use super::{ROW, peers, time};
use crate::console::Console;
use crate::console::live::Moment;
use crate::escalation::{EscalationAnswer, EscalationOrder};

pub(super) async fn live(console: &Console, moment: &Moment) -> Markup {
    let outbox = match console.desk.status.escalation.carry_out(EscalationOrder::List).await {
        Some(EscalationAnswer::Listed { outbox, .. }) => {
            Some(serde_json::to_value(&outbox).unwrap_or_default())
        }
        Some(EscalationAnswer::Tested(_) | EscalationAnswer::Retried(_) | EscalationAnswer::Refused(_))
        | None => None,
    };
    let incidents =
        outbox.as_ref().and_then(|outbox| outbox.get("incidents")).and_then(serde_json::Value::as_array);
    let escalations = &moment.status.escalations;
    html! {
        section {
            h2 { "Who is told" }
            @if escalations.sinks.is_empty() { p.warn { "Nobody: the configuration has no " code { "[[escalation.sink]]" } "." } } @else {
                div.wide role="group" tabindex="0" aria-label="Who is told" { table {
                    thead { tr { th { "Sink" } th.number { "Waiting" } th { "Since" } th.number { "Undeliverable" } th { "Why" } } }
                    tbody { @for sink in &escalations.sinks {
                        tr {
                            td { (sink.name) } td.number { (sink.waiting) }
                            td { @if let Some(since) = sink.waiting_since_ms { (time(since)) } }
                            td.number { (sink.undeliverable) }
                            td { @if let Some(why) = sink.gone.as_ref().or(sink.reason.as_ref()) { (peers(why, ROW)) } }
                        }
                    } }
                } }
            }
        }
        section {
            h2 { "Incidents" }
            @match incidents {
                Some(incidents) if !incidents.is_empty() => {
                    div.wide role="group" tabindex="0" aria-label="Incidents" { table {
                        thead { tr { th { "Since" } th { "Severity" } th { "Kind" } th { "What" } th { "State" } } }
                        tbody { @for incident in incidents.iter().take(200) { (row(incident)) } }
                    } }
                }
                _ => { p { "None." } }
            }
        }
        section {
            h2 { "Token boundary" }
            (transitions(console))
        }
    }
}

fn row(incident: &serde_json::Value) -> Markup {
    let text = |name: &str| incident.get(name).and_then(serde_json::Value::as_str).unwrap_or_default();
    let number = |name: &str| incident.get(name).and_then(serde_json::Value::as_u64);
    html! {
        tr {
            td { @if let Some(since) = number("since_ms") { (time(since)) } }
            td { (text("severity")) }
            td { (text("kind")) }
            td { (peers(text("summary"), ROW * 2)) }
            td { @if let Some(over) = number("resolved_ms") { "over since " (time(over)) } @else { b { "open" } } }
        }
    }
}

/// When it closed and opened, the last first: the timeline of an outage or a drill.
fn transitions(console: &Console) -> Markup {
    let transitions = console.desk.status.sealer.boundary().transitions();
    html! {
        @if transitions.is_empty() { p { "It has not changed since the appliance started." } } @else {
            div.wide role="group" tabindex="0" aria-label="Changes of the token boundary" { table {
                thead { tr { th { "When" } th { "Epoch" } th { "" } th { "Cause" } } }
                tbody { @for change in transitions.iter().rev().take(100) {
                    tr {
                        td { (time(change.at_ms)) } td { (change.epoch) }
                        td { @if change.open { b.fine { "opened" } } @else { b.bad { "closed" } } }
                        td { @if let Some(cause) = &change.cause { code { (cause) } } }
                    }
                } }
            } }
        }
        p { a href="/drills" { "Drills" } ", each with its timeline. In the log: " a href="/log?kind=trip" { "all trips" } ", " a href="/log?kind=outage" { "all outages" } "." }
    }
}
