//! The signer dies, hangs or comes back: nothing slips through meanwhile, and the boundary re-arms by itself.

use std::time::Duration;

use crate::support::agent::{Agent, allowed, label_of};
use crate::support::{Appliance, Hsm, SLACK, eventually, softhsm};
use appliance::clock::{Mark, Stopwatch};
use appliance::control;
use assent_client::outcome::Outcome;
use assent_proto::refusal::Refusal;
use rustix::process::{Signal, kill_process};

/// Asks until the boundary has been closed, and is open again, in an epoch above `before`; gives how many intents were
/// refused meanwhile, which may be none where it was open again before one could be asked.
fn ask_through(appliance: &Appliance, agent: &Agent, before: u64) -> u64 {
    let intent = allowed();
    let mut refused = 0;
    eventually("the boundary closes and re-arms", || {
        let outcomes = agent.preauthorize(std::slice::from_ref(&intent));
        let outcome = outcomes.iter().next().expect("one outcome");
        if let Outcome::Unavailable(reason) = outcome {
            assert_eq!(reason.refusal, Refusal::TokenUnavailable);
            refused += 1;
        } else {
            assert!(outcome.token().is_some(), "neither allowed nor unavailable: {:?}", label_of(&outcome));
        }
        appliance.status().filter(|status| status.epoch > before && status.boundaries.token.open)
    });
    refused
}

fn killed_signer_closes_and_rearms(hsm: Hsm) {
    let mut appliance = Appliance::start(hsm);
    let agent = Agent::connect(&appliance);
    let first = appliance.wait_until_open().epoch;
    let (mut trips, mut refused) = (0, 0);
    while trips < 3 || refused == 0 {
        assert!(trips < 50, "no intent fell into an outage");
        kill_process(appliance.signer(), Signal::KILL).expect("the signer can be killed");
        refused += ask_through(&appliance, &agent, first + trips);
        trips += 1;
        assert_eq!(appliance.wait_until_open().epoch, first + trips, "each trip raises the epoch once");
    }
    println!("{trips} kills, {refused} intents refused meanwhile");
    drop(agent);
    let report = appliance.stop_and_verify_log();
    assert_eq!(report["kinds"]["trip"], trips);
    let gaps = report["gaps"].as_array().expect("gaps");
    assert!(!gaps.is_empty() && gaps.iter().all(|gap| gap["closed"] == true), "{report}");
}

#[test]
fn killed_signer_closes_and_rearms_on_the_simulator() {
    killed_signer_closes_and_rearms(Hsm::Simulator);
}

#[test]
fn killed_signer_closes_and_rearms_on_softhsm() {
    if softhsm::present() {
        killed_signer_closes_and_rearms(Hsm::SoftHsm);
    }
}

#[test]
fn stopped_signer_closes_at_its_deadline_while_intents_are_answered() {
    let mut appliance = Appliance::start(Hsm::Simulator);
    let agent = Agent::connect(&appliance);
    let before = appliance.wait_until_open().epoch;
    let (signer, deadline) = (appliance.signer(), appliance.hsm_deadline());
    let stopped = Mark::now();
    kill_process(signer, Signal::STOP).expect("the signer can be stopped");
    let refused = ask_through(&appliance, &agent, before);
    let story = control::ask_story(&appliance.data()).expect("the appliance answers");
    let closed = story.transitions.iter().find(|transition| !transition.open && transition.epoch > before);
    let after = closed.expect("it has closed").mark_us.0.saturating_sub(stopped.0);
    let after = Duration::from_micros(after);
    println!("stopped signer: {refused} refused, closed after {after:?}");
    assert!(refused > 0);
    // It is asked for a signature at once, or was being asked; nobody knows before the deadline that it says no more.
    assert!(after > deadline / 2, "{after:?}, with a deadline of {deadline:?}");
    assert!(after < deadline + SLACK, "{after:?}, with a deadline of {deadline:?}");
    drop(agent);
    appliance.stop_and_verify_log();
}

#[test]
fn idle_appliance_notices_a_dead_signer_at_once() {
    let appliance = Appliance::start(Hsm::Simulator);
    let epoch = appliance.wait_until_open().epoch;
    let watch = Stopwatch::start();
    kill_process(appliance.signer(), Signal::KILL).expect("the signer can be killed");
    eventually("the epoch rises", || appliance.status().filter(|status| status.epoch > epoch));
    println!("dead signer noticed after {:?}, polling included", watch.elapsed());
    assert!(watch.elapsed() < Duration::from_millis(500), "sooner than the heartbeat");
}
