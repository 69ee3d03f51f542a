//! The disk hangs: whoever waits is refused at the deadline, the boundary closes, and what comes late releases nothing.
//!
//! strace holds one system call of the sealer for far longer than `log.deadline`. The batch whose commit hangs hears
//! `TOKEN_UNAVAILABLE` meanwhile; so does one that is asked while it hangs. When the disk moves again the boundary re-arms by
//! itself, and the batch, asked again under its id, fetches what the log has recorded.

use std::time::Duration;

use appliance::clock::Stopwatch;
use assent_client::batch::Batch;
use assent_proto::refusal::Refusal;
use assent_proto::wire::Reply;

use super::strace::{Injection, Tracer, present};
use super::{attentive, configure};
use crate::support::agent::{Agent, allowed, batch_id, now};
use crate::support::{Appliance, eventually};

/// How long the call is held: the deadline, many times over.
const HELD: Duration = Duration::from_secs(6);

fn with_deadline() -> Appliance {
    let mut appliance = attentive();
    assert!(appliance.stop(), "it stops well");
    configure(&appliance, "[log]", "deadline = \"250ms\"");
    appliance.launch();
    appliance
}

fn is_unavailable(reply: &[u8]) -> bool {
    matches!(Reply::parse(reply), Ok(Reply::Refused(Refusal::TokenUnavailable)))
}

/// Asks until the batch is decided, and tells whether it is allowed.
fn is_allowed_in_the_end(agent: &Agent, batch: &Batch) -> bool {
    let reply = eventually("the batch is decided", || {
        let reply = agent.reply(batch);
        matches!(Reply::parse(&reply), Ok(Reply::Decided(_))).then_some(reply)
    });
    let outcomes = batch.clone().open(&reply, Some(&agent.trust), now()).expect("a reply that verifies");
    outcomes.all_allowed()
}

fn hangs_in(call: &str, nth: usize) {
    let mut appliance = with_deadline();
    let agent = Agent::connect(&appliance);
    assert!(agent.preauthorize(&[allowed()]).all_allowed());
    let before = appliance.wait_until_open();
    let file = appliance.folder.path().join("strace");
    let tracer =
        Tracer::attach(appliance.process(), "sealer", Some(&Injection::delay(call, HELD, nth)), &file);
    // The first may be answered before the call comes that is held; then a later one meets it, and its time counts.
    let (batch, watch) = eventually("a commit hangs", || {
        let watch = Stopwatch::start();
        let batch = Batch::new(batch_id(), &[allowed()]).expect("a batch");
        is_unavailable(&agent.reply(&batch)).then_some((batch, watch))
    });
    let closed = appliance.status().expect("it answers while the disk hangs");
    assert_eq!(closed.boundaries.token.cause.as_deref(), Some("disk_hangs"));
    assert!(!closed.boundaries.token.open && closed.epoch == before.epoch + 1, "{closed:?}");
    let other = Batch::new(batch_id(), &[allowed()]).expect("a batch");
    assert!(is_unavailable(&agent.reply(&other)), "nobody is taken in while it hangs");
    assert!(watch.elapsed() < HELD, "whoever waited was refused while the call was held");
    drop(tracer);
    // What is decided while it is closed is denied for good.
    let opened = appliance.wait_until_open();
    assert!(is_allowed_in_the_end(&agent, &other), "it was never taken in");
    // What hung had been decided, and stands in the log: as an allow where its own commit hung, as a denial where it waited
    // behind that. Either way the same answer comes for ever.
    let first = is_allowed_in_the_end(&agent, &batch);
    assert_eq!(is_allowed_in_the_end(&agent, &batch), first);
    println!("{call} {nth}: the batch that hung was {}", if first { "allowed" } else { "denied" });
    assert_eq!(opened.epoch, before.epoch + 1, "closed once");
    let report = appliance.stop_and_verify_log();
    assert_eq!(report["kinds"]["trip"], 1, "{report}");
}

#[test]
fn a_commit_that_hangs_in_its_first_sync_releases_nothing() {
    if present() {
        hangs_in("fdatasync", 1);
    }
}

#[test]
fn a_commit_that_hangs_in_its_last_sync_releases_nothing() {
    if present() {
        hangs_in("fdatasync", 2);
    }
}

#[test]
fn a_write_that_hangs_releases_nothing() {
    if present() {
        hangs_in("pwrite64", 3);
    }
}

#[test]
fn a_fence_that_hangs_closes_the_boundary_and_holds_up_nobody() {
    if present() {
        hangs_in("fsync", 1);
    }
}
