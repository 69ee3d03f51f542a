//! Sending: which event a sink gets next, what its answer means, and how operators try again.
//!
//! A sink that does not answer holds its line up, for what is behind would fare no better. Something new in the line asks it
//! once more, beside the schedule: whoever was down for hours hears of a trip when it is back, not when the schedule says.

use std::collections::HashSet;

use assent_proto::number::Timestamp;

use super::record::{Progress, Record, Stage};
use super::state::{Line, State};
use super::{Outcome, Retry};
use crate::incident::{End, Incident, Kind};
use crate::limits::{MAX_REASON_BYTES, MAX_RETRY_AFTER_SECONDS, PROBE_PAUSE_MS};
use crate::message::{Message, Phase};
use crate::schedule::{DELAYS_MS, next_attempt};
use crate::visible::visible;

/// No attempt lies further ahead than this; one that does was set by a clock that has gone back since.
const MAX_AHEAD_MS: u64 = {
    let day = MAX_RETRY_AFTER_SECONDS * 1000;
    let [.., longest] = DELAYS_MS;
    2 * (if longest > day { longest } else { day })
};

/// What a sink's thread does next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// It sends this.
    Send(Box<Message>),
    /// It waits: until then, or until something is raised.
    Wait(Option<Timestamp>),
}

const fn has_come(due: Timestamp, now: Timestamp) -> bool {
    due.0 <= now.0 || due.0 > now.0.saturating_add(MAX_AHEAD_MS)
}

impl Line {
    /// When something new may ask a sink that did not answer.
    fn probe_at(&self) -> Option<Timestamp> {
        let failed_at = self.failed_at.filter(|_| self.probe)?;
        Some(failed_at.plus_ms(PROBE_PAUSE_MS).max(self.put_off_until))
    }
}

impl State {
    /// What goes to a sink next.
    pub(super) fn next(&self, sink: &str, now: Timestamp) -> Next {
        let Some(line) = self.line(sink).filter(|_| !self.standing.gone.contains_key(sink)) else {
            return Next::Wait(None);
        };
        let mut wake: Option<Timestamp> = None;
        let mut passed_by = HashSet::new();
        for (&sequence, &(number, phase)) in &line.waiting {
            let Some(record) = self.records.get(&number) else { continue };
            let delivery = record.deliveries.iter().find(|delivery| delivery.sink == sink);
            let Some(progress) = delivery.and_then(|delivery| delivery.progress(phase)) else { continue };
            let Stage::Waiting { due, aside } = progress.stage else { continue };
            let key = record.incident.key();
            // An end does not overtake its alert, nor an incident the one before it that has its key.
            if passed_by.contains(key) {
                continue;
            }
            let due = if aside { due } else { line.probe_at().map_or(due, |probe| due.min(probe)) };
            if has_come(due, now) {
                let end = match phase {
                    Phase::Begun => None,
                    Phase::Ended => record.ending.as_ref().map(|ending| ending.end.clone()),
                };
                let incident = record.incident.clone();
                let message = Message::new(number, sequence, sink, progress.failed, incident, end);
                return Next::Send(Box::new(message));
            }
            wake = Some(wake.map_or(due, |wake| wake.min(due)));
            if !aside {
                break;
            }
            passed_by.insert(key);
        }
        Next::Wait(wake)
    }

    /// Notes what became of an attempt.
    pub(super) fn settle(&mut self, message: &Message, outcome: &Outcome, now: Timestamp, jitter: u8) {
        let (sink, phase) = (message.sink(), message.phase());
        let Some(line) = self.line_mut(sink) else { return };
        line.probe = false;
        match outcome {
            Outcome::Delivered | Outcome::Refused { .. } => {
                line.failed_at = None;
                line.put_off_until = Timestamp(0);
            }
            Outcome::Failed { retry_after_seconds, .. } => {
                line.failed_at = Some(now);
                line.put_off_until = put_off_until(*retry_after_seconds, now).unwrap_or(Timestamp(0));
            }
            Outcome::Gone { .. } => {}
        }
        let record = self.records.get_mut(&message.number);
        let delivery = record.and_then(|record| record.delivery_mut(sink));
        let Some(progress) = delivery.and_then(|delivery| delivery.progress_mut(phase)) else { return };
        if !progress.is_waiting() {
            return;
        }
        advance(progress, outcome, now, jitter);
        let given_up = progress.is_undeliverable();
        if given_up {
            self.give_up_the_end(message, now);
        }
        self.stand_in_line(message.number);
        self.changed.insert(message.number);
        self.forget_the_oldest();
        match outcome {
            Outcome::Delivered => self.tell_that_it_takes_again(sink, now),
            Outcome::Gone { reason } => {
                self.standing.gone.insert(sink.to_owned(), (now, visible(reason, MAX_REASON_BYTES)));
                self.standing_changed = true;
                self.tell_that_it_takes_nothing(message, "gone", reason, now);
            }
            Outcome::Failed { reason, .. } | Outcome::Refused { reason, .. } if given_up => {
                self.tell_that_it_takes_nothing(message, "attempts_exhausted", reason, now);
            }
            Outcome::Failed { .. } | Outcome::Refused { .. } => {}
        }
    }

    /// The end of what was not delivered is not delivered either.
    fn give_up_the_end(&mut self, message: &Message, now: Timestamp) {
        let record = self.records.get_mut(&message.number);
        let delivery = record.and_then(|record| record.delivery_mut(message.sink()));
        if let Some(end) = delivery.and_then(|delivery| delivery.ended.as_mut())
            && end.is_waiting()
            && message.phase() == Phase::Begun
        {
            *end = Progress::undeliverable(now, "its alert was not delivered");
        }
    }

    fn tell_that_it_takes_nothing(&mut self, message: &Message, cause: &str, reason: &str, now: Timestamp) {
        let sink = message.sink().to_owned();
        let summary = format!("escalations do not reach the sink `{sink}`: {reason}");
        let incident = Incident::new(Kind::EscalationUndeliverable, &self.origin, &sink, &summary, now)
            .caused_by(cause)
            .with_detail("sink", &sink)
            .with_detail("incident", message.incident().key().as_str())
            .in_drill(message.incident().is_drill());
        // Known already where it has been said of this sink; refused, and counted, where there is no room.
        let _ = self.begin(&incident, Some(&sink), now);
    }

    /// Ends what the other sinks were told, once nothing is left that this one did not take.
    fn tell_that_it_takes_again(&mut self, sink: &str, now: Timestamp) {
        let key = self.undeliverable_key(sink);
        if !self.newest.get(&key).and_then(|number| self.records.get(number)).is_some_and(|u| u.is_open()) {
            return;
        }
        // What has begun anew since is not tried again, and keeps nobody waiting.
        let current =
            |(number, record): &(&u64, &Record)| self.newest.get(record.incident.key()) == Some(*number);
        let here = self.records.iter().filter(current).flat_map(|(_, record)| &record.deliveries);
        let mut here = here.filter(|delivery| delivery.sink == sink);
        let left = here.any(|delivery| delivery.both().any(Progress::is_undeliverable));
        if !left {
            let end = End::new(key, now).because(&format!("escalations reach the sink `{sink}` again"));
            let _ = self.end(&end, now);
        }
    }

    /// Puts back what operators want to be tried again; gives how many events.
    pub(super) fn retry(&mut self, what: Retry, now: Timestamp) -> usize {
        let mut put_back = 0;
        let numbers: Vec<u64> = match what {
            Retry::All => self.records.keys().copied().collect(),
            Retry::Incident(number) => vec![number],
        };
        let mut asked = HashSet::new();
        for number in numbers {
            let Some(record) = self.records.get_mut(&number) else { continue };
            // What has begun anew under the same key is not to be ended by what is past.
            if self.newest.get(record.incident.key()) != Some(&number) {
                continue;
            }
            for delivery in &mut record.deliveries {
                let before = put_back;
                for progress in delivery.both_mut().filter(|progress| !progress.is_delivered()) {
                    *progress = Progress { reason: progress.reason.take(), ..Progress::due(now) };
                    put_back += 1;
                }
                if put_back > before {
                    asked.insert(delivery.sink.clone());
                }
            }
            self.stand_in_line(number);
            self.changed.insert(number);
        }
        if what == Retry::All {
            asked.extend(self.standing.gone.keys().cloned());
        }
        for sink in asked {
            self.standing_changed |= self.standing.gone.remove(&sink).is_some();
            if let Some(line) = self.line_mut(&sink) {
                (line.failed_at, line.put_off_until) = (None, Timestamp(0));
            }
        }
        put_back
    }
}

fn put_off_until(seconds: Option<u64>, now: Timestamp) -> Option<Timestamp> {
    Some(now.plus_ms(seconds?.min(MAX_RETRY_AFTER_SECONDS) * 1000))
}

/// What an attempt makes of an event at a sink.
fn advance(progress: &mut Progress, outcome: &Outcome, now: Timestamp, jitter: u8) {
    let Stage::Waiting { due, .. } = progress.stage else { return };
    let (reason, put_off, aside) = match outcome {
        Outcome::Delivered => {
            progress.stage = Stage::Delivered(now);
            return;
        }
        Outcome::Gone { reason } => (reason, None, false),
        Outcome::Failed { reason, retry_after_seconds } => {
            (reason, put_off_until(*retry_after_seconds, now), false)
        }
        Outcome::Refused { reason } => (reason, None, true),
    };
    progress.reason = Some(visible(reason, MAX_REASON_BYTES));
    if matches!(outcome, Outcome::Gone { .. }) {
        return;
    }
    // An attempt beside the schedule leaves it as it is.
    if !has_come(due, now) {
        let due = put_off.map_or(due, |until| due.max(until));
        progress.stage = Stage::Waiting { due, aside };
        return;
    }
    progress.failed = progress.failed.saturating_add(1);
    progress.stage = match next_attempt(progress.failed, now, jitter, put_off) {
        Some(due) => Stage::Waiting { due, aside },
        None => Stage::Undeliverable(now),
    };
}
