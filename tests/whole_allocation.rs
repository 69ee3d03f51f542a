//! What a whole appliance allocates for an intent: its own threads and all that it stands on, QUIC, TLS and the store.
//!
//! This program is the appliance under an allocator that counts, where it is told to serve or to sign, and otherwise the test
//! that starts it so and asks it for batches. What a round costs once, however large it is, is told and not bounded: what
//! is bounded is what each intent adds. So the same work is measured with small batches and with large ones.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test, which its own main makes look like a product"
)]

use std::ffi::OsString;
use std::io::{Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use assent_client::Outcome;

use crate::counting::of_all_threads;
use crate::support::agent::{Agent, allowed_batch};
use crate::support::{Appliance, Hsm};

mod counting;
#[path = "end_to_end/support/mod.rs"]
mod support;

/// The test, as runners know it.
const TEST: &str = "each_intent_of_a_batch_adds_at_most_a_tenth_of_an_allocation";
/// Intents of a small and of a large batch.
const SIZES: [usize; 2] = [1024, 4096];
/// Batches of each size that are asked before they count, and that count: volumes are bound all the while.
const BATCHES: [usize; 2] = [32, 128];

fn main() -> ExitCode {
    let words: Vec<OsString> = std::env::args_os().skip(1).collect();
    match words.first().and_then(|word| word.to_str()) {
        Some("signer") => appliance::cli::main(),
        Some("--config") => {
            let config = words.get(1).expect("a configuration");
            tell_count(&counter_of(Path::new(config)));
            appliance::cli::main()
        }
        _ => run(&words),
    }
}

/// What a test's runner expects of a program that has one test.
fn run(words: &[OsString]) -> ExitCode {
    let has = |wanted: &str| words.iter().any(|word| word == wanted);
    let names: Vec<&str> =
        words.iter().filter_map(|word| word.to_str()).filter(|word| !word.starts_with('-')).collect();
    let mut out = std::io::stdout().lock();
    if has("--list") {
        if !has("--ignored") {
            writeln!(out, "{TEST}: test").expect("it is read");
        }
    } else if names.is_empty() || names.iter().any(|name| TEST.contains(name)) {
        drop(out);
        measure();
        println!("1 passed, 0 failed");
    }
    ExitCode::SUCCESS
}

/// Where the appliance with this configuration tells its count.
fn counter_of(config: &Path) -> PathBuf {
    config.with_file_name("allocations")
}

/// Tells the count to whoever connects.
fn tell_count(path: &Path) {
    let _ = std::fs::remove_file(path);
    let listener = UnixListener::bind(path).expect("a socket");
    let tell = move || {
        for stream in listener.incoming() {
            let count = of_all_threads();
            let _ = stream.expect("a connection").write_all(count.to_string().as_bytes());
        }
    };
    std::thread::Builder::new().name("count".to_owned()).spawn(tell).expect("a thread");
}

fn count_of(appliance: &Appliance) -> u64 {
    let mut stream = UnixStream::connect(counter_of(&appliance.config())).expect("it counts");
    let mut count = String::new();
    stream.read_to_string(&mut count).expect("a count");
    count.parse().expect("a number")
}

fn measure() {
    // `dev` provisions it; then it serves under the allocator that counts.
    let mut appliance = Appliance::start(Hsm::Simulator);
    assert!(appliance.stop(), "it stops");
    appliance.program = std::env::current_exe().expect("this program").into();
    appliance.launch();
    let agent = Agent::connect(&appliance);
    let [small, large] = SIZES.map(|intents| {
        let batch = allowed_batch(intents);
        let ask = |count| {
            (0..count).for_each(|_| {
                assert_eq!(
                    agent
                        .preauthorize(&batch)
                        .iter()
                        .filter(|outcome| matches!(outcome, Outcome::Allowed(_)))
                        .count(),
                    intents
                )
            })
        };
        let [before, counted] = BATCHES;
        ask(before);
        let began = count_of(&appliance);
        ask(counted);
        let each = (count_of(&appliance) - began) as f64 / counted as f64;
        println!(
            "a batch of {intents} alone in its round: {each:.0} allocations, {:.3} an intent",
            each / intents as f64
        );
        each
    });
    let added = (large - small) / (SIZES[1] - SIZES[0]) as f64;
    println!("each intent adds {added:.3} allocations");
    assert!(small > 100.0, "it counts: {small}");
    assert!(added <= 0.1, "each intent adds {added:.3} allocations");
    drop(agent);
    appliance.stop_and_verify_log();
}
