//! The token boundary: open or closed, and in which epoch.
//!
//! Whoever sees a fault trips it, from whatever thread, in one atomic step; no PKCS#11 call stands on that path, and
//! no lock but the one over the cause, which is never held for long. The epoch rises with every trip, so that what was begun before it can be told from what came after.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use assent_proto::number::{Epoch, Timestamp};

use crate::hsm::{FaultClass, HsmFault};

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
        Self { kind: "starting", class: FaultClass::Availability, message: "not armed yet".to_owned() }
    }

    /// The signer was lost while the boundary was about to open.
    #[must_use]
    pub fn lost_while_arming() -> Self {
        let message = "the signer was lost while the boundary was about to open";
        Self { kind: "signer_lost", class: FaultClass::Availability, message: message.to_owned() }
    }

    /// The fence could not be written, so a rollback would go unseen.
    #[must_use]
    pub fn fence(error: &dyn std::error::Error) -> Self {
        let message = format!("{error}; the log would not be fenced against rollback");
        Self { kind: "fence", class: FaultClass::Availability, message }
    }

    /// The signature verified under nothing that we trust.
    #[must_use]
    pub fn bad_signature() -> Self {
        let message =
            "the HSM's signature does not verify under the pinned key; check the HSM before re-arming";
        Self { kind: "bad_signature", class: FaultClass::Integrity, message: message.to_owned() }
    }
}

impl From<&HsmFault> for Cause {
    fn from(fault: &HsmFault) -> Self {
        Self { kind: fault.kind(), class: fault.class(), message: fault.to_string() }
    }
}

/// Why, and since when.
#[derive(Clone, Debug)]
pub struct Closed {
    /// Why it closed first; later faults of the same outage do not replace it.
    pub cause: Cause,
    /// Since when.
    pub since: Timestamp,
}

/// Whether tokens may leave. Starts closed.
#[derive(Debug)]
pub struct TokenBoundary {
    /// The epoch in all bits but the last, which says whether it is open.
    state: AtomicU64,
    closed: Mutex<Closed>,
}

impl TokenBoundary {
    /// Closed, in the epoch in which the log ended.
    #[must_use]
    pub fn new(epoch: Epoch, now: Timestamp) -> Self {
        let closed = Closed { cause: Cause::starting(), since: now };
        Self { state: AtomicU64::new(epoch.0 << 1), closed: Mutex::new(closed) }
    }

    /// The epoch, whether open or closed.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        Epoch(self.state.load(Ordering::SeqCst) >> 1)
    }

    /// Whether it is open, in any epoch.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.state.load(Ordering::SeqCst) & 1 == 1
    }

    /// Whether it is open in just this epoch.
    #[must_use]
    pub fn is_open_in(&self, epoch: Epoch) -> bool {
        self.state.load(Ordering::SeqCst) == (epoch.0 << 1 | 1)
    }

    /// Why it is closed; none when it is open.
    #[must_use]
    pub fn closed(&self) -> Option<Closed> {
        let closed = self.closed.lock().unwrap_or_else(PoisonError::into_inner);
        (!self.is_open()).then(|| closed.clone())
    }

    /// Closes it and raises the epoch. False when it was closed already: then it was somebody else's trip.
    pub fn trip(&self, cause: Cause, now: Timestamp) -> bool {
        // Held while the word changes, so that nobody reads the cause of the outage before.
        let mut closed = self.closed.lock().unwrap_or_else(PoisonError::into_inner);
        let mut state = self.state.load(Ordering::SeqCst);
        while state & 1 == 1 {
            // Open in epoch e is 2e + 1; closed in epoch e + 1 is 2e + 2.
            match self.state.compare_exchange(state, state + 1, Ordering::SeqCst, Ordering::SeqCst) {
                Ok(_) => {
                    *closed = Closed { cause, since: now };
                    return true;
                }
                Err(moved) => state = moved,
            }
        }
        false
    }

    /// Notes another reason while it is closed: a failed attempt to arm replaces "starting" and updates the class.
    pub(super) fn note(&self, cause: Cause) {
        if !self.is_open() {
            self.closed.lock().unwrap_or_else(PoisonError::into_inner).cause = cause;
        }
    }

    /// Opens it in its epoch. Only the sealer arms, after the round that records it is durable.
    pub(super) fn arm(&self) -> Epoch {
        Epoch(self.state.fetch_or(1, Ordering::SeqCst) >> 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_trip_raises_the_epoch_once() {
        let boundary = TokenBoundary::new(Epoch(7), Timestamp(0));
        assert!(!boundary.trip(Cause::bad_signature(), Timestamp(1)), "it starts closed");
        assert_eq!(boundary.arm(), Epoch(7));
        assert!(boundary.is_open_in(Epoch(7)));
        assert!(boundary.trip(Cause::bad_signature(), Timestamp(2)));
        assert!(!boundary.trip(Cause::starting(), Timestamp(3)));
        assert_eq!(boundary.epoch(), Epoch(8));
        assert_eq!(
            boundary.closed().map(|closed| (closed.cause.kind, closed.since)),
            Some(("bad_signature", Timestamp(2)))
        );
    }
}
