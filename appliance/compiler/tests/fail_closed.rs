//! Fail-open cases: what passes Cedar's strict validation without a warning and allows there, is refused here.
//!
//! For each, Cedar itself is asked first, so that a change of its mind shows.

#![expect(clippy::unwrap_used, reason = "what stands beside the tests may fail as loudly as a test")]

mod oracle;

use assent_compiler::{Answer, Bundle, Sources};
use oracle::Oracle;

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

/// Our answer, after making sure that Cedar's is the same as what we take for Cedar's, and an allow.
fn refused_though_cedar_allows(policies: &str, request: &str) -> Answer {
    assert!(Oracle::accepts(SCHEMA, policies, ENTITIES));
    let cedar = Oracle::new(SCHEMA, policies, ENTITIES).answer(&serde_json::from_str(request).unwrap());
    let bundle = Bundle::compile(Sources::plain(SCHEMA, policies, ENTITIES)).unwrap();
    let answer = bundle.answer(request).unwrap();
    assert_eq!((cedar.decision, answer.cedar_decision, answer.decision), ("allow", "allow", "deny"));
    assert_eq!(answer.errors, cedar.errors.into_iter().collect::<Vec<_>>());
    answer
}

#[test]
fn an_overflow_in_a_forbid_makes_evaluation_unavailable() {
    let policies =
        format!("{PERMIT} forbid (principal, action, resource) when {{ context.amount * 100 > 1000000 }};");
    let policies =
        policies.replace("forbid (principal, action,", "forbid (principal, action == Action::\"transfer\",");
    let answer =
        refused_though_cedar_allows(&policies, &request("a", &format!("{{\"amount\":{}}}", i64::MAX / 50)));
    assert_eq!((answer.refusal, answer.errors), (Some("EVALUATION_UNAVAILABLE"), vec!["policy1".to_owned()]));
}

#[test]
fn a_resource_that_is_absent_is_invalid() {
    let policies = format!(
        "{PERMIT} forbid (principal, action == Action::\"transfer\", resource) when {{ resource.frozen }};"
    );
    let answer = refused_though_cedar_allows(&policies, &request("gone", "{\"amount\":1}"));
    assert_eq!(answer.refusal, Some("INTENT_INVALID"));
    assert!(answer.detail.unwrap().contains("Account::\"gone\""));
}

#[test]
fn an_entity_in_the_context_that_is_absent_is_invalid() {
    let context = r#"{"amount":1,"to":{"__entity":{"type":"Account","id":"gone"}}}"#;
    let answer = refused_though_cedar_allows(PERMIT, &request("a", context));
    assert_eq!(answer.refusal, Some("INTENT_INVALID"));
}

#[test]
fn an_action_group_forbids_without_entities_that_say_so() {
    let policies = format!("{PERMIT} forbid (principal, action in Action::\"money\", resource);");
    let bundle = Bundle::compile(Sources::plain(SCHEMA, policies, ENTITIES)).unwrap();
    let answer = bundle.answer(&request("a", "{\"amount\":1}")).unwrap();
    assert_eq!((answer.decision, answer.refusal), ("deny", Some("POLICY_DENIED")));
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
