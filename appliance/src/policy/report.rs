//! What status says of the policies.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use assent_proto::number::Timestamp;
use serde::{Deserialize, Serialize};

use super::Policies;
use super::shadow::ShadowStatus;
use crate::limits::MAX_SHOWN_ERRORS;

/// The last bundle that was offered and refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedOffer {
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
    /// Whence it came.
    pub source: String,
    /// Who offered it.
    pub by: String,
    /// Why, in one line: a bounded label, then words.
    pub reason: String,
}

/// A policy that could not be evaluated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyErrors {
    /// Its id.
    pub policy: String,
    /// How often, since its bundle is in force.
    pub count: u64,
}

/// The bundle in force, and how it came to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyStatus {
    /// Its digest.
    pub digest: String,
    /// The version that it states.
    pub version: Option<u64>,
    /// Whence it came.
    pub source: String,
    /// When it was put in force, in milliseconds since 1970.
    pub loaded_ms: u64,
    /// By whom.
    pub loaded_by: String,
    /// Operators who signed it.
    pub signers: Vec<String>,
    /// Where bundles are looked for.
    pub configured_source: String,
    /// When that was last confirmed, in milliseconds since 1970.
    pub confirmed_ms: u64,
    /// Actions of the catalog.
    pub actions: usize,
    /// Policies, those of the risk model included.
    pub policies: usize,
    /// The most fuel that one evaluation can use.
    pub worst_case_fuel: u64,
    /// The most fuel that one may use.
    pub budget: u64,
    /// The last bundle that was refused, since start; [`Self::standing_refusal`] tells whether that was made good.
    pub refused: Option<RefusedOffer>,
    /// Policies that could not be evaluated, the first of them in the bundle's order.
    pub errors: Vec<PolicyErrors>,
    /// Intents that were not evaluated because their batch had passed its deadline, since start.
    pub late_intents: u64,
    /// The shadow bundle, where there is one.
    pub shadow: Option<ShadowStatus>,
}

impl Policies {
    /// What status says; the pipeline knows the rest.
    #[must_use]
    pub fn status(&self, late_intents: u64, shadow: Option<ShadowStatus>) -> PolicyStatus {
        let snapshot = self.snapshot();
        let failing = snapshot.errors.iter().enumerate().filter_map(|(policy, count)| {
            let count = count.load(Ordering::Relaxed);
            (count > 0).then(|| PolicyErrors { policy: snapshot.bundle.policy_id(policy).to_owned(), count })
        });
        PolicyStatus {
            digest: snapshot.digest.to_string(),
            version: snapshot.version,
            source: snapshot.provenance.source.clone(),
            loaded_ms: snapshot.provenance.at.0,
            loaded_by: snapshot.provenance.by.to_string(),
            signers: snapshot.signers.clone(),
            configured_source: self.source.clone(),
            confirmed_ms: self.boundary.confirmed().0,
            actions: snapshot.bundle.catalog().actions().len(),
            policies: snapshot.bundle.policies().len(),
            worst_case_fuel: snapshot.worst_case,
            budget: self.budget,
            refused: self.refused.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            errors: failing.take(MAX_SHOWN_ERRORS).collect(),
            late_intents,
            shadow,
        }
    }
}

impl Policies {
    /// How often policies could not be evaluated, all of them, since their bundle is in force.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.snapshot().errors.iter().map(|count| count.load(Ordering::Relaxed)).sum()
    }

    /// The refused bundle that nothing has made up for: neither was one loaded since, nor did the source offer again what is in
    /// force.
    #[must_use]
    pub fn standing_refusal(&self) -> Option<RefusedOffer> {
        let refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner).clone()?;
        let (loaded, confirmed) = (self.snapshot().provenance.at.0, self.boundary.confirmed().0);
        refused.stands(loaded, confirmed).then_some(refused)
    }
}

impl PolicyStatus {
    /// As [`Policies::standing_refusal`].
    #[must_use]
    pub fn standing_refusal(&self) -> Option<&RefusedOffer> {
        self.refused.as_ref().filter(|refused| refused.stands(self.loaded_ms, self.confirmed_ms))
    }
}

impl RefusedOffer {
    pub(super) const fn new(at: Timestamp, source: String, by: String, reason: String) -> Self {
        Self { at_ms: at.0, source, by, reason }
    }

    /// Whether it was refused behind the last load, and behind the last time that the source offered what is in force.
    const fn stands(&self, loaded_ms: u64, confirmed_ms: u64) -> bool {
        self.at_ms >= loaded_ms && self.at_ms >= confirmed_ms
    }
}
