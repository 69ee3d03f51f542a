//! What happened in the demo, and whether everything held.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use assent_proto::entry::Kind;

use crate::log::verification::Report;

/// What came of a run of batches.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) intents: u64,
    pub(super) batches: u64,
    pub(super) mismatches: u64,
    pub(super) refusals: BTreeMap<&'static str, u64>,
    /// Each with the index of its intent.
    pub(super) tokens: Vec<(usize, String)>,
    pub(super) elapsed: Duration,
}

/// What came of killing the signer.
#[derive(Debug, Default)]
pub(super) struct Outage {
    /// How often the signer was killed.
    pub(super) kills: u64,
    /// Tokens that a living signer covered before an intent was refused.
    pub(super) before: u64,
    pub(super) refused: u64,
    pub(super) closed_after: Option<Duration>,
    pub(super) rearmed_after: Option<Duration>,
    pub(super) epochs: u64,
}

/// What the executor said.
#[derive(Debug, Default)]
pub(super) struct Execution {
    pub(super) verified: usize,
    pub(super) replays_refused: usize,
    pub(super) swaps_refused: usize,
    pub(super) elapsed: Duration,
}

/// All of it.
#[derive(Debug, Default)]
pub(super) struct Story {
    pub(super) started: Duration,
    pub(super) intents: u64,
    pub(super) batches: u64,
    pub(super) mismatches: u64,
    pub(super) refusals: BTreeMap<&'static str, u64>,
    pub(super) tokens: Vec<(usize, String)>,
    pub(super) asking: Duration,
    pub(super) outage: Outage,
    pub(super) execution: Execution,
    pub(super) log: Option<Report>,
    pub(super) elapsed: Duration,
}

impl Story {
    pub(super) fn add(&mut self, batch: Batch) {
        self.intents += batch.intents;
        self.batches += batch.batches;
        self.mismatches += batch.mismatches;
        for (refusal, count) in batch.refusals {
            *self.refusals.entry(refusal).or_default() += count;
        }
        self.tokens.extend(batch.tokens);
        self.asking += batch.elapsed;
    }

    fn denied(&self) -> u64 {
        self.refusals.values().sum()
    }

    fn rearmed(&self) -> bool {
        self.outage.rearmed_after.is_some() && self.outage.epochs == self.outage.kills
    }

    fn log_verified(&self) -> bool {
        let allowed = self.tokens.len() as u64 + self.outage.before + 1;
        self.log.as_ref().is_some_and(|log| {
            log.verified() && log.of_kind(Kind::Allow) == allowed && log.gaps.iter().all(|gap| gap.closed)
        })
    }

    /// Whether everything held.
    pub(super) fn held(&self) -> bool {
        let tokens = self.tokens.len();
        let executed = &self.execution;
        self.mismatches == 0
            && executed.verified == tokens
            && executed.replays_refused == tokens
            && executed.swaps_refused == tokens
            && self.outage.refused > 0
            && self.rearmed()
            && self.log_verified()
    }

    pub(super) fn json(&self) -> serde_json::Value {
        serde_json::json!({
            "schema": "assent.v1.demo",
            "intents": self.intents,
            "allowed": self.tokens.len(),
            "denied": self.denied(),
            "mismatches": self.mismatches,
            "refusals": self.refusals,
            "batches": self.batches,
            "tokens_verified": self.execution.verified,
            "second_uses_refused": self.execution.replays_refused,
            "other_intents_refused": self.execution.swaps_refused,
            "refused_while_closed": self.outage.refused,
            "closed_after_ms": self.outage.closed_after.map(milliseconds),
            "rearmed": self.rearmed(),
            "rearmed_after_ms": self.outage.rearmed_after.map(milliseconds),
            "log_verified": self.log_verified(),
            "log_entries": self.log.as_ref().map_or(0, |log| log.entries),
            "log_checkpoints": self.log.as_ref().map_or(0, |log| log.checkpoints),
            "preauthorize_ms": milliseconds(self.asking),
            "elapsed_ms": milliseconds(self.elapsed),
            "held": self.held(),
        })
    }

    pub(super) fn table(&self) -> String {
        let mut rows: Vec<(&str, String, String)> = Vec::new();
        let tokens = self.tokens.len();
        rows.push((
            "intents",
            self.intents.to_string(),
            format!("in {} batches, {:.1} ms together", self.batches, milliseconds(self.asking)),
        ));
        rows.push((
            "  allowed",
            tokens.to_string(),
            "each with a token under the simulated HSM's signature".to_owned(),
        ));
        for (refusal, count) in &self.refusals {
            rows.push(("  denied", count.to_string(), (*refusal).to_owned()));
        }
        rows.push(("not as the store's rules say", self.mismatches.to_string(), String::new()));
        let executed = &self.execution;
        rows.push((
            "tokens verified offline",
            executed.verified.to_string(),
            format!("another process, trust file only, {:.1} ms", milliseconds(executed.elapsed)),
        ));
        rows.push(("  second uses refused", executed.replays_refused.to_string(), String::new()));
        rows.push(("  other intents refused", executed.swaps_refused.to_string(), String::new()));
        rows.push(("signer killed: refused", self.outage.refused.to_string(), self.outage_note()));
        rows.push(("log entries verified", self.log_entries().to_string(), self.log_note()));
        let mut text = String::from("\n");
        for (what, count, note) in rows {
            let _ = writeln!(text, "  {what:<30} {count:>6}   {note}");
        }
        let verdict = if self.held() { "everything held" } else { "NOT EVERYTHING HELD" };
        let _ = writeln!(
            text,
            "\n  {verdict}; ready after {:.0} ms, all of it in {:.1} s",
            milliseconds(self.started),
            self.elapsed.as_secs_f64()
        );
        text
    }

    fn outage_note(&self) -> String {
        match (self.outage.closed_after, self.outage.rearmed_after) {
            (Some(closed), Some(rearmed)) => format!(
                "closed when next asked, {:.1} ms; open again by itself after {:.1} ms",
                milliseconds(closed),
                milliseconds(rearmed)
            ),
            _ => "DID NOT OPEN AGAIN".to_owned(),
        }
    }

    fn log_entries(&self) -> u64 {
        self.log.as_ref().map_or(0, |log| log.entries)
    }

    fn log_note(&self) -> String {
        match &self.log {
            Some(log) if self.log_verified() => {
                format!(
                    "{} signed checkpoints, {} closed by one of them: the outage",
                    log.checkpoints,
                    gaps(log)
                )
            }
            Some(log) => format!("DOES NOT VERIFY: {:?}", log.findings.first()),
            None => "NOT VERIFIED".to_owned(),
        }
    }
}

fn gaps(log: &Report) -> String {
    match log.gaps.len() {
        1 => "1 gap".to_owned(),
        many => format!("{many} gaps"),
    }
}

fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}
