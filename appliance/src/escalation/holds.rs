//! Holds, as people are told of them: one incident for each that awaits approval, which ends when it does no longer.
//!
//! Bounded: of many holds the first in turn are told, and others as these are answered. Nothing that an agent wrote is in it but
//! who it is.

use std::collections::BTreeSet;
use std::sync::Arc;

use assent_escalation::{End, Escalations, Incident, IncidentKey, IncidentView, Kind};
use assent_proto::calendar::Utc;
use assent_proto::number::{Epoch, Timestamp};

use super::status::is_open;
use crate::limits::MAX_TOLD_HOLDS;
use crate::queue::{Line, Queue};

/// What is known of holds, and raised.
#[derive(Debug)]
pub(super) struct Holds {
    origin: String,
    queue: Arc<Queue>,
    raise: Escalations,
    /// Those whose end is still to be told.
    open: BTreeSet<IncidentKey>,
}

impl Holds {
    /// `known`: what the outbox holds from before.
    pub(super) fn new(origin: String, queue: Arc<Queue>, raise: Escalations, known: &[IncidentView]) -> Self {
        let open = known.iter().filter(|incident| is_open(incident) && incident.kind == Kind::HoldWaiting);
        let open = open.map(|incident| incident.key.clone()).collect();
        Self { origin, queue, raise, open }
    }

    /// Tells what has changed.
    pub(super) fn look(&mut self, now: Timestamp, epoch: Epoch, is_drill: bool) {
        let (lines, _) = self.queue.awaiting(MAX_TOLD_HOLDS);
        let mut waiting = BTreeSet::new();
        for line in &lines {
            let incident = self.incident(line).in_epoch(epoch).in_drill(is_drill);
            let key = incident.key().clone();
            if !self.open.contains(&key) && self.raise.begin(incident) {
                self.open.insert(key.clone());
            }
            waiting.insert(key);
        }
        let (raise, origin) = (&self.raise, &self.origin);
        self.open.retain(|key| {
            let summary = format!("The hold at {origin} awaits approval no longer.");
            waiting.contains(key) || !raise.end(End::new(key.clone(), now).because(&summary))
        });
    }

    fn incident(&self, line: &Line) -> Incident {
        let (ticket, principal) = (line.ticket(), &line.principal);
        let until = Utc(ticket.until());
        let summary = format!("An intent of {principal} awaits approval at {} until {until}.", self.origin);
        Incident::new(Kind::HoldWaiting, &self.origin, &ticket.to_string(), &summary, line.since)
            .caused_by("approval_required")
            .with_detail("next", &format!("`assent approval show {ticket}`"))
    }
}
