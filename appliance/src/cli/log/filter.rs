//! Filters: which entries are meant.
//!
//! One type for every verb that takes entries. Each filter narrows; a filter that is given more than once takes any of its
//! values. A value that nothing could ever match is refused with what there is, so that a misspelling is never an empty
//! answer. Filters about intents let no entry through that is about the appliance itself.

use std::collections::{BTreeSet, HashMap, HashSet};

use assent_compiler::{Action, Bundle};
use assent_proto::entry::{Entry, Kind};
use assent_proto::hash::Hash;
use assent_proto::refusal::Refusal;

use super::decision::{Decision, Outcome};
use super::entry::{about, kind_name};
use super::moment::Moment;
use crate::policy::archive::Archive;

/// Which entries.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "Filters")]
pub(in crate::cli) struct Filter {
    /// Made at this time or later: 2026-11-24T12:00:00Z, 2026-11-24, or so long ago: 90s, 30m, 2h, 7d.
    #[arg(long, value_name = "TIME")]
    pub(super) from: Option<Moment>,
    /// Made before this time.
    #[arg(long, value_name = "TIME")]
    pub(super) to: Option<Moment>,
    /// Leaf indices: 7, 7..12 (12 is not among them), 7.. or ..12.
    #[arg(long, value_name = "RANGE", value_parser = span)]
    pub(super) index: Option<Span>,
    /// Of this agent: its SPIFFE ID, or the last part of it.
    #[arg(long, value_name = "ID")]
    principal: Vec<String>,
    /// Of actions in this category of the catalog that decided.
    #[arg(long, value_name = "NAME")]
    category: Vec<String>,
    /// Of this action: as Cedar writes it, or its id alone.
    #[arg(long, value_name = "ACTION")]
    action: Vec<String>,
    /// Decided so.
    #[arg(long, value_enum)]
    outcome: Vec<Outcome>,
    /// Refused with this code.
    #[arg(long, value_name = "CODE", value_parser = refusal)]
    refusal: Vec<Refusal>,
    /// Decided by this policy, or failed in it.
    #[arg(long, value_name = "ID")]
    policy: Vec<String>,
    /// Of this kind.
    #[arg(long, value_name = "KIND", value_parser = kind)]
    kind: Vec<Kind>,
    /// With this text in what `log show` prints of it, in whatever case.
    #[arg(long, value_name = "TEXT")]
    text: Option<String>,
}

/// Leaf indices from the first to before the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) first: u64,
    pub(super) end: u64,
}

impl Span {
    pub(super) const ALL: Self = Self { first: 0, end: u64::MAX };
}

fn span(text: &str) -> Result<Span, String> {
    let number = |text: &str, missing: u64| if text.is_empty() { Ok(missing) } else { text.parse::<u64>() };
    let parsed = match text.split_once("..") {
        Some((first, end)) => {
            number(first, 0).and_then(|first| Ok(Span { first, end: number(end, u64::MAX)? }))
        }
        None => text.parse().map(|first: u64| Span { first, end: first.saturating_add(1) }),
    };
    parsed
        .ok()
        .filter(|span| span.first < span.end)
        .ok_or_else(|| "give indices as 7, 7..12, 7.. or ..12".to_owned())
}

fn refusal(text: &str) -> Result<Refusal, String> {
    let known = Refusal::ALL.iter().copied().find(|refusal| refusal.name().eq_ignore_ascii_case(text));
    known.ok_or_else(|| one_of("refusals", Refusal::ALL.iter().map(|refusal| refusal.name().to_owned())))
}

fn kind(text: &str) -> Result<Kind, String> {
    let known = Kind::ALL.iter().copied().find(|kind| kind_name(*kind).eq_ignore_ascii_case(text));
    known.ok_or_else(|| one_of("kinds", Kind::ALL.iter().map(|kind| kind_name(*kind))))
}

fn one_of(what: &str, values: impl Iterator<Item = String>) -> String {
    format!("the {what} are {}", values.collect::<Vec<_>>().join(", "))
}

/// How deep categories are looked up within one another.
const MAX_CATEGORY_DEPTH: usize = 16;

/// What the bundles of an archive know that entries do not say.
#[derive(Debug, Default)]
struct Known {
    /// Of each bundle, the actions that are in one of the categories asked for.
    members: HashMap<Hash, HashSet<String>>,
}

/// A filter that is ready to be asked.
#[derive(Debug)]
pub(in crate::cli) struct Choice<'f> {
    filter: &'f Filter,
    text: Option<String>,
    known: Known,
    /// Entries of which it cannot be said whether they are meant.
    pub(in crate::cli) doubtful: u64,
}

impl Filter {
    /// Leaf indices that are looked at.
    pub(super) fn span(&self) -> Span {
        self.index.unwrap_or(Span::ALL)
    }

    /// Makes the filter ready, and refuses values that the archived bundles do not know.
    pub(in crate::cli) fn ready(&self, archive: &Archive) -> anyhow::Result<Choice<'_>> {
        in_order(self.from, self.to)?;
        let known = if self.category.is_empty() && self.action.is_empty() && self.policy.is_empty() {
            Known::default()
        } else {
            self.ask(archive)?
        };
        Ok(Choice {
            filter: self,
            text: self.text.as_ref().map(|text| text.to_lowercase()),
            known,
            doubtful: 0,
        })
    }

    /// Looks into every archived bundle.
    fn ask(&self, archive: &Archive) -> anyhow::Result<Known> {
        let (mut categories, mut actions, mut policies) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        let mut known = Known::default();
        for digest in archive.digests()? {
            let Some(bundle) = archive.bundle(&digest)? else { continue };
            let members = known.members.entry(digest).or_default();
            for action in bundle.catalog().actions() {
                categories.extend(action.categories.iter().cloned());
                actions.extend([action.id.clone(), action.uid()]);
                if self.category.iter().any(|category| is_in(&bundle, action, category, 0)) {
                    members.insert(action.uid());
                }
            }
            policies.extend(bundle.policies().iter().map(|policy| policy.id.clone()));
        }
        if known.members.is_empty() {
            if self.category.is_empty() {
                return Ok(known);
            }
            anyhow::bail!(
                "which category an action is in, its bundle says, and there is none in {}; name the folder with --bundles",
                archive.folder().display()
            );
        }
        // An unclassified action is in no catalog: what is asked for as Cedar writes it is taken as it is.
        let plain: Vec<String> =
            self.action.iter().filter(|action| !action.contains("::")).cloned().collect();
        refuse_unknown("category", &self.category, &categories)?;
        refuse_unknown("action", &plain, &actions)?;
        refuse_unknown("policy", &self.policy, &policies)?;
        Ok(known)
    }
}

/// Refuses a period that ends before it begins.
pub(super) fn in_order(from: Option<Moment>, to: Option<Moment>) -> anyhow::Result<()> {
    if let (Some(from), Some(to)) = (from, to)
        && from.0 >= to.0
    {
        anyhow::bail!("--from is not before --to, so nothing lies between them");
    }
    Ok(())
}

/// Whether an action is in a category, or in one that is in it. Cedar lets no group be in itself.
fn is_in(bundle: &Bundle, action: &Action, category: &str, depth: usize) -> bool {
    let above = |name: &String| {
        let mut groups = bundle.catalog().actions().iter();
        groups.find(|group| group.id == *name && group.is_category())
    };
    depth < MAX_CATEGORY_DEPTH
        && action.categories.iter().any(|name| {
            name == category || above(name).is_some_and(|group| is_in(bundle, group, category, depth + 1))
        })
}

fn refuse_unknown(what: &str, asked: &[String], known: &BTreeSet<String>) -> anyhow::Result<()> {
    let Some(unknown) = asked.iter().find(|value| !known.contains(*value)) else { return Ok(()) };
    let known = known.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    anyhow::bail!("no archived bundle has a {what} `{}`; there are: {known}", unknown.escape_debug())
}

impl Choice<'_> {
    /// Leaf indices that are looked at.
    pub(super) fn span(&self) -> Span {
        self.filter.span()
    }

    /// Whether this entry is meant.
    pub(in crate::cli) fn takes(&mut self, index: u64, entry: &Entry<'_>) -> bool {
        let (filter, time, span) = (self.filter, entry.time(), self.filter.span());
        let within = (span.first..span.end).contains(&index)
            && filter.from.is_none_or(|from| time >= from.0)
            && filter.to.is_none_or(|to| time < to.0)
            && (filter.kind.is_empty() || filter.kind.contains(&entry.kind()));
        within && self.takes_decision(entry) && self.takes_text(entry)
    }

    fn takes_text(&self, entry: &Entry<'_>) -> bool {
        self.text.as_ref().is_none_or(|text| about(entry).to_lowercase().contains(text))
    }

    fn takes_decision(&mut self, entry: &Entry<'_>) -> bool {
        let filter = self.filter;
        let asks_nothing =
            filter.principal.is_empty() && filter.action.is_empty() && filter.outcome.is_empty();
        let asks_nothing = asks_nothing
            && filter.refusal.is_empty()
            && filter.policy.is_empty()
            && filter.category.is_empty();
        if asks_nothing {
            return true;
        }
        let Some(decision) = Decision::of(entry) else { return false };
        let principal = |asked: &String| {
            decision.principal == asked || decision.principal.rsplit('/').next() == Some(asked)
        };
        let action = |asked: &String| decision.action.id == asked || decision.action.to_string() == *asked;
        let plainly = any(&filter.principal, principal)
            && any(&filter.action, action)
            && any(&filter.outcome, |outcome| *outcome == decision.outcome)
            && any(&filter.refusal, |refusal| Some(*refusal) == decision.refusal);
        plainly && self.takes_policy(&decision) && self.takes_category(&decision)
    }

    /// An entry names the first of its policies only: of the others nothing can be said.
    fn takes_policy(&mut self, decision: &Decision<'_>) -> bool {
        let policies = decision.policies;
        let named = any(&self.filter.policy, |asked| policies.named.iter().any(|named| named == asked));
        self.doubtful += u64::from(!named && policies.total as usize > policies.named.len());
        named
    }

    fn takes_category(&mut self, decision: &Decision<'_>) -> bool {
        if self.filter.category.is_empty() {
            return true;
        }
        match self.known.members.get(&decision.bundle) {
            Some(members) => members.contains(&decision.action.to_string()),
            None => {
                self.doubtful += 1;
                false
            }
        }
    }
}

/// Whether any of the values holds, or none was asked for.
fn any<T>(asked: &[T], holds: impl FnMut(&T) -> bool) -> bool {
    asked.is_empty() || asked.iter().any(holds)
}

#[cfg(test)]
mod tests {
    use assent_proto::entry::{Deny, Policies, Salt, Status};
    use assent_proto::intent::Uid;
    use assent_proto::number::{Epoch, Timestamp};
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        filter: Filter,
    }

    fn filter(arguments: &[&str]) -> Result<Filter, String> {
        let line = Line::try_parse_from(std::iter::once("x").chain(arguments.iter().copied()));
        line.map(|line| line.filter).map_err(|error| error.to_string())
    }

    fn takes(arguments: &[&str], index: u64, entry: &Entry<'_>) -> bool {
        let folder = tempfile::tempdir().unwrap();
        filter(arguments).unwrap().ready(&Archive::at(folder.path())).unwrap().takes(index, entry)
    }

    fn denial(policies: Policies<'static>) -> Entry<'static> {
        Entry::Deny(Deny {
            salt: Salt([0; 16]),
            time: Timestamp(1_795_485_600_000),
            epoch: Epoch(1),
            bundle: Hash([7; 32]),
            principal: "spiffe://shop/agent/retail",
            audience: "store-api",
            action: Uid { type_name: "Retail::Action", id: "cancel" },
            resource: Uid { type_name: "Retail::Order", id: "#W1" },
            intent: Hash([8; 32]),
            refusal: Refusal::PolicyDenied,
            risk: 0,
            policies,
        })
    }

    #[test]
    fn every_filter_narrows_and_the_values_of_one_widen() {
        let entry = denial(["closed"].into_iter().collect());
        for taken in [
            &["--principal", "retail"][..],
            &["--principal", "spiffe://shop/agent/retail"],
            &["--outcome", "deny", "--outcome", "hold"],
            &["--refusal", "policy_denied"],
            &["--policy", "closed"],
            &["--action", "cancel"],
            &["--action", "Retail::Action::\"cancel\""],
            &["--kind", "deny", "--text", "#w1"],
            &["--index", "5..6", "--from", "2026-11-24T02:00:00Z", "--to", "2026-11-24T02:00:00.001Z"],
        ] {
            assert!(takes(taken, 5, &entry), "{taken:?}");
        }
        for left_out in [
            &["--principal", "tail"][..],
            &["--outcome", "allow"],
            &["--outcome", "deny", "--refusal", "TOKEN_UNAVAILABLE"],
            &["--policy", "other"],
            &["--kind", "trip"],
            &["--text", "#w2"],
            &["--index", "..5"],
            &["--to", "2026-11-24T02:00:00Z"],
        ] {
            assert!(!takes(left_out, 5, &entry), "{left_out:?}");
        }
    }

    #[test]
    fn filters_about_intents_let_through_nothing_that_is_about_the_appliance() {
        let status = Entry::Status(Status { salt: Salt([0; 16]), time: Timestamp(1), epoch: Epoch(0) });
        assert!(takes(&[], 0, &status) && takes(&["--kind", "status"], 0, &status));
        assert!(!takes(&["--outcome", "allow"], 0, &status));
    }

    #[test]
    fn a_policy_that_an_entry_has_no_room_to_name_is_doubted_not_denied() {
        let folder = tempfile::tempdir().unwrap();
        let filter = filter(&["--policy", "late"]).unwrap();
        let mut choice = filter.ready(&Archive::at(folder.path())).unwrap();
        assert!(!choice.takes(0, &denial(std::iter::repeat_n("early", 17).collect())));
        assert_eq!(choice.doubtful, 1);
    }

    #[test]
    fn values_that_nothing_could_match_are_refused_with_what_there_is() {
        assert!(filter(&["--refusal", "NO"]).unwrap_err().contains("POLICY_DENIED, APPROVAL_REQUIRED"));
        assert!(filter(&["--kind", "no"]).unwrap_err().contains("allow, deny, hold, trip"));
        for wrong in ["5..5", "6..5", "x", "-1", "1...2"] {
            assert!(filter(&["--index", wrong]).is_err(), "{wrong}");
        }
        let folder = tempfile::tempdir().unwrap();
        let archive = Archive::at(folder.path());
        let said = |arguments: &[&str]| filter(arguments).unwrap().ready(&archive).unwrap_err().to_string();
        assert!(said(&["--category", "payment"]).contains("--bundles"));
        assert!(said(&["--from", "1h", "--to", "2h"]).contains("before"));
    }
}
