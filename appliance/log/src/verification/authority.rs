//! Whence an allow has its authority, where the policies alone do not give it: approvals.
//!
//! An approval must be in the log before the allow that rests on it, be signed by the key that it names, and be about the same
//! intent of the same agent. Whether the key was an operator's, the bundle that it names tells. Uses of warrants are held
//! against these in `break_glass`.

use std::collections::BTreeMap;

use assent_operators::{Quorum, SignatureFile};
use assent_proto::entry::{Allow, Answer, Approval, Grounds};
use assent_proto::hash::Hash;

use crate::limits::MAX_APPROVALS;

/// Approvals so far, by their leaves.
#[derive(Debug, Default)]
pub(super) struct Approvals {
    given: BTreeMap<u64, Given>,
}

#[derive(Debug)]
struct Given {
    intent: Hash,
    principal: String,
    answer: Answer,
}

impl Approvals {
    /// Takes an operator's answer to a hold, where the key that it names signed it.
    pub(super) fn take(&mut self, origin: &str, index: u64, approval: &Approval<'_>) -> Result<(), String> {
        let Approval { hold, intent, principal, answer, by, key, signature, .. } = approval;
        if hold.0 >= index {
            return Err(format!("an answer to the hold at {hold}, which comes behind it"));
        }
        let mut statement = String::new();
        Approval::write_statement(origin, *hold, intent, principal, *answer, &mut statement)
            .map_err(|error| error.to_string())?;
        let line = format!("{key} {by}");
        let signed =
            Quorum::of_lines([line.as_str()], 1).map_err(|error| error.to_string()).and_then(|quorum| {
                let file = SignatureFile { name: format!("leaf {index}"), text: (*signature).to_owned() };
                quorum
                    .verify_one(Approval::NAMESPACE, statement.as_bytes(), &file)
                    .map_err(|error| error.to_string())
            });
        signed.map_err(|error| format!("the answer of {by} to a hold is not signed: {error}"))?;
        // LIMIT: a log may have more than are kept in mind; what rests on an older one is told as unknown.
        if self.given.len() >= MAX_APPROVALS {
            self.given.pop_first();
        }
        let given = Given { intent: *intent, principal: (*principal).to_owned(), answer: *answer };
        self.given.insert(index, given);
        Ok(())
    }

    /// What is wrong with what an allow rests on; none where it rests on the policies.
    pub(super) fn check(&self, allow: &Allow<'_>) -> Option<String> {
        let Grounds::Approval(leaf) = allow.grounds else { return None };
        match self.given.get(&leaf.0) {
            Some(Given { intent, principal, answer: Answer::Approved })
                if *intent == allow.intent && principal == allow.principal =>
            {
                None
            }
            Some(_) => Some(format!("allowed on the approval at {leaf}, which is not of this intent")),
            None => Some(format!("allowed on the approval at {leaf}, where there is none before it")),
        }
    }
}
