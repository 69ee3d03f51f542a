//! What can be wrong with module, slot, PIN and key: each by its own name, and no PIN try spent in vain.

use appliance::hsm::{FaultKind, HsmSettings};

use crate::scratch::{PATIENCE, Scratch, talk, with_each_hsm};

#[test]
fn a_wrong_pin_is_tried_once() {
    with_each_hsm(|scratch| {
        scratch.keyed();
        assert_eq!(scratch.refused(&scratch.settings(), "wrong-pin"), FaultKind::PinIncorrect);
        if scratch.tells_tries() {
            assert_eq!(scratch.tries(), "low");
        }
        drop(scratch.signer());
        assert_eq!(scratch.tries(), "all", "the right PIN is taken afterwards");
    });
}

#[test]
fn the_last_try_is_left_to_a_person() {
    let scratch = Scratch::simulator();
    scratch.keyed();
    let settings = scratch.settings();
    // Of the simulator's ten tries, nine: were a start to spend two, the PIN would be locked.
    for _ in 0..9 {
        assert_eq!(scratch.refused(&settings, "wrong-pin"), FaultKind::PinIncorrect);
    }
    assert_eq!(scratch.tries(), "last");
    assert_eq!(scratch.refused(&settings, "wrong-pin"), FaultKind::PinFinalTry);
    assert_eq!(scratch.refused(&settings, "pin"), FaultKind::PinFinalTry);
    assert_eq!(scratch.assent("hsm check", &["--allow-simulator"]).status.code(), Some(3));
    assert_eq!(scratch.tries(), "last", "nobody tried");
    let checked = scratch.assent("hsm check", &["--allow-simulator", "--last-try"]);
    assert_eq!(checked.status.code(), Some(0), "{}", talk(&checked));
    assert_eq!(scratch.tries(), "all");
}

#[test]
fn a_locked_pin_is_not_tried() {
    let scratch = Scratch::simulator();
    scratch.keyed();
    for _ in 0..9 {
        assert_eq!(scratch.refused(&scratch.settings(), "wrong-pin"), FaultKind::PinIncorrect);
    }
    let locked = scratch.assent_with_pin("wrong-pin", "hsm check", &["--allow-simulator", "--last-try"]);
    assert_eq!(locked.status.code(), Some(3), "{}", talk(&locked));
    assert_eq!(scratch.refused(&scratch.settings(), "pin"), FaultKind::PinLocked);
    assert_eq!(scratch.tries(), "locked");
}

#[test]
fn slot_and_key_must_be_those_that_are_pinned() {
    with_each_hsm(|scratch| {
        scratch.keyed();
        let good = scratch.settings();
        let cases = [
            (HsmSettings { slot_label: "other".to_owned(), ..good.clone() }, FaultKind::SlotAbsent),
            (HsmSettings { slot_serial: Some("0000".to_owned()), ..good.clone() }, FaultKind::SerialOther),
            (HsmSettings { key_id: vec![9], ..good.clone() }, FaultKind::KeyAbsent),
        ];
        for (settings, expected) in cases {
            assert_eq!(scratch.refused(&settings, "pin"), expected);
        }
        assert_eq!(scratch.tries(), "all");
    });
}

#[test]
fn a_simulator_is_refused_before_it_sees_a_pin() {
    let scratch = Scratch::simulator();
    let settings = HsmSettings { allow_simulator: false, ..scratch.keyed().settings() };
    assert_eq!(scratch.refused(&settings, "wrong-pin"), FaultKind::SimulatorRefused);
    assert_eq!(scratch.tries(), "all");
}

#[test]
fn a_module_without_its_environment_has_no_slot() {
    with_each_hsm(|scratch| {
        let settings = HsmSettings { environment: [].into(), ..scratch.keyed().settings() };
        let fault = scratch.refused(&settings, "pin");
        assert!(matches!(fault, FaultKind::SlotAbsent | FaultKind::ModuleFailed), "{fault:?}");
    });
}

#[test]
fn a_key_that_could_leave_is_refused() {
    let Some(scratch) = Scratch::softhsm() else { return };
    let made = ["--keypairgen", "--key-type", "EC:edwards25519", "--id", "01", "--extractable"];
    let Some(made) = scratch.opensc(&made) else { return };
    assert!(made.status.success(), "{}", talk(&made));
    assert_eq!(scratch.refused(&scratch.settings(), "pin"), FaultKind::KeyExtractable);
    let checked = scratch.assent("hsm check", &[]);
    assert_eq!(checked.status.code(), Some(3));
    let printed = String::from_utf8(checked.stdout).unwrap();
    assert!(printed.contains("fail  key never extractable"), "{printed}");
    assert!(printed.contains("assent keys generate"), "{printed}");
}

#[test]
fn two_keys_with_one_id_are_none() {
    with_each_hsm(|scratch| {
        scratch.keyed();
        let again = ["--keypairgen", "--key-type", "EC:edwards25519", "--id", "01", "--label", "second"];
        let Some(again) = scratch.opensc(&again) else { return };
        assert!(again.status.success(), "{}", talk(&again));
        assert_eq!(scratch.refused(&scratch.settings(), "pin"), FaultKind::KeyAmbiguous);
    });
}

#[test]
fn a_key_of_another_kind_is_none() {
    let Some(scratch) = Scratch::softhsm() else { return };
    let made = ["--keypairgen", "--key-type", "EC:prime256v1", "--id", "01"];
    let Some(made) = scratch.opensc(&made) else { return };
    assert!(made.status.success(), "{}", talk(&made));
    assert_eq!(scratch.refused(&scratch.settings(), "pin"), FaultKind::KeyAbsent);
}

#[test]
fn a_child_that_says_what_was_not_asked_is_not_believed() {
    let scratch = Scratch::simulator();
    let cases = [
        ("noise", r"printf '\001\000\000\000\377' >&0; exec /bin/cat >/dev/null", FaultKind::FrameUnexpected),
        (
            "early",
            r"printf '\003\000\000\000\001\000\000' >&0; exec /bin/cat >/dev/null",
            FaultKind::FrameUnexpected,
        ),
        ("flood", r"printf '\377\377\377\377' >&0; exec /bin/cat >/dev/null", FaultKind::FrameUnexpected),
        ("cut", r"printf '\377\000\000\000\000' >&0", FaultKind::SignerLost),
        ("mute", "exit 0", FaultKind::SignerLost),
    ];
    for (name, script, expected) in cases {
        let program = scratch.program(name, script);
        let settings = HsmSettings { signer_program: Some(program), ..scratch.settings() };
        assert_eq!(scratch.refused(&settings, "pin"), expected, "{name}");
    }
    let absent = HsmSettings { signer_program: Some(scratch.file("absent")), ..scratch.settings() };
    assert_eq!(scratch.refused(&absent, "pin"), FaultKind::SignerUnstarted);
}

#[test]
fn a_child_that_never_answers_misses_the_deadline_of_its_start() {
    let scratch = Scratch::simulator();
    let program = scratch.program("silent", "exec /bin/cat >/dev/null");
    let settings = HsmSettings { signer_program: Some(program), ..scratch.settings() };
    let deadline = std::time::Duration::from_millis(50);
    assert!(deadline < PATIENCE);
    let started = appliance::hsm::Signer::start(&settings, &scratch.pin("pin"), deadline, |_| {});
    assert_eq!(started.unwrap_err().fault(), FaultKind::DeadlineMissed);
}
