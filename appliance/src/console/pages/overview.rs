//! How everything is, at a glance: the boundaries first.

use std::collections::VecDeque;
use std::fmt::Write as _;

use maud::{Markup, html};

use super::{ROW, Visitor, act, dialog, lasting, peers, raw, time};
use crate::console::Console;
use crate::console::live::{Moment, Sample};
use crate::passkeys::Act;
use crate::serving::status::{BoundaryStatus, Status};

pub(super) fn live(console: &Console, moment: &Moment, visitor: &Visitor) -> Markup {
    let status = &moment.status;
    html! {
        section aria-label="Boundaries" .boundaries {
            (boundary("Intent", "an intent that the catalog does not know is refused", &status.boundaries.intent, status))
            (boundary("Evaluation", "what cannot be evaluated is denied", &status.boundaries.evaluation, status))
            (boundary("Token", "no signed entry, no token", &status.boundaries.token, status))
        }
        @if console.awaits_order() {
            section {
                h2 { "Re-arm" }
                p { "This opens by operators only, with as many signatures as " code { "hsm.quorum" } " says." }
                @if visitor.session.may(Act::Rearm) {
                    (act("Order re-arm", "danger", &serde_json::json!({"act": "rearm", "revoke": false}), ""))
                    " "
                    (act("Order re-arm, and revoke older tokens", "danger", &serde_json::json!({"act": "rearm", "revoke": true}), ""))
                }
            }
        }
        (attention(status))
        section aria-label="Rates" .charts {
            (chart("Tokens released a second", &moment.samples, |sample| sample.tokens))
            (chart("Entries a second", &moment.samples, |sample| sample.entries))
            (chart("Entries in a round", &moment.samples, |sample| sample.round))
            (chart("Intents that wait", &moment.samples, |sample| f64::from(u32::try_from(sample.waiting).unwrap_or(u32::MAX))))
        }
        section {
            h2 { "Log and signer" }
            dl {
                dt { "Epoch" } dd { (status.epoch) }
                dt { "Log" } dd { (status.counters.log_size) " entries, " (status.counters.rounds) " rounds since start" }
                dt { "Last checkpoint" } dd { (age(status.counters.last_checkpoint_ms, status.now_ms)) }
                dt { "Unsigned" } dd { (status.counters.unsigned_entries) " of at most " (status.unsigned_max) }
                dt { "Signatures" } dd { (status.counters.signatures) " verified since start, " (status.counters.slow_signatures) " slow" }
                dt { "Tokens" } dd { (status.counters.tokens_released) " released since start" }
                dt { "Trips" } dd { (status.counters.trips) " since start" }
                dt { "Agents connect to" } dd { (status.listen) }
            }
        }
        (dialog())
    }
}

fn boundary(name: &str, rule: &str, boundary: &BoundaryStatus, status: &Status) -> Markup {
    html! {
        article.boundary.open[boundary.open].closed[!boundary.open] {
            h2 { (name) " boundary" }
            p.state { @if boundary.open { "Open" } @else { "Closed" } }
            @if let Some(since) = boundary.since_ms {
                p { "since " (time(since)) ", " (lasting(std::time::Duration::from_millis(status.now_ms.saturating_sub(since)))) " ago, epoch " (status.epoch) }
            }
            @if let Some(message) = &boundary.message { p { (peers(message, ROW * 4)) } }
            @if let Some(cause) = &boundary.cause { p.soft { "cause: " code { (cause) } } }
            @if boundary.open { p.soft { (rule) } }
        }
    }
}

fn age(at_ms: u64, now_ms: u64) -> Markup {
    match at_ms {
        0 => html! { "none since start" },
        at => {
            html! { (time(at)) ", " (lasting(std::time::Duration::from_millis(now_ms.saturating_sub(at)))) " ago" }
        }
    }
}

/// What needs people, each with where to go; nothing where nothing does.
fn attention(status: &Status) -> Markup {
    let waiting = status.queue.queued.iter().sum::<u64>();
    let items = [
        (status.queue.awaiting_approval, "/holds", "await approval"),
        (waiting, "/queue", "wait for the boundaries"),
        (status.break_glass.reviews_overdue, "/breakglass", "reviews are overdue"),
        (status.escalations.open, "/escalations", "escalations are open"),
        (u64::from(status.policy.refused.is_some()), "/policy", "bundle was refused"),
    ];
    html! {
        @if items.iter().any(|(count, ..)| *count > 0) {
            section {
                h2 { "Needs people" }
                ul.attention { @for (count, path, what) in items { @if count > 0 { li { a href=(path) { b { (count) } " " (what) } } } } }
            }
        }
    }
}

const WIDTH: f64 = 300.0;
const HEIGHT: f64 = 64.0;

/// A line over the last minutes, with its newest and its highest value.
fn chart(title: &str, samples: &VecDeque<Sample>, of: fn(&Sample) -> f64) -> Markup {
    let most = samples.iter().map(of).fold(0.0, f64::max);
    let newest = samples.back().map_or(0.0, of);
    let step = WIDTH / f64::from(u32::try_from(samples.len().max(2) - 1).unwrap_or(u32::MAX));
    let scale = if most > 0.0 { (HEIGHT - 4.0) / most } else { 0.0 };
    let (mut line, mut shut, mut x) = (String::new(), String::new(), 0.0);
    for sample in samples {
        let y = HEIGHT - 2.0 - of(sample) * scale;
        // Writing to a string cannot fail.
        let _ = write!(line, "{x:.1},{y:.1} ");
        if !sample.open {
            let _ = write!(
                shut,
                "<rect class=\"shut\" x=\"{x:.1}\" y=\"0\" width=\"{step:.1}\" height=\"{HEIGHT}\"/>"
            );
        }
        x += step;
    }
    let words = format!("{title}: {newest:.0} now, {most:.0} at most in the last minutes");
    html! {
        figure {
            figcaption { (title) " " b { (format!("{newest:.0}")) } " " span.soft { "at most " (format!("{most:.0}")) } }
            (raw(format!("<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{words}\" preserveAspectRatio=\"none\">{shut}<polyline points=\"{line}\"/></svg>")))
        }
    }
}
