//! Scopes: which policies a principal or resource can satisfy, found without running any.
//!
//! The rule it keeps: a scope test cannot fail, so leaving out a policy whose scope does not hold changes neither
//! decision nor reasons nor errors. The cost is a few words for each ancestor that some scope names, not for each policy.

use crate::image::Image;
use crate::limits::POLICY_WORDS;

/// Index over one side's scopes. Every table holds rows of [`Image::words`] words.
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
    /// Number of its type, or the number of types where it is unknown.
    pub(crate) type_row: usize,
    /// Its own anchor.
    pub(crate) anchor: Option<usize>,
    /// Anchors among itself and its ancestors.
    pub(crate) above: &'a [u32],
}

/// A bit for each policy, as many words as the image uses.
pub(crate) type Words = [u64; POLICY_WORDS];

impl<'a> ScopeIndex<'a> {
    /// Removes from `candidates` the policies whose scope does not accept the entity.
    pub(crate) fn restrict(&self, image: &Image<'a>, position: Position<'_>, candidates: &mut Words) {
        let row = |table, number| image.row(table, number).unwrap_or(&[]);
        let accepts_type = row(self.by_type, position.type_row);
        let equal = position.anchor.map_or(&[][..], |anchor| row(self.equal, anchor));
        for (index, candidate) in candidates.iter_mut().take(image.words()).enumerate() {
            let word = |row: &[u64]| row.get(index).copied().unwrap_or(0);
            let mut named = word(self.unnamed) | word(equal);
            for anchor in position.above {
                named |= word(row(self.within, *anchor as usize));
            }
            *candidate &= named & word(accepts_type);
        }
    }
}
