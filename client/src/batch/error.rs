//! What can be wrong with a batch, and with the answer to it.

use assent_proto::codec::CodecError;
use assent_proto::limits::{MAX_BATCH_INTENTS, MAX_FRAME_BYTES};
use assent_proto::note::KeyId;
use assent_proto::refusal::Refusal;
use assent_proto::tree::RangeError;

use crate::intent::IntentError;

/// Why intents make no batch.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// None, or too many.
    #[error("batch has {intents} intents, at least 1 and at most {} are allowed", MAX_BATCH_INTENTS)]
    Count {
        /// How many.
        intents: usize,
    },
    /// All of them together exceed a frame.
    #[error("batch has {bytes} bytes, at most {} are allowed: split it", MAX_FRAME_BYTES)]
    TooLarge {
        /// How many.
        bytes: usize,
    },
    /// One of them cannot be encoded.
    #[error("intent {position}: {cause}")]
    Intent {
        /// Which, counted from 0.
        position: usize,
        /// Why.
        cause: IntentError,
    },
}

/// Why an answer gives no outcomes. Whatever it is, there is no leave.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplyError {
    /// The batch was refused as a whole, and no outcome in it is told. With [`Refusal::TokenUnavailable`] it may have been
    /// decided all the same, and the log may have it: the same batch under the same id fetches that, later. Otherwise this
    /// asking decided nothing.
    #[error("batch was refused: {0}{advice}", advice = what_to_check(*.0))]
    Refused(Refusal),
    /// It is no canonical answer.
    #[error("reply is malformed: {0}")]
    Malformed(CodecError),
    /// It answers another number of intents.
    #[error("reply answers {answered} intents, the batch has {asked}")]
    Count {
        /// Intents in the batch.
        asked: usize,
        /// Intents in the answer.
        answered: usize,
    },
    /// It allows, but without a signed checkpoint.
    #[error("reply allows intents without a signature")]
    Unsealed,
    /// Its entries do not lie where it says.
    #[error("reply has no valid proof of its entries: {0}")]
    Range(RangeError),
    /// No key that was trusted when it was made, and is now, has its key ID.
    #[error(
        "reply is signed by key {0}, which the trust file does not hold for this time: fetch a new one with `assent trust export`"
    )]
    UntrustedKey(KeyId),
    /// The signature does not cover what it leads to: it was altered, or is not of this log.
    #[error("reply does not verify: its signature does not cover its entries")]
    Signature,
}

/// What a refusal of a whole batch may be due to on our side.
const fn what_to_check(refusal: Refusal) -> &'static str {
    if matches!(refusal, Refusal::Expired) {
        ": its id is ahead of the appliance's clock, or too old; is the clock of this machine right?"
    } else {
        ""
    }
}
