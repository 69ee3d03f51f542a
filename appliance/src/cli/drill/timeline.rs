//! The timeline: what was observed, put on one line of time.

use super::account::{Moment, Timeline};
use super::checks::{closed_spans, millis};
use super::rehearsal::Observed;
use crate::clock::Mark;

/// Steps in which answers are counted.
const STEPS: usize = 120;

/// The timeline of a drill.
pub(super) fn of(observed: &Observed) -> Timeline {
    let begun = observed.begun;
    let at = |mark: Mark| millis(mark.0.saturating_sub(begun.0));
    let length_ms = at(observed.ended).max(1.0);
    let step_ms = length_ms / STEPS as f64;
    let (mut allowed, mut refused) = (vec![0; STEPS], vec![0; STEPS]);
    for ask in &observed.seen.asks {
        let step = step_of(at(ask.answered), step_ms);
        if let (Some(allowed), Some(refused)) = (allowed.get_mut(step), refused.get_mut(step)) {
            *allowed += ask.allowed;
            *refused += ask.unavailable + ask.wrong;
        }
    }
    let spans = closed_spans(&observed.story, observed.ended).into_iter().filter(|(_, to)| *to > begun);
    let closed_ms = spans.map(|(from, to)| (at(from), at(to))).collect();
    Timeline { length_ms, closed_ms, moments: moments(observed, at), step_ms, allowed, refused }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a quotient of two lengths below the number of steps"
)]
fn step_of(at_ms: f64, step_ms: f64) -> usize {
    ((at_ms / step_ms) as usize).min(STEPS - 1)
}

fn moments(observed: &Observed, at: impl Fn(Mark) -> f64) -> Vec<Moment> {
    // A process of its own begins closed, which is no news.
    let first = usize::from(observed.evidence.is_some());
    let mut moments = vec![Moment { at_ms: at(observed.broken), what: "broken".to_owned() }];
    let mut add = |mark: Mark, what: String| moments.push(Moment { at_ms: at(mark), what });
    for transition in
        observed.story.transitions.iter().filter(|line| line.mark_us >= observed.begun).skip(first)
    {
        match &transition.cause {
            Some(cause) => add(transition.mark_us, format!("closed: {cause}")),
            None => add(transition.mark_us, "open".to_owned()),
        }
    }
    if let Some(mended) = observed.mended {
        add(mended, "mended".to_owned());
    }
    if let Some(given) = observed.orders.and_then(|orders| orders.given) {
        add(given, "two operators signed".to_owned());
    }
    moments.sort_by(|one, other| one.at_ms.total_cmp(&other.at_ms));
    moments
}
