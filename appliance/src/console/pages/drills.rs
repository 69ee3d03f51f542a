//! Drills that ran against this appliance: which there were, and the timeline of one, drawn and as a list.

use std::fmt::Write as _;
use std::time::Duration;

use maud::{Markup, html};

use super::log::in_a_line;
use super::{ROW, Visitor, lasting, peers, raw, still, time};
use crate::console::Console;
use crate::console::drills::Drill;
use crate::console::search::Found;
use crate::log::store::StoreError;

/// The drills that the log tells of.
#[must_use]
pub fn drills(console: &Console, found: &Result<Found, StoreError>, visitor: &Visitor) -> Markup {
    still(
        console,
        "Drills",
        visitor,
        &html! {
            (which())
            @match found {
                Err(error) => p.warn { "The log cannot be read: " (error) },
                Ok(found) if found.hits.is_empty() => p { "None in the last " (found.searched) " entries." },
                Ok(found) => (marks(found)),
            }
        },
    )
}

/// Which drills are here, and where the others are.
fn which() -> Markup {
    html! {
        p { "A drill rehearses a failure. Here are those that ran against this appliance, with " code { "assent drill run --live" } ": its log is marked at the beginning and the end of each." }
        p.soft { "What " code { "assent drill run" } " rehearses without that runs on scratch appliances, and is not here: it writes its report, " code { "drills.html" } ", where it ran." }
    }
}

fn marks(found: &Found) -> Markup {
    let begun = found
        .hits
        .iter()
        .filter(|hit| hit.shown.get("begun").and_then(serde_json::Value::as_bool) == Some(true));
    html! {
        div.wide role="group" tabindex="0" aria-label="Drills" { table {
            thead { tr { th { "Leaf" } th { "Began" } th { "What was rehearsed" } } }
            tbody { @for hit in begun {
                tr {
                    td { a href=(format!("/log/{}", hit.index)) { (hit.index) } }
                    td { (time(hit.time_ms)) }
                    td { a href=(format!("/drills/{}", hit.index)) { (peers(hit.shown.get("name").and_then(serde_json::Value::as_str).unwrap_or_default(), ROW)) } }
                }
            } }
        } }
    }
}

/// One of them.
#[must_use]
pub fn drill(console: &Console, drill: &Drill, visitor: &Visitor) -> Markup {
    let allowed = drill.decisions.iter().filter(|(_, allowed)| *allowed).count();
    let closed_ms: u64 =
        drill.closed.iter().map(|(from, until)| until.unwrap_or(drill.until_ms).saturating_sub(*from)).sum();
    let span = drill.until_ms.saturating_sub(drill.begun.time_ms);
    still(
        console,
        "Drill",
        visitor,
        &html! {
            p { b { (peers(&drill.name, ROW)) } ", " (time(drill.begun.time_ms)) ". " a href="/drills" { "All drills" } }
            dl.figures {
                div { dt { "lasted" } dd { (lasting(Duration::from_millis(span))) } }
                div { dt { "token boundary closed" } dd { (closed_ms) " ms" } }
                div { dt { "allowed" } dd { (allowed) } }
                div { dt { "denied, held or unavailable" } dd { (drill.decisions.len() - allowed) } }
            }
            @if drill.ended.is_none() { p.warn { @if drill.whole { "It has not ended yet." } @else { "It is longer than what a page reads: see the log." } } }
            (picture(drill))
            ol.timeline { (line(drill, &drill.begun, "it began"))
                @for event in &drill.events { (line(drill, event, "")) }
                @if let Some(ended) = &drill.ended { (line(drill, ended, "it ended")) }
            }
            @if drill.more > 0 { p.soft { "And " (drill.more) " more, in the log." } }
        },
    )
}

fn line(drill: &Drill, hit: &crate::console::search::Hit, what: &str) -> Markup {
    let after = hit.time_ms.saturating_sub(drill.begun.time_ms);
    html! {
        li {
            span.number { "+" (after) " ms" } " "
            a href=(format!("/log/{}", hit.index)) { (hit.kind) } " "
            @if what.is_empty() { (in_a_line(hit)) } @else { (what) }
        }
    }
}

/// Width and heights of the picture, in its own units.
const WIDTH: f64 = 960.0;
const BARS: f64 = 70.0;
const BAND: f64 = 16.0;
/// Bars at most.
const STEPS: usize = 96;

/// Decisions over the drill, stacked, over a band that is red where the token boundary was closed; a tick for each event.
fn picture(drill: &Drill) -> Markup {
    let (from, span) = (drill.begun.time_ms, (drill.until_ms - drill.begun.time_ms).max(1));
    let x = |at_ms: u64| share(at_ms.saturating_sub(from), span) * WIDTH;
    let mut steps = [(0_u32, 0_u32); STEPS];
    for (at_ms, allowed) in &drill.decisions {
        let step = u128::from(at_ms.saturating_sub(from)) * STEPS as u128 / u128::from(span + 1);
        if let Some((yes, no)) = usize::try_from(step).ok().and_then(|step| steps.get_mut(step)) {
            *(if *allowed { yes } else { no }) += 1;
        }
    }
    let most = f64::from(steps.iter().map(|(yes, no)| yes + no).max().unwrap_or_default().max(1));
    let mut svg = format!("<rect class=\"open\" x=\"0\" y=\"{BARS}\" width=\"{WIDTH}\" height=\"{BAND}\"/>");
    // Writing to a string cannot fail.
    for (began, until) in &drill.closed {
        let (left, right) = (x(*began), x(until.unwrap_or(drill.until_ms)));
        let width = (right - left).max(2.0);
        let _ = write!(
            svg,
            "<rect class=\"closed\" x=\"{left:.1}\" y=\"{BARS}\" width=\"{width:.1}\" height=\"{BAND}\"/>"
        );
    }
    let width = WIDTH / f64::from(u32::try_from(STEPS).unwrap_or(u32::MAX));
    for (number, (yes, no)) in (0_u32..).zip(steps) {
        let (left, good, bad) =
            (f64::from(number) * width, f64::from(yes) / most * BARS, f64::from(no) / most * BARS);
        for (class, y, height) in [("open", BARS - good, good), ("refused", BARS - good - bad, bad)] {
            if height > 0.0 {
                let _ = write!(
                    svg,
                    "<rect class=\"{class}\" x=\"{left:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{height:.1}\"/>",
                    width - 1.0
                );
            }
        }
    }
    for event in &drill.events {
        let at = x(event.time_ms);
        let _ = write!(svg, "<line x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"0\" y2=\"{:.0}\"/>", BARS + BAND);
    }
    html! {
        figure.drill {
            (raw(format!("<svg viewBox=\"0 0 {WIDTH} {:.0}\" role=\"img\" aria-label=\"decisions over the drill, and when the token boundary was closed\" preserveAspectRatio=\"none\">{svg}</svg>", BARS + BAND)))
            figcaption.soft { "Bars: allowed, and above them what was not. Band: open, and red where the token boundary was closed. A line for each entry below." }
        }
    }
}

fn share(part: u64, whole: u64) -> f64 {
    // In thousandths of thousandths: exact enough for any picture.
    let share = u128::from(part.min(whole)) * 1_000_000 / u128::from(whole.max(1));
    f64::from(u32::try_from(share).unwrap_or(u32::MAX)) / 1_000_000.0
}
