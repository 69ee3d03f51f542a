//! How everything is, at a glance: the boundaries first.

use std::collections::VecDeque;
use std::fmt::Write as _;

use maud::{Markup, html};

use super::{ROW, Visitor, act, dialog, peers, raw, time, until};
use crate::console::Console;
use crate::console::acts::Collected;
use crate::console::live::{Moment, Sample, Tail};
use crate::meters::Bound;
use crate::passkeys::Act;
use crate::serving::status::{BoundaryStatus, Status};
use crate::shown::age;

pub(super) fn live(console: &Console, moment: &Moment, visitor: &Visitor) -> Markup {
    let status = &moment.status;
    let at = (status.now_ms, status.epoch);
    let collected = console.collected(visitor.now);
    html! {
        section aria-label="Boundaries" .boundaries {
            (boundary("Intent", "an intent that the catalog does not know is refused", &status.boundaries.intent, at))
            (boundary("Evaluation", "what cannot be evaluated is denied", &status.boundaries.evaluation, at))
            (boundary("Token", "no signed entry, no token", &status.boundaries.token, at))
        }
        @if console.awaits_order() {
            section {
                h2 { "Re-arm" }
                p { "This opens by operators only, with as many signatures as " code { "hsm.quorum" } " says." }
                @for kept in collected.iter().filter(|kept| kept.act == Act::Rearm) { (signed(kept, status.now_ms)) }
                @if visitor.session.may(Act::Rearm) {
                    (act("Order re-arm", "danger", &serde_json::json!({"act": "rearm", "revoke": false}), ""))
                    " "
                    (act("Order re-arm, and revoke older tokens", "danger", &serde_json::json!({"act": "rearm", "revoke": true}), ""))
                }
            }
        }
        (attention(status, collected.len() as u64))
        section aria-label="Rates and times" .charts {
            (chart("Tokens released a second", &moment.samples, |sample| sample.tokens))
            (chart("Entries a second", &moment.samples, |sample| sample.entries))
            (chart("Entries in a round", &moment.samples, |sample| sample.round))
            (chart("Intents that wait", &moment.samples, |sample| f64::from(u32::try_from(sample.waiting).unwrap_or(u32::MAX))))
            (times("Signatures", &moment.samples, |sample| sample.signature))
            (times("Answers", &moment.samples, |sample| sample.answer))
        }
        section {
            h2 { "Log and signer" }
            dl {
                dt { "Epoch" } dd { (status.epoch) }
                dt { "Log" } dd { (status.counters.log_size) " entries, " (status.counters.rounds) " rounds since start" }
                dt { "Last checkpoint" } dd { (when(status.counters.last_checkpoint_ms, status.now_ms)) }
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

/// One boundary, as it is now, and in which epoch.
fn boundary(name: &str, rule: &str, boundary: &BoundaryStatus, (now_ms, epoch): (u64, u64)) -> Markup {
    html! {
        article.boundary.open[boundary.open].closed[!boundary.open] {
            h2 { (name) " boundary" }
            p.state { @if boundary.open { "Open" } @else { "Closed" } }
            p {
                @if let Some(since) = boundary.since_ms {
                    "since " (time(since)) ", " (age(since, now_ms)) " ago, "
                }
                "epoch " (epoch)
            }
            @if let Some(message) = &boundary.message { p { (peers(message, ROW * 4)) } }
            @if let Some(cause) = &boundary.cause { p.soft { "cause: " code { (cause) } } }
            @if boundary.open { p.soft { (rule) } }
        }
    }
}

/// An order of re-arm that others have signed: who, and until when it waits for the next.
fn signed(kept: &Collected, now_ms: u64) -> Markup {
    html! {
        p.signed {
            b { "Signed by " (kept.by.join(", ")) } @if kept.revokes() { ", revoking older tokens" }
            ": waits for others until " (until(kept.until_ms(), now_ms)) ". Whoever orders the same signs it, too."
        }
    }
}

fn when(at_ms: u64, now_ms: u64) -> Markup {
    match at_ms {
        0 => html! { "none since start" },
        at => {
            html! { (time(at)) ", " (age(at, now_ms)) " ago" }
        }
    }
}

/// What needs people, each with where to go; nothing where nothing does.
fn attention(status: &Status, collected: u64) -> Markup {
    let waiting = status.queue.queued.iter().sum::<u64>();
    let stands = &status.break_glass;
    let due = stands.reviews_open.saturating_sub(stands.reviews_overdue);
    let items = [
        (
            collected,
            "/breakglass",
            "statement waits for more signatures",
            "statements wait for more signatures",
        ),
        (status.queue.awaiting_approval, "/holds", "awaits approval", "await approval"),
        (waiting, "/queue", "waits for the boundaries", "wait for the boundaries"),
        (stands.reviews_overdue, "/breakglass", "review is overdue", "reviews are overdue"),
        (due, "/breakglass", "use of a warrant is to be reviewed", "uses of warrants are to be reviewed"),
        (status.escalations.open, "/escalations", "escalation is open", "escalations are open"),
        (
            u64::from(status.policy.standing_refusal().is_some()),
            "/policy",
            "bundle was refused",
            "bundles were refused",
        ),
    ];
    html! {
        @if items.iter().any(|(count, ..)| *count > 0) {
            section {
                h2 { "Needs people" }
                ul.attention { @for (count, path, one, several) in items {
                    @if count > 0 { li { a href=(path) { b { (count) } " " (if count == 1 { one } else { several }) } } }
                } }
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
    let words = format!("{title}: {newest:.0} now, {most:.0} at most in the last minutes");
    html! {
        figure {
            figcaption { (title) " " b { (format!("{newest:.0}")) } " " span.soft { "at most " (format!("{most:.0}")) } }
            (drawn(&words, samples, most, &[("", &|sample| Some(of(sample)))]))
        }
    }
}

/// How long something took in each beat of the last minutes: half of them, dashed, and all but one of a hundred.
fn times(title: &str, samples: &VecDeque<Sample>, of: fn(&Sample) -> Tail) -> Markup {
    let told = |bound: Option<Bound>| bound.map_or_else(|| "-".to_owned(), |bound| bound.to_string());
    let newest = samples.back().map(of).unwrap_or_default();
    let slowest = samples.iter().filter_map(|sample| of(sample).p99).max_by_key(|bound| micros(*bound));
    let most = slowest.map_or(0.0, micros_drawn);
    let (p50, p99, slowest) = (told(newest.p50), told(newest.p99), told(slowest));
    let words = format!("{title}: p50 {p50}, p99 {p99} now, p99 {slowest} at most in the last minutes");
    let line = |at: fn(Tail) -> Option<Bound>| move |sample: &Sample| at(of(sample)).map(micros_drawn);
    let (half, tail) = (line(|tail| tail.p50), line(|tail| tail.p99));
    html! {
        figure {
            figcaption { (title) " " b { "p50 " (p50) ", p99 " (p99) } " " span.soft { "slowest p99 " (slowest) } }
            (drawn(&words, samples, most, &[(" stroke-dasharray=\"3 3\"", &half), ("", &tail)]))
        }
    }
}

const fn micros(bound: Bound) -> u64 {
    match bound {
        Bound::AtMost(us) | Bound::Above(us) => us,
    }
}

fn micros_drawn(bound: Bound) -> f64 {
    f64::from(u32::try_from(micros(bound)).unwrap_or(u32::MAX))
}

/// A line's own attributes, and its value at each sample; none is a gap.
type Drawn<'a> = (&'a str, &'a dyn Fn(&Sample) -> Option<f64>);

/// Lines over the last minutes, shaded where a boundary was closed.
fn drawn(words: &str, samples: &VecDeque<Sample>, most: f64, lines: &[Drawn<'_>]) -> Markup {
    let step = WIDTH / f64::from(u32::try_from(samples.len().max(2) - 1).unwrap_or(u32::MAX));
    let scale = if most > 0.0 { (HEIGHT - 4.0) / most } else { 0.0 };
    let (mut svg, mut x) = (String::new(), 0.0);
    // Writing to a string cannot fail.
    for sample in samples {
        if !sample.open {
            let _ = write!(
                svg,
                "<rect class=\"shut\" x=\"{x:.1}\" y=\"0\" width=\"{step:.1}\" height=\"{HEIGHT}\"/>"
            );
        }
        x += step;
    }
    for (attributes, of) in lines {
        for points in pieces(samples, step, |value| HEIGHT - 2.0 - value * scale, of) {
            let _ = write!(svg, "<polyline{attributes} points=\"{points}\"/>");
        }
    }
    html! {
        svg viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) role="img" aria-label=(words) preserveAspectRatio="none" { (raw(svg)) }
    }
}

/// The pieces of a line between its gaps. Each begins a step earlier, where its first beat began, so that one beat alone is seen.
fn pieces(
    samples: &VecDeque<Sample>,
    step: f64,
    y_of: impl Fn(f64) -> f64,
    of: &dyn Fn(&Sample) -> Option<f64>,
) -> Vec<String> {
    let (mut pieces, mut piece, mut x) = (Vec::new(), String::new(), 0.0);
    for sample in samples {
        match of(sample).map(&y_of) {
            None if piece.is_empty() => {}
            None => pieces.push(std::mem::take(&mut piece)),
            Some(y) => {
                if piece.is_empty() {
                    // Writing to a string cannot fail.
                    let _ = write!(piece, "{:.1},{y:.1} ", x - step);
                }
                let _ = write!(piece, "{x:.1},{y:.1} ");
            }
        }
        x += step;
    }
    if !piece.is_empty() {
        pieces.push(piece);
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_drawn_with_gaps_where_nothing_was_measured_and_told_in_words() {
        let at = |us| Tail { p50: Some(Bound::AtMost(us / 2)), p99: Some(Bound::AtMost(us)) };
        let tails = [at(4000), Tail::default(), at(2000), at(1000), Tail::default()];
        let samples = tails.map(|answer| Sample { answer, open: true, ..Sample::default() }).into();
        let shown = times("Answers", &samples, |sample| sample.answer).into_string();
        assert_eq!(shown.matches("<polyline").count(), 4, "two lines of two pieces each: {shown}");
        assert!(shown.contains("p50 -, p99 - now, p99 &lt;=4ms at most"), "{shown}");
        let none = times("Answers", &VecDeque::new(), |sample| sample.answer).into_string();
        assert!(none.contains("p50 -, p99 -") && !none.contains("<polyline"), "{none}");
    }

    #[test]
    fn a_boundary_says_since_when_also_while_it_is_open() {
        let open =
            |since_ms| BoundaryStatus { open: true, cause: None, class: None, message: None, since_ms };
        let shown = boundary("Token", "rule", &open(Some(60_000)), (90_000, 7)).into_string();
        let since = html! { "since " (time(60_000)) ", 30 s ago, epoch 7" }.into_string();
        assert!(shown.contains(&since), "{shown}");
        let shown = boundary("Token", "rule", &open(None), (90_000, 7)).into_string();
        assert!(shown.contains("epoch 7") && !shown.contains("since"), "{shown}");
    }
}
