//! The machine: runs one policy's program over a bounded stack.
//!
//! The rule it keeps: it ends, for jumps lead forward, and any doubt (a wrong type, an overflow, a missing entity, no
//! fuel, a number that leads nowhere) is a fault and never an answer. Policies are chosen by scope before it runs.
//!
//! Semantics: Cedar's evaluator, value by value, to which `appliance/compiler/tests/differential/` holds it.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "an operator takes one type; whatever else there is or will be is a fault"
)]

use crate::comparison::Fuel;
use crate::conversion::{
    arithmetic, as_bool, as_datetime, as_decimal, as_duration, as_entity, as_long, as_set, order,
};
use crate::extension::{to_date, to_time};
use crate::instruction::{Binary, Instruction, Unary};
use crate::limits::MAX_VALUE_DEPTH;
use crate::operand::{Operand, Place};

use crate::value::{Field, Range, Source, Span, Value};
use crate::world::{Scratch, World};

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

/// The machine.
#[derive(Debug)]
pub(crate) struct Machine<'m, 'a> {
    pub(crate) world: World<'m, 'a>,
    pub(crate) fuel: Fuel,
}

impl<'m, 'a> Machine<'m, 'a> {
    #[inline]
    pub(crate) const fn new(world: World<'m, 'a>, fuel: Fuel) -> Self {
        Self { world, fuel }
    }

    /// Runs a program. Its policy's scope holds.
    #[inline]
    pub(crate) fn run(&mut self, program: Range) -> Outcome {
        let Some(code) = program.of(self.world.image.code) else { return Outcome::Failed(Fault::Image) };
        if code.is_empty() {
            return Outcome::Satisfied;
        }
        self.world.scratch.clear();
        match self.fuel.spend(code.len()).and_then(|()| self.walk(code)) {
            Ok(None) => Outcome::Satisfied,
            Ok(Some(clause)) => Outcome::Unsatisfied { clause },
            Err(fault) => Outcome::Failed(fault),
        }
    }

    /// The number of the clause that does not hold, if one does not.
    fn walk(&mut self, code: &[Instruction]) -> Result<Option<u32>, Fault> {
        use Instruction as I;
        let mut at = 0_usize;
        while let Some(instruction) = code.get(at) {
            at = at.wrapping_add(1);
            match *instruction {
                I::Binary { operator, left, right, then } => {
                    // The topmost value is the right one.
                    let right = self.load(right)?;
                    let left = self.load(left)?;
                    let value = self.binary(operator, left, right)?;
                    if then.is_push() {
                        self.push(value)?;
                        continue;
                    }
                    let (skips, wanted, number) = then.parts();
                    match (skips, as_bool(value)? == wanted) {
                        (true, true) => at = at.wrapping_add(usize::from(number)),
                        (false, false) => return Ok(Some(u32::from(number))),
                        (true, false) | (false, true) => {}
                    }
                }
                I::And(target) => {
                    if !self.pop_bool()? {
                        at = self.jump_with(false, target)?;
                    }
                }
                I::Or(target) => {
                    if self.pop_bool()? {
                        at = self.jump_with(true, target)?;
                    }
                }
                I::Unless(target) => {
                    if !self.pop_bool()? {
                        at = target as usize;
                    }
                }
                I::Jump(target) => at = target as usize,
                I::EndWhen(clause) => {
                    if !self.pop_bool()? {
                        return Ok(Some(clause));
                    }
                }
                I::EndUnless(clause) => {
                    if self.pop_bool()? {
                        return Ok(Some(clause));
                    }
                }
                straight => self.step(straight)?,
            }
        }
        Ok(None)
    }

    #[inline(always)]
    fn push(&mut self, value: Value) -> Result<(), Fault> {
        self.world.scratch.stack.push(value).map_err(|_| Fault::Image)
    }

    #[inline(always)]
    fn pop(&mut self) -> Result<Value, Fault> {
        self.world.scratch.stack.pop().ok_or(Fault::Image)
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

    /// The value of an operand.
    #[inline(always)]
    fn load(&mut self, operand: Operand) -> Result<Value, Fault> {
        if operand.is_stack() {
            return self.pop();
        }
        let (kind, place) = operand.in_table();
        match self.world.tables.get(kind).and_then(|table| table.get(place)) {
            Some(value) if !value.is_absent() => Ok(*value),
            _ => self.load_otherwise(operand),
        }
    }

    /// What lies in no table. A pattern travels as its number; the verifier lets only `like` take one.
    #[inline(never)]
    fn load_otherwise(&self, operand: Operand) -> Result<Value, Fault> {
        let is_listed = |entity| self.world.present(entity).is_some();
        match operand.place() {
            Place::Pattern(number) => Ok(Value::long(i64::from(number))),
            Place::Principal(_) if !is_listed(self.world.intent.principal) => Err(Fault::MissingEntity),
            Place::Resource(_) if !is_listed(self.world.intent.resource) => Err(Fault::MissingEntity),
            Place::Principal(_) | Place::Resource(_) | Place::Context(_) => Err(Fault::MissingAttribute),
            Place::Variable(_) => Err(Fault::Type),
            Place::Stack | Place::Constant(_) => Err(Fault::Image),
        }
    }

    /// Whether the attribute in a slot is there. That of an entity which is not listed is not.
    fn has_slot(&self, operand: Operand) -> bool {
        let (kind, slot) = operand.in_table();
        let value = self.world.tables.get(kind).and_then(|table| table.get(slot));
        value.is_some_and(|value| !value.is_absent())
    }

    /// Everything that neither jumps nor takes two values.
    fn step(&mut self, instruction: Instruction) -> Result<(), Fault> {
        use Instruction as I;
        let value = match instruction {
            I::Load(operand) => self.load(operand)?,
            I::Constant(place) => *self.world.image.constants.get(place as usize).ok_or(Fault::Image)?,
            I::HasSlot(operand) => Value::bool(self.has_slot(operand)),
            I::SetOf(length) => self.gather_set(length)?,
            I::RecordOf(path) => self.gather_record(path)?,
            I::Fail => return Err(Fault::Unreachable),
            other => {
                let value = self.pop()?;
                self.replaced(other, value)?
            }
        };
        self.push(value)
    }

    /// What an instruction puts in the place of the topmost value.
    #[inline(always)]
    fn replaced(&mut self, instruction: Instruction, value: Value) -> Result<Value, Fault> {
        use Instruction as I;
        let world = &self.world;
        let test = match instruction {
            I::Unary(operator) => return self.unary(operator, value),
            I::Attribute(name) => return world.attribute_or_fault(value, name),
            I::HasPath(path) => return world.has_path(value, path),
            I::Has(name) => world.attribute(value, name)?.is_some(),
            I::Is(number) => world.type_of(as_entity(value)?) == Some(number),
            I::Like(place) => world.like(value, place, &mut self.fuel)?,
            I::Boolean => as_bool(value)?,
            I::ToUnits(unit) => {
                let units = as_duration(value)?.checked_div(i64::from(unit));
                return units.map(Value::long).ok_or(Fault::Image);
            }
            _ => return Err(Fault::Image),
        };
        Ok(Value::bool(test))
    }

    /// Operators of one value.
    fn unary(&self, operator: Unary, value: Value) -> Result<Value, Fault> {
        let address = || self.world.as_address(value);
        let test = match operator {
            Unary::Not => !as_bool(value)?,
            Unary::IsEmpty => as_set(value)?.length == 0,
            Unary::IsIpv4 => !address()?.is_v6(),
            Unary::IsIpv6 => address()?.is_v6(),
            Unary::IsLoopback => address()?.is_loopback(),
            Unary::IsMulticast => address()?.is_multicast(),
            Unary::Negate => {
                return as_long(value)?.checked_neg().map(Value::long).ok_or(Fault::Overflow);
            }
            Unary::ToDate => return to_date(as_datetime(value)?).map(Value::datetime).ok_or(Fault::Overflow),
            Unary::ToTime => return Ok(Value::duration(to_time(as_datetime(value)?))),
        };
        Ok(Value::bool(test))
    }

    /// Operators of two values. What most policies ask most often is answered in place.
    #[inline(always)]
    fn binary(&mut self, operator: Binary, left: Value, right: Value) -> Result<Value, Fault> {
        let (world, fuel) = (&self.world, &mut self.fuel);
        let answer = match operator {
            Binary::Equal => world.equal(left, right, MAX_VALUE_DEPTH, fuel)?,
            Binary::NotEqual => !world.equal(left, right, MAX_VALUE_DEPTH, fuel)?,
            Binary::Less => order(left, right)?.is_lt(),
            Binary::LessEqual => order(left, right)?.is_le(),
            Binary::Greater => order(left, right)?.is_gt(),
            Binary::GreaterEqual => order(left, right)?.is_ge(),
            Binary::Add => return arithmetic(left, right, i64::checked_add),
            Binary::Subtract => return arithmetic(left, right, i64::checked_sub),
            Binary::Multiply => return arithmetic(left, right, i64::checked_mul),
            Binary::In => world.is_in(left, right, fuel)?,
            Binary::Contains => world.contains(as_set(left)?, right, MAX_VALUE_DEPTH, fuel)?,
            Binary::Like => world.like_numbered(left, right, fuel)?,
            rare => return self.rare(rare, left, right),
        };
        Ok(Value::bool(answer))
    }

    /// The operators that few policies use: out of line, so that the common ones stay close together.
    #[inline(never)]
    fn rare(&mut self, operator: Binary, left: Value, right: Value) -> Result<Value, Fault> {
        let (world, fuel) = (&self.world, &mut self.fuel);
        let answer = match operator {
            Binary::ContainsAll => {
                world.contains_all(as_set(left)?, as_set(right)?, MAX_VALUE_DEPTH, fuel)?
            }
            Binary::ContainsAny => {
                world.contains_any(as_set(left)?, as_set(right)?, MAX_VALUE_DEPTH, fuel)?
            }
            Binary::HasTag => world.find_tag(left, right, fuel)?.is_ok(),
            Binary::GetTag => return world.find_tag(left, right, fuel)?,
            Binary::IsInRange => world.as_address(left)?.is_in_range(&world.as_address(right)?),
            Binary::Offset => {
                let sum = as_datetime(left)?.checked_add(as_duration(right)?);
                return sum.map(Value::datetime).ok_or(Fault::Overflow);
            }
            Binary::DurationSince => {
                let difference = as_datetime(left)?.checked_sub(as_datetime(right)?);
                return difference.map(Value::duration).ok_or(Fault::Overflow);
            }
            Binary::DecimalLess => as_decimal(left)? < as_decimal(right)?,
            Binary::DecimalLessEqual => as_decimal(left)? <= as_decimal(right)?,
            Binary::DecimalGreater => as_decimal(left)? > as_decimal(right)?,
            Binary::DecimalGreaterEqual => as_decimal(left)? >= as_decimal(right)?,
            _ => return Err(Fault::Image),
        };
        Ok(Value::bool(answer))
    }

    /// Moves the topmost values into a set of the scratch.
    fn gather_set(&mut self, length: u32) -> Result<Value, Fault> {
        let Scratch { stack, elements, .. } = &mut *self.world.scratch;
        let below = stack.len().checked_sub(length as usize).ok_or(Fault::Image)?;
        let start = u32::try_from(elements.len()).map_err(|_| Fault::Image)?;
        elements.extend_from_slice(stack.get(below..).ok_or(Fault::Image)?).map_err(|_| Fault::Image)?;
        stack.truncate(below);
        Ok(Value::set(Span { source: Source::Scratch, start, length }))
    }

    /// Moves the topmost values into a record of the scratch; the path holds its names in ascending order.
    fn gather_record(&mut self, path: u32) -> Result<Value, Fault> {
        let names = self.world.path(path)?;
        let Scratch { stack, fields, .. } = &mut *self.world.scratch;
        let below = stack.len().checked_sub(names.len()).ok_or(Fault::Image)?;
        let start = u32::try_from(fields.len()).map_err(|_| Fault::Image)?;
        for (name, value) in names.iter().zip(stack.get(below..).ok_or(Fault::Image)?) {
            fields.push(Field { name: *name, value: *value }).map_err(|_| Fault::Image)?;
        }
        stack.truncate(below);
        let length = u32::try_from(names.len()).map_err(|_| Fault::Image)?;
        Ok(Value::record(Span { source: Source::Scratch, start, length }))
    }
}
