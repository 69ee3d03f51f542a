//! The main job end to end, beside what it stands on: the module's raw `C_Sign` and a raw commit, in one run.
//!
//! `cargo bench -p assent --bench floors` prints a table, then one line of JSON, and fails when a floor is missed. SoftHSM2
//! signs where it is installed, else the simulator, and the table says which. The load generator shares the cores.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a benchmark that cannot go on stops"
)]

#[path = "../tests/end_to_end/support/mod.rs"]
mod support;

use std::hint::black_box;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Duration;

use appliance::clock::Stopwatch;
use assent_client::outcome::Outcome;
use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::mechanism::Mechanism;
use cryptoki::mechanism::eddsa::{EddsaParams, EddsaSignatureScheme};
use cryptoki::object::{Attribute, ObjectClass};
use cryptoki::session::UserType;
use cryptoki::types::AuthPin;
use support::agent::{Agent, allowed_batch};
use support::{Appliance, Hsm, softhsm};

/// Intents of a batch.
const BATCH: usize = 1024;
/// Agents that ask at once; of an HSM with the pace of a real one, as many as fill its round.
const AGENTS: usize = 2;
const PATIENT_AGENTS: usize = 32;
/// Signatures that are made for the rate of a module, and of one with the pace of a real device.
const SIGNATURES: usize = 8000;
const PACED_SIGNATURES: usize = 40;
/// How long each rate is measured.
const SPAN: Duration = Duration::from_secs(4);
/// Lone intents, one after the other.
const LONE: usize = 1500;
/// Tokens a second that one signature in 114 ms must carry at least.
const PACED_FLOOR: u32 = 50_000;
/// A checkpoint's text has about this many bytes.
const TEXT: [u8; 90] = [b'x'; 90];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, verb, module, label, pin, count] = arguments.as_slice()
        && verb == "raw-sign"
    {
        raw_sign(Path::new(module), label, Path::new(pin), count.parse().expect("a number"));
        return ExitCode::SUCCESS;
    }
    // `cargo test` runs benches once, to see that they do; this one measures only when asked to.
    if !arguments.iter().any(|argument| argument == "--bench") {
        return ExitCode::SUCCESS;
    }
    if measure() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// A rate and the middle one of its times.
struct Rate {
    a_second: f64,
    p50_us: f64,
}

fn rate(mut times: Vec<Duration>) -> Rate {
    times.sort_unstable();
    let total: Duration = times.iter().sum();
    let p50 = times.get(times.len() / 2).copied().unwrap_or_default();
    Rate { a_second: times.len() as f64 / total.as_secs_f64(), p50_us: p50.as_secs_f64() * 1e6 }
}

fn timed(count: usize, mut work: impl FnMut()) -> Rate {
    let time = |_| {
        let watch = Stopwatch::start();
        work();
        watch.elapsed()
    };
    rate((0..count).map(time).collect())
}

fn measure() -> bool {
    let hsm = if softhsm::present() { Hsm::SoftHsm } else { Hsm::Simulator };
    let mut appliance = Appliance::start(hsm);
    let raw = raw_sign_in_a_child(&appliance, hsm, SIGNATURES);
    let commit = commit_one_blob();
    let tokens_a_second = batches(&appliance, AGENTS);
    let lone = lone(&appliance);
    appliance.stop_and_verify_log();
    let paced = ["yubihsm2", "network-hsm"].map(paced);

    let batch_over_raw = tokens_a_second / raw.a_second;
    let lone_over_parts = lone.p50_us / (raw.p50_us + commit.p50_us);
    println!(
        "\n{hsm:?}, {} cores shared with the load generator",
        std::thread::available_parallelism().map_or(0, usize::from)
    );
    println!(
        "  {:<44} {:>10.0} a second, p50 {:>6.0} us",
        "raw C_Sign, one thread", raw.a_second, raw.p50_us
    );
    println!(
        "  {:<44} {:>10.0} a second, p50 {:>6.0} us",
        "raw redb two-phase commit, one blob", commit.a_second, commit.p50_us
    );
    println!(
        "  {:<44} {:>10.0} tokens a second",
        format!("batches of {BATCH}, {AGENTS} agents"),
        tokens_a_second
    );
    println!(
        "  {:<44} {:>10.0} a second, p50 {:>6.0} us",
        "lone intents, one agent", lone.a_second, lone.p50_us
    );
    for (pace, raw, tokens) in &paced {
        let name = format!("simulator at the pace of {pace}");
        println!("  {name:<44} {raw:>10.1} C_Sign and {tokens:.0} tokens a second, {PATIENT_AGENTS} agents");
    }
    let [(_, _, at_114_ms), (_, _, at_2_ms)] = paced;
    println!("  {:<44} {at_114_ms:>10.0}   (floor {PACED_FLOOR})", "tokens a second at 114 ms a signature");
    println!("  {:<44} {batch_over_raw:>10.1}   (floor 20)", "tokens over raw C_Sign");
    println!("  {:<44} {lone_over_parts:>10.2}   (ceiling 3)", "lone p50 over raw C_Sign and commit p50");
    let json = serde_json::json!({
        "schema": "assent.v1.floors", "hsm": format!("{hsm:?}"),
        "raw_sign_a_second": raw.a_second, "raw_sign_p50_us": raw.p50_us, "commit_p50_us": commit.p50_us,
        "batch_1024_tokens_a_second": tokens_a_second, "lone_p50_us": lone.p50_us,
        "batch_1024_over_raw_sign": batch_over_raw, "lone_p50_over_parts": lone_over_parts,
        "tokens_per_second_at_114_ms": at_114_ms, "tokens_per_second_at_2_ms": at_2_ms,
    });
    println!("{json}");
    batch_over_raw >= 20.0 && lone_over_parts < 3.0 && at_114_ms >= f64::from(PACED_FLOOR)
}

/// The simulator at the pace of a real device: its raw signatures a second, and our tokens a second.
fn paced(pace: &'static str) -> (&'static str, f64, f64) {
    let mut appliance = Appliance::start(Hsm::Simulator);
    assert!(appliance.stop(), "it stops");
    let settings = appliance.folder.path().join("hsm/simulator/firmware-sim.toml");
    std::fs::write(settings, format!("profile = \"{pace}\"\n")).expect("the pace is set");
    let raw = raw_sign_in_a_child(&appliance, Hsm::Simulator, PACED_SIGNATURES);
    appliance.launch();
    let tokens_a_second = batches(&appliance, PATIENT_AGENTS);
    appliance.stop_and_verify_log();
    (pace, raw.a_second, tokens_a_second)
}

/// A module reads its environment through the C library, so it is loaded by a process of its own.
fn raw_sign_in_a_child(appliance: &Appliance, hsm: Hsm, signatures: usize) -> Rate {
    let folder = appliance.folder.path();
    let mut child = Command::new(std::env::current_exe().expect("this program"));
    match hsm {
        Hsm::SoftHsm => child.env("SOFTHSM2_CONF", folder.join("hsm/softhsm2.conf")),
        Hsm::Simulator => child.env("FIRMWARE_SIM_DIR", folder.join("hsm/simulator")),
    };
    let (module, label) = match hsm {
        Hsm::SoftHsm => (softhsm::MODULE.into(), "assent-test"),
        Hsm::Simulator => (appliance::provision::simulator().expect("the simulator"), "assent-dev"),
    };
    child.arg("raw-sign").arg(module).arg(label).arg(folder.join("hsm/pin")).arg(signatures.to_string());
    let output = child.output().expect("a child");
    let text = String::from_utf8_lossy(&output.stdout);
    let mut numbers = text.split_whitespace().filter_map(|number| number.parse().ok());
    let (Some(a_second), Some(p50_us)) = (numbers.next(), numbers.next()) else {
        panic!("raw C_Sign failed: {}", String::from_utf8_lossy(&output.stderr));
    };
    Rate { a_second, p50_us }
}

fn raw_sign(module: &Path, label: &str, pin: &Path, signatures: usize) {
    let pkcs11 = Pkcs11::new(module).expect("a module");
    pkcs11.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)).expect("initialised");
    let slots = pkcs11.get_slots_with_initialized_token().expect("slots");
    let ours =
        |slot: &cryptoki::slot::Slot| pkcs11.get_token_info(*slot).is_ok_and(|info| info.label() == label);
    let session = pkcs11.open_ro_session(slots.into_iter().find(ours).expect("the slot")).expect("a session");
    let pin = std::fs::read_to_string(pin).expect("the PIN");
    session.login(UserType::User, Some(&AuthPin::new(pin.trim().into()))).expect("logged in");
    let keys = session.find_objects(&[Attribute::Class(ObjectClass::PRIVATE_KEY)]).expect("objects");
    let mechanism = Mechanism::Eddsa(EddsaParams::new(EddsaSignatureScheme::Pure));
    let rate = timed(signatures, || {
        black_box(session.sign(&mechanism, keys[0], &TEXT).expect("a signature"));
    });
    println!("{} {}", rate.a_second, rate.p50_us);
}

/// What making one entry durable costs at least.
fn commit_one_blob() -> Rate {
    const TABLE: redb::TableDefinition<'_, u64, &[u8]> = redb::TableDefinition::new("rounds");
    let folder = tempfile::tempdir().expect("a folder");
    let database = redb::Database::create(folder.path().join("bench.redb")).expect("a database");
    let mut round = 0;
    timed(1000, || {
        let mut write = database.begin_write().expect("a transaction");
        write.set_two_phase_commit(true);
        write.open_table(TABLE).expect("a table").insert(round, [7; 512].as_slice()).expect("a row");
        write.commit().expect("durable");
        round += 1;
    })
}

/// Tokens a second that agents hold in their hands, derived and verified.
fn batches(appliance: &Appliance, agents: usize) -> f64 {
    let intents = allowed_batch(BATCH);
    let agents: Vec<Agent> = (0..agents).map(|_| Agent::connect(appliance)).collect();
    let watch = Stopwatch::start();
    let tokens: usize = std::thread::scope(|scope| {
        let (intents, watch) = (&intents, &watch);
        let run = move |agent: Agent| {
            let mut tokens = 0;
            while watch.elapsed() < SPAN {
                let outcomes = agent.preauthorize(intents);
                tokens += outcomes
                    .iter()
                    .filter(|outcome| matches!(outcome, Outcome::Allowed(token) if !token.bytes().is_empty()))
                    .count();
            }
            tokens
        };
        let threads: Vec<_> = agents.into_iter().map(|agent| scope.spawn(move || run(agent))).collect();
        threads.into_iter().map(|thread| thread.join().expect("an agent")).sum()
    });
    tokens as f64 / watch.elapsed().as_secs_f64()
}

fn lone(appliance: &Appliance) -> Rate {
    let agent = Agent::connect(appliance);
    let intent = support::agent::allowed();
    timed(LONE, || {
        let outcomes = agent.preauthorize(std::slice::from_ref(&intent));
        assert!(matches!(outcomes.iter().next(), Some(Outcome::Allowed(_))));
    })
}
