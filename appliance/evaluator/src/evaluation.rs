//! Evaluation: all policies whose scope holds, and what follows from them.
//!
//! The rule it keeps: every candidate runs, for Cedar reports all reasons; and the verdict is an allow only where Cedar
//! allows and no policy failed. The intent's fitness was settled by classification.

use crate::bits::{PolicyBits, ones};
use crate::comparison::Fuel;
use crate::image::{Effect, Image};
use crate::intent::Intent;
use crate::machine::{Fault, Machine, Outcome};
use crate::scope::{Position, word_of};
use crate::world::{Scratch, World};

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

/// Which of a word's policies a pass runs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    /// The risk model.
    Scores,
    /// The policies, without the risk model.
    Policies,
}

/// Where an intent stands: what decides which policies are candidates.
#[derive(Clone, Copy)]
struct Standing<'a> {
    environment: Option<usize>,
    action: usize,
    principal: Position<'a>,
    resource: Position<'a>,
}

impl<'a> Standing<'a> {
    #[inline(always)]
    fn of(world: &World<'_, 'a>, environment: Option<usize>) -> Self {
        Self {
            environment,
            // The row after the last action's is for actions that the catalog does not know.
            action: (world.intent.action as usize).min(world.image.actions.len()),
            principal: world.position(world.intent.principal),
            resource: world.position(world.intent.resource),
        }
    }

    /// Of the policies of one word, those whose scope accepts the intent.
    #[inline(always)]
    fn candidates(&self, image: &Image<'_>, index: usize) -> u64 {
        let (words, principals, resources) = (image.words(), &image.principals, &image.resources);
        let of_types = match self.environment {
            Some(environment) => word_of(image.environment_scopes, words, environment, index),
            None => {
                word_of(image.action_scopes, words, self.action, index)
                    & principals.accepting(words, &self.principal, index)
                    & resources.accepting(words, &self.resource, index)
            }
        };
        // Most words are empty when there are many policies.
        if of_types == 0 {
            return 0;
        }
        of_types
            & principals.naming(words, &self.principal, index)
            & resources.naming(words, &self.resource, index)
    }
}

impl<'a> Machine<'_, 'a> {
    /// Runs the candidates of one part, and adds those that are satisfied and those that fail.
    #[inline(always)]
    fn pass(&mut self, standing: &Standing<'a>, part: Part, evaluation: &mut Evaluation) {
        let image = self.world.image;
        for (index, scores) in image.scores.iter().enumerate() {
            let of_part = if part == Part::Scores { *scores } else { !scores };
            for policy in ones(index, standing.candidates(image, index) & of_part) {
                let program = image.program(standing.environment, policy);
                match program.map_or(Outcome::Failed(Fault::Image), |program| self.run(program)) {
                    Outcome::Satisfied => evaluation.reasons.insert(policy),
                    Outcome::Failed(fault) => {
                        evaluation.errors.insert(policy);
                        if fault == Fault::Budget {
                            evaluation.verdict = Verdict::Unavailable(Cause::Budget);
                        }
                    }
                    Outcome::OutOfScope | Outcome::Unsatisfied { .. } => {}
                }
            }
        }
    }
}

/// What becomes of one policy. It runs the program that says which clause does not hold.
pub(crate) fn outcome(intent: &Intent<'_>, policy: usize) -> Outcome {
    let mut scratch = Scratch::new();
    let image = intent.view.image();
    let mut machine = Machine::new(intent.world(&mut scratch), Fuel::of(image.budget));
    let standing = Standing::of(&machine.world, None);
    match (standing.candidates(image, policy / 64) & 1 << (policy % 64), image.program(None, policy)) {
        (0, _) => Outcome::OutOfScope,
        (_, Some(program)) => machine.run(program),
        (_, None) => Outcome::Failed(Fault::Image),
    }
}

/// Evaluates an intent. Without `base` it was not classified; `stated` replaces the computed score.
pub(crate) fn evaluate(intent: &mut Intent<'_>, base: Option<i64>, stated: Option<i64>) -> Evaluation {
    let image = intent.view.image();
    let environment = intent.environment.filter(|_| base.is_some());
    let mut evaluation = Evaluation::nothing(image, base);
    let mut fuel = Fuel::of(image.budget);
    let mut scratch = Scratch::new();
    let standing = {
        let mut machine = Machine::new(intent.world(&mut scratch), fuel);
        let standing = Standing::of(&machine.world, environment);
        if image.has_scores {
            machine.pass(&standing, Part::Scores, &mut evaluation);
        }
        fuel = machine.fuel;
        standing
    };
    if image.has_scores || stated.is_some() {
        evaluation.keep_scores(image, stated);
        if base.is_some() {
            intent.assert_risk(evaluation.risk);
        }
    }
    let mut machine = Machine::new(intent.world(&mut scratch), fuel);
    machine.pass(&standing, Part::Policies, &mut evaluation);
    evaluation.fuel_used = image.budget.saturating_sub(machine.fuel.left());
    evaluation.conclude(image);
    evaluation
}

impl Evaluation {
    /// Nothing is satisfied yet. The verdict is what it is until [`Self::conclude`]: unavailable where it will stay so.
    #[inline(always)]
    fn nothing(image: &Image<'_>, base: Option<i64>) -> Self {
        let words = image.words();
        Self {
            verdict: match base {
                Some(_) => Verdict::Deny,
                None => Verdict::Unavailable(Cause::Unclassified),
            },
            cedar: Decision::Deny,
            reasons: PolicyBits::empty(words),
            errors: PolicyBits::empty(words),
            scores: PolicyBits::empty(words),
            risk: base.unwrap_or(0),
            fuel_used: 0,
        }
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
    fn conclude(&mut self, image: &Image<'_>) {
        let satisfied = &mut self.reasons;
        let is_forbidden = satisfied.meets(image.forbids);
        let is_permitted = satisfied.exceeds(image.forbids);
        // What cannot be lifted: forbids without an approval.
        let is_liftable = is_permitted && !satisfied.meets_beyond(image.forbids, image.approvals);
        if is_forbidden {
            satisfied.retain(image.forbids);
        }
        if is_permitted && !is_forbidden {
            self.cedar = Decision::Allow;
        }
        self.verdict = match (self.verdict, self.cedar) {
            (Verdict::Unavailable(cause), _) => Verdict::Unavailable(cause),
            (_, _) if !self.errors.is_empty() => Verdict::Unavailable(Cause::Errors),
            (_, Decision::Allow) => Verdict::Allow,
            (_, Decision::Deny) if is_liftable => Verdict::Hold,
            (_, Decision::Deny) => Verdict::Deny,
        };
    }
}
