//! How far leaves were told: of a kind whose incidents come in the order of their leaves, each once.
//!
//! It outlives what the outbox forgets, so that nobody hears anew of what they heard long ago. It goes by leaf and time: where
//! an older log was put back, its leaves are given again, at a later time, and what stands there is news.

use assent_proto::number::{LeafIndex, Timestamp};
use serde::{Deserialize, Serialize};

use crate::incident::Incident;

/// What was told of a kind, up to which leaf, and up to which time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    leaf: LeafIndex,
    since: Timestamp,
}

impl Told {
    /// Whether what began at this leaf and time was.
    #[must_use]
    pub fn covers(self, leaf: LeafIndex, since: Timestamp) -> bool {
        leaf <= self.leaf && since <= self.since
    }

    /// This was, too.
    #[must_use]
    pub fn with(self, leaf: LeafIndex, since: Timestamp) -> Self {
        Self { leaf: self.leaf.max(leaf), since: self.since.max(since) }
    }

    /// What is known once that incident is in the outbox; nothing new where it is of no leaf.
    pub(super) fn then(known: Option<Self>, incident: &Incident) -> Option<Self> {
        let leaf = incident.leaf()?;
        Some(known.unwrap_or_default().with(leaf, incident.since()))
    }
}
