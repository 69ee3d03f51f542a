//! `--replay`: recorded intents, decided again under the recorded bundles, and compared with what the log says.
//!
//! The rule it keeps: an entry is reproduced, or found to differ, or counted among those that cannot be decided again, with the
//! reason; none is passed over. Time and epoch stand in the entry. What else the appliance asserted does not: whether the
//! boundary was closed, and the agent's rate. Where a bundle speaks of these, a decision is tried under each value that could
//! matter: if they all give the recorded one it is reproduced, if some do it rests on what nobody recorded, if none does it
//! differs. What availability refused is expected to differ in that alone. How many approvals an allow may rest on, the log's own
//! verification tells, which takes rounds in order.

mod bundles;
mod facts;

use std::collections::{BTreeMap, BTreeSet};

use assent_proto::entry::{Entry, Grounds, OfferOutcome};
use assent_proto::hash::Hash;
use assent_proto::intent::Intent;
use assent_proto::refusal::Refusal;
use assent_proto::wire::{Request, Verdict};

use self::bundles::{Bundles, Loaded};
use crate::cli::judge::{Judge, Judgement};
use crate::cli::log::decision::{Decision, Outcome};
use crate::cli::log::unreadable;
use crate::intent::Reading;
use crate::log::reader::Reader;
use crate::log::store::StoredRound;
use crate::log::verification::{Approved, Finding, Report};
use crate::policy::archive::Archive;
use crate::shown::counted;

/// Why an entry cannot be decided again.
const ERASED: &str = "the intent was erased";
const WITHHELD: &str = "it was not evaluated at the time";
const NO_BUNDLE: &str = "its bundle is not in the archive";
const UNRECORDED: &str = "it rests on facts that are not recorded";
const OTHERS: &str = "it was refused for want of something else than leave";

/// What replaying found.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub(super) struct Replayed {
    /// Decided again with the same outcome, refusal, risk, policies and terms.
    pub(super) reproduced: u64,
    /// Of these, allowed by policy and refused because nothing could be signed.
    pub(super) unsigned: u64,
    /// Not decided again, by reason.
    pub(super) not_replayable: BTreeMap<&'static str, u64>,
    /// Decided otherwise.
    pub(super) differ: u64,
    /// Bundles that decided.
    pub(super) bundles: u64,
    #[serde(skip)]
    findings: Vec<Finding>,
    /// Allows that rest on approvals, until it is known on how many.
    #[serde(skip)]
    pending: Vec<Pending>,
    #[serde(skip)]
    loaded: BTreeSet<Hash>,
    #[serde(skip)]
    missing: BTreeMap<Hash, u64>,
}

/// An allow that rests on approvals, decided again under each number of them that there may have been.
#[derive(Clone, Debug)]
struct Pending {
    index: u64,
    tried: Vec<Tried>,
}

/// How an entry compares under one number of approvals, with each value of what nobody recorded.
#[derive(Clone, Debug)]
struct Tried {
    approvals: i64,
    some_same: bool,
    all_same: bool,
    /// Why it cannot be decided again.
    passed_over: Option<&'static str>,
    /// How it differs, the first time that it does.
    other: Option<String>,
}

/// Replays rounds, on any thread.
#[derive(Debug)]
pub(super) struct Replay<'s> {
    store: &'s Reader,
    bundles: Bundles,
}

impl<'s> Replay<'s> {
    pub(super) fn new(store: &'s Reader, archive: Archive) -> Self {
        Self { store, bundles: Bundles::of(archive) }
    }

    /// Replays one round.
    pub(super) fn round(&self, round: &StoredRound) -> anyhow::Result<Replayed> {
        let mut replayed = Replayed::default();
        let entries: Vec<Option<Entry<'_>>> =
            round.leaves.iter().map(|leaf| Entry::parse(leaf).ok()).collect();
        let mut about_intents = 0;
        for entry in entries.iter().flatten() {
            about_intents += u64::from(Decision::of(entry).is_some());
            if let Entry::Bundle(offer) = entry
                && offer.outcome == OfferOutcome::Loaded
            {
                replayed.loaded.insert(offer.after);
            }
        }
        let mut met = 0;
        for (first, frame) in
            self.store.requests_in(round.first.0..round.end()).map_err(|error| unreadable(&error))?
        {
            // What is no request, or reaches beyond its round, the verification finds.
            let Ok(request) = Request::parse(&frame) else { continue };
            let place = usize::try_from(first.0.saturating_sub(round.first.0)).unwrap_or(usize::MAX);
            let own = entries.iter().skip(place).map(|entry| entry.as_ref().and_then(Decision::of));
            let asked = request.intents().zip(own).map(|((intent, _), decision)| (intent, decision));
            met += self.batch(first.0, &asked.collect::<Vec<_>>(), &mut replayed)?;
        }
        replayed.pass_over(ERASED, about_intents.saturating_sub(met));
        Ok(replayed)
    }

    /// Replays a batch, which one bundle decided; gives how many entries it met.
    fn batch(
        &self,
        first: u64,
        asked: &[(Intent<'_>, Option<Decision<'_>>)],
        replayed: &mut Replayed,
    ) -> anyhow::Result<u64> {
        let decided =
            || (first..).zip(asked).filter_map(|(index, (intent, by))| Some((index, intent, by.as_ref()?)));
        let met = decided().count() as u64;
        let Some((_, _, Decision { bundle: digest, .. })) = decided().next() else { return Ok(met) };
        let Some(loaded) = self.bundles.get(digest)? else {
            *replayed.missing.entry(*digest).or_default() += met;
            replayed.pass_over(NO_BUNDLE, met);
            return Ok(met);
        };
        let Loaded { bundle, mentions } = &*loaded;
        let (judge, view) = (Judge::new(bundle)?, bundle.view());
        let mut reading = Reading::new(&view);
        for (position, (index, intent, decision)) in decided().enumerate() {
            if decision.bundle != *digest {
                let what = "decided by another bundle than the rest of its batch".to_owned();
                replayed.findings.push(Finding { index, what });
                continue;
            }
            let tried = mentions.facts(decision, position).into_iter().map(|alike| {
                let approvals = alike.first().map_or(0, |facts| facts.approvals);
                let compare = |facts| {
                    let judged = judge.decide_in(&mut reading, intent, decision.principal, facts);
                    Comparison::of(decision, &judged)
                };
                Tried::of(approvals, alike.into_iter().map(compare))
            });
            if decision.allow.is_some_and(|allow| matches!(allow.grounds, Grounds::Approval(_))) {
                replayed.pending.push(Pending { index, tried: tried.collect() });
            } else {
                replayed.count(index, tried, decision.refusal);
            }
        }
        Ok(met)
    }

    /// Ends it: every bundle that was loaded must be in the archive as it was. What is found goes into the report.
    pub(super) fn end(&self, mut replayed: Replayed, report: &mut Report) -> anyhow::Result<Replayed> {
        for Finding { index, what } in std::mem::take(&mut replayed.findings) {
            report.find(index, what);
        }
        for (bundle, entries) in std::mem::take(&mut replayed.missing) {
            let folder = self.bundles.folder().display();
            report.find(
                report.entries,
                format!(
                    "bundle {bundle}, which decided {}, is not in {folder}: nobody can decide that again",
                    counted(entries, "entry", "entries")
                ),
            );
            replayed.loaded.remove(&bundle);
        }
        replayed.bundles = replayed.loaded.len() as u64;
        for bundle in &replayed.loaded {
            if self.bundles.get(bundle)?.is_none() {
                let what =
                    format!("bundle {bundle} was loaded, and is not in {}", self.bundles.folder().display());
                report.find(report.entries, what);
            }
        }
        for what in self.bundles.faults() {
            report.find(report.entries, what);
        }
        Ok(replayed)
    }
}

impl Replayed {
    /// What an entry is, after it was decided under each of the facts that could have been: by each number of approvals, which
    /// the log tells, and under that by each value of what nobody recorded.
    fn count(&mut self, index: u64, tried: impl Iterator<Item = Tried>, refusal: Option<Refusal>) {
        let (mut is_same, mut other) = (false, None);
        for Tried { some_same, all_same, passed_over, other: how, .. } in tried {
            if let Some(why) = passed_over {
                return self.pass_over(why, 1);
            }
            other = other.or(how);
            if some_same && all_same {
                self.reproduced += 1;
                self.unsigned += u64::from(refusal == Some(Refusal::TokenUnavailable));
                return;
            }
            is_same |= some_same;
        }
        if is_same {
            self.pass_over(UNRECORDED, 1);
        } else {
            self.differ += 1;
            self.findings.push(Finding { index, what: other.unwrap_or_default() });
        }
    }

    fn pass_over(&mut self, why: &'static str, entries: u64) {
        if entries > 0 {
            *self.not_replayable.entry(why).or_default() += entries;
        }
    }

    /// Takes what the next round gave, and how many approvals the log has for its allows: under more than those nothing was decided.
    pub(super) fn take(&mut self, round: Self, approved: &[Approved]) {
        for Pending { index, tried } in round.pending {
            let place = approved.binary_search_by_key(&index, |approved| approved.index).ok();
            let counted = place.and_then(|place| approved.get(place)?.approvals);
            let most = counted.map_or(i64::MAX, |counted| i64::try_from(counted).unwrap_or(i64::MAX));
            let within = tried.into_iter().filter(|tried| tried.approvals <= most);
            self.count(index, within, None);
            self.findings.truncate(crate::log::limits::MAX_FINDINGS);
        }
        self.reproduced += round.reproduced;
        self.unsigned += round.unsigned;
        self.differ += round.differ;
        self.loaded.extend(round.loaded);
        // LIMIT: what the report has no room for is counted only.
        let room = crate::log::limits::MAX_FINDINGS.saturating_sub(self.findings.len());
        self.findings.extend(round.findings.into_iter().take(room));
        for (why, entries) in round.not_replayable {
            self.pass_over(why, entries);
        }
        for (bundle, entries) in round.missing {
            *self.missing.entry(bundle).or_default() += entries;
        }
    }
}

/// How a recorded decision compares with one that was made again.
#[derive(Debug, PartialEq, Eq)]
enum Comparison {
    Same,
    Differs(String),
    PassedOver(&'static str),
}

impl Tried {
    fn of(approvals: i64, compared: impl Iterator<Item = Comparison>) -> Self {
        let mut tried = Self { approvals, some_same: false, all_same: true, passed_over: None, other: None };
        for comparison in compared {
            match comparison {
                Comparison::Same => tried.some_same = true,
                Comparison::PassedOver(why) => return Self { passed_over: Some(why), ..tried },
                Comparison::Differs(how) => {
                    tried.all_same = false;
                    tried.other.get_or_insert(how);
                }
            }
        }
        tried
    }
}

impl Comparison {
    fn of(recorded: &Decision<'_>, judged: &Judgement<'_>) -> Self {
        let named: Vec<&str> = judged.policies.iter().take(recorded.policies.named.len()).copied().collect();
        let same_policies = recorded.policies.total as usize == judged.policies.len()
            && recorded.policies.named.as_slice() == named.as_slice();
        let same_grounds = same_policies && recorded.risk == judged.risk;
        let same = match (recorded.refusal, judged.verdict) {
            (None, Verdict::Allow { window_s, uses, .. }) => recorded.allow.is_some_and(|allow| {
                let granted_ms = allow.not_after.0.saturating_sub(allow.not_before.0);
                let window_ms = u64::from(window_s) * 1000;
                same_grounds
                    && match allow.grounds {
                        // A warrant gives less than the catalog: one use, and no longer than it lives.
                        Grounds::Warrant { .. } => granted_ms <= window_ms && allow.uses == 1,
                        Grounds::Policy | Grounds::Approval(_) => {
                            granted_ms == window_ms && allow.uses == uses
                        }
                    }
            }),
            (Some(Refusal::EvaluationUnavailable | Refusal::Queued | Refusal::QueueFull), _)
                if recorded.policies.total == 0 && recorded.risk == 0 =>
            {
                if judged.verdict == Verdict::Deny(Refusal::EvaluationUnavailable) && same_grounds {
                    return Self::Same;
                }
                // It was withheld behind the intent boundary, which it must have passed.
                return if judged.is_classified {
                    Self::PassedOver(WITHHELD)
                } else {
                    Self::differs(recorded, judged)
                };
            }
            // Allowed, and nothing could be signed: refused, or kept until it could.
            (Some(Refusal::TokenUnavailable | Refusal::Queued), Verdict::Allow { .. }) => same_grounds,
            // It would have waited, had there been room.
            (Some(Refusal::QueueFull), Verdict::Allow { .. } | Verdict::Hold { .. }) => same_grounds,
            (
                Some(
                    Refusal::QuotaExceeded
                    | Refusal::Expired
                    | Refusal::Cancelled
                    | Refusal::ApprovalRejected
                    | Refusal::ShuttingDown,
                ),
                _,
            ) => return Self::PassedOver(OTHERS),
            (Some(refusal), Verdict::Deny(again)) => {
                recorded.outcome == Outcome::Deny && refusal == again && same_grounds
            }
            (Some(refusal), Verdict::Hold { refusal: again, .. }) => {
                recorded.outcome == Outcome::Hold && refusal == again && same_grounds
            }
            (None, Verdict::Deny(_) | Verdict::Hold { .. }) | (Some(_), Verdict::Allow { .. }) => false,
        };
        if same { Self::Same } else { Self::differs(recorded, judged) }
    }

    fn differs(recorded: &Decision<'_>, judged: &Judgement<'_>) -> Self {
        let said = |outcome: &str, refusal: Option<Refusal>, risk: i64, by: String| {
            let refusal = refusal.map_or_else(String::new, |refusal| format!(" {refusal}"));
            let by = if by.is_empty() { String::new() } else { format!(" by {by}") };
            format!("{outcome}{refusal}{by} at risk {risk}")
        };
        let (outcome, refusal) = match judged.verdict {
            Verdict::Allow { .. } => ("allow", None),
            Verdict::Deny(refusal) => ("deny", Some(refusal)),
            Verdict::Hold { refusal, .. } => ("hold", Some(refusal)),
        };
        let was = said(
            recorded.outcome.name(),
            recorded.refusal,
            recorded.risk,
            crate::cli::log::entry::names(recorded.policies).join(", "),
        );
        let is = said(outcome, refusal, judged.risk, judged.policies.join(", "));
        Self::Differs(format!("recorded as {was}, and its bundle decides {is}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_allow_is_decided_with_the_approvals_that_its_hold_has_and_no_more() {
        let needs_two = |approvals| {
            let compared =
                if approvals < 2 { Comparison::Differs("denied".to_owned()) } else { Comparison::Same };
            Tried::of(approvals, std::iter::once(compared))
        };
        let outcome = |approvals| {
            let pending = vec![Pending { index: 7, tried: (1..=8).map(needs_two).collect() }];
            let mut replayed = Replayed::default();
            let round = Replayed { pending, ..Replayed::default() };
            replayed.take(round, &[Approved { index: 7, approvals }]);
            (replayed.reproduced, replayed.differ)
        };
        assert_eq!([Some(1), Some(2), None].map(outcome), [(0, 1), (1, 0), (1, 0)]);
    }
}
