//! The queue at its size: how fast it drains, what it costs fresh intents meanwhile, and how much memory it takes.
//!
//! `cargo bench -p assent --bench queue` prints a table, then one line of JSON, and fails when a floor is missed. SoftHSM2
//! signs; its slot is moved away for the outage. The load generator shares the cores.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a benchmark that cannot go on stops"
)]

#[path = "../tests/end_to_end/support/mod.rs"]
mod support;

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use appliance::clock::Stopwatch;
use assent_client::{Intent, OnUnavailable, Outcome, Priority};
use support::agent::{Agent, allowed_batch};
use support::{Appliance, Hsm, eventually, softhsm};

/// Intents that wait.
const QUEUED: usize = 100_000;
/// Intents of a batch.
const BATCH: usize = 1024;
/// Lone intents while nothing else happens.
const LONE: usize = 2000;
/// The drain must decide so many a second.
const DRAIN_FLOOR: f64 = 50_000.0;
/// A fresh intent's p99 may be so many times the idle one.
const P99_CEILING: f64 = 3.0;

fn main() -> ExitCode {
    // `cargo bench` says `--bench`; whoever runs all targets of a crate as tests does not, and has no minutes for this one.
    if !std::env::args().any(|argument| argument == "--bench") || !softhsm::present() {
        return ExitCode::SUCCESS;
    }
    if measure() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// An intent of the sample that may wait, at one of three priorities.
fn waiting(number: usize) -> Intent {
    let priority = [Priority::Low, Priority::Normal, Priority::High].get(number / BATCH % 3).copied();
    let cancels = |intent: &Intent| intent.action.id == "cancel_pending_order";
    let intent = allowed_batch(1500).into_iter().find(cancels).expect("one of the sample");
    Intent { priority, on_unavailable: OnUnavailable::Queue, ..intent }
}

fn resident_kb(appliance: &Appliance, field: &str) -> u64 {
    let path = format!("/proc/{}/status", appliance.process().as_raw_nonzero());
    let text = std::fs::read_to_string(path).expect("it runs");
    let line = text.lines().find(|line| line.starts_with(field)).expect("a field");
    line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).expect("a number")
}

fn lone(agent: &Agent, intent: &Intent) -> Duration {
    let watch = Stopwatch::start();
    let outcomes = agent.runtime.block_on(agent.client.preauthorize(std::slice::from_ref(intent)));
    let outcomes = outcomes.expect("an answer");
    assert!(matches!(outcomes.at(0), Some(Outcome::Allowed(_))), "{:?}", outcomes.at(0));
    watch.elapsed()
}

fn p99(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() * 99 / 100).copied().unwrap_or_default()
}

fn move_slot(folder: &Path, from: &str, to: &str) {
    std::fs::rename(folder.join("hsm").join(from), folder.join("hsm").join(to)).expect("a folder");
}

fn measure() -> bool {
    let mut appliance = Appliance::unfounded(Hsm::SoftHsm);
    let config = std::fs::read_to_string(appliance.config()).expect("the configuration");
    let queue = format!(
        "{config}[queue]\nintents_max = {QUEUED}\nprincipal_intents_max = {QUEUED}\nprincipal_bytes_max = \"64MiB\"\n"
    );
    std::fs::write(appliance.config(), queue).expect("a configuration");
    appliance.launch();
    let agent = Agent::connect(&appliance);
    let fresh = Intent { on_unavailable: OnUnavailable::Fail, ..waiting(0) };
    for _ in 0..200 {
        lone(&agent, &fresh);
    }
    let idle = p99((0..LONE).map(|_| lone(&agent, &fresh)).collect());
    let before = resident_kb(&appliance, "VmRSS");

    move_slot(appliance.folder.path(), "tokens", "away");
    eventually("the boundary closes", || appliance.status().filter(|status| !status.boundaries.token.open));
    let watch = Stopwatch::start();
    let mut queued = 0;
    while queued < QUEUED {
        let count = BATCH.min(QUEUED - queued);
        let intents = vec![waiting(queued); count];
        let outcomes = agent.runtime.block_on(agent.client.preauthorize(&intents)).expect("an answer");
        assert!(outcomes.iter().all(|outcome| matches!(outcome, Outcome::Queued(_))), "{:?}", outcomes.at(0));
        queued += count;
    }
    let queueing = QUEUED as f64 / watch.elapsed().as_secs_f64();
    let with_queue = resident_kb(&appliance, "VmRSS");

    move_slot(appliance.folder.path(), "away", "tokens");
    appliance.wait_until_open();
    let watch = Stopwatch::start();
    let mut during = Vec::new();
    let left = || appliance.status().expect("it answers").queue.queued.iter().sum::<u64>();
    let at_start = left();
    while left() > 0 {
        for _ in 0..20 {
            during.push(lone(&agent, &fresh));
        }
    }
    let drained = at_start as f64 / watch.elapsed().as_secs_f64();
    let (count, busy) = (during.len(), p99(during));
    let ratio = busy.as_secs_f64() / idle.as_secs_f64();
    let most = resident_kb(&appliance, "VmHWM");
    appliance.stop_and_verify_log();

    let figures = Figures { queueing, drained, at_start, idle, busy, count, ratio, before, with_queue, most };
    figures.print();
    drained >= DRAIN_FLOOR && ratio <= P99_CEILING
}

/// What was measured.
struct Figures {
    queueing: f64,
    drained: f64,
    at_start: u64,
    idle: Duration,
    busy: Duration,
    count: usize,
    ratio: f64,
    before: u64,
    with_queue: u64,
    most: u64,
}

impl Figures {
    fn print(self) {
        let Self { queueing, drained, at_start, idle, busy, count, ratio, before, with_queue, most } = self;
        let megabytes = |kilobytes: u64| kilobytes as f64 * 1024.0 / 1e6;
        println!(
            "\nSoftHSM2, {QUEUED} intents queued at three priorities, fresh lone intents beside the drain"
        );
        println!("  {:<52} {queueing:>10.0} a second", "queued, durably, in batches of 1,024");
        println!(
            "  {:<52} {drained:>10.0} a second (floor {DRAIN_FLOOR:.0}), of {at_start} at the first look",
            "drained"
        );
        println!("  {:<52} {:>10.2} ms", "fresh intents, idle, p99", idle.as_secs_f64() * 1e3);
        println!(
            "  {:<52} {:>10.2} ms: {ratio:.2} times (ceiling {P99_CEILING}), of {count}",
            "fresh intents, beside the drain, p99",
            busy.as_secs_f64() * 1e3
        );
        println!(
            "  {:<52} {:>10.1} MB before, {:.1} MB with the queue, {:.1} MB at most",
            "resident memory",
            megabytes(before),
            megabytes(with_queue),
            megabytes(most)
        );
        println!(
            "{{\"schema\":\"assent.v1.bench.queue\",\"queued_per_second\":{queueing:.0},\"drained_per_second\":{drained:.0},\"idle_p99_ms\":{:.3},\"drain_p99_ms\":{:.3},\"p99_ratio\":{ratio:.2},\"resident_before_mb\":{:.1},\"resident_queue_mb\":{:.1},\"resident_most_mb\":{:.1}}}",
            idle.as_secs_f64() * 1e3,
            busy.as_secs_f64() * 1e3,
            megabytes(before),
            megabytes(with_queue),
            megabytes(most)
        );
    }
}
