//! What an intent costs before it is logged: the retail sample's, read from the wire's bytes, classified and evaluated.
//!
//! One iteration is a batch of all 1,824 intents: parsing of the frame, layout, classification with the check of the
//! context, evaluation with the risk model, and the words of the ruling. The figure is for one intent.

#![expect(clippy::expect_used, reason = "a benchmark may fail as loudly as a test")]

use appliance::evaluation::evaluate;
use appliance::intent::Reading;
use appliance::policy::Policies;
use appliance::sample;
use assent_client::batch::Batch;
use assent_client::intent::Intent;
use assent_evaluator::Facts;
use assent_proto::entry::Grounds;
use assent_proto::number::Timestamp;
use assent_proto::wire::{BatchId, Request, Verdict};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;

fn retail(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a folder");
    sample::write_bundle(folder.path()).expect("the sample is written");
    let policies = Policies::load(folder.path()).expect("the sample is sound");
    let snapshot = policies.snapshot();
    let intents: Vec<Intent> = assent_client::json::parse_lines(sample::INTENTS)
        .collect::<Result<_, _>>()
        .expect("the sample is read");
    let batch =
        Batch::new(BatchId::new(Timestamp(0), [0; 10]), &intents).expect("one batch holds the sample");
    let principal = format!("spiffe://assent.test/agent/{}", sample::AGENT);
    let view = snapshot.bundle().view();

    let mut group = criterion.benchmark_group("retail");
    group.throughput(Throughput::Elements(intents.len() as u64));
    group.bench_function("parse", |bencher| {
        bencher.iter(|| {
            let request = Request::parse(black_box(batch.frame())).expect("the frame is canonical");
            request.intents().count()
        });
    });
    group.bench_function("parse, classify and evaluate", |bencher| {
        bencher.iter(|| {
            let request = Request::parse(black_box(batch.frame())).expect("the frame is canonical");
            let mut reading = Reading::new(&view);
            let mut allowed = 0_usize;
            for (intent, _) in request.intents() {
                let subject = snapshot.principal(&principal);
                let ruling = match reading.classify(subject, &intent, Facts::default()) {
                    Ok(classified) => evaluate(classified, &snapshot, Grounds::Policy).into_ruling(),
                    Err(unclassified) => unclassified.ruling(),
                };
                allowed += usize::from(matches!(ruling.verdict, Verdict::Allow { .. }));
            }
            assert_eq!(allowed, 1436);
        });
    });
    group.finish();
}

criterion_group!(benches, retail);
criterion_main!(benches);
