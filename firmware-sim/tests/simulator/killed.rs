//! Killed: the process ends by SIGKILL before any one of its writes, and the slot is as it was before the call or after it.
//!
//! `strace` kills `pkcs11-tool` at the n-th system call that changes the folder, for every n until none is left. Needs the Debian
//! packages `strace` and `opensc`; without them the test says that it did nothing. That nothing is lost when the power goes
//! is argued in `store.rs`, not tested here.

use std::path::Path;
use std::process::{Command, Output};

use crate::not_run;
use crate::scratch::built_module;

/// What changes the folder, or promises that a change will last.
const WRITES: [&str; 4] = ["openat", "write", "fsync", "rename"];
/// More of each than a generation of a key pair makes.
const ENOUGH: usize = 50;

fn run(mut command: Command, state: &Path, arguments: &str) -> Output {
    let arguments = arguments.split(' ');
    command
        .arg("--module")
        .arg(built_module())
        .args(arguments)
        .env(firmware_sim::ENV_DIR, state)
        .output()
        .unwrap()
}

fn tool(state: &Path, arguments: &str) -> String {
    let output = run(Command::new("pkcs11-tool"), state, arguments);
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "pkcs11-tool {arguments}: {text}");
    text
}

/// Runs `pkcs11-tool` and kills it at its `nth` `write` to the folder; whether it came to its end before.
fn killed(state: &Path, write: &str, nth: usize, arguments: &str) -> bool {
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-o", "/dev/null", "-P"]).arg(state);
    for name in ["slot-0.json", "slot-0.new", "lock"] {
        command.arg("-P").arg(state.join(name));
    }
    command.arg("-e").arg(format!("trace={write}"));
    command.arg("-e").arg(format!("inject={write}:signal=KILL:when={nth}")).arg("pkcs11-tool");
    run(command, state, arguments).status.success()
}

fn installed() -> bool {
    let missing =
        ["strace", "pkcs11-tool"].into_iter().find(|name| Command::new(name).arg("-h").output().is_err());
    if let Some(missing) = missing {
        not_run::missing(&format!("{missing} is not installed (apt-get install strace opensc)"));
    }
    missing.is_none()
}

#[test]
fn at_every_write_the_slot_is_as_before_or_as_after() {
    if !installed() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    tool(&state, "--slot-index 0 --init-token --label trial --so-pin 56785678");
    tool(&state, "--token-label trial --login --login-type so --so-pin 56785678 --init-pin --pin 1234");
    let user = "--token-label trial --login --pin 1234";
    let make = format!("{user} --keypairgen --key-type EC:edwards25519 --label log");
    let mut pairs = 0;
    for write in WRITES {
        let mut nth = 1;
        while nth < ENOUGH && !killed(&state, write, nth, &make) {
            let listed = tool(&state, &format!("{user} --list-objects"));
            let count = |kind: &str| listed.matches(kind).count();
            let (public, private) = (count("Public Key Object"), count("Private Key Object"));
            assert_eq!(public, private, "killed at {write} {nth}: {listed}");
            assert!((pairs..=pairs + 1).contains(&private), "killed at {write} {nth}: {listed}");
            pairs = private;
            nth += 1;
        }
        pairs += 1;
        println!("killed at each {write}: {} times", nth - 1);
        assert!((2..ENOUGH).contains(&nth), "killed at {write} {} times", nth - 1);
    }
}
