//! Explanations: why a request gets the answer that it gets, policy by policy and in the author's words.
//!
//! The rule it keeps: the verdict is the one that an intent gets, from the same evaluation; the words are taken from the
//! bundle's own text. It is for people and allocates freely; the serving path does not come here.

use crate::answer::{AnswerError, Considered, ReadRequest, refusal};
use crate::bundle::Bundle;
use crate::place::Place;
use crate::policy::PolicyNote;
use assent_evaluator::{Decision, Effect, Facts, Fault, Outcome, Terms, Verdict};
use serde::Serialize;

/// Why a request gets its answer.
#[derive(Clone, Debug, Serialize)]
pub struct Explanation {
    /// What we decide: `allow`, `deny` or `hold`.
    pub decision: &'static str,
    /// The refusal's name, where it is not allowed.
    pub refusal: Option<&'static str>,
    /// What the refusal is about, in words.
    pub detail: Option<String>,
    /// What Cedar's rules give: `allow` or `deny`.
    pub cedar_decision: &'static str,
    /// The principal, as Cedar writes it.
    pub principal: String,
    /// The action.
    pub action: String,
    /// The resource.
    pub resource: String,
    /// The score that the policies saw.
    pub risk: i64,
    /// The action's share of it.
    pub base_risk: i64,
    /// Whether the request states the score, so that nothing was added up.
    pub is_risk_stated: bool,
    /// On which terms an allow is granted; none where the intent was not classified.
    #[serde(skip)]
    pub terms: Option<Terms>,
    /// Every policy, by index.
    pub policies: Vec<Finding>,
}

/// What a policy had to say.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// Its id.
    pub id: String,
    /// Of a linked template: the template's id.
    pub template: Option<String>,
    /// `permit`, `forbid` or `score`.
    pub effect: &'static str,
    /// Where it stands.
    pub place: Place,
    /// Why, in the author's words.
    pub reason: Option<String>,
    /// What to do about it, in the author's words.
    pub advice: Option<String>,
    /// Whose approvals lift it.
    pub approval: Option<String>,
    /// What became of it.
    pub outcome: Found,
    /// Its text.
    pub text: String,
}

/// What became of a policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Found {
    /// It holds and is a reason of the decision.
    Decides,
    /// It holds, and a forbid decides over it.
    Overruled,
    /// It holds, and adds to the score.
    Adds(i64),
    /// A clause does not hold.
    Unsatisfied(FailedClause),
    /// It could not be evaluated.
    Failed(&'static str),
    /// It is not about this principal, action and resource.
    OutOfScope,
    /// It was not asked, for the intent does not fit the catalog.
    NotAsked,
}

/// The first clause that does not hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FailedClause {
    /// Its number, from 1.
    pub number: u32,
    /// Where it stands.
    pub place: Place,
    /// As its author wrote it; empty for a policy that was not written in Cedar's own syntax.
    pub text: String,
}

impl Bundle {
    /// Explains a request in Cedar's JSON. Where its context says nothing of `assent`, `facts` hold.
    ///
    /// # Errors
    /// A request that cannot be read. A request that fits nothing in the catalog is explained.
    pub fn explain(&self, json: &str, facts: Facts) -> Result<Explanation, AnswerError> {
        let request = serde_json::from_str(json).map_err(AnswerError::Request)?;
        let request = self.read_request(request)?;
        Ok(self.explained(&request, self.consider(&request, facts, true)))
    }

    fn explained(&self, request: &ReadRequest, considered: Considered) -> Explanation {
        let Considered { evaluation, refused, outcomes, terms, stated_risk } = considered;
        let (refusal, detail) = match refused {
            Some((refusal, detail)) => (Some(refusal), detail),
            None => (refusal(evaluation.verdict()), None),
        };
        let decides: Vec<usize> = evaluation.reasons().iter().collect();
        let found = |(index, note): (usize, &PolicyNote)| {
            let outcome = match outcomes.get(index) {
                Some(outcome) => found(*outcome, note, decides.contains(&index)),
                None => Found::NotAsked,
            };
            Finding::of(note, outcome)
        };
        let [principal, action, resource] = request.uids();
        Explanation {
            decision: match evaluation.verdict() {
                Verdict::Allow if refusal.is_none() => "allow",
                Verdict::Hold => "hold",
                Verdict::Allow | Verdict::Deny | Verdict::Unavailable(_) => "deny",
            },
            refusal,
            detail,
            cedar_decision: if evaluation.cedar() == Decision::Allow { "allow" } else { "deny" },
            principal,
            action,
            resource,
            risk: evaluation.risk(),
            base_risk: terms.map_or(0, |terms| terms.risk),
            is_risk_stated: stated_risk.is_some(),
            terms,
            policies: self.policies().iter().enumerate().map(found).collect(),
        }
    }
}

fn found(outcome: Outcome, note: &PolicyNote, decides: bool) -> Found {
    match (outcome, note.effect) {
        (Outcome::Satisfied, Effect::Score(score)) => Found::Adds(score),
        (Outcome::Satisfied, Effect::Permit | Effect::Forbid) if decides => Found::Decides,
        (Outcome::Satisfied, Effect::Permit | Effect::Forbid) => Found::Overruled,
        (Outcome::OutOfScope, _) => Found::OutOfScope,
        (Outcome::Failed(fault), _) => Found::Failed(words(fault)),
        (Outcome::Unsatisfied { clause }, _) => {
            let written = note.clauses.get(clause as usize);
            Found::Unsatisfied(FailedClause {
                number: clause.saturating_add(1),
                place: written.map_or(&note.place, |written| &written.place).clone(),
                text: written.map(|written| written.text.clone()).unwrap_or_default(),
            })
        }
    }
}

const fn words(fault: Fault) -> &'static str {
    match fault {
        Fault::Type => "an operator was given a value of another type than it takes",
        Fault::Overflow => "a result does not fit into 64 bits",
        Fault::MissingEntity => "it reads an entity that is not in the snapshot",
        Fault::MissingAttribute => "it reads an attribute that is not there",
        Fault::MissingTag => "it reads a tag that is not there",
        Fault::Budget => "the budget was used up",
        Fault::Unreachable => "it came to what validation had proved unreachable",
        Fault::Image => "the image is not what was verified",
    }
}

impl Finding {
    fn of(note: &PolicyNote, outcome: Found) -> Self {
        Self {
            id: note.id.clone(),
            template: note.template.clone(),
            effect: match note.effect {
                Effect::Permit => "permit",
                Effect::Forbid => "forbid",
                Effect::Score(_) => "score",
            },
            place: note.place.clone(),
            reason: note.reason.clone(),
            advice: note.advice.clone(),
            approval: note
                .approval
                .as_ref()
                .map(|approval| format!("{} of {}", approval.count, approval.group)),
            outcome,
            text: note.text.clone(),
        }
    }
}
