//! Cedar's corpus through the command line: `assent policy eval` answers as it is documented to.
//!
//! All hand-written tests, and a part of the generated ones that is spread over all of them. That every request of every
//! file comes out as recorded is the compiler's own test; here it is about exit codes, and about the lines that are printed.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "the functions beside the tests may fail as loudly as the tests"
)]

use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Files of the generated corpus that are asked.
const SAMPLE: usize = 200;

const REFUSALS: &[&str] = &[
    "POLICY_DENIED",
    "APPROVAL_REQUIRED",
    "EVALUATION_UNAVAILABLE",
    "INTENT_INVALID",
    "INTENT_UNCLASSIFIED",
];

fn unpack(archive: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let archive = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/cedar-corpus").join(archive);
    let status = Command::new("tar").arg("-xzf").arg(&archive).arg("-C").arg(folder.path()).status().unwrap();
    assert!(status.success(), "{}", archive.display());
    folder
}

/// Test files below a folder, in order: JSON that is not entities.
fn test_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.to_string_lossy().into_owned();
        if path.is_dir() {
            found.extend(test_files(&path));
        } else if name.ends_with(".json") && !name.ends_with("entities.json") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The command on one test's files, with its requests a line each.
fn eval(folder: &Path, test: &Value) -> Output {
    let path = |key: &str| {
        let name = test[key].as_str().unwrap();
        folder.join(name.strip_prefix("corpus-tests/").unwrap_or(name))
    };
    let requests = folder.join("requests.jsonl");
    let lines = test["requests"].as_array().unwrap().iter().map(|request| format!("{request}\n"));
    std::fs::write(&requests, lines.collect::<String>()).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_assent"));
    command.args(["policy", "eval"]);
    for (flag, path) in [
        ("--schema", path("schema")),
        ("--policies", path("policies")),
        ("--entities", path("entities")),
        ("--requests", requests),
    ] {
        command.arg(flag).arg(path);
    }
    command.output().unwrap()
}

fn texts(value: &Value) -> BTreeSet<&str> {
    value.as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect()
}

/// Holds one line against what Cedar's maintainers recorded; says whether it allows.
fn check(line: &str, request: &Value) -> bool {
    let answer: Value = serde_json::from_str(line).unwrap();
    let keys: BTreeSet<&str> = answer.as_object().unwrap().keys().map(String::as_str).collect();
    let documented = BTreeSet::from(["decision", "cedar_decision", "reasons", "errors", "refusal"]);
    assert!(keys.is_superset(&documented), "{line}");
    assert!(keys.difference(&documented).all(|more| *more == "detail"), "{line}");
    assert_eq!(answer["cedar_decision"], request["decision"], "{line}\n{request}");
    assert_eq!(texts(&answer["reasons"]), texts(&request["reason"]), "{line}\n{request}");
    assert_eq!(texts(&answer["errors"]), texts(&request["errors"]), "{line}\n{request}");
    match answer["decision"].as_str() {
        Some("allow") => {
            assert_eq!(
                (&answer["refusal"], &answer["cedar_decision"]),
                (&Value::Null, &"allow".into()),
                "{line}"
            );
            assert_eq!(answer["errors"], serde_json::json!([]), "{line}");
            true
        }
        Some("deny") => {
            assert!(answer["refusal"].as_str().is_some_and(|name| REFUSALS.contains(&name)), "{line}");
            false
        }
        _ => panic!("{line}"),
    }
}

/// Asks about files, and gives how many were accepted, and how many requests were answered.
fn run(folder: &Path, files: &[PathBuf]) -> (usize, usize) {
    let (mut accepted, mut answered) = (0, 0);
    for path in files {
        let test: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        let output = eval(folder, &test);
        let (out, talk) =
            (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
        let code = output.status.code();
        if code == Some(3) {
            assert!(out.is_empty() && talk.contains("rejected"), "{}: {out}{talk}", path.display());
            continue;
        }
        let requests = test["requests"].as_array().unwrap();
        assert_eq!(out.lines().count(), requests.len(), "{}: {talk}", path.display());
        let allowed = out.lines().zip(requests).filter(|(line, request)| check(line, request)).count();
        let worst = if allowed == requests.len() { 0 } else { 2 };
        assert_eq!(code, Some(worst), "{}: {talk}", path.display());
        accepted += 1;
        answered += requests.len();
    }
    println!("{accepted} of {} files accepted, {answered} requests answered as documented", files.len());
    (accepted, answered)
}

#[test]
fn hand_written_tests_come_out_of_the_command_line_as_recorded() {
    let folder = unpack("handwritten.tar.gz");
    let files = test_files(folder.path());
    assert_eq!((files.len(), run(folder.path(), &files).0), (22, 22));
}

#[test]
fn a_sample_of_the_corpus_comes_out_of_the_command_line_as_recorded() {
    let folder = unpack("corpus.tar.gz");
    let all = test_files(folder.path());
    let sample: Vec<_> = (0..SAMPLE).map(|place| all[place * all.len() / SAMPLE].clone()).collect();
    let (accepted, answered) = run(folder.path(), &sample);
    assert!((SAMPLE / 2..SAMPLE).contains(&accepted) && answered >= accepted, "{accepted}, {answered}");
}
