//! The verifier: tables that bytes made and damaged. What it takes must run: no panic, an end, and within the fuel.
//!
//! The first byte says how much is damaged; undamaged tables are sound by construction, and must be taken wherever their
//! programs are.
#![no_main]

use assent_evaluator::{Decision, Facts, Outcome, Verdict, Verified};
use fuzz::choices::Choices;
use fuzz::script;
use fuzz::tables::Tables;
use libfuzzer_sys::fuzz_target;

/// Bytes that decide the intent.
const SCRIPT_BYTES: usize = 64;

fuzz_target!(|data: &[u8]| {
    let mut choices = Choices::new(data);
    let damages = choices.below(4);
    // The script has bytes of its own, so that it does not depend on how long the tables are.
    let (script, data) = choices.split(SCRIPT_BYTES);
    let (mut asked, mut choices) = (Choices::new(script), Choices::new(data));
    let mut tables = Tables::new(&mut choices);
    (0..damages).for_each(|_| tables.damage(&mut choices));
    let is_sound = tables.is_sound();
    let verified = match Verified::new(tables) {
        Ok(verified) => verified,
        Err(flaw) => {
            assert!(!is_sound, "sound tables are refused: {flaw}");
            return;
        }
    };

    let view = verified.view();
    let budget = view.image().budget;
    let mut intent = script::intent(view, &mut asked);
    let facts = Facts { now_ms: asked.long(), approvals: asked.long(), ..Facts::default() };
    let unclassified = intent.evaluate_unclassified();
    assert!(
        matches!(unclassified.verdict(), Verdict::Unavailable(_)),
        "an intent that nobody classified is not allowed"
    );
    assert!(unclassified.fuel_used() <= budget);
    let Ok(mut classified) = intent.classify(facts) else { return };
    let evaluation = classified.evaluate();
    assert!(evaluation.fuel_used() <= budget);
    if evaluation.verdict() == Verdict::Allow {
        assert_eq!(evaluation.cedar(), Decision::Allow);
        assert!(evaluation.errors().is_empty());
    }
    for policy in 0..view.policy_count() {
        let outcome = classified.outcome(policy);
        // Alone a policy has all the fuel, so it can only do better than among the others.
        if evaluation.reasons().contains(policy) {
            assert_eq!(outcome, Outcome::Satisfied, "policy {policy}");
        }
        if let Outcome::Failed(_) = outcome {
            assert!(evaluation.errors().contains(policy), "policy {policy}");
        }
    }
});
