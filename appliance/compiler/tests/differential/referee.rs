//! The referee: what the answer must be, out of Cedar's own answers and the definition of our stricter rule.
//!
//! Cedar decides with the facts in the context as the appliance asserts them, the score being the sum over those policies
//! of the risk model that Cedar finds satisfied. A request that fits nothing is compared as it is.

use crate::oracle::{CedarAnswer, Oracle};
use crate::policies::Accepted;
use crate::requests::Asked;
use crate::schema::Catalog;
use assent_compiler::Answer;
use cedar_policy::{Context, Entities, EntityUid, PolicySet, Request, Schema};
use serde_json::{Map, Value, json};

/// Cedar over one bundle.
pub(crate) struct Referee<'a> {
    pub(crate) catalog: &'a Catalog,
    policies: &'a [Accepted],
    risk: &'a [Accepted],
    decides: Oracle,
    scores: Oracle,
    permits: Oracle,
}

impl<'a> Referee<'a> {
    pub(crate) fn new(
        catalog: &'a Catalog,
        schema: &Schema,
        policies: &'a [Accepted],
        risk: &'a [Accepted],
    ) -> Self {
        let oracle = |of: &mut dyn Iterator<Item = &Accepted>| Oracle {
            schema: schema.clone(),
            policies: PolicySet::from_policies(of.map(|accepted| accepted.policy.clone())).unwrap(),
            entities: Entities::empty(),
        };
        let is_permit = |accepted: &&Accepted| accepted.policy.effect() == cedar_policy::Effect::Permit;
        Self {
            catalog,
            policies,
            risk,
            decides: oracle(&mut policies.iter()),
            scores: oracle(&mut risk.iter()),
            permits: oracle(&mut policies.iter().filter(is_permit)),
        }
    }

    /// Looks at other entities from now on.
    pub(crate) fn with_entities(&mut self, entities: &Entities) {
        for oracle in [&mut self.decides, &mut self.scores, &mut self.permits] {
            oracle.entities = entities.clone();
        }
    }

    /// What we must answer.
    pub(crate) fn answer(&self, asked: &Asked) -> Answer {
        let action = asked.action(self.catalog);
        let is_asserted = action.is_some_and(|action| action.is_asserted);
        let facts = asked.context().get("assent");
        let filled = match (is_asserted, facts) {
            (true, None) => with_facts(asked, 0),
            (_, _) => asked.context().clone(),
        };
        if self.validated(asked, &filled).is_none() || self.names_absent(asked) {
            let cedar = self.as_it_is(asked, is_asserted && facts.is_none());
            let refusal = if action.is_some() { "INTENT_INVALID" } else { "INTENT_UNCLASSIFIED" };
            return answer(cedar, Some(refusal));
        }
        let (scored, decided) = match is_asserted {
            true => {
                let stated = facts.and_then(|facts| facts["risk"].as_i64());
                self.at_risk(asked, &filled, stated, action.map_or(0, |action| action.risk))
            }
            false => {
                let request = self.request(asked, filled);
                (request.clone(), request)
            }
        };
        let cedar = self.both(&scored, &decided);
        let refusal = match (cedar.errors.is_empty(), cedar.decision) {
            (false, _) => Some("EVALUATION_UNAVAILABLE"),
            (true, "allow") => None,
            (true, _) if self.is_held(&cedar, &decided) => Some("APPROVAL_REQUIRED"),
            (true, _) => Some("POLICY_DENIED"),
        };
        answer(cedar, refusal)
    }

    fn request(&self, asked: &Asked, context: Map<String, Value>) -> Request {
        self.decides.request(&json!({
            "principal": asked.json["principal"],
            "action": asked.json["action"],
            "resource": asked.json["resource"],
            "context": context,
        }))
    }

    /// The request, where Cedar's own validation takes it.
    fn validated(&self, asked: &Asked, context: &Map<String, Value>) -> Option<Request> {
        let uid = |key: &str| EntityUid::from_json(asked.json[key].clone()).unwrap();
        let schema = &self.decides.schema;
        let context =
            Context::from_json_value(Value::Object(context.clone()), Some((schema, &uid("action")))).ok()?;
        Request::new(uid("principal"), uid("action"), uid("resource"), context, Some(schema)).ok()
    }

    /// What Cedar says of a request that fits nothing. Where only the facts are missing for its context to have a type, the
    /// rest is read by that type.
    fn as_it_is(&self, asked: &Asked, lacks_facts: bool) -> CedarAnswer {
        let uid = |key: &str| EntityUid::from_json(asked.json[key].clone()).unwrap();
        let typed = |context| {
            Context::from_json_value(Value::Object(context), Some((&self.decides.schema, &uid("action"))))
                .ok()
        };
        let completed = if lacks_facts { typed(with_facts(asked, 0)) } else { None };
        let request = match completed {
            None => self.request(asked, asked.context().clone()),
            Some(context) => {
                let rest = Context::from_pairs(context.into_iter().filter(|(name, _)| name != "assent"));
                Request::new(uid("principal"), uid("action"), uid("resource"), rest.unwrap(), None).unwrap()
            }
        };
        self.both(&request, &request)
    }

    /// Whether the request names an entity that the snapshot does not list.
    fn names_absent(&self, asked: &Asked) -> bool {
        asked.named(self.catalog).iter().any(|uid| self.decides.entities.get(uid).is_none())
    }

    /// What Cedar decides on the second request, with the errors that the risk model has on the first.
    fn both(&self, scored: &Request, decided: &Request) -> CedarAnswer {
        let mut cedar = self.decides.decide(decided);
        if !self.risk.is_empty() {
            cedar.errors.extend(self.scores.decide(scored).errors);
        }
        cedar
    }

    /// The request as the risk model sees it, at a score of zero, and as the policies do: at the sum, or at what is
    /// stated.
    fn at_risk(
        &self,
        asked: &Asked,
        filled: &Map<String, Value>,
        stated: Option<i64>,
        base: i64,
    ) -> (Request, Request) {
        let at = |risk: i64| {
            let mut context = filled.clone();
            context["assent"]["risk"] = json!(risk);
            self.request(asked, context)
        };
        let scored = at(0);
        let satisfied = self.scores.decide(&scored).reasons;
        let score = |policy: &&Accepted| satisfied.contains(&policy.id);
        let scores = self.risk.iter().filter(score).filter_map(|policy| policy.score);
        let sum = scores.fold(base, i64::saturating_add);
        let decided = at(stated.unwrap_or(sum));
        (scored, decided)
    }

    /// Held: something permits, and whatever forbids could be lifted by approvals.
    fn is_held(&self, cedar: &CedarAnswer, request: &Request) -> bool {
        let is_liftable =
            |id: &String| self.policies.iter().any(|policy| policy.id == *id && policy.is_liftable);
        !cedar.reasons.is_empty()
            && cedar.reasons.iter().all(is_liftable)
            && self.permits.decide(request).decision == "allow"
    }
}

/// The context as the appliance fills it, with this score.
fn with_facts(asked: &Asked, risk: i64) -> Map<String, Value> {
    let mut context = asked.context().clone();
    let facts = json!({
        "now": "1970-01-01", "risk": risk, "approvals": 0, "degraded": false, "agent_rate": 0, "epoch": 0,
    });
    context.insert("assent".to_owned(), facts);
    context
}

fn answer(cedar: CedarAnswer, refusal: Option<&'static str>) -> Answer {
    Answer {
        decision: if refusal.is_none() { "allow" } else { "deny" },
        cedar_decision: cedar.decision,
        reasons: cedar.reasons.into_iter().collect(),
        errors: cedar.errors.into_iter().collect(),
        refusal,
        detail: None,
    }
}
