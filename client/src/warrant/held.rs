//! The warrants that a guard holds: few, each once, the ones that are over making room.

use std::sync::{Arc, PoisonError, RwLock};

use assent_proto::limits::MAX_SKEW_MS;
use assent_proto::number::{LeafIndex, Timestamp};

use super::Warrant;
use crate::calendar::rfc3339;
use crate::limits::MAX_WARRANTS;

/// Why a guard does not take a warrant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AcceptError {
    /// This guard accepts no break-glass.
    #[error("this executor accepts no break-glass")]
    NotAccepted,
    /// No key that this guard trusts signed for its charter.
    #[error("no key that this executor trusts signed for the warrant's charter")]
    Untrusted,
    /// Its key is that of another warrant, at another leaf or of another history: its uses could be spent twice.
    #[error("warrant's key is that of the warrant at leaf {0}")]
    KeyTwice(LeafIndex),
    /// It is over.
    #[error("warrant was over at {}", rfc3339(*.0))]
    Over(Timestamp),
    /// There are as many as a guard holds, and all of them live.
    #[error("there are {MAX_WARRANTS} warrants already, and none is over")]
    TooMany,
}

/// Warrants, shared by all threads of an executor.
#[derive(Debug, Default)]
pub(crate) struct Held(RwLock<Vec<Arc<Warrant>>>);

impl Held {
    pub(crate) fn accept(&self, warrant: Warrant, now: Timestamp) -> Result<(), AcceptError> {
        let is_over = |held: &Warrant| held.not_after().plus_ms(MAX_SKEW_MS) < now;
        if is_over(&warrant) {
            return Err(AcceptError::Over(warrant.not_after()));
        }
        // A thread that panicked has pushed a whole warrant or none.
        let mut held = self.0.write().unwrap_or_else(PoisonError::into_inner);
        held.retain(|held| !is_over(held));
        if let Some(known) = held.iter_mut().find(|held| held.key() == warrant.key()) {
            if !known.is_the_same_as(&warrant) {
                return Err(AcceptError::KeyTwice(known.leaf()));
            }
            // Another key of the log may sign for the charter than did, and be the one that is trusted from here on.
            let vouched = warrant.vouched_for_as(known);
            *known = Arc::new(vouched);
            return Ok(());
        }
        if held.len() >= MAX_WARRANTS {
            return Err(AcceptError::TooMany);
        }
        held.push(Arc::new(warrant));
        Ok(())
    }

    pub(crate) fn all(&self) -> Vec<Arc<Warrant>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
