//! Instructions of the machine.
//!
//! The rule they keep: eight bytes each, jumps lead forward only, so a program ends after at most as many steps as it
//! has instructions. Operands are numbers of the image's tables; the verifier checks every one before anything runs.
//!
//! An operator of two values names where each lies and what becomes of the result, so that `resource.owner ==
//! context.owner` at the end of a clause is one instruction and touches no stack.

/// One step of a policy's program. What it takes from and leaves on the stack is in [`Instruction::effect`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Instruction {
    /// Pushes an operand.
    Load(Operand),
    /// Pushes a constant of the image whose number is too large for an operand.
    Constant(u32),
    /// Replaces an entity or record by its attribute.
    Attribute(u32),
    /// Replaces an entity or record by whether it has the attribute.
    Has(u32),
    /// The same for a path of attributes, walked while each is there.
    HasPath(u32),
    /// Pushes whether the attribute in a slot is there; that of an absent entity is not.
    HasSlot(Operand),
    /// Replaces a value by what an operator makes of it.
    Unary(Unary),
    /// `.toMilliseconds()` and the coarser ones: a duration divided by this many milliseconds, towards zero.
    ToUnits(u32),
    /// `is`: whether an entity is of the type.
    Is(u32),
    /// `like`: whether text matches a pattern whose number is too large for an operand.
    Like(u32),
    /// What an operator makes of two values.
    Binary {
        /// The operator.
        operator: Binary,
        /// Its left side.
        left: Operand,
        /// Its right side. Where both are on the stack, this is the topmost.
        right: Operand,
        /// What becomes of the result.
        then: Then,
    },
    /// Gathers this many values into a set.
    SetOf(u32),
    /// Gathers values into a record whose names are a path of the image.
    RecordOf(u32),
    /// `&&` after its left side: jumps with `false`, or drops `true`.
    And(u32),
    /// `||` after its left side: jumps with `true`, or drops `false`.
    Or(u32),
    /// Leaves a boolean as it is; anything else is an error.
    Boolean,
    /// `if`: drops the condition, jumps where it is `false`.
    Unless(u32),
    /// Jumps.
    Jump(u32),
    /// Fails. It stands for what validation proved unreachable, and would fail closed if it were reached.
    Fail,
    /// Ends a `when`: goes on where it is `true`, else the policy is not satisfied. The number is the clause's.
    EndWhen(u32),
    /// Ends an `unless`: goes on where it is `false`, else the policy is not satisfied.
    EndUnless(u32),
}

const _: () = assert!(size_of::<Instruction>() == 8);

/// Operators of one value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unary {
    /// `!`
    Not,
    /// `-`
    Negate,
    /// `.isEmpty()`
    IsEmpty,
    /// `.isIpv4()`
    IsIpv4,
    /// `.isIpv6()`
    IsIpv6,
    /// `.isLoopback()`
    IsLoopback,
    /// `.isMulticast()`
    IsMulticast,
    /// `.toDate()`
    ToDate,
    /// `.toTime()`
    ToTime,
}

impl Unary {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Not,
        Self::Negate,
        Self::IsEmpty,
        Self::IsIpv4,
        Self::IsIpv6,
        Self::IsLoopback,
        Self::IsMulticast,
        Self::ToDate,
        Self::ToTime,
    ];
}

/// Operators of two values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Binary {
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterEqual,
    /// `+`
    Add,
    /// `-`
    Subtract,
    /// `*`
    Multiply,
    /// `in`
    In,
    /// `.contains()`
    Contains,
    /// `.containsAll()`
    ContainsAll,
    /// `.containsAny()`
    ContainsAny,
    /// `.hasTag()`
    HasTag,
    /// `.getTag()`
    GetTag,
    /// `.isInRange()`
    IsInRange,
    /// `.offset()`
    Offset,
    /// `.durationSince()`
    DurationSince,
    /// `.lessThan()`
    DecimalLess,
    /// `.lessThanOrEqual()`
    DecimalLessEqual,
    /// `.greaterThan()`
    DecimalGreater,
    /// `.greaterThanOrEqual()`
    DecimalGreaterEqual,
    /// `like`: its right side is an [`Operand::pattern`].
    Like,
}

impl Binary {
    /// All of them.
    pub const ALL: [Self; 23] = [
        Self::Equal,
        Self::NotEqual,
        Self::Less,
        Self::LessEqual,
        Self::Greater,
        Self::GreaterEqual,
        Self::Add,
        Self::Subtract,
        Self::Multiply,
        Self::In,
        Self::Contains,
        Self::ContainsAll,
        Self::ContainsAny,
        Self::HasTag,
        Self::GetTag,
        Self::IsInRange,
        Self::Offset,
        Self::DurationSince,
        Self::DecimalLess,
        Self::DecimalLessEqual,
        Self::DecimalGreater,
        Self::DecimalGreaterEqual,
        Self::Like,
    ];
}

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
    /// A pattern of the image; only [`Binary::Like`] takes one.
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

/// What becomes of an operator's result: it is pushed, it ends a clause, or it settles one.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Then(u16);

/// What a [`Then`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fate {
    /// It is pushed.
    Push,
    /// It ends a `when` of this number, as [`Instruction::EndWhen`] does.
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

impl Instruction {
    /// Whether its result can lie outside of 64 bits, which is an error.
    pub const fn can_overflow(self) -> bool {
        matches!(
            self,
            Self::Unary(Unary::Negate | Unary::ToDate)
                | Self::Binary {
                    operator: Binary::Add
                        | Binary::Subtract
                        | Binary::Multiply
                        | Binary::Offset
                        | Binary::DurationSince,
                    ..
                }
        )
    }

    /// How many values it takes from the stack and leaves there. `SetOf` and `RecordOf` take what their operand says,
    /// and `And`, `Or` leave their one value only on the way of the jump.
    pub const fn effect(self) -> (usize, usize) {
        match self {
            Self::Load(operand) => (operand.is_stack() as usize, 1),
            Self::Constant(_) | Self::HasSlot(_) | Self::SetOf(_) | Self::RecordOf(_) | Self::Fail => (0, 1),
            Self::Attribute(_)
            | Self::Has(_)
            | Self::HasPath(_)
            | Self::Unary(_)
            | Self::ToUnits(_)
            | Self::Is(_)
            | Self::Like(_)
            | Self::Boolean => (1, 1),
            Self::Binary { left, right, then, .. } => {
                let takes = match (left.is_stack(), right.is_stack()) {
                    (true, true) => 2,
                    (true, false) | (false, true) => 1,
                    (false, false) => 0,
                };
                (takes, matches!(then.fate(), Fate::Push) as usize)
            }
            Self::And(_) | Self::Or(_) | Self::Unless(_) | Self::EndWhen(_) | Self::EndUnless(_) => (1, 0),
            Self::Jump(_) => (0, 0),
        }
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
        assert_eq!((Then::from_bits(1), Then::from_bits(5 << 13)), (None, None));
    }

    #[test]
    fn results_end_the_clause_or_pass_over_what_they_name() {
        assert_eq!(Then::end(true, 3).map(Then::fate), Some(Fate::When(3)));
        assert_eq!(Then::end(false, u32::from(Then::MAX)).map(Then::fate), Some(Fate::Unless(Then::MAX)));
        assert_eq!(Then::skip(true, 1).map(Then::fate), Some(Fate::SkipIfTrue(1)));
        assert_eq!(Then::skip(false, 2).map(Then::parts), Some((true, false, 2)));
        assert_eq!((Then::end(true, 1 << 13), Then::PUSH.fate()), (None, Fate::Push));
    }
}
