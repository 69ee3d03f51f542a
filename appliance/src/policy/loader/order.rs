//! What operators order of the loader, and how it answers.

use std::path::PathBuf;
use std::sync::mpsc::{SyncSender, TrySendError};

use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use crate::operators::SignatureFile;
use crate::policy::By;

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
