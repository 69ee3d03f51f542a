//! The disk gives errors: on each write, on each sync, once; while it serves and while it starts.
//!
//! What a commit did that reports an error is unknown, so the process ends at once, with the code for "was running and is no
//! more": nothing is released, nothing is written again, and no sync is asked for a second time, for what the first one lost a
//! second one would call safe. The next start finds out. A fence that cannot follow stops nothing yet.

use super::load::Load;
use super::strace::{Injection, Tracer, before, counts, failed, present};
use super::{STRIDE, attentive, places, show};
use crate::support::eventually;

/// Calls behind which a commit's outcome is unknown.
const OF_THE_LOG: [&str; 3] = ["pwrite64", "fdatasync", "ftruncate"];
/// Calls by which the fence follows.
const OF_THE_FENCE: [&str; 3] = ["fsync", "openat", "rename"];
/// What the disk says.
const ERRORS: [&str; 2] = ["EIO", "ENOSPC"];

/// What the thread asked of the disk behind the call that was failed.
fn writes_behind_the_fault(told: &str) -> Vec<&str> {
    let behind = told.split_once("(INJECTED)").map(|(_, behind)| behind).expect("the fault hit");
    let is_write = |line: &&str| OF_THE_LOG.iter().any(|call| line.starts_with(&format!("{call}(")));
    behind.lines().filter(is_write).collect()
}

#[test]
fn an_error_on_any_write_or_sync_of_a_round_ends_the_process_and_loses_nothing() {
    if !present() {
        return;
    }
    let mut appliance = attentive();
    let file = appliance.folder.path().join("strace");
    let mut load = Load::begin(&appliance);
    load.goes_on(1);
    let tracer = Tracer::attach(appliance.process(), "sealer", None, &file);
    load.goes_on(2);
    let mut counts = tracer.detach();
    counts.retain(|call, _| OF_THE_LOG.contains(&call.as_str()));
    println!("two rounds: {}", show(&counts));
    let places = places(&counts, 0, STRIDE);
    let mut fenced = 0;
    for (position, (call, nth)) in places.iter().enumerate() {
        let error = ERRORS[position % ERRORS.len()];
        let injection = Injection::fail(call, error, *nth);
        let tracer = Tracer::attach(appliance.process(), "sealer", Some(&injection), &file);
        let at = eventually("the error hits", || failed(&tracer.told()).map(str::to_owned));
        if at.contains("/fence/") {
            // That it stopped nothing, another test says.
            fenced += 1;
            load.goes_on(2);
            tracer.detach();
            continue;
        }
        let status = appliance.ended();
        assert_eq!(status.code(), Some(5), "{error}: {at}: {status}\n{}", appliance.traces());
        let told = tracer.told();
        assert_eq!(writes_behind_the_fault(&told), Vec::<&str>::new(), "{error}: {at}");
        load.check_log_of(&appliance);
        appliance.launch();
        load.check_answers_of(&appliance);
    }
    println!("{} errors, each hit, {fenced} of them at the fence", places.len());
    println!("{} batches, {} tokens", load.answered(), load.tokens());
    assert!(fenced < places.len());
    load.rest();
    appliance.stop_and_verify_log();
}

#[test]
fn a_fence_that_cannot_follow_once_stops_nothing() {
    if !present() {
        return;
    }
    let mut appliance = attentive();
    let process = appliance.process();
    let file = appliance.folder.path().join("strace");
    let mut load = Load::begin(&appliance);
    for call in OF_THE_FENCE {
        let injection = Injection::fail(call, "EIO", 1);
        let tracer = Tracer::attach(process, "sealer", Some(&injection), &file);
        eventually("the error hits", || tracer.told().contains("(INJECTED)").then_some(()));
        load.goes_on(2);
        tracer.detach();
    }
    load.rest();
    assert_eq!(appliance.status().map(|status| status.epoch), Some(0), "nothing closed");
    appliance.stop_and_verify_log();
}

#[test]
fn an_error_on_any_write_of_a_start_is_refused_and_the_next_start_serves() {
    if !present() {
        return;
    }
    let mut appliance = attentive();
    let file = appliance.folder.path().join("strace");
    let mut load = Load::begin(&appliance);
    load.goes_on(3);
    appliance.kill();
    load.rest();
    appliance.launch_under(&before(None, &file));
    appliance.wait_until_open();
    appliance.kill();
    let mut counts = counts(&std::fs::read_to_string(&file).expect("what strace tells"));
    counts.retain(|call, _| OF_THE_LOG.contains(&call.as_str()));
    println!("a start: {}", show(&counts));
    let places = places(&counts, 0, STRIDE);
    for (call, nth) in &places {
        appliance.launch_under(&before(Some(&Injection::fail(call, "EIO", *nth)), &file));
        let status = appliance.ended();
        assert!(matches!(status.code(), Some(1..=5)), "{call} {nth}: {status}\n{}", appliance.traces());
        load.check_log_of(&appliance);
        appliance.launch();
        load.check_answers_of(&appliance);
        appliance.kill();
    }
    println!("{} errors at start, each refused; {} tokens", places.len(), load.tokens());
    appliance.launch();
    appliance.stop_and_verify_log();
}
