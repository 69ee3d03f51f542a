//! `assent bench` as people call it: found beside the program, passed on word by word, and measuring from end to end.
//!
//! What it measures here is of no worth, since other tests run beside it; that it measures, and what it tells, is tested.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use appliance::clock::Stopwatch;

/// How long a condition may take to come true.
const PATIENCE: Duration = Duration::from_secs(30);

/// The appliance's own program, which the same build puts beside the benchmark.
fn assent() -> anyhow::Result<PathBuf> {
    let program = Path::new(env!("CARGO_BIN_EXE_assent-bench")).with_file_name("assent");
    ensure!(program.is_file(), "{} is missing: build the whole workspace", program.display());
    Ok(program)
}

fn bench(program: &Path, words: &[&str]) -> anyhow::Result<Output> {
    let mut command = Command::new(program);
    command.env_remove("ASSENT_FORMAT").arg("bench").args(words).output().context("it starts")
}

#[test]
fn without_its_program_it_says_how_to_build_it() {
    let folder = tempfile::tempdir().unwrap();
    let alone = folder.path().join("assent");
    std::fs::copy(assent().unwrap(), &alone).unwrap();
    let output = bench(&alone, &["--runs", "1"]).unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("build it with `cargo build --release --locked -p assent-bench`"), "{said}");
}

#[test]
fn words_reach_the_program_as_they_stand() {
    let help = bench(&assent().unwrap(), &["--help"]).unwrap();
    let text = String::from_utf8(help.stdout).unwrap();
    assert!(help.status.success() && text.contains("--cerbos <PATH>"), "{text}");
    // Other commands take this, and so does the program that passes it on.
    let wrong = bench(&assent().unwrap(), &["-o", "jsonl"]).unwrap();
    let said = String::from_utf8(wrong.stderr).unwrap();
    assert!(wrong.status.code() == Some(1) && said.contains("[possible values: table, json]"), "{said}");
}

#[test]
fn short_run_ends_with_a_line_of_json_and_writes_the_page() {
    let folder = tempfile::tempdir().unwrap();
    let page = folder.path().join("new/page.html");
    let words = ["--runs", "1", "--span", "0.2", "-o", "json", "--page"];
    let output = bench(&assent().unwrap(), &[words.as_slice(), &[page.to_str().unwrap()]].concat()).unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    // 3: a target was missed, as it may be here.
    assert!(matches!(output.status.code(), Some(0 | 3)), "{said}");
    let text = String::from_utf8(output.stdout).unwrap();
    let json: serde_json::Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    for key in [
        "batch_1024_over_raw_sign",
        "batch_1024_over_plain_peer",
        "tokens_per_second_at_114_ms",
        "lone_p50_over_parts",
        "lone_p99_ms",
        "agents_64_over_echo",
        "evaluator_over_cedar_1",
        "evaluator_over_cedar_10",
        "evaluator_over_cedar_100",
        "verify_cold_over_strict",
        "verify_cached_over_jwt",
        "flood_p99_ratio",
        "resident_mb",
        "tokens_1x1_a_second",
        "tokens_64x4096_a_second",
        "raw_sign_a_second",
        "commit_p50_us",
        "echo_p50_us",
        "batch_1024_a_second",
        "jwt_eddsa_ns",
        "token_cached_text_ns",
        "guard_admit_ns",
        "commit_bytes",
        "echo_asked_bytes",
        "echo_answered_bytes",
    ] {
        assert!(json[key].as_f64().is_some_and(|figure| figure > 0.0), "{key}: {json}");
    }
    assert!(json.get("batch_1024_over_cerbos").is_none(), "its binary was not named: {json}");
    assert!(json.get("cerbos_version").is_none(), "its binary was not named: {json}");
    // The commit is told only where there is a folder of git's.
    for key in ["version", "hsm", "hsm_version", "processor", "kernel", "file_system"] {
        assert!(json[key].as_str().is_some_and(|text| !text.is_empty()), "{key}: {json}");
    }
    assert!(json["runs"] == 1 && json["warnings"].is_array(), "{json}");
    let of_runs = json["of_runs"].as_object().unwrap();
    assert_eq!(of_runs["resident_mb"].as_array().unwrap(), &[json["resident_mb"].clone()], "{json}");
    assert!(of_runs.keys().eq(json["least_to_most"].as_object().unwrap().keys()), "{json}");
    assert!(said.contains(page.to_str().unwrap()), "{said}");
    assert!(std::fs::read_to_string(&page).unwrap().ends_with("</html>\n"));
}

#[test]
fn whoever_kills_it_has_nothing_left_to_sweep_up() {
    let temporary = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_assent-bench"));
    command.args(["bench", "--only", "batches", "--span", "30"]).env("TMPDIR", temporary.path());
    let pages = tempfile::tempdir().unwrap();
    command.arg("--page").arg(pages.path().join("bench.html"));
    let mut bench = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let entries = |folder: &Path| -> Vec<PathBuf> {
        let entries = std::fs::read_dir(folder).into_iter().flatten();
        entries.map(|entry| entry.unwrap().path()).collect()
    };
    let serves = |folder: &PathBuf| folder.join("data/control.sock").exists();
    eventually("an appliance serves", || {
        entries(temporary.path()).iter().any(|all| entries(all).iter().any(serves))
    });
    bench.kill().unwrap();
    bench.wait().unwrap();
    eventually("it is swept up", || entries(temporary.path()).is_empty());
}

/// Waits until it is so.
fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let watch = Stopwatch::start();
    while !is_so() {
        assert!(watch.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(20)); // WAIT: for the condition, up to PATIENCE
    }
}
