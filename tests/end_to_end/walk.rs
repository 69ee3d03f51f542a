//! The main job, end to end, on both HSMs: all intents of the retail sample, and every token in the hands of an executor.

use crate::support::agent::{Agent, label_of, labels, now, retail, trust};
use crate::support::{Appliance, Hsm, assent, softhsm};
use appliance::sample::AUDIENCE;
use assent_client::guard::Guard;
use assent_client::outcome::Outcome;
use assent_client::spent::Spent;
use assent_proto::number::Timestamp;

fn every_label_comes_out(hsm: Hsm) {
    let mut appliance = Appliance::start(hsm);
    let agent = Agent::connect(&appliance);
    let (intents, labels) = (retail(), labels());
    let guard = Guard::with_spent(trust(&appliance), AUDIENCE, Spent::in_memory(Timestamp(0)));
    let mut allowed = 0_u64;
    for (intents, labels) in intents.chunks(300).zip(labels.chunks(300)) {
        let outcomes = agent.preauthorize(intents);
        for ((intent, label), outcome) in intents.iter().zip(labels).zip(outcomes.iter()) {
            assert_eq!(&label_of(&outcome), label, "{} on {}", intent.action, intent.resource);
            if let Outcome::Allowed(token) = outcome {
                allowed += 1;
                guard.admit(token.bytes(), intent, now()).expect("its token is good").run(|| ());
                assert!(guard.admit(token.bytes(), intent, now()).is_err(), "a second use is refused");
            }
        }
    }
    drop(agent);
    let report = appliance.stop_and_verify_log();
    assert_eq!(report["kinds"]["allow"], allowed);
    assert_eq!(report["kinds"]["deny"], labels.len() as u64 - allowed);
}

#[test]
fn every_label_comes_out_on_the_simulator() {
    every_label_comes_out(Hsm::Simulator);
}

#[test]
fn every_label_comes_out_on_softhsm() {
    if softhsm::present() {
        every_label_comes_out(Hsm::SoftHsm);
    }
}

#[test]
fn demo_ends_with_the_line_that_says_all_held() {
    let (code, out, talk) = assent(None, &["demo", "-o", "json"]);
    assert_eq!(code, 0, "{out}{talk}");
    let line: serde_json::Value = serde_json::from_str(out.lines().last().expect("a line")).expect("JSON");
    for (key, value) in
        [("intents", 1824), ("allowed", 1436), ("denied", 388), ("mismatches", 0), ("tokens_verified", 1436)]
    {
        assert_eq!(line[key], value, "{key} in {line}");
    }
    assert_eq!(line["schema"], "assent.v1.demo");
    assert_eq!((&line["rearmed"], &line["log_verified"]), (&true.into(), &true.into()), "{line}");
    assert!(line["refused_while_closed"].as_u64() > Some(0), "{line}");
}
