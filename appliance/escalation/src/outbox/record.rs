//! A record: one incident, and how far each of its events has come at each sink. It is what the store keeps.
//!
//! An event at a sink waits, was delivered, or is undeliverable. It never leaves `delivered`; operators bring it back from
//! `undeliverable`.

use assent_proto::number::Timestamp;
use serde::{Deserialize, Serialize};

use crate::incident::{End, Incident};
use crate::message::Phase;

/// How far an event has come at a sink.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Stage {
    /// It waits.
    Waiting {
        /// For the schedule: not before then.
        due: Timestamp,
        /// Whether the sink refused this event, rather than all: others pass it by.
        aside: bool,
    },
    /// The sink has taken it.
    Delivered(Timestamp),
    /// The schedule is over.
    Undeliverable(Timestamp),
}

/// An event at a sink.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Progress {
    pub(super) stage: Stage,
    /// Attempts of the schedule that failed.
    pub(super) failed: u32,
    /// Why the last one did.
    pub(super) reason: Option<String>,
}

impl Progress {
    pub(super) const fn due(due: Timestamp) -> Self {
        Self { stage: Stage::Waiting { due, aside: false }, failed: 0, reason: None }
    }

    pub(super) fn undeliverable(now: Timestamp, reason: &str) -> Self {
        Self { stage: Stage::Undeliverable(now), failed: 0, reason: Some(reason.to_owned()) }
    }

    pub(super) const fn is_waiting(&self) -> bool {
        matches!(self.stage, Stage::Waiting { .. })
    }

    pub(super) const fn is_delivered(&self) -> bool {
        matches!(self.stage, Stage::Delivered(_))
    }

    pub(super) const fn is_undeliverable(&self) -> bool {
        matches!(self.stage, Stage::Undeliverable(_))
    }
}

/// An incident at a sink.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Delivery {
    pub(super) sink: String,
    pub(super) begun: Progress,
    pub(super) ended: Option<Progress>,
}

impl Delivery {
    pub(super) fn progress(&self, phase: Phase) -> Option<&Progress> {
        match phase {
            Phase::Begun => Some(&self.begun),
            Phase::Ended => self.ended.as_ref(),
        }
    }

    pub(super) fn progress_mut(&mut self, phase: Phase) -> Option<&mut Progress> {
        match phase {
            Phase::Begun => Some(&mut self.begun),
            Phase::Ended => self.ended.as_mut(),
        }
    }

    pub(super) fn both(&self) -> impl Iterator<Item = &Progress> {
        [Some(&self.begun), self.ended.as_ref()].into_iter().flatten()
    }

    pub(super) fn both_mut(&mut self) -> impl Iterator<Item = &mut Progress> {
        [Some(&mut self.begun), self.ended.as_mut()].into_iter().flatten()
    }
}

/// An incident's end, and its place among all events.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Ending {
    pub(super) sequence: u64,
    pub(super) end: End,
}

/// An incident. Its number is the place of its begin among all events.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) incident: Incident,
    pub(super) ending: Option<Ending>,
    pub(super) deliveries: Vec<Delivery>,
}

impl Record {
    /// Whether its end is still to come.
    pub(super) const fn is_open(&self) -> bool {
        self.ending.is_none() && !self.incident.kind().is_momentary()
    }

    pub(super) fn delivery_mut(&mut self, sink: &str) -> Option<&mut Delivery> {
        self.deliveries.iter_mut().find(|delivery| delivery.sink == sink)
    }

    /// The place of an event among all.
    pub(super) fn sequence(&self, number: u64, phase: Phase) -> Option<u64> {
        match phase {
            Phase::Begun => Some(number),
            Phase::Ended => self.ending.as_ref().map(|ending| ending.sequence),
        }
    }

    /// Whether it is over, and every sink has taken it.
    pub(super) fn is_finished(&self) -> bool {
        !self.is_open() && self.deliveries.iter().flat_map(Delivery::both).all(Progress::is_delivered)
    }
}
