//! Whence an allow has its authority, where the policies alone do not give it.
//!
//! An approval or a warrant must itself be in the log before the allow that rests on it, under a checkpoint, and must cover it.
//! The kinds of those entries are reserved and their bodies not known to this version, so nothing that rests on one can be
//! verified, and is told. Whoever gives them bodies holds the allow against them here.

use assent_proto::entry::Grounds;

/// What is wrong with what an allow rests on; none where it rests on the policies.
pub(super) fn of(grounds: Grounds) -> Option<String> {
    match grounds {
        Grounds::Policy => None,
        Grounds::Approval(leaf) => {
            Some(format!("allowed on the approval at {leaf}, which this version cannot verify"))
        }
        Grounds::Warrant { leaf, .. } => {
            Some(format!("allowed on the warrant at {leaf}, which this version cannot verify"))
        }
    }
}
