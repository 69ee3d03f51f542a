//! `assent log verify|show`: the log, offline, for auditors.
//!
//! The appliance holds its log open; these commands read it after a stop, or a copy of it.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use assent_client::trust::Trust;
use assent_proto::entry::{DrillStage, Entry, OfferOutcome, Policies};
use assent_proto::number::LeafIndex;
use assent_proto::refusal::Refusal;
use clap::Subcommand;

use super::progress::Progress;
use super::{Exit, Format, Globals};
use crate::config::Config;
use crate::log::store::{Store, StoreError};
use crate::log::verification::{Report, Verification};

/// What to do with the log.
#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Verify every leaf, every checkpoint and every gap.
    Verify {
        #[command(flatten)]
        source: Source,
    },
    /// Print entries.
    Show {
        #[command(flatten)]
        source: Source,
        /// Index of the first entry to print.
        #[arg(long, default_value_t = 0)]
        from: u64,
        /// How many entries to print at most.
        #[arg(long, default_value_t = u64::MAX, hide_default_value = true)]
        count: u64,
    },
}

/// Which log, and whom to trust.
#[derive(Debug, clap::Args)]
pub(super) struct Source {
    /// The log's file; by default the configured appliance's.
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// The trust file to verify against; by default the configured appliance's own key ring.
    #[arg(long, value_name = "FILE")]
    trust: Option<PathBuf>,
}

impl Source {
    fn open(&self, globals: &Globals) -> anyhow::Result<Store> {
        let path = match &self.log {
            Some(path) => path.clone(),
            None => crate::provision::log_file(&Config::load(&globals.config)?),
        };
        Store::open(&path).map_err(|error| match error {
            StoreError::Open(_) | StoreError::Access { .. } | StoreError::Unreadable(_) => {
                super::failure(&error, Exit::Invalid)
            }
            StoreError::Missing(_) | StoreError::Exists(_) | StoreError::Busy | StoreError::File { .. } => {
                super::failure(&error, Exit::Failed)
            }
        })
    }

    fn trust(&self, globals: &Globals) -> anyhow::Result<Trust> {
        match &self.trust {
            Some(path) => {
                let text = std::fs::read_to_string(path).with_context(|| trust_of(path))?;
                // A log outlives its keys: those that are no longer trusted for tokens still sign its past.
                Trust::parse_for_audit(&text).with_context(|| trust_of(path))
            }
            None => super::trust::own(&Config::load(&globals.config)?),
        }
    }
}

fn trust_of(path: &Path) -> String {
    format!("cannot use the trust file {}", path.display())
}

/// Runs the command.
pub(super) fn run(verb: Verb, globals: &Globals) -> anyhow::Result<Exit> {
    match verb {
        Verb::Verify { source } => verify(&source, globals),
        Verb::Show { source, from, count } => show(&source, from, count, globals),
    }
}

fn verify(source: &Source, globals: &Globals) -> anyhow::Result<Exit> {
    let store = source.open(globals)?;
    let identity = store.identity()?;
    let trust = source.trust(globals)?;
    let total = store.head()?.size;
    let keys = trust.keys();
    let mut bar = Progress::new("verifying", total);
    let report =
        Verification::new(&identity.origin, keys).run(store.rounds(LeafIndex(0))?, |done| bar.show(done))?;
    bar.clear();
    let mut report = report;
    report.compare_with_head(&store.head()?);
    if source.log.is_none() {
        let config = Config::load(&globals.config)?;
        report.compare_with_fence(&config.fence.path, &crate::provision::keyring(&config)?);
    }
    let mut out = std::io::stdout().lock();
    match globals.output {
        Format::Json | Format::Jsonl => writeln!(out, "{}", report_json(&identity.origin, &report))?,
        Format::Table => report_table(&mut out, &identity.origin, &report)?,
    }
    Ok(if report.verified() { Exit::Done } else { Exit::Invalid })
}

/// The report as JSON.
pub(crate) fn report_json(origin: &str, report: &Report) -> serde_json::Value {
    let kinds: serde_json::Map<String, serde_json::Value> = report
        .kinds
        .iter()
        .map(|(kind, count)| (format!("{kind:?}").to_lowercase(), (*count).into()))
        .collect();
    serde_json::json!({
        "schema": "assent.v1.log.verify",
        "origin": origin,
        "verified": report.verified(),
        "entries": report.entries,
        "kinds": kinds,
        "checkpoints": report.checkpoints,
        "keys": report.keys,
        "head": report.head.map(|head| serde_json::json!({"size": head.size.0, "root": head.root.to_string()})),
        "gaps": report.gaps,
        "findings": report.findings,
        "findings_total": report.findings_total,
    })
}

fn report_table(out: &mut impl std::io::Write, origin: &str, report: &Report) -> std::io::Result<()> {
    writeln!(out, "{origin}")?;
    writeln!(out, "  entries      {}", report.entries)?;
    for (kind, count) in &report.kinds {
        writeln!(out, "    {:<10} {count}", format!("{kind:?}").to_lowercase())?;
    }
    writeln!(out, "  checkpoints  {} signatures verified", report.checkpoints)?;
    for key in &report.keys {
        let trust = if key.trusted { "" } else { ", which the log itself vouches for" };
        writeln!(out, "    by {}   {}, the first at {}{trust}", key.key_id, key.checkpoints, key.from_size)?;
    }
    for gap in &report.gaps {
        let end = if gap.closed { "closed by a checkpoint over it" } else { "open" };
        writeln!(out, "  gap          {} unsigned entries from {}, {end}", gap.entries, gap.from_size)?;
    }
    for finding in &report.findings {
        writeln!(out, "  WRONG        at {}: {}", finding.index, finding.what)?;
    }
    let verdict = if report.verified() { "verified" } else { "DOES NOT VERIFY" };
    writeln!(out, "  the log {verdict}")
}

fn show(source: &Source, from: u64, count: u64, globals: &Globals) -> anyhow::Result<Exit> {
    let store = source.open(globals)?;
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let end = from.saturating_add(count);
    for round in store.rounds(LeafIndex(0))? {
        let round = round?;
        for (index, leaf) in (round.first.0..).zip(&round.leaves) {
            if (from..end).contains(&index) {
                let entry = Entry::parse(leaf).with_context(|| format!("leaf {index}"))?;
                match globals.output {
                    Format::Json | Format::Jsonl => writeln!(out, "{}", entry_json(index, &entry))?,
                    Format::Table => writeln!(out, "{}", entry_line(index, &entry))?,
                }
            }
        }
    }
    out.flush()?;
    Ok(Exit::Done)
}

fn entry_json(index: u64, entry: &Entry<'_>) -> serde_json::Value {
    let mut json = serde_json::json!({
        "schema": "assent.v1.log.entry",
        "index": index,
        "kind": format!("{:?}", entry.kind()).to_lowercase(),
        "time_ms": entry.time().0,
    });
    let details = match entry {
        Entry::Allow(allow) => serde_json::json!({
            "epoch": allow.epoch.0, "bundle": allow.bundle.to_string(), "principal": allow.principal,
            "audience": allow.audience, "action": allow.action.to_string(), "resource": allow.resource.to_string(),
            "intent": allow.intent.to_string(), "not_before_ms": allow.not_before.0, "not_after_ms": allow.not_after.0,
            "uses": allow.uses, "risk": allow.risk, "grounds": format!("{:?}", allow.grounds).to_lowercase(),
            "policies": names(&allow.policies),
        }),
        Entry::Deny(deny) | Entry::Hold(deny) => serde_json::json!({
            "epoch": deny.epoch.0, "bundle": deny.bundle.to_string(), "principal": deny.principal,
            "audience": deny.audience, "action": deny.action.to_string(), "resource": deny.resource.to_string(),
            "intent": deny.intent.to_string(), "refusal": deny.refusal.name(), "risk": deny.risk,
            "policies": names(&deny.policies),
        }),
        Entry::Trip(trip) => serde_json::json!({"epoch": trip.epoch.0, "cause": trip.cause}),
        Entry::Rearm(rearm) => serde_json::json!({"epoch": rearm.epoch.0}),
        Entry::Status(status) => serde_json::json!({"epoch": status.epoch.0}),
        Entry::Bundle(bundle) => serde_json::json!({
            "before": bundle.before.to_string(), "after": bundle.after.to_string(), "source": bundle.source,
            "by": bundle.by, "version": bundle.version, "loaded": bundle.outcome == OfferOutcome::Loaded,
            "reason": match bundle.outcome {
                OfferOutcome::Loaded => None,
                OfferOutcome::Refused(reason) => Some(reason),
            },
        }),
        Entry::Key(key) => serde_json::json!({"verifier_key": key.vkey}),
        Entry::Boot(boot) => serde_json::json!({
            "epoch": boot.epoch.0, "version": boot.version, "hsm": boot.hsm, "simulator": boot.simulator,
        }),
        Entry::Outage(outage) => serde_json::json!({
            "from_ms": outage.from.0, "covered": outage.covered.0, "reached": outage.reached.0,
            "denials": outage.denials, "holds": outage.holds,
        }),
        Entry::Operator(act) => serde_json::json!({
            "epoch": act.epoch.0, "act": act.act, "by": act.by.as_slice(), "statement": act.statement,
            "signatures": act.signatures.as_slice(),
        }),
        Entry::Drill(drill) => serde_json::json!({
            "epoch": drill.epoch.0, "name": drill.name, "begun": drill.stage == DrillStage::Begun,
        }),
        _ => serde_json::Value::Null,
    };
    if let (Some(json), serde_json::Value::Object(details)) = (json.as_object_mut(), details) {
        json.extend(details);
    }
    json
}

fn names<'a>(policies: &Policies<'a>) -> Vec<&'a str> {
    policies.named.iter().copied().collect()
}

/// The policies that decided, or that could not be evaluated.
fn told(refusal: Refusal, policies: &Policies<'_>) -> String {
    let role = if refusal == Refusal::EvaluationUnavailable { "failed in" } else { "by" };
    let named = names(policies);
    if named.is_empty() {
        return String::new();
    }
    let more = (policies.total as usize).saturating_sub(named.len());
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!(" {role} {}{more}", named.join(", "))
}

#[expect(clippy::wildcard_enum_match_arm, reason = "kinds of later versions are shown without details")]
fn entry_line(index: u64, entry: &Entry<'_>) -> String {
    let kind = format!("{:?}", entry.kind()).to_lowercase();
    let about = match entry {
        Entry::Allow(allow) => format!("{} on {} by {}", allow.action, allow.resource, allow.principal),
        Entry::Deny(deny) | Entry::Hold(deny) => {
            let named = told(deny.refusal, &deny.policies);
            format!("{} on {} by {}: {}{named}", deny.action, deny.resource, deny.principal, deny.refusal)
        }
        Entry::Trip(trip) => format!("{}, epoch {} begins", trip.cause, trip.epoch),
        Entry::Rearm(rearm) => format!("open in epoch {}", rearm.epoch),
        Entry::Boot(boot) => format!("version {}, {}", boot.version, boot.hsm),
        Entry::Bundle(bundle) => match bundle.outcome {
            OfferOutcome::Loaded => format!("{} from {} by {}", bundle.after, bundle.source, bundle.by),
            OfferOutcome::Refused(reason) => {
                format!("refused from {} by {}: {reason}", bundle.source, bundle.by)
            }
        },
        Entry::Outage(outage) => {
            format!("{} denials from {} to {}", outage.denials, outage.covered, outage.reached)
        }
        Entry::Key(key) => key.vkey.to_owned(),
        Entry::Operator(act) => format!("{} by {}", act.act, act.by.join(", ")),
        Entry::Drill(drill) => {
            let stage = if drill.stage == DrillStage::Begun { "begins" } else { "is over" };
            format!("`{}` {stage}", drill.name)
        }
        _ => String::new(),
    };
    format!("{index:>10}  {}  {kind:<7} {}", crate::cli::utc(entry.time()), about.escape_debug())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_that_decided_and_policies_that_failed_are_named_and_the_rest_counted() {
        let some: Policies<'_> = ["a", "b"].into_iter().collect();
        assert_eq!(told(Refusal::PolicyDenied, &some), " by a, b");
        assert_eq!(told(Refusal::EvaluationUnavailable, &some), " failed in a, b");
        assert_eq!(told(Refusal::PolicyDenied, &Policies::default()), "");
        let many: Policies<'_> = std::iter::repeat_n("x", 100).collect();
        let more = format!(" and {} more", 100 - many.named.len());
        assert!(
            told(Refusal::PolicyDenied, &many).ends_with(&more),
            "{}",
            told(Refusal::PolicyDenied, &many)
        );
    }
}
