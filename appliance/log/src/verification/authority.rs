//! Whence an allow has its authority, where the policies alone do not give it: holds, and the answers of operators to them.
//!
//! An answer must be signed by the key that it names, and be to a hold that awaits approval, of the same intent of the same agent.
//! An allow rests on an approval that is in the log before it; its hold was not rejected, and gave leave to nothing before. How
//! many keys had approved it by then is told to whoever evaluates again. Whether they were operators', and how many it took, the
//! bundle tells. Uses of warrants are held against these in `break_glass`.

use std::collections::BTreeMap;

use assent_operators::{Quorum, SignatureFile};
use assent_proto::entry::{Allow, Answer, Approval, Grounds};
use assent_proto::hash::Hash;

use super::report::Report;
use crate::limits::{MAX_APPROVALS, MAX_HOLD_APPROVERS, MAX_KEPT_HOLDS};

/// Whose intent something is about: one digest, for it is only compared.
pub(super) fn subject(intent: &Hash, principal: &str) -> Hash {
    Hash::of_labelled(b"", [&intent.0, principal.as_bytes()])
}

/// Holds that await approval, and the answers to them so far.
#[derive(Debug, Default)]
pub(super) struct Approvals {
    /// By their leaves.
    holds: BTreeMap<u64, Held>,
    /// Of which hold each approval is, by its leaf.
    given: BTreeMap<u64, u64>,
    /// Holds, and approvals, below these leaves may have made room for later ones.
    holds_from: u64,
    given_from: u64,
    /// What rests on those.
    unknown: u64,
}

/// A hold.
#[derive(Debug)]
struct Held {
    subject: Hash,
    /// The first approval by each key: its leaf, and a digest of the key.
    approvals: Vec<(u64, Hash)>,
    /// Whether there were more than are kept.
    is_partial: bool,
    /// Where it was rejected.
    rejected: Option<u64>,
    /// The allow that rests on it.
    allowed: Option<u64>,
}

impl Held {
    fn of(subject: Hash) -> Self {
        Self { subject, approvals: Vec::new(), is_partial: false, rejected: None, allowed: None }
    }

    /// A key counts once, whoever is said to hold it.
    fn approve(&mut self, index: u64, key: Hash) {
        if self.approvals.iter().any(|(_, known)| *known == key) {
            return;
        }
        // LIMIT: a forged hold may have as many as its log has entries.
        if self.approvals.len() < MAX_HOLD_APPROVERS {
            self.approvals.push((index, key));
        } else {
            self.is_partial = true;
        }
    }

    /// How many keys had approved it, that approval included; none where that is not known any more.
    fn approvers(&self, until: u64) -> Option<u64> {
        let counted = self.approvals.iter().filter(|(at, _)| *at <= until).count() as u64;
        (!self.is_partial).then_some(counted)
    }
}

impl Approvals {
    /// An intent is held until operators have answered.
    pub(super) fn hold(&mut self, index: u64, subject: Hash) {
        self.holds.insert(index, Held::of(subject));
        // LIMIT: a log may have more than are kept in mind; what rests on an older one is told as unknown.
        if self.holds.len() > MAX_KEPT_HOLDS
            && let Some((first, _)) = self.holds.pop_first()
        {
            self.holds_from = first.saturating_add(1);
        }
    }

    /// An operator answered a hold.
    pub(super) fn take(&mut self, origin: &str, index: u64, approval: &Approval<'_>) -> Result<(), String> {
        let hold = approval.hold;
        if hold.0 >= index {
            return Err(format!("an answer to the hold at {hold}, which comes behind it"));
        }
        let key = signer(origin, index, approval)?;
        match self.holds.get_mut(&hold.0) {
            Some(held) if held.subject != subject(&approval.intent, approval.principal) => {
                return Err(format!("an answer to the hold at {hold}, which is of another intent"));
            }
            Some(held) => match approval.answer {
                Answer::Rejected => drop(held.rejected.get_or_insert(index)),
                Answer::Approved => held.approve(index, key),
            },
            None if hold.0 < self.holds_from => self.unknown += 1,
            None => return Err(format!("an answer to the hold at {hold}, where none awaits approval")),
        }
        if approval.answer == Answer::Approved {
            self.keep(index, hold.0);
        }
        Ok(())
    }

    /// Keeps of which hold an approval is.
    fn keep(&mut self, index: u64, hold: u64) {
        self.given.insert(index, hold);
        // LIMIT: as with holds.
        if self.given.len() > MAX_APPROVALS
            && let Some((first, of)) = self.given.pop_first()
        {
            self.given_from = first.saturating_add(1);
            if let Some(held) = self.holds.get_mut(&of) {
                held.approvals.retain(|(at, _)| *at != first);
                held.is_partial = true;
            }
        }
    }

    /// Holds an allow against the approval that it rests on, and the hold of that. Gives how many keys had approved that by then;
    /// none where that is not known any more, or where it rests on none.
    pub(super) fn check(&mut self, index: u64, allow: &Allow<'_>) -> Result<Option<u64>, String> {
        let Grounds::Approval(leaf) = allow.grounds else { return Ok(None) };
        let Some(hold) = self.given.get(&leaf.0) else {
            if leaf.0 < self.given_from {
                self.unknown += 1;
                return Ok(None);
            }
            return Err(format!("allowed on the approval at {leaf}, where there is none before it"));
        };
        let Some(held) = self.holds.get_mut(hold) else {
            self.unknown += 1;
            return Ok(None);
        };
        if held.subject != subject(&allow.intent, allow.principal) {
            return Err(format!("allowed on the approval at {leaf}, which is not of this intent"));
        }
        let before = held.allowed.replace(index);
        if let Some(before) = before {
            return Err(format!("allowed on the hold at {hold}, on which the allow at {before} rests"));
        }
        if let Some(rejected) = held.rejected {
            return Err(format!("allowed on the hold at {hold}, which was rejected at {rejected}"));
        }
        Ok(held.approvers(leaf.0))
    }

    /// The log is over.
    pub(super) fn end(&self, report: &mut Report) {
        if self.unknown > 0 {
            let what = format!(
                "{} approvals, or allows that rest on one, are of holds that were too many to be kept in mind",
                self.unknown
            );
            report.remark(report.entries, what);
        }
    }
}

/// A digest of the key that signed an answer, which is the one that it names.
fn signer(origin: &str, index: u64, approval: &Approval<'_>) -> Result<Hash, String> {
    let Approval { hold, intent, principal, answer, by, key, signature, .. } = approval;
    let mut statement = String::new();
    Approval::write_statement(origin, *hold, intent, principal, *answer, &mut statement)
        .map_err(|error| error.to_string())?;
    let unsigned =
        |error: &dyn std::error::Error| format!("the answer of {by} to a hold is not signed: {error}");
    let line = format!("{key} {by}");
    let quorum = Quorum::of_lines([line.as_str()], 1).map_err(|error| unsigned(&error))?;
    let file = SignatureFile { name: format!("leaf {index}"), text: (*signature).to_owned() };
    let at = quorum.verify_one(Approval::NAMESPACE, statement.as_bytes(), &file);
    let at = at.map_err(|error| unsigned(&error))?;
    let fingerprint = quorum.keys().get(at).map(assent_operators::OperatorKey::fingerprint);
    Ok(Hash::of_labelled(b"", [fingerprint.unwrap_or_default().as_bytes()]))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HELD: Hash = Hash([1; 32]);

    fn key(number: usize) -> Hash {
        Hash::of_labelled(b"", [&number.to_be_bytes()])
    }

    #[test]
    fn a_key_counts_once_and_from_where_it_approved() {
        let mut held = Held::of(HELD);
        for (index, by) in [(10, 1), (11, 1), (12, 2)] {
            held.approve(index, key(by));
        }
        assert_eq!([10, 11, 12].map(|until| held.approvers(until)), [Some(1), Some(1), Some(2)]);
        (0..=MAX_HOLD_APPROVERS).for_each(|by| held.approve(20, key(by)));
        assert_eq!((held.approvals.len(), held.approvers(20)), (MAX_HOLD_APPROVERS, None));
    }

    #[test]
    fn holds_and_approvals_that_are_too_many_make_room_and_are_unknown_from_then_on() {
        let mut approvals = Approvals::default();
        let holds = MAX_KEPT_HOLDS as u64;
        (0..=holds).for_each(|index| approvals.hold(index, HELD));
        assert_eq!((approvals.holds.len() as u64, approvals.holds_from), (holds, 1));
        assert!(!approvals.holds.contains_key(&0));
        approvals.keep(holds + 1, 1);
        if let Some(held) = approvals.holds.get_mut(&1) {
            held.approve(holds + 1, key(1));
        }
        let more = MAX_APPROVALS as u64;
        (0..more).for_each(|number| approvals.keep(holds + 2 + number, 2));
        assert_eq!((approvals.given.len() as u64, approvals.given_from), (more, holds + 2));
        assert_eq!(approvals.holds.get(&1).and_then(|held| held.approvers(u64::MAX)), None);
    }
}
