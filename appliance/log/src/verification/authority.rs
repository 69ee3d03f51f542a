//! Whence an allow has its authority, where the policies alone do not give it: holds, and the answers of operators to them.
//!
//! An answer must be signed by the key that it names, and be to a hold that awaits approval, of the same intent of the same agent.
//! An allow rests on an approval that is in the log before it; its hold was not rejected, and gave leave to nothing before. How
//! many operators can have approved it by then is told to whoever evaluates again. Whether they were operators, and how many it took,
//! the bundle tells. Uses of warrants are held against these in `break_glass`.

use std::collections::BTreeMap;

use assent_operators::{OperatorKey, Quorum, SignatureFile};
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
    /// The first approval by each key, and the first in each name: its leaf, and a digest of whose it is.
    keys: Vec<(u64, Hash)>,
    names: Vec<(u64, Hash)>,
    /// Whether approvals of it had to make room.
    is_partial: bool,
    /// Where it was rejected.
    rejected: Option<u64>,
    /// The allow that rests on it.
    allowed: Option<u64>,
}

/// Who signed an answer: digests of the key, and of the name that the entry gives it.
#[derive(Clone, Copy, Debug)]
struct Signer {
    key: Hash,
    name: Hash,
}

impl Held {
    fn of(subject: Hash) -> Self {
        let (keys, names) = (Vec::new(), Vec::new());
        Self { subject, keys, names, is_partial: false, rejected: None, allowed: None }
    }

    /// An operator counts once, however many keys they have; and a key once, whoever is said to hold it.
    fn approve(&mut self, index: u64, by: Signer) {
        for (known, digest) in [(&mut self.keys, by.key), (&mut self.names, by.name)] {
            // LIMIT: a forged hold may have as many as its log has entries.
            if known.len() < MAX_HOLD_APPROVERS && !known.iter().any(|(_, known)| *known == digest) {
                known.push((index, digest));
            }
        }
    }

    /// How many operators can have approved it, that approval included; none where that is not known any more.
    fn approvers(&self, until: u64) -> Option<u64> {
        let [keys, names] =
            [&self.keys, &self.names].map(|of| of.iter().filter(|(at, _)| *at <= until).count());
        (!self.is_partial).then_some(keys.min(names) as u64)
    }

    /// An approval had to make room.
    fn forget(&mut self, index: u64) {
        [&mut self.keys, &mut self.names].into_iter().for_each(|of| of.retain(|(at, _)| *at != index));
        self.is_partial = true;
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

    /// Takes an operator's answer to a hold, where the key that it names signed it.
    pub(super) fn take(&mut self, origin: &str, index: u64, approval: &Approval<'_>) -> Result<(), String> {
        let hold = approval.hold;
        if hold.0 >= index {
            return Err(format!("an answer to the hold at {hold}, which comes behind it"));
        }
        let by = Signer::of(origin, index, approval)?;
        match self.holds.get_mut(&hold.0) {
            Some(held) if held.subject != subject(&approval.intent, approval.principal) => {
                return Err(format!("an answer to the hold at {hold}, which is of another intent"));
            }
            Some(held) => match approval.answer {
                Answer::Rejected => drop(held.rejected.get_or_insert(index)),
                Answer::Approved => held.approve(index, by),
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
                held.forget(first);
            }
        }
    }

    /// Holds an allow against the approval that it rests on, and the hold of that. Gives how many operators can have approved that by
    /// then; none where that is not known any more, or where it rests on none.
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

impl Signer {
    /// Of an answer, which the key that it names must have signed.
    fn of(origin: &str, index: u64, approval: &Approval<'_>) -> Result<Self, String> {
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
        let fingerprint = quorum.keys().get(at).map(OperatorKey::fingerprint).unwrap_or_default();
        let digest = |text: &str| Hash::of_labelled(b"", [text.as_bytes()]);
        Ok(Self { key: digest(&fingerprint), name: digest(by) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HELD: Hash = Hash([1; 32]);

    fn by(key: usize, name: usize) -> Signer {
        let digest = |number: usize| Hash::of_labelled(b"", [&number.to_be_bytes()]);
        Signer { key: digest(key), name: digest(name) }
    }

    #[test]
    fn a_key_and_an_operator_count_once_and_from_where_they_approved() {
        let counted = |approvals: &[(usize, usize)]| {
            let mut held = Held::of(HELD);
            for (index, (key, name)) in (10..).zip(approvals) {
                held.approve(index, by(*key, *name));
            }
            (10..).zip(approvals).map(|(until, _)| held.approvers(until).unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(counted(&[(1, 1), (1, 2), (2, 3)]), [1, 1, 2], "one key in two names");
        assert_eq!(counted(&[(1, 1), (2, 1), (3, 2)]), [1, 1, 2], "two keys of one operator");
        // A key that went to another operator, whose own key came then.
        assert_eq!(counted(&[(1, 1), (1, 2), (2, 1)]), [1, 1, 2]);
        let many: Vec<_> = (0..2 * MAX_HOLD_APPROVERS).map(|number| (number, number)).collect();
        assert_eq!(counted(&many).last(), Some(&(MAX_HOLD_APPROVERS as u64)));
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
            held.approve(holds + 1, by(1, 1));
        }
        let more = MAX_APPROVALS as u64;
        (0..more).for_each(|number| approvals.keep(holds + 2 + number, 2));
        assert_eq!((approvals.given.len() as u64, approvals.given_from), (more, holds + 2));
        assert_eq!(approvals.holds.get(&1).and_then(|held| held.approvers(u64::MAX)), None);
    }
}
