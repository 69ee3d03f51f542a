//! Bitsets over policies.
//!
//! The rule they keep: a bit stands for the policy of that number in the image. Nothing allocates; a set is as large as
//! [`MAX_POLICIES`](crate::MAX_POLICIES) allows.

use crate::limits::POLICY_WORDS;
use heapless::Vec;

/// A set of policies by number.
#[derive(Clone, PartialEq, Eq)]
pub struct PolicyBits {
    words: Vec<u64, POLICY_WORDS>,
}

impl core::fmt::Debug for PolicyBits {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

impl PolicyBits {
    /// The empty set over no policies.
    pub(crate) const fn new() -> Self {
        Self { words: Vec::new() }
    }

    /// Makes it empty.
    #[inline(always)]
    pub(crate) fn clear(&mut self) {
        self.words.clear();
    }

    /// Sets a word. The words before it are there already; one beyond the set's size is not kept.
    #[inline(always)]
    pub(crate) fn put(&mut self, index: usize, bits: u64) {
        match self.words.get_mut(index) {
            Some(word) => *word = bits,
            None => {
                let _beyond = self.words.push(bits);
            }
        }
    }

    /// Adds to a word, and gives what it is then.
    #[inline(always)]
    pub(crate) fn join(&mut self, index: usize, bits: u64) -> u64 {
        let joined = self.words.get(index).copied().unwrap_or(0) | bits;
        self.put(index, joined);
        joined
    }

    /// Whether the policy is in the set.
    pub fn contains(&self, policy: usize) -> bool {
        self.words.get(policy / 64).is_some_and(|word| word & (1 << (policy % 64)) != 0)
    }

    /// Whether there is no policy in it.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.words.iter().all(|word| *word == 0)
    }

    /// Policies in it.
    pub fn len(&self) -> usize {
        self.words.iter().fold(0, |sum, word| sum.saturating_add(word.count_ones() as usize))
    }

    /// The policies in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        self.words.iter().enumerate().flat_map(|(index, word)| ones(index, *word))
    }

    /// Keeps what is also in `mask`, a row of the image.
    #[inline]
    pub(crate) fn retain(&mut self, mask: &[u64]) {
        for (to, mask) in self.words.iter_mut().zip(mask) {
            *to &= mask;
        }
    }
}

/// The policies that the bits of one word stand for.
#[inline]
pub(crate) fn ones(word_index: usize, word: u64) -> impl Iterator<Item = usize> {
    let base = word_index.wrapping_mul(64);
    let mut left = word;
    core::iter::from_fn(move || {
        let low = left.trailing_zeros() as usize;
        left &= left.checked_sub(1)?;
        Some(base.wrapping_add(low))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_is_listed_in_order() {
        let mut bits = PolicyBits::new();
        for index in 0..POLICY_WORDS {
            bits.put(index, 0);
        }
        bits.put(0, 1 | 1 << 63);
        bits.put(1, 1);
        bits.put(15, 1 << 63);
        bits.put(16, 1);
        assert_eq!(bits.iter().collect::<Vec<_, 8>>(), [0, 63, 64, 1023]);
        assert_eq!(bits.len(), 4);
        assert!(bits.contains(63) && !bits.contains(62) && !bits.contains(1024));
    }

    #[test]
    fn words_are_joined_and_masked() {
        let mut bits = PolicyBits::new();
        assert_eq!((bits.join(0, 2), bits.join(1, 1 << 6), bits.join(0, 4)), (2, 1 << 6, 6));
        bits.retain(&[2, 0]);
        assert_eq!(bits.iter().collect::<Vec<_, 8>>(), [1]);
        bits.clear();
        assert!(bits.is_empty());
    }
}
