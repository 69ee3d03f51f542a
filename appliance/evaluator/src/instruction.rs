//! Instructions of the machine.
//!
//! The rule they keep: eight bytes each, jumps lead forward only, so a program ends after at most as many steps as it
//! has instructions. Operands are numbers of the image's tables; the verifier checks every one before anything runs.
//!
//! An operator of two values names where each lies and what becomes of the result, so that `resource.owner ==
//! context.owner` at the end of a clause is one instruction and touches no stack.

use crate::fate::{Fate, Then};
use crate::operand::Operand;

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
