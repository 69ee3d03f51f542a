//! The retail sample: every intent of the set is answered as it is labelled.

use assent_compiler::Bundle;
use serde_json::{Value, json};
use std::path::Path;

#[test]
fn every_retail_intent_is_answered_as_labelled() {
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("../samples/retail");
    let bundle =
        Bundle::from_folder(&sample.join("bundle")).unwrap_or_else(|error| panic!("{}", error.report()));
    let lines = |name: &str| -> Vec<Value> {
        let text = std::fs::read_to_string(sample.join(name)).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let (intents, labels) = (lines("intents.jsonl"), lines("expected.jsonl"));
    assert_eq!(intents.len(), labels.len());
    for (intent, label) in intents.iter().zip(&labels) {
        let request = json!({
            "principal": {"type": "Retail::Agent", "id": "spiffe://assent.test/agent/retail-support"},
            "action": intent["action"],
            "resource": intent["resource"],
            "context": intent["context"],
        });
        let answer = bundle.answer(&request.to_string()).unwrap();
        assert_eq!(
            (json!(answer.decision), json!(answer.refusal)),
            (label["decision"].clone(), label["refusal"].clone()),
            "{intent} {answer:?}"
        );
    }
    println!("{} intents of the retail set answered as labelled", intents.len());
}

#[test]
fn the_tests_of_the_retail_bundle_pass() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../samples/retail/bundle");
    let bundle = Bundle::from_folder(&folder).unwrap_or_else(|error| panic!("{}", error.report()));
    let trials = bundle.run_tests("").unwrap_or_else(|error| panic!("{}", error.report()));
    let failed: Vec<_> = trials.iter().filter(|trial| trial.difference.is_some()).collect();
    assert!(failed.is_empty() && !trials.is_empty(), "{failed:?}");
    println!("{} tests pass, worst case {} units of fuel", trials.len(), bundle.worst_case());
}
