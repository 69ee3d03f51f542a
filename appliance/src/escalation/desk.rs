//! The desk: what `assent escalation` asks of a running appliance.
//!
//! Whatever may wait for a disk or a sink does so on a thread of its own; status never does, and shows what it saw last.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use assent_escalation::{
    Clock as _, Deliverer, Escalations, IncidentView, Outbox, OutboxView, Outcome, Retry, StageView,
    SystemClock, TestError,
};
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use super::status::is_open;
use super::{DrillMark, EscalationStatus};
use crate::limits::MAX_LISTED_BYTES;

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum EscalationOrder {
    /// What the outbox holds.
    List,
    /// Try a sink; all of them where none is named.
    Test {
        /// Which.
        sink: Option<String>,
    },
    /// Try again what was not delivered; all of it where no incident is named.
    Retry {
        /// Which incident.
        id: Option<u64>,
    },
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EscalationAnswer {
    /// What the outbox holds.
    Listed {
        /// All of it, but for what is left out.
        outbox: Box<OutboxView>,
        /// Incidents for which the answer had no room: first the oldest of those that are over and delivered.
        left_out: usize,
    },
    /// What became of the tests, sink by sink.
    Tested(Vec<Tested>),
    /// So many events are tried again.
    Retried(usize),
    /// It was not carried out.
    Refused(String),
}

/// What became of a test.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tested {
    /// The sink.
    pub sink: String,
    /// Why it did not take the test; none: it did.
    pub failed: Option<String>,
}

/// What answers.
#[derive(Debug)]
pub struct EscalationDesk {
    outbox: Arc<Outbox>,
    deliverer: Weak<Deliverer>,
    raise: Escalations,
    drill: DrillMark,
    last: Mutex<EscalationStatus>,
}

impl EscalationDesk {
    pub(super) fn new(
        outbox: Arc<Outbox>,
        deliverer: Weak<Deliverer>,
        raise: Escalations,
        drill: DrillMark,
    ) -> Self {
        let last = Mutex::new(EscalationStatus::of(&outbox.list(), raise.lost()));
        Self { outbox, deliverer, raise, drill, last }
    }

    /// Marks that a drill begins, or is over.
    pub fn mark_drill(&self, begun: bool) {
        self.drill.set(begun);
    }

    /// How escalations stand; as they were seen last, where somebody is writing just now.
    pub fn status(&self) -> EscalationStatus {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(view) = self.outbox.try_list() {
            *last = EscalationStatus::of(&view, self.raise.lost());
        }
        last.clone()
    }

    /// Attempts to tell people since the start, by what became of them.
    #[must_use]
    pub fn attempts(&self) -> [(&'static str, u64); 4] {
        self.outbox.attempts()
    }

    /// Carries out an order; none: there was no thread for it.
    pub async fn carry_out(&self, order: EscalationOrder) -> Option<EscalationAnswer> {
        let (outbox, deliverer) = (Arc::clone(&self.outbox), Weak::clone(&self.deliverer));
        let (tell, told) = oneshot::channel();
        let run = move || {
            let _ = tell.send(match order {
                EscalationOrder::List => listed(outbox.list()),
                EscalationOrder::Test { sink } => test(&outbox, &deliverer, sink.as_deref()),
                EscalationOrder::Retry { id } => retry(&outbox, id),
            });
        };
        std::thread::Builder::new().name("escalation desk".to_owned()).spawn(run).ok()?;
        told.await.ok()
    }
}

fn retry(outbox: &Outbox, id: Option<u64>) -> EscalationAnswer {
    if let Some(id) = id
        && !outbox.list().incidents.iter().any(|incident| incident.id == id)
    {
        return EscalationAnswer::Refused(format!("there is no incident {id}; see `assent escalation list`"));
    }
    match outbox.retry(id.map_or(Retry::All, Retry::Incident), SystemClock.now()) {
        Ok(events) => EscalationAnswer::Retried(events),
        Err(error) => EscalationAnswer::Refused(format!("it is tried again, but not written down: {error}")),
    }
}

/// Tries sinks beside the outbox, all at once: one that hangs holds up no other.
fn test(outbox: &Outbox, deliverer: &Weak<Deliverer>, sink: Option<&str>) -> EscalationAnswer {
    let Some(deliverer) = deliverer.upgrade() else {
        return EscalationAnswer::Refused("the appliance is stopping; try again".to_owned());
    };
    let all = outbox.list().sinks.into_iter().map(|sink| sink.name);
    let names: Vec<String> = sink.map_or_else(|| all.collect(), |sink| vec![sink.to_owned()]);
    let outcomes: Result<Vec<Tested>, TestError> = std::thread::scope(|scope| {
        let tests: Vec<_> = names.iter().map(|name| scope.spawn(|| deliverer.test(name))).collect();
        let ended = names.iter().zip(tests).map(|(name, test)| {
            let failed = match test.join() {
                Ok(Ok(Outcome::Delivered)) => None,
                Ok(Ok(
                    Outcome::Failed { reason, .. } | Outcome::Refused { reason } | Outcome::Gone { reason },
                )) => Some(reason),
                Ok(Err(error)) => return Err(error),
                Err(_) => Some("the attempt broke off; see the traces".to_owned()),
            };
            Ok(Tested { sink: name.clone(), failed })
        });
        ended.collect()
    });
    match outcomes {
        Ok(tested) => EscalationAnswer::Tested(tested),
        Err(error) => EscalationAnswer::Refused(error.to_string()),
    }
}

/// Whether somebody may still have to act on it.
fn matters(incident: &IncidentView) -> bool {
    let is_undelivered = incident.deliveries.iter().any(|delivery| {
        let both = std::iter::once(&delivery.begun).chain(&delivery.ended);
        both.into_iter().any(|progress| progress.stage != StageView::Delivered)
    });
    is_open(incident) || is_undelivered
}

/// As much of the outbox as an answer takes.
fn listed(mut outbox: OutboxView) -> EscalationAnswer {
    let mut incidents = std::mem::take(&mut outbox.incidents);
    let all = incidents.len();
    incidents.sort_by_key(|incident| std::cmp::Reverse((matters(incident), incident.id)));
    let mut room = MAX_LISTED_BYTES;
    incidents.retain(|incident| {
        let bytes = serde_json::to_vec(incident).map_or(usize::MAX, |bytes| bytes.len() + 1);
        room = room.saturating_sub(bytes);
        room > 0
    });
    incidents.sort_by_key(|incident| incident.id);
    let left_out = all - incidents.len();
    outbox.incidents = incidents;
    EscalationAnswer::Listed { outbox: Box::new(outbox), left_out }
}
