//! Evaluation: do the policies allow it, and at which risk?
//!
//! The one rule: what cannot be evaluated is denied, with a refusal of its own, so that it is never taken for a denial by
//! policy. Cedar's own decision is only the beginning: any policy that errs, any absent entity, any budget passed, and
//! there is no allow. The evaluator decides; this room gives its verdict the words that the agent hears. Whether anything is
//! evaluated at all, [`EvaluationBoundary`] says (`boundary`); what the appliance itself tells the policies is in `asserted`
//! and `rate`.

mod asserted;
mod boundary;
mod rate;

pub use asserted::Asserted;
pub use boundary::{Cause, Closed, EvaluationBoundary, Moment};
pub use rate::Rates;

use assent_evaluator as evaluator;
use assent_proto::entry::{Grounds, Policies};
use assent_proto::refusal::Refusal;
use assent_proto::wire::{Ruling, Verdict};

use crate::intent::Classified;
use crate::policy::Snapshot;

/// Tells its holder what the bundle decides on a classified intent, by which policies and at which risk, or that it was not
/// evaluated. It does not tell that a key exists to sign it.
///
/// Only [`evaluate`] and [`withhold`] make one:
///
/// ```compile_fail
/// fn forge(ruling: assent_proto::wire::Ruling<'_>) -> appliance::evaluation::Judgement<'_> {
///     appliance::evaluation::Judgement(ruling)
/// }
/// ```
#[derive(Debug)]
#[must_use]
pub struct Judgement<'s>(Ruling<'s>);

impl<'s> Judgement<'s> {
    /// What is logged and answered. The proof ends here: whoever takes the ruling takes it at its word.
    #[must_use]
    pub fn into_ruling(self) -> Ruling<'s> {
        self.0
    }
}

/// Refuses a classified intent that is not evaluated: the boundary is closed, or its batch has passed its deadline. One that
/// wishes so waits.
pub fn withhold<'s>(classified: Classified<'_, '_>) -> Judgement<'s> {
    let verdict = match classified.granted.waiting {
        None => Verdict::Deny(Refusal::EvaluationUnavailable),
        waiting @ Some(_) => Verdict::Hold { refusal: Refusal::Queued, waiting },
    };
    Judgement(Ruling { verdict, risk: 0, policies: Policies::default() })
}

/// Decides a classified intent under the bundle that classified it. An allow has these grounds.
pub fn evaluate<'s>(
    mut classified: Classified<'_, '_>,
    snapshot: &'s Snapshot,
    grounds: Grounds,
) -> Judgement<'s> {
    let granted = classified.granted;
    let evaluation = classified.read.evaluate();
    let (verdict, deciding) = match evaluation.verdict() {
        evaluator::Verdict::Allow => {
            let verdict = Verdict::Allow { window_s: granted.window_s, uses: granted.uses, grounds };
            (verdict, evaluation.reasons())
        }
        evaluator::Verdict::Deny => (Verdict::Deny(Refusal::PolicyDenied), evaluation.reasons()),
        evaluator::Verdict::Hold => {
            let waiting = granted.waiting;
            let refusal =
                if waiting.is_some() { Refusal::AwaitingApproval } else { Refusal::ApprovalRequired };
            (Verdict::Hold { refusal, waiting }, evaluation.reasons())
        }
        evaluator::Verdict::Unavailable(_) => {
            snapshot.count_errors(evaluation.errors());
            (Verdict::Deny(Refusal::EvaluationUnavailable), evaluation.errors())
        }
    };
    let policies: Policies<'s> = deciding.iter().map(|index| snapshot.bundle().policy_id(index)).collect();
    Judgement(Ruling { verdict, risk: evaluation.risk(), policies })
}
