//! The deadline of an answer: kept by the watching thread, whatever the one that asked is doing.

use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use appliance::clock::Stopwatch;
use appliance::hsm::{FaultClass, FaultKind, HsmFault, Signer};
use ed25519_dalek::{Signature, VerifyingKey};

use crate::scratch::{PATIENCE, Scratch};

/// What the boundary may need to close once the deadline has passed.
const CLOSING: Duration = Duration::from_millis(5);
const DEADLINE: Duration = Duration::from_millis(40);

/// A signer, and how long after the last call to [`Watched::sign`] its loss was told.
struct Watched {
    signer: Signer,
    asked: Arc<Mutex<Stopwatch>>,
    told: Receiver<(Duration, HsmFault)>,
}

impl Watched {
    fn start(scratch: &Scratch) -> Self {
        let asked = Arc::new(Mutex::new(Stopwatch::start()));
        let (tell, told) = sync_channel(4);
        let on_loss = {
            let asked = Arc::clone(&asked);
            move |fault| tell.try_send((asked.lock().unwrap().elapsed(), fault)).unwrap()
        };
        let signer = Signer::start(&scratch.settings(), &scratch.pin("pin"), PATIENCE, on_loss).unwrap();
        Self { signer, asked, told }
    }

    fn sign(&mut self, deadline: Duration) -> Result<[u8; 64], HsmFault> {
        *self.asked.lock().unwrap() = Stopwatch::start();
        self.signer.sign(b"text", deadline)
    }
}

/// Sets a fault of the simulator.
fn inject(scratch: &Scratch, fault: &str) {
    scratch.simulate(&format!("inject {fault}"));
}

#[test]
fn a_hang_is_told_within_five_milliseconds_of_the_deadline() {
    let scratch = Scratch::simulator();
    scratch.keyed();
    let mut late = Vec::new();
    for _ in 0..20 {
        let mut watched = Watched::start(&scratch);
        watched.sign(PATIENCE).unwrap();
        inject(&scratch, "hang sign");
        let fault = watched.sign(DEADLINE).unwrap_err();
        let (after, told) = watched.told.recv_timeout(PATIENCE).unwrap();
        assert_eq!(told, fault);
        assert_eq!((fault.fault(), fault.class()), (FaultKind::DeadlineMissed, FaultClass::Availability));
        assert_eq!(fault.detail(), "waited 40 ms");
        assert!(after >= DEADLINE, "{after:?} is too early");
        late.push(after - DEADLINE);
        assert!(watched.told.recv().is_err(), "told once only, and the watcher is gone");
        scratch.simulate("clear");
    }
    late.sort_unstable();
    let (median, worst) = (late[late.len() / 2], late[late.len() - 1]);
    println!(
        "a hang is told {median:?} after the deadline, the median of {}; the worst {worst:?}",
        late.len()
    );
    assert!(median < CLOSING, "{late:?}");
}

#[test]
fn an_answer_that_comes_too_late_reaches_nobody() {
    let scratch = Scratch::simulator();
    let mut watched = Watched::start(scratch.keyed());
    // The right signature comes while the one that asked would still take it, but for the watching thread.
    for fault in ["slow 41ms", "slow 60ms", "hang sign --for 45ms"] {
        inject(&scratch, fault);
        let late = watched.sign(DEADLINE).unwrap_err();
        assert_eq!(late.fault(), FaultKind::DeadlineMissed, "{fault}");
        assert_eq!(watched.told.recv_timeout(PATIENCE).unwrap().1, late);
        assert_eq!(watched.sign(PATIENCE).unwrap_err(), late, "{fault}: the first fault stays");
        scratch.simulate("clear");
        watched = Watched::start(&scratch);
    }
    watched.sign(PATIENCE).unwrap();
}

#[test]
fn a_slow_answer_in_time_is_an_answer() {
    let scratch = Scratch::simulator();
    let mut watched = Watched::start(scratch.keyed());
    let key = VerifyingKey::from_bytes(&watched.signer.identity().public_key).unwrap();
    inject(&scratch, "slow 30ms");
    for _ in 0..10 {
        let signature = watched.sign(PATIENCE).unwrap();
        key.verify_strict(b"text", &Signature::from_bytes(&signature)).unwrap();
    }
    scratch.simulate("clear");
    // Deadlines that were kept go off for nobody, also when the next question is out.
    for _ in 0..500 {
        watched.sign(PATIENCE).unwrap();
    }
    let quiet = Stopwatch::start();
    assert_eq!(watched.told.recv_timeout(2 * DEADLINE).ok(), None);
    assert!(quiet.elapsed() >= 2 * DEADLINE);
    assert_eq!(watched.signer.fault(), None);
}

#[test]
fn deadlines_about_as_long_as_an_answer_end_in_an_answer_or_a_loss_and_never_in_both() {
    let scratch = Scratch::simulator();
    scratch.keyed();
    let mut watched = Watched::start(&scratch);
    let key = VerifyingKey::from_bytes(&watched.signer.identity().public_key).unwrap();
    inject(&scratch, "slow 2ms");
    let (mut answers, mut losses) = (0, 0);
    let tried = Stopwatch::start();
    while answers < 40 || losses < 8 {
        assert!(tried.elapsed() < 3 * PATIENCE, "{answers} answers and {losses} losses");
        // Less after an answer, more after a loss: both happen.
        let deadline = Duration::from_micros(2000 + 40 * (1 + losses) - (answers % 7) * 10);
        match watched.sign(deadline) {
            Ok(signature) => {
                key.verify_strict(b"text", &Signature::from_bytes(&signature)).unwrap();
                assert!(watched.told.try_recv().is_err(), "an answer, and a loss");
                answers += 1;
            }
            Err(fault) => {
                assert_eq!(fault.fault(), FaultKind::DeadlineMissed);
                assert_eq!(watched.told.recv_timeout(PATIENCE).unwrap().1, fault);
                losses += 1;
                watched = Watched::start(&scratch);
            }
        }
    }
    println!("{answers} answers and {losses} losses at deadlines of about the time that an answer takes");
}

#[test]
fn a_start_that_hangs_is_a_failed_start_and_no_loss() {
    let scratch = Scratch::simulator();
    scratch.keyed();
    inject(&scratch, "hang all");
    let silent = |fault| panic!("a failed start is not a loss: {fault}");
    let started = Signer::start(&scratch.settings(), &scratch.pin("pin"), DEADLINE * 5, silent);
    assert_eq!(started.unwrap_err().fault(), FaultKind::DeadlineMissed);
}
