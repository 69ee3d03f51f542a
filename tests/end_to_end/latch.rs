//! The latch: an integrity fault is the operators' however it was met, and whatever happens to the process or its files.

use std::os::unix::net::UnixStream;
use std::time::Duration;

use crate::operators::{Office, clear, inject, is_closed_for_operators, staffed};
use crate::support::agent::{Agent, allowed};
use crate::support::{Appliance, Hsm, eventually};
use appliance::clock::Stopwatch;
use appliance::limits::FENCE_GRACE;
use assent_client::outcome::Outcome;

/// Waits until it is closed, and latched: a kill in the moment between the two forgets the fault, as DESIGN says.
fn wait_until_closed(appliance: &Appliance) -> u64 {
    let epoch = eventually("it is closed for operators", || {
        is_closed_for_operators(appliance).then(|| appliance.status().expect("it answers").epoch)
    });
    let latch = appliance.folder.path().join("fence/checkpoint.latch");
    let says = format!("assent/latch/v1\nepoch {epoch}\n");
    eventually("the fault is latched", || {
        std::fs::read_to_string(&latch).ok().filter(|text| text.starts_with(&says))
    });
    epoch
}

#[test]
fn one_that_is_met_at_a_later_start_is_a_trip_and_outlives_that_start() {
    let mut appliance = staffed("");
    let before = appliance.wait_until_open().epoch;
    assert!(appliance.stop(), "it stops");
    inject(&appliance, "wrong-key");
    appliance.launch_closed();
    let epoch = wait_until_closed(&appliance);
    assert!(epoch > before, "{epoch} after {before}");
    clear(&appliance);
    appliance.kill();
    appliance.launch_closed();
    assert_eq!(wait_until_closed(&appliance), epoch, "the same trip, not another");
    let office = Office { appliance: &appliance };
    let statement = office.statement(false);
    let [alice, bob] = ["alice", "bob"].map(|name| office.sign(name, "assent-rearm@v1", &statement));
    assert_eq!(office.order(false, &[&alice, &bob]).0, 0);
    let report = appliance.stop_and_verify_log();
    assert!(report["kinds"]["trip"].as_u64() >= Some(1), "{report}");
    appliance.launch();
}

#[test]
fn an_older_log_does_not_let_go_of_it() {
    let mut appliance = staffed("");
    appliance.wait_until_open();
    let older = appliance.folder.path().join("older.redb");
    std::fs::copy(appliance.log(), &older).expect("a copy");
    inject(&appliance, "corrupt --times 1");
    let epoch = wait_until_closed(&appliance);
    appliance.kill();
    std::fs::copy(&older, appliance.log()).expect("put back");
    appliance.launch_closed();
    assert_eq!(wait_until_closed(&appliance), epoch);
}

#[test]
fn an_order_that_fails_is_spent_over_a_restart_too() {
    let mut appliance = staffed("");
    inject(&appliance, "corrupt");
    let epoch = wait_until_closed(&appliance);
    appliance.kill();
    appliance.launch_closed();
    assert_eq!(wait_until_closed(&appliance), epoch);
    let office = Office { appliance: &appliance };
    let statement = office.statement(false);
    let [alice, bob] = ["alice", "bob"].map(|name| office.sign(name, "assent-rearm@v1", &statement));
    let (code, talk) = office.order(false, &[&alice, &bob]);
    assert!(code == 5 && talk.contains("this order is spent"), "{code} {talk}");
    assert!(wait_until_closed(&appliance) > epoch, "it closed again, in an epoch of its own");
    clear(&appliance);
    let (code, talk) = office.order(false, &[&alice, &bob]);
    assert!(code == 3 && talk.contains("over another statement"), "{code} {talk}");
    appliance.kill();
    appliance.launch_closed();
    assert!(wait_until_closed(&appliance) > epoch, "what failed is not forgotten");
}

#[test]
fn an_order_that_was_not_carried_out_before_a_kill_is_void() {
    let mut appliance = staffed("");
    let agent = Agent::connect(&appliance);
    inject(&appliance, "corrupt --times 1");
    wait_until_closed(&appliance);
    inject(&appliance, "remove");
    let office = Office { appliance: &appliance };
    let statement = office.statement(true);
    let [alice, bob] = ["alice", "bob"].map(|name| office.sign(name, "assent-rearm@v1", &statement));
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| office.order(true, &[&alice, &bob]));
        eventually("the order is in the log", || {
            let _ = agent.preauthorize(&[allowed()]);
            appliance.traces().contains("operators ordered re-arm").then_some(())
        });
        rustix::process::kill_process(appliance.process(), rustix::process::Signal::KILL).expect("killed");
        let (code, talk) = waits.join().expect("the command ends");
        assert_eq!(code, 5, "{talk}");
    });
    appliance.kill();
    clear(&appliance);
    appliance.launch_closed();
    wait_until_closed(&appliance);
    let office = Office { appliance: &appliance };
    assert_eq!(
        office.order(true, &[&alice, &bob]).0,
        0,
        "they may order the same again: nothing graver was found"
    );
    let status = appliance.wait_until_open();
    assert_eq!(status.lowest_epoch, status.epoch, "and it revokes what it said");
}

#[test]
fn whoever_cannot_read_the_data_folder_is_not_answered() {
    use std::io::{BufRead as _, BufReader, Write as _};
    let appliance = Appliance::start(Hsm::Simulator);
    for question in ["{\"ask\":\"status\"}", "0123456789abcdef0123456789abcdef {\"ask\":\"status\"}", "", " "]
    {
        let mut socket = UnixStream::connect(appliance.data().join("control.sock")).expect("a socket");
        socket.set_read_timeout(Some(Duration::from_secs(5))).expect("a deadline");
        writeln!(socket, "{question}").expect("asked");
        let mut answer = String::new();
        BufReader::new(socket).read_line(&mut answer).expect("an answer");
        assert_eq!(answer.trim(), "{\"error\":\"not a question\"}", "{question}");
    }
    assert!(appliance.status().is_some(), "whoever can is answered");
}

#[test]
fn a_log_whose_fence_cannot_follow_lets_nothing_out_after_a_while() {
    let appliance = staffed("");
    let agent = Agent::connect(&appliance);
    let fence = appliance.folder.path().join("fence");
    std::fs::rename(&fence, fence.with_extension("away")).expect("moved");
    std::fs::write(&fence, "in the way").expect("a file");
    let _ = agent.preauthorize(&[allowed()]);
    let watch = Stopwatch::start();
    eventually("it closes", || appliance.status().filter(|status| !status.boundaries.token.open));
    assert!(watch.elapsed() + Duration::from_secs(1) >= FENCE_GRACE, "{:?}", watch.elapsed());
    let status = appliance.status().expect("it answers");
    assert_eq!(status.boundaries.token.cause.as_deref(), Some("fence"), "{status:?}");
    std::fs::remove_file(&fence).expect("removed");
    std::fs::rename(fence.with_extension("away"), &fence).expect("moved back");
    appliance.wait_until_open();
    let outcomes = agent.preauthorize(&[allowed()]);
    assert!(matches!(outcomes.iter().next(), Some(Outcome::Allowed(_))));
}
