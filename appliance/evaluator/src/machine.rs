//! The machine: runs one policy's program over a bounded stack.
//!
//! The rule it keeps: it ends, for jumps lead forward, and any doubt (a wrong type, an overflow, a missing entity, no
//! fuel, a number that leads nowhere) is a fault and never an answer. Policies are chosen by scope before it runs.
//!
//! Semantics: Cedar's evaluator, value by value; see the table in facts.md, A5.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "an operator takes one type; whatever else there is or will be is a fault"
)]

use crate::comparison::Fuel;
use crate::extension::{to_date, to_time};
use crate::instruction::Instruction;
use crate::limits::{MAX_STACK, MAX_VALUE_DEPTH};
use crate::operand::{
    arithmetic, as_bool, as_datetime, as_decimal, as_duration, as_entity, as_long, as_set, order,
};
use crate::pattern;
use crate::value::{Address, Content, Field, Source, Span, Value};
use crate::world::World;

/// Why a policy could not be evaluated. The first five are Cedar's evaluation errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A value of another type than the operator takes.
    Type,
    /// A result outside of 64 bits.
    Overflow,
    /// An entity that the snapshot does not list.
    MissingEntity,
    /// An attribute that is not there.
    MissingAttribute,
    /// A tag that is not there.
    MissingTag,
    /// No fuel is left.
    Budget,
    /// Validation had proved that this cannot be reached.
    Unreachable,
    /// The image is not what the verifier saw.
    Image,
}

/// What became of a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Scope and all clauses hold.
    Satisfied,
    /// The scope does not hold.
    OutOfScope,
    /// The clause of this number, counted from 0, does not hold.
    Unsatisfied {
        /// The first clause that does not hold.
        clause: u32,
    },
    /// It could not be evaluated.
    Failed(Fault),
}

/// The stack of one run. It lives in the run itself, so that its height can stay in a register.
struct Stack {
    values: [Value; MAX_STACK],
    height: usize,
}

impl Stack {
    #[inline(always)]
    const fn new() -> Self {
        Self { values: [Value::bool(false); MAX_STACK], height: 0 }
    }

    #[inline(always)]
    fn push(&mut self, value: Value) -> Result<(), Fault> {
        *self.values.get_mut(self.height).ok_or(Fault::Image)? = value;
        self.height = self.height.wrapping_add(1);
        Ok(())
    }

    #[inline(always)]
    fn pop(&mut self) -> Result<Value, Fault> {
        self.height = self.height.wrapping_sub(1);
        self.values.get(self.height).copied().ok_or(Fault::Image)
    }

    #[inline(always)]
    fn pop_bool(&mut self) -> Result<bool, Fault> {
        as_bool(self.pop()?)
    }

    /// Leaves the answer of a short circuit and goes to where it ends.
    #[inline(always)]
    fn jump_with(&mut self, answer: bool, target: u32) -> Result<usize, Fault> {
        self.push(Value::bool(answer))?;
        Ok(target as usize)
    }

    /// Takes the topmost values, the lowest first.
    fn take(&mut self, count: usize) -> Result<&[Value], Fault> {
        let end = self.height;
        self.height = end.checked_sub(count).ok_or(Fault::Image)?;
        self.values.get(self.height..end).ok_or(Fault::Image)
    }
}

/// The machine.
#[derive(Debug)]
pub(crate) struct Machine<'m, 'a> {
    pub(crate) world: World<'m, 'a>,
    pub(crate) fuel: Fuel,
}

impl<'m, 'a> Machine<'m, 'a> {
    #[inline]
    pub(crate) fn new(world: World<'m, 'a>) -> Self {
        Self { fuel: Fuel::of(world.image.budget), world }
    }

    /// Runs the program of a policy whose scope holds.
    #[inline]
    pub(crate) fn run(&mut self, policy: usize) -> Outcome {
        let code = self.world.image.policies.get(policy).and_then(|row| row.code.of(self.world.image.code));
        let Some(code) = code else { return Outcome::Failed(Fault::Image) };
        if code.is_empty() {
            return Outcome::Satisfied;
        }
        self.world.scratch.elements.clear();
        self.world.scratch.fields.clear();
        match self.fuel.spend(code.len()).and_then(|()| self.walk(code)) {
            Ok(None) => Outcome::Satisfied,
            Ok(Some(clause)) => Outcome::Unsatisfied { clause },
            Err(fault) => Outcome::Failed(fault),
        }
    }

    /// The number of the clause that does not hold, if one does not.
    fn walk(&mut self, code: &[Instruction]) -> Result<Option<u32>, Fault> {
        let (mut at, mut stack) = (0_usize, Stack::new());
        while let Some(instruction) = code.get(at) {
            at = at.wrapping_add(1);
            match *instruction {
                Instruction::And(target) => {
                    if !stack.pop_bool()? {
                        at = stack.jump_with(false, target)?;
                    }
                }
                Instruction::Or(target) => {
                    if stack.pop_bool()? {
                        at = stack.jump_with(true, target)?;
                    }
                }
                Instruction::Unless(target) => {
                    if !stack.pop_bool()? {
                        at = target as usize;
                    }
                }
                Instruction::Jump(target) => at = target as usize,
                Instruction::EndWhen(clause) => {
                    if !stack.pop_bool()? {
                        return Ok(Some(clause));
                    }
                }
                Instruction::EndUnless(clause) => {
                    if stack.pop_bool()? {
                        return Ok(Some(clause));
                    }
                }
                straight => self.step(&mut stack, straight)?,
            }
        }
        Ok(None)
    }

    /// Everything that does not jump.
    #[inline(always)]
    fn step(&mut self, stack: &mut Stack, instruction: Instruction) -> Result<(), Fault> {
        use Instruction as I;
        let intent = self.world.intent;
        match instruction {
            I::Constant(place) => {
                stack.push(*self.world.image.constants.get(place as usize).ok_or(Fault::Image)?)
            }
            I::Principal => stack.push(Value::entity(intent.principal)),
            I::Action => stack.push(Value::entity(intent.action)),
            I::Resource => stack.push(Value::entity(intent.resource)),
            I::Context => stack.push(intent.context.ok_or(Fault::Type)?),
            I::PrincipalAttribute(name) => self.push_attribute(stack, Value::entity(intent.principal), name),
            I::ResourceAttribute(name) => self.push_attribute(stack, Value::entity(intent.resource), name),
            I::ContextAttribute(name) => self.push_attribute(stack, intent.context.ok_or(Fault::Type)?, name),
            I::Attribute(name) => {
                let value = stack.pop()?;
                self.push_attribute(stack, value, name)
            }
            I::Has(name) => self
                .replace(stack, |world, _, value| Ok(Value::bool(world.attribute(value, name)?.is_some()))),
            I::HasPath(path) => self.replace(stack, |world, _, value| world.has_path(value, path)),
            I::Not => self.replace(stack, |_, _, value| Ok(Value::bool(!as_bool(value)?))),
            I::Negate => self.replace(stack, |_, _, value| {
                as_long(value)?.checked_neg().map(Value::long).ok_or(Fault::Overflow)
            }),
            I::IsEmpty => self.replace(stack, |_, _, value| Ok(Value::bool(as_set(value)?.length == 0))),
            I::IsIpv4 => self.test_address(stack, |address| !address.is_v6()),
            I::IsIpv6 => self.test_address(stack, Address::is_v6),
            I::IsLoopback => self.test_address(stack, Address::is_loopback),
            I::IsMulticast => self.test_address(stack, Address::is_multicast),
            I::ToDate => self.replace(stack, |_, _, value| {
                to_date(as_datetime(value)?).map(Value::datetime).ok_or(Fault::Overflow)
            }),
            I::ToTime => self.replace(stack, |_, _, value| Ok(Value::duration(to_time(as_datetime(value)?)))),
            I::ToUnits(unit) => self.replace(stack, |_, _, value| {
                as_duration(value)?.checked_div(i64::from(unit)).map(Value::long).ok_or(Fault::Image)
            }),
            I::Is(type_number) => self.replace(stack, |world, _, value| {
                Ok(Value::bool(world.type_of(as_entity(value)?) == Some(type_number)))
            }),
            I::Like(place) => self.replace(stack, |world, fuel, value| world.like(value, place, fuel)),
            I::SetOf(length) => self.gather_set(stack, length),
            I::RecordOf(path) => self.gather_record(stack, path),
            I::Fail => Err(Fault::Unreachable),
            I::Boolean => self.replace(stack, |_, _, value| as_bool(value).map(Value::bool)),
            binary => {
                let (right, left) = (stack.pop()?, stack.pop()?);
                let result = self.binary(binary, left, right)?;
                stack.push(result)
            }
        }
    }

    /// Operators of two values.
    #[inline(always)]
    fn binary(&mut self, instruction: Instruction, left: Value, right: Value) -> Result<Value, Fault> {
        use Instruction as I;
        let (world, fuel) = (&self.world, &mut self.fuel);
        let answer = match instruction {
            I::Equal => world.equal(left, right, MAX_VALUE_DEPTH, fuel)?,
            I::NotEqual => !world.equal(left, right, MAX_VALUE_DEPTH, fuel)?,
            I::Less => order(left, right)?.is_lt(),
            I::LessEqual => order(left, right)?.is_le(),
            I::Greater => order(left, right)?.is_gt(),
            I::GreaterEqual => order(left, right)?.is_ge(),
            I::Add => return arithmetic(left, right, i64::checked_add),
            I::Subtract => return arithmetic(left, right, i64::checked_sub),
            I::Multiply => return arithmetic(left, right, i64::checked_mul),
            I::In => world.is_in(left, right, fuel)?,
            I::Contains => world.contains(as_set(left)?, right, MAX_VALUE_DEPTH, fuel)?,
            I::ContainsAll => world.contains_all(as_set(left)?, as_set(right)?, MAX_VALUE_DEPTH, fuel)?,
            I::ContainsAny => world.contains_any(as_set(left)?, as_set(right)?, MAX_VALUE_DEPTH, fuel)?,
            I::HasTag => world.find_tag(left, right, fuel)?.is_ok(),
            I::GetTag => return world.find_tag(left, right, fuel)?,
            I::IsInRange => world.as_address(left)?.is_in_range(&world.as_address(right)?),
            I::Offset => {
                let sum = as_datetime(left)?.checked_add(as_duration(right)?);
                return sum.map(Value::datetime).ok_or(Fault::Overflow);
            }
            I::DurationSince => {
                let difference = as_datetime(left)?.checked_sub(as_datetime(right)?);
                return difference.map(Value::duration).ok_or(Fault::Overflow);
            }
            I::DecimalLess => as_decimal(left)? < as_decimal(right)?,
            I::DecimalLessEqual => as_decimal(left)? <= as_decimal(right)?,
            I::DecimalGreater => as_decimal(left)? > as_decimal(right)?,
            I::DecimalGreaterEqual => as_decimal(left)? >= as_decimal(right)?,
            _ => return Err(Fault::Image),
        };
        Ok(Value::bool(answer))
    }

    #[inline(always)]
    fn replace(
        &mut self,
        stack: &mut Stack,
        by: impl FnOnce(&World<'m, 'a>, &mut Fuel, Value) -> Result<Value, Fault>,
    ) -> Result<(), Fault> {
        let value = stack.pop()?;
        let value = by(&self.world, &mut self.fuel, value)?;
        stack.push(value)
    }

    #[inline(always)]
    fn push_attribute(&mut self, stack: &mut Stack, of: Value, name: u32) -> Result<(), Fault> {
        let value = self.world.attribute_or_fault(of, name)?;
        stack.push(value)
    }

    #[inline]
    fn test_address(&mut self, stack: &mut Stack, test: impl FnOnce(&Address) -> bool) -> Result<(), Fault> {
        self.replace(stack, |world, _, value| Ok(Value::bool(test(&world.as_address(value)?))))
    }

    /// Moves the topmost values into a set of the scratch.
    fn gather_set(&mut self, stack: &mut Stack, length: u32) -> Result<(), Fault> {
        let elements = &mut self.world.scratch.elements;
        let values = stack.take(length as usize)?;
        let place = u32::try_from(elements.len()).map_err(|_| Fault::Image)?;
        elements.extend_from_slice(values).map_err(|_| Fault::Image)?;
        stack.push(Value::set(Span { source: Source::Scratch, start: place, length }))
    }

    /// Moves the topmost values into a record of the scratch; the path holds its names in ascending order.
    fn gather_record(&mut self, stack: &mut Stack, path: u32) -> Result<(), Fault> {
        let names = self.world.path(path)?;
        let fields = &mut self.world.scratch.fields;
        let values = stack.take(names.len())?;
        let place = u32::try_from(fields.len()).map_err(|_| Fault::Image)?;
        for (name, value) in names.iter().zip(values) {
            fields.push(Field { name: *name, value: *value }).map_err(|_| Fault::Image)?;
        }
        let length = u32::try_from(names.len()).map_err(|_| Fault::Image)?;
        stack.push(Value::record(Span { source: Source::Scratch, start: place, length }))
    }
}

impl<'a> World<'_, 'a> {
    /// An attribute of a record or an entity, if it is there. An entity that is absent has none.
    #[inline(always)]
    fn attribute(&self, of: Value, name: u32) -> Result<Option<Value>, Fault> {
        match of.content() {
            Content::Record(span) => Ok(Self::field(self.fields(span)?, name)),
            Content::Entity(entity) => match self.present(entity) {
                Some(row) => Ok(Self::field(row.fields.of(self.snapshot.fields).ok_or(Fault::Image)?, name)),
                None => Ok(None),
            },
            _ => Err(Fault::Type),
        }
    }

    /// An attribute that must be there.
    #[inline(always)]
    fn attribute_or_fault(&self, of: Value, name: u32) -> Result<Value, Fault> {
        self.attribute(of, name)?.ok_or(match of.content() {
            Content::Entity(entity) if self.present(entity).is_none() => Fault::MissingEntity,
            _ => Fault::MissingAttribute,
        })
    }

    fn path(&self, path: u32) -> Result<&'a [u32], Fault> {
        let range = self.image.paths.get(path as usize).ok_or(Fault::Image)?;
        range.of(self.image.path_names).ok_or(Fault::Image)
    }

    /// `has a.b.c`: walks while each is there.
    fn has_path(&self, of: Value, path: u32) -> Result<Value, Fault> {
        let mut value = of;
        for name in self.path(path)? {
            match self.attribute(value, *name)? {
                Some(next) => value = next,
                None => return Ok(Value::bool(false)),
            }
        }
        Ok(Value::bool(true))
    }

    fn like(&self, value: Value, place: u32, fuel: &mut Fuel) -> Result<Value, Fault> {
        let Content::String(span) = value.content() else { return Err(Fault::Type) };
        let parts = self.image.patterns.get(place as usize).ok_or(Fault::Image)?;
        let parts = parts.of(self.image.parts).ok_or(Fault::Image)?;
        pattern::matches(self.text(span)?, parts, self.image.text, fuel).map(Value::bool)
    }

    /// `in`: an entity or a set of entities. Every element must be an entity, also behind one that matches.
    fn is_in(&self, left: Value, right: Value, fuel: &mut Fuel) -> Result<bool, Fault> {
        let entity = as_entity(left)?;
        let span = match right.content() {
            Content::Entity(ancestor) => return Ok(self.is_within(entity, ancestor)),
            Content::Set(span) => span,
            _ => return Err(Fault::Type),
        };
        let (elements, mut found) = (self.elements(span)?, false);
        fuel.spend(elements.len())?;
        for element in elements {
            found |= self.is_within(entity, as_entity(*element)?);
        }
        Ok(found)
    }

    /// The tag of an entity, or what is missing.
    fn find_tag(&self, of: Value, key: Value, fuel: &mut Fuel) -> Result<Result<Value, Fault>, Fault> {
        let entity = as_entity(of)?;
        let Content::String(key) = key.content() else { return Err(Fault::Type) };
        fuel.spend(key.length as usize)?;
        let Some(row) = self.present(entity) else { return Ok(Err(Fault::MissingEntity)) };
        Ok(self.tag(row, self.text(key)?).ok_or(Fault::MissingTag))
    }

    fn as_address(&self, value: Value) -> Result<Address, Fault> {
        match value.content() {
            Content::Ip(span) => self.address(span),
            _ => Err(Fault::Type),
        }
    }
}
