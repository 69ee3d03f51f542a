//! What operators order of the loader, and how it answers.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError};

use assent_proto::hash::Hash;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use crate::limits::{MAX_REASON_BYTES, MAX_REPORT_BYTES, MAX_SHOWN_WARNINGS};
use crate::operators::SignatureFile;
use crate::policy::admission::{LoadError, bounded};
use crate::policy::{By, Snapshot};

/// What an operator wants to be loaded.
#[derive(Clone, Debug)]
pub struct Order {
    /// From which folder; the source where none is named.
    pub folder: Option<PathBuf>,
    /// Whether it may be older than the one in force.
    pub downgrade: bool,
    /// Signatures beside those in the folder.
    pub signatures: Vec<SignatureFile>,
    /// Who orders it.
    pub by: By,
}

/// What became of an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Answer {
    /// It is in force.
    Loaded {
        /// Its digest.
        digest: String,
        /// Digest of the bundle before.
        before: String,
        /// The version that it states.
        version: Option<u64>,
        /// Whence it came.
        source: String,
        /// Who signed it.
        signers: Vec<String>,
        /// What does not refuse it and should be known.
        warnings: Vec<String>,
    },
    /// The one before stays in force.
    Refused {
        /// A bounded label.
        kind: String,
        /// Digest of the bundle in force.
        in_force: String,
        /// All that is wrong with it.
        report: String,
    },
    /// Others are being loaded.
    Busy,
}

impl Answer {
    /// Tells what became of an order, where this bundle was in force before.
    pub(super) fn of(outcome: Result<Arc<Snapshot>, LoadError>, before: Hash) -> Self {
        match outcome {
            Ok(snapshot) => {
                let warnings = snapshot.bundle.warnings().iter().take(MAX_SHOWN_WARNINGS);
                Self::Loaded {
                    digest: snapshot.digest.to_string(),
                    before: before.to_string(),
                    version: snapshot.version,
                    source: snapshot.provenance.source.clone(),
                    signers: snapshot.signers.clone(),
                    warnings: warnings.map(|text| bounded(text, MAX_REASON_BYTES)).collect(),
                }
            }
            Err(error) => Self::Refused {
                kind: error.kind().to_owned(),
                in_force: before.to_string(),
                report: bounded(&error.report(), MAX_REPORT_BYTES),
            },
        }
    }
}

pub(super) struct Ask {
    pub(super) order: Order,
    pub(super) answer: oneshot::Sender<Answer>,
}

/// How the rest of the appliance reaches the loader.
#[derive(Clone, Debug)]
pub struct LoaderHandle {
    pub(super) outbox: SyncSender<Ask>,
}

impl std::fmt::Debug for Ask {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Ask({:?})", self.order)
    }
}

impl LoaderHandle {
    /// Has a bundle loaded. None: the appliance is stopping.
    pub async fn load(&self, order: Order) -> Option<Answer> {
        let (answer, answered) = oneshot::channel();
        match self.outbox.try_send(Ask { order, answer }) {
            Ok(()) => answered.await.ok(),
            Err(TrySendError::Full(_)) => Some(Answer::Busy),
            Err(TrySendError::Disconnected(_)) => None,
        }
    }
}
