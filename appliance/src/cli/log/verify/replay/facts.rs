//! Facts that the appliance asserted and nobody recorded: which values of them could matter to a bundle.
//!
//! A bundle that does not speak of a fact cannot depend on it. One that speaks of the agent's rate compares it, as a rule,
//! with numbers that stand in its text; so the rates around each of those, the lowest there can have been and the highest that
//! there is are tried. What compares it with something else may differ under a rate that was not tried.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use assent_compiler::Sources;
use assent_evaluator::Facts;
use assent_proto::entry::Grounds;

use crate::cli::log::decision::Decision;

/// Rates that are tried at most for one intent.
const MAX_RATES: usize = 64;
/// Approvals that are tried at most for one intent.
const MOST_APPROVALS: i64 = 8;

/// Which facts a bundle speaks of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Mentions {
    degraded: bool,
    approvals: bool,
    /// Numbers that stand in its text; none where it does not speak of the rate.
    rates: Option<BTreeSet<i64>>,
}

impl Mentions {
    /// Looks through the text of policies and risk model. That a comment may speak of a fact costs time and nothing else.
    pub(super) fn of(sources: &Sources) -> Self {
        let texts = || sources.policies.iter().chain(&sources.risk).map(|document| document.text.as_str());
        let speaks_of = |fact: &str| texts().any(|text| text.contains(fact));
        let rates = speaks_of("agent_rate").then(|| texts().flat_map(numbers).take(MAX_RATES / 2).collect());
        Self { degraded: speaks_of("degraded"), approvals: speaks_of("approvals"), rates }
    }

    /// The facts under which an intent could have been decided: what is recorded, and each value of what is not. The first
    /// of its batch is at position 0.
    ///
    /// Those of one number of approvals stand together.
    pub(super) fn facts(&self, decision: &Decision<'_>, position: usize) -> Vec<Vec<Facts>> {
        let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let lowest = i64::try_from(position).unwrap_or(i64::MAX).saturating_add(1);
        let mut rates = vec![lowest];
        if let Some(named) = &self.rates {
            let around = named.iter().flat_map(|rate| [*rate, rate.saturating_add(1)]);
            rates.extend(around.filter(|rate| *rate > lowest).take(MAX_RATES));
            rates.push(i64::MAX);
        }
        let base =
            Facts { now_ms: number(decision.time.0), epoch: number(decision.epoch.0), ..Facts::default() };
        let degraded: &[bool] = if self.degraded { &[false, true] } else { &[false] };
        let both = |agent_rate: i64| {
            degraded.iter().map(move |degraded| Facts { agent_rate, degraded: *degraded, ..base })
        };
        let all: Vec<Facts> = rates.into_iter().flat_map(both).collect();
        let alike = |approvals| all.iter().map(|facts| Facts { approvals, ..*facts }).collect();
        self.approvals_of(decision).map(alike).collect()
    }
}

impl Mentions {
    /// How many approvals there may have been. An allow says whether there were any; those that are more than its hold has, whoever
    /// takes the rounds in order leaves out. What was refused may have been approved before.
    fn approvals_of(&self, decision: &Decision<'_>) -> RangeInclusive<i64> {
        let grounds = decision.allow.map(|allow| allow.grounds);
        match grounds {
            _ if !self.approvals => 0..=0,
            Some(Grounds::Approval(_)) => 1..=MOST_APPROVALS,
            Some(Grounds::Policy | Grounds::Warrant { .. }) => 0..=0,
            None => 0..=MOST_APPROVALS,
        }
    }
}

/// The whole numbers that stand in a text.
fn numbers(text: &str) -> impl Iterator<Item = i64> {
    text.split(|c: char| !c.is_ascii_digit()).filter_map(|digits| digits.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mentions(policies: &str) -> Mentions {
        Mentions::of(&Sources::plain("", policies, "[]"))
    }

    #[test]
    fn a_bundle_that_speaks_of_no_such_fact_is_tried_once() {
        assert_eq!(
            mentions("permit(principal, action, resource) when { context.assent.now < 5 };"),
            Mentions::default()
        );
    }

    #[test]
    fn rates_around_every_number_of_the_text_are_tried() {
        let speaks =
            mentions("forbid(principal, action, resource) when { context.assent.agent_rate > 100 };");
        assert_eq!(speaks, Mentions { rates: Some(BTreeSet::from([100])), ..Mentions::default() });
        let both = mentions("// 7: degraded and agent_rate");
        assert_eq!(
            both,
            Mentions { degraded: true, rates: Some(BTreeSet::from([7])), ..Mentions::default() }
        );
    }
}
