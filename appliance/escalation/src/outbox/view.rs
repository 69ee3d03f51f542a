//! The view: the outbox as operators see it, for `escalation list`. It holds no secret: texts come in made visible, and sinks
//! are named, not addressed.

use assent_proto::number::{Epoch, Timestamp};
use serde::{Deserialize, Serialize};

use super::record::{Delivery, Progress, Record, Stage};
use super::state::{Line, State};
use crate::incident::{Detail, IncidentKey, Kind, Severity};

/// All that the outbox holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutboxView {
    /// Its sinks.
    pub sinks: Vec<SinkView>,
    /// Its incidents, the oldest first.
    pub incidents: Vec<IncidentView>,
    /// Events that were not taken because it was full.
    pub refused: u64,
    /// Incidents that made room before every sink had taken them.
    pub dropped: u64,
    /// Why what was raised last is in memory only; none: all is durable.
    pub not_durable: Option<String>,
}

/// One sink.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SinkView {
    /// Its name.
    pub name: String,
    /// The least severity that it is told of.
    pub min_severity: Severity,
    /// Events that wait for it.
    pub waiting: usize,
    /// Events that it did not take until the schedule was over.
    pub undeliverable: usize,
    /// Since when it wants nothing more.
    pub gone_since_ms: Option<Timestamp>,
    /// What it said to that.
    pub gone_reason: Option<String>,
}

/// One incident.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IncidentView {
    /// Its number, for `escalation retry`.
    pub id: u64,
    /// What holds its events together.
    pub key: IncidentKey,
    /// What has happened.
    pub kind: Kind,
    /// How severe it is.
    pub severity: Severity,
    /// In a line.
    pub summary: String,
    /// The label of its cause.
    pub cause: String,
    /// The log's name.
    pub origin: String,
    /// The epoch that it began in.
    pub epoch: Option<Epoch>,
    /// Whether it is a part of a drill.
    pub drill: bool,
    /// When it began.
    pub since_ms: Timestamp,
    /// When it ended.
    pub ended_ms: Option<Timestamp>,
    /// What else is known.
    pub details: Vec<Detail>,
    /// How far it has come, sink by sink.
    pub deliveries: Vec<DeliveryView>,
}

/// An incident at a sink.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryView {
    /// Which sink.
    pub sink: String,
    /// How far its begin has come.
    pub begun: ProgressView,
    /// How far its end has; none: there is none yet.
    pub ended: Option<ProgressView>,
}

/// Where an event stands at a sink.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StageView {
    /// It waits for an attempt.
    Waiting,
    /// The sink has taken it.
    Delivered,
    /// It did not, until the schedule was over: `escalation retry` begins it anew.
    Undeliverable,
}

/// An event at a sink.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProgressView {
    /// Where it stands.
    pub stage: StageView,
    /// Attempts of the schedule that failed.
    pub failed_attempts: u32,
    /// When the schedule has the next one.
    pub next_attempt_ms: Option<Timestamp>,
    /// When it was delivered.
    pub delivered_ms: Option<Timestamp>,
    /// Why the last attempt failed.
    pub reason: Option<String>,
}

impl From<&Progress> for ProgressView {
    fn from(progress: &Progress) -> Self {
        let (stage, next_attempt_ms, delivered_ms) = match progress.stage {
            Stage::Waiting { due, .. } => (StageView::Waiting, Some(due), None),
            Stage::Delivered(at) => (StageView::Delivered, None, Some(at)),
            Stage::Undeliverable(_) => (StageView::Undeliverable, None, None),
        };
        let reason = progress.reason.clone();
        Self { stage, failed_attempts: progress.failed, next_attempt_ms, delivered_ms, reason }
    }
}

impl State {
    pub(super) fn view(&self, not_durable: Option<String>) -> OutboxView {
        OutboxView {
            sinks: self.lines.iter().map(|line| self.sink_view(line)).collect(),
            incidents: self.records.iter().map(|(number, record)| incident_view(*number, record)).collect(),
            refused: self.standing.refused,
            dropped: self.standing.dropped,
            not_durable,
        }
    }

    fn sink_view(&self, line: &Line) -> SinkView {
        let here = self.records.values().flat_map(|record| &record.deliveries);
        let here = here.filter(|delivery| delivery.sink == line.route.name).flat_map(Delivery::both);
        let gone = self.standing.gone.get(&line.route.name);
        SinkView {
            name: line.route.name.clone(),
            min_severity: line.route.min_severity,
            waiting: line.waiting.len(),
            undeliverable: here.filter(|progress| progress.is_undeliverable()).count(),
            gone_since_ms: gone.map(|(since, _)| *since),
            gone_reason: gone.map(|(_, reason)| reason.clone()),
        }
    }
}

fn incident_view(number: u64, record: &Record) -> IncidentView {
    let incident = &record.incident;
    let delivery = |delivery: &Delivery| DeliveryView {
        sink: delivery.sink.clone(),
        begun: (&delivery.begun).into(),
        ended: delivery.ended.as_ref().map(Into::into),
    };
    IncidentView {
        id: number,
        key: incident.key().clone(),
        kind: incident.kind(),
        severity: incident.severity(),
        summary: incident.summary().to_owned(),
        cause: incident.cause().to_owned(),
        origin: incident.origin().to_owned(),
        epoch: incident.epoch(),
        drill: incident.is_drill(),
        since_ms: incident.since(),
        ended_ms: record.ending.as_ref().map(|ending| ending.end.at()),
        details: incident.details().to_vec(),
        deliveries: record.deliveries.iter().map(delivery).collect(),
    }
}
