//! Evaluation: all policies whose scope holds, and what follows from them.
//!
//! The rule it keeps: every candidate runs, for Cedar reports all reasons; and the verdict is an allow only where Cedar
//! allows and no policy failed. The intent's fitness was settled by classification.

use crate::bits::{PolicyBits, ones};
use crate::comparison::Fuel;
use crate::image::{Effect, Image};
use crate::intent::Intent;
use crate::machine::{Fault, Machine, Outcome};
use crate::scope::{Standing, word_of};
use crate::world::World;

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
    /// The risk model ran out of fuel.
    risk_is_exhausted: bool,
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

/// Which of a word's policies a pass runs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    /// The risk model.
    Scores,
    /// The policies, without the risk model.
    Policies,
}

impl<'a> Standing<'a> {
    /// Of the policies of one word, those whose scope accepts the intent.
    #[inline(always)]
    fn candidates(&self, world: &World<'_, 'a>, index: usize) -> u64 {
        let (image, words) = (world.image, world.image.words());
        let of_types = match self.environment {
            Some(environment) => word_of(image.environment_scopes, words, environment, index),
            None => of_types(world, index),
        };
        // Most words are empty when there are many policies.
        if of_types == 0 {
            return 0;
        }
        let principals = image.principals.naming(words, &self.principal, index);
        of_types & principals & image.resources.naming(words, &self.resource, index)
    }
}

/// Of the policies of one word, those whose scope accepts action and types: for requests that fit no environment.
#[inline(never)]
fn of_types(world: &World<'_, '_>, index: usize) -> u64 {
    let (image, words) = (world.image, world.image.words());
    // The row after the last action's is for actions that the catalog does not know; so is the last one of types.
    let action = (world.intent.action as usize).min(image.actions.len());
    let row = |entity| world.type_of(entity).map_or(image.types.rows.len(), |number| number as usize);
    word_of(image.action_scopes, words, action, index)
        & word_of(image.principals.by_type, words, row(world.intent.principal), index)
        & word_of(image.resources.by_type, words, row(world.intent.resource), index)
}

/// What a pass found, over all its words.
#[derive(Clone, Copy, Default)]
struct Found {
    /// A policy that forbids.
    is_forbidden: bool,
    /// One that forbids, and that no approval lifts.
    is_final: bool,
    /// One that does not forbid.
    is_permitted: bool,
    /// A policy failed.
    is_failed: bool,
    /// For want of fuel.
    is_exhausted: bool,
}

impl<'a> Machine<'_, 'a> {
    /// Runs the candidates of one part; those that are satisfied become the reasons, and those that fail join the errors.
    #[inline(always)]
    fn pass(&mut self, standing: &Standing<'a>, part: Part, evaluation: &mut Evaluation) -> Found {
        let image = self.world.image;
        let mut found = Found::default();
        let masks = image.scores.iter().zip(image.forbids).zip(image.approvals);
        for (index, ((scores, forbids), approvals)) in masks.enumerate() {
            let of_part = if part == Part::Scores { *scores } else { !scores };
            let (mut satisfied, mut errors) = (0_u64, 0_u64);
            for policy in ones(index, standing.candidates(&self.world, index) & of_part) {
                let program = image.program(standing.environment, policy);
                match program.map_or(Outcome::Failed(Fault::Image), |program| self.run(program)) {
                    Outcome::Satisfied => satisfied |= 1 << (policy % 64),
                    Outcome::Failed(fault) => {
                        errors |= 1 << (policy % 64);
                        found.is_exhausted |= fault == Fault::Budget;
                    }
                    Outcome::OutOfScope | Outcome::Unsatisfied { .. } => {}
                }
            }
            evaluation.reasons.put(index, satisfied);
            found.is_failed |= evaluation.errors.join(index, errors) != 0;
            found.is_forbidden |= satisfied & forbids != 0;
            found.is_final |= satisfied & forbids & !approvals != 0;
            found.is_permitted |= satisfied & !forbids != 0;
        }
        found
    }
}

/// What becomes of one policy. It runs the program that says which clause does not hold.
pub(crate) fn outcome(intent: &mut Intent<'_>, policy: usize) -> Outcome {
    let image = intent.view.image();
    let (world, standing, _) = intent.world();
    let mut machine = Machine::new(world, Fuel::of(image.budget));
    let standing = Standing { environment: None, ..*standing };
    let candidates = standing.candidates(&machine.world, policy / 64);
    match (candidates & 1 << (policy % 64), image.program(None, policy)) {
        (0, _) => Outcome::OutOfScope,
        (_, Some(program)) => machine.run(program),
        (_, None) => Outcome::Failed(Fault::Image),
    }
}

/// Evaluates an intent. Without `base` it was not classified; `stated` replaces the computed score.
#[inline]
pub(crate) fn evaluate<'e>(
    intent: &'e mut Intent<'_>,
    base: Option<i64>,
    stated: Option<i64>,
) -> &'e Evaluation {
    let image = intent.view.image();
    intent.evaluation.begin(base);
    let mut fuel = Fuel::of(image.budget);
    if image.has_scores || stated.is_some() {
        // The risk model itself sees no score.
        let is_asserted = base.is_some();
        if is_asserted {
            intent.assert_risk(0);
        }
        fuel = score(intent, stated, fuel);
        if is_asserted {
            intent.assert_risk(intent.evaluation.risk);
        }
    }
    let (world, standing, evaluation) = intent.world();
    let mut machine = Machine::new(world, fuel);
    let found = machine.pass(standing, Part::Policies, evaluation);
    evaluation.fuel_used = image.budget.saturating_sub(machine.fuel.left());
    evaluation.conclude(image, found, base.is_some());
    evaluation
}

/// Runs the risk model, and gives the fuel that is left.
#[inline(never)]
fn score(intent: &mut Intent<'_>, stated: Option<i64>, fuel: Fuel) -> Fuel {
    let image = intent.view.image();
    let (world, standing, evaluation) = intent.world();
    let mut machine = Machine::new(world, fuel);
    evaluation.risk_is_exhausted = machine.pass(standing, Part::Scores, evaluation).is_exhausted;
    evaluation.keep_scores(image, stated);
    machine.fuel
}

impl Evaluation {
    /// Of no intent.
    pub(crate) const fn new() -> Self {
        Self {
            verdict: Verdict::Unavailable(Cause::Unclassified),
            cedar: Decision::Deny,
            reasons: PolicyBits::new(),
            errors: PolicyBits::new(),
            scores: PolicyBits::new(),
            risk: 0,
            risk_is_exhausted: false,
            fuel_used: 0,
        }
    }

    /// Nothing is satisfied, and nothing has failed yet.
    #[inline(always)]
    fn begin(&mut self, base: Option<i64>) {
        self.reasons.clear();
        self.errors.clear();
        self.scores.clear();
        self.risk = base.unwrap_or(0);
        self.risk_is_exhausted = false;
    }

    /// What is satisfied so far is the risk model's: it gives the score.
    fn keep_scores(&mut self, image: &Image<'_>, stated: Option<i64>) {
        core::mem::swap(&mut self.scores, &mut self.reasons);
        let score = |policy: usize| match image.policies.get(policy).map(|row| row.effect) {
            Some(Effect::Score(score)) => score,
            Some(Effect::Permit | Effect::Forbid) | None => 0,
        };
        let computed = self.scores.iter().fold(self.risk, |sum, policy| sum.saturating_add(score(policy)));
        self.risk = stated.unwrap_or(computed);
    }

    /// What follows from what is satisfied and what failed.
    #[inline(always)]
    fn conclude(&mut self, image: &Image<'_>, found: Found, is_classified: bool) {
        if found.is_forbidden {
            self.reasons.retain(image.forbids);
        }
        self.cedar = match found.is_permitted && !found.is_forbidden {
            true => Decision::Allow,
            false => Decision::Deny,
        };
        self.verdict = match self.cedar {
            _ if !is_classified => Verdict::Unavailable(Cause::Unclassified),
            _ if found.is_exhausted || self.risk_is_exhausted => Verdict::Unavailable(Cause::Budget),
            _ if found.is_failed => Verdict::Unavailable(Cause::Errors),
            Decision::Allow => Verdict::Allow,
            Decision::Deny if found.is_permitted && !found.is_final => Verdict::Hold,
            Decision::Deny => Verdict::Deny,
        };
    }
}
