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
    /// The empty set over `words` times 64 policies.
    #[inline]
    pub(crate) fn empty(words: usize) -> Self {
        Self { words: core::iter::repeat_n(0, words.min(POLICY_WORDS)).collect() }
    }

    /// Adds a policy; one beyond the set's size is not kept.
    #[inline]
    pub(crate) fn insert(&mut self, policy: usize) {
        if let Some(word) = self.words.get_mut(policy / 64) {
            *word |= 1 << (policy % 64);
        }
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

    /// Whether it has a policy of `mask`, a row of the image.
    pub(crate) fn meets(&self, mask: &[u64]) -> bool {
        self.words.iter().zip(mask).any(|(word, mask)| word & mask != 0)
    }

    /// Whether it has a policy of `mask` that `except` does not have.
    pub(crate) fn meets_beyond(&self, mask: &[u64], except: &[u64]) -> bool {
        self.words.iter().zip(mask).zip(except).any(|((word, mask), except)| word & mask & !except != 0)
    }

    /// Whether it has a policy that is not in `mask`, a row of the image.
    #[inline]
    pub(crate) fn exceeds(&self, mask: &[u64]) -> bool {
        self.words.iter().zip(mask).any(|(word, mask)| word & !mask != 0)
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
    fn what_is_inserted_is_listed_in_order() {
        let mut bits = PolicyBits::empty(POLICY_WORDS);
        for policy in [64, 0, 1023, 63, 1024] {
            bits.insert(policy);
        }
        assert_eq!(bits.iter().collect::<Vec<_, 8>>(), [0, 63, 64, 1023]);
        assert_eq!(bits.len(), 4);
        assert!(bits.contains(63) && !bits.contains(62) && !bits.contains(1024));
    }

    #[test]
    fn masks_keep_and_remove() {
        let mut bits = PolicyBits::empty(2);
        bits.insert(1);
        bits.insert(70);
        assert!(bits.meets(&[0, 1 << 6]) && !bits.meets(&[1, 1]));
        assert!(bits.meets_beyond(&[2, 0], &[0, 0]) && !bits.meets_beyond(&[2, 0], &[2, 0]));
        assert!(bits.exceeds(&[2, 0]) && !bits.exceeds(&[2, 1 << 6]));
        bits.retain(&[2, 0]);
        assert_eq!(bits.iter().collect::<Vec<_, 8>>(), [1]);
    }
}
