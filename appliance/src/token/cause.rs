//! Causes: why the token boundary is closed, and who may open it again.
//!
//! A cause has a bounded label, by which the log and the latch know it, and a class. A label that we do not know is grave.

use std::time::Duration;

use crate::disk::Space;
use crate::hsm::{FaultClass, FaultKind, HsmFault};
use crate::log::Latched;
use crate::log::second_fence::FenceMismatch;

const STARTING: &str = "starting";
const REARM_ORDERED: &str = "rearm_ordered";
const BAD_SIGNATURE: &str = "bad_signature";
const FENCE: &str = "fence";
/// Log and HSM's fence are not of one history.
pub(crate) const FENCE_MISMATCH: &str = "fence_mismatch";
const DISK_HANGS: &str = "disk_hangs";
/// The disk has too little room.
pub(crate) const DISK_LOW: &str = "disk_low";
const WRONG_KEY: &str = "wrong_key";
const LOG_DAMAGED: &str = "log_damaged";

/// What is to be done about a log and a fence that are not of one history.
const RESTORE: &str = "restore the newest log, or open the next log by ceremony: `assent log succeed`";

/// Why the boundary is closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// A bounded label, for metrics and the log.
    pub kind: &'static str,
    /// Whether it may re-arm by itself.
    pub class: FaultClass,
    /// What the operator reads.
    pub message: String,
}

impl Cause {
    /// Closed because it has not been open yet.
    #[must_use]
    pub fn starting() -> Self {
        Self { kind: STARTING, class: FaultClass::Availability, message: "not armed yet".to_owned() }
    }

    /// How the boundary stands at start: an integrity fault that no re-arm has ended outlives the process that met it,
    /// whatever operators had ordered meanwhile. The latch says so, and the log's unsigned tail, should the latch be gone.
    #[must_use]
    pub fn at_start(held: Option<&Latched>, trips: &[Latched]) -> Self {
        let latched = held.map(|held| grave(&held.cause).unwrap_or("unknown_fault"));
        let standing = latched.or_else(|| trips.iter().rev().find_map(|trip| grave(&trip.cause)));
        let Some(kind) = standing else { return Self::starting() };
        let next = if kind == FENCE_MISMATCH { RESTORE } else { "have operators sign: `assent hsm rearm`" };
        let message = format!("closed for {kind} before this start; find out why, then {next}");
        Self { kind, class: FaultClass::Integrity, message }
    }

    /// The label of every cause, once, and who may open the boundary after it.
    pub fn labels() -> impl Iterator<Item = (&'static str, FaultClass)> {
        let of_the_hsm = FaultKind::ALL.into_iter().map(|kind| (kind.label(), kind.class()));
        // Those that the HSM has a word for, too, stand there.
        let ours = [
            (STARTING, FaultClass::Availability),
            (REARM_ORDERED, FaultClass::Availability),
            (BAD_SIGNATURE, FaultClass::Integrity),
            (FENCE, FaultClass::Availability),
            (FENCE_MISMATCH, FaultClass::Integrity),
            (DISK_HANGS, FaultClass::Availability),
            (DISK_LOW, FaultClass::Availability),
            (WRONG_KEY, FaultClass::Integrity),
            (LOG_DAMAGED, FaultClass::Integrity),
        ];
        of_the_hsm.chain(ours)
    }

    /// Whether it is the log itself that cannot be trusted: then no warrant is of use, either.
    pub(super) fn is_of_the_log(&self) -> bool {
        [FENCE_MISMATCH, LOG_DAMAGED].contains(&self.kind)
    }

    pub(super) fn is_same_as(&self, other: &Self) -> bool {
        (self.kind, self.class) == (other.kind, other.class)
    }

    /// Operators have signed that it may re-arm; the attempt is on its way.
    #[must_use]
    pub fn ordered() -> Self {
        let message = "re-arm was ordered by operators, and is being tried";
        Self { kind: REARM_ORDERED, class: FaultClass::Availability, message: message.to_owned() }
    }

    /// The signer was lost while the boundary was about to open.
    #[must_use]
    pub fn lost_while_arming() -> Self {
        let message = "the signer was lost while the boundary was about to open";
        Self {
            kind: FaultKind::SignerLost.label(),
            class: FaultClass::Availability,
            message: message.to_owned(),
        }
    }

    /// The fence could not be written, so a rollback would go unseen.
    #[must_use]
    pub fn fence(error: &dyn std::error::Error) -> Self {
        let message = format!("{error}; the log would not be fenced against rollback");
        Self { kind: FENCE, class: FaultClass::Availability, message }
    }

    /// What the log vouches for is not what lies on the disk.
    #[must_use]
    pub fn log_damaged(error: &dyn std::error::Error) -> Self {
        Self { kind: LOG_DAMAGED, class: FaultClass::Integrity, message: error.to_string() }
    }

    /// Log and HSM's fence are not of one history: nothing that the HSM signs now may stand for it.
    #[must_use]
    pub fn fence_mismatch(mismatch: &FenceMismatch) -> Self {
        let message = format!("{mismatch}; {RESTORE}");
        Self { kind: FENCE_MISMATCH, class: FaultClass::Integrity, message }
    }

    /// The HSM keeps no fence, and the configuration demands one.
    #[must_use]
    pub fn fence_refused(why: &str) -> Self {
        Self::from(&HsmFault::new(FaultKind::DataRefused, why))
    }

    /// The disk did not do in time what the log needs.
    #[must_use]
    pub fn disk_hangs(deadline: Duration) -> Self {
        let message = format!(
            "the disk did not answer within {deadline:?} (`log.deadline`); look at it, and at what else writes to it"
        );
        Self { kind: DISK_HANGS, class: FaultClass::Availability, message }
    }

    /// There is less room than the log needs to go on.
    #[must_use]
    pub fn disk_low(space: &Space) -> Self {
        Self { kind: DISK_LOW, class: FaultClass::Availability, message: space.shortage() }
    }

    /// The system gives no thread to arm on.
    #[must_use]
    pub fn no_thread(error: &dyn std::error::Error) -> Self {
        let message = format!("no thread to arm on: {error}; look at the limits on processes");
        Self { kind: FaultKind::SignerUnstarted.label(), class: FaultClass::Availability, message }
    }

    /// The HSM has another key than the pinned one.
    #[must_use]
    pub fn wrong_key(why: &str) -> Self {
        let message = format!("{why}; check slot and key id, or pin the new key by rotation");
        Self { kind: WRONG_KEY, class: FaultClass::Integrity, message }
    }

    /// The signature verified under nothing that we trust.
    #[must_use]
    pub fn bad_signature() -> Self {
        let message =
            "the HSM's signature does not verify under the pinned key; check the HSM before re-arming";
        Self { kind: BAD_SIGNATURE, class: FaultClass::Integrity, message: message.to_owned() }
    }
}

impl From<&HsmFault> for Cause {
    fn from(fault: &HsmFault) -> Self {
        Self { kind: fault.kind(), class: fault.class(), message: fault.to_string() }
    }
}

/// The label of a cause that only operators may answer; none where it is another. One that we do not know is grave.
fn grave(label: &str) -> Option<&'static str> {
    match Cause::labels().find(|(known, _)| *known == label) {
        Some((_, FaultClass::Availability)) => None,
        Some((known, FaultClass::Integrity)) => Some(known),
        None => Some("unknown_fault"),
    }
}

#[cfg(test)]
mod tests {
    use assent_proto::number::Epoch;

    use super::*;

    #[test]
    fn every_cause_has_its_label_and_class_in_the_list_once() {
        let known: Vec<_> = Cause::labels().collect();
        let error = std::io::Error::other("x");
        for cause in [
            Cause::starting(),
            Cause::ordered(),
            Cause::lost_while_arming(),
            Cause::fence(&error),
            Cause::log_damaged(&error),
            Cause::fence_mismatch(&FenceMismatch::Missing(String::new())),
            Cause::fence_refused("x"),
            Cause::disk_hangs(Duration::ZERO),
            Cause::disk_low(&Space::new(std::path::Path::new("/"), std::path::Path::new("/"), 0, 0)),
            Cause::no_thread(&error),
            Cause::wrong_key("x"),
            Cause::bad_signature(),
        ] {
            let same = known.iter().filter(|known| **known == (cause.kind, cause.class));
            assert_eq!(same.count(), 1, "{}", cause.kind);
        }
        let labels: std::collections::BTreeSet<_> = known.iter().map(|(label, _)| label).collect();
        assert_eq!(labels.len(), known.len());
    }

    #[test]
    fn an_integrity_fault_outlives_the_process_that_met_it() {
        let held = |cause: &str| Latched { epoch: Epoch(3), cause: cause.to_owned() };
        let kind = |latch: Option<Latched>, trips: &[Latched]| Cause::at_start(latch.as_ref(), trips).kind;
        assert_eq!(kind(None, &[]), "starting");
        assert_eq!(kind(None, &[held("device_removed")]), "starting");
        assert_eq!(kind(None, &[held("disk_hangs"), held("disk_low")]), "starting");
        assert_eq!(kind(None, &[held("bad_signature"), held("device_removed")]), "bad_signature");
        assert_eq!(kind(None, &[held("of a later version")]), "unknown_fault");
        assert_eq!(kind(Some(held("pin_locked")), &[]), "pin_locked");
        assert_eq!(
            kind(Some(held("device_removed")), &[]),
            "unknown_fault",
            "a latch holds whatever it says"
        );
    }
}
