//! Times: the order that clocks give, how long the log was silent, and what no clock could have said.
//!
//! Times are what the appliance's clock said. A clock that was set right goes back, so that is remarked on and no fault; a time
//! that lies ahead of the auditor's own is one. Silence is the time between rounds; one that a start of the appliance ended is
//! told apart.

use assent_proto::number::Timestamp;

use super::report::{Report, Silence};
use crate::limits::{MAX_AHEAD_MS, MAX_QUIET_STEP_BACK_MS};

/// Takes the times of entries in order.
#[derive(Debug)]
pub(super) struct Times {
    /// The auditor's.
    now: Option<Timestamp>,
    first: Option<Timestamp>,
    latest: Timestamp,
    is_behind: bool,
    is_ahead: bool,
    /// The longest since the last checkpoint, until it is known whether a start ended it.
    pending: Silence,
    has_started: bool,
}

impl Times {
    pub(super) const fn new(now: Option<Timestamp>) -> Self {
        Self {
            now,
            first: None,
            latest: Timestamp(0),
            is_behind: false,
            is_ahead: false,
            pending: Silence { ms: 0, from_ms: 0, index: 0 },
            has_started: false,
        }
    }

    /// Entries from this index on were made between these times.
    pub(super) fn take(&mut self, index: u64, earliest: Timestamp, latest: Timestamp, report: &mut Report) {
        if self.first.is_none() {
            (self.first, self.latest) = (Some(earliest), earliest);
        }
        let back_ms = self.latest.0.saturating_sub(earliest.0);
        let is_behind = back_ms > MAX_QUIET_STEP_BACK_MS;
        if is_behind && !self.is_behind {
            report.remark(index, format!("the clock went back by {back_ms} ms here"));
        }
        self.is_behind = is_behind;
        let silent_ms = earliest.0.saturating_sub(self.latest.0);
        if silent_ms > self.pending.ms {
            self.pending = Silence { ms: silent_ms, from_ms: self.latest.0, index };
        }
        self.latest = self.latest.max(latest);
        let limit = self.now.map(|now| now.plus_ms(MAX_AHEAD_MS));
        let is_ahead = limit.is_some_and(|limit| latest > limit);
        if is_ahead && !self.is_ahead {
            report.find(
                index,
                "the time of this entry lies more than a day ahead of the clock here".to_owned(),
            );
        }
        self.is_ahead = is_ahead;
    }

    pub(super) const fn start(&mut self) {
        self.has_started = true;
    }

    /// A checkpoint was taken: what was silent before it is known.
    pub(super) fn checkpoint(&mut self, report: &mut Report) {
        let pending = std::mem::take(&mut self.pending);
        let longest = if self.has_started { &mut report.stopped } else { &mut report.silence };
        if pending.ms > longest.map_or(0, |longest| longest.ms) {
            *longest = Some(pending);
        }
        self.has_started = false;
    }

    /// The latest time so far.
    pub(super) const fn latest(&self) -> Timestamp {
        self.latest
    }

    /// The log is over.
    pub(super) fn end(mut self, report: &mut Report) {
        self.checkpoint(report);
        report.times_ms = self.first.map(|first| (first.0, self.latest.0));
    }
}
