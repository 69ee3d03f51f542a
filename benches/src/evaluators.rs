//! Evaluation beside cedar-policy's `is_authorized`: the same policies, entities and request, at 1, 10 and 100 policies.
//!
//! Cedar has its request ready, as its best case; our `evaluate` has its intent ready too; an intent is read from borrowed
//! text, classified and evaluated, which is what serving costs.

use std::hint::black_box;

use anyhow::{Context as _, anyhow, ensure};
use assent_compiler::{Bundle, Sources};
use assent_evaluator::{Decision, Facts, Intent, Verdict};
use cedar_policy::{
    Authorizer, Context, Decision as CedarDecision, Entities, EntityUid, PolicySet, Request, Schema,
};

use crate::figures::Run;
use crate::measure::nanoseconds;
use crate::refunds::{CONTEXT, ENTITIES, SCHEMA, ask, policies};

/// How many policies there are.
pub(crate) const POLICIES: [usize; 3] = [1, 10, 100];

/// Measures both, where they decide the same.
pub(crate) fn measure(run: &mut Run) -> anyhow::Result<()> {
    for count in POLICIES {
        at(run, count).with_context(|| format!("{count} policies"))?;
    }
    Ok(())
}

fn at(run: &mut Run, count: usize) -> anyhow::Result<()> {
    let text = policies(count);
    let cedar = Cedar::new(&text)?;
    let bundle = Bundle::compile(Sources::plain(SCHEMA, &text, ENTITIES))?;
    let view = bundle.view();
    let mut intent = Intent::new(&view);
    ask(&mut intent).context("the values do not fit")?;
    let mut classified =
        intent.classify(Facts::default()).map_err(|why| anyhow!("the intent is refused: {why:?}"))?;

    let theirs = cedar.authorizer.is_authorized(&cedar.request, &cedar.policies, &cedar.entities);
    let ours = classified.evaluate();
    ensure!(
        (ours.cedar() == Decision::Allow) == (theirs.decision() == CedarDecision::Allow)
            && ours.reasons().len() == theirs.diagnostics().reason().count()
            && theirs.diagnostics().errors().next().is_none(),
        "the evaluator decides otherwise than Cedar"
    );
    let mut next = Intent::new(&view);
    ensure!(
        ours.verdict() == Verdict::Allow && serve(&mut next) == Some(Verdict::Allow),
        "it does not allow"
    );

    let theirs = nanoseconds(|| {
        cedar.authorizer.is_authorized(black_box(&cedar.request), &cedar.policies, &cedar.entities)
    });
    run.note(format!("cedar_{count}_ns"), theirs);
    run.note(
        format!("evaluator_{count}_ns"),
        nanoseconds(|| black_box(&mut classified).evaluate().verdict()),
    );
    run.note(format!("intent_{count}_ns"), nanoseconds(|| serve(black_box(&mut next))));
    Ok(())
}

/// Cedar with all it needs ready.
struct Cedar {
    authorizer: Authorizer,
    policies: PolicySet,
    entities: Entities,
    request: Request,
}

impl Cedar {
    fn new(policies: &str) -> anyhow::Result<Self> {
        let (schema, _) = Schema::from_cedarschema_str(SCHEMA)?;
        let entities = Entities::from_json_str(ENTITIES, Some(&schema))?;
        let action: EntityUid = "Action::\"refund\"".parse()?;
        let context = Context::from_json_str(CONTEXT, Some((&schema, &action)))?;
        let (principal, resource) = ("Agent::\"a\"".parse()?, "Order::\"o\"".parse()?);
        let request = Request::new(principal, action, resource, context, Some(&schema))?;
        Ok(Self { authorizer: Authorizer::new(), policies: policies.parse()?, entities, request })
    }
}

/// What serving one intent costs behind its parser. The buffers are those of the intent before, as they are within a batch.
fn serve(intent: &mut Intent<'_>) -> Option<Verdict> {
    ask(intent)?;
    Some(intent.classify(Facts::default()).ok()?.evaluate().verdict())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Cedar names as reasons those whose conditions all hold, and these hold only where every one of them ran.
    #[test]
    fn all_conditions_of_all_permits_run_and_no_forbid_applies() {
        for count in POLICIES {
            let text = policies(count);
            let cedar = Cedar::new(&text).unwrap();
            let told = cedar.authorizer.is_authorized(&cedar.request, &cedar.policies, &cedar.entities);
            let mut reasons: Vec<String> = told.diagnostics().reason().map(ToString::to_string).collect();
            // Cedar numbers them in the order of the text.
            let mut permits: Vec<String> = (0..count)
                .filter(|number| number % 10 != 9)
                .map(|number| format!("policy{number}"))
                .collect();
            reasons.sort_unstable();
            permits.sort_unstable();
            assert_eq!(reasons, permits, "{count}");
            assert_eq!(told.decision(), CedarDecision::Allow, "{count}");
            assert_eq!(told.diagnostics().errors().count(), 0, "{count}");
            // Forbids without their last condition apply: all before it held, so it ran, too.
            let applies = Cedar::new(&text.lines().map(until_unless).collect::<String>()).unwrap();
            let told =
                applies.authorizer.is_authorized(&applies.request, &applies.policies, &applies.entities);
            let forbids = told.diagnostics().reason().count();
            assert_eq!(forbids, if count < 10 { count } else { count / 10 }, "{count}");
        }
    }

    fn until_unless(policy: &str) -> String {
        policy.split(" unless").next().unwrap_or_default().to_owned() + ";\n"
    }

    #[test]
    fn both_decide_the_same_and_are_measured() {
        let mut run = Run::default();
        measure(&mut run).unwrap();
        for name in ["cedar", "evaluator", "intent"] {
            assert!(
                POLICIES.iter().all(|count| run.get(&format!("{name}_{count}_ns")).unwrap() > 0.0),
                "{name}"
            );
        }
    }
}
