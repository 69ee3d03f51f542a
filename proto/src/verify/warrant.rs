//! Warrants as an executor trusts them, and what a token under one must keep to.
//!
//! The one rule: a warrant's key vouches for that warrant's uses and for nothing else, and its uses are vouched for by it or by
//! the log's own key. Whoever makes a [`TrustedWarrant`] has verified charter, warrant and signatures before; that is not asked
//! here. It remembers no uses: one number under one warrant, spent at two leaves, is for the executor's memory to refuse.

use core::fmt::Write as _;

use super::{Expected, VerifyError, covering_key, covers, in_dates};
use crate::entry::break_glass::Scope;
use crate::entry::{Allow, Grounds};
use crate::limits::{MAX_ORIGIN_BYTES, MAX_SKEW_MS};
use crate::note::{NoteError, VerifierKey};
use crate::number::{LeafIndex, Timestamp};
use crate::verify::CheckpointCache;
use crate::wire::SignedCheckpoint;

/// The name under which a warrant's key signs checkpoints of the log: `<origin>/warrant/<leaf index>`.
///
/// # Errors
/// [`NoteError::KeyName`]: the log's origin is so long that its warrants' keys can have no names.
pub fn warrant_key_name(
    origin: &str,
    leaf: LeafIndex,
) -> Result<heapless::String<MAX_ORIGIN_BYTES>, NoteError> {
    let mut name = heapless::String::new();
    write!(name, "{origin}/warrant/{leaf}").map_err(|_| NoteError::KeyName)?;
    Ok(name)
}

/// A warrant that is trusted, and what it gives leave for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrustedWarrant<'t> {
    /// Its key, under the name that [`warrant_key_name`] gives; under any other it signs nothing.
    pub key: VerifierKey<'t>,
    /// The log that it is in.
    pub origin: &'t str,
    /// Where it is in that log.
    pub leaf: LeafIndex,
    /// Nothing is decided under it before this.
    pub not_before: Timestamp,
    /// Nor after this, and no token under it lasts longer.
    pub not_after: Timestamp,
    /// How many uses it has.
    pub uses: u16,
    /// What it gives leave for.
    pub scope: Scope<'t>,
}

impl TrustedWarrant<'_> {
    fn is_of(&self, origin: &str, leaf: LeafIndex) -> bool {
        self.origin == origin && self.leaf == leaf
    }

    fn has_its_name(&self) -> bool {
        warrant_key_name(self.origin, self.leaf).is_ok_and(|name| name == self.key.name())
    }
}

/// The origin of the log in which the checkpoint stands that covers a token under the warrant at `leaf`: signed by a key of the
/// log, or by that warrant's own.
pub(super) fn covering_origin<'k>(
    signed: &SignedCheckpoint,
    expected: &Expected<'k>,
    leaf: LeafIndex,
    cache: &mut CheckpointCache,
) -> Result<&'k str, VerifyError> {
    let mut outcome = match covering_key(signed, expected.keys, expected.now, cache) {
        Ok(key) => return Ok(key.name()),
        Err(error) => error,
    };
    let skew_ms = expected.skew_ms.min(MAX_SKEW_MS);
    let accepted = expected.warrants.iter().filter(|_| expected.break_glass);
    for warrant in accepted.filter(|warrant| warrant.leaf == leaf && warrant.key.id() == signed.key_id) {
        let (from, until) = (warrant.not_before, warrant.not_after);
        let alive = in_dates(signed.time, from, until)
            && in_dates(expected.now, from.minus_ms(skew_ms), until.plus_ms(skew_ms));
        if !alive || !warrant.has_its_name() {
            continue;
        }
        if covers(&warrant.key, warrant.origin, signed, cache) {
            return Ok(warrant.origin);
        }
        outcome = VerifyError::Signature;
    }
    Err(outcome)
}

/// The last steps of a token's verification, for one whose authority is a warrant: it stands at `index` of that log.
pub(super) fn check(
    claims: &Allow<'_>,
    (origin, index): (&str, LeafIndex),
    expected: &Expected<'_>,
) -> Result<(), VerifyError> {
    let Grounds::Warrant { leaf, number } = claims.grounds else {
        return Ok(());
    };
    let mut trusted = expected.warrants.iter();
    let warrant = trusted.find(|warrant| warrant.is_of(origin, leaf)).ok_or(VerifyError::Warrant)?;
    let is_one_of_its_uses = (1..=warrant.uses).contains(&number) && claims.uses == 1 && index > leaf;
    if !is_one_of_its_uses {
        return Err(VerifyError::WarrantUse);
    }
    let within = in_dates(claims.time, warrant.not_before, warrant.not_after)
        && warrant.not_before <= claims.not_before
        && claims.not_after <= warrant.not_after;
    if !within {
        return Err(VerifyError::WarrantWindow);
    }
    if warrant.scope.covers(&claims.action, &claims.resource, claims.principal) {
        Ok(())
    } else {
        Err(VerifyError::WarrantScope)
    }
}
