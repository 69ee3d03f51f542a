//! What a fault did and when: counted over all processes, told to the microsecond, and kept when the process is killed.

use std::io::{BufRead as _, BufReader};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, Stdio};

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use firmware_sim::faults::control::ask;
use rustix::time::{ClockId, clock_gettime};
use serde_json::Value;

use crate::faulty::{DEADLINE, Faulty, Signer, waits};
use crate::scratch::{Scratch, built_module, user_session};

/// `CLOCK_MONOTONIC`, as another process sees it.
pub(crate) fn now_us() -> u64 {
    std::time::Duration::try_from(clock_gettime(ClockId::Monotonic)).unwrap().as_micros().try_into().unwrap()
}

fn status(scratch: &Scratch) -> Value {
    serde_json::from_str(&ask(&scratch.state(), "status").unwrap()).unwrap()
}

/// The only fault that is over.
fn past(scratch: &Scratch) -> Value {
    let status = status(scratch);
    assert_eq!(status["faults"].as_array().unwrap().len(), 0, "{status}");
    let history = status["history"].as_array().unwrap();
    assert_eq!(history.len(), 1, "{status}");
    history[0].clone()
}

fn us(fault: &Value, moment: &str) -> u64 {
    fault[moment].as_u64().unwrap_or_else(|| panic!("no {moment} in {fault}"))
}

#[test]
fn the_moment_is_that_of_the_answer() {
    // The signature takes its time between the choice of the fault and the answer.
    let faulty = Faulty::paced("latency = '50ms'");
    let signer = faulty.signer();
    for fault in ["corrupt --times 1", "rv 0x30 --times 1", "rv 0x30 --call C_Login --times 1"] {
        faulty.inject(fault);
        if fault.contains("C_Login") {
            signer.session.logout().unwrap();
        }
        let began = now_us();
        if fault.contains("C_Login") {
            user_login_fails(&signer);
        } else {
            assert!(!signer.sign().is_ok_and(|signature| faulty.is_genuine(&signature)));
        }
        let ended = now_us();
        let status = status(&faulty.scratch);
        let past = status["history"].as_array().unwrap().last().unwrap();
        let (first, last) = (us(past, "first_struck_us"), us(past, "last_struck_us"));
        assert_eq!((first, &past["struck"]), (last, &1.into()), "{past}");
        assert!(began <= first && first <= ended && ended - first < 20_000, "{began} {past} {ended}");
        println!(
            "{fault}: struck {} us after the call began, {} us before it ended",
            first - began,
            ended - first
        );
        assert!(us(past, "cleared_us") >= began && us(past, "cleared_us") <= ended, "{past}");
    }
}

fn user_login_fails(signer: &Signer) {
    let pin = crate::scratch::pin("1234");
    signer.session.login(cryptoki::session::UserType::User, Some(&pin)).unwrap_err();
}

#[test]
fn times_are_counted_over_all_processes() {
    let faulty = Faulty::new();
    let second = faulty.scratch.start();
    let signers = [faulty.signer(), Signer::new(user_session(&second, faulty.slot))];
    faulty.inject("zero --times 3");
    let zeros = (0..10).filter(|at| signers[at % 2].sign().unwrap() == [0; 64]).count();
    assert_eq!(zeros, 3);
    let past = past(&faulty.scratch);
    assert_eq!((&past["struck"], &past["fault"]), (&3.into(), &"zero --times 3".into()));
    assert!(us(&past, "first_struck_us") < us(&past, "last_struck_us"), "{past}");
}

#[test]
fn clearing_and_running_out_of_time_are_told_when() {
    let faulty = Faulty::new();
    let signer = faulty.signer();
    faulty.inject("zero");
    signer.sign().unwrap();
    let before = now_us();
    faulty.clear();
    let cleared = us(&past(&faulty.scratch), "cleared_us");
    assert!(before <= cleared && cleared <= now_us());

    faulty.inject("hang sign --for 80ms");
    let began = now_us();
    assert!(faulty.is_genuine(&signer.sign().unwrap()));
    let ended = now_us();
    let status = status(&faulty.scratch);
    let hung = &status["history"][1];
    let (struck, over) = (us(hung, "first_struck_us"), us(hung, "cleared_us"));
    assert!(began <= struck && struck < began + 20_000, "a hang strikes when it begins: {began} {hung}");
    // Its end is a time of day, in milliseconds.
    assert!((began + 79_000..=ended).contains(&over), "{began} {hung} {ended}");

    // Nobody came by when its time was up.
    faulty.inject("zero --for 1ms");
    signer.sign().unwrap();
    let late = now_us() + 30_000;
    while now_us() < late {
        std::thread::yield_now();
    }
    let status = self::status(&faulty.scratch);
    assert_eq!(status["faults"].as_array().unwrap().len(), 0);
    assert!(us(&status["history"][2], "cleared_us") < late - 10_000, "{status}");
}

#[test]
fn history_is_bounded_and_numbers_go_on() {
    let faulty = Faulty::new();
    let signer = faulty.signer();
    faulty.inject("slow 1ms --after 100000");
    for _ in 0..300 {
        faulty.inject("zero --times 1");
        assert_eq!(signer.sign().unwrap(), [0; 64]);
    }
    let status = status(&faulty.scratch);
    assert_eq!(status["faults"][0]["struck"], 0);
    assert_eq!(status["faults"][0]["id"], 1);
    let history = status["history"].as_array().unwrap();
    assert_eq!(history.len(), 64);
    assert!(history.iter().all(|past| past["struck"] == 1), "{status}");
    assert!(history.windows(2).all(|pair| us(&pair[0], "last_struck_us") < us(&pair[1], "first_struck_us")));
}

/// The child of the tests below: signs until it is killed, and says each time what it got.
#[test]
#[ignore = "run by the tests of killed processes"]
fn child_that_signs_on() {
    let module = Pkcs11::new(built_module()).unwrap();
    module.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)).unwrap();
    let slot = module.get_slots_with_initialized_token().unwrap()[0];
    let signer = Signer::new(user_session(&module, slot));
    eprintln!("ready");
    loop {
        match signer.sign() {
            Ok(signature) if signature == [0; 64] => eprintln!("zero"),
            Ok(_) => eprintln!("genuine"),
            Err(error) => eprintln!("{error}"),
        }
    }
}

struct SignsOn {
    child: Child,
    says: std::io::Lines<BufReader<std::process::ChildStderr>>,
}

impl SignsOn {
    fn start(scratch: &Scratch) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "strikes::child_that_signs_on", "--ignored", "--nocapture"])
            .env(firmware_sim::ENV_DIR, scratch.state())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let says = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut started = Self { child, says };
        started.wait_for("ready");
        started
    }

    /// Reads on until it says so; at the end of its words it is dead.
    fn wait_for(&mut self, word: &str) -> bool {
        self.says.by_ref().any(|line| line.unwrap() == word)
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

#[test]
fn a_strike_is_known_after_the_process_that_answered_is_killed() {
    let scratch = Scratch::new();
    let module = scratch.provisioned_with_key();
    module.finalize().unwrap();
    ask(&scratch.state(), "inject zero --times 1").unwrap();
    for nth in 0..5 {
        let began = now_us();
        let mut child = SignsOn::start(&scratch);
        if nth == 0 {
            assert!(child.wait_for("zero"));
        } else {
            assert!(child.wait_for("genuine"), "the only strike was in the first process");
        }
        let heard = now_us();
        child.kill();
        let past = past(&scratch);
        assert_eq!(past["struck"], 1);
        if nth == 0 {
            assert!((began..=heard).contains(&us(&past, "first_struck_us")), "{began} {past} {heard}");
        }
    }
    let status = status(&scratch);
    assert_eq!(status["process"], Value::Null, "{status}");
}

#[test]
fn whoever_asks_a_process_that_is_being_killed_is_answered_all_the_same() {
    let scratch = Scratch::new();
    scratch.provisioned_with_key().finalize().unwrap();
    for _ in 0..30 {
        let mut child = SignsOn::start(&scratch);
        child.child.kill().unwrap();
        // It may serve its socket yet.
        ask(&scratch.state(), "inject zero --after 1000000").unwrap();
        ask(&scratch.state(), "clear").unwrap();
        child.child.wait().unwrap();
        let status = status(&scratch);
        assert_eq!(status["faults"].as_array().unwrap().len(), 0, "{status}");
    }
    assert_eq!(status(&scratch)["history"].as_array().unwrap().len(), 30, "each was set once");
}

#[test]
fn a_hang_is_known_after_the_process_that_hangs_is_killed_and_does_not_strike_again() {
    let scratch = Scratch::new();
    scratch.provisioned_with_key().finalize().unwrap();
    ask(&scratch.state(), "inject hang sign --times 1").unwrap();
    let began = now_us();
    let child = SignsOn::start(&scratch);
    let waited = now_us();
    while status(&scratch)["faults"][0]["struck"] == 0 {
        assert!(now_us() - waited < u64::try_from(DEADLINE.as_micros()).unwrap());
    }
    child.kill();
    let status = status(&scratch);
    let hung = &status["faults"][0];
    assert_eq!((&hung["struck"], &hung["met"]), (&1.into(), &Value::Null), "{status}");
    assert!(us(hung, "first_struck_us") > began);
    let mut child = SignsOn::start(&scratch);
    assert!(child.wait_for("genuine"), "it hung once");
    child.kill();
    ask(&scratch.state(), "clear").unwrap();
    assert_eq!(past(&scratch)["struck"], 1);
}

#[test]
fn a_crash_is_known_when_it_happened() {
    let scratch = Scratch::new();
    scratch.provisioned_with_key().finalize().unwrap();
    for (nth, (fault, signal)) in [("segfault", 11), ("abort", 6)].into_iter().enumerate() {
        ask(&scratch.state(), &format!("inject {fault}")).unwrap();
        let began = now_us();
        let mut child = SignsOn::start(&scratch);
        assert!(!child.wait_for("zero"));
        assert_eq!(child.child.wait().unwrap().signal(), Some(signal));
        let status = status(&scratch);
        let past = &status["history"][nth];
        assert_eq!(past["struck"], 1);
        assert!((began..=now_us()).contains(&us(past, "first_struck_us")), "{status}");
    }
}

#[test]
fn a_call_that_hangs_is_told_while_it_hangs() {
    let faulty = Faulty::new();
    faulty.inject("hang sign");
    let signature = faulty.signer().sign_aside();
    waits(&signature);
    let status = status(&faulty.scratch);
    assert_eq!(status["faults"][0]["struck"], 1, "{status}");
    assert!(us(&status["faults"][0], "first_struck_us") < now_us());
    faulty.clear();
    assert!(signature.recv_timeout(DEADLINE).unwrap().is_ok());
}
