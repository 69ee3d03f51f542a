//! Faults in the middle of a rotation: before the commit nothing has happened, and the operator hears why.

use std::process::Command;

use assent_proto::hash::Hash;
use rustix::process::{Signal, kill_process};

use super::{announce, export, refused, rotate, signing};
use crate::support::agent::{Agent, allowed};
use crate::support::{ASSENT, Appliance, Hsm};

/// An appliance whose idle signer signs nothing, so that a fault meets whom it is meant for.
fn without_heartbeat() -> Appliance {
    let mut appliance = Appliance::start(Hsm::Simulator);
    assert!(appliance.stop());
    let config = std::fs::read_to_string(appliance.config()).expect("the configuration");
    let config = config.replace("slot_label", "heartbeat = \"1m\"\nslot_label");
    std::fs::write(appliance.config(), config).expect("the configuration");
    appliance.launch();
    announce(&appliance, "02");
    appliance
}

fn firmware_sim(appliance: &Appliance, arguments: &[&str]) {
    let program = std::path::Path::new(ASSENT).with_file_name("firmware-sim");
    let state = appliance.folder.path().join("hsm/simulator");
    let output = Command::new(program).args(arguments).env("FIRMWARE_SIM_DIR", state).output();
    let output = output.expect("firmware-sim runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn still_releases(appliance: &Appliance) {
    let agent = Agent::connect(appliance);
    assert!(agent.preauthorize(&[allowed()]).all_allowed());
}

/// Whether it fails while it proves itself, or in the very round in which it is to take over.
#[test]
fn new_key_that_signs_badly_does_not_take_over() {
    let mut appliance = without_heartbeat();
    let size = appliance.status().expect("it answers").counters.log_size;
    for good in ["0", "3"] {
        firmware_sim(&appliance, &["inject", "corrupt", "--after", good, "--times", "1"]);
        let (code, talk) = refused(&appliance, &["keys", "rotate", "--key-id", "02", "--trust-carried"]);
        assert!(
            code == 3 && talk.contains("the old one signs on") && talk.contains("does not verify"),
            "{talk}"
        );
        firmware_sim(&appliance, &["clear"]);
        let status = appliance.status().expect("it answers");
        assert_eq!((status.key.cka_id.as_str(), status.epoch, status.boundaries.token.open), ("01", 0, true));
        assert_eq!(status.counters.log_size, size, "nothing was written");
    }
    still_releases(&appliance);
    rotate(&appliance, "02");
    still_releases(&appliance);
    appliance.stop_and_verify_log();
}

#[test]
fn new_key_whose_signer_dies_does_not_take_over() {
    let mut appliance = without_heartbeat();
    for good in ["0", "3"] {
        firmware_sim(&appliance, &["inject", "abort", "--after", good, "--times", "1"]);
        let (code, talk) = refused(&appliance, &["keys", "rotate", "--key-id", "02", "--trust-carried"]);
        assert!(
            code == 5 && talk.contains("the old one signs on") && talk.contains("signer"),
            "{code} {talk}"
        );
        firmware_sim(&appliance, &["clear"]);
        let status = appliance.status().expect("it answers");
        assert_eq!((status.key.cka_id.as_str(), status.epoch, status.boundaries.token.open), ("01", 0, true));
    }
    rotate(&appliance, "02");
    appliance.stop_and_verify_log();
}

#[test]
fn old_key_that_fails_in_the_round_closes_the_boundary_and_nothing_is_rotated() {
    let mut appliance = without_heartbeat();
    kill_process(appliance.signer(), Signal::STOP).expect("the signer can be stopped");
    let (code, talk) = refused(&appliance, &["keys", "rotate", "--key-id", "02", "--trust-carried"]);
    assert!(code == 5 && talk.contains("nothing was rotated") && talk.contains("in time"), "{code} {talk}");
    let status = appliance.wait_until_open();
    assert_eq!((status.key.cka_id.as_str(), status.epoch), ("01", 1));
    still_releases(&appliance);
    rotate(&appliance, "02");
    let report = appliance.stop_and_verify_log();
    assert_eq!((&report["kinds"]["trip"], &report["kinds"]["key"]), (&1.into(), &2.into()));
}

#[test]
fn new_signer_that_dies_later_is_armed_again_with_the_new_key() {
    let appliance = without_heartbeat();
    rotate(&appliance, "02");
    kill_process(appliance.signer(), Signal::KILL).expect("the signer can be killed");
    crate::support::eventually("it arms again", || {
        appliance.status().filter(|status| status.epoch == 1 && status.boundaries.token.open)
    });
    assert_eq!(signing(&appliance), "02");
    still_releases(&appliance);
}

/// No signature covers the ring's dates; here they are made older, as time would, and the file's digest with them.
#[test]
fn key_whose_last_tokens_are_over_is_retired_and_the_log_vouches_for_it() {
    const TWO_DAYS_MS: u64 = 2 * 24 * 60 * 60 * 1000;
    let mut appliance = without_heartbeat();
    let rotated = rotate(&appliance, "02");
    assert!(appliance.stop());
    let ring = appliance.data().join("log-1.keys.toml");
    let text = std::fs::read_to_string(&ring).expect("the ring");
    let over = rotated["before_over_ms"].as_u64().expect("a time");
    let since = text.lines().filter_map(|line| line.strip_prefix("since_ms = ")?.parse::<u64>().ok()).max();
    let since = since.expect("since when the new key signs");
    assert_eq!(over - since, 24 * 60 * 60 * 1000 + 2_000);
    let older = (since - TWO_DAYS_MS).to_string();
    let (above, _) = text.rsplit_once("# digest: ").expect("a digest");
    let above = above.replace(&since.to_string(), &older);
    let digest = Hash::of_labelled(b"assent/keys/v1\0", [above.as_bytes()]);
    std::fs::write(&ring, format!("{above}# digest: {digest}\n")).expect("the ring");
    appliance.launch();
    assert_eq!(export(&appliance, "trust.toml").keys().len(), 1, "an export leaves out what is over");
    super::done(&appliance, &["keys", "retire", "01"]);
    let (code, talk) = refused(&appliance, &["keys", "retire", "01"]);
    assert!(code == 3 && talk.contains("retired already"), "{talk}");
    let listed = super::json(&appliance, &["keys", "list"]);
    let old = listed["keys"].as_array().expect("keys").iter().find(|key| key["key_id"] == "01");
    assert_eq!(old.expect("the old key")["log"]["state"], "retired");
    still_releases(&appliance);
    appliance.stop_and_verify_log();
    let trust = appliance.folder.path().join("trust.toml").display().to_string();
    let report = super::json(&appliance, &["log", "verify", "--trust", &trust]);
    let trusted: Vec<_> =
        report["keys"].as_array().expect("keys").iter().map(|key| &key["trusted"]).collect();
    assert_eq!(trusted, [&false, &true], "the newest key is trusted, the log vouches for the other");
}
