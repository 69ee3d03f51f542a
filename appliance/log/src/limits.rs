//! The limits of the log. Limits of the formats hang in `assent_proto::limits`, those of the appliance's other resources in
//! the appliance's.

/// Entries that one round seals at most.
pub const MAX_ROUND_ENTRIES: usize = 16 * 1024;
/// Leaves of one round: its entries and the appliance's own.
pub const MAX_ROUND_LEAVES: usize = MAX_ROUND_ENTRIES + assent_proto::limits::MAX_BATCH_INTENTS + 16;
/// Trips of the unsigned tail that are remembered when a log is opened.
pub const MAX_TAIL_ENTRIES: usize = 64;
/// Bytes of the reason for which operators open another log: one line.
pub const MAX_SUCCESSION_REASON_BYTES: usize = 512;
/// Verifier keys of one log: one a month for twenty years.
pub const MAX_RING_KEYS: usize = 240;
/// Bytes of the file with a log's verifier keys.
pub const MAX_RING_BYTES: u64 = 256 * 1024;
/// Levels of the tree within one volume: 65,536 leaves, a full tile of the level above the leaves' tiles.
pub const VOLUME_HEIGHT: u8 = 16;
/// Levels within one volume at most.
pub const MAX_VOLUME_HEIGHT: u8 = 20;
/// Leaves of an entry bundle (C2SP tlog-tiles).
pub const BUNDLE_LEAVES: u64 = 256;
/// Bytes of a row with a piece of a round: with what redb adds to it, 64 of its pages. In smaller ones a commit takes longer.
pub const STORED_PIECE_BYTES: usize = 256 * 1024 - 64;
/// Rounds that one commit takes out of the store at most, because they stand in a volume.
pub const MAX_DROPPED_ROUNDS: usize = 1024;
/// Leaves that one commit takes out of the store with such rounds, beyond twice as many as it adds.
pub const SPARE_DROPPED_LEAVES: u64 = 16;
/// Volumes that may wait while the binder lets everything else on the machine go first; beyond, the store would grow with the load.
pub const PATIENT_VOLUMES: u64 = 3;
/// Milliseconds until a volume that could not be bound is tried again.
pub const BINDING_PAUSE_MS: u64 = 5_000;
/// Bytes that are written to a volume at once.
pub const VOLUME_PIECE_BYTES: usize = 256 * 1024;
/// How much of a volume is written before it is made durable, while it is bound: rounds wait for no more than that of the disk.
pub const VOLUME_SYNC_BYTES: u64 = 2 * 1024 * 1024;
/// Bytes of a volume's requests that are held in memory as they lie in their file; of more, only where each lies and its digest.
pub const MAX_WHOLE_REQUESTS_BYTES: u64 = 16 * 1024 * 1024;
/// Bytes of memory that the requests of volumes, or where they lie, take between two questions for them.
pub const MAX_KEPT_REQUESTS_BYTES: usize = 40 * 1024 * 1024;
/// Hashes of the longest consistency proof that a witness takes (C2SP tlog-witness).
pub const MAX_CONSISTENCY_HASHES: usize = 63;
/// Bytes of a proof as a text: a note, its hashes, and a leaf in base64.
pub const MAX_PROOF_BYTES: usize = assent_proto::limits::MAX_PROOF_BYTES;
/// Findings of a verification that are kept; more are only counted.
pub const MAX_FINDINGS: usize = 100;
/// Remarks of a verification that are kept; more are only counted.
pub const MAX_REMARKS: usize = 100;
/// Different causes that a gap's report names.
pub const MAX_GAP_CAUSES: usize = 16;
/// How long behind its id's time a batch may be decided, in milliseconds, before a verification finds it: as long as the id is current, and
/// once more for an appliance that stood still between looking at the id and deciding.
pub const MAX_DECIDED_BEHIND_MS: u64 = 2 * assent_proto::limits::MAX_BATCH_AGE_MS;
/// Batches whose repetition a verification would see at one time: those whose id is no older than that, as far as they fit.
pub const MAX_REMEMBERED_BATCHES: usize = 1024 * 1024;
/// How far the times of entries may go back, in milliseconds, before it is remarked on: batches are decided side by side, and
/// clocks are corrected.
pub const MAX_QUIET_STEP_BACK_MS: u64 = 5_000;
/// How far ahead of the auditor's clock an entry's time may be, in milliseconds.
pub const MAX_AHEAD_MS: u64 = 24 * 60 * 60 * 1000;

const _: () = assert!(
    assent_proto::limits::MAX_NOTE_BYTES
        + (MAX_CONSISTENCY_HASHES + 3) * 64
        + (assent_proto::limits::MAX_BODY_BYTES + 16) * 4 / 3
        <= MAX_PROOF_BYTES,
    "the longest proof with the longest leaf fits"
);
/// Approvals of holds that a verification keeps in mind.
pub const MAX_APPROVALS: usize = 1 << 20;
/// Holds that await approval that a verification keeps in mind.
pub const MAX_KEPT_HOLDS: usize = 1 << 18;
/// Keys that approved one hold, and names of operators, that a verification keeps in mind.
pub const MAX_HOLD_APPROVERS: usize = 64;
/// Charters that a verification keeps in mind.
pub const MAX_CHARTERS: usize = 256;
/// Warrants that a verification keeps in mind.
pub const MAX_KEPT_WARRANTS: usize = 4096;
/// Uses of warrants that a verification keeps in mind.
pub const MAX_KEPT_USES: usize = 65_536;
/// Principals whose requests are missing that a verification keeps in mind at once.
pub const MAX_ABSENT_PRINCIPALS: usize = 65_536;
