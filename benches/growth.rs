//! Growth: what a round, a restart and the memory cost when the log has ten million entries, beside what they cost at first.
//!
//! `cargo bench -p assent --bench growth` fills a log through agents, as they would, prints a table and one line of JSON, and
//! fails when a ceiling is passed. `GROWTH_ENTRIES` says how many entries. SoftHSM2 signs where it is installed, else the
//! simulator. The load generator shares the cores. It needs a kilobyte of disk an entry, in the folder for temporary files.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a benchmark that cannot go on stops"
)]

#[path = "../tests/end_to_end/support/mod.rs"]
mod support;

use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use appliance::clock::Stopwatch;
use assent_client::intent::Intent;
use rustix::process::Pid;
use support::agent::{Agent, allowed_batch};
use support::{Appliance, Hsm, softhsm};

/// Intents of the batches that fill the log, and of those that are timed.
const FILLING: usize = 4096;
const BATCH: usize = 1024;
/// Where the log counts as young.
const YOUNG: u64 = 100_000;
/// Rounds that are timed.
const ROUNDS: usize = 400;

const MAX_ROUND_RATIO: f64 = 1.2;
const MAX_GROWTH_MB: f64 = 50.0;
const MAX_START_S: f64 = 1.0;
const MAX_RECOVERY_S: f64 = 5.0;

fn main() -> ExitCode {
    // `cargo bench` says `--bench`; whoever runs all targets of a crate as tests does not, and has no minutes for this one.
    if !std::env::args().any(|argument| argument == "--bench") {
        return ExitCode::SUCCESS;
    }
    let entries = std::env::var("GROWTH_ENTRIES").ok().map(|text| text.parse().expect("a number"));
    if measure(entries.unwrap_or(10_000_000)) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What was measured at one size of the log.
struct Look {
    entries: u64,
    round: Duration,
    resident_mb: f64,
}

fn measure(target: u64) -> bool {
    let hsm = if softhsm::present() { Hsm::SoftHsm } else { Hsm::Simulator };
    let mut appliance = Appliance::start(hsm);
    let batch = allowed_batch(BATCH);
    fill_alone(&appliance, &batch);
    let young = look(&appliance, &batch);
    let watch = Stopwatch::start();
    fill(&appliance, target);
    let filled = watch.elapsed();
    let old = look(&appliance, &batch);

    assert!(appliance.stop(), "it stops");
    let after_stop = restart(&mut appliance);
    let after_kill = kill_and_restart(&mut appliance, &batch);
    let peak_mb = resident_mb(appliance.process(), "VmHWM:");
    let watch = Stopwatch::start();
    appliance.stop_and_verify_log();
    let verified = watch.elapsed();

    let round_ratio = old.round.as_secs_f64() / young.round.as_secs_f64();
    let growth_mb = old.resident_mb - young.resident_mb;
    let row = |name: &str, value: String, limit: String| println!("  {name:<58} {value:>12}   {limit}");
    println!("\n{hsm:?}, {target} entries, filled in {:.0} s", filled.as_secs_f64());
    for Look { entries, round, resident_mb } in [&young, &old] {
        row(
            &format!("a lone batch of {BATCH} at {entries} entries, median"),
            format!("{round:.2?}"),
            String::new(),
        );
        row(&format!("resident at {entries} entries"), format!("{resident_mb:.1} MB"), String::new());
    }
    row("round, old over young", format!("{round_ratio:.2}"), format!("(ceiling {MAX_ROUND_RATIO})"));
    row("resident, old less young", format!("{growth_mb:.1} MB"), format!("(ceiling {MAX_GROWTH_MB})"));
    row("start to open after a stop", format!("{after_stop:.2?}"), format!("(ceiling {MAX_START_S} s)"));
    row("start to open after kill -9", format!("{after_kill:.2?}"), format!("(ceiling {MAX_RECOVERY_S} s)"));
    row("most that was ever resident after it", format!("{peak_mb:.1} MB"), String::new());
    row("log verify, whole", format!("{verified:.2?}"), String::new());
    let json = serde_json::json!({
        "schema": "assent.v1.growth", "hsm": format!("{hsm:?}"), "entries": old.entries,
        "round_young_us": young.round.as_secs_f64() * 1e6, "round_old_us": old.round.as_secs_f64() * 1e6,
        "round_old_over_young": round_ratio, "resident_young_mb": young.resident_mb, "resident_old_mb": old.resident_mb,
        "start_after_stop_s": after_stop.as_secs_f64(), "start_after_kill_s": after_kill.as_secs_f64(),
        "verify_s": verified.as_secs_f64(),
    });
    println!("{json}");
    round_ratio <= MAX_ROUND_RATIO
        && growth_mb < MAX_GROWTH_MB
        && after_stop.as_secs_f64() <= MAX_START_S
        && after_kill.as_secs_f64() <= MAX_RECOVERY_S
}

fn entries(appliance: &Appliance) -> u64 {
    appliance.status().expect("it answers").counters.log_size
}

/// One agent asks until the log is as large as a young one is to be: no further, as two would go.
fn fill_alone(appliance: &Appliance, batch: &[Intent]) {
    let agent = Agent::connect(appliance);
    while entries(appliance) < YOUNG {
        let _ = agent.preauthorize(batch);
    }
}

/// Two agents ask until the log has so many entries.
fn fill(appliance: &Appliance, target: u64) {
    let intents = allowed_batch(FILLING);
    let full = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            let agent = Agent::connect(appliance);
            let (intents, full) = (&intents, &full);
            scope.spawn(move || {
                while !full.load(Ordering::Relaxed) {
                    let _ = agent.preauthorize(intents);
                }
            });
        }
        let mut told = 0;
        while entries(appliance) < target {
            std::thread::sleep(Duration::from_millis(20)); // WAIT: until the log is full, as long as it takes
            let here = entries(appliance) / 1_000_000;
            if here > told {
                told = here;
                eprintln!(
                    "{here} million entries, {:.0} MB resident",
                    resident_mb(appliance.process(), "VmRSS:")
                );
            }
        }
        full.store(true, Ordering::Relaxed);
    });
}

fn look(appliance: &Appliance, batch: &[Intent]) -> Look {
    let agent = Agent::connect(appliance);
    let mut times: Vec<Duration> = (0..ROUNDS)
        .map(|_| {
            let watch = Stopwatch::start();
            let _ = agent.preauthorize(batch);
            watch.elapsed()
        })
        .collect();
    times.sort_unstable();
    let round = times.get(times.len() / 2).copied().unwrap_or_default();
    Look { entries: entries(appliance), round, resident_mb: resident_mb(appliance.process(), "VmRSS:") }
}

fn restart(appliance: &mut Appliance) -> Duration {
    let watch = Stopwatch::start();
    appliance.launch();
    watch.elapsed()
}

/// kill -9 while rounds are on their way, and a start on what that leaves; the agent asks on.
fn kill_and_restart(appliance: &mut Appliance, batch: &[Intent]) -> Duration {
    let agent = Agent::connect(appliance);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let done = &done;
        scope.spawn(move || {
            while !done.load(Ordering::Relaxed) {
                let _ = agent.preauthorize(batch);
            }
        });
        let before = entries(appliance);
        support::eventually("rounds are on their way", || (entries(appliance) > before + 8192).then_some(()));
        appliance.kill();
        let took = restart(appliance);
        done.store(true, Ordering::Relaxed);
        took
    })
}

/// Megabytes that the process has in memory, by this line of the kernel's account.
fn resident_mb(process: Pid, line: &str) -> f64 {
    let path = format!("/proc/{}/status", process.as_raw_nonzero());
    let text = std::fs::read_to_string(path).expect("the kernel's account");
    let kilobytes =
        text.lines().find_map(|told| told.strip_prefix(line)?.split_whitespace().next()?.parse().ok());
    kilobytes.unwrap_or(0.0_f64) * 1024.0 / 1e6
}
