//! Operands: where an operator's values lie.
//!
//! The rule they keep: two bytes, a kind and a number. Reading one needs no search: it is a place in a table, or the
//! topmost value of the stack. The verifier checks every number before anything runs.

/// Where a value lies that an operator takes: a kind and a number, in two bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Operand(u16);

/// Kinds of operands, by number; those that lie in no table are empty ones.
pub(crate) const KINDS: usize = 8;

/// What an [`Operand`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// The topmost value of the stack, which is taken from it.
    Stack,
    /// A constant of the image.
    Constant(u16),
    /// An attribute of the principal, by its place among those that its type declares.
    Principal(u16),
    /// An attribute of the resource, likewise.
    Resource(u16),
    /// An attribute of the context, by its place among those that the action declares.
    Context(u16),
    /// The principal, the action, the resource or the context itself.
    Variable(Variable),
    /// A pattern of the image; only [`Binary::Like`](crate::Binary::Like) takes one.
    Pattern(u16),
}

/// Cedar's four.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Variable {
    /// Who asks.
    Principal,
    /// For what.
    Action,
    /// On what.
    Resource,
    /// With what.
    Context,
}

impl Operand {
    /// Bits of the number.
    const BITS: u32 = 13;
    /// The largest number that an operand holds.
    pub const MAX: u16 = (1 << Self::BITS) - 1;

    /// The topmost value of the stack.
    pub const STACK: Self = Self(0);

    const fn of(kind: u16, number: u32) -> Option<Self> {
        if number > Self::MAX as u32 {
            return None;
        }
        #[expect(clippy::cast_possible_truncation, reason = "it was compared with the largest")]
        Some(Self(kind << Self::BITS | number as u16))
    }

    /// A constant of the image, where its number fits.
    pub const fn constant(number: u32) -> Option<Self> {
        Self::of(1, number)
    }

    /// An attribute of the principal, where its place fits.
    pub const fn principal(slot: u32) -> Option<Self> {
        Self::of(2, slot)
    }

    /// An attribute of the resource, where its place fits.
    pub const fn resource(slot: u32) -> Option<Self> {
        Self::of(3, slot)
    }

    /// An attribute of the context, where its place fits.
    pub const fn context(slot: u32) -> Option<Self> {
        Self::of(4, slot)
    }

    /// One of the four.
    pub const fn variable(variable: Variable) -> Self {
        let number = match variable {
            Variable::Principal => 0,
            Variable::Action => 1,
            Variable::Resource => 2,
            Variable::Context => 3,
        };
        Self(5 << Self::BITS | number)
    }

    /// A pattern of the image, where its number fits.
    pub const fn pattern(number: u32) -> Option<Self> {
        Self::of(6, number)
    }

    /// What it is. A kind that does not exist is a pattern beyond every table, which no verifier takes.
    #[inline(always)]
    pub const fn place(self) -> Place {
        let number = self.0 & Self::MAX;
        match self.0 >> Self::BITS {
            0 => Place::Stack,
            1 => Place::Constant(number),
            2 => Place::Principal(number),
            3 => Place::Resource(number),
            4 => Place::Context(number),
            5 => Place::Variable(match number & 3 {
                0 => Variable::Principal,
                1 => Variable::Action,
                2 => Variable::Resource,
                _ => Variable::Context,
            }),
            6 => Place::Pattern(number),
            _ => Place::Pattern(u16::MAX),
        }
    }

    /// Which of [`KINDS`] tables it lies in, and at which place there.
    #[inline(always)]
    pub(crate) const fn in_table(self) -> (usize, usize) {
        ((self.0 >> Self::BITS) as usize % KINDS, (self.0 & Self::MAX) as usize)
    }

    /// Its two bytes as a number, for storage.
    pub const fn bits(self) -> u16 {
        self.0
    }

    /// The operand of two bytes that were stored, if they are one that can be made.
    pub const fn from_bits(bits: u16) -> Option<Self> {
        let number = bits & Self::MAX;
        let is_made = match bits >> Self::BITS {
            0 => number == 0,
            1..=4 | 6 => true,
            5 => number <= 3,
            _ => false,
        };
        if is_made { Some(Self(bits)) } else { None }
    }

    /// Whether it is taken from the stack.
    pub const fn is_stack(self) -> bool {
        self.0 == Self::STACK.0
    }
}

impl core::fmt::Debug for Operand {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.place().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operands_keep_their_kind_and_number() {
        for number in [0, 1, u32::from(Operand::MAX)] {
            let narrow = u16::try_from(number).unwrap();
            assert_eq!(Operand::constant(number).map(Operand::place), Some(Place::Constant(narrow)));
            assert_eq!(Operand::principal(number).map(Operand::place), Some(Place::Principal(narrow)));
            assert_eq!(Operand::resource(number).map(Operand::place), Some(Place::Resource(narrow)));
            assert_eq!(Operand::context(number).map(Operand::place), Some(Place::Context(narrow)));
            assert_eq!(Operand::pattern(number).map(Operand::place), Some(Place::Pattern(narrow)));
        }
        assert_eq!(Operand::constant(u32::from(Operand::MAX) + 1), None);
        assert_eq!(Operand::variable(Variable::Resource).place(), Place::Variable(Variable::Resource));
        assert_eq!(Operand::STACK.place(), Place::Stack);
    }

    #[test]
    fn stored_bits_that_nothing_makes_are_no_operand() {
        for bits in 0..=u16::MAX {
            if let Some(operand) = Operand::from_bits(bits) {
                assert_eq!(operand.bits(), bits);
                assert_ne!(operand.place(), Place::Pattern(u16::MAX));
            }
        }
        assert_eq!(Operand::from_bits(1), None);
        assert_eq!(Operand::from_bits(7 << 13), None);
        assert_eq!(Operand::from_bits(5 << 13 | 4), None);
    }
}
