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
  status [--json]         Show the faults that are set and those that were: what each struck, and when
  profile NAME            Sign at a device's pace from the next load on: yubihsm2 (114 ms, one at a time), network-hsm (2 ms,
                          eight at a time), or none; also written --profile NAME

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

A DURATION is a number and ms, s or m. Strikes, and with them --times, are counted over all processes that load the module; the
calls that a fault met, and with them --after and --probability, by each process for itself. Moments are microseconds of
CLOCK_MONOTONIC: when the faulty answer was about to be given; of hang and slow, when the call began to wait.";

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
    if let Some(first) = arguments.first_mut().filter(|first| *first == "--profile") {
        "profile".clone_into(first);
    }
    let answer = ask(&folder, &arguments.join(" ")).map_err(|error| chain(&error))?;
    match arguments.first().map(String::as_str) {
        Some("inject") => Ok(format!("fault {answer} is set")),
        Some("clear") => Ok(format!("cleared {answer}")),
        Some("profile") => Ok(format!("pace from the next load on: {answer}")),
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
    pace: String,
    faults: Vec<Fault>,
    history: Vec<Fault>,
}

#[derive(Deserialize)]
struct Fault {
    id: u64,
    fault: String,
    met: Option<u64>,
    struck: u64,
    first_struck_us: Option<u64>,
    last_struck_us: Option<u64>,
    cleared_us: Option<u64>,
}

fn table(answer: &str) -> Result<String, String> {
    let status: Status = serde_json::from_str(answer).map_err(|error| error.to_string())?;
    let mut lines = vec![status.process.map_or_else(
        || "the module is not loaded, or its process serves no socket".to_owned(),
        |process| format!("the module is loaded by process {process}"),
    )];
    lines.push(format!("pace of a process that loads it now: {}", status.pace));
    if status.faults.is_empty() {
        lines.push("no fault is set".to_owned());
    }
    if !status.faults.is_empty() || !status.history.is_empty() {
        let head = ["number", "met", "struck", "first us", "last us", "over us"];
        lines.push(format!("{}  fault", row(&head.map(str::to_owned))));
    }
    lines.extend(status.faults.iter().chain(&status.history).map(|fault| {
        let count = |count: Option<u64>| count.map_or_else(|| "-".to_owned(), |count| count.to_string());
        let Fault { first_struck_us, last_struck_us, cleared_us, .. } = *fault;
        let moments = [first_struck_us, last_struck_us, cleared_us].map(count);
        let [first, last, over] = moments;
        let fields = [fault.id.to_string(), count(fault.met), fault.struck.to_string(), first, last, over];
        format!("{}  {}", row(&fields), fault.fault)
    }));
    Ok(lines.join("\n"))
}

fn row([number, met, struck, first, last, over]: &[String; 6]) -> String {
    format!("{number:>6}  {met:>8}  {struck:>8}  {first:>14}  {last:>14}  {over:>14}")
}
