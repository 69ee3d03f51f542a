//! A bundle in force: compiled, admitted, and what one batch is decided by.
//!
//! It never changes, but for the count of its failing policies. Who holds one keeps its memory; the loader holds each until
//! nobody else does, so that no intent ever waits while one is freed.

use std::sync::atomic::{AtomicU64, Ordering};

use assent_compiler::Bundle;
use assent_evaluator::{PolicyBits, Uid};
use assent_proto::hash::Hash;
use assent_proto::number::Timestamp;

use super::approvers::Approvers;
use crate::operators::SignatureFile;

/// Who offered a bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum By {
    /// The appliance, when it started.
    Start,
    /// The appliance, which watches the source.
    Watch,
    /// An operator, over the control socket: user name and number, as the system told them.
    Operator {
        /// The user's name, where the system knows one.
        name: Option<String>,
        /// The user's number.
        uid: u32,
    },
}

impl std::fmt::Display for By {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Start => f.write_str("start"),
            Self::Watch => f.write_str("watch"),
            Self::Operator { name: Some(name), uid } => write!(f, "operator {name} (uid {uid})"),
            Self::Operator { name: None, uid } => write!(f, "operator uid {uid}"),
        }
    }
}

/// Whence a bundle came, by whom and when.
#[derive(Clone, Debug)]
pub struct Provenance {
    /// Whence.
    pub source: String,
    /// Who offered it.
    pub by: By,
    /// When.
    pub at: Timestamp,
}

/// A bundle in force. Only [`crate::policy::Rules`] makes one.
#[derive(Debug)]
pub struct Snapshot {
    pub(super) bundle: Bundle,
    pub(super) digest: Hash,
    pub(super) principal_type: String,
    pub(super) version: Option<u64>,
    /// The version that it replaced, where it is older than that.
    pub(super) replaces: Option<u64>,
    pub(super) signatures: Vec<SignatureFile>,
    /// Names of the operators who signed it.
    pub(super) signers: Vec<String>,
    /// Who approves what it holds.
    pub(super) approvers: Approvers,
    pub(super) worst_case: u64,
    pub(super) provenance: Provenance,
    /// How often each policy could not be evaluated.
    pub(super) errors: Box<[AtomicU64]>,
}

impl Snapshot {
    /// The compiled bundle.
    #[must_use]
    pub const fn bundle(&self) -> &Bundle {
        &self.bundle
    }

    /// The entity that a principal is: its SPIFFE ID, of the type that the catalog's actions take.
    #[must_use]
    pub fn principal<'s>(&'s self, spiffe_id: &'s str) -> Uid<'s> {
        Uid { type_name: &self.principal_type, id: spiffe_id }
    }

    /// Who approves what it holds.
    #[must_use]
    pub const fn approvers(&self) -> &Approvers {
        &self.approvers
    }

    /// Its digest, which every entry names.
    #[must_use]
    pub const fn digest(&self) -> Hash {
        self.digest
    }

    /// The version that it states.
    #[must_use]
    pub const fn version(&self) -> Option<u64> {
        self.version
    }

    /// Whence it came.
    #[must_use]
    pub const fn provenance(&self) -> &Provenance {
        &self.provenance
    }

    /// Counts policies that could not be evaluated. The traces name one at each doubling, so that a flood stays readable.
    pub(crate) fn count_errors(&self, failed: &PolicyBits) {
        for policy in failed.iter() {
            let Some(count) = self.errors.get(policy) else { continue };
            let count = count.fetch_add(1, Ordering::Relaxed) + 1;
            if count.is_power_of_two() {
                let id = self.bundle.policy_id(policy);
                tracing::warn!(policy = id, count, bundle = %self.digest, "policy cannot be evaluated");
            }
        }
    }
}
