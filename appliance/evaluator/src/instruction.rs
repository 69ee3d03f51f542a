//! Instructions of the machine.
//!
//! The rule they keep: eight bytes each, jumps lead forward only, so a program ends after at most as many steps as it
//! has instructions. Operands are numbers of the image's tables; the verifier checks every one before anything runs.

/// One step of a policy's program. What it takes from and leaves on the stack is in [`Instruction::effect`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Instruction {
    /// Pushes a constant of the image.
    Constant(u32),
    /// Pushes the principal.
    Principal,
    /// Pushes the action.
    Action,
    /// Pushes the resource.
    Resource,
    /// Pushes the context.
    Context,
    /// Pushes an attribute of the principal.
    PrincipalAttribute(u32),
    /// Pushes an attribute of the resource.
    ResourceAttribute(u32),
    /// Pushes an attribute of the context.
    ContextAttribute(u32),
    /// Replaces an entity or record by its attribute.
    Attribute(u32),
    /// Replaces an entity or record by whether it has the attribute.
    Has(u32),
    /// The same for a path of attributes, walked while each is there.
    HasPath(u32),
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
    /// `.toMilliseconds()` and the coarser ones: a duration divided by this many milliseconds, towards zero.
    ToUnits(u32),
    /// `is`: whether an entity is of the type.
    Is(u32),
    /// `like`: whether text matches the pattern.
    Like(u32),
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
    /// Ends the `when` clause of this number: the policy is not satisfied where its value is `false`.
    EndWhen(u32),
    /// Ends the `unless` clause of this number: the policy is not satisfied where its value is `true`.
    EndUnless(u32),
}

const _: () = assert!(size_of::<Instruction>() == 8);

impl Instruction {
    /// Whether its result can lie outside of 64 bits, which is an error.
    pub const fn can_overflow(self) -> bool {
        matches!(
            self,
            Self::Add
                | Self::Subtract
                | Self::Multiply
                | Self::Negate
                | Self::Offset
                | Self::DurationSince
                | Self::ToDate
        )
    }

    /// How many values it takes from the stack and leaves there. `SetOf` and `RecordOf` take what their operand says,
    /// and `And`, `Or` leave their one value only on the way of the jump.
    pub const fn effect(self) -> (usize, usize) {
        match self {
            Self::Constant(_)
            | Self::Principal
            | Self::Action
            | Self::Resource
            | Self::Context
            | Self::PrincipalAttribute(_)
            | Self::ResourceAttribute(_)
            | Self::ContextAttribute(_)
            | Self::SetOf(_)
            | Self::RecordOf(_)
            | Self::Fail => (0, 1),
            Self::Attribute(_)
            | Self::Has(_)
            | Self::HasPath(_)
            | Self::Not
            | Self::Negate
            | Self::IsEmpty
            | Self::IsIpv4
            | Self::IsIpv6
            | Self::IsLoopback
            | Self::IsMulticast
            | Self::ToDate
            | Self::ToTime
            | Self::ToUnits(_)
            | Self::Is(_)
            | Self::Like(_)
            | Self::Boolean => (1, 1),
            Self::Equal
            | Self::NotEqual
            | Self::Less
            | Self::LessEqual
            | Self::Greater
            | Self::GreaterEqual
            | Self::Add
            | Self::Subtract
            | Self::Multiply
            | Self::In
            | Self::Contains
            | Self::ContainsAll
            | Self::ContainsAny
            | Self::HasTag
            | Self::GetTag
            | Self::IsInRange
            | Self::Offset
            | Self::DurationSince
            | Self::DecimalLess
            | Self::DecimalLessEqual
            | Self::DecimalGreater
            | Self::DecimalGreaterEqual => (2, 1),
            Self::And(_) | Self::Or(_) | Self::Unless(_) | Self::EndWhen(_) | Self::EndUnless(_) => (1, 0),
            Self::Jump(_) => (0, 0),
        }
    }
}
