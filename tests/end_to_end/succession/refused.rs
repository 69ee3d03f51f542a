//! What opens no log: too few, other or older signatures, other keys, other numbers, a running appliance.

use std::path::Path;

use super::{
    REASON, both_sign, contents, export, held_ceremony, log, name, name_next, sign, staffed, statement,
    succeed,
};
use crate::support::{Appliance, Hsm, assent};

const NAMESPACE: &str = "assent-succession@v1";

fn refused(appliance: &Appliance, signatures: &[&str], with: (i32, &str)) {
    let (code, _, talk) = succeed(appliance, REASON, signatures);
    assert!(code == with.0 && talk.contains(with.1), "expected {with:?}, got {code} {talk}");
    assert!(!appliance.data().join("log-2.redb").exists(), "nothing is opened");
    assert!(!appliance.data().join("log-2.keys.toml").exists(), "no key is pinned");
}

#[test]
fn too_few_foreign_and_older_signatures_open_nothing() {
    let mut appliance = staffed(Hsm::Simulator);
    name_next(&appliance, 2, "02");
    let text = statement(&appliance, REASON);
    assert!(
        text.starts_with("assent/succession/v1\nfrom localhost/dev/log/1\nto localhost/dev/log/2\n"),
        "{text}"
    );
    let [alice, bob] = both_sign(&appliance, &text);
    let carol = sign(&appliance, "carol", NAMESPACE, &text);
    refused(&appliance, &[&alice], (3, "signed by 1 of the 2"));
    refused(&appliance, &[&alice, &alice], (3, "signed by 1 of the 2"));
    refused(&appliance, &[&alice, &carol], (3, "by no listed key"));
    let (code, _, talk) = succeed(&appliance, "another reason", &[&alice, &bob]);
    assert!(code == 3 && talk.contains("over another statement"), "{code} {talk}");
    let bob = sign(&appliance, "bob", "assent-rearm@v1", &text);
    refused(&appliance, &[&alice, &bob], (3, "signed in the namespace"));
    let [alice, bob] = both_sign(&appliance, &text);
    // The old log goes on for a moment: what was signed does not name its last head any more.
    name(&appliance, 1, "01");
    appliance.launch();
    assert!(appliance.stop(), "it stops");
    name(&appliance, 2, "02");
    refused(&appliance, &[&alice, &bob], (3, "over another statement"));
    // Another key, another statement.
    name_next(&appliance, 2, "03");
    refused(&appliance, &[&alice, &bob], (3, "over another statement"));
}

#[test]
fn a_running_appliance_an_older_key_and_other_numbers_are_refused() {
    let mut appliance = staffed(Hsm::Simulator);
    appliance.launch();
    name(&appliance, 2, "02");
    refused(&appliance, &[], (1, "stop it first"));
    assert!(appliance.stop(), "it stops");
    let log_lock = std::fs::File::open(appliance.log()).expect("the log");
    log_lock.lock().expect("as a process without a control socket would");
    refused(&appliance, &[], (1, "stop it first"));
    drop(log_lock);
    name(&appliance, 2, "01");
    refused(&appliance, &[], (3, "no log is opened for a key of an older one"));
    name(&appliance, 2, "77");
    refused(&appliance, &[], (3, "no private Ed25519 key with that id"));
    name_next(&appliance, 3, "02");
    refused(&appliance, &[], (1, "the next one is 2, and `appliance.log` is 3"));
    name(&appliance, 1, "02");
    refused(&appliance, &[], (1, "the first log follows no other"));
    name(&appliance, 2, "02");
    let (code, _, talk) = succeed(&appliance, "two\nlines", &[]);
    assert!(code == 1 && talk.contains("one line"), "{code} {talk}");
    let (code, _, talk) = assent(Some(&appliance.config()), &["init"]);
    assert!(code == 4 && talk.contains("opened by operators"), "{code} {talk}");
    let (code, _, talk) = assent(Some(&appliance.config()), &["trust", "export"]);
    assert!(code == 1 && talk.contains("log 2 is not open"), "{code} {talk}");
}

#[test]
fn a_log_without_a_checkpoint_and_an_appliance_without_operators_have_no_ceremony() {
    let mut appliance = staffed(Hsm::Simulator);
    // A log of another name, which nothing was ever signed in.
    let config = std::fs::read_to_string(appliance.config()).expect("the configuration");
    for part in ["data", "fence"] {
        let part = appliance.folder.path().join(part);
        std::fs::rename(&part, part.with_extension("old")).expect("moved");
    }
    std::fs::write(appliance.config(), config.replace("name = \"dev\"", "name = \"fresh\""))
        .expect("written");
    let (code, _, talk) = assent(Some(&appliance.config()), &["init"]);
    assert_eq!(code, 0, "{talk}");
    name_next(&appliance, 2, "02");
    refused(&appliance, &[], (1, "was never used"));
    std::fs::write(appliance.config(), &config).expect("written");
    for part in ["data", "fence"] {
        let part = appliance.folder.path().join(part);
        let _ = std::fs::remove_dir_all(&part);
        std::fs::rename(part.with_extension("old"), &part).expect("moved back");
    }
    let unstaffed: String = config
        .lines()
        .filter(|line| !line.starts_with("operators"))
        .map(|line| format!("{line}\n"))
        .collect();
    std::fs::write(appliance.config(), unstaffed).expect("written");
    name(&appliance, 2, "02");
    refused(&appliance, &[], (1, "no operators are named"));
    std::fs::write(appliance.config(), &config).expect("written");
    appliance.launch();
}

#[test]
fn signatures_serve_once() {
    let appliance = staffed(Hsm::Simulator);
    name_next(&appliance, 2, "02");
    let [alice, bob] = both_sign(&appliance, &statement(&appliance, REASON));
    assert_eq!(succeed(&appliance, REASON, &[&alice, &bob]).0, 0);
    let first = contents(Path::new(&log(&appliance, 2)));
    let (code, _, talk) = succeed(&appliance, REASON, &[&alice, &bob]);
    assert!(
        code == 0 && talk.contains("was open, by this statement"),
        "the same again changes nothing: {talk}"
    );
    let (code, _, talk) = {
        let [alice, bob] = both_sign(&appliance, &statement(&appliance, "another reason"));
        succeed(&appliance, "another reason", &[&alice, &bob])
    };
    assert!(code == 3 && talk.contains("is open already, by another statement"), "{code} {talk}");
    assert_eq!(contents(Path::new(&log(&appliance, 2))), first);
    // Whoever deletes the new log and holds the ceremony again is refused by what the HSM remembers.
    for name in ["data/log-2.redb", "data/log-2.keys.toml", "fence/checkpoint-2"] {
        std::fs::remove_file(appliance.folder.path().join(name)).expect(name);
    }
    let [alice, bob] = both_sign(&appliance, &statement(&appliance, REASON));
    let (code, _, talk) = succeed(&appliance, REASON, &[&alice, &bob]);
    assert!(code == 3 && talk.contains("was begun before"), "{code} {talk}");
}

#[test]
fn a_third_log_follows_the_second() {
    let mut appliance = staffed(Hsm::Simulator);
    for (number, key) in [(2, "02"), (3, "03")] {
        name_next(&appliance, number, key);
        held_ceremony(&appliance);
        let trust = std::fs::read_to_string(export(&appliance)).expect("a trust file");
        assert_eq!(u32::try_from(trust.matches("[[origin]]").count()), Ok(number), "{trust}");
        appliance.launch_next();
        appliance.stop_and_verify_log();
    }
    name(&appliance, 4, "01");
    let (code, _, talk) = succeed(&appliance, REASON, &[]);
    assert!(code == 3 && talk.contains("key 01 is one of `localhost/dev/log/1`"), "{code} {talk}");
}
