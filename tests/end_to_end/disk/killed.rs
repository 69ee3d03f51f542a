//! kill -9 at every system call of a round, of an outage and its re-arm, of arming at start, and of recovery.
//!
//! A dry run counts the calls of the one thread that does it; the sweep kills the process on the way into each of them. Behind
//! every death: the whole-log check, every token that the agent got is in the log, the next start opens, and a repeated
//! batch gets its answer again. That the fault hit is proved by how the process ended: nobody else kills it.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use rustix::process::{Pid, Signal, kill_process};

use super::load::{Load, copy_all};
use super::strace::{Injection, Tracer, before, counts, present};
use super::{STRIDE, attentive, places, show};
use crate::support::{Appliance, eventually};

/// The thread that writes.
const SEALER: &str = "sealer";

fn was_killed(status: ExitStatus) -> bool {
    status.signal() == Some(9)
}

fn told(appliance: &Appliance) -> PathBuf {
    appliance.folder.path().join("strace")
}

/// Behind a death: what is left verifies and holds every token; it starts again, and answers as it did.
fn recovers(appliance: &mut Appliance, load: &Load) {
    load.check_log_of(appliance);
    appliance.launch();
    load.check_answers_of(appliance);
}

/// Meets each place while `provoke` has the sealer do what is swept.
fn sweep(
    what: &str,
    appliance: &mut Appliance,
    mut load: Load,
    places: &[(String, usize)],
    provoke: impl Fn(&Appliance),
) {
    for (call, nth) in places {
        let injection = Injection::kill(call, *nth);
        let tracer = Tracer::attach(appliance.process(), SEALER, Some(&injection), &told(appliance));
        let status = eventually("the kill hits", || {
            provoke(appliance);
            appliance.has_ended()
        });
        drop(tracer);
        assert!(was_killed(status), "{what}: {call} {nth}: {status}");
        recovers(appliance, &load);
    }
    load.goes_on(1);
    println!(
        "{what}: {} kills, each hit; {} batches, {} tokens",
        places.len(),
        load.answered(),
        load.tokens()
    );
    load.rest();
    appliance.stop_and_verify_log();
}

#[test]
fn killed_at_any_call_of_a_round_nothing_is_lost() {
    if !present() {
        return;
    }
    let mut appliance = attentive();
    let load = Load::begin(&appliance);
    load.goes_on(1);
    let tracer = Tracer::attach(appliance.process(), SEALER, None, &told(&appliance));
    load.goes_on(2);
    let counts = tracer.detach();
    println!("two rounds and what follows them: {}", show(&counts));
    assert!(counts["fdatasync"] >= 4 && counts["pwrite64"] >= 8 && counts["rename"] >= 1, "{counts:?}");
    sweep("a round", &mut appliance, load, &places(&counts, 0, STRIDE), |_| {});
}

/// The signer's process; none while there is none.
fn signer(appliance: &Appliance) -> Option<Pid> {
    let process = appliance.status()?.counters.signer_process;
    i32::try_from(process).ok().and_then(Pid::from_raw)
}

/// Kills the signer where there is one and the boundary is open.
fn strike(appliance: &Appliance) {
    let open = appliance.status().is_some_and(|status| status.boundaries.token.open);
    if let Some(signer) = signer(appliance).filter(|_| open) {
        let _ = kill_process(signer, Signal::KILL);
    }
}

#[test]
fn killed_at_any_call_of_an_outage_and_its_rearm_nothing_is_lost() {
    if !present() {
        return;
    }
    let mut appliance = attentive();
    let load = Load::begin(&appliance);
    let epoch = appliance.wait_until_open().epoch;
    let tracer = Tracer::attach(appliance.process(), SEALER, None, &told(&appliance));
    strike(&appliance);
    eventually("it has closed and opened again", || {
        appliance.status().filter(|status| status.epoch > epoch && status.boundaries.token.open)
    });
    load.goes_on(1);
    let counts = tracer.detach();
    println!("an outage and its re-arm: {}", show(&counts));
    sweep("an outage", &mut appliance, load, &places(&counts, 1, STRIDE), strike);
}

/// Gives signatures a pace at which strace has the time to attach before the first arming ends.
fn slow_down(appliance: &Appliance) {
    let pace = appliance.folder.path().join("hsm/simulator/firmware-sim.toml");
    std::fs::write(pace, "latency = \"150ms\"\n").expect("the simulator's pace");
}

/// Starts it, and traces its sealer before the boundary opens. None where it was too late.
fn launch_traced(appliance: &mut Appliance, injection: Option<&Injection>) -> Option<Tracer> {
    appliance.launch_under(&[]);
    let tracer = Tracer::attach(appliance.process(), SEALER, injection, &told(appliance));
    let in_time = appliance.status().is_none_or(|status| !status.boundaries.token.open);
    in_time.then_some(tracer)
}

#[test]
fn killed_at_any_call_of_the_first_arming_it_starts_again() {
    if !present() {
        return;
    }
    let mut appliance = attentive();
    slow_down(&appliance);
    let mut load = Load::begin(&appliance);
    load.goes_on(1);
    let counts = eventually("strace is there in time", || {
        appliance.kill();
        let tracer = launch_traced(&mut appliance, None)?;
        appliance.wait_until_open();
        Some(tracer.detach())
    });
    println!("the first arming: {}", show(&counts));
    assert!(counts["fdatasync"] >= 2, "{counts:?}");
    let places = places(&counts, 2, STRIDE);
    for (call, nth) in &places {
        let status = eventually("strace is there in time", || {
            appliance.kill();
            let _tracer = launch_traced(&mut appliance, Some(&Injection::kill(call, *nth)))?;
            Some(appliance.ended())
        });
        assert!(was_killed(status), "{call} {nth}: {status}");
        load.check_log_of(&appliance);
    }
    appliance.launch();
    load.check_answers_of(&appliance);
    load.goes_on(1);
    println!("the first arming: {} kills, each hit; {} tokens", places.len(), load.tokens());
    load.rest();
    appliance.stop_and_verify_log();
}

fn told_to_stop(appliance: &Appliance) {
    let _ = kill_process(appliance.process(), Signal::TERM);
}

#[test]
fn killed_at_any_call_of_a_stop_it_starts_again() {
    if !present() {
        return;
    }
    let mut appliance = attentive();
    let mut load = Load::begin(&appliance);
    load.goes_on(1);
    let tracer = Tracer::attach(appliance.process(), SEALER, None, &told(&appliance));
    told_to_stop(&appliance);
    assert!(appliance.ended().success());
    let counts = tracer.detach();
    println!("a stop: {}", show(&counts));
    let places = places(&counts, 4, STRIDE);
    load.rest();
    for (call, nth) in &places {
        appliance.launch();
        let injection = Injection::kill(call, *nth);
        let _tracer = Tracer::attach(appliance.process(), SEALER, Some(&injection), &told(&appliance));
        told_to_stop(&appliance);
        let status = appliance.ended();
        // What a stop writes depends on what it finds to do; an end that is no kill is a good one.
        assert!(was_killed(status) || status.success(), "{call} {nth}: {status}");
        recovers(&mut appliance, &load);
        appliance.kill();
    }
    appliance.launch();
    println!("a stop: {} kills; {} tokens", places.len(), load.tokens());
    appliance.stop_and_verify_log();
}

/// What is left of an appliance that was killed in the middle of a commit, kept to be begun from again and again; with what
/// the HSM remembers of it.
fn left_in_a_commit(appliance: &mut Appliance, load: &mut Load) -> PathBuf {
    let injection = Injection::kill("fdatasync", 3);
    let _tracer = Tracer::attach(appliance.process(), SEALER, Some(&injection), &told(appliance));
    assert!(was_killed(appliance.ended()));
    load.rest();
    load.check_log_of(appliance);
    let kept = appliance.folder.path().join("kept");
    for name in ["data", "fence", "hsm"] {
        copy_all(&appliance.folder.path().join(name), &kept.join(name));
    }
    kept
}

fn put_back(appliance: &Appliance, kept: &Path) {
    for name in ["data", "fence", "hsm"] {
        let folder = appliance.folder.path().join(name);
        std::fs::remove_dir_all(&folder).expect("the folder goes");
        copy_all(&kept.join(name), &folder);
    }
}

/// How many calls the first thread makes from its start until it serves.
fn calls_of_a_start(appliance: &mut Appliance) -> BTreeMap<String, usize> {
    let told = told(appliance);
    appliance.launch_under(&before(None, &told));
    appliance.wait_until_open();
    let counts = counts(&std::fs::read_to_string(&told).expect("what strace tells"));
    appliance.kill();
    counts
}

#[test]
fn killed_at_any_call_of_recovery_it_recovers() {
    if !present() {
        return;
    }
    let mut appliance = attentive();
    let mut load = Load::begin(&appliance);
    load.goes_on(3);
    let kept = left_in_a_commit(&mut appliance, &mut load);
    let counts = calls_of_a_start(&mut appliance);
    println!("a start that recovers: {}", show(&counts));
    assert!(counts["pwrite64"] >= 1 && counts["fdatasync"] >= 1, "{counts:?}");
    let (places, told) = (places(&counts, 3, STRIDE), told(&appliance));
    let mut hits = 0;
    for (call, nth) in &places {
        put_back(&appliance, &kept);
        appliance.launch_under(&before(Some(&Injection::kill(call, *nth)), &told));
        // No two starts make the same calls to the last: one that makes fewer is open before the one that was to be its last.
        let ended = eventually("it is killed, or open", || {
            let is_open = appliance.status().is_some_and(|status| status.boundaries.token.open);
            appliance.has_ended().map(Some).or_else(|| is_open.then_some(None))
        });
        if let Some(status) = ended {
            assert!(was_killed(status), "{call} {nth}: {status}");
            hits += 1;
        }
        appliance.kill();
        recovers(&mut appliance, &load);
        appliance.kill();
    }
    appliance.launch();
    println!("recovery: {hits} kills at {} places; {} tokens", places.len(), load.tokens());
    assert!(hits * 4 >= places.len() * 3, "{hits} of {} were hit", places.len());
    appliance.stop_and_verify_log();
}
