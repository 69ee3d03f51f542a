//! Drills, run as an SRE would: what they print, what they leave behind, and that a drill can fail.

use std::process::Command;

use crate::support::{ASSENT, assent};

fn run(names: &[&str], out: &std::path::Path) -> (i32, Vec<serde_json::Value>, String) {
    let out = out.display().to_string();
    let options = ["drill", "run", "-o", "json", "--hsm", "simulator", "--out", &out];
    let (code, text, talk) = assent(None, &[&options, names].concat());
    let lines = text.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect();
    (code, lines, talk)
}

#[test]
fn a_drill_prints_one_object_and_leaves_a_page() {
    let out = tempfile::tempdir().expect("a folder");
    let (code, lines, talk) = run(&["killed/lone", "corrupt/idle"], out.path());
    assert_eq!((code, lines.len()), (0, 2), "{talk}{lines:?}");
    for line in &lines {
        assert_eq!(line["passed"], true, "{line}");
        assert_eq!(line["tokens_after_fault"], 0);
        assert!(line["closed_after_ms"].is_f64() && line["rearmed_after_ms"].is_f64(), "{line}");
    }
    let page = std::fs::read_to_string(out.path().join("drills.html")).expect("a page");
    assert!(page.contains("2 of 2 held") && page.contains("id=\"killed/lone\"") && page.contains("<svg"));
    let (code, text, _) = assent(None, &["drill", "report", &out.path().display().to_string()]);
    assert!(code == 0 && text.lines().count() == 2, "{text}");
}

#[test]
fn a_report_in_which_something_did_not_hold_ends_with_three() {
    let out = tempfile::tempdir().expect("a folder");
    let (_, lines, _) = run(&["logout/idle"], out.path());
    let mut altered = lines[0].clone();
    altered["passed"] = false.into();
    altered["checks"][0]["held"] = false.into();
    std::fs::write(out.path().join("drills.jsonl"), format!("{altered}\n")).expect("a file");
    let (code, text, talk) = assent(None, &["drill", "report", &out.path().display().to_string()]);
    assert_eq!(code, 3, "{text}{talk}");
    assert!(
        text.contains("FAILED") && text.contains("not held: no token between fault and re-arm"),
        "{text}"
    );
}

#[test]
fn the_list_is_one_document_or_a_line_each_under_a_schema() {
    let (code, text, _) = assent(None, &["drill", "list", "-o", "json"]);
    let list: serde_json::Value = serde_json::from_str(&text).expect("one document");
    assert_eq!((code, &list["schema"]), (0, &"assent.v1.drills".into()), "{text}");
    let drills = list["drills"].as_array().expect("drills");
    assert!(drills.len() > 20 && drills.iter().all(|drill| drill["hypothesis"].is_string()), "{text}");
    let (_, rows, _) = assent(None, &["drill", "list", "-o", "jsonl"]);
    assert_eq!(rows.matches("\"schema\":\"assent.v1.drills.drill\"").count(), drills.len(), "{rows}");
}

#[test]
fn a_drill_that_there_is_not_is_said_before_anything_begins() {
    let out = tempfile::tempdir().expect("a folder");
    let (code, lines, talk) = run(&["killed", "kiled"], out.path());
    assert!(code == 1 && lines.is_empty() && talk.contains("there is no drill `kiled`"), "{talk}");
}

/// As `cargo run` leaves it, which builds the simulator's module and not its command.
#[test]
fn where_nothing_can_break_the_hsm_that_is_said_before_anything_begins() {
    let folder = tempfile::tempdir().expect("a folder");
    let alone = folder.path().join("assent");
    std::fs::copy(ASSENT, &alone).expect("a copy");
    for words in [&["drill", "run", "remove"][..], &["demo", "--bad-day"]] {
        let output = Command::new(&alone).args(words).env("PATH", "/nowhere").output().expect("it runs");
        let talk = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{talk}");
        assert!(talk.contains("cargo build --release --locked -p assent -p firmware-sim"), "{talk}");
        assert!(output.stdout.is_empty(), "{words:?}");
    }
}
