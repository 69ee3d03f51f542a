//! The queue, as an agent and an operator see it: what waits through an outage is durable, is decided once, in its turn, and
//! can be fetched by whoever was given the ticket and by nobody else.

mod collected;
mod killed;
mod orders;

use assent_client::batch::Ticket;
use assent_client::connection::Collected;
use assent_client::{Intent, OnUnavailable, Outcome, Outcomes, Reason, Refusal};

use crate::operators::{clear, inject, staffed};
use crate::support::agent::{Agent, allowed_batch, now, retail};
use crate::support::{Appliance, eventually};

/// These intents, each to wait rather than be refused.
pub(crate) fn waiting(intents: impl IntoIterator<Item = Intent>) -> Vec<Intent> {
    let on_unavailable = OnUnavailable::Queue;
    intents.into_iter().map(|intent| Intent { on_unavailable, ..intent }).collect()
}

/// So many intents that the store allows and that may wait.
pub(crate) fn queueable(count: usize) -> Vec<Intent> {
    let may_wait = |intent: &Intent| intent.action.id == "cancel_pending_order";
    let intents: Vec<Intent> = allowed_batch(1500).into_iter().filter(may_wait).collect();
    waiting(intents.iter().cycle().take(count).cloned())
}

/// Takes the HSM away, and waits until the token boundary is closed.
pub(crate) fn close(appliance: &Appliance) {
    inject(appliance, "remove");
    eventually("the token boundary closes", || {
        appliance.status().filter(|status| !status.boundaries.token.open)
    });
}

/// Brings the HSM back, and waits until the token boundary is open.
pub(crate) fn reopen(appliance: &Appliance) {
    clear(appliance);
    appliance.wait_until_open();
}

/// What became of a ticket, once it is decided.
pub(crate) fn collect(agent: &Agent, ticket: &Ticket) -> Outcomes {
    let outcomes = agent.runtime.block_on(agent.client.wait(ticket)).expect("an answer");
    assert_eq!(outcomes.len(), ticket.batch().len());
    // The client has opened it under the trust file: without one it knows of no log.
    assert!(outcomes.tokens().next().is_none() || outcomes.origin().is_some(), "nobody has verified it");
    outcomes
}

pub(crate) fn kinds(outcomes: &Outcomes) -> Vec<&'static str> {
    outcomes.iter().map(|outcome| outcome.kind()).collect()
}

/// An open appliance with the sample's agent, and these sections in its configuration.
pub(crate) fn open_shop(sections: &str) -> (Appliance, Agent) {
    let mut appliance = staffed("");
    if !sections.is_empty() {
        assert!(appliance.stop(), "it stops");
        let config = std::fs::read_to_string(appliance.config()).expect("the configuration");
        std::fs::write(appliance.config(), format!("{config}\n{sections}\n")).expect("a configuration");
        appliance.launch();
    }
    appliance.wait_until_open();
    let agent = Agent::connect_trusting(&appliance);
    (appliance, agent)
}

#[test]
fn what_waits_through_an_outage_is_decided_when_it_is_over_and_fetched_with_its_ticket() {
    let (mut appliance, agent) = open_shop("");
    close(&appliance);
    let intents = waiting(retail());
    let outcomes = agent.preauthorize(&intents);
    let count = |wanted: fn(&Outcome<'_>) -> bool| outcomes.iter().filter(wanted).count();
    let queued = count(|outcome| matches!(outcome, Outcome::Queued(_)));
    let denied = count(|outcome| matches!(outcome, Outcome::Denied(_) | Outcome::Invalid(_)));
    // Those whose action says nothing of a queue.
    let is_unavailable = |reason: &Reason<'_>| reason.refusal == Refusal::TokenUnavailable;
    let unavailable =
        outcomes.iter().filter(|outcome| outcome.reason().is_some_and(|reason| is_unavailable(&reason)));
    assert_eq!(queued + denied + unavailable.count(), outcomes.len());
    assert!(queued > 100 && denied > 100, "{queued} queued, {denied} denied");
    let tickets = outcomes.tickets();
    assert_eq!(tickets.iter().map(|ticket| ticket.positions().len()).sum::<usize>(), queued);
    let status = appliance.status().expect("it answers").queue;
    assert_eq!(status.queued.iter().sum::<u64>(), queued as u64);
    // Asked again under the same id, it hears the same: the same decisions under the same tickets, in the same bytes each time.
    let again = agent.reply(outcomes.batch());
    assert_eq!(again, agent.reply(outcomes.batch()));
    let again =
        outcomes.batch().clone().open(&again, Some(&agent.trust), now()).expect("a reply that verifies");
    assert_eq!((again.time(), kinds(&again)), (outcomes.time(), kinds(&outcomes)));
    let tickets_of =
        |outcomes: &Outcomes| -> Vec<String> { outcomes.tickets().iter().map(ToString::to_string).collect() };
    assert_eq!(tickets_of(&again), tickets_of(&outcomes));
    // A restart forgets nothing, and does not help either.
    appliance.kill();
    appliance.launch_closed();
    assert_eq!(appliance.status().expect("it answers").queue.queued.iter().sum::<u64>(), queued as u64);
    reopen(&appliance);
    let agent = Agent::connect_trusting(&appliance);
    let mut allowed = 0;
    for ticket in &tickets {
        let decided = collect(&agent, ticket);
        assert!(decided.all_allowed(), "{:?}", kinds(&decided));
        assert_eq!(decided.batch().id(), ticket.id().0);
        allowed += decided.tokens().count();
    }
    assert_eq!(allowed, queued);
    assert_eq!(appliance.status().expect("it answers").queue.queued, [0; 4]);
    let report = appliance.stop_and_verify_log();
    assert_eq!(report["kinds"]["hold"].as_u64(), Some(queued as u64), "{report}");
}

#[test]
fn an_agent_that_asks_while_it_waits_hears_of_the_decision_at_once() {
    let (mut appliance, agent) = open_shop("");
    close(&appliance);
    let outcomes = agent.preauthorize(&queueable(3));
    let [ticket] = outcomes.tickets().try_into().expect("one ticket");
    let other = Agent::connect_trusting(&appliance);
    let waits = std::thread::Builder::new().spawn(move || {
        let collected = other.runtime.block_on(other.client.collect(&ticket)).expect("an answer");
        let Collected::Decided(outcomes) = collected else { panic!("it waited in vain") };
        outcomes
    });
    let waits = waits.expect("a thread");
    reopen(&appliance);
    assert!(waits.join().expect("it ends").all_allowed());
    appliance.stop_and_verify_log();
}
