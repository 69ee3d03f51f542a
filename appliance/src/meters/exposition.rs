//! The exposition: all metrics, in the words of `OPERATING.md`, section "Metrics".
//!
//! The one rule: a label is one of a closed list, and what can be counted or measured stands there from the start, as zero; so
//! the first of anything is seen to rise. Times are of day, not ages, in seconds since 1970. A test holds the names against the
//! document, the rules and the dashboard.

use std::fmt::Result;
use std::sync::Arc;

use assent_proto::refusal::Refusal;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, prometheus_text, text};
use prometheus_client::registry::Registry;

use super::decisions::Decision;
use super::monitor::Monitor;
use super::sheet::{NANOSECONDS, Sheet};
use crate::hsm::FaultClass;
use crate::limits::MAX_CONNECTIONS;
use crate::serving::status::Status;

/// How an exposition is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notation {
    /// OpenMetrics 1.0.
    OpenMetrics,
    /// Prometheus' text format 0.0.4, for tools that know no other.
    Prometheus,
}

impl Notation {
    /// Its content type.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Prometheus => prometheus_text::CONTENT_TYPE,
        }
    }
}

impl Monitor {
    /// All metrics as they are now.
    ///
    /// # Errors
    /// [`std::fmt::Error`], which writing into memory does not give.
    pub fn exposition(self: &Arc<Self>, notation: Notation) -> std::result::Result<String, std::fmt::Error> {
        let (mut registry, mut written) = (Registry::default(), String::new());
        registry.register_collector(Box::new(Exposition(Arc::clone(self))));
        match notation {
            Notation::OpenMetrics => text::encode(&mut written, &registry)?,
            Notation::Prometheus => prometheus_text::encode(&mut written, &registry)?,
        }
        Ok(written)
    }
}

#[derive(Debug)]
struct Exposition(Arc<Monitor>);

impl Collector for Exposition {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> Result {
        let (mut sheet, status) = (Sheet(encoder), self.0.status());
        sheet.info("assent_build_info", "Version of the appliance", "version", &status.version)?;
        self.boundaries(&mut sheet, &status)?;
        self.decisions(&mut sheet, &status)?;
        self.peers(&mut sheet)?;
        self.signing(&mut sheet, &status)?;
        self.log(&mut sheet, &status)?;
        self.policy(&mut sheet, &status)?;
        queue(&mut sheet, &status)?;
        people(&mut sheet, &status, self.0.status.escalation.attempts())?;
        self.trust(&mut sheet, &status)?;
        sheet.process(self.0.started)
    }
}

const fn seconds(ms: u64) -> f64 {
    ms as f64 / 1000.0
}

impl Exposition {
    fn boundaries(&self, sheet: &mut Sheet<'_>, status: &Status) -> Result {
        let (open, held) = ("assent_boundary_open", "assent_boundary_awaits_operators");
        let named = status.boundaries.named();
        sheet.gauges(
            open,
            "Whether anything passes the boundary: 1 or 0",
            "boundary",
            named.map(|(name, boundary)| (name, u64::from(boundary.open))),
        )?;
        sheet.gauges(
            held,
            "Whether the boundary is closed and opens by operators only: 1 or 0",
            "boundary",
            named.map(|(name, boundary)| {
                (name, u64::from(!boundary.open && boundary.class == Some(FaultClass::Integrity)))
            }),
        )?;
        let source = &self.0.status;
        let token = source.sealer.boundary().trips();
        let token =
            token.into_iter().map(|(cause, count)| ([("boundary", "token"), ("cause", cause)], count));
        let evaluation = source.policies.boundary().trips();
        let evaluation = evaluation
            .into_iter()
            .map(|(cause, count)| ([("boundary", "evaluation"), ("cause", cause)], count));
        sheet.counters(
            "assent_boundary_trips_total",
            "Times that the boundary closed since the start, by cause",
            token.chain(evaluation),
        )?;
        sheet.gauge(
            "assent_epoch",
            "Times that the token boundary has closed over the log's life",
            status.epoch,
        )
    }

    fn decisions(&self, sheet: &mut Sheet<'_>, status: &Status) -> Result {
        let (gauges, pipeline) = (self.0.status.sealer.gauges(), &self.0.status.pipeline);
        let rows = gauges.decisions().map(|Decision { outcome, boundary, reason, count }| {
            ([("outcome", outcome), ("boundary", boundary), ("reason", reason)], count)
        });
        sheet.counters("assent_decisions_total", "Intents that were decided, as the log has them", rows)?;
        sheet.histogram(
            "assent_decision_duration_seconds",
            "From a batch's last byte to its answer, signature and commit included",
            &pipeline.answering(),
            NANOSECONDS,
        )?;
        sheet.histogram(
            "assent_evaluation_duration_seconds",
            "What deciding a batch took, without signature and commit",
            &pipeline.evaluating(),
            NANOSECONDS,
        )?;
        sheet.counter(
            "assent_tokens_released_total",
            "Tokens that were released",
            status.counters.tokens_released,
        )?;
        sheet.counter(
            "assent_intents_late_total",
            "Intents that were refused because their batch had passed policy.deadline",
            status.policy.late_intents,
        )?;
        sheet.counter(
            "assent_intents_refused_unlogged_total",
            "Intents that were refused without an entry",
            status.counters.refused_unlogged,
        )
    }

    fn peers(&self, sheet: &mut Sheet<'_>) -> Result {
        let door = &self.0.door;
        sheet.gauge("assent_connections", "Agents that are connected", door.connections())?;
        sheet.gauge("assent_connections_max", "Connections that there may be", MAX_CONNECTIONS as u64)?;
        sheet.counters(
            "assent_peers_refused_total",
            "Peers that were not let in",
            door.peers().map(|(reason, count)| ([("reason", reason)], count)),
        )?;
        let frames = Refusal::ALL
            .iter()
            .zip(door.frames())
            .map(|(refusal, count)| ([("reason", refusal.name())], count));
        sheet.counters(
            "assent_frames_refused_total",
            "Frames that were refused as a whole, and replies that were taken back",
            frames,
        )
    }

    fn signing(&self, sheet: &mut Sheet<'_>, status: &Status) -> Result {
        let gauges = self.0.status.sealer.gauges();
        let results = gauges.signatures().map(|(result, count)| ([("result", result)], count));
        sheet.counters(
            "assent_hsm_signatures_total",
            "Signatures that were asked of the HSM for rounds and heartbeats",
            results,
        )?;
        sheet.histogram(
            "assent_hsm_signature_duration_seconds",
            "How long the HSM took for each, those that failed included",
            &gauges.signing(),
            NANOSECONDS,
        )?;
        sheet.gauge(
            "assent_hsm_signature_deadline_seconds",
            "How long it may take: hsm.deadline",
            self.0.bounds.hsm_deadline.as_secs_f64(),
        )?;
        sheet.counter(
            "assent_hsm_slow_signatures_total",
            "Signatures that came in time and took more than a sixth of it",
            status.counters.slow_signatures,
        )?;
        sheet.gauge(
            "assent_signer_up",
            "Whether a signer process runs: 1 or 0",
            u64::from(status.counters.signer_process > 0),
        )
    }

    fn log(&self, sheet: &mut Sheet<'_>, status: &Status) -> Result {
        let (gauges, counters) = (self.0.status.sealer.gauges(), &status.counters);
        sheet.counter("assent_rounds_total", "Rounds that were committed", counters.rounds)?;
        sheet.histogram(
            "assent_round_entries",
            "Intents of a round that had any",
            &gauges.round_entries(),
            1.0,
        )?;
        sheet.gauge("assent_log_size", "Leaves in the log", counters.log_size)?;
        let signed = (counters.last_checkpoint_ms > 0).then(|| seconds(counters.last_checkpoint_ms));
        sheet.gauge_if(
            "assent_log_last_checkpoint_timestamp_seconds",
            "When the HSM last signed a checkpoint",
            signed,
        )?;
        sheet.gauge(
            "assent_unsigned_entries",
            "Leaves that no signed checkpoint covers yet",
            counters.unsigned_entries,
        )?;
        sheet.gauge(
            "assent_unsigned_entries_max",
            "Leaves that may stand unsigned: round.unsigned_max",
            status.unsigned_max,
        )?;
        sheet.gauge_if(
            "assent_disk_free_bytes",
            "Free where the log and its fence are, the smaller of the two",
            gauges.disk_free(),
        )?;
        sheet.gauge(
            "assent_disk_low_water_bytes",
            "Below so much free the token boundary closes: log.low_water",
            self.0.bounds.disk_low_water,
        )
    }

    fn policy(&self, sheet: &mut Sheet<'_>, status: &Status) -> Result {
        let (policy, policies) = (&status.policy, &self.0.status.policies);
        sheet.info("assent_bundle_info", "The bundle that decides", "digest", &policy.digest)?;
        sheet.gauge(
            "assent_bundle_loaded_timestamp_seconds",
            "When it was put in force",
            seconds(policy.loaded_ms),
        )?;
        sheet.gauge(
            "assent_bundle_confirmed_timestamp_seconds",
            "When its source was last confirmed",
            seconds(policy.confirmed_ms),
        )?;
        let most = self.0.bounds.bundle_max_age.map(|age| age.as_secs_f64());
        sheet.gauge_if(
            "assent_bundle_max_age_seconds",
            "For how long it decides unconfirmed: policy.max_age",
            most,
        )?;
        let refused = u64::from(policies.standing_refusal().is_some());
        sheet.gauge(
            "assent_bundle_refused",
            "Whether the bundle offered last was refused: 1 or 0",
            refused,
        )?;
        sheet.counter(
            "assent_policy_errors_total",
            "Times that a policy could not be evaluated, since its bundle is in force",
            policies.failures(),
        )
    }

    fn trust(&self, sheet: &mut Sheet<'_>, status: &Status) -> Result {
        let ends = self.0.certificates().map(|(certificate, ends)| (certificate, seconds(ends.0)));
        sheet.gauges(
            "assent_certificate_not_after_timestamp_seconds",
            "When the first of these certificates ends",
            "certificate",
            ends,
        )?;
        let count = |holds: fn(bool, u64) -> bool| {
            let held = status.witnesses.iter().filter(|witness| holds(witness.contradicts, witness.failures));
            held.count() as u64
        };
        let states = [
            ("answering", count(|contradicts, failures| !contradicts && failures == 0)),
            ("silent", count(|contradicts, failures| !contradicts && failures > 0)),
            ("contradicting", count(|contradicts, _| contradicts)),
        ];
        sheet.gauges(
            "assent_witnesses",
            "Witnesses that are asked to cosign the log, by how they answer",
            "state",
            states,
        )
    }
}

fn queue(sheet: &mut Sheet<'_>, status: &Status) -> Result {
    let queue = &status.queue;
    let priorities = ["low", "normal", "high", "critical"].into_iter().zip(queue.queued);
    sheet.gauges("assent_queue_intents", "Intents that wait for the boundaries", "priority", priorities)?;
    sheet.gauge(
        "assent_queue_intents_max",
        "Intents that may wait, those that await approval included: queue.intents_max",
        queue.intents_max,
    )?;
    sheet.gauge("assent_queue_bytes", "Bytes of all that waits", queue.bytes)?;
    sheet.gauge("assent_queue_max_bytes", "Bytes that may wait: queue.bytes_max", queue.bytes_max)?;
    sheet.gauge_if(
        "assent_queue_oldest_timestamp_seconds",
        "Since when the oldest of them waits: an intent that awaits approval is none",
        queue.oldest_ms.map(seconds),
    )?;
    sheet.gauge("assent_approvals_pending", "Intents that await approval", queue.awaiting_approval)
}

fn people(sheet: &mut Sheet<'_>, status: &Status, attempts: [(&'static str, u64); 4]) -> Result {
    let (break_glass, escalations) = (&status.break_glass, &status.escalations);
    sheet.gauge(
        "assent_warrant_active",
        "Whether a break-glass warrant lives: 1 or 0",
        u64::from(break_glass.warrant.is_some()),
    )?;
    sheet.gauge(
        "assent_reviews_open",
        "Uses of warrants that nobody has reviewed",
        break_glass.reviews_open,
    )?;
    sheet.gauge(
        "assent_reviews_overdue",
        "Of these, those that should have been by now",
        break_glass.reviews_overdue,
    )?;
    let results = attempts.into_iter().chain([("lost", escalations.lost)]);
    sheet.counters(
        "assent_escalations_total",
        "Attempts to tell people since the start; lost: events that nobody will be told of",
        results.map(|(result, count)| ([("result", result)], count)),
    )?;
    let of_all =
        |count: fn(&crate::escalation::SinkStatus) -> u64| escalations.sinks.iter().map(count).sum::<u64>();
    sheet.gauge("assent_escalations_waiting", "Events that wait for a sink", of_all(|sink| sink.waiting))?;
    sheet.gauge(
        "assent_escalations_undeliverable",
        "Events that a sink did not take until the schedule was over",
        of_all(|sink| sink.undeliverable),
    )?;
    sheet.gauge("assent_incidents_open", "Incidents that are not over", escalations.open)
}
