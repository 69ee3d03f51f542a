//! What is decided where the evaluator is measured beside cedar-policy: a schema, entities, policies and one intent.

use std::fmt::Write as _;

use assent_evaluator::{Intent, Uid};

pub(crate) const SCHEMA: &str = r#"
entity Team;
entity Agent in [Team] = { clearance: Long };
entity Order = { owner: String, status: String, total: Long };
action refund appliesTo { principal: [Agent], resource: [Order], context: { amount: Long, reason: String, owner: String } };
"#;

pub(crate) const ENTITIES: &str = r#"[
{"uid":{"type":"Team","id":"support"},"attrs":{},"parents":[]},
{"uid":{"type":"Agent","id":"a"},"attrs":{"clearance":3},"parents":[{"type":"Team","id":"support"}]},
{"uid":{"type":"Order","id":"o"},"attrs":{"owner":"u7","status":"delivered","total":120},"parents":[]}]"#;

/// The intent's context, as Cedar reads it.
pub(crate) const CONTEXT: &str = r#"{"amount":100,"reason":"it arrived broken","owner":"u7"}"#;

/// Every policy's scope holds and every condition runs: the bound is never passed, a permit is held up by no reason, and a forbid, each
/// tenth, runs to its end and does not apply because of the intent's reason. So all permits allow, and nothing is denied.
pub(crate) fn policies(count: usize) -> String {
    let mut text = String::new();
    for number in 0..count {
        let (effect, and_so) = if number % 10 == 9 {
            ("forbid", " || context.reason like \"it*broken\"")
        } else {
            ("permit", "")
        };
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{effect} (principal in Team::\"support\", action == Action::\"refund\", resource) \
             when {{ resource.owner == context.owner && context.amount + {number} <= 1000 }} \
             when {{ resource.status == \"delivered\" || principal.clearance > {number} }} \
             unless {{ context.reason like \"*fraud {number}*\"{and_so} }};"
        );
    }
    text
}

/// Reads the intent, as serving does: from borrowed text, value by value.
pub(crate) fn ask(intent: &mut Intent<'_>) -> Option<()> {
    let uid = |type_name, id| Uid { type_name, id };
    intent.ask(uid("Agent", "a"), uid("Action", "refund"), uid("Order", "o"));
    intent.begin_record(3).ok()?;
    intent.key("amount").ok()?;
    intent.long(100).ok()?;
    intent.key("owner").ok()?;
    intent.string("u7").ok()?;
    intent.key("reason").ok()?;
    intent.string("it arrived broken").ok()?;
    intent.end().ok()
}
