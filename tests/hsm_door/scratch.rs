//! A scratch HSM: a module, a folder for its state, and the commands that prepare it.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use appliance::clock::Stopwatch;
use appliance::hsm::{FaultKind, HsmFault, HsmSettings, Pin, Signer};
use tempfile::TempDir;

use crate::not_run;

pub(crate) const LABEL: &str = "scratch";
/// Long enough for a busy machine; nothing waits for it unless it fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
const SOFTHSM: &str = "/usr/lib/softhsm/libsofthsm2.so";
/// Where `tests/kryoptic` is built; the environment may name another place.
const KRYOPTIC: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../target/kryoptic/release/libkryoptic_module.so");

/// More than a test initialises.
const KRYOPTIC_SLOTS: u32 = 8;

/// One HSM of its own.
pub(crate) struct Scratch {
    folder: TempDir,
    module: PathBuf,
    environment: BTreeMap<String, String>,
}

/// Runs `test` with each kind of HSM that is here; the simulator always is.
pub(crate) fn with_each_hsm(test: impl Fn(&Scratch)) {
    if let Some(scratch) = Scratch::softhsm() {
        test(&scratch);
    }
    if let Some(scratch) = Scratch::kryoptic() {
        test(&scratch);
    }
    test(&Scratch::simulator());
}

impl Scratch {
    /// SoftHSM2 with slot `scratch`, without a key. Where it is not installed, that is kept.
    pub(crate) fn softhsm() -> Option<Self> {
        let module = Path::new(SOFTHSM);
        if !module.exists() {
            not_run::missing("SoftHSM2 is not installed (apt-get install softhsm2)");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let tokens = folder.path().join("tokens");
        std::fs::create_dir(&tokens).unwrap();
        let configuration = folder.path().join("softhsm2.conf");
        let text = format!("directories.tokendir = {}\nobjectstore.backend = file\n", tokens.display());
        std::fs::write(&configuration, text).unwrap();
        Some(Self::initialised(folder, module.to_owned(), "SOFTHSM2_CONF", &configuration, "1234"))
    }

    /// kryoptic with slot `scratch`, without a key. Where it is not built, that is kept.
    pub(crate) fn kryoptic() -> Option<Self> {
        let module =
            std::env::var_os("ASSENT_KRYOPTIC").map_or_else(|| PathBuf::from(KRYOPTIC), PathBuf::from);
        if !module.exists() {
            not_run::lacking("kryoptic is not built (KRYOPTIC=1 tests/run builds it)");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("tokens")).unwrap();
        let configuration = folder.path().join("kryoptic.conf");
        // It offers the slots that it is told of, and no free one beside them.
        let slot = |number: u32| {
            let path = folder.path().join(format!("tokens/{number}.sql"));
            format!("[[slots]]\nslot = {number}\ndbtype = 'sqlite'\ndbargs = '{}'\n", path.display())
        };
        std::fs::write(&configuration, (1..=KRYOPTIC_SLOTS).map(slot).collect::<String>()).unwrap();
        Some(Self::initialised(folder, module, "KRYOPTIC_CONF", &configuration, "1234"))
    }

    /// The simulator with slot `scratch`, without a key.
    pub(crate) fn simulator() -> Self {
        Self::simulator_with_pin("1234")
    }

    /// The same, with that user PIN.
    pub(crate) fn simulator_with_pin(pin: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let test = std::env::current_exe().unwrap();
        let module = test.parent().unwrap().join("libfirmware_sim.so");
        assert!(module.exists(), "no simulator at {}", module.display());
        let state = folder.path().join("state");
        Self::initialised(folder, module, "FIRMWARE_SIM_DIR", &state, pin)
    }

    fn initialised(folder: TempDir, module: PathBuf, variable: &str, value: &Path, pin: &str) -> Self {
        let environment = [(variable.to_owned(), value.to_str().unwrap().to_owned())].into();
        let scratch = Self { folder, module, environment };
        scratch.write("pin", format!("{pin}\n").as_bytes());
        scratch.write("so-pin", b"56785678\n");
        scratch.write("wrong-pin", b"4321\n");
        let so_pin = scratch.file("so-pin");
        let done = scratch.assent("hsm init", &["--so-pin-file", so_pin.to_str().unwrap()]);
        assert!(done.status.success(), "{}", talk(&done));
        scratch
    }

    /// Makes the authority key, id 01.
    pub(crate) fn keyed(&self) -> &Self {
        let done = self.assent("keys generate", &[]);
        assert!(done.status.success(), "{}", talk(&done));
        self
    }

    pub(crate) fn is_simulator(&self) -> bool {
        self.environment.contains_key("FIRMWARE_SIM_DIR")
    }

    /// Whether it tells of wrong PINs; kryoptic does not.
    pub(crate) fn tells_tries(&self) -> bool {
        !self.environment.contains_key("KRYOPTIC_CONF")
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.file(name);
        std::fs::write(&path, bytes).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        path
    }

    /// A program of the test's own that stands in for the signer: what a hostile child would be.
    pub(crate) fn program(&self, name: &str, script: &str) -> PathBuf {
        let path = self.write(name, format!("#!/bin/sh\n{script}\n").as_bytes());
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
        path
    }

    pub(crate) fn settings(&self) -> HsmSettings {
        HsmSettings {
            module: self.module.clone(),
            slot_label: LABEL.to_owned(),
            slot_serial: None,
            key_id: vec![1],
            allow_simulator: self.is_simulator(),
            environment: self.environment.clone(),
            protected: Vec::new(),
            signer_program: Some(env!("CARGO_BIN_EXE_assent").into()),
        }
    }

    pub(crate) fn pin(&self, name: &str) -> Pin {
        Pin::from_file(&self.file(name)).unwrap()
    }

    /// A signer that is ready, and where its loss is told.
    pub(crate) fn signer(&self) -> (Signer, Receiver<HsmFault>) {
        let (tell, told) = sync_channel(4);
        let on_loss = move |fault| tell.try_send(fault).unwrap();
        (Signer::start(&self.settings(), &self.pin("pin"), PATIENCE, on_loss).unwrap(), told)
    }

    /// The fault that a start with these settings ends with.
    pub(crate) fn refused(&self, settings: &HsmSettings, pin: &str) -> FaultKind {
        self.fault(settings, pin).fault()
    }

    /// The same with all that is known of it.
    pub(crate) fn fault(&self, settings: &HsmSettings, pin: &str) -> HsmFault {
        let silent = |fault| panic!("a failed start is not a loss: {fault}");
        Signer::start(settings, &self.pin(pin), PATIENCE, silent).unwrap_err()
    }

    /// Runs `assent hsm check` with these settings.
    pub(crate) fn check(&self, settings: &HsmSettings, pin: &str) -> Output {
        let mut check = Command::new(env!("CARGO_BIN_EXE_assent"));
        check.args(["hsm", "check", "--slot-label", &settings.slot_label]);
        check.arg("--module").arg(&settings.module).arg("--pin-file").arg(self.file(pin));
        for (name, value) in &settings.environment {
            check.arg("--env").arg(format!("{name}={value}"));
        }
        if let Some(serial) = &settings.slot_serial {
            check.args(["--slot-serial", serial]);
        }
        if settings.allow_simulator {
            check.arg("--allow-simulator");
        }
        let key_id: String = settings.key_id.iter().map(|byte| format!("{byte:02x}")).collect();
        check.args(["--key-id", &key_id]).stdin(Stdio::null()).output().unwrap()
    }

    /// How often in a row the simulator has counted a wrong user PIN; other modules do not tell.
    pub(crate) fn wrong_tries(&self) -> Option<u64> {
        wrong_tries_in(&self.file("state/slot-0.json"))
    }

    /// Runs `assent COMMAND` on this HSM with the right PIN.
    pub(crate) fn assent(&self, command: &str, more: &[&str]) -> Output {
        self.assent_with_pin("pin", command, more)
    }

    pub(crate) fn assent_with_pin(&self, pin: &str, command: &str, more: &[&str]) -> Output {
        let mut assent = self.bare(command);
        if command != "hsm list" {
            assent.arg("--pin-file").arg(self.file(pin));
        }
        if !more.contains(&"--slot-label") {
            assent.args(["--slot-label", LABEL]);
        }
        assent.args(more).stdin(Stdio::null()).output().unwrap()
    }

    /// Runs `firmware-sim COMMAND` on this simulator, which must do as it is told.
    pub(crate) fn simulate(&self, command: &str) -> Output {
        let program = Path::new(env!("CARGO_BIN_EXE_assent")).with_file_name("firmware-sim");
        let mut simulate = Command::new(program);
        let done = simulate.args(command.split(' ')).envs(&self.environment).output().unwrap();
        assert!(done.status.success(), "firmware-sim {command}: {}", talk(&done));
        done
    }

    /// `assent COMMAND` on this HSM, without slot and PIN.
    pub(crate) fn bare(&self, command: &str) -> Command {
        let mut assent = Command::new(env!("CARGO_BIN_EXE_assent"));
        assent.args(command.split(' ')).arg("--module").arg(&self.module);
        for (name, value) in &self.environment {
            assent.arg("--env").arg(format!("{name}={value}"));
        }
        assent
    }

    /// What `assent COMMAND -o json` prints.
    pub(crate) fn json(&self, command: &str, more: &[&str]) -> serde_json::Value {
        let mut arguments = more.to_vec();
        arguments.extend(["-o", "json"]);
        serde_json::from_slice(&self.assent(command, &arguments).stdout).unwrap()
    }

    /// `pin_tries` of the scratch slot.
    pub(crate) fn tries(&self) -> String {
        let listed = self.json("hsm list", &[]);
        let slots = listed["slots"].as_array().unwrap();
        let ours = slots.iter().find(|slot| slot["label"] == LABEL).unwrap();
        ours["pin_tries"].as_str().unwrap().to_owned()
    }

    /// Runs OpenSC's tool on this HSM, if it is installed.
    pub(crate) fn opensc(&self, arguments: &[&str]) -> Option<Output> {
        let mut tool = Command::new("pkcs11-tool");
        tool.arg("--module").arg(&self.module).envs(&self.environment).args(["--token-label", LABEL]);
        tool.args(["--login", "--pin", "1234"]).args(arguments).stdin(Stdio::null());
        match tool.output() {
            Ok(output) => Some(output),
            Err(_) => {
                not_run::missing("pkcs11-tool is not installed (apt-get install opensc)");
                None
            }
        }
    }
}

/// What the simulator has counted in the file of a slot, when there is one.
pub(crate) fn wrong_tries_in(slot: &Path) -> Option<u64> {
    let slot: serde_json::Value = serde_json::from_slice(&std::fs::read(slot).ok()?).unwrap();
    Some(slot["user_pin"]["wrong_tries"].as_u64().unwrap())
}

pub(crate) fn talk(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Waits until it is so.
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let waited = Stopwatch::start();
    while !is_so() {
        assert!(waited.elapsed() < PATIENCE, "{what}: not within {} s", PATIENCE.as_secs());
        std::thread::yield_now();
    }
}

pub(crate) fn signal(process: u32, signal: rustix::process::Signal) {
    let process = rustix::process::Pid::from_raw(process.try_into().unwrap()).unwrap();
    rustix::process::kill_process(process, signal).unwrap();
}
