//! Fates: what becomes of an operator's result.
//!
//! The rule they keep: two bytes, a kind and a number. A result that ends a clause, or lets one be passed over, never
//! touches the stack.

/// What becomes of an operator's result: it is pushed, it ends a clause, or it settles one.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Then(u16);

/// What a [`Then`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fate {
    /// It is pushed.
    Push,
    /// It ends a `when` of this number, as [`Instruction::EndWhen`](crate::Instruction::EndWhen) does.
    When(u16),
    /// It ends an `unless` of this number.
    Unless(u16),
    /// Where it is `true`, so many instructions are passed over: the alternatives that a clause need not ask any more.
    SkipIfTrue(u16),
    /// The same where it is `false`.
    SkipIfFalse(u16),
}

impl Then {
    /// Bits of the number.
    const BITS: u32 = 13;
    /// The largest number that it holds: of a clause, or of instructions.
    pub const MAX: u16 = (1 << Self::BITS) - 1;
    /// The result is pushed.
    pub const PUSH: Self = Self(0);

    /// It ends a clause that must come out as `wanted`, where the clause's number fits.
    pub const fn end(wanted: bool, clause: u32) -> Option<Self> {
        Self::of(if wanted { 1 } else { 2 }, clause)
    }

    /// It passes over so many instructions where it comes out as `wanted`, where their number fits.
    pub const fn skip(wanted: bool, instructions: u32) -> Option<Self> {
        Self::of(if wanted { 3 } else { 4 }, instructions)
    }

    const fn of(kind: u16, number: u32) -> Option<Self> {
        if number > Self::MAX as u32 {
            return None;
        }
        #[expect(clippy::cast_possible_truncation, reason = "it was compared with the largest")]
        Some(Self(kind << Self::BITS | number as u16))
    }

    /// Whether the result is pushed.
    #[inline(always)]
    pub(crate) const fn is_push(self) -> bool {
        self.0 == 0
    }

    /// Whether it passes over instructions, for which result it does that or goes on, and its number.
    #[inline(always)]
    pub(crate) const fn parts(self) -> (bool, bool, u16) {
        let kind = self.0 >> Self::BITS;
        (kind > 2, kind % 2 == 1, self.0 & Self::MAX)
    }

    /// What it is. A kind that does not exist passes over more than any program has, which no verifier takes.
    pub const fn fate(self) -> Fate {
        let number = self.0 & Self::MAX;
        match self.0 >> Self::BITS {
            0 => Fate::Push,
            1 => Fate::When(number),
            2 => Fate::Unless(number),
            3 => Fate::SkipIfTrue(number),
            4 => Fate::SkipIfFalse(number),
            _ => Fate::SkipIfTrue(u16::MAX),
        }
    }

    /// Its two bytes as a number, for storage.
    pub const fn bits(self) -> u16 {
        self.0
    }

    /// The one of two bytes that were stored, if it is one that can be made.
    pub const fn from_bits(bits: u16) -> Option<Self> {
        match bits >> Self::BITS {
            0 if bits == 0 => Some(Self(bits)),
            1..=4 => Some(Self(bits)),
            _ => None,
        }
    }
}

impl core::fmt::Debug for Then {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.fate().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_end_the_clause_or_pass_over_what_they_name() {
        assert_eq!(Then::end(true, 3).map(Then::fate), Some(Fate::When(3)));
        assert_eq!(Then::end(false, u32::from(Then::MAX)).map(Then::fate), Some(Fate::Unless(Then::MAX)));
        assert_eq!(Then::skip(true, 1).map(Then::fate), Some(Fate::SkipIfTrue(1)));
        assert_eq!(Then::skip(false, 2).map(Then::parts), Some((true, false, 2)));
        assert_eq!((Then::end(true, 1 << 13), Then::PUSH.fate()), (None, Fate::Push));
    }

    #[test]
    fn stored_bits_that_nothing_makes_are_no_fate() {
        for bits in 0..=u16::MAX {
            if let Some(then) = Then::from_bits(bits) {
                assert_eq!(then.bits(), bits);
                assert_ne!(then.fate(), Fate::SkipIfTrue(u16::MAX));
            }
        }
        assert_eq!((Then::from_bits(1), Then::from_bits(5 << 13)), (None, None));
    }
}
