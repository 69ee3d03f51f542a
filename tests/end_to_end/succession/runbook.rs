//! The ceremony that opens the next log, as it is written: every command of that section of `OPERATING.md`, run in order.
//!
//! The document is the test's source. What differs from an operator's machine: the test stands in for the service manager,
//! the key's PIN and module are those of the scratch appliance, and each operator's key lies in its folder.

use std::path::Path;
use std::process::Command;

use super::{is_taken, name, staffed, token};
use crate::fences::on_each;
use crate::rotation::ceremony::{blocks, scripted};
use crate::support::{ASSENT, Appliance};

const SECTION: &str = "## The next log";
/// What the document has the operator write into the configuration.
const NAMED: &str = "[appliance]\nlog = 2\n\n[hsm]\nkey_id = \"02\"\n";

#[test]
fn every_command_of_the_next_log_works_as_written() {
    on_each(|hsm| {
        let mut appliance = staffed(hsm);
        appliance.launch();
        let old = token(&appliance, "old");
        let document = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/OPERATING.md"));
        let document = document.expect("the document");
        let mut said = String::new();
        for (language, block) in blocks(&document, SECTION) {
            match language {
                "sh" => block.lines().for_each(|line| said += &run(&mut appliance, line)),
                "toml" => {
                    assert_eq!(block, NAMED);
                    name(&appliance, 2, "02");
                }
                other => panic!("a block of `{other}` is neither run nor written"),
            }
        }
        assert!(said.contains("the log verified"), "{said}");
        assert!(appliance.status().expect("it answers").origin.ends_with("/2"), "{said}");
        let trust = appliance.folder.path().join("trust.toml");
        let new = token(&appliance, "new");
        assert!(is_taken(&trust, &new), "a token of the new log");
        assert!(!is_taken(&trust, &old), "one of the old log, whose key may be in wrong hands");
    });
}

/// Runs one line of the document in the appliance's folder, as its operator would; gives what it printed.
fn run(appliance: &mut Appliance, line: &str) -> String {
    match line {
        "systemctl stop assent" => {
            assert!(appliance.stop(), "it stops");
            return String::new();
        }
        "systemctl start assent" => {
            appliance.launch();
            return String::new();
        }
        _ => {}
    }
    let output = Command::new("sh")
        .args(["-ec", &scripted(&with_key_of_whose_machine(line))])
        .current_dir(appliance.folder.path())
        .env("PATH", path())
        .output()
        .expect("a shell");
    let (out, talk) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "`{line}`: {talk}{out}");
    format!("{out}{talk}")
}

/// `-f ~/.ssh/id_ed25519` of a line for somebody's machine, as the file of their key.
fn with_key_of_whose_machine(line: &str) -> String {
    match line
        .split_once("# on ")
        .and_then(|(command, place)| Some((command, place.strip_suffix("'s machine")?)))
    {
        Some((command, name)) => {
            let named = command.replace("~/.ssh/id_ed25519", name);
            assert_ne!(named, command, "the line names the operator's key");
            named
        }
        None => line.to_owned(),
    }
}

/// Where programs are found: this build's first.
fn path() -> String {
    let programs = Path::new(ASSENT).parent().expect("a folder").display().to_string();
    format!("{programs}:{}", std::env::var("PATH").unwrap_or_default())
}
