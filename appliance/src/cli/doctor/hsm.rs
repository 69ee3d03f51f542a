//! The HSM: everything that the appliance needs of it, asked by a child of this process.
//!
//! The child is `assent hsm check`, without what it would write into the HSM: a module that falls or hangs takes nothing else
//! with it, and runs in the environment that the configuration gives it. The PIN is tried once, and not at all when it
//! cannot be read or one more wrong one would lock the slot.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};

use serde::Deserialize;

use super::Subject;
use super::findings::Findings;
use crate::cli::hsm::{PUBLIC_KEY, SIMULATOR};
use crate::cli::output::chain;
use crate::clock::Stopwatch;
use crate::config::Config;
use crate::hsm::FaultKind;
use crate::limits::HSM_COMMAND_DEADLINE;
use crate::log::hex::hex;
use crate::provision;

const LOOK: &str = "`assent hsm check`";

/// What the child says of one check.
#[derive(Deserialize)]
struct Told {
    check: String,
    fault: Option<String>,
    detail: String,
}

pub(super) fn examine(subject: &Subject<'_>, path: &Path, skip: bool, findings: &mut Findings) {
    let config = subject.config;
    if skip {
        return findings.ok("HSM", "left alone");
    }
    if let Err(error) = config.hsm.pin.read() {
        let found = format!("not asked, for there is no PIN: {error}");
        return findings.warn("HSM", found, "see to the PIN, then run this again");
    }
    findings.waits(Some("asking the HSM; the PIN is tried once"));
    match start(path) {
        Ok(child) => listen(child, config, findings),
        Err(error) => {
            findings.fail(
                "HSM",
                format!("the child that asks it cannot be started: {error}"),
                "`assent hsm check`",
            );
        }
    }
}

fn start(path: &Path) -> std::io::Result<Child> {
    let mut command = Command::new("/proc/self/exe");
    command.arg("--config").arg(path).args(["-o", "jsonl", "hsm", "check", "--only-look"]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()
}

/// Tells what the child says, until it ends or is late.
fn listen(mut child: Child, config: &Config, findings: &mut Findings) {
    let lines = read(&mut child);
    let began = Stopwatch::start();
    let mut told_any_fault = false;
    let mut simulator = false;
    // Twice: it waits that long for the module, and that long for the signer that it starts.
    let limit = HSM_COMMAND_DEADLINE * 2;
    let ended = loop {
        let Some(left) = began.left_of(limit) else { break false };
        match lines.recv_timeout(left) {
            Ok(line) => {
                let Ok(told) = serde_json::from_str::<Told>(&line) else { continue };
                told_any_fault |= told.fault.is_some();
                simulator |= told.check == SIMULATOR && told.detail.starts_with("it is one");
                tell(&told, config, simulator, findings);
                findings.waits(Some("asking the HSM"));
            }
            Err(std::sync::mpsc::RecvTimeoutError::Timeout) => break false,
            Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => break true,
        }
    };
    if !ended {
        let _ = child.kill();
    }
    let talk = child.stderr.take().map(|mut talk| {
        let mut text = String::new();
        let _ = talk.read_to_string(&mut text);
        text
    });
    let status = child.wait();
    if !ended {
        findings.fail("HSM", format!("no answer within {} s", limit.as_secs()), LOOK);
    } else if !told_any_fault && !status.is_ok_and(|status| status.success()) {
        let talk = talk.unwrap_or_default();
        let words: Vec<&str> = talk.lines().map(str::trim).collect();
        findings.fail("HSM", format!("the check fell: {}", words.join("; ")), LOOK);
    }
}

/// The child's lines, read by a thread of their own: a pipe has no deadline.
fn read(child: &mut Child) -> Receiver<String> {
    let (tell, told) = sync_channel(1);
    if let Some(out) = child.stdout.take() {
        let work =
            move || BufReader::new(out).lines().map_while(Result::ok).try_for_each(|line| tell.send(line));
        // Where there is no thread, nothing is told, and the check is found to have failed.
        let _ = std::thread::Builder::new().name("hsm-check".to_owned()).spawn(work);
    }
    told
}

fn tell(told: &Told, config: &Config, simulator: bool, findings: &mut Findings) {
    let Told { check, fault, detail } = told;
    let check = format!("HSM: {check}");
    if let Some(label) = fault {
        let kind = FaultKind::ALL.into_iter().find(|kind| kind.label() == label);
        let next = kind.map_or(LOOK, FaultKind::next_step);
        let found = detail.strip_suffix(next).and_then(|found| found.strip_suffix("; ")).unwrap_or(detail);
        return findings.fail(&check, found, next);
    }
    findings.ok(&check, if detail.is_empty() { "yes" } else { detail });
    match told.check.as_str() {
        SIMULATOR if !simulator && config.hsm.allow_simulator => {
            let found = "a simulator would be taken for this HSM";
            findings.warn("HSM: simulators", found, "take `allow_simulator` out of `[hsm]`");
        }
        SIMULATOR if !simulator => examine_serial(config, findings),
        PUBLIC_KEY => examine_key(detail, config, findings),
        _ => {}
    }
}

fn examine_serial(config: &Config, findings: &mut Findings) {
    match &config.hsm.slot_serial {
        Some(serial) => findings.ok("HSM: serial is pinned", serial.clone()),
        None => {
            let found = "another HSM with a slot of that label would be asked for the PIN";
            findings.warn("HSM: serial is pinned", found, "set `hsm.slot_serial` to what is found above");
        }
    }
}

/// Whether the HSM's key is the one that the log is signed with.
fn examine_key(public_key: &str, config: &Config, findings: &mut Findings) {
    const CHECK: &str = "HSM: key of this log";
    let Ok(ring) = provision::keyring(config) else { return };
    let signing = ring.signing();
    match signing.verifier_key() {
        Err(error) => findings.fail(CHECK, chain(&error), "restore the key ring from a backup"),
        Ok(key) if hex(key.key().as_bytes()) == public_key => findings.ok(CHECK, signing.vkey.clone()),
        Ok(key) => {
            let found =
                format!("the log is signed by {}, and the HSM has {public_key}", hex(key.key().as_bytes()));
            findings.fail(CHECK, found, FaultKind::KeyOther.next_step());
        }
    }
}
