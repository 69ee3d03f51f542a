//! What the sealer has done, for whoever shows it: counters that only rise, the newest checkpoint, and whether the disk is low.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use assent_proto::number::{Timestamp, TreeSize};

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

    pub(super) fn disk_low(&self, low: bool) {
        self.disk_low.store(low, Ordering::Relaxed);
    }

    pub(super) fn log_size(&self, size: TreeSize, unsigned: u64) {
        self.log_size.store(size.0, Ordering::Relaxed);
        self.unsigned_entries.store(unsigned, Ordering::Relaxed);
    }

    pub(super) fn refused_unlogged(&self, intents: u64) {
        self.refused_unlogged.fetch_add(intents, Ordering::Relaxed);
    }

    pub(super) fn round(&self, entries: u64, tokens: u64) {
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
