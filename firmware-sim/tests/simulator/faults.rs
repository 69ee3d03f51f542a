//! Faults over the stand-alone simulator: each row of the fault table, when it strikes, and how it is set and cleared.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

use cryptoki::context::Pkcs11;
use cryptoki::error::{Error, RvError};
use cryptoki::mechanism::Mechanism;
use cryptoki::mechanism::eddsa::{EddsaParams, EddsaSignatureScheme};
use cryptoki::object::{Attribute, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, UserType};
use cryptoki::slot::Slot;
use ed25519_dalek::{Signature, VerifyingKey};
use firmware_sim::faults::control::{SOCKET, ask};

use crate::scratch::{Scratch, key_pair, pin, point, user_session};

const MESSAGE: &[u8] = b"assent";

/// Long enough to tell a call that waits from one that does not.
const MOMENT: Duration = Duration::from_millis(60);
/// Long enough for anything that is to come.
const DEADLINE: Duration = Duration::from_secs(20);

/// A provisioned simulator with a key and a logged-in session.
struct Faulty {
    scratch: Scratch,
    module: Pkcs11,
    slot: Slot,
    key: VerifyingKey,
}

impl Faulty {
    fn new() -> Self {
        let scratch = Scratch::new();
        let (module, slot) = scratch.provisioned();
        let session = user_session(&module, slot);
        let key = VerifyingKey::from_bytes(&point(&session, key_pair(&session, 1).0)).unwrap();
        Self { scratch, module, slot, key }
    }

    fn command(&self, command: &str) -> String {
        ask(&self.scratch.state(), command).unwrap()
    }

    fn inject(&self, fault: &str) {
        self.command(&format!("inject {fault}"));
    }

    fn clear(&self) {
        self.command("clear");
    }

    /// A new session, logged in, with the private key found.
    fn signer(&self) -> Signer {
        Signer::new(user_session(&self.module, self.slot))
    }

    fn is_genuine(&self, signature: &[u8]) -> bool {
        self.verifies(MESSAGE, signature)
    }

    fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        self.key.verify_strict(message, &Signature::from_slice(signature).unwrap()).is_ok()
    }
}

struct Signer {
    session: Session,
    private: ObjectHandle,
}

impl Signer {
    fn new(session: Session) -> Self {
        let private = session.find_objects(&[Attribute::Class(ObjectClass::PRIVATE_KEY)]).unwrap()[0];
        Self { session, private }
    }

    fn sign(&self) -> Result<Vec<u8>, Error> {
        let pure = Mechanism::Eddsa(EddsaParams::new(EddsaSignatureScheme::Pure));
        self.session.sign(&pure, self.private, MESSAGE)
    }

    /// Signs in a thread of its own.
    fn sign_aside(self) -> Receiver<Result<Vec<u8>, Error>> {
        aside(move || self.sign())
    }
}

fn aside<T: Send + 'static>(call: impl FnOnce() -> T + Send + 'static) -> Receiver<T> {
    let (sender, receiver) = sync_channel(1);
    std::thread::Builder::new().spawn(move || drop(sender.send(call()))).unwrap();
    receiver
}

#[track_caller]
fn waits<T>(call: &Receiver<T>) {
    assert_eq!(call.recv_timeout(MOMENT).err(), Some(RecvTimeoutError::Timeout), "the call did not wait");
}

fn code<T>(result: Result<T, Error>) -> RvError {
    match result {
        Err(Error::Pkcs11(code, _)) => code,
        Err(other) => panic!("{other}"),
        Ok(_) => RvError::GeneralError,
    }
}

#[test]
fn remove_ends_the_sessions_until_the_device_is_back() {
    let faulty = Faulty::new();
    let signer = faulty.signer();
    faulty.inject("remove");
    assert_eq!(code(signer.sign()), RvError::DeviceRemoved);
    assert_eq!(code(faulty.module.open_ro_session(faulty.slot)), RvError::TokenNotPresent);
    assert_eq!(code(faulty.module.get_token_info(faulty.slot)), RvError::TokenNotPresent);
    assert_eq!(faulty.module.get_slots_with_token().unwrap(), []);
    assert!(!faulty.module.get_slot_info(faulty.slot).unwrap().token_present());
    faulty.clear();
    assert_eq!(code(signer.sign()), RvError::SessionHandleInvalid);
    assert!(faulty.is_genuine(&faulty.signer().sign().unwrap()));
}

#[test]
fn reboot_ends_the_sessions_once() {
    let faulty = Faulty::new();
    let signer = faulty.signer();
    faulty.inject("reboot");
    assert_eq!(code(signer.sign()), RvError::SessionHandleInvalid);
    assert!(faulty.is_genuine(&faulty.signer().sign().unwrap()));
}

#[test]
fn logout_loses_the_login_once() {
    let faulty = Faulty::new();
    let signer = faulty.signer();
    faulty.inject("logout");
    assert_eq!(code(signer.sign()), RvError::UserNotLoggedIn);
    signer.session.login(UserType::User, Some(&pin("1234"))).unwrap();
    assert!(faulty.is_genuine(&Signer::new(signer.session).sign().unwrap()));
}

#[test]
fn absent_starts_without_a_slot() {
    let faulty = Faulty::new();
    faulty.inject("absent");
    assert_eq!(faulty.module.get_all_slots().unwrap(), []);
    assert_eq!(faulty.scratch.start().get_all_slots().unwrap(), []);
    assert_eq!(code(faulty.module.get_token_info(faulty.slot)), RvError::SlotIdInvalid);
    faulty.clear();
    assert_eq!(faulty.module.get_slots_with_initialized_token().unwrap(), [faulty.slot]);
}

#[test]
fn a_signature_that_hangs_is_late_and_right() {
    let faulty = Faulty::new();
    faulty.inject("hang sign");
    let signature = faulty.signer().sign_aside();
    waits(&signature);
    // Nothing else hangs.
    faulty.module.get_token_info(faulty.slot).unwrap();
    faulty.clear();
    assert!(faulty.is_genuine(&signature.recv_timeout(DEADLINE).unwrap().unwrap()));
}

#[test]
fn a_hang_for_a_time_ends_by_itself() {
    let faulty = Faulty::new();
    faulty.inject("hang sign --for 200ms");
    let signature = faulty.signer().sign_aside();
    waits(&signature);
    assert!(faulty.is_genuine(&signature.recv_timeout(DEADLINE).unwrap().unwrap()));
    assert!(faulty.is_genuine(&faulty.signer().sign().unwrap()));
    assert!(faulty.command("status").contains("\"faults\":[]"));
}

#[test]
fn the_last_call_to_be_struck_hangs_too() {
    let faulty = Faulty::new();
    faulty.inject("hang sign --times 1");
    let (first, second) = (faulty.signer(), faulty.module.open_ro_session(faulty.slot).unwrap());
    let hanging = first.sign_aside();
    waits(&hanging);
    assert!(faulty.is_genuine(&Signer::new(second).sign().unwrap()));
    waits(&hanging);
    faulty.clear();
    assert!(hanging.recv_timeout(DEADLINE).unwrap().is_ok());
}

#[test]
fn when_all_hangs_nothing_returns() {
    let faulty = Faulty::new();
    let session = faulty.module.open_ro_session(faulty.slot).unwrap();
    let (module, slot) = (faulty.module.clone(), faulty.slot);
    faulty.inject("hang all");
    let calls = [aside(move || session.close().is_ok()), aside(move || module.get_token_info(slot).is_ok())];
    calls.iter().for_each(waits);
    let module = faulty.module.clone();
    let finalized = aside(move || module.finalize().is_ok());
    waits(&finalized);
    faulty.clear();
    assert!(calls.iter().all(|call| call.recv_timeout(DEADLINE).is_ok()));
    assert!(finalized.recv_timeout(DEADLINE).unwrap());
}

#[test]
fn slow_takes_its_time_and_signs() {
    let faulty = Faulty::new();
    faulty.inject("slow 200ms");
    let signature = faulty.signer().sign_aside();
    waits(&signature);
    assert!(faulty.is_genuine(&signature.recv_timeout(DEADLINE).unwrap().unwrap()));
}

#[test]
fn busy_fails_without_poisoning_the_session() {
    let faulty = Faulty::new();
    let signer = faulty.signer();
    faulty.inject("busy");
    assert_eq!(code(signer.sign()), RvError::FunctionFailed);
    assert_eq!(code(signer.sign()), RvError::DeviceMemory);
    assert_eq!(code(faulty.module.open_ro_session(faulty.slot)), RvError::SessionCount);
    faulty.clear();
    assert!(faulty.is_genuine(&signer.sign().unwrap()));
}

#[test]
fn corrupt_flips_one_bit() {
    let faulty = Faulty::new();
    let signer = faulty.signer();
    let genuine = signer.sign().unwrap();
    faulty.inject("corrupt");
    for _ in 0..130 {
        let corrupt = signer.sign().unwrap();
        let flipped: u32 = genuine.iter().zip(&corrupt).map(|(a, b)| (a ^ b).count_ones()).sum();
        assert_eq!((corrupt.len(), flipped), (64, 1));
        assert!(!faulty.is_genuine(&corrupt));
    }
}

#[test]
fn zero_is_no_signature() {
    let faulty = Faulty::new();
    faulty.inject("zero");
    assert_eq!(faulty.signer().sign().unwrap(), [0; 64]);
}

#[test]
fn wrong_key_signs_under_another_key() {
    let faulty = Faulty::new();
    let signer = faulty.signer();
    let genuine = signer.sign().unwrap();
    faulty.inject("wrong-key");
    let wrong = signer.sign().unwrap();
    assert!(!faulty.is_genuine(&wrong));
    assert_eq!(wrong.len(), genuine.len());
    assert_eq!(wrong, signer.sign().unwrap());
    // The scalar half is reduced, as only a signer makes it.
    assert!(wrong[63] & 0xe0 == 0);
}

#[test]
fn wrong_message_is_a_genuine_signature_of_something_else() {
    let faulty = Faulty::new();
    faulty.inject("wrong-message");
    let wrong = faulty.signer().sign().unwrap();
    assert!(!faulty.is_genuine(&wrong));
    assert!(faulty.verifies(b"`ssent", &wrong));
}

#[test]
fn wipe_hides_the_keys_and_clear_brings_them_back() {
    let faulty = Faulty::new();
    let signer = faulty.signer();
    faulty.inject("wipe");
    assert_eq!(code(signer.sign()), RvError::KeyHandleInvalid);
    assert_eq!(signer.session.find_objects(&[]).unwrap(), []);
    faulty.clear();
    assert!(faulty.is_genuine(&signer.sign().unwrap()));
}

#[test]
fn a_locked_pin_is_shown_and_refused() {
    let faulty = Faulty::new();
    faulty.inject("pin-locked");
    let session = faulty.module.open_ro_session(faulty.slot).unwrap();
    assert_eq!(code(session.login(UserType::User, Some(&pin("1234")))), RvError::PinLocked);
    assert!(faulty.module.get_token_info(faulty.slot).unwrap().user_pin_locked());
    faulty.clear();
    assert!(!faulty.module.get_token_info(faulty.slot).unwrap().user_pin_locked());
    session.login(UserType::User, Some(&pin("1234"))).unwrap();
}

#[test]
fn a_poisoned_session_stays_so_and_a_new_one_is_not() {
    let faulty = Faulty::new();
    let (poisoned, other) = (faulty.signer(), faulty.module.open_ro_session(faulty.slot).unwrap());
    faulty.inject("poison");
    for _ in 0..3 {
        assert_eq!(code(poisoned.sign()), RvError::OperationActive);
    }
    assert!(faulty.is_genuine(&Signer::new(other).sign().unwrap()));
}

#[test]
fn a_failed_self_test_stops_what_needs_the_device() {
    let faulty = Faulty::new();
    let signer = faulty.signer();
    faulty.inject("self-test");
    assert_eq!(code(signer.sign()), RvError::FipsSelfTestFailed);
    assert_eq!(code(faulty.module.open_ro_session(faulty.slot)), RvError::FipsSelfTestFailed);
    assert!(faulty.module.get_token_info(faulty.slot).unwrap().error_state());
}

#[test]
fn any_code_is_answered_to_any_call() {
    let faulty = Faulty::new();
    let signer = faulty.signer();
    faulty.inject("rv 0x80000384");
    assert!(matches!(code(signer.sign()), RvError::VendorDefined(_)));
    faulty.clear();
    faulty.inject("rv 0x32 --call C_GetSessionInfo --call C_Login");
    assert_eq!(code(signer.session.get_session_info()), RvError::DeviceRemoved);
    assert!(faulty.is_genuine(&signer.sign().unwrap()));
}

#[test]
fn after_and_times_say_which_calls_are_struck() {
    let faulty = Faulty::new();
    let signer = faulty.signer();
    faulty.inject("zero --after 2 --times 2");
    let genuine: Vec<bool> = (0..6).map(|_| faulty.is_genuine(&signer.sign().unwrap())).collect();
    assert_eq!(genuine, [true, true, false, false, true, true]);
    assert!(faulty.command("status").contains("\"faults\":[]"));
}

#[test]
fn a_seed_strikes_the_same_calls_in_every_run() {
    let run = || {
        let faulty = Faulty::new();
        let signer = faulty.signer();
        faulty.inject("zero --probability 0.5 --seed 7");
        (0..64).map(|_| faulty.is_genuine(&signer.sign().unwrap())).collect::<Vec<bool>>()
    };
    let first = run();
    assert_eq!(first, run());
    assert!(first.contains(&true) && first.contains(&false));
}

#[test]
fn a_fault_outlives_the_process_that_met_it() {
    let scratch = Scratch::new();
    let (module, slot) = scratch.provisioned();
    module.finalize().unwrap();
    assert!(!scratch.state().join(SOCKET).exists());
    ask(&scratch.state(), "inject remove").unwrap();
    assert!(ask(&scratch.state(), "status").unwrap().contains("\"process\":null"));
    for _ in 0..2 {
        let module = scratch.start();
        assert_eq!(code(module.open_ro_session(slot)), RvError::TokenNotPresent);
        module.finalize().unwrap();
    }
    ask(&scratch.state(), "clear").unwrap();
    scratch.start().open_ro_session(slot).unwrap();
}

#[test]
fn a_process_that_serves_no_socket_sees_the_faults_too() {
    let faulty = Faulty::new();
    let second = faulty.scratch.start();
    let signer = Signer::new(user_session(&second, faulty.slot));
    faulty.inject("zero --times 1");
    assert_eq!(signer.sign().unwrap(), [0; 64]);
    // It is spent for the one that serves, too.
    assert!(faulty.is_genuine(&faulty.signer().sign().unwrap()));
    assert!(faulty.is_genuine(&signer.sign().unwrap()));
}

#[test]
fn status_counts_what_was_met_and_struck() {
    let faulty = Faulty::new();
    let signer = faulty.signer();
    faulty.inject("corrupt --after 1");
    (0..3).for_each(|_| drop(signer.sign()));
    let status: serde_json::Value = serde_json::from_str(&faulty.command("status")).unwrap();
    assert_eq!(status["process"], std::process::id());
    assert_eq!(status["faults"][0]["fault"], "corrupt --after 1");
    assert_eq!((&status["faults"][0]["met"], &status["faults"][0]["struck"]), (&3.into(), &2.into()));
}

#[test]
fn one_fault_is_cleared_by_its_number() {
    let faulty = Faulty::new();
    let (zero, slow) = (faulty.command("inject zero"), faulty.command("inject slow 1ms"));
    assert_eq!(faulty.command(&format!("clear {zero}")), "1");
    assert!(faulty.is_genuine(&faulty.signer().sign().unwrap()));
    assert!(ask(&faulty.scratch.state(), &format!("clear {zero}")).is_err());
    assert_eq!(faulty.command(&format!("clear {slow}")), "1");
}

#[test]
fn what_is_no_command_is_refused_with_a_reason() {
    let faulty = Faulty::new();
    for (command, reason) in [
        ("inject explode", "`explode` is no fault"),
        ("inject slow", "needs a value"),
        ("explode", "is no command"),
        ("clear 99", "no fault `99` is set"),
        (&"x".repeat(2000), "at most"),
    ] {
        let refused = ask(&faulty.scratch.state(), command).unwrap_err().to_string();
        assert!(refused.contains(reason), "{refused}");
    }
    for _ in 0..32 {
        faulty.inject("slow 1ms --after 1000");
    }
    assert!(
        ask(&faulty.scratch.state(), "inject zero").unwrap_err().to_string().contains("32 faults are set")
    );
}

#[test]
fn the_socket_is_for_its_owner_only() {
    let faulty = Faulty::new();
    let mode = std::fs::metadata(faulty.scratch.state().join(SOCKET)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn slots_report_what_comes_and_goes() {
    let faulty = Faulty::new();
    let event = || faulty.module.get_slot_event().unwrap();
    assert_eq!(event(), None);
    faulty.inject("remove");
    assert_eq!(event(), Some(faulty.slot));
    let (module, slot) = (faulty.module.clone(), faulty.slot);
    while event().is_some() {}
    let waiting = aside(move || module.wait_for_slot_event().unwrap() == slot);
    waits(&waiting);
    faulty.clear();
    assert!(waiting.recv_timeout(DEADLINE).unwrap());
}

#[test]
fn waiting_for_an_event_ends_when_the_module_is_finalized() {
    let faulty = Faulty::new();
    let module = faulty.module.clone();
    let waiting = aside(move || code(module.wait_for_slot_event()));
    waits(&waiting);
    faulty.module.clone().finalize().unwrap();
    assert_eq!(waiting.recv_timeout(DEADLINE).unwrap(), RvError::CryptokiNotInitialized);
}

#[test]
fn a_pace_is_kept() {
    let scratch = Scratch::new();
    std::fs::create_dir(scratch.state()).unwrap();
    std::fs::write(scratch.state().join(firmware_sim::SETTINGS_FILE), "latency = '200ms'\nat_once = 1")
        .unwrap();
    let (module, slot) = scratch.provisioned();
    let session = user_session(&module, slot);
    key_pair(&session, 1);
    let signature = Signer::new(session).sign_aside();
    waits(&signature);
    assert!(signature.recv_timeout(DEADLINE).unwrap().is_ok());
}

#[test]
fn settings_that_cannot_be_meant_stop_the_start() {
    let scratch = Scratch::new();
    std::fs::create_dir(scratch.state()).unwrap();
    std::fs::write(scratch.state().join(firmware_sim::SETTINGS_FILE), "profile = 'fast'").unwrap();
    assert!(std::panic::catch_unwind(|| scratch.start()).is_err());
}

/// The child of the next test, in whose process the fault kills.
#[test]
#[ignore = "run by `a_crash_kills_the_process_once`"]
fn child_that_signs() {
    let module = Pkcs11::new(crate::scratch::built_module()).unwrap();
    module
        .initialize(cryptoki::context::CInitializeArgs::new(
            cryptoki::context::CInitializeFlags::OS_LOCKING_OK,
        ))
        .unwrap();
    let slot = module.get_slots_with_initialized_token().unwrap()[0];
    Signer::new(user_session(&module, slot)).sign().unwrap();
}

#[test]
fn a_crash_kills_the_process_once() {
    let faulty = Faulty::new();
    let child = || {
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "faults::child_that_signs", "--ignored"])
            .env(firmware_sim::ENV_DIR, faulty.scratch.state())
            .output()
            .unwrap()
            .status
    };
    for (fault, signal) in [("segfault", 11), ("abort", 6)] {
        faulty.inject(fault);
        assert_eq!(child().signal(), Some(signal), "{fault}");
        assert!(child().success(), "{fault}");
    }
}

#[test]
fn the_command_sets_shows_and_clears() {
    let faulty = Faulty::new();
    let command = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_firmware-sim"))
            .args(arguments)
            .env(firmware_sim::ENV_DIR, faulty.scratch.state())
            .output()
            .unwrap();
        let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        (output.status.success(), text)
    };
    assert_eq!(command(&["inject", "zero", "--times", "3"]), (true, "fault 1 is set\n".to_owned()));
    assert_eq!(faulty.signer().sign().unwrap(), [0; 64]);
    let (shown, status) = command(&["status"]);
    assert!(shown && status.contains("     1         1         1  zero --times 3"), "{status}");
    assert!(command(&["status", "--json"]).1.starts_with('{'));
    assert_eq!(command(&["clear"]), (true, "cleared 1\n".to_owned()));
    assert!(!command(&["inject", "explode"]).0);
    assert!(command(&["--help"]).1.contains("Usage"));
}
