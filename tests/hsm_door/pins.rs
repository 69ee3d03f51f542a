//! Where PINs come from: each source for each role, and never the command line or the environment.

use std::io::{Read as _, Write as _};
use std::process::{Command, Output, Stdio};

use crate::not_run;
use crate::scratch::{Scratch, talk, with_each_hsm};

/// `assent COMMAND` with these arguments, where systemd credentials lie in the scratch folder.
fn run(scratch: &Scratch, command: &str, arguments: &[&str]) -> Output {
    let mut assent = scratch.bare(command);
    let credentials = scratch.file("pin").parent().expect("a folder").to_owned();
    assent.args(arguments).env("CREDENTIALS_DIRECTORY", credentials).stdin(Stdio::null());
    assent.output().expect("assent runs")
}

#[test]
fn both_roles_take_their_pin_from_every_source() {
    with_each_hsm(|scratch| {
        let path = |name: &str| scratch.file(name).display().to_string();
        let (pin, so_pin) = (path("pin"), path("so-pin"));
        let (uri, so_uri) = (format!("file:{pin}"), format!("file://{so_pin}"));
        let sources = [
            ("by-file", ["--so-pin-file", &so_pin], ["--pin-file", &pin]),
            ("by-credential", ["--so-pin-credential", "so-pin"], ["--pin-credential", "pin"]),
            ("by-source", ["--so-pin-source", &so_uri], ["--pin-source", &uri]),
            ("by-path", ["--so-pin-source", &so_pin], ["--pin-source", &pin]),
        ];
        for (label, officer, user) in sources {
            let slot = ["--slot-label", label];
            let made = run(scratch, "hsm init", &[&slot[..], &officer, &user].concat());
            assert!(made.status.success(), "{label}: {}", talk(&made));
            // Whatever set it, the PIN is the one that the file holds.
            let listed = run(scratch, "keys list", &[&slot[..], &["--pin-file", &pin]].concat());
            assert!(listed.status.success(), "{label}: {}", talk(&listed));
            let listed = run(scratch, "keys list", &[&slot[..], &user].concat());
            assert!(listed.status.success(), "{label}: {}", talk(&listed));
        }
    });
}

#[test]
fn a_pin_has_one_source_and_no_command_makes_it() {
    let scratch = Scratch::simulator();
    let pin = scratch.file("pin").display().to_string();
    let slot = ["--slot-label", "scratch"];
    let twice =
        run(&scratch, "keys list", &[&slot[..], &["--pin-file", &pin, "--pin-source", &pin]].concat());
    assert_eq!(twice.status.code(), Some(1));
    assert!(talk(&twice).contains("cannot be used with"), "{}", talk(&twice));
    let marker = scratch.file("ran").display().to_string();
    for source in [format!("|touch {marker}"), "pin".to_owned(), "file:pin".to_owned()] {
        let refused = run(&scratch, "keys list", &[&slot[..], &["--pin-source", &source]].concat());
        assert_eq!(refused.status.code(), Some(1), "{source}");
        let why = if source.starts_with('|') { "runs a command" } else { "absolute path" };
        assert!(talk(&refused).contains(why), "{source}: {}", talk(&refused));
    }
    assert!(!scratch.file("ran").exists(), "nothing was run");
    let absent = run(&scratch, "keys list", &[&slot[..], &["--pin-credential", "other"]].concat());
    assert!(talk(&absent).contains("cannot read the PIN"), "{}", talk(&absent));
    let nobody = scratch
        .bare("keys list")
        .args(slot)
        .env_remove("CREDENTIALS_DIRECTORY")
        .args(["--pin-credential", "pin"])
        .output();
    let nobody = nobody.expect("assent runs");
    assert!(talk(&nobody).contains("LoadCredential=pin"), "{}", talk(&nobody));
    assert_eq!(scratch.tries(), "all", "no PIN was tried");
}

/// Runs `assent` at a terminal of its own, and types each answer when its question is there; gives what it showed.
fn typed(
    scratch: &Scratch,
    command: &str,
    arguments: &[&str],
    answers: &[(&str, &str)],
) -> Option<(String, bool)> {
    let mut assent = scratch.bare(command);
    assent.args(arguments);
    let quoted = |word: &std::ffi::OsStr| format!("'{}'", word.to_str().expect("UTF-8"));
    let words: Vec<_> = std::iter::once(assent.get_program()).chain(assent.get_args()).map(quoted).collect();
    let terminal = Command::new("script")
        .args(["-qec", &words.join(" "), "/dev/null"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let Ok(mut terminal) = terminal else {
        not_run::missing("script is not installed (apt-get install bsdutils)");
        return None;
    };
    let (mut keyboard, mut screen) = (terminal.stdin.take()?, terminal.stdout.take()?);
    let (mut shown, mut byte, mut from) = (Vec::new(), [0], 0);
    for (question, answer) in answers {
        while !String::from_utf8_lossy(&shown[from..]).contains(question) {
            assert!(
                screen.read(&mut byte).expect("the terminal") == 1,
                "{}",
                String::from_utf8_lossy(&shown)
            );
            shown.push(byte[0]);
        }
        from = shown.len();
        keyboard.write_all(answer.as_bytes()).expect("the terminal takes what is typed");
    }
    screen.read_to_end(&mut shown).expect("the terminal");
    let ended_well = terminal.wait().expect("script ends").success();
    Some((String::from_utf8_lossy(&shown).into_owned(), ended_well))
}

#[test]
fn pins_are_asked_for_at_a_terminal_and_not_shown() {
    let scratch = Scratch::simulator();
    let slot = ["--slot-label", "typed"];
    let officer = ("PIN of the security officer", "8642864286428642\n");
    let made = [officer, ("again", "8642864286428642\n"), ("new user PIN", "97531\n"), ("again", "97531\n")];
    let Some((shown, well)) = typed(&scratch, "hsm init", &slot, &made) else { return };
    assert!(well && !shown.contains("8642") && !shown.contains("97531"), "{shown}");
    let asked = [("PIN of slot typed", "97531\n")];
    let Some((shown, well)) = typed(&scratch, "keys list", &slot, &asked) else { return };
    assert!(well && shown.contains("PUBLIC KEY"), "{shown}");
    let differ = [officer, ("again", "8642864286428643\n")];
    let Some((shown, well)) = typed(&scratch, "hsm init", &["--slot-label", "other"], &differ) else {
        return;
    };
    assert!(!well && shown.contains("nothing was changed"), "{shown}");
}
