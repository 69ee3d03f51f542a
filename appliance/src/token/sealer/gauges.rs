//! What the sealer has done, for whoever shows it: counters that only rise, the newest checkpoint, and whether the disk is low.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use assent_proto::number::{Timestamp, TreeSize};

use crate::hsm::FaultKind;
use crate::meters::{COUNTED, Decision, Decisions, Distribution, Histogram, Tally, WAITED};
use crate::token::cause::Cause;

/// Counters, shared and never locked.
#[derive(Debug, Default)]
pub struct Gauges {
    rounds: AtomicU64,
    entries: AtomicU64,
    tokens: AtomicU64,
    signatures: AtomicU64,
    trips: AtomicU64,
    log_size: AtomicU64,
    unsigned_entries: AtomicU64,
    refused_unlogged: AtomicU64,
    checkpoint_time: AtomicU64,
    signer_process: AtomicU64,
    slow_signatures: AtomicU64,
    disk_low: AtomicBool,
    meters: Meters,
}

/// What monitoring reads beside the status.
#[derive(Debug)]
struct Meters {
    decisions: Decisions,
    signing: Histogram,
    round_entries: Histogram,
    /// By [`Signed`].
    signatures: [AtomicU64; Signed::ALL.len()],
    /// Free bytes, as they were looked at last; the largest number where nobody said.
    disk_free: AtomicU64,
}

impl Default for Meters {
    fn default() -> Self {
        Self {
            decisions: Decisions::default(),
            signing: Histogram::new(WAITED),
            round_entries: Histogram::new(COUNTED),
            signatures: std::array::from_fn(|_| AtomicU64::new(0)),
            disk_free: AtomicU64::new(u64::MAX),
        }
    }
}

/// What became of a signature that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Signed {
    /// It verified.
    Verified,
    /// None came within the deadline.
    Late,
    /// It does not verify.
    Invalid,
    /// The HSM gave none.
    Failed,
}

impl Signed {
    const ALL: [(Self, &str); 4] = [
        (Self::Verified, "verified"),
        (Self::Late, "late"),
        (Self::Invalid, "invalid"),
        (Self::Failed, "failed"),
    ];

    fn of(fault: Option<&Cause>) -> Self {
        let is = |cause: &Cause, kinds: &[FaultKind]| kinds.iter().any(|kind| kind.label() == cause.kind);
        match fault {
            None => Self::Verified,
            Some(cause) if is(cause, &[FaultKind::DeadlineMissed]) => Self::Late,
            Some(cause)
                if cause.is_same_as(&Cause::bad_signature())
                    || is(cause, &[FaultKind::SignatureInvalid, FaultKind::SignatureMalformed]) =>
            {
                Self::Invalid
            }
            Some(_) => Self::Failed,
        }
    }
}

/// One reading of the gauges.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Reading {
    /// Rounds that were committed.
    pub rounds: u64,
    /// Entries about intents.
    pub entries: u64,
    /// Tokens that were released.
    pub tokens_released: u64,
    /// Signatures that verified, heartbeats included.
    pub signatures: u64,
    /// Times that the token boundary closed.
    pub trips: u64,
    /// Leaves in the log.
    pub log_size: u64,
    /// Leaves that no checkpoint covers yet.
    pub unsigned_entries: u64,
    /// Intents that were refused without an entry, for there were too many such leaves.
    pub refused_unlogged: u64,
    /// When the newest checkpoint was signed, in milliseconds since 1970; 0 before the first.
    pub last_checkpoint_ms: u64,
    /// Process id of the signer; 0 while there is none.
    pub signer_process: u64,
    /// Signatures that came in time, and so late that operators were warned.
    pub slow_signatures: u64,
}

impl Gauges {
    /// Reads all of them; each is exact, together they are of about the same moment.
    #[must_use]
    pub fn read(&self) -> Reading {
        let load = |gauge: &AtomicU64| gauge.load(Ordering::Relaxed);
        Reading {
            rounds: load(&self.rounds),
            entries: load(&self.entries),
            tokens_released: load(&self.tokens),
            signatures: load(&self.signatures),
            trips: load(&self.trips),
            log_size: load(&self.log_size),
            unsigned_entries: load(&self.unsigned_entries),
            refused_unlogged: load(&self.refused_unlogged),
            last_checkpoint_ms: load(&self.checkpoint_time),
            signer_process: load(&self.signer_process),
            slow_signatures: load(&self.slow_signatures),
        }
    }

    /// Whether the disk had less room than `log.low_water` when it was last looked at.
    #[must_use]
    pub fn is_disk_low(&self) -> bool {
        self.disk_low.load(Ordering::Relaxed)
    }

    /// What was decided, by kind.
    pub fn decisions(&self) -> impl Iterator<Item = Decision> {
        self.meters.decisions.read()
    }

    /// How long the HSM took for each signature, in nanoseconds.
    #[must_use]
    pub fn signing(&self) -> Distribution {
        self.meters.signing.read()
    }

    /// How many intents were in each round that had any.
    #[must_use]
    pub fn round_entries(&self) -> Distribution {
        self.meters.round_entries.read()
    }

    /// What became of the signatures that were asked for.
    pub fn signatures(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let counts = Signed::ALL.iter().zip(&self.meters.signatures);
        counts.map(|((_, label), count)| (*label, count.load(Ordering::Relaxed)))
    }

    /// Bytes that were free when the disk was last looked at; none where nobody said, or looked.
    #[must_use]
    pub fn disk_free(&self) -> Option<u64> {
        Some(self.meters.disk_free.load(Ordering::Relaxed)).filter(|free| *free < u64::MAX)
    }

    pub(super) fn disk(&self, low: bool, free: Option<u64>) {
        self.disk_low.store(low, Ordering::Relaxed);
        self.meters.disk_free.store(free.unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    pub(super) fn asked_to_sign(&self, took: Duration, fault: Option<&Cause>) {
        let signed = Signed::of(fault);
        let counts = Signed::ALL.iter().zip(&self.meters.signatures);
        counts.filter(|((kind, _), _)| *kind == signed).for_each(|(_, count)| {
            count.fetch_add(1, Ordering::Relaxed);
        });
        self.meters.signing.observe_time(took);
    }

    pub(super) fn log_size(&self, size: TreeSize, unsigned: u64) {
        self.log_size.store(size.0, Ordering::Relaxed);
        self.unsigned_entries.store(unsigned, Ordering::Relaxed);
    }

    pub(super) fn refused_unlogged(&self, intents: u64) {
        self.refused_unlogged.fetch_add(intents, Ordering::Relaxed);
    }

    pub(super) fn round(&self, entries: u64, tokens: u64, tally: &Tally) {
        if entries > 0 {
            self.meters.decisions.count(tally);
            self.meters.round_entries.observe(entries);
        }
        self.rounds.fetch_add(1, Ordering::Relaxed);
        self.entries.fetch_add(entries, Ordering::Relaxed);
        self.tokens.fetch_add(tokens, Ordering::Relaxed);
    }

    pub(super) fn signature(&self, at: Timestamp) {
        self.signatures.fetch_add(1, Ordering::Relaxed);
        self.checkpoint_time.store(at.0, Ordering::Relaxed);
    }

    pub(super) fn slow(&self) {
        self.slow_signatures.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn trip(&self) {
        self.trips.fetch_add(1, Ordering::Relaxed);
        self.signer(0);
    }

    pub(super) fn signer(&self, process: u32) {
        self.signer_process.store(u64::from(process), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hsm::HsmFault;

    #[test]
    fn a_signature_counts_as_what_became_of_it() {
        let gauges = Gauges::default();
        let fault = |kind| Cause::from(&HsmFault::new(kind, "x"));
        for cause in [
            None,
            Some(fault(FaultKind::DeadlineMissed)),
            Some(fault(FaultKind::SignatureInvalid)),
            Some(Cause::bad_signature()),
            Some(fault(FaultKind::DeviceRemoved)),
        ] {
            gauges.asked_to_sign(Duration::from_millis(3), cause.as_ref());
        }
        let read: Vec<_> = gauges.signatures().collect();
        assert_eq!(read, [("verified", 1), ("late", 1), ("invalid", 2), ("failed", 1)]);
        assert_eq!((gauges.signing().count(), gauges.signing().sum), (5, 15_000_000));
    }

    #[test]
    fn free_room_is_told_once_somebody_looked() {
        let gauges = Gauges::default();
        assert_eq!(gauges.disk_free(), None);
        gauges.disk(true, Some(7));
        assert_eq!((gauges.disk_free(), gauges.is_disk_low()), (Some(7), true));
        gauges.disk(true, None);
        assert_eq!(gauges.disk_free(), None);
    }
}
