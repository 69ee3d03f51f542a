//! Tickets: whose they are, what withdrawing one means, and what becomes of one whose time is over.

use assent_client::connection::Collected;
use assent_client::{BatchId, ClientError, Outcome, Refusal, ReplyError, Ticket, TicketId, Timestamp};

use super::{close, collect, kinds, open_shop, queueable, reopen};
use crate::support::agent::{Agent, Credentials, now};
use crate::support::{Appliance, assent, eventually};

fn refusal(outcome: Result<Collected, ClientError>) -> Refusal {
    match outcome {
        Err(ClientError::Reply(ReplyError::Refused(refusal))) => refusal,
        other => panic!("{other:?}"),
    }
}

/// A second agent, enrolled with the appliance's own command.
fn second_agent(appliance: &Appliance) -> Agent {
    let (config, folder) = (appliance.config(), appliance.folder.path());
    let (code, _, talk) = assent(
        Some(&config),
        &["agent", "enroll", "other", "--out", &folder.join("agents").display().to_string()],
    );
    assert_eq!(code, 0, "{talk}");
    let credentials = Credentials {
        ca: folder.join("tls/ca.pem"),
        certificate: folder.join("agents/other.pem"),
        key: folder.join("agents/other.key"),
    };
    eventually("the register is read", || {
        let agent = Agent::connect_with(appliance, &credentials).ok()?;
        agent.runtime.block_on(agent.client.preauthorize(&queueable(1))).is_ok().then_some(agent)
    })
}

#[test]
fn a_ticket_is_of_use_to_its_own_agent_only() {
    let (mut appliance, agent) = open_shop("");
    let other = second_agent(&appliance);
    close(&appliance);
    let [ticket]: [Ticket; 1] = agent.preauthorize(&queueable(2)).tickets().try_into().expect("one ticket");
    assert_eq!(refusal(other.runtime.block_on(other.client.collect(&ticket))), Refusal::TicketUnknown);
    assert_eq!(refusal(other.runtime.block_on(other.client.cancel(&ticket))), Refusal::TicketUnknown);
    reopen(&appliance);
    assert!(collect(&agent, &ticket).all_allowed(), "another agent could not withdraw it");
    assert_eq!(refusal(other.runtime.block_on(other.client.collect(&ticket))), Refusal::TicketUnknown);
    let unknown = TicketId::new(BatchId::new(now(), [9; 10]), 0, now().plus_ms(60_000));
    let unknown = Ticket::new(unknown, &queueable(1)).expect("a ticket");
    assert_eq!(refusal(agent.runtime.block_on(agent.client.collect(&unknown))), Refusal::TicketUnknown);
    appliance.stop_and_verify_log();
}

#[test]
fn what_is_withdrawn_stays_so_however_often_and_does_not_come_back() {
    let (mut appliance, agent) = open_shop("");
    close(&appliance);
    let [ticket]: [Ticket; 1] = agent.preauthorize(&queueable(2)).tickets().try_into().expect("one ticket");
    for _ in 0..2 {
        let cancelled = agent.runtime.block_on(agent.client.cancel(&ticket)).expect("an answer");
        let Collected::Decided(outcomes) = cancelled else { panic!("{cancelled:?}") };
        assert_eq!(kinds(&outcomes), ["cancelled", "cancelled"]);
    }
    reopen(&appliance);
    assert_eq!(kinds(&collect(&agent, &ticket)), ["cancelled", "cancelled"]);
    // What was decided before stands.
    close(&appliance);
    let [ticket]: [Ticket; 1] = agent.preauthorize(&queueable(1)).tickets().try_into().expect("one ticket");
    reopen(&appliance);
    assert!(collect(&agent, &ticket).all_allowed());
    let late = agent.runtime.block_on(agent.client.cancel(&ticket)).expect("an answer");
    let Collected::Decided(outcomes) = late else { panic!("{late:?}") };
    assert!(outcomes.all_allowed());
    appliance.stop_and_verify_log();
}

#[test]
fn what_waits_for_too_long_expires_and_the_log_says_so() {
    let (mut appliance, _) = open_shop("");
    let catalog = appliance.folder.path().join("bundle/catalog.cedarschema");
    let text = std::fs::read_to_string(&catalog).expect("the catalog");
    std::fs::write(&catalog, text.replace("@queue(\"15m\")", "@queue(\"2s\")")).expect("another catalog");
    let (code, _, talk) = assent(Some(&appliance.config()), &["policy", "load"]);
    assert_eq!(code, 0, "{talk}");
    let agent = Agent::connect_trusting(&appliance);
    close(&appliance);
    let outcomes = agent.preauthorize(&queueable(2));
    let [ticket]: [Ticket; 1] = outcomes.tickets().try_into().expect("one ticket");
    assert_eq!(ticket.until(), Timestamp(outcomes.time().0 + 2000));
    let expired = collect(&agent, &ticket);
    assert!(expired.iter().all(|outcome| matches!(outcome, Outcome::Expired(_))), "{:?}", kinds(&expired));
    assert!(expired.time() > ticket.until(), "not before its time");
    reopen(&appliance);
    assert_eq!(kinds(&collect(&agent, &ticket)), ["expired", "expired"]);
    appliance.stop_and_verify_log();
}
