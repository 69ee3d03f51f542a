//! What stands beside the bundle: the facts that the appliance asserts, the deadline, and the shadow.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use assent_client::batch::{Batch, ReplyError};
use assent_client::intent::Intent;
use assent_client::outcome::Outcome;
use assent_proto::refusal::Refusal;
use rustix::process::{Signal, kill_process};

use super::{ask, digest, load, start, variant, write};
use crate::support::agent::{Agent, allowed, batch_id, now};
use crate::support::eventually;

/// A bundle whose policies read what the appliance asserts.
const CATALOG: &str = r#"namespace Desk {
  type Assent = { now: datetime, risk: Long, approvals: Long, degraded: Bool, agent_rate: Long, epoch: Long };
  entity Agent;
  entity Door;
  @window("5m")
  @uses("1")
  action knock appliesTo { principal: [Agent], resource: [Door], context: { assent: Assent } };
}
"#;
const POLICIES: &str = r#"@id("welcome")
permit (principal, action, resource);
@id("too-fast")
forbid (principal, action, resource) when { context.assent.agent_rate > 5 };
@id("no-signer")
forbid (principal, action, resource) when { context.assent.degraded };
@id("overflows")
forbid (principal, action, resource) when { resource == Desk::Door::"broken" && context.assent.epoch + 9223372036854775807 + 1 > 0 };
"#;
const ENTITIES: &str = r#"[
  {"uid":{"type":"Desk::Agent","id":"spiffe://assent.test/agent/retail-support"},"attrs":{},"parents":[]},
  {"uid":{"type":"Desk::Door","id":"front"},"attrs":{},"parents":[]},
  {"uid":{"type":"Desk::Door","id":"broken"},"attrs":{},"parents":[]}
]"#;

fn knock(door: &str) -> Intent {
    let line = format!(
        r#"{{"action":"Desk::Action::\"knock\"","resource":"Desk::Door::\"{door}\"","context":{{}},"audience":"desk","window":"1m","uses":1,"priority":null,"on_unavailable":"fail"}}"#
    );
    assent_client::json::parse_lines(&line).next().expect("a line").expect("an intent")
}

/// Loads the bundle above.
fn start_desk() -> crate::support::Appliance {
    start_desk_with(POLICIES)
}

fn start_desk_with(policies: &str) -> crate::support::Appliance {
    let appliance = start("watch = false");
    let desk = appliance.folder.path().join("desk");
    write(&desk, "catalog.cedarschema", CATALOG);
    write(&desk, "policies/desk.cedar", policies);
    write(&desk, "entities.json", ENTITIES);
    let (code, _, talk) = load(&appliance, &desk);
    assert_eq!(code, 0, "{talk}");
    appliance
}

/// The policies that denied each, or nothing where it was allowed.
fn outcomes(agent: &Agent, intents: &[Intent]) -> Vec<Option<Vec<String>>> {
    let outcomes = agent.preauthorize(intents);
    outcomes.iter().map(|outcome| outcome.reason().map(|reason| reason.policies.to_vec())).collect()
}

#[test]
fn a_policy_sees_how_often_its_agent_asked_in_the_last_minute() {
    let mut appliance = start_desk();
    let agent = Agent::connect(&appliance);
    let fast = Some(vec!["too-fast".to_owned()]);
    assert_eq!(outcomes(&agent, &[knock("front"), knock("front"), knock("front")]), [None, None, None]);
    // The sixth intent and all that follow it within the minute, in whatever batch.
    let expected = [None, None, fast.clone(), fast.clone()];
    assert_eq!(outcomes(&agent, &[knock("front"), knock("front"), knock("front"), knock("front")]), expected);
    assert_eq!(outcomes(&agent, &[knock("front")]), [fast]);
    drop(agent);
    appliance.stop_and_verify_log();
}

#[test]
fn a_policy_sees_that_no_signer_is_there() {
    let appliance = start_desk();
    let agent = Agent::connect(&appliance);
    let epoch = appliance.wait_until_open().epoch;
    kill_process(appliance.signer(), Signal::STOP).expect("the signer can be stopped");
    eventually("the token boundary closes", || appliance.status().filter(|status| status.epoch > epoch));
    let outcomes = agent.preauthorize(&[knock("front")]);
    let outcome = outcomes.iter().next().expect("one outcome");
    // It may be armed again by now; while it was closed the policy saw it.
    if outcome.token().is_some() {
        assert!(appliance.wait_until_open().epoch > epoch);
    } else {
        let Outcome::Denied(reason) = outcome else { panic!("{outcome:?}") };
        assert_eq!(reason.policies, ["no-signer"]);
    }
}

/// What is decided while the boundary closes and opens again meets the sealer on either side of it.
#[test]
fn what_is_permitted_only_while_nothing_can_be_signed_is_never_signed() {
    const OUTAGES: usize = 12;
    let mut appliance =
        start_desk_with("permit (principal, action, resource) when { context.assent.degraded };");
    let stop = Arc::new(AtomicBool::new(false));
    let ask = |agent: Agent, stop: Arc<AtomicBool>| {
        let mut refused = [0_u32; 2];
        while !stop.load(Ordering::Relaxed) {
            let batch = Batch::new(batch_id(), &[knock("front")]).expect("a batch");
            let reply = agent.reply(&batch);
            let refusal = match batch.open(&reply, None, now()) {
                Err(ReplyError::Refused(refusal)) => refusal,
                Err(error) => panic!("{error}"),
                Ok(outcomes) => {
                    let outcome = outcomes.iter().next().expect("one outcome");
                    outcome.reason().unwrap_or_else(|| panic!("it was signed: {outcome:?}")).refusal
                }
            };
            refused[usize::from(refusal == Refusal::TokenUnavailable)] += 1;
        }
        refused
    };
    let asking: Vec<_> = (0..4)
        .map(|_| {
            let (agent, stop) = (Agent::connect(&appliance), Arc::clone(&stop));
            std::thread::Builder::new().spawn(move || ask(agent, stop)).expect("a thread")
        })
        .collect();
    for _ in 0..OUTAGES {
        let epoch = appliance.wait_until_open().epoch;
        kill_process(appliance.signer(), Signal::KILL).expect("the signer can be killed");
        eventually("it re-arms", || {
            appliance.status().filter(|status| status.epoch > epoch && status.boundaries.token.open)
        });
    }
    stop.store(true, Ordering::Relaxed);
    let refused: Vec<_> = asking.into_iter().map(|thread| thread.join().expect("no token")).collect();
    assert!(refused.iter().all(|[denied, unavailable]| *denied > 0 && *unavailable > 0), "{refused:?}");
    let report = appliance.stop_and_verify_log();
    assert_eq!(report["kinds"]["allow"].as_u64().unwrap_or(0), 0, "{report}");
}

#[test]
fn a_policy_that_cannot_be_evaluated_is_named_and_counted() {
    let mut appliance = start_desk();
    let agent = Agent::connect(&appliance);
    let answers = agent.preauthorize(&[knock("broken"), knock("front"), knock("broken")]);
    let refusals: Vec<_> =
        answers.iter().map(|outcome| outcome.reason().map(|reason| reason.refusal)).collect();
    let unavailable = Some(Refusal::EvaluationUnavailable);
    assert_eq!(refusals, [unavailable, None, unavailable]);
    let errors = appliance.status().unwrap().policy.errors;
    let told: Vec<_> = errors.iter().map(|error| (error.policy.as_str(), error.count)).collect();
    assert_eq!(told, [("overflows", 2)]);
    assert!(appliance.traces().contains("policy cannot be evaluated"), "{}", appliance.traces());
    drop(agent);
    appliance.stop_and_verify_log();
}

#[test]
fn what_a_batch_does_not_reach_before_its_deadline_is_refused_and_counted() {
    let mut appliance = start("deadline = \"1ms\"");
    let agent = Agent::connect(&appliance);
    let intents = vec![allowed(); 4096];
    let answers = agent.preauthorize(&intents);
    let refusals: Vec<_> =
        answers.iter().map(|outcome| outcome.reason().map(|reason| reason.refusal)).collect();
    let reached = refusals.iter().take_while(|refusal| refusal.is_none()).count();
    let rest = &refusals[reached..];
    assert!(!rest.is_empty(), "4096 intents within a millisecond");
    assert!(rest.iter().all(|refusal| *refusal == Some(Refusal::EvaluationUnavailable)), "{rest:?}");
    assert_eq!(appliance.status().unwrap().policy.late_intents, rest.len() as u64);
    assert!(appliance.traces().contains("policy.deadline"), "{}", appliance.traces());
    assert_eq!(ask(&agent), None, "a small batch has time");
    drop(agent);
    appliance.stop_and_verify_log();
}

#[test]
fn a_shadow_is_counted_and_never_obeyed() {
    let mut appliance = start("poll = \"20ms\"\nshadow = \"shadow\"");
    let agent = Agent::connect(&appliance);
    let before = digest(&appliance);
    assert_eq!(ask(&agent), None, "nothing is there yet, which changes nothing");
    let status = appliance.status().unwrap().policy.shadow.expect("a shadow is configured");
    assert!(status.digest.is_none() && status.problem.is_some(), "{status:?}");

    variant(&appliance, "shadow", &[("policies/closed.cedar", super::CLOSED)]);
    eventually("the shadow is loaded", || appliance.status()?.policy.shadow?.digest);
    for _ in 0..3 {
        assert_eq!(ask(&agent), None, "it is not obeyed");
    }
    let shadow = eventually("it has counted", || {
        appliance.status()?.policy.shadow.filter(|shadow| shadow.compared == 3)
    });
    assert_eq!((shadow.agreed, shadow.errors, shadow.dropped_batches), (0, 0, 0));
    let [pair] = shadow.disagreements.as_slice() else { panic!("{shadow:?}") };
    assert_eq!((pair.ours.as_str(), pair.theirs.as_str(), pair.count), ("allow", "POLICY_DENIED", 3));
    let last = shadow.latest.last().expect("the newest");
    assert_eq!(last.their_policies, ["store-is-closed"]);
    assert!(last.action.contains("Retail::Action") && !last.our_policies.is_empty(), "{last:?}");
    assert_eq!(digest(&appliance), before);

    // One that agrees begins its own count; one that does not compile leaves the last.
    std::fs::remove_file(appliance.folder.path().join("shadow/policies/closed.cedar")).unwrap();
    eventually("another shadow is loaded", || {
        appliance.status()?.policy.shadow?.digest.filter(|digest| *digest == before)
    });
    assert_eq!(ask(&agent), None);
    eventually("it agrees", || appliance.status()?.policy.shadow.filter(|shadow| shadow.agreed == 1));
    write(&appliance.folder.path().join("shadow"), "policies/bad.cedar", "nonsense");
    let problem = eventually("it says so", || appliance.status()?.policy.shadow?.problem);
    assert!(problem.starts_with("policies: "), "{problem}");
    assert_eq!(ask(&agent), None);
    drop(agent);
    let by: Vec<_> = super::offers(&mut appliance).into_iter().map(|offer| offer.by).collect();
    assert_eq!(by, ["start", "start"], "shadows are not in the log");
}
