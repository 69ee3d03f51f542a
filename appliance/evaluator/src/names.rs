//! Names: open-addressed tables that turn text into numbers.
//!
//! The rule they keep: a table has a free slot, so that a search ends; the verifier checks it. The hash is not secret:
//! a peer can choose what it looks up, but tables are built at load, so it cannot lengthen a chain.

use crate::value::Range;

/// A slot that holds no number.
pub const EMPTY_SLOT: u32 = u32::MAX;

/// Hash of a name: FNV-1a over eight bytes at a time, folded.
#[inline]
pub fn hash_name(name: &str) -> u64 {
    fold(0xcbf2_9ce4_8422_2325, name)
}

/// Hash of an entity uid.
#[inline]
pub fn hash_uid(type_number: u32, id: &str) -> u64 {
    fold(0x9ae1_6a3b_2f90_404f ^ u64::from(type_number), id)
}

#[inline]
fn fold(seed: u64, text: &str) -> u64 {
    let mut hash = seed;
    let (chunks, rest) = text.as_bytes().as_chunks::<8>();
    for chunk in chunks {
        hash = mix(hash ^ u64::from_le_bytes(*chunk));
    }
    mix(hash ^ tail(rest).wrapping_mul(TAIL) ^ text.len() as u64)
}

/// Up to seven bytes as one number. Texts of one length have one number only where they are equal.
#[inline]
fn tail(rest: &[u8]) -> u64 {
    if let (Some(first), Some(last)) = (rest.first_chunk::<4>(), rest.last_chunk::<4>()) {
        return u64::from(u32::from_le_bytes(*first)) | u64::from(u32::from_le_bytes(*last)) << 32;
    }
    rest.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// Spreads the tail, so that it does not fall together with the length.
const TAIL: u64 = 0xff51_afd7_ed55_8ccd;

#[inline]
const fn mix(hash: u64) -> u64 {
    let product = hash.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    product ^ (product >> 29)
}

/// The first number in `slots` along the chain of `hash` that `is_it` accepts.
#[inline]
pub(crate) fn search(slots: &[u32], hash: u64, mut is_it: impl FnMut(u32) -> bool) -> Option<u32> {
    let mask = slots.len().checked_sub(1)?;
    #[expect(clippy::cast_possible_truncation, reason = "the mask keeps the low bits only")]
    let mut at = hash as usize & mask;
    for _ in 0..slots.len() {
        let number = *slots.get(at)?;
        if number == EMPTY_SLOT {
            return None;
        }
        if is_it(number) {
            return Some(number);
        }
        at = at.wrapping_add(1) & mask;
    }
    None
}

/// A table of names: the number of a name is its place in `rows`.
#[derive(Clone, Copy, Debug)]
pub struct Names<'a> {
    /// Where the names lie in the image's text.
    pub rows: &'a [Range],
    /// Open addressing by [`hash_name`]; a power of two with at least one [`EMPTY_SLOT`].
    pub slots: &'a [u32],
}

impl Names<'_> {
    /// The number of a name, if the table has it.
    #[inline]
    pub fn find(&self, text: &str, name: &str) -> Option<u32> {
        search(self.slots, hash_name(name), |number| self.name(text, number) == Some(name))
    }

    /// The name of a number.
    #[inline]
    pub fn name<'t>(&self, text: &'t str, number: u32) -> Option<&'t str> {
        self.rows.get(number as usize)?.of_text(text)
    }
}
