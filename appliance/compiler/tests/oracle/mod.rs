//! The oracle: cedar-policy itself, asked the same question.
//!
//! Ask it on a thread with a large stack: Cedar's evaluator fails deep expressions on a small one.

#![allow(dead_code, clippy::allow_attributes, reason = "each test program uses a part of it")]
#![expect(
    clippy::unwrap_used,
    clippy::result_large_err,
    reason = "beside the tests: it may fail as loudly as they, and errors need not be small"
)]

use cedar_policy::{
    Authorizer, Context, Decision, Entities, EntityUid, PolicyId, PolicySet, Request, Schema, ValidationMode,
    Validator,
};
use serde_json::Value;
use std::collections::BTreeSet;

/// What Cedar says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct CedarAnswer {
    pub(crate) decision: &'static str,
    pub(crate) reasons: BTreeSet<String>,
    pub(crate) errors: BTreeSet<String>,
}

/// Cedar with one set of files.
#[derive(Debug)]
pub(crate) struct Oracle {
    pub(crate) schema: Schema,
    pub(crate) policies: PolicySet,
    pub(crate) entities: Entities,
}

impl Oracle {
    /// Policies are named as ours: by `@id`, or `policy` and their position.
    pub(crate) fn new(schema: &str, policies: &str, entities: &str) -> Self {
        let (schema, _) = Schema::from_cedarschema_str(schema).unwrap();
        let parsed: PolicySet = policies.parse().unwrap();
        let named = parsed.policies().map(|policy| match policy.annotation("id") {
            Some(id) => policy.new_id(PolicyId::new(id)),
            None => policy.clone(),
        });
        let policies = PolicySet::from_policies(named).unwrap();
        let entities = Entities::from_json_str(entities, Some(&schema)).unwrap();
        Self { schema, policies, entities }
    }

    /// Why Cedar does not take the files, in the class of its own first error; nothing where it takes them: strict
    /// validation, and entities that conform.
    pub(crate) fn objection(schema: &str, policies: &str, entities: &str) -> Option<String> {
        let (schema, _) = match Schema::from_cedarschema_str(schema) {
            Ok(parsed) => parsed,
            Err(error) => return Some(format!("schema: {}", variant(&error))),
        };
        let Ok(policies) = policies.parse::<PolicySet>() else { return Some("policies: syntax".to_owned()) };
        let validated = Validator::new(schema.clone()).validate(&policies, ValidationMode::Strict);
        if let Some(error) = validated.validation_errors().next() {
            return Some(format!("policies: {}", variant(error)));
        }
        let entities = Entities::from_json_str(entities, Some(&schema));
        entities.err().map(|error| format!("entities: {}", variant(&error)))
    }

    /// Cedar's answer to a request in its JSON.
    pub(crate) fn answer(&self, request: &Value) -> CedarAnswer {
        self.decide(&self.request(request))
    }

    /// A request without validation: Cedar answers those that fit nothing, too.
    pub(crate) fn request(&self, request: &Value) -> Request {
        let uid = |key: &str| EntityUid::from_json(request[key].clone()).unwrap();
        let context =
            Context::from_json_value(request["context"].clone(), Some((&self.schema, &uid("action"))))
                .or_else(|_| Context::from_json_value(request["context"].clone(), None))
                .unwrap();
        Request::new(uid("principal"), uid("action"), uid("resource"), context, None).unwrap()
    }

    pub(crate) fn decide(&self, request: &Request) -> CedarAnswer {
        let response = Authorizer::new().is_authorized(request, &self.policies, &self.entities);
        CedarAnswer {
            decision: if response.decision() == Decision::Allow { "allow" } else { "deny" },
            reasons: response.diagnostics().reason().map(ToString::to_string).collect(),
            errors: response
                .diagnostics()
                .errors()
                .map(|error| match error {
                    cedar_policy::AuthorizationError::PolicyEvaluationError(error) => {
                        error.policy_id().to_string()
                    }
                })
                .collect(),
        }
    }
}

/// The name of an enum's variant.
pub(crate) fn variant(of: &impl std::fmt::Debug) -> String {
    let text = format!("{of:?}");
    text.split(|character: char| !character.is_alphanumeric()).next().unwrap_or_default().to_owned()
}
