//! What is written while nothing can be signed: signs of life, and no more than the bound, beyond which intents are counted.

use std::path::Path;

use crate::operators::{clear, inject};
use crate::support::agent::{Agent, allowed, batch_id, now};
use crate::support::{Appliance, Hsm, assent, eventually};
use assent_client::batch::{Batch, ReplyError};
use assent_client::outcome::Outcome;
use assent_proto::refusal::Refusal;
use serde_json::Value;

/// An appliance with this section `[round]`.
fn with_round(settings: &str) -> Appliance {
    let mut appliance = Appliance::start(Hsm::Simulator);
    assert!(appliance.stop(), "it stops");
    let config = std::fs::read_to_string(appliance.config()).expect("the configuration");
    let config = config.replace("[hsm]\n", "[hsm]\nheartbeat = \"50ms\"\n");
    std::fs::write(appliance.config(), format!("{config}[round]\n{settings}\n")).expect("a configuration");
    appliance.launch();
    appliance
}

/// The entries of one kind, as an auditor sees them.
pub(crate) fn entries(config: &Path, kind: &str) -> Vec<Value> {
    let (code, out, talk) = assent(Some(config), &["log", "show", "-o", "jsonl"]);
    assert_eq!(code, 0, "{talk}");
    let lines = out.lines().map(|line| serde_json::from_str::<Value>(line).expect("a line of JSON"));
    lines.filter(|entry| entry["kind"] == kind).collect()
}

/// Waits until the log has grown by so many entries, which nobody asked for.
fn grows_by_itself(appliance: &Appliance, entries: u64) {
    let size = |appliance: &Appliance| {
        appliance.status().map(|status| status.counters.log_size).filter(|size| *size > 0)
    };
    let before = eventually("its size is told", || size(appliance));
    eventually("the log grows", || size(appliance).filter(|size| *size >= before + entries));
}

#[test]
fn a_log_shows_that_it_is_alive_when_idle_in_an_outage_and_after_a_restart_in_one() {
    let mut appliance = with_round("status_every = \"100ms\"");
    grows_by_itself(&appliance, 3);
    inject(&appliance, "remove");
    eventually("it closes", || appliance.status().filter(|status| !status.boundaries.token.open));
    grows_by_itself(&appliance, 3);
    appliance.kill();
    appliance.launch_closed();
    grows_by_itself(&appliance, 3);
    let status = appliance.status().expect("it answers");
    assert!(!status.boundaries.token.open && status.counters.unsigned_entries >= 6, "{status:?}");
    clear(&appliance);
    appliance.wait_until_open();
    assert_eq!(appliance.status().expect("it answers").counters.unsigned_entries, 0);
    let report = appliance.stop_and_verify_log();
    assert!(report["gaps"].as_array().is_some_and(|gaps| gaps.iter().all(|gap| gap["closed"] == true)));
    // A start that takes its time has a sign of life of its own; the last checkpoint covers all of the outage.
    let outage = entries(&appliance.config(), "outage").pop().expect("one outage");
    let alive = entries(&appliance.config(), "status");
    let within = |entry: &&Value| {
        let index = entry["index"].as_u64();
        index >= outage["covered"].as_u64() && index < outage["reached"].as_u64()
    };
    assert!(alive.iter().filter(within).count() >= 4, "{alive:?} {outage:?}");
}

/// Asks so often; every intent is refused, with an entry or without.
fn ask(agent: &Agent, times: u64) {
    for _ in 0..times {
        let intents = [allowed()];
        let batch = Batch::new(batch_id(), &intents).expect("a batch");
        let reply = agent.reply(&batch);
        match batch.open(&reply, Some(&agent.trust), now()) {
            Err(ReplyError::Refused(refusal)) => assert_eq!(refusal, Refusal::TokenUnavailable),
            Err(other) => panic!("{other}"),
            Ok(outcomes) => assert!(matches!(outcomes.iter().next(), Some(Outcome::Unavailable(_)))),
        }
    }
}

#[test]
fn beyond_the_bound_intents_have_no_entry_and_are_counted_over_a_kill_and_in_the_outage() {
    const BOUND: u64 = 5;
    let mut appliance = with_round(&format!("unsigned_max = {BOUND}\nstatus_every = \"100ms\""));
    let before = appliance.status().expect("it answers").epoch;
    inject(&appliance, "remove");
    eventually("it closes", || appliance.status().filter(|status| status.epoch > before));
    let agent = Agent::connect(&appliance);
    let refused = |appliance: &Appliance| appliance.status().expect("it answers").counters.refused_unlogged;
    // The entry of the trip takes a place as well.
    ask(&agent, BOUND + 7);
    let first = refused(&appliance);
    assert!((8..=BOUND + 7).contains(&first), "{first}");
    let (_, table, _) = assent(Some(&appliance.config()), &["status"]);
    assert!(table.contains(&format!("{first} intents without an entry")), "{table}");
    assert!(table.contains(&format!("of at most {BOUND}")), "{table}");
    grows_by_itself(&appliance, 1);
    drop(agent);
    appliance.kill();
    appliance.launch_closed();
    let agent = Agent::connect(&appliance);
    ask(&agent, 3);
    assert_eq!(refused(&appliance), 3, "counted since the start");
    drop(agent);
    clear(&appliance);
    appliance.wait_until_open();
    appliance.stop_and_verify_log();
    let outage = entries(&appliance.config(), "outage");
    let told = |name: &str| outage.iter().map(|outage| outage[name].as_u64().expect("a number")).sum::<u64>();
    assert_eq!(told("refused"), first + 3, "{outage:?}");
    assert_eq!(
        told("denials") + told("refused"),
        BOUND + 7 + 3,
        "each intent is one or the other: {outage:?}"
    );
}

#[test]
fn an_outage_in_which_nothing_had_room_still_tells_how_many_were_refused() {
    let mut appliance = with_round("unsigned_max = 1");
    assert!(appliance.stop(), "it stops");
    inject(&appliance, "remove");
    appliance.launch_closed();
    let agent = Agent::connect(&appliance);
    // Nothing else is to be written in this outage: it began before this start.
    let intents = [allowed(), allowed()];
    let batch = Batch::new(batch_id(), &intents).expect("a batch");
    let reply = agent.reply(&batch);
    let opened = batch.open(&reply, Some(&agent.trust), now());
    assert!(matches!(opened, Err(ReplyError::Refused(Refusal::TokenUnavailable))), "two have no room");
    eventually("a leaf stands for them", || {
        appliance.status().filter(|status| status.counters.unsigned_entries > 0)
    });
    ask(&agent, 2);
    let refused = appliance.status().expect("it answers").counters.refused_unlogged;
    assert_eq!(refused, 4);
    drop(agent);
    assert!(appliance.stop(), "what is not counted yet is counted at a stop");
    clear(&appliance);
    appliance.launch();
    appliance.stop_and_verify_log();
    let outage = entries(&appliance.config(), "outage");
    let told: u64 = outage.iter().filter_map(|outage| outage["refused"].as_u64()).sum();
    assert_eq!(told, refused, "{outage:?}");
}
