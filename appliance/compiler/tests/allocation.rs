//! Not one allocation: a million intents are classified and evaluated under a counting allocator, twice: under a bundle
//! such as people write, and under one that has every instruction of the machine.
//!
//! The count is this thread's own, so that the harness may do as it likes. A positive control proves that it counts.

#![expect(clippy::panic, reason = "what stands beside the tests may fail as loudly as a test")]

#[path = "../../../tests/counting/mod.rs"]
mod counting;
mod instructions;

use assent_compiler::{Bundle, Document, Rules, Sources};
use assent_evaluator::{Cause, Facts, Intent, Uid, Verdict};

use crate::counting::of_this_thread;

const CATALOG: &str = r#"
type Assent = { now: datetime, risk: Long, approvals: Long, degraded: Bool, agent_rate: Long, epoch: Long };
entity Team;
entity Agent in [Team];
entity Order = { owner: String, status: String, items: Set<String>, total: decimal, placed: datetime } tags String;
@risk("10")
action refund appliesTo {
  principal: [Agent],
  resource: [Order],
  context: { assent: Assent, amount: decimal, items: Set<String>, note: String, from: ipaddr, limits: { soft: Long, hard?: Long } },
};
"#;

const POLICIES: &str = r#"
@id("refund") permit (principal in Team::"support", action == Action::"refund", resource)
when { resource.status == "delivered" && resource.items.containsAll(context.items) }
when { context.amount.lessThanOrEqual(resource.total) && context.note like "*because*" }
when { context.from.isInRange(ip("10.0.0.0/8")) && resource.hasTag("region") && resource.getTag("region") == "eu" }
when { context.assent.now < resource.placed.offset(duration("30d")) && context.assent.risk < 100 };
@id("too-much") forbid (principal, action, resource)
when { context.limits has hard && context.limits.hard * 2 < context.limits.soft };
@id("two-eyes") @approval("1 of desk") forbid (principal, action, resource)
when { context.assent.risk >= 40 } unless { context.assent.approvals >= 1 };
"#;

const RISK: &str = r#"
@id("big") @score("35") permit (principal, action, resource) when { context.amount.greaterThan(decimal("100.0")) };
"#;

const ENTITIES: &str = r#"[
{"uid":{"type":"Team","id":"support"},"attrs":{},"parents":[]},
{"uid":{"type":"Agent","id":"a"},"attrs":{},"parents":[{"type":"Team","id":"support"}]},
{"uid":{"type":"Order","id":"o"},"attrs":{"owner":"u","status":"delivered","items":["x","y","z"],"total":"250.0","placed":"2024-05-01"},
 "parents":[],"tags":{"region":"eu"}}]"#;

fn bundle() -> Bundle {
    Bundle::compile(Sources {
        catalog: Document::new("catalog.cedarschema", CATALOG),
        policies: vec![Document::new("policies/refund.cedar", POLICIES)],
        risk: vec![Document::new("risk/size.cedar", RISK)],
        links: None,
        operators: None,
        entities: vec![Document::new("entities.json", ENTITIES)],
        tests: Vec::new(),
        rules: Rules::Bundle,
    })
    .unwrap_or_else(|error| panic!("{}", error.report()))
}

/// Reads, classifies and evaluates one intent.
fn decide(bundle: &Bundle, amount: i64, resource: &str) -> Option<(Verdict, i64)> {
    let uid = |type_name, id| Uid { type_name, id };
    let view = bundle.view();
    let mut intent = Intent::new(&view);
    intent.ask(uid("Agent", "a"), uid("Action", "refund"), uid("Order", resource));
    let address = assent_evaluator::Address::v4([10, 1, 2, 3], 32)?;
    intent.begin_record(5).ok()?;
    intent.key("amount").ok()?;
    intent.decimal(amount).ok()?;
    intent.key("from").ok()?;
    intent.ip(address).ok()?;
    intent.key("items").ok()?;
    intent.begin_set(2).ok()?;
    intent.string("z").ok()?;
    intent.string("x").ok()?;
    intent.end().ok()?;
    intent.key("limits").ok()?;
    intent.begin_record(1).ok()?;
    intent.key("soft").ok()?;
    intent.long(5).ok()?;
    intent.end().ok()?;
    intent.key("note").ok()?;
    intent.string("a refund because it broke").ok()?;
    intent.end().ok()?;
    let facts = Facts { now_ms: 1_715_000_000_000, ..Facts::default() };
    let mut classified = intent.classify(facts).ok()?;
    let evaluation = classified.evaluate();
    Some((evaluation.verdict(), evaluation.risk()))
}

#[test]
fn a_million_evaluations_allocate_nothing() {
    let bundle = bundle();
    let before = of_this_thread();
    drop(std::hint::black_box(Box::new(1_u8)));
    assert_eq!(of_this_thread(), before + 1, "the allocator counts");

    let before = of_this_thread();
    let (mut allowed, mut held, mut invalid) = (0, 0, 0);
    for round in 0..1_000_000_u32 {
        let amount = if round % 3 == 0 { 1_200_000 } else { 500_000 };
        match decide(&bundle, amount, if round % 7 == 0 { "absent" } else { "o" }) {
            Some((Verdict::Allow, 10)) => allowed += 1,
            Some((Verdict::Hold, 45)) => held += 1,
            None => invalid += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(of_this_thread(), before);
    assert_eq!((allowed, held, invalid), (571_428, 285_714, 142_858));
}

/// What an intent of the second bundle brings: `scale` decides whether the arithmetic overflows.
fn use_every_operator(bundle: &Bundle, scale: i64) -> Option<(Verdict, usize, usize)> {
    let uid = |type_name, id| Uid { type_name, id };
    let view = bundle.view();
    let mut intent = Intent::new(&view);
    intent.ask(uid("Agent", "a"), uid("Action", "use"), uid("Order", "o"));
    intent.begin_record(7).ok()?;
    intent.key("scale").ok()?;
    intent.long(scale).ok()?;
    intent.key("text").ok()?;
    intent.string("a refund because it broke").ok()?;
    intent.key("flag").ok()?;
    intent.bool(true).ok()?;
    intent.key("from").ok()?;
    intent.ip(assent_evaluator::Address::v4([127, 0, 0, 1], 32)?).ok()?;
    intent.key("when").ok()?;
    intent.datetime(1_715_000_000_000).ok()?;
    intent.key("wait").ok()?;
    intent.duration(90_000_000).ok()?;
    intent.key("list").ok()?;
    intent.begin_set(2).ok()?;
    intent.long(1).ok()?;
    intent.long(2).ok()?;
    intent.end().ok()?;
    intent.end().ok()?;
    let mut classified = intent.classify(Facts::default()).ok()?;
    let evaluation = classified.evaluate();
    let decided = (evaluation.verdict(), evaluation.reasons().len(), evaluation.errors().len());
    // Explanations come out of the same machine.
    (0..bundle.view().policy_count()).for_each(|policy| {
        std::hint::black_box(classified.outcome(policy));
    });
    Some(decided)
}

#[test]
fn a_million_evaluations_of_every_operator_allocate_nothing() {
    let (bundle, holding) = instructions::bundle();
    let before = of_this_thread();
    for round in 0..1_000_000_i64 {
        let overflows = round % 3 == 0;
        let decided = use_every_operator(&bundle, if overflows { i64::MAX } else { 2 });
        let expected = match overflows {
            false => (Verdict::Allow, holding, 0),
            true => (Verdict::Unavailable(Cause::Errors), holding - 1, 1),
        };
        assert_eq!(decided, Some(expected));
    }
    assert_eq!(of_this_thread(), before);
}
