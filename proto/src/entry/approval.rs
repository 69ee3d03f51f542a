//! An operator's answer to a hold: evidence for a new evaluation, or the end of it.
//!
//! One entry for each operator that answers. What was signed is rebuilt from the other fields, so that nobody has to believe
//! the text that came with a signature.

use core::fmt;

use serde::{Deserialize, Serialize};

use super::Salt;
use crate::hash::Hash;
use crate::number::{Epoch, LeafIndex, Timestamp};

/// What an operator says to a hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Answer {
    /// Let it be decided with this approval.
    Approved,
    /// Refuse it.
    Rejected,
}

impl Answer {
    /// How the statement and texts say it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Approved => "approve",
            Self::Rejected => "reject",
        }
    }
}

/// An operator answered a hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval<'a> {
    /// Hides the body from those who see only its hash.
    pub salt: Salt,
    /// When.
    pub time: Timestamp,
    /// The epoch at the time.
    pub epoch: Epoch,
    /// The leaf of the hold.
    pub hold: LeafIndex,
    /// The intent digest that it holds.
    pub intent: Hash,
    /// Whose intent it is.
    pub principal: &'a str,
    /// What the operator said.
    pub answer: Answer,
    /// Who.
    pub by: &'a str,
    /// The operator's public key, as OpenSSH writes it, without a comment.
    pub key: &'a str,
    /// The bundle that lists the key.
    pub bundle: Hash,
    /// The signature over the statement (SSHSIG, namespace [`Approval::NAMESPACE`]).
    pub signature: &'a str,
}

impl Approval<'_> {
    /// The namespace of these signatures.
    pub const NAMESPACE: &'static str = "assent-approval@v1";

    /// Writes the statement that is signed, in the log of this origin.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write_statement(
        origin: &str,
        hold: LeafIndex,
        intent: &Hash,
        principal: &str,
        answer: Answer,
        out: &mut impl fmt::Write,
    ) -> fmt::Result {
        let answer = answer.name();
        write!(
            out,
            "assent/approval/v1\norigin {origin}\nhold {hold}\nintent {intent}\nprincipal {principal}\nanswer {answer}\n"
        )
    }
}
