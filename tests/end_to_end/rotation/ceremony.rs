//! The ceremony as it is written: every command of `OPERATING.md` from the empty HSM to the retired key, run in order.
//!
//! The document is the test's source. What differs from an operator's machine: where SoftHSM2 keeps its slots, the port, and
//! that `assent serve` runs behind the script.

use std::path::Path;
use std::process::Command;

use crate::support::ports::free_port;
use crate::support::{ASSENT, softhsm};

/// The sections that are run.
const SECTIONS: [&str; 2] = ["## From an empty HSM to the first token: the ceremony", "## Another key"];

/// The blocks of a section, each with its language, in order.
pub(crate) fn blocks<'d>(document: &'d str, section: &str) -> Vec<(&'d str, &'d str)> {
    let (_, after) = document.split_once(&format!("\n{section}\n")).expect("the section is there");
    let text = after.split("\n## ").next().unwrap_or(after);
    let inside = text.split("```").skip(1).step_by(2);
    inside.filter_map(|block| block.split_once('\n')).collect()
}

/// One line of the document as a line of the script: a failure ends the script, and so does a success that should be none.
pub(crate) fn scripted(line: &str) -> String {
    if line == "assent serve" {
        return "assent serve 2>traces & echo $! > serve.pid".to_owned();
    }
    if line == "assent status" {
        // WAIT: until the boundaries are open, at most 30 s.
        return "i=0; until assent status; do i=$((i+1)); test $i -lt 300; sleep 0.1; done".to_owned();
    }
    match line.split_once("# ends with ") {
        None => line.to_owned(),
        Some((command, ending)) => {
            let code: String = ending.chars().take_while(char::is_ascii_digit).collect();
            format!("code=0; {} || code=$?; test $code = {code}", command.trim_end())
        }
    }
}

fn script(document: &str, folder: &Path, port: u16) -> String {
    let mut script = "set -e\ntrap 'test ! -e serve.pid || kill $(cat serve.pid)' EXIT\n".to_owned();
    for (language, block) in SECTIONS.iter().flat_map(|section| blocks(document, section)) {
        match language {
            "sh" => block.lines().for_each(|line| script += &(scripted(line) + "\n")),
            "toml" => {
                let softhsm = folder.join("softhsm2.conf");
                let config = block.replace("/etc/softhsm/softhsm2.conf", &softhsm.display().to_string());
                assert_ne!(config, block, "the document names the environment of SoftHSM2");
                script += &format!(
                    "cat > assent.toml <<'END'\n[listen]\nquic = \"127.0.0.1:{port}\"\nhttp = \"127.0.0.1:0\"\n{config}END\n"
                );
            }
            other => panic!("a block of `{other}` is neither run nor written"),
        }
    }
    script.replace("127.0.0.1:7743", &format!("127.0.0.1:{port}"))
        + "kill $(cat serve.pid)\nwait\nrm serve.pid\nassent log verify\nassent log verify --trust trust.toml\n"
}

#[test]
fn every_command_of_the_ceremony_works_as_written() {
    if !softhsm::present() {
        return;
    }
    let document = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/OPERATING.md"));
    let document = document.expect("the document");
    let scratch = tempfile::tempdir().expect("a folder");
    let folder = scratch.path();
    std::fs::create_dir(folder.join("tokens")).expect("a folder");
    let softhsm = format!("directories.tokendir = {}/tokens\nobjectstore.backend = file\n", folder.display());
    std::fs::write(folder.join("softhsm2.conf"), softhsm).expect("a file");
    let script = script(&document, folder, free_port());
    let programs = Path::new(ASSENT).parent().expect("a folder").display().to_string();
    let path = std::env::var("PATH").unwrap_or_default();
    let output = Command::new("sh")
        .args(["-xc", &script])
        .current_dir(folder)
        .env("PATH", format!("{programs}:{path}"))
        .output()
        .expect("a shell");
    let (out, talk) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{talk}\n{out}\n{}", traces(folder));
    assert!(out.contains("valid\n"), "the first token verifies: {out}");
    assert!(talk.contains("key 02") && out.contains("signed until"), "{talk}\n{out}");
    assert_eq!(out.matches("the log verified").count(), 2, "{out}");
    for gone in ["so-pin", "officer-a", "officer-b"] {
        assert!(!folder.join(gone).exists(), "{gone} is left behind");
    }
}

fn traces(folder: &Path) -> String {
    std::fs::read_to_string(folder.join("traces")).unwrap_or_default()
}

#[test]
fn blocks_and_endings_are_found() {
    let document = "x\n## A\n```sh\none\ntwo  # ends with 4: later\n```\n\n```toml\na = 1\n```\n## B\n```sh\nthree\n```\n";
    assert_eq!(blocks(document, "## A"), [("sh", "one\ntwo  # ends with 4: later\n"), ("toml", "a = 1\n")]);
    assert_eq!(scripted("two  # ends with 4: later"), "code=0; two || code=$?; test $code = 4");
    assert_eq!(scripted("one"), "one");
}
