//! A real appliance's log in the hands of code that nobody here wrote: Go's `sumdb/note` and `sumdb/tlog`.

use std::path::{Path, PathBuf};

use crate::support::agent::{Agent, retail};
use crate::support::go::Auditor;
use crate::support::{Appliance, Hsm, assent};
use assent_client::outcome::Outcome;

/// Runs `assent` on an appliance, which must do it; gives what it prints.
fn told(appliance: &Appliance, arguments: &[&str]) -> String {
    let (code, out, talk) = assent(Some(&appliance.config()), arguments);
    assert_eq!(code, 0, "assent {arguments:?}: {talk}");
    out
}

/// A file with this text.
fn file(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, text).expect("a file");
    path
}

/// The text with one character of what stands behind `mark` replaced by another of its alphabet.
fn altered(text: &str, mark: &str) -> String {
    let (before, after) = text.split_once(mark).unwrap_or_else(|| panic!("{mark} is in {text}"));
    let other = if after.starts_with('A') { "B" } else { "A" };
    format!("{before}{mark}{other}{}", after.chars().skip(1).collect::<String>())
}

#[test]
fn another_language_verifies_the_log_and_refuses_what_is_altered() {
    let scratch = tempfile::tempdir().expect("a folder");
    let Some(auditor) = Auditor::build(scratch.path()) else { return };
    let mut appliance = Appliance::start(Hsm::Simulator);
    let (agent, intents) = (Agent::connect(&appliance), retail());
    let _ = agent.preauthorize(&intents[..300]);
    let old = told(&appliance, &["log", "checkpoint"]);
    let outcomes = agent.preauthorize(&intents[300..]);
    let allowed =
        |outcome| if let Outcome::Allowed(token) = outcome { Some(token.to_string()) } else { None };
    let token = outcomes.iter().find_map(allowed).expect("one is allowed");
    let status = appliance.status().expect("it answers");
    let (key, url) = (status.key.verifier_key, format!("http://{}", status.http.expect("it serves")));
    let path = |path: &PathBuf| path.display().to_string();
    let folder = scratch.path();

    // Notes, also of a token.
    let note = told(&appliance, &["log", "checkpoint"]);
    let note_file = path(&file(folder, "note", &note));
    assert!(auditor.accepts(&["note", &key, &note_file]).starts_with("ok size "));
    let line = "\u{2014} localhost/dev/log/1 ";
    let (_, signature) = note.split_once(line).expect("a signature of this log");
    // The size's first digit; the signature's first bits, behind the key ID.
    let behind_the_key_id = format!("{line}{}", signature.chars().take(8).collect::<String>());
    for mark in ["localhost/dev/log/1\n", &behind_the_key_id] {
        let forged = path(&file(folder, "forged", &altered(&note, mark)));
        auditor.refuses(&["note", &key, &forged]);
    }
    let trust = appliance.folder.path().join("trust.toml").display().to_string();
    let exported = told(&appliance, &["token", "export", &token, "--trust", &trust]);
    auditor.accepts(&["inclusion", &key, &path(&file(folder, "token.tlog-proof", &exported))]);

    // Proofs of inclusion, from the running appliance's tiles.
    for index in ["0", "255", "256", "1000"] {
        let proof = told(&appliance, &["log", "prove", index]);
        let good = path(&file(folder, "proof", &proof));
        assert!(auditor.accepts(&["inclusion", &key, &good]).starts_with(&format!("ok leaf {index} of ")));
        for mark in ["extra YXNzZW50", &format!("index {index}\n")] {
            let forged = path(&file(folder, "forged", &altered(&proof, mark)));
            auditor.refuses(&["inclusion", &key, &forged]);
        }
        let elsewhere = proof.replace(&format!("index {index}\n"), "index 7\n");
        auditor.refuses(&["inclusion", &key, &path(&file(folder, "forged", &elsewhere))]);
    }

    // That it only grew.
    let size = old.lines().nth(1).expect("a size").to_owned();
    let old_file = path(&file(folder, "old", &old));
    let growth = told(&appliance, &["log", "prove", "--consistency", &size]);
    let good = path(&file(folder, "growth", &growth));
    auditor.accepts(&["consistency", &key, &old_file, &good]);
    let forged = path(&file(folder, "forged", &altered(&growth, &format!("old {size}\n"))));
    auditor.refuses(&["consistency", &key, &old_file, &forged]);

    // Every leaf and every entry, over HTTP; and one bit of any tile.
    let leaves = auditor.accepts(&["tiles", &key, &url]);
    let count: u64 = leaves.split(' ').nth(1).and_then(|count| count.parse().ok()).expect("a count");
    assert!(count > 1824, "{leaves}");
    let width = format!("tile/1/000.p/{}", count / 256);
    for (tile, byte) in
        [("tile/0/000", "0"), ("tile/0/005", "8191"), (&width, "31"), ("tile/entries/003", "99")]
    {
        auditor.refuses(&["tiles", &key, &url, tile, byte]);
    }
    drop(agent);
    appliance.stop_and_verify_log();

    // And from the file that it leaves behind, also at the size of then.
    let then = told(&appliance, &["log", "checkpoint", "--size", &size]);
    assert_eq!(then, old);
    let proof = told(&appliance, &["log", "prove", "5", "--size", &size]);
    auditor.accepts(&["inclusion", &key, &path(&file(folder, "proof", &proof))]);
}
