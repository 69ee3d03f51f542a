//! Spent uses: a token is admitted at most as often as it allows.
//!
//! Remembers leaf indices until their window and the most clock skew that anybody forgives are past, so a bounded memory is enough. A false positive
//! refuses an honest retry; a false negative acts twice. We accept the first, never the second: when the memory is full we
//! refuse, we do not evict; what may have been spent before the memory began, or has been forgotten, is refused.
//!
//! Executors that share an audience must share this memory. It is shared within a process only: give each process an
//! audience of its own.

mod memory;
#[cfg(feature = "durable")]
mod store;

use assent_proto::number::{LeafIndex, Timestamp};

use self::memory::Memory;
#[cfg(feature = "durable")]
pub use self::store::StoreError;
use crate::calendar::rfc3339;
use crate::limits::MAX_SPENT_TOKENS;

/// A memory of spent uses. Cheap to share by reference between threads.
#[derive(Debug)]
pub struct Spent(Kind);

#[derive(Debug)]
enum Kind {
    Memory(Memory),
    #[cfg(feature = "durable")]
    Durable(store::Store),
}

/// One use of a verified token.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Use<'a> {
    /// Identity: the log.
    pub(crate) origin: &'a str,
    /// Identity: the leaf.
    pub(crate) index: LeafIndex,
    /// When the token was decided.
    pub(crate) decided: Timestamp,
    /// After this nobody admits the token any more, skew included.
    pub(crate) until: Timestamp,
    /// How often it may be used.
    pub(crate) uses: u16,
    /// Where its authority is a warrant: which use of that it is.
    pub(crate) warrant: Option<WarrantUse>,
}

/// Which use of a warrant a token is: the same number must not be spent at another leaf.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WarrantUse {
    /// The warrant, by the key that was made for it alone.
    pub(crate) key: [u8; 32],
    /// The number of the use.
    pub(crate) number: u16,
    /// When the warrant began: a memory that began later may have missed a use of it.
    pub(crate) began: Timestamp,
    /// After this nobody admits a use of it any more, skew included.
    pub(crate) until: Timestamp,
}

/// Why a use was not spent; then there must be no act.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SpendError {
    /// All uses of the token are spent.
    #[error("token's {uses} uses are spent")]
    AlreadySpent {
        /// How many it had.
        uses: u16,
    },
    /// The token was decided before this memory began, so its uses may have been spent unseen.
    #[error("token was decided at {}, before this executor's memory of spent uses began at {}: ask for a new token", rfc3339(*.decided), rfc3339(*.since))]
    BeforeMemory {
        /// When it was decided.
        decided: Timestamp,
        /// When the memory began.
        since: Timestamp,
    },
    /// The warrant began before this memory did, so the number of this use may have been spent unseen.
    #[error("warrant began at {}, before this executor's memory of spent uses did at {}: keep that memory on disk", rfc3339(*.began), rfc3339(*.since))]
    WarrantBeforeMemory {
        /// When the warrant began.
        began: Timestamp,
        /// When the memory began.
        since: Timestamp,
    },
    /// This use of the warrant was spent under another leaf.
    #[error(
        "use {number} of the warrant was spent under another leaf: the log that gave it has a fork, or lies"
    )]
    NumberSpent {
        /// The number of the use.
        number: u16,
    },
    /// The clock went back: the token would be open again, but its uses may have been forgotten.
    #[error("clock went back behind {}: tokens that had ended stay ended", rfc3339(*.latest))]
    Forgotten {
        /// The latest time that was seen.
        latest: Timestamp,
    },
    /// There are as many open tokens as the memory holds.
    #[error("memory of spent uses is full with {capacity} open tokens: admit again when some have ended")]
    MemoryFull {
        /// How many it holds.
        capacity: usize,
    },
    /// The use could not be made durable.
    #[cfg(feature = "durable")]
    #[error("use could not be recorded")]
    Store(#[source] StoreError),
}

impl SpendError {
    /// A bounded label for metrics.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::AlreadySpent { .. } => "already_spent",
            Self::BeforeMemory { .. } => "before_memory",
            Self::WarrantBeforeMemory { .. } => "warrant_before_memory",
            Self::NumberSpent { .. } => "number_spent",
            Self::Forgotten { .. } => "forgotten",
            Self::MemoryFull { .. } => "memory_full",
            #[cfg(feature = "durable")]
            Self::Store(_) => "store",
        }
    }
}

impl Spent {
    /// A memory within this process, which begins at `since`: tokens decided before that are refused, for their uses may
    /// have been spent in an earlier life of this executor. `Timestamp(0)` says that there was none.
    #[must_use]
    pub fn in_memory(since: Timestamp) -> Self {
        Self::in_memory_of(MAX_SPENT_TOKENS, since)
    }

    /// As [`Spent::in_memory`], for at most `capacity` tokens at a time.
    #[must_use]
    pub fn in_memory_of(capacity: usize, since: Timestamp) -> Self {
        Self(Kind::Memory(Memory::new(capacity, since)))
    }

    /// A memory on disk that survives restarts. When there is none at `path` yet, one is made that begins at `since`.
    ///
    /// Each use is durable before it is admitted, which costs a write to the disk.
    ///
    /// # Errors
    /// [`StoreError`]: not ours, in use by another process, or not readable.
    #[cfg(feature = "durable")]
    pub fn durable(path: impl AsRef<std::path::Path>, since: Timestamp) -> Result<Self, StoreError> {
        store::Store::open(path.as_ref(), MAX_SPENT_TOKENS, since).map(|store| Self(Kind::Durable(store)))
    }

    /// Spends one use. Ok: it is spent, and was there to be spent.
    pub(crate) fn spend(&self, one: &Use<'_>, now: Timestamp) -> Result<(), SpendError> {
        match &self.0 {
            Kind::Memory(memory) => memory.spend(one, now),
            #[cfg(feature = "durable")]
            Kind::Durable(store) => store.spend(one, now),
        }
    }
}
