//! Scopes: which policies a principal or resource can satisfy, found without running any.
//!
//! The rule it keeps: a scope test cannot fail, so leaving out a policy whose scope does not hold changes neither
//! decision nor reasons nor errors. The cost is a few words for each ancestor that some scope names, not for each policy.

use crate::names::EMPTY_SLOT;
use crate::snapshot::Snapshot;
use crate::value::Value;

/// Index over one side's scopes. Every table holds rows of [`Image::words`](crate::Image::words) words.
#[derive(Clone, Copy, Debug)]
pub struct ScopeIndex<'a> {
    /// Policies that name no entity on this side: one row.
    pub unnamed: &'a [u64],
    /// Policies whose `is` accepts the type, by type, and a last row for types that are unknown.
    pub by_type: &'a [u64],
    /// Policies with `== E`, by E's place among the anchors.
    pub equal: &'a [u64],
    /// Policies with `in E`, by E's place among the anchors.
    pub within: &'a [u64],
}

/// An entity as scopes see it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Position<'a> {
    /// Its own anchor.
    pub(crate) anchor: Option<usize>,
    /// Anchors among itself and its ancestors.
    pub(crate) above: &'a [u32],
    /// Its attributes by their slots; none where the snapshot does not list it.
    pub(crate) attributes: &'a [Value],
}

impl<'a> Position<'a> {
    /// Of an entity that the snapshot does not know.
    const UNKNOWN: Self = Self { anchor: None, above: &[], attributes: &[] };

    /// Of an entity.
    #[inline(always)]
    pub(crate) fn of(snapshot: &Snapshot<'a>, entity: u32) -> Self {
        let Some(row) = snapshot.entities.get(entity as usize) else { return Self::UNKNOWN };
        Self {
            anchor: (row.anchor != EMPTY_SLOT).then_some(row.anchor as usize),
            above: row.anchors.of(snapshot.anchors).unwrap_or(&[]),
            attributes: row.attributes.of(snapshot.attributes).unwrap_or(&[]),
        }
    }
}

/// Where an intent stands: what decides which policies are candidates, and what they read most.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Standing<'a> {
    /// The request environment of a classified intent.
    pub(crate) environment: Option<usize>,
    pub(crate) principal: Position<'a>,
    pub(crate) resource: Position<'a>,
}

impl Standing<'_> {
    /// Of an intent that was not looked at yet.
    pub(crate) const fn new() -> Self {
        Self { environment: None, principal: Position::UNKNOWN, resource: Position::UNKNOWN }
    }
}

impl ScopeIndex<'_> {
    /// Of the policies of one word, those that name the entity, an entity above it, or none on this side.
    #[inline(always)]
    pub(crate) fn naming(&self, words: usize, position: &Position<'_>, index: usize) -> u64 {
        let word = |table: &[u64], row: usize| word_of(table, words, row, index);
        let mut naming = word(self.unnamed, 0);
        if let Some(anchor) = position.anchor {
            naming |= word(self.equal, anchor);
        }
        for anchor in position.above {
            naming |= word(self.within, *anchor as usize);
        }
        naming
    }
}

/// A word of a row of a table of bits; none are set beyond the table.
#[inline(always)]
pub(crate) fn word_of(table: &[u64], words: usize, row: usize, index: usize) -> u64 {
    let place = row.wrapping_mul(words).wrapping_add(index);
    table.get(place).copied().unwrap_or(0)
}
