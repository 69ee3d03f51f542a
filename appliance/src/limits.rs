//! The limits of the appliance's own resources, all on one wall. Limits of the formats hang in `assent_proto::limits`.

use std::time::Duration;

/// Entries that one round seals at most.
pub const MAX_ROUND_ENTRIES: usize = 16 * 1024;
/// Leaves of one round: its entries and the appliance's own.
pub const MAX_ROUND_LEAVES: usize = MAX_ROUND_ENTRIES + assent_proto::limits::MAX_BATCH_INTENTS + 16;
/// Drafts that wait for the sealer; beyond it connections wait, which is the back-pressure.
pub const MAX_WAITING_DRAFTS: usize = 1024;
/// Messages that wait for the sealer: every draft that has a place, and what the appliance says of itself.
pub const MAX_SEALER_MESSAGES: usize = MAX_WAITING_DRAFTS + 64;
/// Entries that may stand unsigned during an outage; beyond it intents are refused without an entry.
pub const MAX_UNSIGNED_ENTRIES: u64 = 1_000_000;
/// Connections at once.
pub const MAX_CONNECTIONS: usize = 1024;
/// Connections above which a peer must prove its address before a handshake.
pub const MAX_UNVALIDATED_CONNECTIONS: usize = MAX_CONNECTIONS / 4;
/// How long a handshake may take.
pub const HANDSHAKE_DEADLINE: Duration = Duration::from_secs(5);
/// How often the register of agents is looked at: a revoked agent is out within this.
pub const REGISTRY_POLL: Duration = Duration::from_millis(500);
/// Streams that one connection may have open at once.
pub const MAX_STREAMS_PER_CONNECTION: u32 = 128;
/// Bytes that one connection may have sent and we not yet read.
pub const MAX_UNREAD_BYTES_PER_CONNECTION: u32 = 32 * 1024 * 1024;
/// How long a peer may take for one frame.
pub const FRAME_DEADLINE: Duration = Duration::from_secs(10);
/// How long a connection may be silent.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// How long the signer may take to start, log in and find its key.
pub const SIGNER_START_DEADLINE: Duration = Duration::from_secs(5);
/// Bytes of one frame between the appliance and its signer.
pub const MAX_SIGNER_FRAME_BYTES: usize = 16 * 1024;
/// Bytes of a PIN.
pub const MAX_PIN_BYTES: usize = 256;
/// How long an exchange over the control socket may take.
pub const CONTROL_DEADLINE: Duration = Duration::from_secs(2);
/// Bytes of a question or an answer on the control socket.
pub const MAX_CONTROL_BYTES: u64 = 64 * 1024;
/// How long a command may wait for the HSM before it gives up.
pub const HSM_COMMAND_DEADLINE: Duration = Duration::from_secs(30);
