//! The limits of the appliance's own resources, all on one wall. Limits of the formats hang in `assent_proto::limits`.

use std::time::Duration;

/// Entries that one round seals at most.
pub const MAX_ROUND_ENTRIES: usize = 16 * 1024;
/// Drafts that wait for the sealer; beyond it connections wait, which is the back-pressure.
pub const MAX_WAITING_DRAFTS: usize = 1024;
/// Entries that may stand unsigned during an outage; beyond it intents are refused without an entry.
pub const MAX_UNSIGNED_ENTRIES: u64 = 1_000_000;
/// Connections at once.
pub const MAX_CONNECTIONS: usize = 1024;
/// Streams that one connection may have open at once.
pub const MAX_STREAMS_PER_CONNECTION: u32 = 128;
/// Bytes that one connection may have sent and we not yet read.
pub const MAX_UNREAD_BYTES_PER_CONNECTION: u32 = 32 * 1024 * 1024;
/// How long a peer may take for one frame.
pub const FRAME_DEADLINE: Duration = Duration::from_secs(10);
/// How long a connection may be silent.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes of one frame between the appliance and its signer.
pub const MAX_SIGNER_FRAME_BYTES: usize = 16 * 1024;
/// Bytes of a PIN.
pub const MAX_PIN_BYTES: usize = 256;
