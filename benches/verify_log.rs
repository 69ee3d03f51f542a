//! How many entries a second `assent log verify` verifies on one core: `cargo bench -p assent --bench verify_log`.
//!
//! A synthetic log, signed by a software key, is verified alone and with what lies beside its leaves; the time is the
//! processors' own, so that it counts every thread and not what else the machine does. `ENTRIES=10000000` makes it longer.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    reason = "a benchmark ends where something is wrong"
)]

#[path = "../appliance/log/tests/verification/synthetic.rs"]
mod synthetic;

use std::process::ExitCode;
use std::time::Duration;

use appliance::clock::Stopwatch;
use appliance::log::reader::Reader;
use appliance::log::store::StoreError;
use appliance::log::verification::Verification;
use assent_proto::number::LeafIndex;
use rustix::time::{ClockId, clock_gettime};
use synthetic::{ORIGIN, Synthetic};

/// What one core must verify a second where rounds are long, without what lies beside the leaves.
const MIN_A_SECOND: f64 = 1_000_000.0;

fn main() -> ExitCode {
    // `cargo bench` says `--bench`; whoever runs all targets of a crate as tests does not, and has no minutes for this one.
    if !std::env::args().any(|argument| argument == "--bench") {
        return ExitCode::SUCCESS;
    }
    let entries: usize = std::env::var("ENTRIES").map_or(1_000_000, |text| text.parse().expect("a number"));
    println!(
        "{:>9} {:>9} {:>8} {:>7}  {:>14} {:>12}",
        "entries", "in rounds", "threads", "beside", "a second a core", "a second"
    );
    let mut best = 0.0_f64;
    for (batches, intents) in [(16, 256), (4, 64), (1, 16)] {
        let per_round = batches * intents;
        // Small rounds cost a signature each: fewer of them show the same.
        let rounds = (entries / per_round).min(4000);
        let mut log = Synthetic::started();
        for _ in 0..rounds {
            let batches: Vec<_> = (0..batches).map(|_| log.decide(intents, 10)).collect();
            log.seal(&batches, true);
        }
        for (threads, beside) in [(1, false), (1, true), (2, false), (2, true)] {
            best = best.max(measure(&mut log, per_round, threads, beside));
        }
    }
    println!("the best {best:.0} a second a core (floor {MIN_A_SECOND:.0})");
    if best >= MIN_A_SECOND { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn measure(log: &mut Synthetic, per_round: usize, threads: usize, beside: bool) -> f64 {
    log.close();
    let (store, trusted) = (open(log), [log.trusted()]);
    let verification = Verification::new(ORIGIN, &trusted).on(threads);
    let verification = if beside { verification.beside(&store) } else { verification };
    let (began, cpu) = (Stopwatch::start(), cpu_s());
    let report =
        verification.run(store.rounds(LeafIndex(0)).expect("rounds"), |_| ()).expect("it can be read");
    let (wall, cpu) = (began.elapsed().as_secs_f64(), cpu_s() - cpu);
    assert!(report.verified(), "{:?}", report.findings);
    let (entries, beside) = (report.entries as f64, if beside { "too" } else { "not" });
    println!(
        "{entries:>9} {per_round:>9} {threads:>8} {beside:>7}  {:>14.0} {:>12.0}",
        entries / cpu,
        entries / wall
    );
    entries / cpu
}

/// The log, once the thread that bound its last volume has let go of it.
fn open(log: &Synthetic) -> Reader {
    loop {
        match Reader::open(&log.path()) {
            Err(StoreError::Busy) => std::thread::sleep(Duration::from_millis(10)), // WAIT: a volume, a second at most
            opened => return opened.expect("the log opens"),
        }
    }
}

/// Processor time of this process, in seconds.
fn cpu_s() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}
