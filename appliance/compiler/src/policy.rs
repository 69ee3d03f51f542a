//! Policies: parsed and validated by Cedar, named and annotated by us.
//!
//! The rule it keeps: strict validation over all of them together, in bundles at level 1 and without a warning. Indices
//! are the image's: the policies in the order of their text, then the risk model's.

use crate::annotation::{Annotations, score};
use crate::bundle::{Document, Rules};
use crate::error::{BundleError, draw, draw_all};
use assent_evaluator::Effect;
use cedar_policy::{Policy, PolicyId, PolicySet, Schema, ValidationMode, Validator, pst};
use miette::Diagnostic;
use std::collections::{BTreeMap, HashSet};
use std::str::FromStr;

/// Deepest dereference that validation accepts in a bundle.
const LEVEL: u32 = 1;

/// Whose approvals lift a forbid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approval {
    /// How many.
    pub count: u32,
    /// Of whom.
    pub group: String,
}

/// What people want to know of a policy.
#[derive(Clone, Debug)]
pub struct PolicyNote {
    /// Its `@id`, or `policy` and its position.
    pub id: String,
    /// The file it stands in.
    pub file: String,
    /// What it does.
    pub effect: Effect,
    /// Why, in the author's words.
    pub reason: Option<String>,
    /// What to do about it, in the author's words.
    pub advice: Option<String>,
    /// On a forbid: the approvals that lift it.
    pub approval: Option<Approval>,
    /// Its text.
    pub text: String,
}

/// A policy that passed validation.
#[derive(Debug)]
pub(crate) struct Accepted {
    pub(crate) note: PolicyNote,
    pub(crate) body: pst::Template,
}

/// Parses, names and validates the policies of a bundle and its risk model.
pub(crate) fn accept(
    policies: &[Document],
    risk: &[Document],
    schema: &Schema,
    rules: Rules,
) -> Result<(Vec<Accepted>, Vec<String>), BundleError> {
    let mut intake =
        Intake { rules, ids: HashSet::new(), position: 0, all: PolicySet::new(), accepted: Vec::new() };
    for document in policies {
        intake.read(document, false)?;
    }
    for document in risk {
        intake.read(document, true)?;
    }
    let files: Vec<_> = policies.iter().chain(risk).map(|document| document.name.as_str()).collect();
    let warnings = intake.validate(schema, &files.join(", "))?;
    Ok((intake.accepted, warnings))
}

struct Intake {
    rules: Rules,
    ids: HashSet<String>,
    /// Statements so far, over all files.
    position: usize,
    all: PolicySet,
    accepted: Vec<Accepted>,
}

impl Intake {
    fn read(&mut self, document: &Document, is_risk: bool) -> Result<(), BundleError> {
        let rejected = |drawn| BundleError::Policies { file: document.name.clone(), drawn };
        let parsed = PolicySet::from_str(&document.text).map_err(|error| rejected(draw(&error)))?;
        if let Some(template) = parsed.templates().next() {
            return Err(unsupported(
                document,
                template.id().as_ref(),
                "a template without links decides nothing",
            ));
        }
        let mut policies: Vec<_> = parsed.policies().collect();
        policies.sort_by_key(|policy| position(policy.id()));
        for policy in policies {
            let own = format!("policy{}", self.position);
            self.position += 1;
            let id = policy.annotation("id").map_or(own, str::to_owned);
            if !self.ids.insert(id.clone()) {
                return Err(BundleError::DuplicateId { file: document.name.clone(), id });
            }
            self.take(document, &policy.new_id(PolicyId::new(&id)), id, is_risk)?;
        }
        Ok(())
    }

    fn take(
        &mut self,
        document: &Document,
        policy: &Policy,
        id: String,
        is_risk: bool,
    ) -> Result<(), BundleError> {
        let rejected = |drawn| BundleError::Policies { file: document.name.clone(), drawn };
        let note = note(document, policy, id, is_risk, self.rules)?;
        let body = match policy.to_pst().map_err(|error| rejected(error.to_string()))? {
            pst::Policy::Static(policy) => policy.body().clone(),
            _ => return Err(unsupported(document, &note.id, "not a static policy")),
        };
        self.all.add(policy.clone()).map_err(|error| rejected(draw(&error)))?;
        self.accepted.push(Accepted { note, body });
        Ok(())
    }

    fn validate(&self, schema: &Schema, files: &str) -> Result<Vec<String>, BundleError> {
        let validator = Validator::new(schema.clone());
        let result = match self.rules {
            Rules::Bundle => validator.validate_with_level(&self.all, ValidationMode::Strict, LEVEL),
            Rules::Plain => validator.validate(&self.all, ValidationMode::Strict),
        };
        let errors: Vec<&dyn Diagnostic> =
            result.validation_errors().map(|error| error as &dyn Diagnostic).collect();
        // Texts that look alike are among the warnings.
        let warnings: Vec<&dyn Diagnostic> =
            result.validation_warnings().map(|warning| warning as &dyn Diagnostic).collect();
        let rejected = match self.rules {
            Rules::Bundle if errors.is_empty() => &warnings,
            Rules::Bundle | Rules::Plain => &errors,
        };
        match rejected.is_empty() {
            false => Err(BundleError::Policies {
                file: files.to_owned(),
                drawn: draw_all(rejected.iter().copied()),
            }),
            true => Ok(warnings.iter().map(ToString::to_string).collect()),
        }
    }
}

fn unsupported(document: &Document, id: &str, problem: &str) -> BundleError {
    BundleError::Unsupported {
        file: document.name.clone(),
        what: format!("policy `{id}`"),
        problem: problem.to_owned(),
    }
}

/// Cedar numbers the statements of a text `policy0`, `policy1` and so on.
fn position(id: &PolicyId) -> usize {
    let id: &str = id.as_ref();
    id.strip_prefix("policy").and_then(|digits| digits.parse().ok()).unwrap_or(usize::MAX)
}

fn note(
    document: &Document,
    policy: &Policy,
    id: String,
    is_risk: bool,
    rules: Rules,
) -> Result<PolicyNote, BundleError> {
    let values: BTreeMap<String, String> =
        policy.annotations().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    let place = format!("policy `{id}`");
    let annotations = Annotations { file: &document.name, place: &place, values: &values, rules };
    let is_forbid = policy.effect() == cedar_policy::Effect::Forbid;
    annotations.only(match (is_risk, is_forbid) {
        (true, _) => &["id", "reason", "advice", "score"],
        (false, true) => &["id", "reason", "advice", "approval"],
        (false, false) => &["id", "reason", "advice"],
    })?;
    let effect = match (is_risk, is_forbid) {
        (false, false) => Effect::Permit,
        (false, true) => Effect::Forbid,
        (true, true) => {
            return Err(unsupported(document, &id, "a risk model only permits: it adds, it cannot forbid"));
        }
        (true, false) => match annotations.read("score", "a whole number", score)? {
            Some(score) => Effect::Score(score),
            None => return Err(unsupported(document, &id, "a policy of the risk model needs its @score")),
        },
    };
    let approval = match effect {
        Effect::Forbid => annotations.read("approval", "a text such as 2 of payments-oncall", approval)?,
        Effect::Permit | Effect::Score(_) => None,
    };
    Ok(PolicyNote {
        file: document.name.clone(),
        effect,
        reason: annotations.text("reason").map(str::to_owned),
        advice: annotations.text("advice").map(str::to_owned),
        approval,
        text: policy.to_string(),
        id,
    })
}

/// `2 of payments-oncall`
fn approval(text: &str) -> Option<Approval> {
    let (count, group) = text.split_once(" of ")?;
    let count = count.parse().ok().filter(|count| *count > 0)?;
    let is_group = !group.is_empty() && !group.contains(char::is_whitespace);
    is_group.then(|| Approval { count, group: group.to_owned() })
}
