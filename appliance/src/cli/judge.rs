//! A judge: a bundle that decides recorded intents again, by the classification and evaluation that serve.
//!
//! It is told what the appliance asserted at the time, as far as that is known; what is made of the answer is the caller's.

use assent_compiler::Bundle;
use assent_evaluator::{Facts, Uid, Verdict as Evaluated};
use assent_proto::entry::Grounds;
use assent_proto::hash::Hash;
use assent_proto::intent::Intent;
use assent_proto::refusal::Refusal;
use assent_proto::wire::{Verdict, Waiting};

use super::policy::invalid;
use crate::intent::Reading;

/// What a bundle decides on an intent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Judgement<'b> {
    pub(super) verdict: Verdict,
    pub(super) risk: i64,
    /// The policies that determined it, in the bundle's order.
    pub(super) policies: Vec<&'b str>,
    /// Whether the intent passed into evaluation.
    pub(super) is_classified: bool,
}

/// A bundle, and which type its agents are of.
#[derive(Debug)]
pub(super) struct Judge<'b> {
    bundle: &'b Bundle,
    pub(super) digest: Hash,
    principal_type: &'b str,
}

impl<'b> Judge<'b> {
    /// The judge of this bundle.
    pub(super) fn new(bundle: &'b Bundle) -> anyhow::Result<Self> {
        let principal_type = bundle.agent_type().map_err(|error| invalid(&error))?.unwrap_or_default();
        Ok(Self { bundle, digest: Hash(bundle.digest()), principal_type })
    }

    /// Decides an intent of this principal under these facts.
    pub(super) fn decide(&self, intent: &Intent<'_>, principal: &str, facts: Facts) -> Judgement<'b> {
        let view = self.bundle.view();
        self.decide_in(&mut Reading::new(&view), intent, principal, facts)
    }

    /// The same, where this bundle has many to decide: in one place that was made for them.
    pub(super) fn decide_in<'a>(
        &self,
        reading: &mut Reading<'a>,
        intent: &Intent<'a>,
        principal: &'a str,
        facts: Facts,
    ) -> Judgement<'b>
    where
        'b: 'a,
    {
        let principal = Uid { type_name: self.principal_type, id: principal };
        let mut classified = match reading.classify(principal, intent, facts) {
            Ok(classified) => classified,
            Err(unclassified) => {
                let verdict = Verdict::Deny(unclassified.refusal());
                return Judgement { verdict, risk: 0, policies: Vec::new(), is_classified: false };
            }
        };
        let granted = classified.granted;
        let evaluation = classified.read.evaluate();
        let (verdict, deciding) = match evaluation.verdict() {
            Evaluated::Allow => {
                let (window_s, uses) = (granted.window_s, granted.uses);
                (Verdict::Allow { window_s, uses, grounds: Grounds::Policy }, evaluation.reasons())
            }
            Evaluated::Deny => (Verdict::Deny(Refusal::PolicyDenied), evaluation.reasons()),
            Evaluated::Hold => (
                Verdict::Hold { refusal: held(granted.waiting), waiting: granted.waiting },
                evaluation.reasons(),
            ),
            Evaluated::Unavailable(_) => (Verdict::Deny(Refusal::EvaluationUnavailable), evaluation.errors()),
        };
        let policies = deciding.iter().map(|index| self.bundle.policy_id(index)).collect();
        Judgement { verdict, risk: evaluation.risk(), policies, is_classified: true }
    }
}

/// What an agent hears of a hold: one that may wait does.
const fn held(waiting: Option<Waiting>) -> Refusal {
    if waiting.is_some() { Refusal::AwaitingApproval } else { Refusal::ApprovalRequired }
}
