//! `assent hsm` and `assent keys`, as an operator meets them.

use std::process::{Command, Stdio};

use crate::scratch::{LABEL, talk, with_each_hsm};

#[test]
fn a_slot_is_listed_initialised_keyed_and_checked() {
    with_each_hsm(|scratch| {
        let listed = scratch.json("hsm list", &[]);
        assert_eq!(listed["schema"], "assent.v1.hsm.list");
        let slots = listed["slots"].as_array().unwrap();
        let ours = slots.iter().find(|slot| slot["label"] == LABEL).unwrap();
        assert_eq!(ours["signs_ed25519"], true);
        assert_eq!(ours["simulator"], scratch.is_simulator());

        let made = scratch.json("keys generate", &["--key-id", "a1b2", "--label", "first"]);
        assert_eq!(made["schema"], "assent.v1.keys.generate");
        assert_eq!(made["slot_serial"], ours["serial"]);
        let keys = scratch.json("keys list", &[]);
        assert_eq!(keys["schema"], "assent.v1.keys.list");
        assert_eq!(keys["keys"].as_array().unwrap().len(), 1);
        let key = &keys["keys"][0];
        assert_eq!((&key["key_id"], &key["label"]), (&"a1b2".into(), &"first".into()));
        assert_eq!(key["public_key"], made["public_key"]);
        assert_eq!(key["lacks"].as_array().unwrap().len(), 0);

        let mut arguments = vec!["--key-id", "a1b2"];
        if scratch.is_simulator() {
            arguments.push("--allow-simulator");
        }
        let checked = scratch.json("hsm check", &arguments);
        assert_eq!(checked["schema"], "assent.v1.hsm.check");
        assert_eq!(checked["passed"], true, "{checked}");
        let checks = checked["checks"].as_array().unwrap();
        assert!(checks.iter().any(|check| check["check"] == "signer process signs"), "{checked}");
    });
}

#[test]
fn nothing_that_is_there_is_overwritten() {
    with_each_hsm(|scratch| {
        scratch.keyed();
        let before = scratch.json("keys list", &[]);
        let again = scratch.assent("keys generate", &[]);
        assert_eq!(again.status.code(), Some(3));
        assert!(talk(&again).contains("--key-id"), "{}", talk(&again));
        let so_pin = scratch.file("so-pin");
        let again = scratch.assent("hsm init", &["--so-pin-file", so_pin.to_str().unwrap()]);
        assert_eq!(again.status.code(), Some(3));
        assert_eq!(scratch.json("keys list", &[]), before);
    });
}

#[test]
fn a_pin_that_the_slot_does_not_take_leaves_it_free() {
    with_each_hsm(|scratch| {
        scratch.write("short", b"12\n");
        let listed = scratch.json("hsm list", &[]);
        let good = scratch.file("so-pin");
        let short = scratch.file("short");
        for (so_pin, pin, whose) in [(&short, "pin", "security officer's PIN"), (&good, "short", "user PIN")]
        {
            let options = ["--slot-label", "second", "--so-pin-file", so_pin.to_str().unwrap()];
            let refused = scratch.assent_with_pin(pin, "hsm init", &options);
            assert_eq!(refused.status.code(), Some(3), "{}", talk(&refused));
            let told = talk(&refused);
            assert!(
                told.contains(&format!("the {whose} has 2 bytes, and the slot takes 4 to 255")),
                "{told}"
            );
            assert_eq!(scratch.json("hsm list", &[]), listed, "nothing was changed");
        }
    });
}

#[test]
fn exit_codes_tell_what_is_away_from_what_is_wrong() {
    with_each_hsm(|scratch| {
        let away = scratch.assent("hsm check", &["--slot-label", "other"]);
        assert_eq!(away.status.code(), Some(5), "{}", talk(&away));
        let usage = scratch.assent("hsm check", &["--key-id", "not hexadecimal"]);
        assert_eq!(usage.status.code(), Some(1), "{}", talk(&usage));
        let wrong = scratch.assent_with_pin("wrong-pin", "keys list", &[]);
        assert_eq!(wrong.status.code(), Some(3));
        assert!(talk(&wrong).contains("tried once"), "{}", talk(&wrong));
    });
    let absent = Command::new(env!("CARGO_BIN_EXE_assent"))
        .args(["hsm", "list", "--module", "/nonexistent/module.so"])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert_eq!(absent.status.code(), Some(5), "{}", talk(&absent));
}

#[test]
fn the_signer_is_not_for_people() {
    let output =
        Command::new(env!("CARGO_BIN_EXE_assent")).arg("signer").stdin(Stdio::null()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(talk(&output).contains("started by the appliance"), "{}", talk(&output));
    let help = Command::new(env!("CARGO_BIN_EXE_assent")).arg("--help").output().unwrap();
    assert!(!String::from_utf8_lossy(&help.stdout).contains("signer"));
}
