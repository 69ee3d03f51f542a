//! Log and fence put back together, a log that was forked, an object that was deleted: the HSM remembers, and nothing opens.

use super::{configure, fenced, held, kept, label, message, on_each, opensc, restore, save};
use crate::operators::{Office, staffed};
use crate::support::agent::{Agent, allowed};
use crate::support::{Appliance, Hsm, assent};

/// So many batches of one intent, all of them allowed.
fn grow(appliance: &Appliance, batches: usize) {
    let agent = Agent::connect(appliance);
    for _ in 0..batches {
        assert!(agent.preauthorize(&[allowed()]).all_allowed());
    }
}

#[test]
fn a_log_and_its_fence_that_are_put_back_together_are_refused_by_the_hsm() {
    on_each(|hsm| {
        let mut appliance = fenced(hsm, "hsm = \"on\"");
        grow(&appliance, 3);
        assert!(appliance.stop(), "it stops");
        save(&appliance, "older");
        appliance.launch();
        grow(&appliance, 3);
        assert!(appliance.stop(), "what it leaves in the HSM is the end of its log");
        save(&appliance, "newest");
        restore(&appliance, "older");
        let (code, out, talk) = assent(Some(&appliance.config()), &["log", "verify"]);
        assert_eq!(code, 0, "nothing on the disks tells: {out}{talk}");
        appliance.launch_closed();
        let status = held(&appliance, "fence_mismatch");
        assert!(message(&status).contains("an older log was put back"), "{status:?}");
        assert!(message(&status).contains("assent log succeed"), "{status:?}");
        appliance.kill();
        appliance.launch_closed();
        held(&appliance, "fence_mismatch");
        appliance.kill();
        // The newest one is not refused, once the latch that this left has been answered: there is none beside that fence.
        restore(&appliance, "newest");
        appliance.launch();
        grow(&appliance, 1);
    });
}

#[test]
fn operators_who_order_re_arm_do_not_open_a_log_that_is_behind() {
    let mut appliance = staffed("");
    grow(&appliance, 1);
    assert!(appliance.stop(), "it stops");
    save(&appliance, "older");
    appliance.launch();
    grow(&appliance, 1);
    assert!(appliance.stop(), "it stops");
    save(&appliance, "newest");
    restore(&appliance, "older");
    appliance.launch_closed();
    let first = held(&appliance, "fence_mismatch").epoch;
    let office = Office { appliance: &appliance };
    let statement = office.statement(false);
    assert!(statement.contains("cause fence_mismatch"), "{statement}");
    let [alice, bob] = ["alice", "bob"].map(|name| office.sign(name, "assent-rearm@v1", &statement));
    let (code, talk) = office.order(false, &[&alice, &bob]);
    assert!(code == 5 && talk.contains("an older log was put back"), "{code} {talk}");
    assert!(held(&appliance, "fence_mismatch").epoch > first, "closed again, in an epoch of its own");
    // With the newest log in place, but the latch of this one, they may.
    appliance.kill();
    let latch = appliance.folder.path().join("fence/checkpoint.latch");
    let latched = std::fs::read(&latch).expect("a latch");
    restore(&appliance, "newest");
    std::fs::write(&latch, latched).expect("put back");
    appliance.launch_closed();
    held(&appliance, "fence_mismatch");
    let office = Office { appliance: &appliance };
    let statement = office.statement(false);
    let [alice, bob] = ["alice", "bob"].map(|name| office.sign(name, "assent-rearm@v1", &statement));
    assert_eq!(office.order(false, &[&alice, &bob]).0, 0);
    appliance.wait_until_open();
}

#[test]
fn a_log_that_went_another_way_is_refused_by_the_hsm() {
    on_each(|hsm| {
        let mut appliance = fenced(hsm, "");
        assert!(appliance.stop(), "it stops");
        save(&appliance, "before");
        appliance.launch();
        grow(&appliance, 2);
        assert!(appliance.stop(), "it stops");
        restore(&appliance, "before");
        // Somebody who can change the configuration has it go on without the HSM's fence, and puts that back later.
        configure(&appliance, "hsm = \"off\"");
        appliance.launch();
        grow(&appliance, 9);
        assert!(appliance.stop(), "it stops");
        configure(&appliance, "hsm = \"auto\"");
        appliance.launch_closed();
        let status = held(&appliance, "fence_mismatch");
        assert!(message(&status).contains("the log was forked"), "{status:?}");
    });
}

#[test]
fn an_older_log_is_seen_by_the_fence_and_whoever_removes_that_is_seen_too() {
    let mut appliance = Appliance::start(Hsm::Simulator);
    grow(&appliance, 2);
    assert!(appliance.stop(), "it stops");
    save(&appliance, "older");
    appliance.launch();
    grow(&appliance, 2);
    assert!(appliance.stop(), "it stops");
    let fence = appliance.folder.path().join("fence/checkpoint");
    let newest = std::fs::read(&fence).expect("the fence");
    restore(&appliance, "older");
    let told = |appliance: &Appliance, options: &[&str]| {
        let (code, out, talk) = assent(Some(&appliance.config()), &[&["log", "verify"], options].concat());
        format!("{code} {out}{talk}")
    };
    std::fs::write(&fence, newest).expect("the newest fence");
    let text = told(&appliance, &[]);
    assert!(text.starts_with("3 ") && text.contains("an older log was put back"), "{text}");
    std::fs::remove_file(&fence).expect("removed");
    let text = told(&appliance, &[]);
    assert!(text.starts_with("3 ") && text.contains("is missing: an older log"), "{text}");
    let text = told(&appliance, &["--log", &appliance.log().display().to_string()]);
    assert!(text.starts_with("0 ") && text.contains("held against no checkpoint from elsewhere"), "{text}");
}

#[test]
fn to_verify_a_log_changes_no_byte_of_it() {
    let mut appliance = Appliance::start(Hsm::Simulator);
    grow(&appliance, 3);
    // What a kill leaves is mended where it is read, in memory only.
    appliance.kill();
    let before = std::fs::read(appliance.log()).expect("the log");
    for command in [&["log", "verify"][..], &["log", "show"], &["log", "report", "--out", "/dev/null"]] {
        let (code, out, talk) = assent(Some(&appliance.config()), command);
        assert_eq!(code, 0, "{out}{talk}");
        assert!(std::fs::read(appliance.log()).expect("the log") == before, "{command:?}");
    }
    appliance.launch();
}

#[test]
fn a_fence_that_was_deleted_from_the_hsm_is_missed() {
    on_each(|hsm| {
        let mut appliance = fenced(hsm, "");
        kept(&appliance, 1);
        let label = label(&appliance);
        assert!(appliance.stop(), "it stops");
        let fence = std::fs::read(appliance.folder.path().join("fence/checkpoint")).expect("the fence");
        let note = appliance.folder.path().join("note");
        save(&appliance, "whole");
        let Some(listed) = opensc(&appliance, hsm, &["--list-objects", "--type", "data"]) else { return };
        assert!(listed.contains(&label), "{listed}");
        opensc(&appliance, hsm, &["--delete-object", "--type", "data", "--label", &label]);
        appliance.launch_closed();
        let status = held(&appliance, "fence_mismatch");
        assert!(message(&status).contains("has lost its fence"), "{status:?}");
        appliance.kill();
        // Something else in its place is no fence either; the newest note, put back by hand, is.
        let put_back = |appliance: &Appliance, text: &[u8]| {
            restore(appliance, "whole");
            let _ = std::fs::write(&note, text);
            let path = note.display().to_string();
            let write = ["--write-object", &path, "--type", "data", "--private", "--label", &label];
            opensc(appliance, hsm, &write)
        };
        put_back(&appliance, b"nothing of ours");
        appliance.launch_closed();
        let status = held(&appliance, "fence_mismatch");
        assert!(message(&status).contains("as this log's fence is none"), "{status:?}");
        appliance.kill();
        put_back(&appliance, &fence);
        appliance.launch();
        grow(&appliance, 1);
    });
}

#[test]
fn a_log_that_the_hsm_remembers_is_not_founded_again() {
    on_each(|hsm| {
        let mut appliance = fenced(hsm, "");
        kept(&appliance, 1);
        assert!(appliance.stop(), "it stops");
        for part in ["data", "fence"] {
            std::fs::remove_dir_all(appliance.folder.path().join(part)).expect("removed");
        }
        let (code, _, talk) = assent(Some(&appliance.config()), &["init"]);
        assert!(code == 3 && talk.contains("that log was begun before"), "{code} {talk}");
        assert!(!talk.contains("shows no key"), "that is not what is wrong: {talk}");
        assert!(!appliance.log().exists(), "nothing was made");
    });
}
