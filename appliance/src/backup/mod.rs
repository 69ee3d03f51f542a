//! Backups: a copy of what an appliance would be lost without, made while it serves, and put back where there is nothing.
//!
//! The one rule: a backup is whole and verified, or there is none. The log in it is of one commit and ends under a checkpoint
//! that the HSM signed; every other file is held by its digest, against accidents, not against whoever can write there. No
//! PIN is ever in it, no key of a warrant, and of other private keys none unless they are asked for. What it does not do: make
//! an older log one that may be gone on with. Fences refuse that here as everywhere.

mod contents;
mod desk;
mod examination;
mod making;
mod restoring;
mod sums;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use desk::{BackupAnswer, BackupDesk};
pub use making::create;
pub use restoring::{Restored, Standing, restore};

use crate::config::ConfigError;
use crate::log::keyring::KeyringError;
use crate::log::store::StoreError;
use crate::provision::ProvisionError;

/// The file with what a backup is.
const FACTS: &str = "backup.toml";
/// The newest checkpoint in it, as a signed note.
const CHECKPOINT: &str = "checkpoint";
/// The configuration.
const CONFIGURATION: &str = "assent.toml";
/// The folder of what lies in the data folder.
const DATA: &str = "data";
const SCHEMA: &str = "assent.v1.backup";

/// What a backup is of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Facts {
    /// `assent.v1.backup`.
    pub schema: String,
    /// Version of the appliance that made it.
    pub version: String,
    /// The log's origin.
    pub origin: String,
    /// When it was made, in milliseconds since 1970.
    pub made_ms: u64,
    /// Leaves in its log.
    pub entries: u64,
    /// Leaves that its newest checkpoint covers.
    pub signed_entries: u64,
    /// The root hash over those, in hexadecimal.
    pub root: String,
    /// Whether private keys are in it.
    pub private_keys: bool,
    /// Volumes whose leaves lie in an archive, and not here.
    pub archived_volumes: u64,
}

/// Why there is no backup, or none was put back.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// Something is in the way.
    #[error("there is something at {} already, and nothing is replaced; move it away, or name another place", .0.display())]
    Exists(PathBuf),
    /// It is no backup.
    #[error("{} is no backup of an appliance: {what}", path.display())]
    Malformed {
        /// The folder.
        path: PathBuf,
        /// What is missing or wrong.
        what: String,
    },
    /// A file is not what the backup says.
    #[error("the backup is damaged: {} {what}; use another copy of it", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: &'static str,
    },
    /// The copied log does not verify.
    #[error(
        "the log does not verify, so it is worth nothing as a backup: {first} ({total} in all); see `assent log verify`"
    )]
    Unverified {
        /// What was found first.
        first: String,
        /// How much was found.
        total: u64,
    },
    /// Nothing vouches for the log yet.
    #[error("the log has no checkpoint yet; make the backup when the token boundary has been open once")]
    Unsigned,
    /// A backup of another appliance.
    #[error("the backup is of `{found}`, and the configuration {} says `{expected}`; name the configuration of that log", file.display())]
    Another {
        /// What the backup is of.
        found: String,
        /// What the configuration says.
        expected: String,
        /// The configuration.
        file: PathBuf,
    },
    /// The appliance does not give its log.
    #[error("the appliance gives no copy of its log: {0}")]
    Refused(String),
    /// A file cannot be read or written.
    #[error("cannot {doing} {}", path.display())]
    File {
        /// What was being done.
        doing: &'static str,
        /// To which file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// The log cannot be read or copied.
    #[error("cannot copy the log")]
    Log(#[from] StoreError),
    /// The key ring cannot be read.
    #[error(transparent)]
    Keyring(#[from] KeyringError),
    /// The configuration is refused.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The configuration names a log that is not to be had.
    #[error(transparent)]
    Provision(#[from] ProvisionError),
}

fn file(doing: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> BackupError {
    move |source| BackupError::File { doing, path: path.to_owned(), source }
}
