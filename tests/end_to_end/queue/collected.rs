//! Tickets: whose they are, what withdrawing one means, and what becomes of one whose time is over.

use std::path::Path;
use std::process::{Command, Stdio};

use assent_client::batch::Batch;
use assent_client::connection::Collected;
use assent_client::{BatchId, ClientError, Outcome, Refusal, ReplyError, Ticket, TicketId, Timestamp};

use super::{close, collect, kinds, open_shop, queueable, reopen};
use appliance::limits::MAX_PLACES_PER_PRINCIPAL;

use crate::support::agent::{Agent, Credentials, now};
use crate::support::{ASSENT, Appliance, assent};

fn refusal(outcome: Result<Collected, ClientError>) -> Refusal {
    match outcome {
        Err(ClientError::Reply(ReplyError::Refused(refusal))) => refusal,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_ticket_is_of_use_to_its_own_agent_only() {
    let (mut appliance, agent) = open_shop("");
    let other = Agent::enrolled(&appliance, "other");
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

/// Runs `assent intent` as the sample's agent, with this key.
fn intent(appliance: &Appliance, key: &Path, arguments: &[&str]) -> (i32, String, String) {
    let credentials = Credentials::of_sample(appliance);
    let output = Command::new(ASSENT)
        .arg("intent")
        .args(arguments)
        .env("ASSENT_ADDR", appliance.status().expect("it answers").listen)
        .env("ASSENT_CA", credentials.ca)
        .env("ASSENT_CERT", credentials.certificate)
        .env("ASSENT_KEY", key)
        .stdin(Stdio::null())
        .output()
        .expect("assent runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    (output.status.code().unwrap_or(-1), text(output.stdout), text(output.stderr))
}

#[test]
fn one_ticket_of_a_file_holds_up_no_other() {
    let (mut appliance, agent) = open_shop("");
    let key = Credentials::of_sample(&appliance).key;
    close(&appliance);
    let [waiting]: [Ticket; 1] = agent.preauthorize(&queueable(1)).tickets().try_into().expect("one ticket");
    let [withdrawn]: [Ticket; 1] =
        agent.preauthorize(&queueable(2)).tickets().try_into().expect("one ticket");
    let cancelled = agent.runtime.block_on(agent.client.cancel(&withdrawn));
    assert!(matches!(cancelled, Ok(Collected::Decided(_))), "{cancelled:?}");
    let unknown = TicketId::new(BatchId::new(now(), [9; 10]), 0, now().plus_ms(60_000));
    let unknown = Ticket::new(unknown, &queueable(1)).expect("a ticket");
    let path = appliance.folder.path().join("tickets");
    std::fs::write(&path, format!("{waiting}\n{unknown}\n{withdrawn}\n")).expect("a file");
    let file = path.display().to_string();
    let collect_once = ["collect", file.as_str(), "--once", "-o", "jsonl"];
    let (code, out, talk) = intent(&appliance, &key, &collect_once);
    assert!(code == 4 && talk.contains(&unknown.id().to_string()), "{code} {talk}");
    let told: Vec<serde_json::Value> =
        out.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let outcomes: Vec<_> = told.iter().map(|line| (&line["outcome"], &line["ticket"])).collect();
    // What waits is told last, although it was asked about first.
    assert_eq!(outcomes.len(), 3, "{out}");
    assert!(outcomes[..2].iter().all(|(outcome, _)| *outcome == "cancelled"), "{out}");
    assert_eq!(outcomes[2].1, &waiting.id().to_string(), "{out}");
    let (code, _, talk) = intent(&appliance, Path::new("nowhere.key"), &collect_once);
    assert!(code == 1 && talk.contains("nowhere.key"), "{code} {talk}");
    reopen(&appliance);
    let (code, out, talk) = intent(&appliance, &key, &["collect", &file]);
    assert!(code == 2 && out.contains("allow"), "the worst is that two were withdrawn: {code} {out}{talk}");
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
    // Its id is as current as any by now, and nobody's but the queue's.
    let batch = Batch::new(ticket.id().0, &queueable(1)).expect("a batch");
    let reply = agent.reply(&batch);
    let refused = batch.open(&reply, None, now());
    assert!(matches!(refused, Err(ReplyError::Refused(Refusal::BatchConflict))), "{refused:?}");
    let expired = collect(&agent, &ticket);
    assert!(expired.iter().all(|outcome| matches!(outcome, Outcome::Expired(_))), "{:?}", kinds(&expired));
    assert!(expired.time() > ticket.until(), "not before its time");
    reopen(&appliance);
    assert_eq!(kinds(&collect(&agent, &ticket)), ["expired", "expired"]);
    appliance.stop_and_verify_log();
}

#[test]
fn more_tickets_than_the_queue_has_places_are_all_decided() {
    let (mut appliance, agent) = open_shop("");
    close(&appliance);
    let one = queueable(1);
    let tickets: Vec<Ticket> =
        (0..MAX_PLACES_PER_PRINCIPAL + 20).flat_map(|_| agent.preauthorize(&one).tickets()).collect();
    assert_eq!(tickets.len(), MAX_PLACES_PER_PRINCIPAL + 20);
    reopen(&appliance);
    for ticket in &tickets {
        let outcomes = collect(&agent, ticket);
        assert!(matches!(outcomes.at(0), Some(Outcome::Allowed(_))), "{:?}", kinds(&outcomes));
    }
    drop(agent);
    appliance.stop_and_verify_log();
}
