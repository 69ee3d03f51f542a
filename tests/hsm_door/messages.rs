//! What can be wrong with an HSM as people meet it: `assent hsm check` and the appliance's own way say the same, with the next
//! step, and no PIN try is spent but by a wrong PIN.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use appliance::hsm::{FaultClass, FaultKind, HsmSettings};
use rustix::process::Signal;

use crate::scratch::{PATIENCE, Scratch, signal, talk, wrong_tries_in};

/// Something that is wrong, on an HSM of its own.
struct Row {
    what: &'static str,
    scratch: Scratch,
    settings: HsmSettings,
    pin: &'static str,
    kind: FaultKind,
    class: FaultClass,
    /// The exit code of `assent hsm check`.
    exit: i32,
    /// Wrong tries that one start or one check spends.
    tries: u64,
}

fn availability(what: &'static str, kind: FaultKind, change: impl FnOnce(&mut HsmSettings)) -> Row {
    row(what, Scratch::simulator(), (kind, FaultClass::Availability), 5, change)
}

fn integrity(
    what: &'static str,
    kind: FaultKind,
    scratch: Scratch,
    change: impl FnOnce(&mut HsmSettings),
) -> Row {
    row(what, scratch, (kind, FaultClass::Integrity), 3, change)
}

fn row(
    what: &'static str,
    scratch: Scratch,
    (kind, class): (FaultKind, FaultClass),
    exit: i32,
    change: impl FnOnce(&mut HsmSettings),
) -> Row {
    let mut settings = scratch.settings();
    change(&mut settings);
    Row { what, scratch, settings, pin: "pin", kind, class, exit, tries: 0 }
}

fn keyed() -> Scratch {
    let scratch = Scratch::simulator();
    scratch.keyed();
    scratch
}

/// The user's PIN tried wrong until it is locked, by OpenSC's tool.
fn locked() -> Option<Scratch> {
    let scratch = keyed();
    for _ in 0..10 {
        scratch.opensc(&["--pin", "4321", "--list-objects"])?;
    }
    Some(scratch)
}

fn with_second_key() -> Option<Scratch> {
    let scratch = keyed();
    let again = ["--keypairgen", "--key-type", "EC:edwards25519", "--id", "01", "--label", "second"];
    let again = scratch.opensc(&again)?;
    assert!(again.status.success(), "{}", talk(&again));
    Some(scratch)
}

/// The simulator has no key that can leave.
fn with_extractable_key() -> Option<Scratch> {
    let scratch = Scratch::softhsm()?;
    let made = ["--keypairgen", "--key-type", "EC:edwards25519", "--id", "01", "--extractable"];
    let made = scratch.opensc(&made)?;
    assert!(made.status.success(), "{}", talk(&made));
    Some(scratch)
}

/// A shared library that is there for certain, and has no `C_GetFunctionList`: the C library.
fn some_library() -> PathBuf {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let loaded =
        maps.lines().filter_map(|line| line.split_whitespace().nth(5)).find(|path| path.contains("/libc"));
    loaded.expect("the C library is loaded").into()
}

fn rows() -> Vec<Row> {
    use FaultKind::{
        KeyAbsent, KeyAmbiguous, KeyExtractable, ModuleMissing, ModuleRejected, PinIncorrect, PinLocked,
        SerialOther, SlotAbsent,
    };
    let text = |settings: &mut HsmSettings| {
        settings.module = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml").into();
    };
    let absent = |settings: &mut HsmSettings| settings.module = "/nonexistent/module.so".into();
    let mut rows = vec![
        Row { pin: "wrong-pin", tries: 1, ..integrity("PIN wrong", PinIncorrect, keyed(), |_| {}) },
        availability("wrong slot label", SlotAbsent, |settings| settings.slot_label = "other".to_owned()),
        integrity("wrong serial", SerialOther, keyed(), |settings| {
            settings.slot_serial = Some("0000".to_owned())
        }),
        integrity("wrong key id", KeyAbsent, keyed(), |settings| settings.key_id = vec![9]),
        availability("module missing", ModuleMissing, absent),
        availability("module is a text", ModuleRejected, text),
        availability("module is another library", ModuleRejected, |settings| {
            settings.module = some_library()
        }),
    ];
    let installed = [
        locked().map(|scratch| integrity("PIN locked", PinLocked, scratch, |_| {})),
        with_second_key().map(|scratch| integrity("two keys with one id", KeyAmbiguous, scratch, |_| {})),
        with_extractable_key().map(|scratch| integrity("extractable key", KeyExtractable, scratch, |_| {})),
    ];
    rows.extend(installed.into_iter().flatten());
    rows
}

#[test]
fn each_is_named_with_its_next_step_and_spends_no_pin_try() {
    for Row { what, scratch, settings, pin, kind, class, exit, tries } in rows() {
        let before = scratch.wrong_tries();
        let checked = scratch.check(&settings, pin);
        let said = String::from_utf8_lossy(&checked.stdout).into_owned() + &talk(&checked);
        assert_eq!(checked.status.code(), Some(exit), "{what}: {said}");
        assert!(said.contains(kind.next_step()), "{what}: no next step in: {said}");
        println!("{what}: {}", said.lines().find(|line| line.contains(kind.next_step())).unwrap().trim());
        let after_check = scratch.wrong_tries();

        let fault = scratch.fault(&settings, pin);
        assert_eq!((fault.fault(), fault.class()), (kind, class), "{what}: {fault}");
        assert!(fault.to_string().ends_with(kind.next_step()), "{what}: {fault}");
        assert!(said.contains(fault.detail()), "{what}: the check and the start differ: {said} and {fault}");
        assert!(!said.contains("4321") && !said.contains("1234"), "{what}: a PIN is shown: {said}");
        let after_start = scratch.wrong_tries();
        if let (Some(before), Some(after_check), Some(after_start)) = (before, after_check, after_start) {
            assert_eq!(
                (after_check - before, after_start - after_check),
                (tries, tries),
                "{what}: PIN tries"
            );
        }
    }
}

/// A running appliance, and what it says.
struct Running {
    child: Child,
    says: Receiver<String>,
}

impl Running {
    fn start(arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_assent"));
        let command =
            command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (say, says) = sync_channel(1024);
        let words = BufReader::new(child.stderr.take().unwrap()).lines();
        std::thread::Builder::new()
            .spawn(move || words.map_while(Result::ok).try_for_each(|line| say.send(line)))
            .unwrap();
        Self { child, says }
    }

    fn wait_for(&self, words: &str) {
        while !self
            .says
            .recv_timeout(PATIENCE)
            .unwrap_or_else(|_| panic!("never said {words}"))
            .contains(words)
        {}
    }

    fn stop(mut self) {
        signal(self.child.id(), Signal::TERM);
        self.child.wait().unwrap();
    }
}

#[test]
fn an_appliance_with_a_wrong_pin_tries_it_once_and_stays_closed() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let dev = Running::start(&["dev", "--dir", folder.path().to_str().unwrap(), "--port", "0"]);
    dev.wait_for("token boundary open");
    dev.stop();
    let tries = || wrong_tries_in(Path::new(&path("hsm/simulator/slot-0.json")));
    assert_eq!(tries(), Some(0));
    std::fs::write(path("hsm/pin"), "00000000\n").unwrap();
    let serve = Running::start(&["--config", &path("assent.toml"), "serve"]);
    serve.wait_for("token boundary closed: the HSM refused the PIN");
    assert_eq!(tries(), Some(1));
    // An outage ends within a second; this is none.
    let more = serve.says.recv_timeout(Duration::from_secs(3));
    assert!(more.is_err(), "it went on: {more:?}");
    assert_eq!(tries(), Some(1));
    serve.stop();
    // Whoever restarts it again and again does not lock the PIN: operators have not signed.
    let again = Running::start(&["--config", &path("assent.toml"), "serve"]);
    again.wait_for("serving");
    assert!(again.says.recv_timeout(Duration::from_secs(1)).is_err(), "it tries nothing");
    assert_eq!(tries(), Some(1));
    again.stop();
}
