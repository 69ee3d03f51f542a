//! How the HSM's fence is kept: when it is written, what an HSM may refuse, hang in, or be killed in.

use std::time::Duration;

use super::{configure, fenced, kept, on_each};
use crate::operators::{clear, inject};
use crate::support::agent::{Agent, allowed};
use crate::support::{Appliance, Hsm, SLACK, assent, eventually};
use crate::unsigned::entries;
use appliance::clock::Stopwatch;
use appliance::token::FenceInHsm;
use assent_client::outcome::Outcome;

/// How long one signature may take where it matters: so much longer than the machine may be late that what closes at once is told from
/// what closes by the deadline.
const DEADLINE: Duration = Duration::from_secs(3);
/// How often the fence is written there.
const EVERY: Duration = Duration::from_millis(100);
/// Kills while the fence is written all the time.
const KILLS: u32 = 16;

fn asks(agent: &Agent) {
    let _ = agent.preauthorize(&[allowed()]);
}

#[test]
fn it_follows_a_log_that_grows_and_is_at_its_end_after_a_stop() {
    on_each(|hsm| {
        let mut appliance = fenced(hsm, "hsm = \"on\"\nhsm_every = \"100ms\"");
        let agent = Agent::connect(&appliance);
        for _ in 0..3 {
            asks(&agent);
            kept(&appliance, appliance.status().expect("it answers").counters.log_size);
        }
        asks(&agent);
        drop(agent);
        let (_, table, _) = assent(Some(&appliance.config()), &["status"]);
        assert!(table.contains("in the HSM too"), "{table}");
        let size = appliance.status().expect("it answers").counters.log_size;
        assert!(appliance.stop(), "it stops");
        appliance.launch_closed();
        let kept = eventually("it is told what the HSM keeps", || match appliance.status()?.fence_in_hsm {
            FenceInHsm::Kept { size, .. } => Some(size),
            FenceInHsm::Off | FenceInHsm::Unknown | FenceInHsm::Refused { .. } => None,
        });
        assert!(kept >= size, "{kept} {size}");
    });
}

#[test]
fn an_hsm_that_refuses_data_objects_is_told_of_once_and_gone_on_without() {
    let mut appliance = Appliance::start(Hsm::Simulator);
    assert!(appliance.stop(), "it stops");
    let ring = appliance.data().join("log-1.keys.toml");
    assert!(std::fs::read_to_string(&ring).expect("the ring").contains("hsm_fence_ms"), "it had one");
    configure(&appliance, "hsm = \"off\"");
    appliance.launch();
    assert_eq!(appliance.status().expect("it answers").fence_in_hsm, FenceInHsm::Off);
    assert!(appliance.stop(), "it stops");
    assert!(!std::fs::read_to_string(&ring).expect("the ring").contains("hsm_fence_ms"), "it need not");

    inject(&appliance, "rv 0x54 --call C_CreateObject");
    configure(&appliance, "hsm = \"auto\"\nhsm_every = \"100ms\"");
    appliance.launch();
    let agent = Agent::connect(&appliance);
    for _ in 0..3 {
        assert!(agent.preauthorize(&[allowed()]).all_allowed());
    }
    let told = |status: appliance::serving::status::Status| match status.fence_in_hsm {
        FenceInHsm::Refused { why } => Some(why),
        FenceInHsm::Kept { .. } | FenceInHsm::Off | FenceInHsm::Unknown => None,
    };
    let why = told(appliance.status().expect("it answers")).expect("it is told");
    assert!(why.contains("C_CreateObject answered CKR_FUNCTION_NOT_SUPPORTED"), "{why}");
    drop(agent);
    assert_eq!(appliance.traces().matches("the file is the only one").count(), 1);
    let (_, out, _) = assent(Some(&appliance.config()), &["hsm", "check"]);
    assert!(out.contains("no, the file is the only fence"), "{out}");
    assert!(appliance.stop(), "it stops");

    let boots = entries(&appliance.config(), "boot").len();
    let started = entries(&appliance.config(), "rearm").len();
    configure(&appliance, "hsm = \"on\"");
    let (code, out, _) = assent(Some(&appliance.config()), &["hsm", "check"]);
    assert!(code == 5 && out.contains("data objects"), "{code} {out}");
    appliance.launch_closed();
    eventually("it does not open", || {
        let token = appliance.status()?.boundaries.token;
        (token.cause.as_deref() == Some("data_refused")).then_some(())
    });
    clear(&appliance);
    appliance.wait_until_open();
    kept(&appliance, 1);
    appliance.stop_and_verify_log();
    // An attempt got as far as the entry of its re-arm: a log that says so is told that it did not open.
    let [rearms, trips] = ["rearm", "trip"].map(|kind| entries(&appliance.config(), kind));
    let index = |entry: &serde_json::Value| entry["index"].as_u64().expect("an index");
    let rearms = rearms.get(started..).expect("no entry goes");
    assert!(rearms.len() >= 2, "{rearms:?}");
    for between in rearms.windows(2) {
        let told = trips.iter().any(|trip| (index(&between[0])..index(&between[1])).contains(&index(trip)));
        assert!(told, "{between:?}, {trips:?}");
    }
    assert_eq!(entries(&appliance.config(), "boot").len(), boots + 1, "one boot, however often it was tried");
}

#[test]
fn an_hsm_that_had_a_fence_and_refuses_to_show_it_is_not_gone_on_without() {
    let mut appliance = fenced(Hsm::Simulator, "");
    kept(&appliance, 1);
    assert!(appliance.stop(), "it stops");
    // The searches for keys come first: the third is the one for the fence.
    inject(&appliance, "rv 0x54 --call C_FindObjectsInit --after 2");
    appliance.launch_closed();
    super::held(&appliance, "fence_mismatch");
}

/// What is busy has not said that it keeps nothing: it is asked again, and nobody has to sign.
#[test]
fn an_hsm_that_is_busy_when_its_fence_is_read_is_asked_again() {
    let mut appliance = fenced(Hsm::Simulator, "");
    kept(&appliance, 1);
    assert!(appliance.stop(), "it stops");
    inject(&appliance, "rv 0x6 --call C_FindObjectsInit --after 2 --times 1");
    appliance.launch();
    assert!(appliance.traces().contains("C_FindObjectsInit answered CKR_FUNCTION_FAILED"), "it was busy");
    appliance.stop_and_verify_log();
}

#[test]
fn a_hang_while_it_is_written_closes_by_the_deadline_and_a_fault_closes_at_once() {
    let mut appliance = Appliance::start(Hsm::Simulator);
    assert!(appliance.stop(), "it stops");
    let config = std::fs::read_to_string(appliance.config()).expect("the configuration");
    let deadline = format!("[hsm]\ndeadline = \"{}s\"\n", DEADLINE.as_secs());
    std::fs::write(appliance.config(), config.replace("[hsm]\n", &deadline)).expect("a configuration");
    configure(&appliance, &format!("hsm_every = \"{}ms\"", EVERY.as_millis()));
    appliance.launch();
    assert_eq!(appliance.hsm_deadline(), DEADLINE);
    let agent = Agent::connect(&appliance);
    for (fault, by) in [
        ("hang C_CreateObject --for 10s", DEADLINE),
        ("rv 0x32 --call C_CreateObject --times 1", Duration::ZERO),
    ] {
        let epoch = appliance.wait_until_open().epoch;
        inject(&appliance, fault);
        let watch = Stopwatch::start();
        eventually("it closes", || {
            // Each batch has an answer, in time.
            let asked = Stopwatch::start();
            let refused =
                matches!(agent.preauthorize(&[allowed()]).iter().next(), Some(Outcome::Unavailable(_)));
            assert!(asked.elapsed() < DEADLINE + SLACK, "{fault}: {:?}", asked.elapsed());
            let closed = appliance.status().is_some_and(|status| status.epoch > epoch);
            (refused || closed).then_some(())
        });
        let closed = watch.elapsed();
        println!("{fault}: closed after {closed:?}");
        assert!(closed < by + EVERY + SLACK, "{fault}: {closed:?}");
        clear(&appliance);
    }
    appliance.wait_until_open();
    assert!(agent.preauthorize(&[allowed()]).all_allowed());
}

#[test]
fn killed_at_any_moment_of_writing_it_opens_again() {
    on_each(|hsm| {
        let mut appliance = fenced(hsm, "hsm = \"on\"\nhsm_every = \"100ms\"");
        for kill in 0..KILLS {
            let agent = Agent::connect(&appliance);
            let watch = Stopwatch::start();
            let moment = Duration::from_millis(95) + Duration::from_micros(1_300) * kill;
            while watch.elapsed() < moment {
                asks(&agent);
            }
            drop(agent);
            appliance.kill();
            appliance.launch();
        }
        appliance.stop_and_verify_log();
    });
}
