//! What an intent costs before it is logged: the retail sample's, read from the wire's bytes, classified and evaluated.
//!
//! One iteration is a batch of all 1,824 intents, by what the pipeline runs: parsing of the frame, layout, classification with
//! the check of the context, evaluation with the risk model, the words of the ruling, and the entry, encoded and hashed.

#![expect(clippy::expect_used, reason = "a benchmark may fail as loudly as a test")]

use appliance::evaluation::Asserted;
use appliance::identity::SpiffeId;
use appliance::pipeline::deciding::{Asked, Limits};
use appliance::policy::Policies;
use appliance::sample;
use assent_client::batch::Batch;
use assent_client::intent::Intent;
use assent_proto::entry::Grounds;
use assent_proto::number::{Epoch, Timestamp};
use assent_proto::wire::BatchId;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;

fn retail(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a folder");
    sample::write_bundle(folder.path()).expect("the sample is written");
    let policies = Policies::load_unrecorded(folder.path()).expect("the sample is sound");
    let snapshot = policies.snapshot();
    let intents: Vec<Intent> = assent_client::json::parse_lines(sample::INTENTS)
        .collect::<Result<_, _>>()
        .expect("the sample is read");
    let batch =
        Batch::new(BatchId::new(Timestamp(0), [0; 10]), &intents).expect("one batch holds the sample");
    let principal = SpiffeId::parse(&format!("spiffe://assent.test/agent/{}", sample::AGENT));
    let principal = principal.expect("a SPIFFE ID");
    let asserted =
        Asserted { now: Timestamp(1), epoch: Epoch(1), degraded: false, approvals: 0, rate_before: 0 };
    let limits = Limits { is_closed: false, has_shadow: false, grounds: Grounds::Policy, is_late: || false };

    let mut group = criterion.benchmark_group("retail");
    group.throughput(Throughput::Elements(intents.len() as u64));
    group.bench_function("parse", |bencher| {
        bencher.iter(|| drop(Asked::parse(black_box(batch.frame())).expect("the frame is canonical")));
    });
    group.bench_function("parse and decide", |bencher| {
        bencher.iter(|| {
            let asked = Asked::parse(black_box(batch.frame())).expect("the frame is canonical");
            let decided =
                asked.decide(&snapshot, &principal, asserted, limits).expect("all of it is decided");
            assert_eq!(decided.written.leaves().len(), intents.len());
            decided
        });
    });
    group.finish();
}

criterion_group!(benches, retail);
criterion_main!(benches);
