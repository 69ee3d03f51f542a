//! Approvals: operators answer holds, and what they say is evidence for a new evaluation.
//!
//! The rules it keeps: a statement binds the hold, the intent digest, the agent and the answer, so that no signature serves
//! for anything else; an operator counts once, is in a group that the deciding policies name, and answers no agent of their
//! own; one rejection ends the wait, and nobody's silence does: that is [`Refusal::Expired`]. What is approved is evaluated
//! anew, in full, and may be denied.

use std::sync::Arc;

use assent_compiler::Approval as Demand;
use assent_proto::entry::{Answer, Approval, Deny, Entry};
use assent_proto::hash::Hash;
use assent_proto::number::LeafIndex;
use assent_proto::wire::Request;

use super::line::{Approver, Line, State};
use crate::log::reader::Reader;
use crate::policy::{Approvers, Snapshot};

/// A hold, as the log has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    /// The intent digest.
    pub(crate) intent: Hash,
    /// The risk at which it was held.
    pub(crate) risk: i64,
    /// Ids of the policies that held it.
    pub(crate) policies: Vec<String>,
}

impl Held {
    /// The hold of a ticket.
    pub(crate) fn of(reader: &Reader, line: &Line) -> Result<Self, String> {
        let leaves =
            reader.leaves(line.hold.0..line.hold.0.saturating_add(1)).map_err(|error| error.to_string())?;
        match leaves.get(0).map(Entry::parse) {
            Some(Ok(Entry::Hold(hold))) => {
                let Deny { intent, risk, policies, .. } = hold.denial;
                let policies = policies.named.iter().map(|id| (*id).to_owned()).collect();
                Ok(Self { intent, risk, policies })
            }
            _ => Err(format!("leaf {} is no hold", line.hold)),
        }
    }

    /// What those policies demand now.
    pub(crate) fn demands<'s>(&self, snapshot: &'s Snapshot) -> Vec<&'s Demand> {
        let policies = snapshot.bundle().policies();
        let held = policies.iter().filter(|policy| self.policies.contains(&policy.id));
        held.filter_map(|policy| policy.approval.as_ref()).collect()
    }
}

/// The statement that an operator signs.
pub(crate) fn statement(origin: &str, line: &Line, held: &Held, answer: Answer) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = Approval::write_statement(origin, line.hold, &held.intent, &line.principal, answer, &mut text);
    text
}

/// Of those who approved, who still counts: their key is theirs, and they are in a group that is asked.
pub(crate) fn valid(approvers: &[Approver], demands: &[&Demand], known: &Approvers) -> Vec<Approver> {
    let counts = |approver: &&Approver| {
        known.owner(&approver.key).is_some_and(|operator| {
            operator.name == approver.name
                && demands.iter().any(|demand| operator.groups.contains(&demand.group))
        })
    };
    approvers.iter().filter(counts).cloned().collect()
}

/// Whether they are enough for every demand.
pub(crate) fn are_enough(approvers: &[Approver], demands: &[&Demand], known: &Approvers) -> bool {
    demands.iter().all(|demand| {
        let of_group = known.in_group(&demand.group);
        let count = of_group
            .filter(|operator| approvers.iter().any(|approver| approver.name == operator.name))
            .count();
        count as u64 >= u64::from(demand.count)
    })
}

/// What an answer makes of a ticket.
pub(crate) fn after(
    line: &Line,
    answer: Answer,
    approver: Approver,
    demands: &[&Demand],
    known: &Approvers,
) -> Line {
    let mut approvers = valid(line.approvers(), demands, known);
    let state = match answer {
        Answer::Rejected => State::Rejected(approver),
        Answer::Approved => {
            approvers.push(approver);
            if are_enough(&approvers, demands, known) {
                State::Approved(approvers)
            } else {
                State::AwaitingApproval(approvers)
            }
        }
    };
    Line { state, ..line.clone() }
}

/// The one intent of a hold, whose digest the log has.
pub(crate) fn same_intent(frame: &[u8], held: &Held) -> Result<(), String> {
    let request = Request::parse(frame).map_err(|error| error.to_string())?;
    let digests: Vec<Hash> = request.intents().map(|(intent, _)| intent.act.digest()).collect();
    if digests == [held.intent] {
        Ok(())
    } else {
        Err("the intent that waits is not the one that was held; nothing is to be signed".to_owned())
    }
}

/// Where the approval of somebody lies in the log.
pub(crate) fn approver(name: &str, key: &str, leaf: LeafIndex) -> Approver {
    Approver { name: name.to_owned(), key: key.to_owned(), leaf }
}

/// What a ticket is decided by, with the bundle that decides.
pub(crate) fn recounted(line: &Line, held: &Held, snapshot: &Arc<Snapshot>) -> Option<Vec<Approver>> {
    let demands = held.demands(snapshot);
    let approvers = valid(line.approvers(), &demands, snapshot.approvers());
    are_enough(&approvers, &demands, snapshot.approvers()).then_some(approvers)
}
