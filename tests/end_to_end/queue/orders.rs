//! What operators see and do, what has no room, and in which order it is decided.

use std::path::Path;
use std::process::{Command, Stdio};

use assent_client::{Intent, Priority, Refusal, Ticket};
use assent_proto::entry::Entry;

use super::{close, collect, kinds, open_shop, queueable, reopen};
use crate::support::{ASSENT, assent};

#[test]
fn operators_list_show_and_withdraw_what_waits() {
    let (mut appliance, agent) = open_shop("");
    let config = appliance.config();
    let (code, _, talk) = assent(Some(&config), &["queue", "list"]);
    assert_eq!((code, talk.contains("0 intents queued")), (0, true), "{talk}");
    close(&appliance);
    let [high]: [Ticket; 1] = agent.preauthorize(&queueable(2)).tickets().try_into().expect("one ticket");
    let low: Vec<Intent> =
        queueable(1).into_iter().map(|intent| Intent { priority: Some(Priority::Low), ..intent }).collect();
    let [low]: [Ticket; 1] = agent.preauthorize(&low).tickets().try_into().expect("one ticket");
    let (code, out, _) = assent(Some(&config), &["queue", "list", "-o", "json"]);
    let list: serde_json::Value = serde_json::from_str(&out).expect("json");
    assert_eq!((code, &list["queue"]["queued"]), (0, &serde_json::json!([1, 0, 2, 0])), "{list}");
    assert_eq!(list["tickets"][0]["ticket"], high.id().to_string());
    assert_eq!(list["tickets"][1]["priority"], "low");
    let (_, out, talk) = assent(Some(&config), &["queue", "list", "-o", "jsonl"]);
    assert!(talk.contains("3 intents queued, 0 await approval"), "{talk}");
    let rows: Vec<serde_json::Value> =
        out.lines().map(|row| serde_json::from_str(row).expect("json")).collect();
    assert_eq!(rows.len(), 2, "{out}");
    assert!(rows.iter().all(|row| row["schema"] == "assent.v1.queue.ticket"), "{out}");
    let (_, out, _) = assent(Some(&config), &["queue", "show", &high.id().to_string(), "-o", "jsonl"]);
    assert_eq!(out.matches("\"schema\":\"assent.v1.queue.intent\"").count(), 2, "{out}");
    let (code, out, _) = assent(Some(&config), &["queue", "show", &low.id().to_string()]);
    assert!(code == 0 && out.contains("priority low") && out.contains("\"resource\""), "{out}");
    let (code, _, talk) = assent(Some(&config), &["queue", "show", "nonsense"]);
    assert!(code == 1 && talk.contains("32 hexadecimal digits"), "{talk}");
    let withdraw = ["queue", "cancel", &low.id().to_string(), "--reason", "asked by mistake"];
    let (code, out, talk) = assent(Some(&config), &withdraw);
    assert!(code == 0 && out.contains("is withdrawn: 1 intent is denied as CANCELLED"), "{out}{talk}");
    let (code, _, talk) = assent(Some(&config), &withdraw);
    assert!(code == 1 && talk.contains("nothing waits under ticket"), "{talk}");
    assert_eq!(kinds(&collect(&agent, &low)), ["cancelled"]);
    let (_, out, _) = assent(Some(&config), &["status"]);
    assert!(out.contains("2 intents (0 critical, 2 high, 0 normal, 0 low)"), "{out}");
    reopen(&appliance);
    assert!(collect(&agent, &high).all_allowed());
    appliance.stop_and_verify_log();
    let (_, out, _) = assent(Some(&config), &["log", "show", "--kind", "operator"]);
    assert!(out.contains("cancel by") && out.contains("asked by mistake"), "{out}");
}

/// Runs `assent` with nobody who reads what it prints; gives exit code and standard error.
fn unread(config: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let mut command = Command::new(ASSENT);
    command.arg("--config").arg(config).args(arguments).stdin(Stdio::null());
    let output = command.stdout(writer).stderr(Stdio::piped()).spawn().expect("assent runs");
    let output = output.wait_with_output().expect("assent ends");
    (output.status.code(), String::from_utf8(output.stderr).expect("assent prints UTF-8"))
}

#[test]
fn a_pipe_that_closes_is_no_error_and_changes_no_exit_code() {
    let (mut appliance, agent) = open_shop("");
    let config = appliance.config();
    assert!(agent.preauthorize(&queueable(3)).all_allowed());
    assert_eq!(unread(&config, &["status"]), (Some(0), String::new()));
    assert_eq!(unread(&config, &["agent", "list"]), (Some(0), String::new()));
    close(&appliance);
    assert_eq!(unread(&config, &["status"]), (Some(5), String::new()));
    reopen(&appliance);
    appliance.stop_and_verify_log();
    for show in [&["log", "show"][..], &["log", "show", "-o", "csv"], &["log", "export", "-o", "ocsf"]] {
        assert_eq!(unread(&config, show), (Some(0), String::new()), "{show:?}");
    }
    assert_eq!(unread(&config, &["log", "verify"]), (Some(0), String::new()));
    // A log that does not verify is none that does because nobody reads on.
    std::fs::remove_file(appliance.folder.path().join("fence/checkpoint")).expect("removed");
    for judged in [&["log", "verify"][..], &["log", "verify", "-o", "json"], &["log", "report"]] {
        assert_eq!(unread(&config, judged), (Some(3), String::new()), "{judged:?}");
    }
}

#[test]
fn what_has_no_room_is_refused_and_what_waits_is_not_lost() {
    let settings = "[queue]\nintents_max = 6\nprincipal_intents_max = 4";
    let (mut appliance, agent) = open_shop(settings);
    close(&appliance);
    let [first]: [Ticket; 1] = agent.preauthorize(&queueable(3)).tickets().try_into().expect("one ticket");
    let full = agent.preauthorize(&queueable(2));
    assert!(full.tickets().is_empty());
    for outcome in full.iter() {
        assert_eq!(outcome.reason().map(|reason| reason.refusal), Some(Refusal::QueueFull), "{outcome}");
    }
    let [second]: [Ticket; 1] = agent.preauthorize(&queueable(1)).tickets().try_into().expect("one ticket");
    reopen(&appliance);
    assert!(collect(&agent, &first).all_allowed() && collect(&agent, &second).all_allowed());
    assert!(agent.preauthorize(&queueable(4)).all_allowed());
    appliance.stop_and_verify_log();
}

#[test]
fn the_queue_drains_by_priority_and_within_one_by_age() {
    let (mut appliance, agent) = open_shop("");
    close(&appliance);
    let order = [Priority::Low, Priority::High, Priority::Normal, Priority::Low, Priority::High];
    let mut tickets = Vec::new();
    for priority in order {
        let intents: Vec<Intent> =
            queueable(300).into_iter().map(|intent| Intent { priority: Some(priority), ..intent }).collect();
        tickets.extend(agent.preauthorize(&intents).tickets());
    }
    assert_eq!(tickets.len(), 10, "two tickets a batch, for there is a limit to what waits together");
    reopen(&appliance);
    for ticket in &tickets {
        assert!(collect(&agent, ticket).all_allowed());
    }
    appliance.stop_and_verify_log();
    let places: Vec<u64> = tickets.iter().map(|ticket| first_leaf(&appliance, ticket)).collect();
    let mut expected: Vec<usize> = (0..tickets.len()).collect();
    // Two tickets a batch; the highest priority first.
    expected.sort_by_key(|ticket| (std::cmp::Reverse(order[ticket / 2]), *ticket));
    let mut found: Vec<usize> = (0..tickets.len()).collect();
    found.sort_by_key(|ticket| places[*ticket]);
    assert_eq!(found, expected, "{places:?}");
}

/// Where the decision on a ticket begins in the log.
fn first_leaf(appliance: &crate::support::Appliance, ticket: &Ticket) -> u64 {
    let reader = appliance::log::reader::Reader::open(&appliance.log()).expect("the log");
    let end = reader.size().expect("a size").0;
    for (first, frame) in reader.requests_in(0..end).expect("requests") {
        if frame == ticket.batch().frame() {
            let leaf = reader.leaves(first.0..first.0 + 1).expect("a leaf");
            let leaf = leaf.iter().next().expect("a leaf").to_vec();
            assert!(matches!(Entry::parse(&leaf), Ok(Entry::Allow(_))));
            return first.0;
        }
    }
    panic!("ticket {} was not decided", ticket.id());
}
