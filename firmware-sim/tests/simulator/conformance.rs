//! Conformance of the interposed mode: what SoftHSM2 answers behind the simulator is what it answers alone.
//!
//! The same calls go to two copies of SoftHSM2, one of them behind the simulator, and every answer is compared: random calls with
//! random handles and templates, and `pkcs11-tool --test`. Needs `softhsm2` and `opensc`; without them the tests say that they did
//! nothing.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::ptr::null_mut;

use cryptoki_sys::*;
use proptest::prelude::*;
use rustix::time::{ClockId, clock_gettime};
use tempfile::TempDir;

use crate::draw::{COMMON, Draw, Memory, call, draw};
use crate::interposed::softhsm;
use crate::not_run;
use crate::raw::{Raw, provision};
use crate::scratch::{built_module, copied_module, with_environment};

/// A SoftHSM2 with tokens of its own, alone or behind the simulator.
struct Subject {
    folder: TempDir,
    module: PathBuf,
    environment: Vec<(&'static str, PathBuf)>,
}

impl Subject {
    fn new(real: &Path, behind: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (configuration, tokens) = (folder.path().join("softhsm2.conf"), folder.path().join("tokens"));
        std::fs::create_dir(&tokens).unwrap();
        std::fs::write(&configuration, format!("directories.tokendir = {}\n", tokens.display())).unwrap();
        let softhsm = folder.path().join("softhsm.so");
        std::fs::copy(real, &softhsm).unwrap();
        let mut environment = vec![("SOFTHSM2_CONF", configuration)];
        if behind {
            environment.push((firmware_sim::ENV_MODULE, softhsm.clone()));
            environment.push((firmware_sim::ENV_DIR, folder.path().join("state")));
        }
        let module = if behind { copied_module(folder.path()) } else { softhsm };
        Self { folder, module, environment }
    }

    /// Loads and initialises it, and gives the slot that was free and is now provisioned.
    fn start(&self) -> (Raw, CK_SLOT_ID) {
        let raw = Raw::open(&self.module);
        let environment: Vec<_> =
            self.environment.iter().map(|(name, value)| (*name, Some(value.as_path()))).collect();
        with_environment(&environment, || {
            // SAFETY: null asks for the defaults.
            assert_eq!(unsafe { raw.list.C_Initialize.unwrap()(null_mut()) }, CKR_OK);
        });
        let slot = provision(&raw.list).0;
        (raw, slot)
    }

    /// What `pkcs11-tool` prints about the tokens of a subject that is alone, asked through the simulator or not.
    fn tool(&self, arguments: &str, through: bool) -> String {
        let mut tool = Command::new("pkcs11-tool");
        tool.arg("--module").arg(if through { built_module() } else { self.module.clone() });
        tool.args(arguments.split(' ')).current_dir(self.folder.path());
        tool.envs(self.environment.iter().map(|(name, value)| (*name, value)));
        tool.env(firmware_sim::ENV_MODULE, &self.module)
            .env(firmware_sim::ENV_DIR, self.folder.path().join("state"));
        let output = tool.output().unwrap();
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    }
}

/// The draw with what SoftHSM2 itself would not survive, or could not answer alike twice, taken out; zero stands for the slot.
fn tamed(draw: &Draw, slot: CK_SLOT_ID) -> Option<Draw> {
    let takes_slot = matches!(draw.call, 2..=6 | 9 | 11);
    let waits_or_wipes = matches!(draw.call, 6 | 30);
    let handle = if takes_slot && draw.handle == 0 { slot } else { draw.handle };
    let mut tamed = draw.clone();
    (tamed.nulls, tamed.handle, tamed.parameter, tamed.lie) = (0, handle, 0, None);
    (!waits_or_wipes).then_some(tamed)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_calls_get_the_same_answers(draws in proptest::collection::vec(draw(COMMON), 1..150)) {
        let Some(real) = softhsm() else { return Ok(()) };
        let (alone, behind) = (Subject::new(real, false), Subject::new(real, true));
        let (alone, behind) = (alone.start(), behind.start());
        for draw in draws {
            let answers = [&alone, &behind].map(|(raw, slot)| {
                let draw = tamed(&draw, *slot)?;
                let mut memory = Memory::new(&draw);
                let answer = call(&raw.list, &draw, &mut memory);
                let lengths: Vec<_> = memory.attributes.iter().map(|attribute| attribute.ulValueLen).collect();
                Some((answer, memory.count, memory.second, lengths))
            });
            prop_assert_eq!(&answers[0], &answers[1], "{:?}", draw);
        }
    }
}

/// Calls of one measurement, and measurements of each subject.
const CALLS: u64 = 100;
const MEASUREMENTS: usize = 200;
/// What a cheap call may cost more through the simulator, in nanoseconds.
const MOST_NS: u64 = 5_000;

/// What a call of `C_GetSessionInfo` takes, in nanoseconds.
fn session_info_ns(raw: &Raw, session: CK_SESSION_HANDLE) -> u64 {
    let mut info = CK_SESSION_INFO { slotID: 0, state: 0, flags: 0, ulDeviceError: 0 };
    let began = now_ns();
    for _ in 0..CALLS {
        // SAFETY: `info` is good for a write.
        assert_eq!(unsafe { raw.list.C_GetSessionInfo.unwrap()(session, &raw mut info) }, CKR_OK);
    }
    (now_ns() - began) / CALLS
}

fn now_ns() -> u64 {
    let since = std::time::Duration::try_from(clock_gettime(ClockId::Monotonic)).unwrap();
    since.as_nanos().try_into().unwrap()
}

/// A session of a subject that may be a second process on its folder.
fn session(raw: &Raw, slot: CK_SLOT_ID) -> CK_SESSION_HANDLE {
    let mut session = 0;
    // SAFETY: `session` is good for a write.
    let opened = unsafe {
        raw.list.C_OpenSession.unwrap()(slot, CKF_SERIAL_SESSION, null_mut(), None, &raw mut session)
    };
    assert_eq!(opened, CKR_OK);
    session
}

#[test]
fn a_call_through_the_simulator_costs_less_than_five_microseconds_more() {
    let Some(real) = softhsm() else { return };
    let (alone, behind, watching) =
        (Subject::new(real, false), Subject::new(real, true), Subject::new(real, true));
    // Somebody else serves the socket of the third, which so looks at the faults' file at each call.
    let state = watching.folder.path().join("state");
    let other = Raw::open(&copied_module(watching.folder.path()));
    with_environment(&[(firmware_sim::ENV_DIR, Some(&state))], || {
        // SAFETY: null asks for the defaults.
        assert_eq!(unsafe { other.list.C_Initialize.unwrap()(null_mut()) }, CKR_OK);
    });
    let subjects = [alone.start(), behind.start(), watching.start()];
    let sessions = subjects.each_ref().map(|(raw, slot)| session(raw, *slot));
    let mut times = [(); 3].map(|()| Vec::new());
    // In turns, so that what disturbs one disturbs all.
    for _ in 0..MEASUREMENTS {
        for (at, (raw, _)) in subjects.iter().enumerate() {
            times[at].push(session_info_ns(raw, sessions[at]));
        }
    }
    let [alone, behind, watching] = times.map(|mut times| {
        times.sort_unstable();
        times[MEASUREMENTS / 2]
    });
    println!(
        "C_GetSessionInfo: SoftHSM2 alone {alone} ns; through the simulator {behind} ns; without its socket {watching} ns"
    );
    assert!(behind.saturating_sub(alone) < MOST_NS, "{behind} ns through the simulator, {alone} ns alone");
    assert!(watching.saturating_sub(alone) < MOST_NS, "{watching} ns without the socket, {alone} ns alone");
}

#[test]
fn pkcs11_tool_prints_the_same() {
    not_run::lacking(
        "no package has google/pkcs11test. By hand: what fails behind the simulator fails alone, and no more",
    );
    let Some(real) = softhsm() else { return };
    if Command::new("pkcs11-tool").arg("--help").output().is_err() {
        return not_run::missing("pkcs11-tool is not installed (apt-get install opensc)");
    }
    let subject = Subject::new(real, false);
    let user = "--token-label trial --login --pin 1234";
    for arguments in [
        "--slot-index 0 --init-token --label trial --so-pin 56785678",
        "--token-label trial --login --login-type so --so-pin 56785678 --init-pin --pin 1234",
        &format!("{user} --keypairgen --key-type EC:edwards25519 --id 01 --label log"),
        &format!("{user} --keypairgen --key-type rsa:2048 --id 02 --label rsa"),
        &format!("{user} --keypairgen --key-type EC:prime256v1 --id 03 --label ec"),
    ] {
        subject.tool(arguments, true);
    }
    for arguments in [
        "--list-slots",
        "--token-label trial --list-mechanisms",
        &format!("{user} --list-objects"),
        &format!("{user} --test"),
        &format!("{user} --test-fork"),
        "--token-label trial --login --pin 4321 --list-objects",
    ] {
        let printed = subject.tool(arguments, true);
        assert_eq!(printed, subject.tool(arguments, false), "pkcs11-tool {arguments}");
        assert!(!printed.is_empty());
    }
    let objects = subject.tool(&format!("{user} --list-objects"), true);
    assert_eq!(objects.matches("Private Key Object").count(), 3, "{objects}");
}
