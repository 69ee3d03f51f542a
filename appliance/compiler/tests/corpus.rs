//! Cedar's own corpus: decision, reasons and errors must be what Cedar's maintainers recorded.
//!
//! Every request of every file that we accept is compared. A file that we reject must be one that Cedar's strict
//! validation rejects as well; how many, and by which of Cedar's own errors, is printed.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "what stands beside the tests may fail as loudly as a test"
)]

mod oracle;

use assent_compiler::{Bundle, Sources};
use oracle::Oracle;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

fn unpack(archive: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let archive = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/cedar-corpus").join(archive);
    let status = Command::new("tar").arg("-xzf").arg(&archive).arg("-C").arg(folder.path()).status().unwrap();
    assert!(status.success(), "{}", archive.display());
    folder
}

/// Test files: JSON objects that name their policies.
fn test_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.to_string_lossy().into_owned();
            if path.is_dir() {
                folders.push(path);
            } else if name.ends_with(".json") && !name.ends_with("entities.json") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// What a run saw.
#[derive(Debug, Default)]
struct Tally {
    files: usize,
    accepted: usize,
    requests: usize,
    with_errors: usize,
    /// Files by Cedar's reason.
    rejected: BTreeMap<String, usize>,
    requests_of_rejected: usize,
    differences: Vec<String>,
}

fn texts(value: &Value) -> BTreeSet<String> {
    value.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}

/// Runs on a large stack, for Cedar's evaluator gives up on a small one.
fn run(archive: &'static str) -> Tally {
    let run = std::thread::Builder::new().stack_size(256 << 20).spawn(move || run_all(archive)).unwrap();
    run.join().unwrap()
}

fn run_all(archive: &str) -> Tally {
    let folder = unpack(archive);
    let mut tally = Tally::default();
    for path in test_files(folder.path()) {
        let test: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        // The corpus is flat: a path's folder is dropped. The hand-written tests keep theirs.
        let read = |key: &str| {
            let name = test[key].as_str().unwrap();
            let name = name.strip_prefix("corpus-tests/").unwrap_or(name);
            std::fs::read_to_string(folder.path().join(name)).unwrap()
        };
        tally.files += 1;
        let (schema, policies, entities) = (read("schema"), read("policies"), read("entities"));
        let bundle = match Bundle::compile(Sources::plain(&schema, &policies, &entities)) {
            Ok(bundle) => bundle,
            Err(error) => {
                tally.requests_of_rejected += test["requests"].as_array().unwrap().len();
                match Oracle::objection(&schema, &policies, &entities) {
                    Some(objection) => *tally.rejected.entry(objection).or_default() += 1,
                    None => tally.differences.push(format!(
                        "{}: rejected though Cedar accepts: {}",
                        path.display(),
                        error.report()
                    )),
                }
                continue;
            }
        };
        tally.accepted += 1;
        let oracle = Oracle::new(&schema, &policies, &entities);
        for request in test["requests"].as_array().unwrap() {
            compare(&bundle, &oracle, request, &path, &mut tally);
        }
    }
    tally
}

fn compare(bundle: &Bundle, oracle: &Oracle, request: &Value, path: &Path, tally: &mut Tally) {
    tally.requests += 1;
    let answer = bundle.answer(&request.to_string()).unwrap();
    let (reasons, errors) = (texts(&request["reason"]), texts(&request["errors"]));
    tally.with_errors += usize::from(!errors.is_empty());
    let ours =
        (answer.cedar_decision, answer.reasons.into_iter().collect(), answer.errors.into_iter().collect());
    let recorded = (request["decision"].as_str().unwrap(), reasons, errors);
    // What Cedar says here and now, beside what its maintainers recorded.
    let cedar = oracle.answer(request);
    if ours != recorded || (ours.0, &ours.1, &ours.2) != (cedar.decision, &cedar.reasons, &cedar.errors) {
        tally.differences.push(format!(
            "{}: {request}\nours {ours:?}\nrecorded {recorded:?}\ncedar {cedar:?}",
            path.display()
        ));
    }
    let may_allow = recorded.0 == "allow" && recorded.2.is_empty();
    if answer.decision == "allow" && !may_allow {
        tally.differences.push(format!("{}: {request}\nours is more lenient", path.display()));
    }
}

fn report(name: &str, tally: &Tally) {
    println!(
        "{name}: {} of {} files accepted; {} requests compared, {} of them with errors; {} differences",
        tally.accepted,
        tally.files,
        tally.requests,
        tally.with_errors,
        tally.differences.len()
    );
    let rejected: usize = tally.rejected.values().sum();
    println!(
        "{name}: {rejected} files rejected, as Cedar rejects them ({} requests):",
        tally.requests_of_rejected
    );
    for (reason, files) in &tally.rejected {
        println!("  {files:4} {reason}");
    }
    assert!(
        tally.differences.is_empty(),
        "{} differences:\n{}",
        tally.differences.len(),
        tally.differences[0]
    );
}

#[test]
fn hand_written_tests_are_answered_as_recorded() {
    let tally = run("handwritten.tar.gz");
    report("hand-written", &tally);
    assert_eq!((tally.files, tally.accepted), (22, 22));
}

#[test]
fn corpus_tests_are_answered_as_recorded() {
    let tally = run("corpus.tar.gz");
    report("corpus", &tally);
    assert!(tally.accepted > 1900 && tally.with_errors > 50, "{tally:?}");
}
