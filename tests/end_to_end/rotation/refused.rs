//! What is refused: keys that cannot be authority keys, keys that were in force before, and moments at which nobody rotates.
//! The key that signs signs on.

use std::path::Path;
use std::process::{Command, Stdio};

use appliance::clock::Stopwatch;
use rustix::process::{Signal, kill_process};

use super::{announce, done, export, refused, rotate, signing};
use crate::support::agent::{Agent, allowed};
use crate::support::{Appliance, Hsm, eventually, not_run, softhsm};

/// Runs OpenSC's tool on the appliance's SoftHSM2, if it is installed.
fn opensc(appliance: &Appliance, arguments: &[&str]) -> bool {
    let mut tool = Command::new("pkcs11-tool");
    tool.args(["--module", softhsm::MODULE, "--token-label", "assent-test", "--login", "--pin", "24680"]);
    tool.args(arguments).env("SOFTHSM2_CONF", appliance.folder.path().join("hsm/softhsm2.conf"));
    let Ok(output) = tool.stdin(Stdio::null()).output() else {
        not_run::missing("pkcs11-tool is not installed (apt-get install opensc)");
        return false;
    };
    let talk = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "pkcs11-tool {}: {talk}", arguments.join(" "));
    true
}

const PAIR: [&str; 3] = ["--keypairgen", "--key-type", "EC:edwards25519"];

fn still_releases(appliance: &Appliance) {
    let agent = Agent::connect(appliance);
    assert!(agent.preauthorize(&[allowed()]).all_allowed());
}

#[test]
fn keys_that_cannot_sign_here_are_refused() {
    let appliance = Appliance::start(Hsm::Simulator);
    let (code, talk) = refused(&appliance, &["keys", "announce", "--key-id", "01"]);
    assert!(code == 3 && talk.contains("never comes back"), "{code} {talk}");
    let (code, talk) = refused(&appliance, &["keys", "announce", "--key-id", "09"]);
    assert!(
        code == 3 && talk.contains("no private Ed25519 key") && talk.contains("keys list"),
        "{code} {talk}"
    );
    done(&appliance, &["keys", "generate", "--key-id", "02"]);
    let (code, talk) = refused(&appliance, &["keys", "rotate", "--key-id", "02", "--trust-carried"]);
    assert!(code == 3 && talk.contains("keys announce --key-id 02"), "{code} {talk}");
    done(&appliance, &["keys", "announce", "--key-id", "02"]);
    let (code, talk) = refused(&appliance, &["keys", "rotate", "--key-id", "02"]);
    assert!(code == 1 && talk.contains("--trust-carried"), "nobody is there to be asked: {code} {talk}");
    let (code, talk) = refused(&appliance, &["keys", "announce", "--key-id", "x"]);
    assert!(code == 1 && talk.contains("hexadecimal"), "{code} {talk}");
    assert_eq!(signing(&appliance), "01");
    still_releases(&appliance);
}

#[test]
fn no_key_comes_back_and_none_is_retired_while_its_tokens_may_be_good() {
    let appliance = Appliance::start(Hsm::Simulator);
    announce(&appliance, "02");
    let (code, talk) = refused(&appliance, &["keys", "retire", "01"]);
    assert!(code == 3 && talk.contains("rotate to another"), "{code} {talk}");
    rotate(&appliance, "02");
    for back in ["announce", "rotate"] {
        let mut arguments = vec!["keys", back, "--key-id", "01"];
        arguments.extend((back == "rotate").then_some("--trust-carried"));
        let (code, talk) = refused(&appliance, &arguments);
        assert!(code == 3 && talk.contains("never comes back"), "{code} {talk}");
    }
    let (code, talk) = refused(&appliance, &["keys", "rotate", "--key-id", "02", "--trust-carried"]);
    assert!(code == 3 && talk.contains("never comes back"), "the second time: {code} {talk}");
    let (code, talk) = refused(&appliance, &["keys", "retire", "01"]);
    assert!(code == 3 && talk.contains("86") && talk.contains(" s; retire it then"), "{code} {talk}");
    assert_eq!(export(&appliance, "after.toml").keys().len(), 2);
    announce(&appliance, "0a");
    assert_eq!(export(&appliance, "after.toml").keys().len(), 3);
    rotate(&appliance, "0a");
    assert_eq!(signing(&appliance), "0a", "a third key takes over like the second");
    still_releases(&appliance);
}

#[test]
fn key_that_could_leave_does_not_take_over() {
    if !softhsm::present() {
        return;
    }
    let appliance = Appliance::start(Hsm::SoftHsm);
    if !opensc(&appliance, &[&PAIR[..], &["--id", "03", "--extractable"]].concat()) {
        return;
    }
    let (code, talk) = refused(&appliance, &["keys", "announce", "--key-id", "03"]);
    assert!(
        code == 3 && talk.contains("can leave the HSM") && talk.contains("the old one signs on"),
        "{talk}"
    );
    opensc(&appliance, &[&PAIR[..], &["--id", "04"]].concat());
    opensc(&appliance, &[&PAIR[..], &["--id", "04"]].concat());
    let (code, talk) = refused(&appliance, &["keys", "announce", "--key-id", "04"]);
    assert!(code == 3 && talk.contains("more than one key"), "{talk}");

    // Announced while it was good, and another one under its id when it is to take over.
    announce(&appliance, "05");
    opensc(&appliance, &["--delete-object", "--type", "privkey", "--id", "05"]);
    opensc(&appliance, &["--delete-object", "--type", "pubkey", "--id", "05"]);
    done(&appliance, &["keys", "generate", "--key-id", "05"]);
    let (code, talk) = refused(&appliance, &["keys", "rotate", "--key-id", "05", "--trust-carried"]);
    assert!(code == 3 && talk.contains("not the pinned one"), "{talk}");
    assert_eq!((signing(&appliance).as_str(), appliance.status().expect("it answers").epoch), ("01", 0));
    still_releases(&appliance);
}

#[test]
fn imported_key_does_not_take_over() {
    if !softhsm::present() {
        return;
    }
    let appliance = Appliance::start(Hsm::SoftHsm);
    let pem = appliance.folder.path().join("imported.pem");
    let made = Command::new("openssl").args(["genpkey", "-algorithm", "ed25519", "-out"]).arg(&pem).output();
    if !made.is_ok_and(|made| made.status.success()) {
        return not_run::missing("openssl is not installed (apt-get install openssl)");
    }
    import(&appliance, &pem);
    let (code, talk) = refused(&appliance, &["keys", "announce", "--key-id", "06"]);
    assert!(code == 3 && talk.contains("the old one signs on"), "{code} {talk}");
    assert!(
        talk.contains("once was not") || talk.contains("not made in this HSM") || talk.contains("once could"),
        "{talk}"
    );
    assert_eq!(signing(&appliance), "01");
}

/// Puts a key that was made elsewhere into the slot.
fn import(appliance: &Appliance, pem: &Path) {
    let imported = Command::new("softhsm2-util")
        .args(["--import"])
        .arg(pem)
        .args(["--token", "assent-test", "--label", "imported", "--id", "06", "--pin", "24680"])
        .env("SOFTHSM2_CONF", appliance.folder.path().join("hsm/softhsm2.conf"))
        .output()
        .expect("softhsm2-util runs");
    let talk = String::from_utf8_lossy(&imported.stderr);
    assert!(imported.status.success(), "{talk}");
}

#[test]
fn nobody_rotates_while_the_boundary_is_closed_or_the_appliance_stopped() {
    if !softhsm::present() {
        return;
    }
    let mut appliance = Appliance::start(Hsm::SoftHsm);
    announce(&appliance, "02");
    let (tokens, away) =
        (appliance.folder.path().join("hsm/tokens"), appliance.folder.path().join("hsm/away"));
    std::fs::rename(&tokens, &away).expect("a folder can be moved");
    kill_process(appliance.signer(), Signal::KILL).expect("the signer can be killed");
    eventually("the boundary closes", || appliance.status().filter(|status| !status.boundaries.token.open));
    for order in ["announce", "rotate"] {
        let mut arguments = vec!["keys", order, "--key-id", "02"];
        arguments.extend((order == "rotate").then_some("--trust-carried"));
        let (code, talk) = refused(&appliance, &arguments);
        assert!(code == 5 && talk.contains("boundary is closed"), "{code} {talk}");
    }
    std::fs::rename(&away, &tokens).expect("a folder can be moved");
    appliance.wait_until_open();
    assert_eq!(signing(&appliance), "01");
    assert!(appliance.stop());
    let (code, talk) = refused(&appliance, &["keys", "rotate", "--key-id", "02", "--trust-carried"]);
    assert!(code == 5 && talk.contains("assent serve"), "{code} {talk}");
    appliance.launch();
    rotate(&appliance, "02");
    appliance.stop_and_verify_log();
}

/// The cause that is expected, and what is done to the key.
type Change<'c> = (&'c str, &'c dyn Fn(&Appliance) -> bool);

/// Attributes and public key are looked at each time that a signer starts, not only when the log was founded.
#[test]
fn changed_keys_do_not_arm_again() {
    if !softhsm::present() {
        return;
    }
    let delete = |appliance: &Appliance| {
        ["privkey", "pubkey"]
            .iter()
            .all(|class| opensc(appliance, &["--delete-object", "--type", class, "--id", "01"]))
    };
    let another = |appliance: &Appliance, more: &[&str]| {
        opensc(appliance, &[&PAIR[..], &["--id", "01"], more].concat())
    };
    // A key that is added beside disturbs nobody until the next arming; to change one, the appliance has to be down.
    let appliance = Appliance::start(Hsm::SoftHsm);
    if !another(&appliance, &[]) {
        return;
    }
    kill_process(appliance.signer(), Signal::KILL).expect("the signer can be killed");
    stays_closed(&appliance, "key_ambiguous");

    let cases: [Change<'_>; 3] = [
        ("wrong_key", &|appliance| delete(appliance) && another(appliance, &[])),
        ("key_extractable", &|appliance| delete(appliance) && another(appliance, &["--extractable"])),
        ("key_absent", &delete),
    ];
    for (cause, change) in cases {
        let mut appliance = Appliance::start(Hsm::SoftHsm);
        assert!(appliance.stop() && change(&appliance));
        appliance.launch_closed();
        stays_closed(&appliance, cause);
    }
}

/// Closed for this cause, and nobody tries again by himself: an availability fault would have been tried every half second.
fn stays_closed(appliance: &Appliance, cause: &str) {
    let closed = eventually("the changed key is found", || {
        let token = appliance.status()?.boundaries.token;
        (token.cause.as_deref() == Some(cause)).then_some(token)
    });
    assert!(!closed.open, "{closed:?}");
    let attempts = || appliance.traces().matches("not armed").count();
    let (tried, watch) = (attempts(), Stopwatch::start());
    eventually("there was time for another attempt", || (watch.elapsed().as_millis() > 1_500).then_some(()));
    assert_eq!(attempts(), tried, "{cause}");
}
