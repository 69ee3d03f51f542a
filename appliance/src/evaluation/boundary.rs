//! The evaluation boundary: open while the bundle's source was confirmed lately, and the clock goes forward.
//!
//! The rule it keeps: what cannot be known to be current decides nothing. It closes when the source was not confirmed within
//! `policy.max_age`, by whichever of two clocks has run further, and when the time of day goes back against the time that
//! the process has run. It opens by itself when the source is confirmed, or the clock is back. Nobody has to look for it to
//! close: whoever asks computes it from the moment that it brings.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use assent_proto::number::Timestamp;

use crate::limits::MAX_CLOCK_STEP_BACK;

/// A moment, by both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// The time of day.
    pub time: Timestamp,
    /// How long the process has run.
    pub running: Duration,
}

/// Why the boundary is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The bundle's source was not confirmed for longer than this.
    Unconfirmed(Duration),
    /// The time of day is behind where it was by this.
    ClockWentBack(Duration),
}

impl Cause {
    /// Every label.
    pub const KINDS: [&str; 2] = ["bundle_unconfirmed", "clock_went_back"];

    /// A bounded label.
    #[must_use]
    pub const fn kind(self) -> &'static str {
        match self {
            Self::Unconfirmed(_) => "bundle_unconfirmed",
            Self::ClockWentBack(_) => "clock_went_back",
        }
    }

    const fn is_like(self, other: Self) -> bool {
        matches!(
            (self, other),
            (Self::Unconfirmed(_), Self::Unconfirmed(_)) | (Self::ClockWentBack(_), Self::ClockWentBack(_))
        )
    }
}

impl std::fmt::Display for Cause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unconfirmed(max_age) => write!(
                f,
                "the bundle's source was not confirmed for {max_age:?}; make it readable again, or load a bundle with \
                 `assent policy load`"
            ),
            Self::ClockWentBack(by) => write!(
                f,
                "the machine's clock went back by {by:?}; set it right, or accept it with `assent policy load`"
            ),
        }
    }
}

/// Why, and since when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed {
    /// Why.
    pub cause: Cause,
    /// When it was first seen to be closed.
    pub since: Timestamp,
}

/// Whether intents are evaluated.
#[derive(Debug)]
pub struct EvaluationBoundary {
    max_age: Option<Duration>,
    began: Timestamp,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    confirmed: Moment,
    /// How old the confirmation was already when it was noted: that of a process before this one.
    age: Duration,
    /// The furthest that the time of day was ahead of the time that the process has run, in milliseconds.
    lead_ms: u64,
    closed: Option<Closed>,
    /// When it was first seen to be open again; at first, when it came to be.
    opened: Timestamp,
    /// How often it closed, for each cause: [`Cause::KINDS`].
    trips: [u64; Cause::KINDS.len()],
}

impl EvaluationBoundary {
    /// A boundary over a bundle whose source was confirmed at that time of day, perhaps by an earlier process.
    #[must_use]
    pub fn new(max_age: Option<Duration>, confirmed: Timestamp, now: Moment) -> Self {
        let age = Duration::from_millis(now.time.0.saturating_sub(confirmed.0));
        // A confirmation that lies ahead of us: the clock went back while nobody looked.
        let lead_ms = lead_of(now).max(confirmed.0.saturating_sub(running_ms(now)));
        let (began, trips) = (now.time, [0; Cause::KINDS.len()]);
        let state = State { confirmed: now, age, lead_ms, closed: None, opened: began, trips };
        Self { max_age, began, state: Mutex::new(state) }
    }

    /// Notes that the source was seen, and holds what decides.
    pub fn confirm(&self, now: Moment) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        (state.confirmed, state.age) = (now, Duration::ZERO);
    }

    /// Notes that an operator took responsibility for this moment: the clock is right from here on.
    pub fn accept_clock(&self, now: Moment) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).lead_ms = lead_of(now);
    }

    /// When it came to be, with the catalog and the policies that were loaded then.
    #[must_use]
    pub const fn began(&self) -> Timestamp {
        self.began
    }

    /// Since when it is open, where [`Self::closed`] says that it is.
    #[must_use]
    pub fn opened(&self) -> Timestamp {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).opened
    }

    /// When the source was last confirmed.
    #[must_use]
    pub fn confirmed(&self) -> Timestamp {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.confirmed.time.minus_ms(u64::try_from(state.age.as_millis()).unwrap_or(u64::MAX))
    }

    /// How often it closed since the start, for each cause.
    #[must_use]
    pub fn trips(&self) -> [(&'static str, u64); Cause::KINDS.len()] {
        let trips = self.state.lock().unwrap_or_else(PoisonError::into_inner).trips;
        let mut counts = trips.into_iter();
        Cause::KINDS.map(|kind| (kind, counts.next().unwrap_or_default()))
    }

    /// Why it is closed at this moment; none when it is open. Traces what changed.
    pub fn closed(&self, now: Moment) -> Option<Closed> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let cause = state.cause(self.max_age, now);
        let before = state.closed;
        state.closed = cause.map(|cause| match before {
            Some(before) if before.cause.is_like(cause) => Closed { cause, since: before.since },
            Some(_) | None => Closed { cause, since: now.time },
        });
        if let Some(closed) =
            state.closed.filter(|closed| before.is_none_or(|before| !before.cause.is_like(closed.cause)))
        {
            for (count, kind) in state.trips.iter_mut().zip(Cause::KINDS) {
                *count += u64::from(kind == closed.cause.kind());
            }
        }
        match (before, state.closed) {
            (None, Some(closed)) => {
                tracing::error!(kind = closed.cause.kind(), "evaluation boundary closed: {}", closed.cause);
            }
            (Some(_), None) => {
                state.opened = now.time;
                tracing::info!("evaluation boundary open");
            }
            (None, None) | (Some(_), Some(_)) => {}
        }
        state.closed
    }
}

impl State {
    fn cause(&mut self, max_age: Option<Duration>, now: Moment) -> Option<Cause> {
        self.lead_ms = self.lead_ms.max(lead_of(now));
        let expected = self.lead_ms.saturating_add(running_ms(now));
        let behind = Duration::from_millis(expected.saturating_sub(now.time.0));
        if behind > MAX_CLOCK_STEP_BACK {
            return Some(Cause::ClockWentBack(behind));
        }
        // A machine that was suspended ran less than time passed; one whose clock was set back, more.
        let ran = now.running.saturating_sub(self.confirmed.running);
        let passed = Duration::from_millis(now.time.0.saturating_sub(self.confirmed.time.0));
        let age = self.age.saturating_add(ran.max(passed));
        max_age.filter(|max_age| age > *max_age).map(Cause::Unconfirmed)
    }
}

fn running_ms(moment: Moment) -> u64 {
    u64::try_from(moment.running.as_millis()).unwrap_or(u64::MAX)
}

fn lead_of(moment: Moment) -> u64 {
    moment.time.0.saturating_sub(running_ms(moment))
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: u64 = 1_790_000_000_000;
    const HOUR: Duration = Duration::from_secs(3600);

    /// Both clocks, moved alike.
    fn after(seconds: u64) -> Moment {
        Moment { time: Timestamp(START + seconds * 1000), running: Duration::from_secs(seconds) }
    }

    /// The time of day, moved apart from the other.
    fn stepped(seconds: u64, step_ms: i64) -> Moment {
        let Moment { time, running } = after(seconds);
        Moment { time: Timestamp(time.0.checked_add_signed(step_ms).unwrap()), running }
    }

    fn boundary(max_age: Option<Duration>) -> EvaluationBoundary {
        EvaluationBoundary::new(max_age, Timestamp(START), after(0))
    }

    fn kind(boundary: &EvaluationBoundary, now: Moment) -> Option<&'static str> {
        boundary.closed(now).map(|closed| closed.cause.kind())
    }

    #[test]
    fn a_source_that_is_not_confirmed_closes_it_and_a_confirmation_opens_it() {
        let boundary = boundary(Some(HOUR));
        assert_eq!(boundary.closed(after(3600)), None);
        let closed = boundary.closed(after(3601)).unwrap();
        assert_eq!((closed.cause, closed.since), (Cause::Unconfirmed(HOUR), after(3601).time));
        assert_eq!(boundary.closed(after(9999)).unwrap().since, after(3601).time, "since stays");
        assert_eq!(boundary.opened(), after(0).time);
        boundary.confirm(after(10_000));
        assert_eq!(boundary.closed(after(13_600)), None);
        assert_eq!((boundary.opened(), boundary.began()), (after(13_600).time, after(0).time));
        assert_eq!(boundary.confirmed(), after(10_000).time);
        assert_eq!(kind(&boundary, after(13_601)), Some("bundle_unconfirmed"));
    }

    #[test]
    fn without_a_limit_no_age_closes_it() {
        assert_eq!(boundary(None).closed(after(1 << 30)), None);
    }

    #[test]
    fn a_confirmation_of_an_earlier_process_is_as_old_as_it_is() {
        let earlier = Timestamp(START - 3_000_000);
        let boundary = EvaluationBoundary::new(Some(HOUR), earlier, after(0));
        assert_eq!(boundary.confirmed(), earlier);
        assert_eq!(boundary.closed(after(600)), None);
        assert_eq!(kind(&boundary, after(601)), Some("bundle_unconfirmed"));
    }

    #[test]
    fn stepping_the_clock_back_makes_no_confirmation_younger() {
        let boundary = boundary(Some(HOUR));
        assert_eq!(kind(&boundary, stepped(3601, -1500)), Some("bundle_unconfirmed"));
    }

    #[test]
    fn a_suspended_machine_counts_the_time_that_passed() {
        let boundary = boundary(Some(HOUR));
        let woken = Moment { time: after(7200).time, running: Duration::from_secs(10) };
        assert_eq!(kind(&boundary, woken), Some("bundle_unconfirmed"));
    }

    #[test]
    fn a_clock_that_goes_back_closes_it_until_it_is_back() {
        let boundary = boundary(None);
        assert_eq!(boundary.closed(stepped(10, -2000)), None, "within the bound");
        assert_eq!(kind(&boundary, stepped(10, -2001)), Some("clock_went_back"));
        assert_eq!(kind(&boundary, stepped(500, -60_000)), Some("clock_went_back"), "also much later");
        assert_eq!(boundary.closed(after(501)), None, "it is back");
        assert_eq!(boundary.closed(stepped(502, 60_000)), None, "forward is another matter");
        assert_eq!(kind(&boundary, after(503)), Some("clock_went_back"), "and back from there");
        boundary.accept_clock(after(504));
        assert_eq!(boundary.closed(after(505)), None, "an operator accepted it");
        assert_eq!(
            boundary.trips(),
            [("bundle_unconfirmed", 0), ("clock_went_back", 2)],
            "each closing once"
        );
    }

    #[test]
    fn a_clock_that_went_back_while_nobody_looked_is_seen_at_start() {
        let boundary = EvaluationBoundary::new(None, Timestamp(START + 60_000), after(0));
        assert_eq!(kind(&boundary, after(1)), Some("clock_went_back"));
        assert_eq!(boundary.closed(stepped(2, 60_000)), None);
    }
}
