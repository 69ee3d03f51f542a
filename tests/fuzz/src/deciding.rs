//! Deciding: what was verified must run: no panic, an end, and within the fuel; and an intent stands for itself.

use crate::choices::Choices;
use crate::script;
use assent_evaluator::{Decision, Facts, Intent, Storage, Verdict, Verified};

/// Asks two intents, one after the other in the same room, and the second alone in a room of its own: it must not matter.
pub fn run(verified: &Verified<impl Storage>, asked: &mut Choices<'_>) {
    let view = verified.view();
    let budget = view.image().budget;
    let (mut shared, mut alone) = (Intent::new(&view), Intent::new(&view));
    script::ask(&mut shared, asked);
    decide(&mut shared, budget);
    script::ask(&mut shared, &mut asked.clone());
    script::ask(&mut alone, asked);
    assert_eq!(
        decide(&mut shared, budget),
        decide(&mut alone, budget),
        "an intent depends on the one before"
    );
}

/// What becomes of an intent, in words; what must hold of any evaluation is looked at on the way.
fn decide(intent: &mut Intent<'_>, budget: u64) -> String {
    let unclassified = intent.evaluate_unclassified();
    assert!(matches!(unclassified.verdict(), Verdict::Unavailable(_)), "nobody classified it");
    assert!(unclassified.fuel_used() <= budget);
    let first = format!("{unclassified:?}");
    let mut classified = match intent.classify(Facts { now_ms: 77, approvals: 1, ..Facts::default() }) {
        Ok(classified) => classified,
        Err(refused) => return format!("{first} {refused:?}"),
    };
    let evaluation = classified.evaluate().clone();
    assert!(evaluation.fuel_used() <= budget);
    if evaluation.verdict() == Verdict::Allow {
        assert_eq!(evaluation.cedar(), Decision::Allow);
        assert!(evaluation.errors().is_empty());
    }
    let second = format!("{first} {evaluation:?}");
    for policy in evaluation.reasons().iter() {
        assert!(!evaluation.errors().contains(policy), "policy {policy} failed, and is a reason");
    }
    (0..4).fold(second, |text, policy| format!("{text} {:?}", classified.outcome(policy)))
}
