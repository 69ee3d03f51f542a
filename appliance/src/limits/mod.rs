//! The limits of the appliance's own resources, all on one wall. Limits of the formats hang in `assent_proto::limits`.

use std::time::Duration;

// The log hangs its own beside them.
pub use assent_log::limits::*;
pub use assent_operators::limits::*;

pub use self::console::*;

mod console;

/// Drafts that wait for the sealer; beyond it connections wait, which is the back-pressure.
pub const MAX_WAITING_DRAFTS: usize = 1024;
/// A frame with more bytes takes a place more for each time it has so many: what waits takes about five times its frames' bytes.
/// All places hold two rounds of large batches: one that is made, however long its signature takes, and one that waits; more would only be memory.
pub const PLACE_BYTES: usize = 7 * 1024;
/// Of the places, those that one principal may hold, over all its connections: others find room beside one that floods.
pub const MAX_PLACES_PER_PRINCIPAL: usize = MAX_WAITING_DRAFTS / 4;
/// Large frames that are read at once, of different principals; what others have sent waits in their streams' windows.
pub const MAX_LARGE_FRAMES_READ: usize = 16;
/// What the kernel is asked to keep of datagrams that were not read yet: as much as a round's worth of large batches.
pub const SOCKET_BUFFER_BYTES: usize = 4 * 1024 * 1024;
/// Tasks that a thread takes up between two looks at the socket.
pub const TASKS_PER_LOOK_AT_SOCKET: u32 = 8;
/// A frame with more bytes is large: it takes turns with others to be decided.
pub const LARGE_FRAME_BYTES: usize = 16 * 1024;
/// Intents of a batch that is small where the sealer is concerned; one with more is large.
pub const SMALL_BATCH_INTENTS: usize = 64;
/// Intents of large batches that a round takes where small ones wait, which wait for no longer round than that.
pub const LARGE_INTENTS_BESIDE_SMALL: usize = 1024;
/// Rounds that take no large batch, behind one that took any, while small ones wait.
pub const ROUNDS_BETWEEN_LARGE: u32 = 4;
/// Rounds that go on bounding large batches where no small one waits any more.
pub const ROUNDS_BOUNDED_FOR_SMALL: u32 = 16;
/// Messages that wait for the sealer: every draft that has a place, and what the appliance says of itself.
pub const MAX_SEALER_MESSAGES: usize = MAX_WAITING_DRAFTS + 64;
/// Entries that may stand unsigned during an outage, unless the configuration says less; beyond it intents are refused without
/// an entry, and counted.
pub const MAX_UNSIGNED_ENTRIES: u32 = 1_000_000;
/// Signs of life that may stand unsigned beyond the entries that may: six weeks of one a minute.
pub const SPARE_UNSIGNED_ENTRIES: u64 = 65_536;
/// How long the fence may fail to follow the log before the token boundary closes.
pub const FENCE_GRACE: Duration = Duration::from_secs(10);
/// The least time between two writings of the fence in the HSM, whose memory wears, when the boundary opens again and again.
pub const FENCE_HSM_PAUSE: Duration = Duration::from_secs(60);
/// How often a disk is looked at within its deadline: a hang is seen at most this share of it late.
pub const DISK_LOOKS_PER_DEADLINE: u32 = 8;
/// Signs of life within the time that a service manager's watchdog gives.
pub const LIVES_PER_WATCHDOG: u32 = 3;
/// The least time between two signs of life for a watchdog, and the pause before the sealer is asked again where its inbox had no room.
pub const LIFE_PAUSE: Duration = Duration::from_millis(100);
/// How often it is looked whether the sealer waits for HSM or disk, where it does not answer itself.
pub const LIFE_LOOK: Duration = Duration::from_secs(1);
/// How often the boundaries are looked at for the service manager, besides when the token boundary changes.
pub const SERVICE_LOOK: Duration = Duration::from_secs(1);
/// How much longer a start may take that has just told how far it is.
pub const SERVICE_START_EXTENSION: Duration = Duration::from_secs(120);
/// How long a stopping server waits for its peers to read what they were answered.
pub const DRAIN_PATIENCE: Duration = Duration::from_secs(2);
/// Round trips of its slowest peer that a stopping server gives what has left the socket to arrive.
pub const DRAIN_ROUND_TRIPS: u32 = 3;
/// Files of one backup: two a volume, and a few.
pub const MAX_BACKUP_FILES: usize = 1_000_000;
/// Bytes of the list of the digests of a backup's files.
pub const MAX_BACKUP_SUMS_BYTES: u64 = 256 * 1024 * 1024;
/// Bytes of a backup's file that are read at once.
pub const BACKUP_READ_BYTES: usize = 256 * 1024;
/// Folders within one another that a backup copies.
pub const MAX_BACKUP_LEVELS: usize = 8;
/// How often a file that somebody may be writing is copied before it is given up.
pub const BACKUP_COPIES: u32 = 5;
/// Free bytes below which nothing is written at all: a full round and the tables that lead to it must always fit.
pub const LAST_BYTES: u64 = 4 * 1024 * 1024;
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
/// Streams that all connections share evenly, by powers of two, and whose frames may be on their way at once, of all connections
/// together: what was sent and not read is at most so many windows.
pub const MAX_STREAMS: usize = 4096;
/// Streams of each connection, also where there are more connections than share those.
pub const MIN_STREAMS_PER_CONNECTION: u32 = 8;
/// Bytes that one connection may have sent and we not yet read: every stream's window, so that no stream that is read waits for
/// credit that others hold.
pub const MAX_UNREAD_BYTES_PER_CONNECTION: u32 = MAX_STREAMS_PER_CONNECTION * MAX_UNREAD_BYTES_PER_STREAM;
/// How long a peer may take for one frame.
pub const FRAME_DEADLINE: Duration = Duration::from_secs(10);
/// Checkpoints are told an agent no more often than this; of those in between, the last.
pub const NOTICE_INTERVAL: Duration = Duration::from_millis(100);
/// An agent that was told nothing else for so long is told how the token boundary stands.
pub const NOTICE_HEARTBEAT: Duration = Duration::from_secs(1);
/// How long an agent may leave its notices unread once no more of them fit its window.
pub const NOTICE_DEADLINE: Duration = Duration::from_secs(2);
/// How long a connection may be silent.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// How long the signer may take to start, log in and find its key.
pub const SIGNER_START_DEADLINE: Duration = Duration::from_secs(5);
/// Signers that were killed and have not ended before no other is started.
pub const MAX_SIGNERS_ENDING: usize = 4;
/// Bytes of one frame between the appliance and its signer.
pub const MAX_SIGNER_FRAME_BYTES: usize = 16 * 1024;
/// Data objects of one label whose values are read: there is one, and two where somebody was killed between them.
pub const MAX_DATA_OBJECTS: usize = 4;
/// Bytes of each of them; of a longer one, which is none of ours, no more is looked at.
pub const MAX_DATA_BYTES: usize = 2048;
/// Files and folders that lie beside what the signer may not open; with more it is not confined.
pub const MAX_SIGNER_PATHS: usize = 4096;
/// Bytes of a PIN.
pub const MAX_PIN_BYTES: usize = 256;
/// How long an exchange over the control socket may take.
pub const CONTROL_DEADLINE: Duration = Duration::from_secs(2);
/// Bytes of the name by which the log knows a drill.
pub const MAX_DRILL_NAME_BYTES: usize = 64;
/// Transitions of the token boundary that are remembered to the microsecond.
pub const MAX_TRANSITIONS: usize = 256;
/// How long the token boundary may be closed after a start before people are told that it is: longer than the signer may take.
pub const ESCALATION_START_GRACE: Duration = Duration::from_secs(8);
/// How often the boundaries are looked at for escalations, besides when the token boundary changes.
pub const ESCALATION_POLL: Duration = Duration::from_secs(1);
/// Of `round.unsigned_max`, the percentage from which on people are told that an outage nears it: a fifth is left to end it in.
pub const OUTAGE_BOUND_NEAR_PERCENT: u64 = 80;
/// Holds that people are told of one by one; others follow as these are answered.
pub const MAX_TOLD_HOLDS: usize = 32;
/// How long a stopping appliance waits for the sinks.
pub const ESCALATION_STOP_PATIENCE: Duration = Duration::from_secs(2);
/// How long the test of sinks may take: two messages to each, all sinks at once.
pub const ESCALATION_TEST_DEADLINE: Duration = Duration::from_secs(130);
/// How long what closes counts as a part of a drill that does not say that it is over.
pub const MAX_DRILL_MARK: Duration = Duration::from_secs(15 * 60);
/// Bytes of the incidents that one answer lists.
pub const MAX_LISTED_BYTES: usize = 384 * 1024;
/// Bytes of a question or an answer on the control socket.
pub const MAX_CONTROL_BYTES: u64 = 512 * 1024;
/// How long a command may wait for the HSM before it gives up.
pub const HSM_COMMAND_DEADLINE: Duration = Duration::from_secs(30);
/// Bytes that one stream may have sent and we not yet read: a small frame, and of a large one what arrives while it waits to be read.
pub const MAX_UNREAD_BYTES_PER_STREAM: u32 = 128 * 1024;
/// Bytes that we have sent on one connection and the peer not yet acknowledged: of the longest reply, the rest waits until some are.
pub const MAX_UNSENT_BYTES_PER_CONNECTION: u32 = 8 * 1024 * 1024;
/// A reply with more bytes is large, and takes room until its peer has acknowledged it: of small ones there are no more than streams.
pub const SMALL_REPLY_BYTES: usize = 2 * 1024;
/// Bytes of all large replies that were sent and not acknowledged; for one more, whoever has most loses their oldest.
pub const MAX_UNREAD_REPLY_BYTES: usize = 32 * 1024 * 1024;
// Two at their longest: one alone must fit, or nothing that is given up would make room for it, and the other may be somebody else's.
const _: () = assert!(MAX_UNREAD_REPLY_BYTES >= 2 * assent_proto::limits::MAX_REPLY_BYTES);
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
/// How far the time of day may go back against the time that the process has run: what NTP corrects, not what it finds.
pub const MAX_CLOCK_STEP_BACK: Duration = Duration::from_secs(2);
/// Principals whose rates are counted; others read as asking without end.
pub const MAX_RATED_PRINCIPALS: usize = 4 * MAX_CONNECTIONS;
/// Parts of the table of rates, each behind a lock of its own.
pub const RATE_SHARDS: usize = 16;
/// Bytes of a key's `CKA_ID`.
pub const MAX_CKA_ID_BYTES: usize = 32;
/// How long an order about keys may take: a signer starts and signs, and a round is written.
pub const KEYS_DEADLINE: Duration = Duration::from_secs(30);
/// Files of one bundle.
pub const MAX_BUNDLE_FILES: usize = 10_000;
/// Folders within one another below a bundle's own: a link to itself has no end.
pub const MAX_BUNDLE_LEVELS: usize = 4;
/// Bytes of one bundle's files together.
pub const MAX_BUNDLE_BYTES: u64 = 1024 * 1024 * 1024;
/// Bytes of a bundle's file: its sources, and what was compiled from them.
pub const MAX_BUNDLE_FILE_BYTES: u64 = 4 * MAX_BUNDLE_BYTES;
/// Bytes of `bundle.toml`.
pub const MAX_MANIFEST_BYTES: u64 = 4 * 1024;
/// Bytes of the one line in which log and status say why a bundle was refused.
pub const MAX_REASON_BYTES: usize = 512;
/// Bytes of the path in which log and status say whence a bundle came.
pub const MAX_SOURCE_BYTES: usize = 1024;
/// Bytes of the stack of the thread that compiles: Cedar's parser recurses as deep as policies nest.
pub const LOADER_STACK_BYTES: usize = assent_compiler::STACK_BYTES;
/// Loads that wait for the thread that loads; another operator is told to come back.
pub const MAX_WAITING_LOADS: usize = 4;
/// How long a command waits for a bundle to be loaded.
pub const LOAD_DEADLINE: Duration = Duration::from_secs(300);
/// Bytes of the report on a refused bundle that a command is given.
pub const MAX_REPORT_BYTES: usize = 32 * 1024;
/// Warnings about a loaded bundle that a command is given.
pub const MAX_SHOWN_WARNINGS: usize = 16;
/// How long a question about a ticket is held before its agent is told that it still waits.
pub const COLLECT_PATIENCE: Duration = Duration::from_secs(20);
/// Intents that may wait in the queue, whatever the configuration says.
pub const MAX_QUEUED_INTENTS: u32 = 1_000_000;
/// Of the queue's intents, as many as one round takes: fresh ones wait for no longer round than that.
pub const QUEUE_INTENTS_A_ROUND: usize = assent_proto::limits::MAX_TICKET_INTENTS;
/// Of the queue's intents, as many as may be in the sealer's hands at once: those of the next round are decided while one is
/// signed.
pub const QUEUE_INTENTS_IN_FLIGHT: u32 = 512;
/// How often the queue is looked through for what has expired.
pub const QUEUE_POLL: Duration = Duration::from_millis(250);
/// How long the queue rests when what it decided could not be sealed.
pub const QUEUE_RETRY_PAUSE: Duration = Duration::from_millis(50);
/// Tickets that one answer lists.
pub const MAX_LISTED_TICKETS: usize = 1000;
/// Warrants that are prepared at once, whether or not they are signed.
pub const MAX_PREPARED_WARRANTS: usize = 16;
/// Bytes of the file of a warrant's key, with what it was made for.
pub const MAX_PREPARED_FILE_BYTES: usize = 4096;
/// Charters whose statement was asked for and that are remembered until they are signed.
pub const MAX_PENDING_CHARTERS: usize = 16;
/// Uses of warrants that one answer lists.
pub const MAX_LISTED_USES: usize = 200;
/// Intents between two looks at a batch's deadline.
pub const INTENTS_PER_DEADLINE_LOOK: usize = 16;
/// Bytes that an intent has at least, for most: room for the intents of a frame is set aside once. One that holds more takes more.
pub const EXPECTED_INTENT_BYTES: usize = 96;
/// Batches that wait for the shadow bundle; more are dropped and counted.
pub const MAX_WAITING_SHADOWS: usize = 32;
/// Bytes of the frames that wait for the shadow bundle.
pub const MAX_WAITING_SHADOW_BYTES: usize = 32 * 1024 * 1024;
/// Disagreements of the shadow bundle that are remembered in full.
pub const MAX_SHOWN_DISAGREEMENTS: usize = 8;
/// Entries that a report on a log lists with their proofs; more are counted.
pub const MAX_REPORT_EVENTS: usize = 500;
/// Different names of policies, principals and actions that a report counts apart.
pub const MAX_REPORT_NAMES: usize = 10_000;
/// Failing policies that are shown with their counts.
pub const MAX_SHOWN_ERRORS: usize = 16;

/// Connections to the HTTP door at once; others wait until one has gone.
pub const MAX_HTTP_CONNECTIONS: usize = 128;
/// How long a peer of the HTTP door may take for the head of a request, and between two of them.
pub const HTTP_HEADER_DEADLINE: Duration = Duration::from_secs(5);
/// How long the answer to one request may take.
pub const HTTP_REQUEST_DEADLINE: Duration = Duration::from_secs(10);
/// How long a peer of the console may read nothing of an answer that is under way; a pause of its network is shorter.
pub const HTTP_STALL_DEADLINE: Duration = Duration::from_secs(60);
/// How long one connection to the HTTP door may last.
pub const HTTP_CONNECTION_LIFETIME: Duration = Duration::from_secs(60);
/// Header fields of one HTTP request.
pub const MAX_HTTP_HEADERS: usize = 64;
/// Bytes of the head of an HTTP request, and of what is kept of a connection while it is read.
pub const MAX_HTTP_BUFFER_BYTES: usize = 16 * 1024;
/// Files that a process may have open beside the connections of its HTTP door: log, volumes, sockets, and what agents' frames take.
pub const FREE_DESCRIPTORS: u64 = 128;
/// How long before its end `assent doctor` speaks of a certificate.
pub const CERTIFICATE_ENDS_SOON: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// Bytes of a text of an intent beyond which whoever is to answer it is told how long it is: it scrolls what stands before it away.
pub const LONG_TEXT_BYTES: usize = 1024;
/// Spans that wait for the collector of traces; what comes beyond is dropped.
pub const MAX_SPANS_QUEUED: usize = 4096;
/// Spans that are sent to the collector at once.
pub const MAX_SPANS_AN_EXPORT: usize = 512;
/// Attributes of one span: as many as that of a batch has, and some for whoever adds one.
pub const MAX_SPAN_ATTRIBUTES: u32 = 16;
/// How often spans are sent, where fewer wait than are sent at once.
pub const SPAN_EXPORT_INTERVAL: Duration = Duration::from_secs(1);
/// How long the collector may take for an answer.
pub const SPAN_EXPORT_DEADLINE: Duration = Duration::from_secs(5);
/// How long the last spans may take when the appliance stops.
pub const SPAN_EXPORT_LAST: Duration = Duration::from_secs(2);
/// Readings that `assent top` draws: as many as a wide terminal has columns.
pub const MAX_TOP_READINGS: usize = 512;
/// Witnesses that are asked to cosign.
pub const MAX_WITNESSES: usize = 12;
/// Verifier keys of logs that are witnessed here.
pub const MAX_WITNESSED_KEYS: usize = 256;
/// How long a witness may take to answer.
pub const WITNESS_DEADLINE: Duration = Duration::from_secs(5);
/// The longest pause before a witness that failed is asked again, unless the interval is longer.
pub const MAX_WITNESS_PAUSE: Duration = Duration::from_secs(5 * 60);
/// Logs that may ask the witness that this appliance is at once.
pub const MAX_WITNESS_REQUESTS: usize = 4;
/// Readers of all metrics, or of the whole status, at once; others wait for them.
pub const MAX_SCRAPES: usize = 2;
/// Reads of the log for the HTTP door at once.
pub const MAX_TILE_READS: usize = 4;

const _: () = assert!(
    MAX_DATA_OBJECTS * (MAX_DATA_BYTES + 8) + 16 < MAX_SIGNER_FRAME_BYTES,
    "what data objects hold fits a frame"
);
const _: () = assert!(
    QUEUE_INTENTS_IN_FLIGHT as usize >= 2 * QUEUE_INTENTS_A_ROUND,
    "a round's worth of the queue is decided while another is signed"
);
const _: () = assert!(
    MAX_WITNESSES + 2 <= assent_proto::limits::MAX_NOTE_SIGNATURES,
    "a checkpoint with the lines of all witnesses is a note, also where one key hands over to another"
);
const _: () = assert!(
    ESCALATION_START_GRACE.as_secs() > SIGNER_START_DEADLINE.as_secs(),
    "a start that is merely slow alarms nobody"
);
const _: () = assert!(
    MAX_CONSOLE_STREAMS_PER_OPERATOR < MAX_CONSOLE_STREAMS && 2 * MAX_CONSOLE_STREAMS <= MAX_HTTP_CONNECTIONS,
    "whoever follows the appliance leaves connections to those who log in and act"
);
const _: () = assert!(OUTAGE_BOUND_NEAR_PERCENT < 100, "what is near is told before it is there");
const _: () = assert!(
    ESCALATION_TEST_DEADLINE.as_secs() > 2 * assent_escalation::limits::MAX_SINK_DEADLINE.as_secs(),
    "whoever tests hears of the slowest sink"
);
const _: () = assert!(
    MAX_LISTED_BYTES as u64 + 64 * 1024 < MAX_CONTROL_BYTES,
    "a list and what stands beside it fit an answer"
);
const _: () = assert!(
    MAX_PREPARED_FILE_BYTES > 6 * assent_proto::limits::MAX_REASON_BYTES + 512,
    "a key's file holds the longest reason, whatever is escaped in it"
);
const _: () = assert!(MAX_RATED_PRINCIPALS.is_multiple_of(RATE_SHARDS), "shards are of one size");
const _: () = assert!(
    MAX_UNREAD_BYTES_PER_STREAM as usize > LARGE_FRAME_BYTES,
    "a small frame fits its stream's window"
);
const _: () = assert!(MAX_PLACES_PER_PRINCIPAL < MAX_WAITING_DRAFTS, "one principal leaves places to others");
