//! A sealer that hangs gives no sign of life, although the process answers: the watchdog ends it, and the log is whole.
//!
//! strace holds the sealer's thread in a call that has nothing to do with the disk, as a lock that is never given back would.

use std::time::Duration;

use super::Manager;
use crate::disk::strace::{Injection, Tracer, present};
use crate::support::agent::{Agent, allowed};
use crate::support::eventually;

/// The watchdog's time.
const WITHIN: Duration = Duration::from_millis(900);
/// How long the thread is held: the watchdog's time, many times over. Not for longer, for strace lets go no sooner.
const HELD: Duration = Duration::from_secs(8);

#[test]
fn a_sealer_that_hangs_stops_the_signs_of_life() {
    if !present() {
        return;
    }
    let manager = Manager::listen();
    let mut appliance = manager.start(WITHIN);
    manager.hears("STATUS=open");
    assert!(Agent::connect(&appliance).preauthorize(&[allowed()]).all_allowed());
    let file = appliance.folder.path().join("strace");
    // It waits for messages in this call, between two rounds.
    let tracer =
        Tracer::attach(appliance.process(), "sealer", Some(&Injection::delay("futex", HELD, 1)), &file);
    eventually("the signs of life stop", || {
        // What was under way when the thread stopped still comes.
        match manager.next(2 * WITHIN) {
            None => Some(()),
            Some(told) => {
                assert!(!told.contains(&"STOPPING=1".to_owned()), "{told:?}");
                None
            }
        }
    });
    assert!(appliance.status().is_some(), "the process answers all the while: only the sealer hangs");
    // What the watchdog does to it.
    appliance.kill();
    drop(tracer);
    appliance.launch();
    assert!(Agent::connect(&appliance).preauthorize(&[allowed()]).all_allowed());
    appliance.stop_and_verify_log();
}
