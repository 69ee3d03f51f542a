//! Decisions, counted by what was decided, at which boundary and why.
//!
//! The one rule: the kinds are the grounds of an allow and the refusals of the format, and nothing else; each has a place of
//! its own, so that counting is an addition. What is counted is what the log has: an allow whose answer did not leave, for the
//! boundary closed meanwhile, is an allow.

use std::sync::atomic::{AtomicU64, Ordering};

use assent_proto::entry::Grounds;
use assent_proto::refusal::Refusal;
use assent_proto::wire::Verdict;

/// On what an allow can rest.
const GROUNDS: [&str; 3] = ["policy", "approval", "warrant"];
/// All kinds: the grounds, then the refusals in the order of their numbers.
const KINDS: usize = GROUNDS.len() + Refusal::ALL.len();
/// The label of what no boundary decided.
const NO_BOUNDARY: &str = "none";

const INTENT: &str = "intent";
const EVALUATION: &str = "evaluation";
const TOKEN: &str = "token";

/// Of each refusal, in the order of their numbers: what was decided, and which boundary did. None: it is heard of a frame, and
/// no intent is decided with it.
const REFUSED: [(Refusal, Option<(&str, &str)>); Refusal::ALL.len()] = [
    (Refusal::Unauthenticated, None),
    (Refusal::FrameInvalid, None),
    (Refusal::IntentUnclassified, Some(("deny", INTENT))),
    (Refusal::IntentInvalid, Some(("deny", INTENT))),
    (Refusal::IntentTooLarge, Some(("deny", INTENT))),
    (Refusal::PolicyDenied, Some(("deny", EVALUATION))),
    (Refusal::ApprovalRequired, Some(("hold", EVALUATION))),
    (Refusal::EvaluationUnavailable, Some(("deny", EVALUATION))),
    (Refusal::TokenUnavailable, Some(("deny", TOKEN))),
    (Refusal::QuotaExceeded, None),
    (Refusal::QueueFull, Some(("deny", NO_BOUNDARY))),
    (Refusal::Queued, Some(("hold", NO_BOUNDARY))),
    (Refusal::AwaitingApproval, Some(("hold", EVALUATION))),
    (Refusal::Expired, Some(("deny", NO_BOUNDARY))),
    (Refusal::BatchConflict, None),
    (Refusal::ShuttingDown, None),
    (Refusal::TicketUnknown, None),
    (Refusal::Cancelled, Some(("deny", NO_BOUNDARY))),
    (Refusal::ApprovalRejected, Some(("deny", EVALUATION))),
];

/// Decisions of a batch or a round, by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally([u32; KINDS]);

impl Tally {
    /// Counts one.
    pub fn note(&mut self, verdict: Verdict) {
        let place = match verdict {
            Verdict::Allow { grounds: Grounds::Policy, .. } => 0,
            Verdict::Allow { grounds: Grounds::Approval(_), .. } => 1,
            Verdict::Allow { grounds: Grounds::Warrant { .. }, .. } => 2,
            // Their numbers begin with one, and have no gap.
            Verdict::Deny(refusal) | Verdict::Hold { refusal, .. } => {
                GROUNDS.len() + usize::from(refusal.number()) - 1
            }
        };
        if let Some(count) = self.0.get_mut(place) {
            *count = count.saturating_add(1);
        }
    }

    /// Adds what another one counted.
    pub fn add(&mut self, other: &Self) {
        for (count, more) in self.0.iter_mut().zip(other.0) {
            *count = count.saturating_add(more);
        }
    }
}

/// How many decisions of one kind there were.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// `allow`, `deny` or `hold`.
    pub outcome: &'static str,
    /// Which boundary decided; `none` where none did.
    pub boundary: &'static str,
    /// The grounds of an allow, else the refusal's name.
    pub reason: &'static str,
    /// How many.
    pub count: u64,
}

/// All decisions since the start, by kind.
#[derive(Debug)]
pub struct Decisions([AtomicU64; KINDS]);

impl Default for Decisions {
    fn default() -> Self {
        Self(std::array::from_fn(|_| AtomicU64::new(0)))
    }
}

impl Decisions {
    /// Counts those of a round.
    pub fn count(&self, round: &Tally) {
        for (count, more) in self.0.iter().zip(round.0).filter(|(_, more)| *more > 0) {
            count.fetch_add(u64::from(more), Ordering::Relaxed);
        }
    }

    /// Every kind that an intent can be decided with, those included that none was.
    pub fn read(&self) -> impl Iterator<Item = Decision> {
        let allows = GROUNDS.into_iter().map(|grounds| Some(("allow", NO_BOUNDARY, grounds)));
        let refused = REFUSED
            .into_iter()
            .map(|(refusal, decided)| decided.map(|(outcome, boundary)| (outcome, boundary, refusal.name())));
        self.0.iter().zip(allows.chain(refused)).filter_map(|(count, kind)| {
            let (outcome, boundary, reason) = kind?;
            Some(Decision { outcome, boundary, reason, count: count.load(Ordering::Relaxed) })
        })
    }
}

#[cfg(test)]
mod tests {
    use assent_proto::number::LeafIndex;

    use super::*;

    fn read(decisions: &Decisions) -> Vec<(&'static str, &'static str, &'static str, u64)> {
        let some = decisions.read().filter(|decision| decision.count > 0);
        some.map(|d| (d.outcome, d.boundary, d.reason, d.count)).collect()
    }

    #[test]
    fn every_refusal_has_its_row_in_its_place() {
        let rows: Vec<Refusal> = REFUSED.iter().map(|(refusal, _)| *refusal).collect();
        assert_eq!(rows, Refusal::ALL);
    }

    #[test]
    fn verdicts_are_counted_where_they_are_read() {
        let decisions = Decisions::default();
        assert!(read(&decisions).is_empty() && decisions.read().count() > GROUNDS.len());
        let allow = |grounds| Verdict::Allow { window_s: 1, uses: 1, grounds };
        let mut batch = Tally::default();
        batch.note(allow(Grounds::Policy));
        batch.note(allow(Grounds::Approval(LeafIndex(7))));
        batch.note(allow(Grounds::Warrant { leaf: LeafIndex(7), number: 1 }));
        batch.note(Verdict::Deny(Refusal::IntentUnclassified));
        batch.note(Verdict::Deny(Refusal::ApprovalRejected));
        batch.note(Verdict::Hold { refusal: Refusal::AwaitingApproval, waiting: None });
        let mut round = batch;
        round.add(&batch);
        decisions.count(&round);
        decisions.count(&batch);
        let expected = [
            ("allow", "none", "policy", 3),
            ("allow", "none", "approval", 3),
            ("allow", "none", "warrant", 3),
            ("deny", "intent", "INTENT_UNCLASSIFIED", 3),
            ("hold", "evaluation", "AWAITING_APPROVAL", 3),
            ("deny", "evaluation", "APPROVAL_REJECTED", 3),
        ];
        assert_eq!(read(&decisions), expected);
    }
}
