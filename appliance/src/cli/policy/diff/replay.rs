//! A replay: the recorded intents of a log, decided under two bundles.
//!
//! The rule it keeps: each is decided as it was on its day, by the same classification and evaluation, with the time and the
//! epoch of its entry. What else the appliance asserted then is not in the log and is taken as nothing: approvals, the
//! agent's rate, a closed token boundary. It reads a log that nobody holds open, and does not verify it.

use std::io::Write;
use std::path::Path;

use anyhow::Context as _;
use assent_compiler::Bundle;
use assent_evaluator::Facts;
use assent_proto::entry::{Entry, Hold};
use assent_proto::hash::Hash;
use assent_proto::number::{Epoch, LeafIndex, Timestamp};
use assent_proto::refusal::Refusal;
use assent_proto::wire::{Request, Verdict};
use serde_json::{Value, json};

use crate::cli::judge::Judge;
use crate::cli::progress::Progress;
use crate::cli::{Exit, failure, utc};
use crate::log::reader::Reader;
use crate::log::store::{StoreError, StoredRound};
use crate::shown::{counted, visible};

/// What a bundle decides on an intent.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Decided {
    decision: &'static str,
    refusal: Option<&'static str>,
    policies: Vec<String>,
}

/// An intent on which the bundles differ.
#[derive(Clone, Debug)]
pub(super) struct Change {
    index: u64,
    time: Timestamp,
    principal: String,
    action: String,
    resource: String,
    before: Decided,
    after: Decided,
}

/// What a replay found.
#[derive(Debug, Default)]
pub(super) struct Replay {
    pub(super) changes: Vec<Change>,
    /// Intents that were decided again.
    replayed: u64,
    /// Entries of intents whose requests the log does not hold any more.
    missing: u64,
    /// Intents that were recorded under another bundle than the first.
    foreign: u64,
    /// Intents that were recorded under the first bundle and that it decides otherwise now.
    not_reproduced: u64,
}

/// What an entry says of an intent.
struct Recorded<'l> {
    time: Timestamp,
    epoch: Epoch,
    bundle: Hash,
    principal: &'l str,
    decision: &'static str,
    /// Whether it was denied for want of a signature, which no bundle decides.
    was_unsigned: bool,
}

impl<'l> Recorded<'l> {
    #[expect(clippy::wildcard_enum_match_arm, reason = "the other kinds are not about an intent")]
    const fn of(entry: &Entry<'l>) -> Option<Self> {
        match entry {
            Entry::Allow(allow) => Some(Self {
                time: allow.time,
                epoch: allow.epoch,
                bundle: allow.bundle,
                principal: allow.principal,
                decision: "allow",
                was_unsigned: false,
            }),
            Entry::Deny(deny) | Entry::Hold(Hold { denial: deny, .. }) => Some(Self {
                time: deny.time,
                epoch: deny.epoch,
                bundle: deny.bundle,
                principal: deny.principal,
                decision: if matches!(entry, Entry::Hold(_)) { "hold" } else { "deny" },
                was_unsigned: matches!(deny.refusal, Refusal::TokenUnavailable),
            }),
            _ => None,
        }
    }
}

impl Decided {
    /// What a bundle decides on an intent, as it was asked on its day.
    fn by(judge: &Judge<'_>, intent: &assent_proto::intent::Intent<'_>, recorded: &Recorded<'_>) -> Self {
        let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let facts =
            Facts { now_ms: number(recorded.time.0), epoch: number(recorded.epoch.0), ..Facts::default() };
        let judged = judge.decide(intent, recorded.principal, facts);
        let (decision, refusal) = match judged.verdict {
            Verdict::Allow { .. } => ("allow", None),
            Verdict::Deny(refusal) => ("deny", Some(refusal)),
            Verdict::Hold { refusal, .. } => ("hold", Some(refusal)),
        };
        let mut policies: Vec<_> = judged.policies.into_iter().map(str::to_owned).collect();
        policies.sort();
        Self { decision, refusal: refusal.map(Refusal::name), policies }
    }
}

impl Replay {
    /// Decides all recorded intents of a log under both bundles.
    pub(super) fn run(log: &Path, before: &Bundle, after: &Bundle) -> anyhow::Result<Self> {
        let store = Reader::open(log).map_err(|error| unreadable(&error))?;
        let total = store.head().map_err(|error| unreadable(&error))?.size;
        let judges = [Judge::new(before)?, Judge::new(after)?];
        let (mut replay, mut bar) = (Self::default(), Progress::new("replaying", total));
        let mut recorded = store.requests(LeafIndex(0)).map_err(|error| unreadable(&error))?.peekable();
        for round in store.rounds(LeafIndex(0)).map_err(|error| unreadable(&error))? {
            let round = round.map_err(|error| unreadable(&error))?;
            let mut requests = Vec::new();
            while let Some(request) =
                recorded.next_if(|next| next.as_ref().map_or(true, |(first, _)| first.0 < round.end()))
            {
                requests.push(request.map_err(|error| unreadable(&error))?);
            }
            replay.round(&round, &requests, &judges)?;
            bar.show(round.first.0 + round.leaves.len() as u64);
        }
        bar.clear();
        Ok(replay)
    }

    fn round(
        &mut self,
        round: &StoredRound,
        requests: &[(LeafIndex, Vec<u8>)],
        judges: &[Judge<'_>; 2],
    ) -> anyhow::Result<()> {
        let mut answered = 0;
        for (first, frame) in requests {
            let request =
                Request::parse(frame).with_context(|| format!("the request of leaf {}", first.0))?;
            for (index, (intent, _)) in (first.0..).zip(request.intents()) {
                let place = usize::try_from(index.saturating_sub(round.first.0))?;
                let leaf = round.leaves.get(place).with_context(|| format!("there is no leaf {index}"))?;
                let entry = Entry::parse(leaf).with_context(|| format!("leaf {index}"))?;
                let recorded =
                    Recorded::of(&entry).with_context(|| format!("leaf {index} is not about an intent"))?;
                self.intent(index, &intent, &recorded, judges);
                answered += 1;
            }
        }
        let about_intents = round.leaves.iter().filter_map(|leaf| Entry::parse(leaf).ok());
        let about_intents = about_intents.filter(|entry| Recorded::of(entry).is_some()).count() as u64;
        self.missing += about_intents.saturating_sub(answered);
        Ok(())
    }

    fn intent(
        &mut self,
        index: u64,
        intent: &assent_proto::intent::Intent<'_>,
        recorded: &Recorded<'_>,
        [before, after]: &[Judge<'_>; 2],
    ) {
        let (old, new) = (Decided::by(before, intent, recorded), Decided::by(after, intent, recorded));
        self.replayed += 1;
        let is_foreign = recorded.bundle != before.digest;
        self.foreign += u64::from(is_foreign);
        let is_same = recorded.was_unsigned || recorded.decision == old.decision;
        self.not_reproduced += u64::from(!is_foreign && !is_same);
        if old != new {
            self.changes.push(Change {
                index,
                time: recorded.time,
                principal: recorded.principal.to_owned(),
                action: intent.act.action.to_string(),
                resource: intent.act.resource.to_string(),
                before: old,
                after: new,
            });
        }
    }

    /// How many intents are decided or refused otherwise; in the other changes only the deciding policies differ.
    pub(super) fn decisions_changed(&self) -> usize {
        let is_other = |change: &&Change| change.before.verdict() != change.after.verdict();
        self.changes.iter().filter(is_other).count()
    }

    /// How many change from one decision to another, by both.
    fn turns(&self) -> Vec<(String, usize)> {
        let mut turns: Vec<(String, usize)> = Vec::new();
        for Change { before, after, .. } in &self.changes {
            let turn = match before.verdict() == after.verdict() {
                true => "decided by other policies".to_owned(),
                false => format!("{} -> {}", before.words(), after.words()),
            };
            match turns.iter_mut().find(|(known, _)| *known == turn) {
                Some((_, count)) => *count += 1,
                None => turns.push((turn, 1)),
            }
        }
        turns
    }

    pub(super) fn as_json(&self) -> Value {
        let turns: serde_json::Map<String, Value> =
            self.turns().into_iter().map(|(turn, count)| (turn, count.into())).collect();
        json!({
            "replayed": self.replayed, "without_request": self.missing, "recorded_under_another_bundle": self.foreign,
            "not_reproduced": self.not_reproduced, "changed": self.changes.len(),
            "decisions_changed": self.decisions_changed(), "turns": turns,
        })
    }

    pub(super) fn table(&self, out: &mut impl Write) -> std::io::Result<()> {
        for change in &self.changes {
            change.line(out)?;
        }
        let (changed, decisions) = (self.changes.len(), self.decisions_changed());
        writeln!(
            out,
            "{} replayed, {}, {decisions} of them in the decision",
            counted(self.replayed, "intent", "intents"),
            counted(changed as u64, "changes", "change")
        )?;
        for (turn, count) in self.turns() {
            writeln!(out, "  {count:>8}  {turn}")?;
        }
        if self.foreign > 0 {
            writeln!(out, "  {} were recorded under another bundle than the first", self.foreign)?;
        }
        if self.not_reproduced > 0 {
            writeln!(
                out,
                "  {} were decided otherwise by the first bundle on their day: by approvals, rate or outage",
                self.not_reproduced
            )?;
        }
        if self.missing > 0 {
            writeln!(out, "  {} have entries only: their requests were erased", self.missing)?;
        }
        Ok(())
    }
}

impl Decided {
    const fn verdict(&self) -> (&'static str, Option<&'static str>) {
        (self.decision, self.refusal)
    }

    fn words(&self) -> String {
        match self.refusal {
            Some(refusal) => format!("{} {refusal}", self.decision),
            None => self.decision.to_owned(),
        }
    }

    fn as_json(&self) -> Value {
        json!({"decision": self.decision, "refusal": self.refusal, "policies": self.policies})
    }
}

impl Change {
    pub(super) fn as_json(&self) -> Value {
        json!({
            "schema": "assent.v1.policy.diff.change", "index": self.index, "time_ms": self.time.0,
            "principal": self.principal, "action": self.action, "resource": self.resource,
            "before": self.before.as_json(), "after": self.after.as_json(),
        })
    }

    fn line(&self, out: &mut impl Write) -> std::io::Result<()> {
        let Self { index, principal, action, resource, before, after, .. } = self;
        let by = |decided: &Decided| match decided.policies.is_empty() {
            true => decided.words(),
            false => format!("{} by {}", decided.words(), decided.policies.join(", ")),
        };
        let about = format!("{action} on {resource} by {principal}");
        writeln!(out, "{index:>10}  {}  {}", utc(self.time), visible(&about))?;
        writeln!(out, "            {} -> {}", by(before), by(after))
    }
}

fn unreadable(error: &StoreError) -> anyhow::Error {
    let exit = match error {
        StoreError::Open(_)
        | StoreError::Access { .. }
        | StoreError::Unreadable(_)
        | StoreError::Version(_)
        | StoreError::Damaged { .. } => Exit::Invalid,
        StoreError::Missing(_)
        | StoreError::Exists(_)
        | StoreError::Busy
        | StoreError::Archived { .. }
        | StoreError::File { .. } => Exit::Failed,
    };
    failure(error, exit)
}
