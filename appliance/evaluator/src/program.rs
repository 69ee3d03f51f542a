//! Programs: each is walked once, in order, before it may run.
//!
//! The rule it keeps: operands lead somewhere, jumps lead forward and close like brackets, the stack has the same
//! height on every way to an instruction, never passes its limit, and is empty where a clause ends.

#![expect(clippy::wildcard_enum_match_arm, reason = "most instructions have no operand and do not jump")]

use crate::fate::Fate;
use crate::image::Image;
use crate::instruction::{Binary, Instruction};
use crate::limits::{MAX_OPEN_JUMPS, MAX_SCRATCH, MAX_STACK};
use crate::operand::{Operand, Place};
use crate::value::Range;
use crate::verification::Flaw;
use heapless::Vec;

/// The table that a [`Flaw`] names where a policy's program is not sound; its place is the policy.
pub const PROGRAMS: &str = "programs";

/// A jump whose target is still ahead.
#[derive(Clone, Copy)]
struct Ahead {
    target: usize,
    height: usize,
}

/// How many slots a program may ask for.
#[derive(Clone, Copy, Default)]
pub(crate) struct Slots {
    pub(crate) principal: u32,
    pub(crate) resource: u32,
    pub(crate) context: u32,
}

/// Walks a program, which may read so many slots. Where it is not sound, `flaw` is found.
pub(crate) fn verify(image: &Image<'_>, code: Range, slots: Slots, flaw: Flaw) -> Result<(), Flaw> {
    let code = code.of(image.code).ok_or(flaw)?;
    let mut walk = Walk { image, slots, flaw, height: 0, gathered: 0, ahead: Vec::new(), is_reached: true };
    for (place, instruction) in code.iter().enumerate() {
        walk.land(place)?;
        walk.step(*instruction, place, code.len())?;
    }
    walk.land(code.len())?;
    walk.ensure(walk.is_reached && walk.height == 0 && walk.ahead.is_empty())
}

struct Walk<'m, 'a> {
    image: &'m Image<'a>,
    slots: Slots,
    flaw: Flaw,
    height: usize,
    gathered: usize,
    ahead: Vec<Ahead, MAX_OPEN_JUMPS>,
    /// Whether the instruction before leads to this one.
    is_reached: bool,
}

impl Walk<'_, '_> {
    fn ensure(&self, holds: bool) -> Result<(), Flaw> {
        holds.then_some(()).ok_or(self.flaw)
    }

    /// Joins the jumps that lead to this place: their heights must agree with each other and with ours.
    fn land(&mut self, place: usize) -> Result<(), Flaw> {
        while let Some(jump) = self.ahead.last().copied().filter(|jump| jump.target == place) {
            self.ahead.pop();
            self.ensure(!self.is_reached || jump.height == self.height)?;
            (self.height, self.is_reached) = (jump.height, true);
        }
        self.ensure(self.is_reached || self.ahead.is_empty())
    }

    fn step(&mut self, instruction: Instruction, place: usize, length: usize) -> Result<(), Flaw> {
        self.ensure(self.is_reached && self.operand_leads_somewhere(instruction))?;
        let (takes, leaves) = match instruction {
            Instruction::SetOf(elements) => (elements as usize, 1),
            Instruction::RecordOf(path) => (self.path_length(path), 1),
            other => other.effect(),
        };
        if let Instruction::SetOf(_) | Instruction::RecordOf(_) = instruction {
            self.gathered = self.gathered.saturating_add(takes);
        }
        let below = self.height.checked_sub(takes).ok_or(self.flaw)?;
        self.height = below.saturating_add(leaves);
        self.ensure(self.height <= MAX_STACK && self.gathered <= MAX_SCRATCH)?;
        match instruction {
            // The way of a short circuit keeps its answer.
            Instruction::And(target) | Instruction::Or(target) => {
                self.jump(target, below.saturating_add(1), place, length)
            }
            Instruction::Unless(target) => self.jump(target, below, place, length),
            Instruction::Jump(target) => {
                self.jump_past_else(target, place, length)?;
                self.is_reached = false;
                Ok(())
            }
            Instruction::EndWhen(_) | Instruction::EndUnless(_) => self.end_clause(),
            Instruction::Binary { then, .. } => match then.fate() {
                Fate::Push => Ok(()),
                Fate::When(_) | Fate::Unless(_) => self.end_clause(),
                Fate::SkipIfTrue(passed) | Fate::SkipIfFalse(passed) => {
                    self.end_clause()?;
                    let target = place.saturating_add(1).saturating_add(usize::from(passed));
                    self.jump(u32::try_from(target).map_err(|_| self.flaw)?, 0, place, length)
                }
            },
            _ => Ok(()),
        }
    }

    /// A clause leaves nothing behind, and what leads out of it finds nothing on the stack.
    fn end_clause(&self) -> Result<(), Flaw> {
        self.ensure(self.height == 0 && self.ahead.iter().all(|jump| jump.height == 0))
    }

    fn jump(&mut self, target: u32, height: usize, place: usize, length: usize) -> Result<(), Flaw> {
        let target = target as usize;
        let encloses = self.ahead.last().is_none_or(|outer| target <= outer.target);
        self.ensure(target > place && target <= length && encloses && height <= MAX_STACK)?;
        self.ahead.push(Ahead { target, height }).map_err(|_| self.flaw)
    }

    /// The jump at the end of `then` opens before the one to `else` closes: it goes beneath it.
    fn jump_past_else(&mut self, target: u32, place: usize, length: usize) -> Result<(), Flaw> {
        let to_else = self.ahead.pop().ok_or(self.flaw)?;
        self.ensure(to_else.target == place.saturating_add(1))?;
        self.jump(target, self.height, place, length)?;
        self.ensure(to_else.target <= target as usize)?;
        self.ahead.push(to_else).map_err(|_| self.flaw)
    }

    fn path_length(&self, path: u32) -> usize {
        self.image.paths.get(path as usize).map_or(usize::MAX, |range| range.length as usize)
    }

    fn operand_leads_somewhere(&self, instruction: Instruction) -> bool {
        let image = self.image;
        let (operand, length) = match instruction {
            Instruction::Load(operand) => return !operand.is_stack() && self.is_value(operand),
            Instruction::HasSlot(operand) => return self.is_slot(operand),
            Instruction::Binary { operator: Binary::Like, left, right, .. } => {
                return self.is_value(left) && self.is_pattern(right);
            }
            Instruction::Binary { left, right, .. } => return self.is_value(left) && self.is_value(right),
            Instruction::Constant(place) => (place, image.constants.len()),
            Instruction::Attribute(name) | Instruction::Has(name) => (name, image.names.rows.len()),
            Instruction::HasPath(path) => (path, image.paths.len()),
            Instruction::RecordOf(path) => return self.is_sorted_path(path),
            Instruction::Like(pattern) => (pattern, image.patterns.len()),
            Instruction::Is(number) => (number, image.types.rows.len()),
            Instruction::ToUnits(unit) => return unit > 0,
            _ => return true,
        };
        (operand as usize) < length
    }

    fn is_value(&self, operand: Operand) -> bool {
        match operand.place() {
            Place::Stack | Place::Variable(_) => true,
            Place::Constant(place) => usize::from(place) < self.image.constants.len(),
            Place::Principal(_) | Place::Resource(_) | Place::Context(_) => self.is_slot(operand),
            Place::Pattern(_) => false,
        }
    }

    fn is_slot(&self, operand: Operand) -> bool {
        match operand.place() {
            Place::Principal(slot) => u32::from(slot) < self.slots.principal,
            Place::Resource(slot) => u32::from(slot) < self.slots.resource,
            Place::Context(slot) => u32::from(slot) < self.slots.context,
            Place::Stack | Place::Constant(_) | Place::Variable(_) | Place::Pattern(_) => false,
        }
    }

    fn is_pattern(&self, operand: Operand) -> bool {
        matches!(operand.place(), Place::Pattern(pattern) if usize::from(pattern) < self.image.patterns.len())
    }

    fn is_sorted_path(&self, path: u32) -> bool {
        let names = self.image.paths.get(path as usize).and_then(|range| range.of(self.image.path_names));
        names.is_some_and(|names| names.is_sorted_by(|left, right| left < right))
    }
}
