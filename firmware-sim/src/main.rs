//! The command `firmware-sim`: sets, clears and shows the simulator's faults.
//!
//! It sends what it is told to the process that has loaded the module, or edits the folder when there is none. It decides nothing.

use std::path::PathBuf;
use std::process::ExitCode;

use firmware_sim::ENV_DIR;
use firmware_sim::faults::control::ask;
use serde::Deserialize;

const HELP: &str = "\
Breaks the HSM simulator on purpose.

Usage: firmware-sim [--dir DIR] COMMAND

Commands:
  inject FAULT [OPTIONS]  Set a fault; prints its number
  clear [NUMBER]          Clear one fault, or all of them
  status [--json]         Show the faults that are set

The folder is DIR, or what FIRMWARE_SIM_DIR names.

Faults:
  remove              The device is gone: sessions end, calls answer DEVICE_REMOVED
  absent              No slot is listed
  reboot              All sessions end, once
  logout              The login is lost, once
  hang sign|all|NAME  The calls do not return until the fault is cleared or its time is up; then they do what they should
  slow DURATION       C_Sign takes that much longer
  busy                C_Sign answers FUNCTION_FAILED and DEVICE_MEMORY in turn, C_OpenSession SESSION_COUNT
  corrupt             C_Sign succeeds with one bit flipped
  zero                C_Sign succeeds with zeros
  wrong-key           C_Sign succeeds with a signature of another key
  wrong-message       C_Sign succeeds with a signature over another message
  wipe                The objects are gone
  pin-locked          C_Login answers PIN_LOCKED
  poison              C_SignInit answers OPERATION_ACTIVE, for ever in the session in which it does so first
  segfault, abort     The process dies in C_Sign, once
  self-test           Calls that need the device answer FIPS_SELF_TEST_FAILED
  rv CODE             C_Sign answers CODE, such as 0x80000384

Options of a fault:
  --call NAME         Meet this call instead of the usual ones: sign, all, or a PKCS#11 function; may be repeated
  --after N           Let N calls pass first
  --times N|always    Strike N times, then be gone
  --probability P     Strike each call with probability P
  --seed N            Strike the same calls each time
  --for DURATION      Be gone after that time, counted from the first call that it meets

A DURATION is a number and ms, s or m. Counts are those of each process that has loaded the module.";

fn main() -> ExitCode {
    match run(std::env::args().skip(1).collect()) {
        Ok(text) => {
            println!("{text}");
            ExitCode::SUCCESS
        }
        Err(reason) => {
            eprintln!("firmware-sim: {reason}");
            ExitCode::FAILURE
        }
    }
}

fn run(mut arguments: Vec<String>) -> Result<String, String> {
    if arguments.is_empty() || arguments.iter().any(|argument| argument == "--help" || argument == "-h") {
        return Ok(HELP.to_owned());
    }
    let folder = match arguments.iter().position(|argument| argument == "--dir") {
        Some(at) => {
            let named: Vec<String> = arguments.drain(at..arguments.len().min(at.saturating_add(2))).collect();
            named.get(1).map(PathBuf::from)
        }
        None => std::env::var_os(ENV_DIR).map(PathBuf::from),
    };
    let folder = folder.ok_or("which simulator? name its folder with --dir or FIRMWARE_SIM_DIR")?;
    let json =
        arguments.iter().position(|argument| argument == "--json").map(|at| arguments.remove(at)).is_some();
    let answer = ask(&folder, &arguments.join(" ")).map_err(|error| chain(&error))?;
    match arguments.first().map(String::as_str) {
        Some("inject") => Ok(format!("fault {answer} is set")),
        Some("clear") => Ok(format!("cleared {answer}")),
        _ if json => Ok(answer),
        _ => table(&answer),
    }
}

/// An error and what is behind it.
fn chain(error: &dyn std::error::Error) -> String {
    let behind = std::iter::successors(error.source(), |error| error.source());
    behind.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

#[derive(Deserialize)]
struct Status {
    process: Option<u32>,
    faults: Vec<Fault>,
}

#[derive(Deserialize)]
struct Fault {
    id: u64,
    fault: String,
    met: Option<u64>,
    struck: Option<u64>,
}

fn table(answer: &str) -> Result<String, String> {
    let status: Status = serde_json::from_str(answer).map_err(|error| error.to_string())?;
    let mut lines = vec![status.process.map_or_else(
        || "the module is not loaded, or its process serves no socket".to_owned(),
        |process| format!("the module is loaded by process {process}"),
    )];
    if status.faults.is_empty() {
        lines.push("no fault is set".to_owned());
    } else {
        lines.push(format!("{:>6}  {:>8}  {:>8}  fault", "number", "met", "struck"));
    }
    let count = |count: Option<u64>| count.map_or_else(|| "-".to_owned(), |count| count.to_string());
    lines.extend(status.faults.iter().map(|fault| {
        format!("{:>6}  {:>8}  {:>8}  {}", fault.id, count(fault.met), count(fault.struck), fault.fault)
    }));
    Ok(lines.join("\n"))
}
