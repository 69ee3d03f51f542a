//! `init` and `dev` killed at every system call: the same command, run again, finishes what was begun.
//!
//! A founding that died half-way leaves nothing that a second run trips over, and nothing that it would take for whole. `dev`
//! makes everything that there is: configuration, certificates, bundle, agent, slot, key, log; so most places are its.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

use super::load::copy_all;
use super::strace::{Injection, before, counts, present};
use super::{LONG_STRIDE, places, show};
use crate::support::agent::{Agent, allowed};
use crate::support::{ASSENT, Appliance, Hsm, assent};

/// Runs a command of ours to its end, behind strace's words.
fn run(words: &[OsString], config: &Path, arguments: &[&str]) -> ExitStatus {
    let (program, before) = words.split_first().expect("strace");
    let mut command = Command::new(program);
    command.args(before).arg(ASSENT).arg("--config").arg(config).args(arguments);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().expect("assent runs")
}

/// How often the first thread makes each call.
fn counted(folder: &Path, config: &Path, arguments: &[&str], code: i32) -> BTreeMap<String, usize> {
    let told = folder.join("strace");
    let status = run(&before(None, &told), config, arguments);
    assert_eq!(status.code(), Some(code), "{arguments:?}");
    counts(&std::fs::read_to_string(&told).expect("what strace tells"))
}

/// Kills a command at each place, each on a copy of `template` of its own, and runs it again without strace.
fn sweep(
    what: &str,
    template: &Path,
    arguments: &[&str],
    (code, offset): (i32, usize),
    check: impl Fn(&Path),
) {
    let copy = || {
        let folder = tempfile::tempdir().expect("a folder");
        copy_all(template, folder.path());
        folder
    };
    let dry = copy();
    let counts = counted(dry.path(), &dry.path().join("assent.toml"), arguments, code);
    println!("{what}: {}", show(&counts));
    let places = places(&counts, offset, LONG_STRIDE);
    for (call, nth) in &places {
        let folder = copy();
        let config = folder.path().join("assent.toml");
        let words = before(Some(&Injection::kill(call, *nth)), &folder.path().join("strace"));
        let status = run(&words, &config, arguments);
        assert_eq!(status.signal(), Some(9), "{call} {nth}: {status}");
        let (again, _, talk) = assent(Some(&config), arguments);
        assert_eq!(again, code, "killed at {call} {nth}, run again: {talk}");
        check(&config);
    }
    println!("{what}: {} kills, each hit", places.len());
}

/// A folder with a configuration for the simulator, whose state stays beside it.
fn configured() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let simulator = folder.path().join("simulator");
    std::fs::create_dir(&simulator).expect("a folder");
    let text = format!(
        "[listen]\nquic = \"127.0.0.1:0\"\n[hsm]\nmodule = \"simulator\"\nallow_simulator = true\n\
         [hsm.environment]\nFIRMWARE_SIM_DIR = \"{}\"\n",
        simulator.display()
    );
    let template = folder.path().join("template");
    std::fs::create_dir_all(template.join("hsm")).expect("a folder");
    std::fs::write(template.join("hsm/pin"), "12345678\n").expect("a PIN");
    std::fs::write(template.join("hsm/so-pin"), "87654321\n").expect("a PIN");
    std::fs::write(template.join("assent.toml"), text).expect("a configuration");
    folder
}

fn is_done(config: &Path, arguments: &[&str]) {
    let (code, out, talk) = assent(Some(config), arguments);
    assert_eq!(code, 0, "{arguments:?}: {out}{talk}");
}

#[test]
fn init_that_dies_half_way_is_run_again() {
    if !present() {
        return;
    }
    let folder = configured();
    let template = folder.path().join("template");
    // The HSM shows no key yet, so what can be made is certificates and bundle.
    sweep("init before the key", &template, &["init", "--sample"], (4, 0), |config| {
        is_done(config, &["policy", "check", &config.with_file_name("bundle").display().to_string()]);
    });
    let config = template.join("assent.toml");
    let (so_pin, pin) = (template.join("hsm/so-pin"), template.join("hsm/pin"));
    let pins = [so_pin.display().to_string(), pin.display().to_string()];
    is_done(
        &config,
        &["hsm", "init", "--slot-label", "assent", "--so-pin-file", &pins[0], "--pin-file", &pins[1]],
    );
    is_done(&config, &["keys", "generate"]);
    sweep("init with the key", &template, &["init", "--sample"], (0, 1), |config| {
        is_done(config, &["log", "verify"]);
        is_done(config, &["policy", "check", &config.with_file_name("bundle").display().to_string()]);
    });
}

/// How many calls the first thread of `dev` makes until it serves.
fn calls_of_dev() -> BTreeMap<String, usize> {
    let mut appliance = Appliance::unfounded(Hsm::Simulator);
    let told = appliance.folder.path().join("strace");
    appliance.launch_dev_under(&before(None, &told));
    appliance.wait_until_open();
    counts(&std::fs::read_to_string(&told).expect("what strace tells"))
}

#[test]
fn dev_that_dies_half_way_is_run_again() {
    if !present() {
        return;
    }
    let counts = calls_of_dev();
    println!("dev: {}", show(&counts));
    let places = places(&counts, 2, LONG_STRIDE);
    let mut hits = 0;
    for (call, nth) in &places {
        let mut appliance = Appliance::unfounded(Hsm::Simulator);
        let told = appliance.folder.path().join("strace");
        appliance.launch_dev_under(&before(Some(&Injection::kill(call, *nth)), &told));
        // No two runs make the same calls to the last: one that makes fewer serves before the one that was to be its last.
        let ended = crate::support::eventually("it is killed, or serves", || {
            let is_open = appliance.status().is_some_and(|status| status.boundaries.token.open);
            appliance.has_ended().map(Some).or_else(|| is_open.then_some(None))
        });
        let Some(status) = ended else { continue };
        assert_eq!(status.signal(), Some(9), "{call} {nth}: {status}");
        hits += 1;
        appliance.launch_dev_under(&[]);
        let opened = crate::support::eventually("it serves, or has ended", || {
            let open = appliance.status().is_some_and(|status| status.boundaries.token.open);
            if open { Some(None) } else { appliance.has_ended().map(Some) }
        });
        assert!(opened.is_none(), "killed at {call} {nth}, run again: {opened:?}\n{}", appliance.traces());
        let agent = Agent::connect(&appliance);
        assert!(agent.preauthorize(&[allowed()]).all_allowed(), "killed at {call} {nth}");
        drop(agent);
        appliance.stop_and_verify_log();
    }
    println!("dev: {hits} kills at {} places", places.len());
    assert!(hits * 10 >= places.len() * 9, "{hits} of {} were hit", places.len());
}
