//! Fail-open cases: what passes Cedar's strict validation without a warning and allows there, is refused here.
//!
//! Three come first, one test each: an overflow in a forbid, a forbid that reads an absent resource, a
//! forbid on an action group. For each, Cedar itself is asked first, so that a change of its mind shows.

#![expect(clippy::unwrap_used, reason = "what stands beside the tests may fail as loudly as a test")]

mod oracle;

use assent_compiler::{Answer, Bundle, BundleError, Document, Rules, Sources};
use cedar_policy::{Entities, PolicySet, Schema, ValidationMode, Validator};
use oracle::{CedarAnswer, Oracle};

const SCHEMA: &str = r#"
entity User;
entity Account = { frozen: Bool };
@transient entity Url;
action money;
action transfer in [money] appliesTo { principal: [User], resource: [Account], context: { amount: Long, to?: Account } };
action fetch appliesTo { principal: [User], resource: [Url], context: {} };
"#;

const PERMIT: &str = "permit (principal, action == Action::\"transfer\", resource);";

const ENTITIES: &str = r#"[
{"uid":{"type":"User","id":"u"},"attrs":{},"parents":[]},
{"uid":{"type":"Account","id":"a"},"attrs":{"frozen":false},"parents":[]}]"#;

fn request(resource: &str, context: &str) -> String {
    format!(
        r#"{{"principal":{{"type":"User","id":"u"}},"action":{{"type":"Action","id":"transfer"}},
            "resource":{{"type":"Account","id":"{resource}"}},"context":{context}}}"#
    )
}

/// Cedar's answer over entities of its own, where its validation has nothing to say against the policies.
fn cedar(policies: &str, entities: Entities, request: &str) -> CedarAnswer {
    let (schema, _) = Schema::from_cedarschema_str(SCHEMA).unwrap();
    let policies: PolicySet = policies.parse().unwrap();
    let validator = Validator::new(schema.clone());
    let validated = validator.validate_with_level(&policies, ValidationMode::Strict, 1);
    assert!(validated.validation_passed_without_warnings(), "Cedar warns: {validated}");
    Oracle { schema, policies, entities }.answer(&serde_json::from_str(request).unwrap())
}

/// The entities of this file, built with the schema, as Cedar advises.
fn with_schema() -> Entities {
    let (schema, _) = Schema::from_cedarschema_str(SCHEMA).unwrap();
    Entities::from_json_str(ENTITIES, Some(&schema)).unwrap()
}

/// Our answer, after making sure that Cedar's is the same as what we take for Cedar's, and an allow.
fn refused_though_cedar_allows(policies: &str, request: &str) -> Answer {
    let cedar = cedar(policies, with_schema(), request);
    let bundle = Bundle::compile(Sources::plain(SCHEMA, policies, ENTITIES)).unwrap();
    let answer = bundle.answer(request).unwrap();
    assert_eq!((cedar.decision, answer.cedar_decision, answer.decision), ("allow", "allow", "deny"));
    assert_eq!(answer.errors, cedar.errors.into_iter().collect::<Vec<_>>());
    answer
}

#[test]
fn an_overflow_in_a_forbid_makes_evaluation_unavailable() {
    let policies = format!(
        "{PERMIT} forbid (principal, action == Action::\"transfer\", resource) when {{ context.amount * 100 > 1000000 }};"
    );
    let amount = i64::MAX / 50;
    let answer = refused_though_cedar_allows(&policies, &request("a", &format!("{{\"amount\":{amount}}}")));
    assert_eq!((answer.refusal, answer.errors), (Some("EVALUATION_UNAVAILABLE"), vec!["policy1".to_owned()]));
    // The same forbid without an overflow is a denial by policy, and below its bound it forbids nothing.
    let bundle = Bundle::compile(Sources::plain(SCHEMA, &policies, ENTITIES)).unwrap();
    let refusal = |amount| bundle.answer(&request("a", &format!("{{\"amount\":{amount}}}"))).unwrap().refusal;
    assert_eq!((refusal(10_001), refusal(10_000)), (Some("POLICY_DENIED"), None));
}

#[test]
fn a_forbid_that_reads_a_resource_which_is_absent_makes_the_intent_invalid() {
    let policies = format!(
        "{PERMIT} forbid (principal, action == Action::\"transfer\", resource) when {{ resource.frozen }};"
    );
    let answer = refused_though_cedar_allows(&policies, &request("gone", "{\"amount\":1}"));
    assert_eq!((answer.refusal, answer.errors), (Some("INTENT_INVALID"), vec!["policy1".to_owned()]));
    assert!(answer.detail.unwrap().contains("Account::\"gone\""));
}

/// Cedar takes the hierarchy of actions from the entities, and entities that were built without the schema have none. Ours
/// takes it from the catalog when it compiles scopes, so that no snapshot can lose it: not one without actions, and one
/// that contradicts the catalog is rejected.
#[test]
fn a_forbid_on_an_action_group_holds_whatever_the_entities_say() {
    let policies = format!("{PERMIT} forbid (principal, action in Action::\"money\", resource);");
    let request = request("a", "{\"amount\":1}");
    let without_schema = Entities::from_json_str(ENTITIES, None).unwrap();
    let answer = cedar(&policies, without_schema, &request);
    assert_eq!((answer.decision, answer.errors.len()), ("allow", 0), "Cedar allows, and says nothing");
    assert_eq!(cedar(&policies, with_schema(), &request).decision, "deny");

    let bundle = Bundle::compile(Sources::plain(SCHEMA, &policies, ENTITIES)).unwrap();
    let with = |entities: &str| bundle.with_entities(vec![Document::new("entities.json", entities)]);
    let action = |parents: &str| {
        let listed = ENTITIES.trim_end_matches(']');
        format!(
            "{listed},{{\"uid\":{{\"type\":\"Action\",\"id\":\"transfer\"}},\"attrs\":{{}},\"parents\":[{parents}]}}]"
        )
    };
    for entities in [ENTITIES.to_owned(), action(r#"{"type":"Action","id":"money"}"#)] {
        let answer = with(&entities).unwrap().answer(&request).unwrap();
        assert_eq!((answer.decision, answer.refusal), ("deny", Some("POLICY_DENIED")), "{entities}");
    }
    assert!(matches!(with(&action("")), Err(BundleError::Entities { .. })), "it contradicts the catalog");
}

#[test]
fn an_entity_in_the_context_that_is_absent_is_invalid() {
    let context = r#"{"amount":1,"to":{"__entity":{"type":"Account","id":"gone"}}}"#;
    let answer = refused_though_cedar_allows(PERMIT, &request("a", context));
    assert_eq!(answer.refusal, Some("INTENT_INVALID"));
}

#[test]
fn a_transient_resource_need_not_be_in_the_snapshot() {
    let policies = "permit (principal, action == Action::\"fetch\", resource);";
    let bundle = Bundle::compile(Sources::plain(SCHEMA, policies, ENTITIES)).unwrap();
    let request = r#"{"principal":{"type":"User","id":"u"},"action":{"type":"Action","id":"fetch"},
        "resource":{"type":"Url","id":"https://example.org"},"context":{}}"#;
    assert_eq!(bundle.answer(request).unwrap().decision, "allow");
}

#[test]
fn what_the_catalog_does_not_know_is_unclassified_and_what_does_not_fit_is_invalid() {
    let bundle = Bundle::compile(Sources::plain(SCHEMA, PERMIT, ENTITIES)).unwrap();
    let refusal = |request: &str| bundle.answer(request).unwrap().refusal;
    let good = request("a", "{\"amount\":1}");
    assert_eq!(refusal(&good), None);
    assert_eq!(refusal(&good.replace("\"transfer\"", "\"teleport\"")), Some("INTENT_UNCLASSIFIED"));
    assert_eq!(refusal(&good.replace("\"transfer\"", "\"money\"")), Some("INTENT_UNCLASSIFIED"));
    assert_eq!(refusal(&good.replace("\"User\"", "\"Account\"")), Some("INTENT_INVALID"));
    for context in ["{}", "{\"amount\":\"1\"}", "{\"amount\":1,\"more\":1}", "{\"amount\":1,\"assent\":{}}"] {
        assert_eq!(refusal(&request("a", context)), Some("INTENT_INVALID"), "{context}");
    }
}

/// Names of facts are global numbers: an agent's own attribute of that name, deep in its context, is its own still.
#[test]
fn an_attribute_that_is_called_like_a_fact_is_not_overwritten_by_the_score() {
    const CATALOG: &str = r#"
type Assent = { now: datetime, risk: Long, approvals: Long, degraded: Bool, agent_rate: Long, epoch: Long };
entity Agent;
entity Vault;
action open appliesTo { principal: [Agent], resource: [Vault], context: { assent: Assent } };
action pay appliesTo { principal: [Agent], resource: [Vault], context: { payment: { amount: Long, risk: Long } } };
"#;
    const POLICIES: &str = r#"
@id("any") permit (principal, action, resource);
@id("dear") forbid (principal, action == Action::"pay", resource) when { context.payment.risk > 50 };
@id("scored") forbid (principal, action == Action::"open", resource) when { context.assent.risk < 20 };
"#;
    let sources = Sources {
        catalog: Document::new("catalog.cedarschema", CATALOG),
        policies: vec![Document::new("policies/vaults.cedar", POLICIES)],
        risk: vec![Document::new(
            "risk/any.cedar",
            r#"@id("score") @score("20") permit (principal, action, resource);"#,
        )],
        links: None,
        operators: None,
        entities: vec![Document::new(
            "entities.json",
            r#"[{"uid":{"type":"Agent","id":"a"},"attrs":{},"parents":[]},{"uid":{"type":"Vault","id":"v"},"attrs":{},"parents":[]}]"#,
        )],
        tests: Vec::new(),
        rules: Rules::Bundle,
    };
    let bundle = Bundle::compile(sources).unwrap();
    let answer = |risk: i64| {
        let request = format!(
            r#"{{"principal":{{"type":"Agent","id":"a"}},"action":{{"type":"Action","id":"pay"}},
                "resource":{{"type":"Vault","id":"v"}},"context":{{"payment":{{"amount":1,"risk":{risk}}}}}}}"#
        );
        let answer = bundle.answer(&request).unwrap();
        (answer.decision, answer.refusal, answer.errors)
    };
    assert_eq!(answer(90), ("deny", Some("POLICY_DENIED"), Vec::new()));
    assert_eq!(answer(50), ("allow", None, Vec::new()));
}
