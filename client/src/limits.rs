//! The client's own limits. Those of the formats hang in `assent_proto::limits`.

use std::time::Duration;

/// Tokens whose spent uses a memory keeps at a time, unless told otherwise.
pub const MAX_SPENT_TOKENS: usize = 256 * 1024;
/// Bytes of a trust file.
pub const MAX_TRUST_BYTES: usize = 256 * 1024;
/// Keys in a trust file.
pub const MAX_TRUSTED_KEYS: usize = 256;
/// Bytes of a warrant file: two proofs with their leaves, and room for escapes.
#[cfg(feature = "break-glass")]
pub const MAX_WARRANT_FILE_BYTES: usize = 2 * assent_proto::limits::MAX_PROOF_BYTES + 1024;
/// Warrants that a guard holds at a time: a log seldom has one.
#[cfg(feature = "break-glass")]
pub const MAX_WARRANTS: usize = 16;
/// Logs whose lowest epoch a listener remembers: as many as a trust can name.
#[cfg(feature = "network")]
pub(crate) const MAX_HEARD_LOGS: usize = MAX_TRUSTED_KEYS;
/// Bytes of peer text that an error quotes.
pub(crate) const MAX_QUOTED_BYTES: usize = 80;

/// How long one attempt to connect may take, unless told otherwise.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// How long a batch may take, attempts and pauses included, unless told otherwise.
pub const DEADLINE: Duration = Duration::from_secs(30);
/// How long an appliance holds a question about a ticket while nothing is decided; what becomes of the question is asked for so
/// much longer than a batch.
pub const TICKET_PATIENCE: Duration = Duration::from_secs(20);
/// After so long a silence the appliance is taken for gone.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(10);
/// How often a silent connection is kept alive.
pub const KEEP_ALIVE: Duration = Duration::from_secs(3);
/// The pause before the second attempt; each later one is twice as long.
pub const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// The longest pause between attempts.
pub const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// After so long without a notice the appliance counts as silent, unless told otherwise: three of its heartbeats.
pub const SILENCE: Duration = Duration::from_secs(3);
/// How long a listener leaves an appliance alone that refuses it: nobody enrols an agent sooner.
pub const REFUSED_PAUSE: Duration = Duration::from_secs(30);
/// Bytes of notices that are taken off their stream at a time; one notice more may lie before them.
#[cfg(feature = "network")]
pub(crate) const MAX_NOTICE_CHUNK_BYTES: usize = 16 * 1024;

const _: () = assert!(
    SILENCE.as_millis() < IDLE_TIMEOUT.as_millis(),
    "silence is told before the connection is given up"
);
