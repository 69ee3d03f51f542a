//! Limits of the evaluator, all of them.
//!
//! The rule it keeps: whatever an intent or an image can make large has its bound here. Buffers are sized by these
//! constants, so that passing one is a refusal and never an allocation.

/// Attributes in one intent's context, nested ones included, and as many elements of its sets beside them.
pub const MAX_INTENT_VALUES: usize = 256;
/// Bytes of text in one intent's context.
pub const MAX_INTENT_TEXT_BYTES: usize = 64 * 1024;
/// Strings in one intent's context.
pub const MAX_INTENT_STRINGS: usize = 256;
/// Entities in one intent that the snapshot does not list: transient ones, or those that make it invalid.
pub const MAX_INTENT_STRANGERS: usize = 32;
/// Attribute names in one intent that the catalog does not know. One is enough to refuse it.
pub const MAX_INTENT_UNKNOWN_NAMES: usize = 16;
/// IP addresses in one intent's context.
pub const MAX_INTENT_ADDRESSES: usize = 16;
/// How deep records and sets may nest in an intent's context, the context itself included.
pub const MAX_INTENT_DEPTH: usize = 8;

/// Attributes of a context that have a slot of their own; further ones are found by name.
pub const MAX_CONTEXT_SLOTS: usize = 128;

/// Policies in one image, the risk model included.
pub const MAX_POLICIES: usize = 1024;
/// Words of a bitset over policies.
pub const POLICY_WORDS: usize = MAX_POLICIES / 64;
/// Values on the machine's stack.
pub const MAX_STACK: usize = 32;
/// Values that one policy's evaluation may gather into sets, and as many into records, of its own.
pub const MAX_SCRATCH: usize = 32;
/// Forward jumps that may be open over one instruction.
pub const MAX_OPEN_JUMPS: usize = 128;
/// How deep records and sets may nest in images and snapshots.
pub const MAX_VALUE_DEPTH: usize = 32;
/// Fuel that an evaluation gets unless the image says less.
pub const DEFAULT_BUDGET: u64 = 1 << 32;

const _: () = assert!(MAX_INTENT_DEPTH <= MAX_VALUE_DEPTH);
const _: () = assert!(MAX_POLICIES.is_multiple_of(64));
