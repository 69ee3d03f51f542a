//! Signing through the child: signatures, deadlines, and the child's end.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use appliance::clock::Stopwatch;
use appliance::hsm::{FaultClass, FaultKind, Signer};
use ed25519_dalek::{Signature, VerifyingKey};
use rustix::process::Signal;

use crate::not_run;
use crate::scratch::{PATIENCE, Scratch, signal, until, with_each_hsm};

/// What the token boundary can wait for the news that the child is gone.
const LOSS_BOUND: Duration = Duration::from_millis(50);

#[test]
fn signatures_verify_and_the_identity_is_the_slots() {
    with_each_hsm(|scratch| {
        scratch.keyed();
        let (mut signer, _) = scratch.signer();
        let identity = signer.identity().clone();
        assert_eq!(identity.label, "scratch");
        assert_eq!(identity.simulator, scratch.is_simulator());
        let key = VerifyingKey::from_bytes(&identity.public_key).unwrap();
        let mut times = Vec::new();
        for length in 0..200 {
            let text = vec![b'x'; length * 5];
            let started = Stopwatch::start();
            let signature = signer.sign(&text, PATIENCE).unwrap();
            times.push(started.elapsed());
            key.verify_strict(&text, &Signature::from_bytes(&signature)).unwrap();
        }
        times.sort_unstable();
        println!(
            "{}: a signature through the child takes {:?}, the median of 200",
            identity.model, times[100]
        );
        assert_eq!(signer.fault(), None);
    });
}

#[test]
fn kill_9_of_the_child_is_heard_at_once() {
    with_each_hsm(|scratch| {
        scratch.keyed();
        let killed: Arc<OnceLock<Stopwatch>> = Arc::default();
        let (tell, told) = sync_channel(1);
        let on_loss = {
            let killed = Arc::clone(&killed);
            move |fault| tell.send((killed.get().unwrap().elapsed(), fault)).unwrap()
        };
        let mut signer = Signer::start(&scratch.settings(), &scratch.pin("pin"), PATIENCE, on_loss).unwrap();
        signer.sign(b"before", PATIENCE).unwrap();
        let process = signer.process().unwrap();
        killed.set(Stopwatch::start()).unwrap();
        signal(process, Signal::KILL);
        let (heard, fault) = told.recv_timeout(PATIENCE).unwrap();
        println!("{}: kill -9 was heard after {heard:?}", signer.identity().model);
        assert!(heard < LOSS_BOUND, "{heard:?}");
        assert_eq!(fault.fault(), FaultKind::SignerLost);
        assert_eq!(fault.class(), FaultClass::Availability);
        assert_eq!(signer.sign(b"after", PATIENCE).unwrap_err(), fault);
        until("the child is reaped", || !Path::new(&format!("/proc/{process}")).exists());
    });
}

#[test]
fn kill_9_wakes_whoever_waits_for_a_signature() {
    let scratch = Scratch::simulator();
    let (mut signer, told) = scratch.keyed().signer();
    let process = signer.process().unwrap();
    signal(process, Signal::STOP);
    let (tell, thread) = sync_channel(1);
    let waiter = std::thread::Builder::new().spawn(move || {
        tell.send(rustix::thread::gettid().as_raw_pid()).unwrap();
        let waited = Stopwatch::start();
        let fault = signer.sign(b"text", PATIENCE).unwrap_err();
        (fault.fault(), waited.elapsed(), signer)
    });
    let state = format!("/proc/self/task/{}/stat", thread.recv().unwrap());
    until("the thread waits", || std::fs::read_to_string(&state).unwrap().contains(") S "));
    signal(process, Signal::KILL);
    let (fault, waited, signer) = waiter.unwrap().join().unwrap();
    assert_eq!(fault, FaultKind::SignerLost);
    assert!(waited < PATIENCE);
    assert_eq!(told.recv_timeout(PATIENCE).unwrap().fault(), FaultKind::SignerLost);
    assert!(told.recv().is_err(), "told once only, and the watcher is gone");
    assert_eq!(signer.fault().unwrap().fault(), FaultKind::SignerLost);
}

#[test]
fn a_stopped_child_misses_its_deadline_and_is_killed() {
    with_each_hsm(|scratch| {
        scratch.keyed();
        let (mut signer, told) = scratch.signer();
        let process = signer.process().unwrap();
        signal(process, Signal::STOP);
        let deadline = Duration::from_millis(40);
        let waited = Stopwatch::start();
        let fault = signer.sign(b"text", deadline).unwrap_err();
        let waited = waited.elapsed();
        println!("{}: a deadline of {deadline:?} was over after {waited:?}", signer.identity().model);
        assert_eq!(fault.fault(), FaultKind::DeadlineMissed);
        assert!(waited >= deadline && waited < deadline + LOSS_BOUND, "{waited:?}");
        let again = Stopwatch::start();
        assert_eq!(signer.sign(b"text", PATIENCE).unwrap_err(), fault);
        assert!(again.elapsed() < LOSS_BOUND, "a dead signer does not wait");
        until("the stopped child is reaped", || !Path::new(&format!("/proc/{process}")).exists());
        assert_eq!(told.recv_timeout(PATIENCE).unwrap(), fault);
        assert!(told.recv().is_err(), "told once only, and the watcher is gone");
    });
}

#[test]
fn a_dropped_signer_takes_its_child_along() {
    let scratch = Scratch::simulator();
    let (signer, told) = scratch.keyed().signer();
    let process = signer.process().unwrap();
    drop(signer);
    until("the child is reaped", || !Path::new(&format!("/proc/{process}")).exists());
    assert!(told.recv().is_err());
}

#[test]
fn a_text_over_the_limit_is_refused_and_the_next_start_works() {
    let scratch = Scratch::simulator();
    let (mut signer, _) = scratch.keyed().signer();
    let text = vec![0; appliance::limits::MAX_SIGNER_FRAME_BYTES];
    assert_eq!(signer.sign(&text, PATIENCE).unwrap_err().fault(), FaultKind::TextTooLong);
    let (mut signer, _) = scratch.signer();
    signer.sign(&text[..text.len() - 16], PATIENCE).unwrap();
}

#[test]
fn the_child_holds_no_more_than_it_needs() {
    let scratch = Scratch::simulator();
    let (signer, _) = scratch.keyed().signer();
    let of_child =
        |name: &str| std::fs::read_to_string(format!("/proc/{}/{name}", signer.process().unwrap()));
    let status = of_child("status").unwrap();
    assert!(status.contains("NoNewPrivs:\t1"), "{status}");
    let limits = of_child("limits").unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().filter(|word| *word == "0").count(), 2, "{core}");
    let Ok(environment) = of_child("environ") else {
        return not_run::missing("only root may read the environment of a process that cannot be dumped");
    };
    let names: Vec<_> =
        environment.split_terminator('\0').filter_map(|pair| pair.split('=').next()).collect();
    assert_eq!(names, ["FIRMWARE_SIM_DIR"]);
    let arguments = of_child("cmdline").unwrap();
    assert!(arguments.ends_with("\0signer\0"), "{arguments:?}");
}

#[test]
fn the_child_dies_with_the_thread_that_made_it() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let parent = std::thread::Builder::new().spawn(move || {
        let mut signer = Command::new(env!("CARGO_BIN_EXE_assent"));
        let child = signer.arg("signer").stdin(Stdio::from(OwnedFd::from(theirs))).spawn().unwrap();
        let status = format!("/proc/{}/status", child.id());
        // It waits for its death signal first and gives up new privileges last.
        until("the child has protected itself", || {
            std::fs::read_to_string(&status).unwrap().contains("NoNewPrivs:\t1")
        });
        child
    });
    let mut child = parent.unwrap().join().unwrap();
    let mut ended = None;
    until("the child is dead", || {
        ended = child.try_wait().unwrap();
        ended.is_some()
    });
    assert_eq!(ended.unwrap().signal(), Some(9));
    drop(ours);
}
