//! Scopes: which policies a principal or resource can satisfy, found without running any.
//!
//! The rule it keeps: a scope test cannot fail, so leaving out a policy whose scope does not hold changes neither
//! decision nor reasons nor errors. The cost is a few words for each ancestor that some scope names, not for each policy.

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

    /// Of the policies of one word, those whose `is` accepts the type.
    pub(crate) fn accepting(&self, words: usize, position: &Position<'_>, index: usize) -> u64 {
        word_of(self.by_type, words, position.type_row, index)
    }
}

/// A word of a row of a table of bits; none are set beyond the table.
#[inline(always)]
pub(crate) fn word_of(table: &[u64], words: usize, row: usize, index: usize) -> u64 {
    let place = row.wrapping_mul(words).wrapping_add(index);
    table.get(place).copied().unwrap_or(0)
}
