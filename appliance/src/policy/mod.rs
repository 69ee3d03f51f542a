//! The policies in force: one bundle at a time, swapped whole.
//!
//! The one rule: every bundle takes the same path, from wherever it comes: read, compiled within the budget, admitted
//! (`admission`), kept ([`store`], and for auditors [`archive`]), recorded in the log, and only then in force. A bundle that fails anywhere on it changes
//! nothing but the status and the log. The path is the loader's thread ([`loader`]); those that serve intents take a
//! [`Snapshot`] and nothing else. A batch runs under one snapshot, whatever is loaded meanwhile. Design:
//! `appliance/DESIGN.md`, "Policies".

mod admission;
pub mod approvers;
pub mod archive;
mod cached;
pub mod loader;
mod offer;
mod packed;
mod report;
pub mod shadow;
mod snapshot;
mod statement;
pub mod store;
mod watch;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use assent_proto::hash::Hash;
use assent_proto::number::Timestamp;

pub use admission::{LoadError, Rules, fitting_agents};
pub use approvers::{Approvers, Operator};
pub use offer::{Manifest, Offer, OfferError};
pub use report::{PolicyErrors, PolicyStatus, RefusedOffer};
pub use snapshot::{By, Provenance, Snapshot};
pub use statement::{NAMESPACE, Statement};

use crate::clock::{Clock, Stopwatch};
use crate::evaluation::{EvaluationBoundary, Moment};

/// The bundle in force, and how it came to be.
#[derive(Debug)]
pub struct Policies {
    current: RwLock<Arc<Snapshot>>,
    boundary: EvaluationBoundary,
    began: Stopwatch,
    refused: Mutex<Option<RefusedOffer>>,
    /// Where bundles come from, for status.
    source: String,
    budget: u64,
}

impl Policies {
    /// Loads a bundle for a test or a benchmark: nobody has to sign it, and nothing is kept or recorded. What serves is loaded by
    /// [`loader::start`].
    ///
    /// # Errors
    /// [`LoadError`].
    pub fn load_unrecorded(folder: &Path) -> Result<Self, LoadError> {
        let now = Clock::system().now();
        let rules = Rules::default();
        let offer = Offer::read(folder)?;
        let provenance = Provenance { source: folder.display().to_string(), by: By::Start, at: now };
        let snapshot = rules.admit(offer, provenance, None, None, false)?;
        Ok(Self::new(Arc::new(snapshot), folder, rules.budget, None, now, now))
    }

    fn new(
        snapshot: Arc<Snapshot>,
        source: &Path,
        budget: u64,
        max_age: Option<Duration>,
        confirmed: Timestamp,
        now: Timestamp,
    ) -> Self {
        let began = Stopwatch::start();
        let moment = Moment { time: now, running: began.elapsed() };
        Self {
            current: RwLock::new(snapshot),
            boundary: EvaluationBoundary::new(max_age, confirmed, moment),
            began,
            refused: Mutex::new(None),
            source: source.display().to_string(),
            budget,
        }
    }

    /// What a batch that begins now is decided by.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Digest of the bundle in force.
    #[must_use]
    pub fn digest(&self) -> Hash {
        self.current.read().unwrap_or_else(PoisonError::into_inner).digest()
    }

    /// Whether anything is evaluated.
    #[must_use]
    pub const fn boundary(&self) -> &EvaluationBoundary {
        &self.boundary
    }

    /// This time of day, by both clocks.
    #[must_use]
    pub fn moment(&self, time: Timestamp) -> Moment {
        Moment { time, running: self.began.elapsed() }
    }

    /// Puts another bundle in force. Gives back the one before, for whoever has time to free it.
    fn swap(&self, snapshot: Arc<Snapshot>) -> Arc<Snapshot> {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *current, snapshot)
    }

    fn note_refused(&self, refused: RefusedOffer) {
        *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = Some(refused);
    }
}
