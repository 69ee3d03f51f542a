//! The limits of the operator console: who acts there, how long, and what pages may take. They hang on the one wall.

use std::time::Duration;

/// Operators of the console: people who are named one by one.
pub const MAX_CONSOLE_OPERATORS: usize = 64;
/// Bytes of the name of an operator of the console.
pub const MAX_OPERATOR_NAME_BYTES: usize = 64;
/// Passkeys of one operator that count: a few devices, and one that lies in a safe.
pub const MAX_PASSKEYS_PER_OPERATOR: usize = 8;
/// Passkeys in the register; of those that were revoked the oldest is forgotten first.
pub const MAX_PASSKEYS: usize = 2 * MAX_CONSOLE_OPERATORS * MAX_PASSKEYS_PER_OPERATOR;
/// Bytes of a browser's answer to a ceremony: the longest name of a credential, and an attestation.
pub const MAX_PASSKEY_ANSWER_BYTES: usize = 32 * 1024;
/// How long a person may take between a ceremony's question and its answer.
pub const CEREMONY_DEADLINE: Duration = Duration::from_secs(5 * 60);
/// Links to enrol that were handed out and not used.
pub const MAX_ENROLMENT_LINKS: usize = MAX_CONSOLE_OPERATORS;
/// How long a link to enrol is valid, unless told otherwise.
pub const LINK_LIFETIME: Duration = Duration::from_secs(15 * 60);
/// The shortest time for which a link to enrol may be valid.
pub const MIN_LINK_LIFETIME: Duration = Duration::from_secs(60);
/// The longest time for which a link to enrol may be valid.
pub const MAX_LINK_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);
/// Logins that were begun and not finished: whoever reaches the console can begin one. Another ends the oldest of the network that
/// most are from.
pub const MAX_PENDING_LOGINS: usize = 1024;
/// Sessions at the console.
pub const MAX_SESSIONS: usize = 128;
/// Sessions of one operator; another ends their oldest.
pub const MAX_SESSIONS_PER_OPERATOR: usize = 4;
/// How long a session lasts in which nothing is asked.
pub const SESSION_IDLE: Duration = Duration::from_secs(15 * 60);
/// How long a session lasts at most, whatever is asked in it.
pub const SESSION_LIFETIME: Duration = Duration::from_secs(8 * 60 * 60);
/// Acts of one session that were begun and not finished.
pub const MAX_PENDING_ACTS: usize = 16;

/// How often the console reads how the appliance is, where the token boundary does not change meanwhile.
pub const CONSOLE_BEAT: Duration = Duration::from_secs(1);
/// The least time between two of the console's readings, however often the token boundary changes.
pub const CONSOLE_LEAST_BEAT: Duration = Duration::from_millis(200);
/// Readings that the console's charts go back.
pub const MAX_CONSOLE_SAMPLES: usize = 180;
/// Pages that follow the appliance at once.
pub const MAX_CONSOLE_STREAMS: usize = 64;
/// Pages of one operator that follow the appliance at once; another ends their oldest. A browser has six connections for one host,
/// and acts need some of them.
pub const MAX_CONSOLE_STREAMS_PER_OPERATOR: usize = 4;
/// Bytes of what a page sends.
pub const MAX_CONSOLE_BODY_BYTES: usize = 64 * 1024;
/// Intents whose digests stand in the statement by which a ticket is withdrawn.
pub const MAX_STATED_INTENTS: usize = 8;
/// An act begins only from a page that has heard of the appliance within this.
pub const CONSOLE_STALE: Duration = Duration::from_secs(5);
/// How long an act may take from its statement to its signature, and how long signatures wait for others.
pub const CONSOLE_ACT_LIFETIME: Duration = Duration::from_secs(15 * 60);
/// Acts that were begun and not finished, and statements that wait for more signatures.
pub const MAX_CONSOLE_ACTS: usize = 64;
/// Entries that one search of the console finds at most.
pub const MAX_CONSOLE_HITS: usize = 100;
/// Leaves that one search of the console looks at; behind the beginning of a drill, as many for its end.
pub const MAX_CONSOLE_SEARCHED: u64 = 100_000;
/// How long one search of the console may take.
pub const CONSOLE_SEARCH_TIME: Duration = Duration::from_millis(750);
/// Leaves that are looked at for an intent that is like a held one.
pub const MAX_CONSOLE_SIMILAR: u64 = 20_000;
/// How long a verification of the whole log that the console was asked for may take; a longer one is for `assent log verify`.
pub const EVIDENCE_TIME: Duration = Duration::from_secs(30 * 60);
/// How long the result of such a verification is good enough, before another may begin: each takes a thread, at the lowest priority.
pub const EVIDENCE_PAUSE: Duration = Duration::from_secs(60);
/// Outages, warrants and findings that the console's evidence page lists; the report has the others.
pub const MAX_EVIDENCE_ROWS: usize = 20;
/// How long a download of the log may take.
pub const EVIDENCE_DOWNLOAD_TIME: Duration = Duration::from_secs(60 * 60);
/// Bytes of a piece of a download of the log.
pub const EVIDENCE_PIECE_BYTES: usize = 64 * 1024;
/// Pieces of a download of the log that are on their way at once.
pub const EVIDENCE_PIECES: usize = 4;

const _: () = assert!(
    CEREMONY_DEADLINE.as_secs() < SESSION_IDLE.as_secs(),
    "a session lasts longer than it takes to sign in it"
);
const _: () = assert!(
    MIN_LINK_LIFETIME.as_secs() < LINK_LIFETIME.as_secs()
        && LINK_LIFETIME.as_secs() < MAX_LINK_LIFETIME.as_secs(),
    "a link's lifetime is within its bounds"
);
