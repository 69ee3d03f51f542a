//! What status says of escalations: how much is open, and which sink keeps people from knowing.

use assent_escalation::{DeliveryView, IncidentView, OutboxView, ProgressView, StageView};
use serde::{Deserialize, Serialize};

/// How escalations stand.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EscalationStatus {
    /// Incidents that are not over.
    pub open: u64,
    /// Those who are told.
    pub sinks: Vec<SinkStatus>,
    /// Events that nobody will be told of: the outbox or the way to it was full.
    pub lost: u64,
    /// Why what was raised last would not outlive this process; none: it would.
    pub not_durable: Option<String>,
}

/// How one sink stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SinkStatus {
    /// Its name.
    pub name: String,
    /// Events that wait for it.
    pub waiting: u64,
    /// When the oldest of them happened, in milliseconds since 1970.
    pub waiting_since_ms: Option<u64>,
    /// Why the last attempt failed, where one did.
    pub reason: Option<String>,
    /// Events that it did not take until the schedule was over.
    pub undeliverable: u64,
    /// What it said when it wanted nothing more.
    pub gone: Option<String>,
}

impl EscalationStatus {
    pub(super) fn of(view: &OutboxView, lost: u64) -> Self {
        let sinks = view.sinks.iter().map(|sink| {
            let events = events(&view.incidents, &sink.name);
            let waiting: Vec<_> =
                events.filter(|(_, progress)| progress.stage == StageView::Waiting).collect();
            SinkStatus {
                name: sink.name.clone(),
                waiting: sink.waiting as u64,
                waiting_since_ms: waiting.iter().map(|(at, _)| *at).min(),
                reason: waiting.iter().find_map(|(_, progress)| progress.reason.clone()),
                undeliverable: sink.undeliverable as u64,
                gone: sink.gone_reason.clone(),
            }
        });
        Self {
            open: view.incidents.iter().filter(|incident| is_open(incident)).count() as u64,
            sinks: sinks.collect(),
            lost: lost.saturating_add(view.refused),
            not_durable: view.not_durable.clone(),
        }
    }
}

/// Whether an end is still to come.
pub(crate) const fn is_open(incident: &IncidentView) -> bool {
    incident.ended_ms.is_none() && !incident.kind.is_momentary()
}

/// Events for a sink: when each happened, and how far it has come.
fn events<'a>(incidents: &'a [IncidentView], sink: &'a str) -> impl Iterator<Item = (u64, &'a ProgressView)> {
    incidents.iter().flat_map(move |incident| {
        let here = incident.deliveries.iter().filter(move |delivery| delivery.sink == sink);
        here.flat_map(move |DeliveryView { begun, ended, .. }| {
            let ended = incident.ended_ms.map(|at| at.0).zip(ended.as_ref());
            std::iter::once((incident.since_ms.0, begun)).chain(ended)
        })
    })
}
