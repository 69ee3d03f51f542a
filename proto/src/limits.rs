//! The limits of the formats: what no frame, intent, entry or token may exceed.
//!
//! One wall for all of them. What exceeds a limit is refused before memory is set aside for it. Limits of the appliance's
//! own resources (streams, queues, rounds) hang in the appliance, not here.

/// Bytes of one request frame.
pub const MAX_FRAME_BYTES: usize = 8 * 1024 * 1024;
/// Bytes of one reply frame: each intent of the largest batch may have a ruling of its own, at its longest.
pub const MAX_REPLY_BYTES: usize = 9 * 1024 * 1024;
/// Intents in one frame.
pub const MAX_BATCH_INTENTS: usize = 4096;
/// Intents that wait together under one ticket.
pub const MAX_TICKET_INTENTS: usize = 256;
/// Bytes of one encoded intent.
pub const MAX_INTENT_BYTES: usize = 128 * 1024;
/// Bytes of one string in a context.
pub const MAX_STRING_BYTES: usize = 64 * 1024;
/// Bytes of an entity type name, an attribute key or an audience.
pub const MAX_NAME_BYTES: usize = 256;
/// Bytes of an entity id.
pub const MAX_ID_BYTES: usize = 1024;
/// Values in one context, nested ones included.
pub const MAX_CONTEXT_VALUES: usize = 1024;
/// Sets and records within one another, the context itself included.
pub const MAX_CONTEXT_DEPTH: usize = 8;
/// Determining policies that an entry names; an entry with more names the first of them and gives the total.
pub const MAX_NAMED_POLICIES: usize = 16;
/// Bytes of a policy's id.
pub const MAX_POLICY_ID_BYTES: usize = 128;
/// Bytes of a principal: a SPIFFE ID is at most this long (SPIFFE-ID section 2.3).
pub const MAX_PRINCIPAL_BYTES: usize = 2048;
/// Bytes of an encoded entry body; with its tag it stays below the 65,535 that a C2SP tile entry can hold.
pub const MAX_BODY_BYTES: usize = 16 * 1024;
/// Operators that an entry names, and signatures of theirs that it holds.
pub const MAX_ACT_SIGNATURES: usize = 8;
/// Actions of a charter.
pub const MAX_CHARTER_ACTIONS: usize = 32;
/// Resources of a charter: types, or single ones.
pub const MAX_CHARTER_RESOURCES: usize = 32;
/// Agents that a charter names.
pub const MAX_CHARTER_PRINCIPALS: usize = 8;
/// Operators of a charter.
pub const MAX_CHARTER_OPERATORS: usize = 16;
/// Bytes of an operator's key line in a charter: the longest key that may sign, and a name.
pub const MAX_OPERATOR_LINE_BYTES: usize = 512;
/// Bytes of the reason for a warrant, and of what a review says: one line.
pub const MAX_REASON_BYTES: usize = 512;
/// The longest window of a warrant that a charter may allow, in seconds: a week.
pub const MAX_WARRANT_WINDOW_S: u32 = 7 * 24 * 60 * 60;
/// Bytes of the name under which a warrant's key signs, beyond the origin that it begins with.
pub const MAX_WARRANT_NAME_BYTES: usize = "/warrant/".len() + 20;
/// Distinct rulings in one reply.
pub const MAX_RULINGS: usize = MAX_BATCH_INTENTS;
/// Bytes of one encoded ruling: verdict, risk, total and count at their longest, and the policies' ids behind their lengths.
pub const MAX_RULING_BYTES: usize = 23 + 10 + 5 + 1 + MAX_NAMED_POLICIES * (2 + MAX_POLICY_ID_BYTES);
/// Bytes of a reply's head: numbers, hash and salt take fewer than 256.
pub const MAX_HEAD_BYTES: usize = MAX_PRINCIPAL_BYTES + 256;
/// Bytes of one notice, kind and body; the kinds to come have to fit too.
pub const MAX_NOTICE_BYTES: usize = 1024;

/// Bytes of an origin.
pub const MAX_ORIGIN_BYTES: usize = 128;
/// Bytes of a checkpoint's text: three lines.
pub const MAX_CHECKPOINT_BYTES: usize = MAX_ORIGIN_BYTES + 1 + 20 + 1 + 44 + 1;
/// Bytes of what a witness signs: its label, the time, and a checkpoint's text.
pub const MAX_COSIGNED_BYTES: usize = 15 + 5 + 20 + 1 + MAX_CHECKPOINT_BYTES;
/// Bytes of a note that we read.
pub const MAX_NOTE_BYTES: usize = 8 * 1024;
/// Bytes of an inclusion proof as a text: a note, its hashes, and a leaf in base64.
pub const MAX_PROOF_BYTES: usize = 64 * 1024;
/// Signatures on a note that we read (C2SP signed-note asks for at least 16).
pub const MAX_NOTE_SIGNATURES: usize = 16;

/// Leaves in a log. At a million a second this lasts more than two thousand years.
pub const MAX_TREE_SIZE: u64 = 1 << MAX_TREE_HEIGHT;
/// Levels above the leaves of the largest log.
pub const MAX_TREE_HEIGHT: u32 = 56;
/// Hashes of the longest inclusion proof.
pub const MAX_PATH_HASHES: usize = MAX_TREE_HEIGHT as usize;
/// Hashes of the longest range proof: one a level on each side.
pub const MAX_RANGE_PROOF_HASHES: usize = 2 * MAX_PATH_HASHES;

/// Bytes of the longest token.
pub const MAX_TOKEN_BYTES: usize = crate::token::HEAD_BYTES + MAX_BODY_BYTES + 32 * MAX_PATH_HASHES + 64;
/// Clock skew, in milliseconds, that a verifier may forgive at most.
pub const MAX_SKEW_MS: u64 = 2_000;
/// The longest window, in seconds, that any catalog may grant: a day.
pub const MAX_WINDOW_S: u32 = 24 * 60 * 60;
/// How old, in milliseconds, a batch id may be when it arrives: as long as its answer is remembered.
pub const MAX_BATCH_AGE_MS: u64 = 15 * 60 * 1000;

const _: () = assert!(MAX_BODY_BYTES <= u16::MAX as usize, "a token gives the body's length in two bytes");
const _: () = assert!(MAX_INTENT_BYTES < MAX_FRAME_BYTES, "an intent at its limit fits a frame");
const _: () = assert!(MAX_STRING_BYTES < MAX_INTENT_BYTES, "a string at its limit fits an intent");
const _: () = assert!(
    1 + 3
        + MAX_HEAD_BYTES
        + 2
        + MAX_RULINGS * (2 + MAX_RULING_BYTES)
        + 2
        + MAX_BATCH_INTENTS * 2
        + 1
        + 10
        + 10
        + 4
        + 64
        + 1
        + 32 * MAX_RANGE_PROOF_HASHES
        <= MAX_REPLY_BYTES,
    "the longest answer fits a reply"
);
const _: () = assert!(
    MAX_PRINCIPAL_BYTES + MAX_NAME_BYTES + 2 * (MAX_NAME_BYTES + MAX_ID_BYTES) + MAX_RULING_BYTES + 256
        <= MAX_BODY_BYTES,
    "the longest allow or denial fits a body"
);
const _: () = assert!(
    1 + 10 + 2 + MAX_ORIGIN_BYTES + 1 + 8 + 1 + 44 <= MAX_NOTICE_BYTES
        && 1 + 10 + 2 + MAX_ORIGIN_BYTES + 10 + 2 + 10 <= MAX_NOTICE_BYTES,
    "the longest key and the longest standing fit a notice"
);
const _: () = assert!(MAX_BATCH_INTENTS < 1 << 14, "a ruling's number takes at most two bytes");
const _: () = assert!(MAX_RULING_BYTES < 1 << 14, "a ruling's length takes at most two bytes");
