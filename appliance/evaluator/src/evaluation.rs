//! Evaluation: all policies whose scope holds, and what follows from them.
//!
//! The rule it keeps: every candidate runs, for Cedar reports all reasons; and the verdict is an allow only where Cedar
//! allows and no policy failed. The intent's fitness was settled by classification.

use crate::bits::{PolicyBits, ones};
use crate::image::{Effect, Image};
use crate::intent::Intent;
use crate::limits::POLICY_WORDS;
use crate::machine::{Fault, Machine, Outcome};
use crate::scope::Words;
use crate::world::Scratch;

/// What Cedar's own rules give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// A permit is satisfied and no forbid.
    Allow,
    /// A forbid is satisfied, or nothing is.
    Deny,
}

/// What we decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Cedar allows, and nothing failed.
    Allow,
    /// Cedar denies.
    Deny,
    /// Cedar denies, and only by forbids that approvals can lift.
    Hold,
    /// There is no answer to rely on.
    Unavailable(Cause),
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Policies failed; [`Evaluation::errors`] has them.
    Errors,
    /// The budget was passed.
    Budget,
    /// The intent was not classified.
    Unclassified,
}

/// The outcome of an evaluation.
#[derive(Clone, Debug)]
#[must_use]
pub struct Evaluation {
    verdict: Verdict,
    cedar: Decision,
    reasons: PolicyBits,
    errors: PolicyBits,
    scores: PolicyBits,
    risk: i64,
    fuel_used: u64,
}

impl Evaluation {
    /// What we decide.
    pub const fn verdict(&self) -> Verdict {
        self.verdict
    }

    /// What Cedar decides.
    pub const fn cedar(&self) -> Decision {
        self.cedar
    }

    /// Policies that decide: all satisfied forbids, or else all satisfied permits.
    pub const fn reasons(&self) -> &PolicyBits {
        &self.reasons
    }

    /// Policies that could not be evaluated, the risk model's included.
    pub const fn errors(&self) -> &PolicyBits {
        &self.errors
    }

    /// The action's base score and what the risk model added.
    pub const fn risk(&self) -> i64 {
        self.risk
    }

    /// Policies of the risk model that added to the score.
    pub const fn scores(&self) -> &PolicyBits {
        &self.scores
    }

    /// Fuel that was used.
    pub const fn fuel_used(&self) -> u64 {
        self.fuel_used
    }
}

/// What a pass over policies found.
struct Findings {
    satisfied: PolicyBits,
    errors: PolicyBits,
    is_out_of_fuel: bool,
}

impl Machine<'_, '_> {
    /// Policies whose scope accepts the intent.
    fn candidates(&self) -> Words {
        let (image, intent) = (self.world.image, self.world.intent);
        let mut candidates = [0; POLICY_WORDS];
        // The row after the last action's is for actions that the catalog does not know.
        let action = (intent.action as usize).min(image.actions.len());
        let row = image.row(image.action_scopes, action).unwrap_or(&[]);
        for (to, from) in candidates.iter_mut().zip(row) {
            *to = *from;
        }
        image.principals.restrict(image, self.world.position(intent.principal), &mut candidates);
        image.resources.restrict(image, self.world.position(intent.resource), &mut candidates);
        candidates
    }

    /// Runs those of the candidates that belong to the risk model, or those that do not.
    fn pass(&mut self, candidates: &Words, of_risk_model: bool, findings: &mut Findings) {
        let image = self.world.image;
        for (index, (candidate, scores)) in candidates.iter().zip(image.scores).enumerate() {
            let wanted = if of_risk_model { candidate & scores } else { candidate & !scores };
            for policy in ones(index, wanted) {
                match self.run(policy) {
                    Outcome::Satisfied => findings.satisfied.insert(policy),
                    Outcome::Failed(fault) => {
                        findings.errors.insert(policy);
                        findings.is_out_of_fuel |= fault == Fault::Budget;
                    }
                    Outcome::OutOfScope | Outcome::Unsatisfied { .. } => {}
                }
            }
        }
    }

    /// What becomes of one policy.
    pub(crate) fn outcome(&mut self, policy: usize) -> Outcome {
        let word = self.candidates().get(policy / 64).copied().unwrap_or(0);
        match word & (1 << (policy % 64)) {
            0 => Outcome::OutOfScope,
            _ => self.run(policy),
        }
    }
}

/// Evaluates an intent. Without `base` it was not classified; `stated` replaces the computed score.
#[inline]
pub(crate) fn evaluate(intent: &mut Intent<'_>, base: Option<i64>, stated: Option<i64>) -> Evaluation {
    let words = intent.view.image().words();
    let mut findings = Findings {
        satisfied: PolicyBits::empty(words),
        errors: PolicyBits::empty(words),
        is_out_of_fuel: false,
    };
    let mut scratch = Scratch::new();
    let mut machine = Machine::new(intent.world(&mut scratch));
    let candidates = machine.candidates();
    if machine.world.image.scores.iter().any(|word| *word != 0) {
        machine.pass(&candidates, true, &mut findings);
    }
    let fuel = machine.fuel;

    let scores = findings.satisfied.clone();
    let risk = stated.unwrap_or_else(|| sum_of_scores(intent.view.image(), &scores, base.unwrap_or(0)));
    if base.is_some() {
        intent.assert_risk(risk);
    }

    let mut machine = Machine::new(intent.world(&mut scratch));
    machine.fuel = fuel;
    machine.pass(&candidates, false, &mut findings);
    let fuel_used = machine.world.image.budget.saturating_sub(machine.fuel.left());
    conclude(intent.view.image(), findings, scores, risk, fuel_used, base.is_some())
}

fn sum_of_scores(image: &Image<'_>, satisfied: &PolicyBits, base: i64) -> i64 {
    satisfied.iter().fold(base, |sum, policy| match image.policies.get(policy).map(|row| row.effect) {
        Some(Effect::Score(score)) => sum.saturating_add(score),
        Some(Effect::Permit | Effect::Forbid) | None => sum,
    })
}

fn conclude(
    image: &Image<'_>,
    findings: Findings,
    scores: PolicyBits,
    risk: i64,
    fuel_used: u64,
    is_classified: bool,
) -> Evaluation {
    let Findings { satisfied, errors, is_out_of_fuel } = findings;
    let is_forbidden = satisfied.meets(image.forbids);
    let is_permitted = satisfied.exceeds(image.forbids, image.scores);
    let cedar = if is_permitted && !is_forbidden { Decision::Allow } else { Decision::Deny };
    // What cannot be lifted: forbids without an approval.
    let is_liftable = is_permitted && !satisfied.meets_beyond(image.forbids, image.approvals);
    let verdict = match cedar {
        _ if !is_classified => Verdict::Unavailable(Cause::Unclassified),
        _ if is_out_of_fuel => Verdict::Unavailable(Cause::Budget),
        _ if !errors.is_empty() => Verdict::Unavailable(Cause::Errors),
        Decision::Allow => Verdict::Allow,
        Decision::Deny if is_liftable => Verdict::Hold,
        Decision::Deny => Verdict::Deny,
    };
    let reasons = match is_forbidden {
        true => satisfied.within(image.forbids),
        false => satisfied.without(image.forbids).without(image.scores),
    };
    Evaluation { verdict, cedar, reasons, errors, scores, risk, fuel_used }
}
