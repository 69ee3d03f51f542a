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
/// Bytes that one stream may have sent and we not yet read: a whole frame, so that a frame never waits for credit.
pub const MAX_UNREAD_BYTES_PER_STREAM: u32 = 8 * 1024 * 1024;
/// Bytes that we have sent on one connection and the peer not yet acknowledged: two replies at their longest.
pub const MAX_UNSENT_BYTES_PER_CONNECTION: u32 = 8 * 1024 * 1024;
/// Bytes kept of a handshake that waits to be looked at.
pub const MAX_HANDSHAKE_BYTES: u64 = 32 * 1024;
/// Bytes of a file with certificates or a key.
pub const MAX_PEM_BYTES: u64 = 1024 * 1024;
/// Certificates in one file.
pub const MAX_CERTIFICATES: usize = 64;
/// Bytes of the register of agents.
pub const MAX_REGISTRY_BYTES: u64 = 64 * 1024 * 1024;
/// Bytes of the configuration.
pub const MAX_CONFIGURATION_BYTES: u64 = 1024 * 1024;
/// How far in the past a certificate begins, for machines whose clock is behind.
pub const CERTIFICATE_BACKDATING: Duration = Duration::from_secs(5 * 60);
/// How long the built-in CA lasts: ten years.
pub const CA_LIFETIME: Duration = Duration::from_secs(3652 * 24 * 60 * 60);
/// How many days an agent's certificate lasts, unless told otherwise.
pub const AGENT_CERTIFICATE_DAYS: u32 = 90;
/// How many days an agent's certificate may last.
pub const MAX_AGENT_CERTIFICATE_DAYS: u32 = 366;

const _: () = assert!(
    MAX_UNREAD_BYTES_PER_STREAM as usize >= assent_proto::limits::MAX_FRAME_BYTES,
    "a frame at its limit fits its stream's window"
);
const _: () = assert!(
    MAX_UNREAD_BYTES_PER_STREAM <= MAX_UNREAD_BYTES_PER_CONNECTION,
    "one stream cannot use more than its connection"
);
