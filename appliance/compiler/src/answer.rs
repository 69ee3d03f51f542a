//! Answers to requests in Cedar's JSON: `policy eval`, policy tests, and comparison with Cedar.
//!
//! The rule it keeps: the request goes through the same classification and evaluation as an intent from the wire. Cedar
//! reads the JSON, nothing else. It allocates freely; the serving path does not come here.

use crate::bundle::Bundle;
use crate::constant::Constant;
use crate::error::draw;
use crate::literal::of_result;
use crate::scope::uid;
use crate::table::EntityName;
use assent_evaluator::{
    Cause, Decision, Evaluation, Facts, Intent, Misfit, Outcome, Refused, Terms, Uid, Verdict, View,
};
use cedar_policy::Context;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A request that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum AnswerError {
    /// Not a request in Cedar's JSON.
    #[error("not a request: {0}")]
    Request(#[source] serde_json::Error),
    /// An entity uid that Cedar does not take.
    #[error("not an entity uid: {0}")]
    Uid(String),
    /// A context that Cedar does not take.
    #[error("the context is rejected\n{0}")]
    Context(String),
}

/// A request in Cedar's JSON.
#[derive(Clone, Debug, Deserialize)]
struct RequestJson {
    principal: UidJson,
    action: UidJson,
    resource: UidJson,
    #[serde(default)]
    context: serde_json::Value,
}

/// A uid: `{"type", "id"}`, within `__entity` or not.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum UidJson {
    Plain {
        #[serde(rename = "type")]
        type_name: String,
        id: String,
    },
    Escaped {
        #[serde(rename = "__entity")]
        uid: Box<Self>,
    },
    /// `Type::"id"`
    Text(String),
}

impl UidJson {
    fn name(&self) -> Result<EntityName, AnswerError> {
        match self {
            Self::Plain { type_name, id } => Ok(EntityName::new(type_name, id)),
            Self::Escaped { uid } => uid.name(),
            Self::Text(text) => text
                .parse::<cedar_policy::EntityUid>()
                .map(|uid| EntityName::of(&uid))
                .map_err(|error| AnswerError::Uid(error.to_string())),
        }
    }
}

/// A request, read.
#[derive(Debug)]
pub(crate) struct ReadRequest {
    principal: EntityName,
    action: EntityName,
    resource: EntityName,
    context: BTreeMap<String, Constant>,
}

/// What becomes of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Answer {
    /// Our verdict: `allow` or `deny`.
    pub decision: &'static str,
    /// What Cedar's rules give: `allow` or `deny`.
    pub cedar_decision: &'static str,
    /// Ids of the policies that decide, sorted.
    pub reasons: Vec<String>,
    /// Ids of the policies that failed, sorted.
    pub errors: Vec<String>,
    /// The refusal's name, where our verdict is not allow.
    pub refusal: Option<&'static str>,
    /// What the refusal is about, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

impl Bundle {
    /// Answers a request in Cedar's JSON, as `policy eval` prints it.
    ///
    /// # Errors
    /// A request that cannot be read. A request that fits nothing in the catalog is an answer.
    pub fn answer(&self, json: &str) -> Result<Answer, AnswerError> {
        let request = serde_json::from_str(json).map_err(AnswerError::Request)?;
        Ok(self.answer_to(&self.read_request(request)?))
    }

    /// Reads a request from JSON. Values are typed by the catalog where it knows the action.
    pub(crate) fn read_request(&self, json: serde_json::Value) -> Result<ReadRequest, AnswerError> {
        let request: RequestJson = serde_json::from_value(json).map_err(AnswerError::Request)?;
        let action = request.action.name()?;
        let action_uid = uid(&action).map_err(AnswerError::Uid)?;
        let json = match request.context.is_null() {
            true => serde_json::Value::Object(serde_json::Map::new()),
            false => request.context,
        };
        let context = self.read_context(&action, &action_uid, json)?;
        let names: Vec<String> = context.clone().into_iter().map(|(name, _)| name).collect();
        let constants = names.into_iter().map(|name| {
            let constant = context.get(&name).as_ref().and_then(of_result);
            constant.map(|constant| (name.clone(), constant)).ok_or_else(|| {
                AnswerError::Context(format!("`{name}` has a value that the evaluator does not know"))
            })
        });
        Ok(ReadRequest {
            principal: request.principal.name()?,
            resource: request.resource.name()?,
            context: constants.collect::<Result<_, _>>()?,
            action,
        })
    }

    /// Reads a context, typed by the catalog where it fits. One that does not fit is read without types: it is refused
    /// later, and Cedar's rules still have an answer.
    fn read_context(
        &self,
        action: &EntityName,
        uid: &cedar_policy::EntityUid,
        json: serde_json::Value,
    ) -> Result<Context, AnswerError> {
        let typed = |json| Context::from_json_value(json, Some((&self.schema.schema, uid))).ok();
        let known = self.schema.actions.iter().find(|known| known.uid == *action);
        if let Some(context) = known.and_then(|_| typed(json.clone())) {
            return Ok(context);
        }
        let untyped =
            |json| Context::from_json_value(json, None).map_err(|error| AnswerError::Context(draw(&error)));
        // An intent does not bring what the appliance asserts; without it Cedar would not type the rest.
        let asserted =
            known.is_some_and(|known| self.schema.asserts_facts(known)) && json.get(FACTS).is_none();
        let mut completed = json.clone();
        if let (true, Some(record)) = (asserted, completed.as_object_mut()) {
            record.insert(FACTS.to_owned(), no_facts());
            if let Some(context) = typed(completed) {
                let rest = context.into_iter().filter(|(name, _)| name != FACTS);
                return Context::from_pairs(rest).map_err(|error| AnswerError::Context(draw(&error)));
            }
        }
        untyped(json)
    }

    /// Answers a request. What `context.assent` says is taken as the appliance's assertion.
    pub(crate) fn answer_to(&self, request: &ReadRequest) -> Answer {
        let Considered { evaluation, refused, .. } = self.consider(request, Facts::default(), false);
        match refused {
            None => self.judged(&evaluation),
            Some((refusal, detail)) => {
                Answer { refusal: Some(refusal), detail, decision: "deny", ..self.judged(&evaluation) }
            }
        }
    }

    /// Walks a request through classification and evaluation. Where its context says nothing of `assent`, `facts` hold.
    /// What became of each policy is asked only on request, for it runs them again.
    pub(crate) fn consider(&self, request: &ReadRequest, facts: Facts, explains: bool) -> Considered {
        let view = self.view();
        // Elsewhere it is an attribute like any other.
        let place = self.schema.actions.iter().position(|known| known.uid == request.action);
        let row = place.and_then(|place| view.image().actions.get(place));
        let is_asserted = row.is_some_and(|row| row.is_asserted);
        let asserted = request.context.get(FACTS).filter(|_| is_asserted).and_then(asserted);
        let mut context = request.context.clone();
        let mut as_cedar = request.intent(&view, &request.context);
        if asserted.is_some() {
            context.remove(FACTS);
        }
        let mut intent = request.intent(&view, &context);
        let (facts, risk) = asserted.unwrap_or((facts, None));
        match intent.classify(facts) {
            Ok(mut classified) => {
                let evaluation = match risk {
                    Some(risk) => classified.evaluate_at_risk(risk),
                    None => classified.evaluate(),
                };
                let evaluation = evaluation.clone();
                let asked = if explains { self.policies().len() } else { 0 };
                let outcomes = (0..asked).map(|policy| classified.outcome(policy)).collect();
                let (terms, stated_risk) = (Some(classified.terms()), risk);
                Considered { evaluation, refused: None, outcomes, terms, stated_risk }
            }
            Err(refused) => {
                let refused = match refused {
                    Refused::Unclassified => ("INTENT_UNCLASSIFIED", None),
                    Refused::Invalid(misfit @ Misfit::TooLarge(_)) => {
                        ("INTENT_TOO_LARGE", Some(misfit.to_string()))
                    }
                    Refused::Invalid(misfit) => ("INTENT_INVALID", Some(misfit.to_string())),
                };
                let evaluation = as_cedar.evaluate_unclassified();
                Considered {
                    evaluation: evaluation.clone(),
                    refused: Some(refused),
                    outcomes: Vec::new(),
                    terms: None,
                    stated_risk: None,
                }
            }
        }
    }

    fn judged(&self, evaluation: &Evaluation) -> Answer {
        let refusal = refusal(evaluation.verdict());
        let ids = |policies: &assent_evaluator::PolicyBits| {
            let mut ids: Vec<_> = policies.iter().map(|policy| self.policy_id(policy).to_owned()).collect();
            ids.sort();
            ids
        };
        Answer {
            decision: if refusal.is_none() { "allow" } else { "deny" },
            cedar_decision: if evaluation.cedar() == Decision::Allow { "allow" } else { "deny" },
            reasons: ids(evaluation.reasons()),
            errors: ids(evaluation.errors()),
            refusal,
            detail: None,
        }
    }
}

/// What walking a request through the boundaries gave.
#[derive(Debug)]
pub(crate) struct Considered {
    pub(crate) evaluation: Evaluation,
    /// Name of the refusal, where the intent was not classified, and what it is about.
    pub(crate) refused: Option<(&'static str, Option<String>)>,
    /// What became of each policy, where the intent was classified and it was asked.
    pub(crate) outcomes: Vec<Outcome>,
    pub(crate) terms: Option<Terms>,
    /// The score, where the request states it and nothing is added up.
    pub(crate) stated_risk: Option<i64>,
}

/// The name of the refusal that a verdict is.
pub(crate) const fn refusal(verdict: Verdict) -> Option<&'static str> {
    match verdict {
        Verdict::Allow => None,
        Verdict::Deny => Some("POLICY_DENIED"),
        Verdict::Hold => Some("APPROVAL_REQUIRED"),
        Verdict::Unavailable(Cause::Errors | Cause::Budget | Cause::Unclassified) => {
            Some("EVALUATION_UNAVAILABLE")
        }
    }
}

/// The attribute of the context that the appliance asserts.
const FACTS: &str = "assent";

/// Facts of the right types, in Cedar's JSON.
fn no_facts() -> serde_json::Value {
    serde_json::json!({
        "now": "1970-01-01", "risk": 0, "approvals": 0, "degraded": false, "agent_rate": 0, "epoch": 0,
    })
}

/// Facts and score out of a record of the shape that the catalog declares for them.
fn asserted(record: &Constant) -> Option<(Facts, Option<i64>)> {
    let Constant::Record(fields) = record else { return None };
    let long = |name| match fields.get(name) {
        Some(Constant::Long(value)) => Some(*value),
        _ => None,
    };
    let (Some(Constant::Datetime(now_ms)), Some(Constant::Bool(degraded)), 6) =
        (fields.get("now"), fields.get("degraded"), fields.len())
    else {
        return None;
    };
    let facts = Facts {
        now_ms: *now_ms,
        approvals: long("approvals")?,
        degraded: *degraded,
        agent_rate: long("agent_rate")?,
        epoch: long("epoch")?,
    };
    Some((facts, Some(long("risk")?)))
}

impl ReadRequest {
    /// Principal, action and resource, as Cedar writes them.
    pub(crate) fn uids(&self) -> [String; 3] {
        let written = |name: &EntityName| format!("{}::\"{}\"", name.type_name, name.id.escape_debug());
        [&self.principal, &self.action, &self.resource].map(written)
    }

    /// The request as an intent. A value that passes a bound is noted there and refused when it is classified.
    fn intent<'a>(&'a self, view: &'a View<'a>, context: &'a BTreeMap<String, Constant>) -> Intent<'a> {
        let mut intent = Intent::new(view);
        intent.ask(self.principal.borrowed(), self.action.borrowed(), self.resource.borrowed());
        // The intent keeps the first misfit itself and answers with it.
        let _noted = put_record(&mut intent, context);
        intent
    }
}

impl EntityName {
    fn borrowed(&self) -> Uid<'_> {
        Uid { type_name: &self.type_name, id: &self.id }
    }
}

fn put_record<'a>(intent: &mut Intent<'a>, fields: &'a BTreeMap<String, Constant>) -> Result<(), Misfit<'a>> {
    intent.begin_record(fields.len())?;
    for (name, value) in fields {
        intent.key(name)?;
        put(intent, value)?;
    }
    intent.end()
}

fn put<'a>(intent: &mut Intent<'a>, constant: &'a Constant) -> Result<(), Misfit<'a>> {
    match constant {
        Constant::Bool(value) => intent.bool(*value),
        Constant::Long(value) => intent.long(*value),
        Constant::Decimal(value) => intent.decimal(*value),
        Constant::Datetime(value) => intent.datetime(*value),
        Constant::Duration(value) => intent.duration(*value),
        Constant::String(value) => intent.string(value),
        Constant::Entity(value) => intent.entity(value.borrowed()),
        Constant::Ip(value) => match value.address() {
            Some(address) => intent.ip(address),
            None => Err(Misfit::Malformed),
        },
        Constant::Record(fields) => put_record(intent, fields),
        Constant::Set(elements) => {
            intent.begin_set(elements.len())?;
            elements.iter().try_for_each(|element| put(intent, element))?;
            intent.end()
        }
    }
}
