//! Warrants with their uses and reviews: numbers without gap or repetition, and one review of each use by somebody else.

use std::collections::BTreeMap;
use std::ops::Range;

use assent_operators::{Quorum, SignatureFile};
use assent_proto::entry::break_glass::{Finding, REVIEW_NAMESPACE, WARRANT_NAMESPACE};
use assent_proto::entry::{Allow, Charter, Entry, Grounds, Review, Warrant};
use assent_proto::number::Timestamp;

use super::super::report::{ReviewReport, UseReport, WarrantReport};
use super::Ordered;
use crate::limits::{MAX_KEPT_USES, MAX_KEPT_WARRANTS};

/// A warrant that verified.
#[derive(Debug)]
pub(super) struct Given {
    key: [u8; 32],
    not_before: Timestamp,
    not_after: Timestamp,
    /// Places of its signers in the charter's list of keys.
    signers: Vec<usize>,
    /// Ended before its time.
    is_ended: bool,
    report: WarrantReport,
}

impl Given {
    /// Holds a warrant against its charter: limits, statement, and the signatures of enough operators.
    pub(super) fn verified(
        origin: &str,
        index: u64,
        warrant: &Warrant<'_>,
        charter: &Charter<'_>,
        ordered: &Ordered,
    ) -> Result<Self, String> {
        warrant.check(origin, ordered.hash).map_err(|error| format!("warrant: {error}"))?;
        warrant.fits(charter).map_err(|error| error.to_string())?;
        let (statement, signatures) = (warrant.statement.as_bytes(), &warrant.signatures);
        let signers = ordered.quorum.verify_named(WARRANT_NAMESPACE, statement, &warrant.by, signatures);
        let signers = signers.map_err(|error| format!("warrant: {error}"))?;
        let report = WarrantReport {
            index,
            charter: warrant.charter.0,
            charter_name: charter.name.to_owned(),
            time_ms: warrant.time.0,
            not_before_ms: warrant.not_before.0,
            not_after_ms: warrant.not_after.0,
            reason: warrant.reason.to_owned(),
            by: signers.names().to_vec(),
            uses_max: warrant.uses,
            uses: Vec::new(),
        };
        let (not_before, not_after) = (warrant.not_before.max(warrant.time), warrant.not_after);
        let (key, signers) = (warrant.key, signers.positions().to_vec());
        Ok(Self { key, not_before, not_after, signers, is_ended: false, report })
    }

    /// Whether it gives leave for more.
    fn lives(&self, time: Timestamp) -> bool {
        let has_uses_left = self.report.uses.len() < usize::from(self.report.uses_max);
        !self.is_ended && time <= self.not_after && has_uses_left
    }
}

/// All warrants of a log, by their leaves.
#[derive(Debug, Default)]
pub(super) struct Warrants {
    given: BTreeMap<u64, Given>,
    /// Which warrant a leaf is a use of.
    uses: BTreeMap<u64, u64>,
}

impl Warrants {
    /// Keeps one; its key must be its own.
    pub(super) fn keep(&mut self, index: u64, given: Given) -> Result<(), String> {
        // LIMIT: a forged log may hold as many as it has entries.
        if self.given.len() >= MAX_KEPT_WARRANTS {
            return Err(format!(
                "this warrant is one more than the {MAX_KEPT_WARRANTS} that are kept in mind"
            ));
        }
        let twin = self.given.iter().find(|(_, other)| other.key == given.key).map(|(at, _)| *at);
        self.given.insert(index, given);
        twin.map_or(Ok(()), |at| Err(format!("warrant has the key of the warrant at {at}")))
    }

    /// A use under this charter that nobody has reviewed.
    pub(super) fn without_review(&self, charter: u64) -> Option<u64> {
        let under = self.given.values().filter(|given| given.report.charter == charter);
        let mut uses = under.flat_map(|given| &given.report.uses);
        uses.find(|used| used.review.is_none()).map(|used| used.index)
    }

    /// A warrant that gives leave for more at this time.
    pub(super) fn living(&self, time: Timestamp) -> Option<u64> {
        self.given.iter().rev().find(|(_, given)| given.lives(time)).map(|(at, _)| *at)
    }

    /// A warrant was ended before its time.
    pub(super) fn ended(&mut self, origin: &str, statement: &str) -> Result<(), String> {
        let said = |name: &str| statement.lines().find_map(|line| line.strip_prefix(name));
        if said("origin ") != Some(origin) {
            return Err("the end of a warrant of another log".to_owned());
        }
        let named = said("warrant ").and_then(|leaf| self.given.get_mut(&leaf.parse().ok()?));
        let given = named.ok_or("the end of a warrant that the log does not hold")?;
        given.is_ended = true;
        Ok(())
    }

    /// Something was allowed under a warrant; `charters` gives the leaf of one.
    pub(super) fn used<'c>(
        &mut self,
        index: u64,
        allow: &Allow<'_>,
        charters: impl Fn(u64) -> Option<&'c [u8]>,
    ) -> Result<(), String> {
        let Grounds::Warrant { leaf, number } = allow.grounds else {
            return Ok(());
        };
        let kept = self.uses.len();
        let given = self.given.get_mut(&leaf.0);
        let given = given.ok_or_else(|| {
            format!("allowed on the warrant at {leaf}, where the log holds none that verifies")
        })?;
        let (next, report) = (given.report.uses.len() + 1, &mut given.report);
        let within = given.not_before <= allow.time
            && given.not_before <= allow.not_before
            && allow.time <= given.not_after
            && allow.not_after <= given.not_after;
        let outcome = if usize::from(number) != next || allow.uses != 1 {
            Err(format!("use {number} of the warrant at {leaf}, whose next use is number {next}"))
        } else if number > report.uses_max {
            Err(format!("use {number} of the warrant at {leaf}, which has {}", report.uses_max))
        } else if given.is_ended {
            Err(format!("a use of the warrant at {leaf} after it was ended"))
        } else if !within {
            Err(format!("a use whose window is not within that of the warrant at {leaf}"))
        } else if !charters(report.charter).is_some_and(|charter| covers(charter, allow)) {
            Err(format!("a use of the warrant at {leaf} that its charter does not cover"))
        } else {
            Ok(())
        };
        // LIMIT: a forged log may hold as many as it has entries.
        if kept >= MAX_KEPT_USES {
            return Err(format!("this use is one more than the {MAX_KEPT_USES} that are kept in mind"));
        }
        report.uses.push(UseReport {
            index,
            number,
            time_ms: allow.time.0,
            principal: allow.principal.to_owned(),
            action: allow.action.to_string(),
            resource: allow.resource.to_string(),
            review: None,
        });
        self.uses.insert(index, leaf.0);
        outcome
    }

    /// A use was reviewed; `quorums` gives the operators of a charter.
    pub(super) fn reviewed<'q>(
        &mut self,
        index: u64,
        review: &Review<'_>,
        quorums: impl Fn(u64) -> Option<&'q Quorum>,
    ) -> Result<(), String> {
        let (warrant, used) = (review.warrant, review.used);
        let none =
            || format!("review of a use at {used} of the warrant at {warrant}, which the log does not hold");
        let given = self.given.get_mut(&warrant.0).ok_or_else(none)?;
        let quorum = quorums(given.report.charter).ok_or_else(none)?;
        let use_report = given.report.uses.iter_mut().find(|use_report| use_report.index == used.0);
        let use_report = use_report.ok_or_else(none)?;
        let signature = SignatureFile { name: "signature".to_owned(), text: review.signature.to_owned() };
        let by = quorum.verify_one(REVIEW_NAMESPACE, review.statement.as_bytes(), &signature);
        let by = by.map_err(|error| format!("review: {error}"))?;
        if quorum.keys().get(by).is_none_or(|key| key.name() != review.by) {
            return Err("review by another operator than it names".to_owned());
        }
        if given.signers.contains(&by) {
            return Err(format!("review by {}, who signed the warrant at {warrant}", review.by));
        }
        if use_report.review.is_some() {
            return Err(format!("a second review of the use at {used}"));
        }
        use_report.review = Some(ReviewReport {
            index,
            time_ms: review.time.0,
            by: review.by.to_owned(),
            justified: review.finding == Finding::Justified,
            text: review.text.to_owned(),
        });
        Ok(())
    }

    /// The warrants that these leaves hold uses of, each with its key.
    pub(super) fn used_in(&self, leaves: Range<u64>) -> Vec<(u64, [u8; 32])> {
        let mut warrants: Vec<u64> = self.uses.range(leaves).map(|(_, warrant)| *warrant).collect();
        warrants.sort_unstable();
        warrants.dedup();
        warrants.into_iter().filter_map(|at| Some((at, self.given.get(&at)?.key))).collect()
    }

    pub(super) fn end(self) -> Vec<WarrantReport> {
        self.given.into_values().map(|given| given.report).collect()
    }
}

fn covers(charter: &[u8], allow: &Allow<'_>) -> bool {
    let Ok(Entry::Charter(charter)) = Entry::parse(charter) else {
        return false;
    };
    charter.scope().covers(&allow.action, &allow.resource, allow.principal)
}
