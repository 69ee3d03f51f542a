//! What people are to know, and whether they do; and the times that the token boundary closed and opened.

use std::cmp::Reverse;

use assent_escalation::{DeliveryView, ESCAPED, IncidentView, ProgressView, StageView};
use maud::{Markup, html};

use super::{ROW, ROWS, peers, time};
use crate::console::Console;
use crate::console::live::Moment;
use crate::escalation::{EscalationAnswer, EscalationOrder, is_open};
use crate::shown::counted;

pub(super) async fn live(console: &Console, moment: &Moment) -> Markup {
    let listed = match console.desk.status.escalation.carry_out(EscalationOrder::List).await {
        Some(EscalationAnswer::Listed { outbox, left_out }) => Some((outbox.incidents, left_out)),
        Some(EscalationAnswer::Tested(_) | EscalationAnswer::Retried(_) | EscalationAnswer::Refused(_))
        | None => None,
    };
    let escalations = &moment.status.escalations;
    html! {
        section {
            h2 { "Who is told" }
            @if escalations.sinks.is_empty() { p.warn { "Nobody: the configuration has no " code { "[[escalation.sink]]" } "." } } @else {
                div.wide.rows role="group" tabindex="0" aria-label="Who is told" { table {
                    thead { tr { th { "Sink" } th.number { "Waiting" } th { "Since" } th.number { "Undeliverable" } th { "Why" } } }
                    tbody { @for sink in &escalations.sinks {
                        tr {
                            td data-what="Sink" { (sink.name) } td.number data-what="Waiting" { (sink.waiting) }
                            td data-what="Since" { @if let Some(since) = sink.waiting_since_ms { (time(since)) } }
                            td.number data-what="Undeliverable" { (sink.undeliverable) }
                            td data-what="Why" { @if let Some(why) = sink.gone.as_ref().or(sink.reason.as_ref()) { (peers(why, ROW)) } }
                        }
                    } }
                } }
            }
        }
        section {
            h2 { "Incidents" }
            @match listed {
                Some((found, left_out)) => { (incidents(found, left_out)) }
                None => { p.warn { "The outbox cannot be read now." } }
            }
        }
        section {
            h2 { "Token boundary" }
            (transitions(console))
        }
    }
}

/// Those that are open first, and of each the newest first.
fn incidents(mut found: Vec<IncidentView>, left_out: usize) -> Markup {
    found.sort_by_key(|incident| (!is_open(incident), Reverse((incident.since_ms, incident.id))));
    let more = found.len().saturating_sub(ROWS) + left_out;
    html! {
        @if found.is_empty() { p { "None." } } @else {
            div.wide.rows role="group" tabindex="0" aria-label="Incidents" { table {
                thead { tr { th { "Since" } th { "Severity" } th { "Kind" } th { "What" } th { "State" } th { "Told" } } }
                tbody { @for incident in found.iter().take(ROWS) { (row(incident)) } }
            } }
        }
        @if more > 0 { p.soft { "And " (more) " more." } }
    }
}

fn row(incident: &IncidentView) -> Markup {
    html! {
        tr {
            td data-what="Since" { (time(incident.since_ms.0)) }
            td data-what="Severity" { (incident.severity.label()) }
            td data-what="Kind" { (incident.kind.label().replace('_', " ")) }
            td data-what="What" { (peers(&incident.summary, ROW * 2)) @if hides(incident) { " " b.marked { "ESCAPED" } } }
            td data-what="State" {
                @if let Some(over) = incident.ended_ms { "over since " (time(over.0)) }
                @else if is_open(incident) { b { "open" } }
                @else { "over at once" }
            }
            td data-what="Told" { @for delivery in &incident.deliveries { (told(delivery)) } }
        }
    }
}

/// Whether some text of it is not what was written: all of them came in with what does not print written out.
fn hides(incident: &IncidentView) -> bool {
    incident.details.iter().any(|detail| detail.name == ESCAPED)
}

/// How far it has come at a sink, its end included where there is one.
fn told(delivery: &DeliveryView) -> Markup {
    html! {
        div {
            (peers(&delivery.sink, ROW)) ": " (progress(&delivery.begun))
            @if let Some(ended) = &delivery.ended { "; its end: " (progress(ended)) }
        }
    }
}

fn progress(progress: &ProgressView) -> Markup {
    html! {
        @match progress.stage {
            StageView::Waiting => {
                "waits"
                @if let Some(next) = progress.next_attempt_ms { " until " (time(next.0)) }
                @if progress.failed_attempts > 0 { ", " (counted(progress.failed_attempts.into(), "attempt", "attempts")) " failed" }
            }
            StageView::Delivered => { "told" @if let Some(at) = progress.delivered_ms { " " (time(at.0)) } }
            StageView::Undeliverable => { b.bad { "undeliverable" } }
        }
        @if let Some(why) = &progress.reason { ": " (peers(why, ROW)) }
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

#[cfg(test)]
mod tests {
    use assent_escalation::{Detail, IncidentKey, Kind};
    use assent_proto::number::Timestamp;

    use super::*;

    fn incident(id: u64, kind: Kind, ended_ms: Option<Timestamp>) -> IncidentView {
        let begun = ProgressView {
            stage: StageView::Undeliverable,
            failed_attempts: 3,
            next_attempt_ms: None,
            delivered_ms: None,
            reason: Some("no <route>".to_owned()),
        };
        IncidentView {
            id,
            key: IncidentKey::new("o", kind, &id.to_string()),
            kind,
            severity: kind.severity(),
            summary: format!("incident {id}"),
            cause: String::new(),
            origin: "o".to_owned(),
            epoch: None,
            drill: false,
            since_ms: Timestamp(id * 1000),
            ended_ms,
            details: Vec::new(),
            deliveries: vec![DeliveryView { sink: "pager".to_owned(), begun, ended: None }],
        }
    }

    #[test]
    fn what_is_over_says_since_when_and_what_nothing_ends_is_not_open() {
        let over = row(&incident(1, Kind::Trip, Some(Timestamp(60_000)))).into_string();
        let since = html! { "over since " (time(60_000)) }.into_string();
        assert!(over.contains(&since) && !over.contains("<b>open</b>"), "{over}");
        assert!(over.contains("pager") && over.contains("undeliverable"), "{over}");
        assert!(over.contains("no &lt;route&gt;"), "{over}");
        let open = row(&incident(2, Kind::Trip, None)).into_string();
        assert!(open.contains("<b>open</b>") && !open.contains("over"), "{open}");
        let at_once = row(&incident(3, Kind::WarrantUsed, None)).into_string();
        assert!(!at_once.contains("<b>open</b>"), "{at_once}");
    }

    #[test]
    fn what_hides_something_is_marked() {
        let mut incident = incident(1, Kind::BundleRefused, None);
        assert!(!row(&incident).into_string().contains("ESCAPED"));
        incident.details.push(Detail { name: ESCAPED.to_owned(), value: String::new() });
        assert!(row(&incident).into_string().contains("<b class=\"marked\">ESCAPED</b>"));
    }

    #[test]
    fn open_ones_stand_first_then_the_newest_and_the_rest_is_counted() {
        let over = |id| incident(id, Kind::Trip, Some(Timestamp(id * 1000 + 1)));
        let mut found: Vec<_> = (1..=ROWS as u64 + 1).map(over).collect();
        found.insert(0, incident(0, Kind::Trip, None));
        let shown = incidents(found, 5).into_string();
        let at = |id: u64| shown.find(&format!("incident {id}<")).unwrap_or(usize::MAX);
        let newest = ROWS as u64 + 1;
        assert!(at(0) < at(newest) && at(newest) < at(newest - 1), "{shown}");
        assert!(at(1) == usize::MAX && at(2) == usize::MAX, "the oldest are cut");
        assert!(shown.contains("And 7 more."), "{shown}");
    }
}
