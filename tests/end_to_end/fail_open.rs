//! What Cedar would allow by mistake, asked over the wire: each refused as the design says, and the plain case allowed.

use crate::support::agent::{Agent, label_of};
use crate::support::{Appliance, Hsm};
use assent_client::intent::Intent;

const CATALOG: &str = r#"
entity Agent;
entity Account = { frozen: Bool };
action money;
action transfer appliesTo { principal: [Agent], resource: [Account], context: { amount: Long } };
action withdraw appliesTo { principal: [Agent], resource: [Account], context: {} };
action pay in [money] appliesTo { principal: [Agent], resource: [Account], context: {} };
"#;

const POLICIES: &str = r#"
@id("all") permit (principal, action, resource);
@id("large") forbid (principal, action == Action::"transfer", resource) when { context.amount * 100 > 1000000 };
@id("frozen") forbid (principal, action == Action::"withdraw", resource) when { resource.frozen };
@id("money") forbid (principal, action in Action::"money", resource);
"#;

/// No actions: their hierarchy is the catalog's.
const ENTITIES: &str = r#"[
{"uid":{"type":"Agent","id":"spiffe://assent.test/agent/retail-support"},"attrs":{},"parents":[]},
{"uid":{"type":"Account","id":"a"},"attrs":{"frozen":false},"parents":[]}]"#;

/// An appliance that decides by this file's bundle.
fn appliance() -> Appliance {
    let mut appliance = Appliance::start(Hsm::Simulator);
    assert!(appliance.stop());
    let bundle = appliance.folder.path().join("bundle");
    std::fs::remove_dir_all(&bundle).expect("the sample's bundle is there");
    std::fs::create_dir_all(bundle.join("policies")).expect("a folder");
    for (file, text) in
        [("catalog.cedarschema", CATALOG), ("policies/all.cedar", POLICIES), ("entities.json", ENTITIES)]
    {
        std::fs::write(bundle.join(file), text).expect("a file");
    }
    appliance.launch();
    appliance
}

fn intent(action: &str, account: &str, context: &str) -> Intent {
    let line = format!(
        r#"{{"action":"Action::\"{action}\"","resource":"Account::\"{account}\"","context":{context},"audience":"bank"}}"#
    );
    let mut intents = assent_client::json::parse_lines(&line);
    intents.next().expect("a line").expect("it parses")
}

#[test]
fn what_cedar_would_allow_by_mistake_is_refused() {
    let mut appliance = appliance();
    let agent = Agent::connect(&appliance);
    let overflow = format!("{{\"amount\":{}}}", i64::MAX / 50);
    let cases = [
        ("a small transfer", intent("transfer", "a", "{\"amount\":1}"), None),
        ("a large transfer", intent("transfer", "a", "{\"amount\":10001}"), Some("POLICY_DENIED")),
        ("an overflow in a forbid", intent("transfer", "a", &overflow), Some("EVALUATION_UNAVAILABLE")),
        ("an account that is not frozen", intent("withdraw", "a", "{}"), None),
        ("an account that does not exist", intent("withdraw", "gone", "{}"), Some("INTENT_INVALID")),
        ("an action of a forbidden group", intent("pay", "a", "{}"), Some("POLICY_DENIED")),
    ];
    let intents: Vec<Intent> = cases.iter().map(|(_, intent, _)| intent.clone()).collect();
    let outcomes = agent.preauthorize(&intents);
    for ((what, _, refusal), outcome) in cases.iter().zip(outcomes.iter()) {
        assert_eq!(label_of(&outcome).1.as_deref(), *refusal, "{what}");
    }
    drop(agent);
    let report = appliance.stop_and_verify_log();
    assert_eq!((&report["kinds"]["allow"], &report["kinds"]["deny"]), (&2.into(), &4.into()));
}
