//! Whence an allow has its authority, where the policies alone do not give it.
//!
//! An approval must itself be in the log before the allow that rests on it, under a checkpoint, and must cover it.
//! The kind of that entry is reserved and its body not known to this version, so nothing that rests on one can be
//! verified, and is told. Whoever gives it a body holds the allow against it here.

use assent_proto::entry::Grounds;

/// What is wrong with what an allow rests on; none where it rests on the policies.
pub(super) fn of(grounds: Grounds) -> Option<String> {
    match grounds {
        // A use of a warrant is held against it in `break_glass`.
        Grounds::Policy | Grounds::Warrant { .. } => None,
        Grounds::Approval(leaf) => {
            Some(format!("allowed on the approval at {leaf}, which this version cannot verify"))
        }
    }
}
