//! Setting faults: which calls they strike, who sees them, the socket, the command, slot events and the pace.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::RvError;
use firmware_sim::faults::control::{SOCKET, ask};

use crate::faulty::{DEADLINE, Faulty, Signer, aside, code, waits};
use crate::scratch::{Scratch, built_module, key_pair, user_session};

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
fn a_profile_holds_from_the_next_load_on() {
    let scratch = Scratch::new();
    let command = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_firmware-sim"));
        let output = command.args(arguments).env(firmware_sim::ENV_DIR, scratch.state()).output().unwrap();
        (output.status.success(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
    };
    let (set, said) = command(&["profile", "yubihsm2"]);
    assert!(set && said == "pace from the next load on: yubihsm2\n", "{said}");
    let module = scratch.provisioned_with_key();
    let slot = module.get_slots_with_initialized_token().unwrap()[0];
    let signer = Signer::new(user_session(&module, slot));
    // The process that has loaded it keeps its pace.
    let (set, said) = command(&["--profile", "none"]);
    assert!(set && said.ends_with("none\n"), "{said}");
    let began = crate::strikes::now_us();
    signer.sign().unwrap();
    let took = crate::strikes::now_us() - began;
    assert!(took >= 114_000, "{took} us");
    assert!(command(&["status"]).1.contains("loads it now: none"));
    let (set, said) = command(&["profile", "fast"]);
    assert!(!set && said.contains("yubihsm2 or network-hsm"), "{said}");
    assert!(!command(&["profile"]).0);
    assert!(command(&["status", "--json"]).1.contains("\"pace\":\"none\""));
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
    let module = Pkcs11::new(built_module()).unwrap();
    module.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)).unwrap();
    let slot = module.get_slots_with_initialized_token().unwrap()[0];
    Signer::new(user_session(&module, slot)).sign().unwrap();
}

#[test]
fn a_crash_kills_the_process_once() {
    let faulty = Faulty::new();
    let child = || {
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "fault_control::child_that_signs", "--ignored"])
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
    assert!(shown && status.contains("pace of a process that loads it now: none"), "{status}");
    let line = status.lines().last().unwrap().split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(line.starts_with("1 1 1 ") && line.ends_with(" - zero --times 3"), "{status}");
    assert!(command(&["status", "--json"]).1.starts_with('{'));
    assert_eq!(command(&["clear"]), (true, "cleared 1\n".to_owned()));
    assert!(!command(&["inject", "explode"]).0);
    assert!(command(&["--help"]).1.contains("Usage"));
}
