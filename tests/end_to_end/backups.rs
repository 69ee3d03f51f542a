//! Backups: made under load and put back, whole; nothing is replaced, no key slips in, and an older log is not served.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use crate::crash::{all_are_in_the_log, tokens_of};
use crate::fences::{held, message};
use crate::support::agent::{Agent, allowed, allowed_batch, batch_id};
use crate::support::{Appliance, Hsm, assent, eventually};
use assent_client::batch::Batch;

/// Enough batches of the most intents that one volume is bound, and then some.
const BATCHES: usize = 68;

/// Batches with their answers.
type Answered = Vec<(Batch, Vec<u8>)>;

fn create(appliance: &Appliance, name: &str, options: &[&str]) -> PathBuf {
    let to = appliance.folder.path().join(name);
    let place = to.display().to_string();
    let (code, out, talk) =
        assent(Some(&appliance.config()), &[&["backup", "create", &place], options].concat());
    assert_eq!(code, 0, "{out}{talk}");
    to
}

fn restore(appliance: &Appliance, from: &Path) -> (i32, String) {
    let place = from.display().to_string();
    let (code, out, talk) = assent(Some(&appliance.config()), &["backup", "restore", &place]);
    (code, out + &talk)
}

fn ask(agent: &Agent, intents: usize, batches: usize) -> Answered {
    let intents = allowed_batch(intents);
    let ask = |_| {
        let batch = Batch::new(batch_id(), &intents).expect("a batch");
        let reply = agent.reply(&batch);
        (batch, reply)
    };
    (0..batches).map(ask).collect()
}

/// Asks until it is told to stop; gives the answers.
fn load(appliance: &Appliance, stop: &Arc<AtomicBool>) -> JoinHandle<Answered> {
    let (agent, stop) = (Agent::connect(appliance), Arc::clone(stop));
    let run = move || {
        let mut answered = Answered::new();
        while !stop.load(Ordering::SeqCst) {
            answered.extend(ask(&agent, 32, 1));
        }
        answered
    };
    std::thread::Builder::new().spawn(run).expect("a thread")
}

/// The machine's disk is lost; the HSM is not.
fn lose(appliance: &Appliance, parts: &[&str]) {
    for part in parts {
        let path = appliance.folder.path().join(part);
        let removed =
            if path.is_dir() { std::fs::remove_dir_all(&path) } else { std::fs::remove_file(&path) };
        removed.expect("removed");
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let (mut files, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    files
}

#[test]
fn a_backup_under_load_is_whole_and_the_one_behind_the_stop_serves_on() {
    let mut appliance = Appliance::start(Hsm::Simulator);
    let agent = Agent::connect(&appliance);
    let mut answered = ask(&agent, 1024, BATCHES);
    let before = appliance.status().expect("it answers");
    let stop = Arc::new(AtomicBool::new(false));
    let asking = load(&appliance, &stop);
    let under_load = create(&appliance, "under-load", &[]);
    let after = appliance.status().expect("it answers");
    assert_eq!((after.epoch, after.boundaries.token.open), (before.epoch, true), "nothing closed meanwhile");
    assert!(!appliance.data().join("backup.unfinished").exists(), "the copy was taken away");
    stop.store(true, Ordering::SeqCst);
    answered.extend(asking.join().expect("it ends"));

    let sums = Command::new("sha256sum")
        .args(["--check", "--quiet", "SHA256SUMS"])
        .current_dir(&under_load)
        .status();
    assert!(sums.expect("sha256sum runs").success(), "anybody's tool can check it");
    let log = under_load.join("data/log-1.redb").display().to_string();
    let (trust, note) = (appliance.folder.path().join("trust.toml"), under_load.join("checkpoint"));
    let (trust, note) = (trust.display().to_string(), note.display().to_string());
    let verify = ["log", "verify", "--log", &log, "--trust", &trust, "--against", &note, "--replay"];
    let (code, out, talk) = assent(None, &verify);
    assert_eq!(code, 0, "an auditor takes it as it is: {out}{talk}");

    // A volume is bound beside the rounds, in its own time, and a later commit tells of it.
    let mut copies = vec![under_load];
    eventually("a volume is bound, and in a copy", || {
        let bound = copies.last().is_some_and(|copy| copy.join("data/log-1.volumes").exists());
        if !bound {
            answered.extend(ask(&agent, 1, 1));
            copies.push(create(&appliance, &format!("copy-{}", copies.len()), &[]));
        }
        bound.then_some(())
    });

    let tokens = tokens_of(answered, &agent);
    drop(agent);
    assert!(appliance.stop(), "it stops");
    let newest = create(&appliance, "newest", &["--with-private-keys"]);
    assert!(newest.join("data/log-1.volumes").exists(), "volumes are in it");
    let config = std::fs::read(appliance.config()).expect("the configuration");
    lose(&appliance, &["data", "fence", "tls", "bundle", "assent.toml"]);
    let (code, told) = restore(&appliance, &newest);
    assert_eq!(code, 0, "{told}");
    assert_eq!(std::fs::read(appliance.config()).expect("the configuration"), config);
    appliance.launch();
    assert!(Agent::connect(&appliance).preauthorize(&[allowed()]).all_allowed());
    let report = appliance.stop_and_verify_log();
    assert_eq!(
        report["kinds"]["operator"],
        copies.len(),
        "that copies were made stands in the log: {report}"
    );
    all_are_in_the_log(&appliance, &tokens);
}

#[test]
fn an_older_log_is_put_back_and_neither_fence_lets_it_be_served() {
    let mut appliance = Appliance::start(Hsm::Simulator);
    let agent = Agent::connect(&appliance);
    ask(&agent, 8, 1);
    let older = create(&appliance, "older", &[]);
    ask(&agent, 8, 1);
    drop(agent);
    assert!(appliance.stop(), "it stops");
    // The disk with the data is lost, that with the fence is not.
    lose(&appliance, &["data"]);
    let (code, told) = restore(&appliance, &older);
    assert!(
        code == 4 && told.contains("it will not be served") && told.contains("assent log succeed"),
        "{code} {told}"
    );
    let (code, _, talk) = assent(Some(&appliance.config()), &["serve"]);
    assert!(code == 3 && talk.contains("an older log was put back"), "{code} {talk}");
    // Nor does it help to lose the fence, too: the HSM has its own.
    lose(&appliance, &["data", "fence"]);
    let (code, told) = restore(&appliance, &older);
    assert!(
        code == 0 && told.contains("the HSM opens it only where it has seen no later end"),
        "{code} {told}"
    );
    appliance.launch_closed();
    let status = held(&appliance, "fence_mismatch");
    assert!(message(&status).contains("an older log was put back"), "{status:?}");
    assert!(message(&status).contains("assent log succeed"), "{status:?}");
}

#[test]
fn nothing_is_replaced_and_what_is_damaged_is_not_put_back() {
    let mut appliance = Appliance::start(Hsm::Simulator);
    ask(&Agent::connect(&appliance), 8, 2);
    let backup = create(&appliance, "backup", &[]);
    let (code, told) = restore(&appliance, &backup);
    assert!(code == 1 && told.contains("there is something at"), "{code} {told}");
    let place = backup.display().to_string();
    let (code, _, talk) = assent(Some(&appliance.config()), &["backup", "create", &place]);
    assert!(code == 1 && talk.contains("there is something at"), "{code} {talk}");
    assert!(appliance.stop(), "it stops");
    lose(&appliance, &["data"]);

    let flip = |path: &Path| {
        let mut bytes = std::fs::read(path).expect("a file");
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(path, bytes).expect("written");
    };
    let ring = backup.join("data/log-1.keys.toml");
    flip(&ring);
    let (code, told) = restore(&appliance, &backup);
    assert!(code == 3 && told.contains("is not as it was written"), "{code} {told}");
    assert!(!appliance.data().exists(), "not a byte was put back");
    flip(&ring);
    // Somebody who writes the digests anew meets the log's own proofs.
    let checkpoint = backup.join("data/log-1.redb");
    flip(&checkpoint);
    let sums = "find . -type f ! -name SHA256SUMS -printf '%P\\n' | LC_ALL=C sort | xargs -d '\\n' sha256sum > SHA256SUMS";
    assert!(Command::new("sh").args(["-c", sums]).current_dir(&backup).status().expect("it runs").success());
    let (code, told) = restore(&appliance, &backup);
    assert!(code != 0 && !told.contains("next:"), "{code} {told}");
    assert!(!appliance.data().exists(), "not a byte was put back");
    flip(&checkpoint);
    assert!(Command::new("sh").args(["-c", sums]).current_dir(&backup).status().expect("it runs").success());
    assert_eq!(restore(&appliance, &backup).0, 4, "whole again, and behind its fence");
}

#[test]
fn private_keys_are_in_it_only_when_asked_for_and_a_pin_never() {
    let appliance = Appliance::start(Hsm::Simulator);
    ask(&Agent::connect(&appliance), 8, 1);
    let pin = std::fs::read_to_string(appliance.folder.path().join("hsm/pin")).expect("the PIN");
    let holding = |backup: &Path, what: &str| -> Vec<PathBuf> {
        let holds = |path: &PathBuf| {
            let bytes = std::fs::read(path).expect("a file");
            bytes.windows(what.len()).any(|window| window == what.as_bytes())
        };
        files(backup).into_iter().filter(holds).collect()
    };
    let without = create(&appliance, "without", &[]);
    assert!(holding(&without, "PRIVATE KEY").is_empty());
    let with = create(&appliance, "with", &["--with-private-keys"]);
    assert_eq!(holding(&with, "PRIVATE KEY").len(), 2, "the CA's, and the appliance's");
    for backup in [without, with] {
        assert!(holding(&backup, pin.trim()).is_empty());
        let open = |path: &Path| {
            std::os::unix::fs::PermissionsExt::mode(&path.metadata().expect("it").permissions())
        };
        assert_eq!(open(&backup) & 0o077, 0, "nobody else looks into it");
    }
}
