//! Not one allocation: a million intents of the retail sample walk through the intent and the evaluation boundary under a
//! counting allocator. And few for a whole batch, from its frame to its draft.
//!
//! The count is this thread's own, so that the harness may do as it likes. A positive control proves that it counts.

mod counting;

use appliance::clock::Stopwatch;
use appliance::evaluation::{Asserted, evaluate};
use appliance::identity::SpiffeId;
use appliance::intent::Reading;
use appliance::pipeline::deciding::{Asked, Limits};
use appliance::policy::Policies;
use appliance::sample;
use assent_client::batch::Batch;
use assent_client::intent::Intent;
use assent_evaluator::Facts;
use assent_proto::entry::Grounds;
use assent_proto::number::{Epoch, Timestamp};
use assent_proto::wire::{BatchId, Request, Verdict};

use crate::counting::within;

/// Intents that are decided.
const INTENTS: usize = 1_000_000;

#[test]
fn the_count_counts() {
    assert_eq!(within(|| drop(std::hint::black_box(Box::new(7)))), 1);
}

#[test]
fn a_million_retail_intents_are_decided_without_an_allocation() {
    let folder = tempfile::tempdir().unwrap();
    sample::write_bundle(folder.path()).unwrap();
    let policies = Policies::load_unrecorded(folder.path()).unwrap();
    let snapshot = policies.snapshot();
    let intents: Vec<Intent> =
        assent_client::json::parse_lines(sample::INTENTS).collect::<Result<_, _>>().unwrap();
    let batch = Batch::new(BatchId::new(Timestamp(0), [0; 10]), &intents).unwrap();
    let request = Request::parse(batch.frame()).unwrap();
    let facts = Facts { now_ms: 0, approvals: 0, degraded: false, agent_rate: 0, epoch: 0 };
    let principal = format!("spiffe://assent.test/agent/{}", sample::AGENT);

    let (mut decided, mut allowed) = (0, 0);
    let watch = Stopwatch::start();
    let view = snapshot.bundle().view();
    let count = within(|| {
        let mut reading = Reading::new(&view);
        while decided < INTENTS {
            for (intent, _) in request.intents() {
                let subject = snapshot.principal(&principal);
                let ruling = match reading.classify(subject, &intent, facts) {
                    Ok(classified) => evaluate(classified, &snapshot, Grounds::Policy).into_ruling(),
                    Err(unclassified) => unclassified.ruling(),
                };
                allowed += usize::from(matches!(ruling.verdict, Verdict::Allow { .. }));
                decided += 1;
            }
        }
    });
    let each = watch.elapsed() / u32::try_from(decided).unwrap();
    println!("{decided} intents decided, {allowed} allowed, {each:?} each, {count} allocations");
    assert_eq!(count, 0);
    assert_eq!(allowed, decided / intents.len() * 1436);
}

/// From the frame's bytes to the draft, by what the pipeline runs: what a batch sets aside, it sets aside once.
#[test]
fn a_batch_allocates_at_most_once_for_ten_intents() {
    let folder = tempfile::tempdir().unwrap();
    sample::write_bundle(folder.path()).unwrap();
    let policies = Policies::load_unrecorded(folder.path()).unwrap();
    let snapshot = policies.snapshot();
    let intents: Vec<Intent> =
        assent_client::json::parse_lines(sample::INTENTS).collect::<Result<_, _>>().unwrap();
    let batch = Batch::new(BatchId::new(Timestamp(0), [0; 10]), &intents).unwrap();
    let principal = SpiffeId::parse(&format!("spiffe://assent.test/agent/{}", sample::AGENT)).unwrap();
    let asserted =
        Asserted { now: Timestamp(1), epoch: Epoch(1), degraded: false, approvals: 0, rate_before: 0 };
    let limits = Limits { is_closed: false, has_shadow: false, grounds: Grounds::Policy, is_late: || false };
    let mut leaves = 0;
    let count = within(|| {
        let asked = Asked::parse(batch.frame()).unwrap();
        let decided = asked.decide(&snapshot, &principal, asserted, limits).unwrap();
        leaves = decided.written.leaves().len();
    });
    assert_eq!(leaves, intents.len());
    println!("{count} allocations for a batch of {} intents", intents.len());
    assert!(count > 0 && count * 10 <= intents.len() as u64, "{count} allocations");
}
