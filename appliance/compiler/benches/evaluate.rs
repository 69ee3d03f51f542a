//! Evaluation beside cedar-policy's `is_authorized`: the same policies, entities and request, at 1, 10 and 100 policies.
//!
//! `cedar` has its request ready, as its best case; `evaluate` has its intent ready too; `intent` reads, classifies and
//! evaluates one from borrowed text, which is what serving costs.

#![expect(clippy::expect_used, reason = "a benchmark may fail as loudly as a test")]

use assent_compiler::{Bundle, Sources};
use assent_evaluator::{Decision, Facts, Intent, Verdict};
use cedar_policy::{Authorizer, Entities, PolicySet, Request, Schema};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use std::hint::black_box;

#[path = "../../../benches/src/refunds.rs"]
mod refunds;
use refunds::{CONTEXT, ENTITIES, SCHEMA, ask, policies};

fn evaluate(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("evaluate");
    for count in [1, 10, 100] {
        let text = policies(count);
        let bundle = Bundle::compile(Sources::plain(SCHEMA, &text, ENTITIES)).expect("the bundle is sound");
        let (schema, _) = Schema::from_cedarschema_str(SCHEMA).expect("a schema");
        let policy_set: PolicySet = text.parse().expect("policies");
        let entities = Entities::from_json_str(ENTITIES, Some(&schema)).expect("entities");
        let uid = |text: &str| text.parse().expect("a uid");
        let action = uid("Action::\"refund\"");
        let context =
            cedar_policy::Context::from_json_str(CONTEXT, Some((&schema, &action))).expect("a context");
        let request = Request::new(uid("Agent::\"a\""), action, uid("Order::\"o\""), context, Some(&schema))
            .expect("a request");
        let authorizer = Authorizer::new();

        let cedar = authorizer.is_authorized(&request, &policy_set, &entities);
        let view = bundle.view();
        let mut intent = Intent::new(&view);
        ask(&mut intent).expect("the values fit");
        let mut classified = intent.classify(Facts::default()).expect("the intent fits");
        let ours = classified.evaluate();
        assert_eq!(ours.cedar() == Decision::Allow, cedar.decision() == cedar_policy::Decision::Allow);
        assert_eq!(
            (ours.verdict(), ours.reasons().len()),
            (Verdict::Allow, cedar.diagnostics().reason().count())
        );

        group.bench_function(BenchmarkId::new("cedar", count), |bencher| {
            bencher.iter(|| black_box(authorizer.is_authorized(black_box(&request), &policy_set, &entities)));
        });
        group.bench_function(BenchmarkId::new("evaluate", count), |bencher| {
            bencher.iter(|| black_box(classified.evaluate().verdict()));
        });
        // Its buffers are those of the intent before, as they are within a batch.
        let mut next = Intent::new(&view);
        group.bench_function(BenchmarkId::new("intent", count), |bencher| {
            bencher.iter(|| {
                ask(black_box(&mut next))?;
                Some(next.classify(Facts::default()).ok()?.evaluate().verdict())
            });
        });
    }
    group.finish();
}

/// A thousand policies of which ten are candidates, beside ten that all are: what the others cost.
fn candidates(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("candidates");
    let few = policies(10);
    let elsewhere = policies(990).replace("Team::\"support\"", "Team::\"elsewhere\"");
    for (name, text) in [("10 of 10", few.clone()), ("10 of 1000", format!("{few}{elsewhere}"))] {
        let bundle = Bundle::compile(Sources::plain(SCHEMA, &text, ENTITIES)).expect("the bundle is sound");
        let view = bundle.view();
        let mut intent = Intent::new(&view);
        ask(&mut intent).expect("the values fit");
        let mut classified = intent.classify(Facts::default()).expect("the intent fits");
        assert_eq!(classified.evaluate().verdict(), Verdict::Allow);
        group.bench_function(name, |bencher| bencher.iter(|| black_box(classified.evaluate().verdict())));
    }
    group.finish();
}

criterion_group!(benches, evaluate, candidates);
criterion_main!(benches);
