//! Why a warrant file gives no warrant: one error for each step.

use assent_operators::{ListError, QuorumError};
use assent_proto::entry::break_glass::{ActError, Misfit};
use assent_proto::note::NoteError;
use assent_proto::number::Timestamp;
use assent_proto::proof::ProofError;

use super::file::SCHEMA;
use crate::calendar::rfc3339;
use crate::limits::MAX_WARRANT_FILE_BYTES;

/// Which of the two entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// What was ordered in good times.
    Charter,
    /// What was signed under it.
    Warrant,
}

impl std::fmt::Display for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Charter => "charter",
            Self::Warrant => "warrant",
        })
    }
}

/// Why a text is no warrant that is believed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WarrantError {
    /// Longer than a warrant file can be.
    #[error("warrant file has {bytes} bytes; at most {MAX_WARRANT_FILE_BYTES} are read")]
    TooLong {
        /// How many bytes.
        bytes: usize,
    },
    /// Not the TOML of a warrant file.
    #[error("warrant file does not parse: {0}")]
    Toml(String),
    /// Of another schema.
    #[error("warrant file has schema `{0}`, not `{SCHEMA}`")]
    Schema(String),
    /// Of a log of which no key is trusted now.
    #[error("no key of `{0}` is trusted now: fetch a trust file with `assent trust export`")]
    Origin(String),
    /// A proof is none.
    #[error("{part}: {cause}")]
    Proof {
        /// Whose.
        part: Part,
        /// Why.
        cause: ProofError,
    },
    /// A proof brings no leaf along.
    #[error("{part}: the proof brings no leaf along, in base64 behind `extra`")]
    Leaf {
        /// Whose.
        part: Part,
    },
    /// The leaves are not a charter and a warrant.
    #[error("the leaves are not a charter and a warrant")]
    Kinds,
    /// No key that counts signed the checkpoint, or a signature of one is wrong.
    #[error("{part}: checkpoint: {cause}")]
    Note {
        /// Whose.
        part: Part,
        /// Why.
        cause: NoteError,
    },
    /// The leaf is not in the tree of the checkpoint, or that is of another log.
    #[error("{part}: it is not in the log under that checkpoint")]
    Unproven {
        /// Which.
        part: Part,
    },
    /// The warrant names another charter, or stands before it.
    #[error("warrant is not above the charter that it names")]
    Order,
    /// An entry breaks a rule of its own, or its statement is another.
    #[error("{part}: {cause}")]
    Act {
        /// Which.
        part: Part,
        /// Why.
        cause: ActError,
    },
    /// The warrant is more than the charter allows.
    #[error(transparent)]
    Misfit(Misfit),
    /// It is over.
    #[error("{part} was over at {}", rfc3339(*.not_after))]
    Over {
        /// Which.
        part: Part,
        /// When it ended.
        not_after: Timestamp,
    },
    /// The charter's key lines are not those of operators.
    #[error("operators of the charter")]
    Operators(#[source] Box<ListError>),
    /// Too few of them signed, or others than are named.
    #[error("signatures of the warrant")]
    Signatures(#[source] Box<QuorumError>),
}
