//! Operators re-arm what must not re-arm by itself: who counts, for what, and for how long.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::agent::{Agent, allowed};
use crate::support::{Appliance, Hsm, assent, eventually, keygen};
use appliance::hsm::FaultClass;
use assent_client::outcome::Outcome;

/// Operators with keys of their own.
pub(crate) struct Office<'a> {
    pub(crate) appliance: &'a Appliance,
}

impl<'a> Office<'a> {
    /// Makes keys for these people; gives their public lines.
    fn keys(folder: &Path, names: &[&str]) -> Vec<String> {
        let line = |name: &&str| {
            keygen(folder, &["-q", "-t", "ed25519", "-N", "", "-C", name, "-f", name]);
            std::fs::read_to_string(folder.join(format!("{name}.pub"))).expect("a key").trim().to_owned()
        };
        names.iter().map(line).collect()
    }

    pub(crate) fn statement(&self, revoke: bool) -> String {
        let flags: &[&str] = if revoke { &["hsm", "rearm", "--revoke"] } else { &["hsm", "rearm"] };
        let (code, out, talk) = assent(Some(&self.appliance.config()), flags);
        assert_eq!(code, 4, "{talk}");
        assert!(talk.contains("to be signed by 2 of: alice, bob"), "{talk}");
        out
    }

    pub(crate) fn sign(&self, name: &str, namespace: &str, statement: &str) -> String {
        let folder = self.appliance.folder.path();
        std::fs::write(folder.join("statement"), statement).expect("a file");
        let _ = std::fs::remove_file(folder.join("statement.sig"));
        keygen(folder, &["-q", "-Y", "sign", "-n", namespace, "-f", name, "statement"]);
        let signature = folder.join(format!("{name}.sig"));
        std::fs::rename(folder.join("statement.sig"), &signature).expect("a signature");
        signature.display().to_string()
    }

    pub(crate) fn order(&self, revoke: bool, signatures: &[&String]) -> (i32, String) {
        let mut arguments = vec!["hsm", "rearm"];
        if revoke {
            arguments.push("--revoke");
        }
        for signature in signatures {
            arguments.extend(["--signature", signature]);
        }
        let (code, _, talk) = assent(Some(&self.appliance.config()), &arguments);
        (code, talk)
    }
}

/// Breaks the simulator of an appliance that is provisioned.
pub(crate) fn inject(appliance: &Appliance, fault: &str) {
    simulate(appliance, &format!("inject {fault}"));
}

/// Mends it.
pub(crate) fn clear(appliance: &Appliance) {
    simulate(appliance, "clear");
}

fn simulate(appliance: &Appliance, order: &str) {
    let program = Path::new(crate::support::ASSENT).with_file_name("firmware-sim");
    let mut command = Command::new(program);
    command.arg("--dir").arg(appliance.folder.path().join("hsm/simulator")).args(order.split(' '));
    assert!(command.stdout(Stdio::null()).status().expect("firmware-sim runs").success(), "{order}");
}

/// An appliance whose operators are alice and bob; carol is nobody here.
pub(crate) fn staffed(settings: &str) -> Appliance {
    let mut appliance = Appliance::start(Hsm::Simulator);
    assert!(appliance.stop(), "it stops");
    let lines = Office::keys(appliance.folder.path(), &["alice", "bob", "carol"]);
    let config = std::fs::read_to_string(appliance.config()).expect("the configuration");
    let hsm = format!("[hsm]\noperators = {:?}\nheartbeat = \"50ms\"\n{settings}\n", &lines[..2]);
    std::fs::write(appliance.config(), config.replace("[hsm]\n", &hsm)).expect("a configuration");
    appliance.launch();
    appliance
}

pub(crate) fn is_closed_for_operators(appliance: &Appliance) -> bool {
    let status = appliance.status().expect("it answers");
    !status.boundaries.token.open && status.boundaries.token.class == Some(FaultClass::Integrity)
}

#[test]
fn a_bad_signature_closes_until_two_operators_signed_and_a_restart_does_not_open_it() {
    let mut appliance = staffed("");
    inject(&appliance, "corrupt --times 1");
    eventually("it is closed for operators", || is_closed_for_operators(&appliance).then_some(()));
    let first = appliance.status().expect("it answers").epoch;
    // Denials of the outage are written, and with them the trip.
    let denied = Agent::connect(&appliance).preauthorize(&[allowed()]);
    assert!(matches!(denied.iter().next(), Some(Outcome::Unavailable(_))));
    appliance.kill();
    appliance.launch_closed();
    assert!(is_closed_for_operators(&appliance), "{:?}", appliance.status());
    let office = Office { appliance: &appliance };
    let statement = office.statement(false);
    assert!(statement.starts_with("assent/rearm/v1\norigin "), "{statement}");
    let [alice, bob, carol] =
        ["alice", "bob", "carol"].map(|name| office.sign(name, "assent-rearm@v1", &statement));
    for (signatures, why) in [
        (vec![&alice], "signed by 1 of the 2"),
        (vec![&alice, &alice], "signed by 1 of the 2"),
        (vec![&alice, &carol], "by no listed key"),
    ] {
        let (code, talk) = office.order(false, &signatures);
        assert_eq!(code, 3, "{talk}");
        assert!(talk.contains(why), "{talk}");
    }
    let elsewhere = office.sign("carol", "assent-bundle@v1", &statement);
    assert_eq!(office.order(false, &[&alice, &bob, &elsewhere]).0, 3, "another namespace");
    let (code, talk) = office.order(true, &[&alice, &bob]);
    assert_eq!(code, 3, "they did not sign that tokens be revoked: {talk}");
    assert!(is_closed_for_operators(&appliance));
    let (code, talk) = office.order(false, &[&alice, &bob]);
    assert_eq!(code, 0, "{talk}");
    assert_eq!(appliance.status().expect("it answers").lowest_epoch, 0, "nobody revoked anything");

    // The same signatures are for that epoch, and no other.
    inject(&appliance, "zero --times 1");
    eventually("it is closed again", || {
        let status = appliance.status()?;
        (status.epoch > first && is_closed_for_operators(&appliance)).then_some(())
    });
    let (code, talk) = office.order(false, &[&alice, &bob]);
    assert_eq!(code, 3, "{talk}");
    assert!(talk.contains("over another statement"), "{talk}");

    let statement = office.statement(true);
    let [alice, bob] = ["alice", "bob"].map(|name| office.sign(name, "assent-rearm@v1", &statement));
    assert_eq!(office.order(true, &[&alice, &bob]).0, 0);
    let status = appliance.wait_until_open();
    assert_eq!(status.lowest_epoch, status.epoch, "what was decided before is to be refused");
    let report = appliance.stop_and_verify_log();
    assert_eq!(report["kinds"]["operator"], 2, "{report}");
    appliance.launch();
    assert_eq!(
        appliance.status().expect("it answers").lowest_epoch,
        status.epoch,
        "a restart does not forget"
    );
}

#[test]
fn where_availability_is_left_to_operators_one_of_them_orders_it() {
    let mut appliance = staffed("rearm = \"operator\"");
    let agent = Agent::connect(&appliance);
    let epoch = appliance.wait_until_open().epoch;
    inject(&appliance, "rv 0x30 --times 1");
    eventually("it closes", || appliance.status().filter(|status| status.epoch > epoch));
    let outcomes = agent.preauthorize(&[allowed()]);
    assert!(matches!(outcomes.iter().next(), Some(Outcome::Unavailable(_))));
    let office = Office { appliance: &appliance };
    let (code, statement, talk) = assent(Some(&appliance.config()), &["hsm", "rearm"]);
    assert!(code == 4 && talk.contains("to be signed by 1 of: alice, bob"), "{talk}");
    let bob = office.sign("bob", "assent-rearm@v1", &statement);
    let (code, talk) = office.order(false, &[&bob]);
    assert_eq!(code, 0, "{talk}");
    drop(agent);
    appliance.stop_and_verify_log();
}

#[test]
fn nobody_can_order_where_nobody_is_named_or_it_opens_by_itself() {
    let appliance = Appliance::start(Hsm::Simulator);
    let (code, _, talk) = assent(Some(&appliance.config()), &["hsm", "rearm"]);
    assert!(code == 0 && talk.contains("is open"), "{code} {talk}");
    inject(&appliance, "corrupt --times 1");
    eventually("it is closed for operators", || is_closed_for_operators(&appliance).then_some(()));
    let (code, _, talk) = assent(Some(&appliance.config()), &["hsm", "rearm"]);
    assert!(code == 1 && talk.contains("list their keys under `hsm.operators`"), "{code} {talk}");
}

/// Its entry is in the log, and the HSM fails before the boundary opens: what two had to sign for, two have to sign for again.
#[test]
fn an_ordered_rearm_that_does_not_open_is_the_operators_again_and_not_one_operators() {
    let mut appliance = staffed("rearm = \"operator\"");
    inject(&appliance, "corrupt --times 1");
    eventually("it is closed for operators", || is_closed_for_operators(&appliance).then_some(()));
    // A process of its own: the one before wrote the HSM's fence just now, and would not write it again so soon.
    appliance.kill();
    appliance.launch_closed();
    inject(&appliance, "rv 0x32 --call C_CreateObject");
    let office = Office { appliance: &appliance };
    let sign = |statement: &str| ["alice", "bob"].map(|name| office.sign(name, "assent-rearm@v1", statement));
    let first = appliance.status().expect("it answers").epoch;
    let [alice, bob] = sign(&office.statement(false));
    let (code, talk) = office.order(false, &[&alice, &bob]);
    assert_ne!(code, 0, "{talk}");
    let epoch = eventually("it did not open", || {
        let status = appliance.status()?;
        (status.epoch > first && !status.boundaries.token.open).then_some(status.epoch)
    });
    assert!(is_closed_for_operators(&appliance), "{:?}", appliance.status());
    clear(&appliance);
    // That two are to sign, the statement's text says.
    let [alice, bob] = sign(&office.statement(false));
    let (code, talk) = office.order(false, &[&alice]);
    assert!(code == 3 && talk.contains("signed by 1 of the 2"), "{code} {talk}");
    assert_eq!(office.order(false, &[&alice, &bob]).0, 0);
    assert_eq!(appliance.wait_until_open().epoch, epoch);
    appliance.stop_and_verify_log();
}
