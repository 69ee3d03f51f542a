//! Programs: instructions out of bytes, mostly such as the verifier takes, and sometimes any.
//!
//! Types are left to chance: the machine must meet a value of every type at every operator.

use crate::choices::Choices;
use crate::tables::TYPES;
use assent_evaluator::{Binary, Instruction, MAX_SCRATCH, Operand, Then, Unary, Variable};

/// Deepest nesting; the stack has room for more.
const MAX_DEPTH: usize = 4;

/// How many slots a program may read.
#[derive(Clone, Copy, Debug, Default)]
pub struct Slots {
    /// Of the principal.
    pub principal: u32,
    /// Of the resource.
    pub resource: u32,
    /// Of the context.
    pub context: u32,
}

const NUMBERED: &[fn(u32) -> Instruction] = &[
    Instruction::Constant,
    Instruction::Attribute,
    Instruction::Has,
    Instruction::HasPath,
    Instruction::ToUnits,
    Instruction::Is,
    Instruction::Like,
    Instruction::SetOf,
    Instruction::RecordOf,
    Instruction::And,
    Instruction::Or,
    Instruction::Unless,
    Instruction::Jump,
    Instruction::EndWhen,
    Instruction::EndUnless,
];

/// Any instruction with any operand.
pub fn any(choices: &mut Choices<'_>) -> Instruction {
    let bits = |choices: &mut Choices<'_>| u16::from_le_bytes([choices.byte(), choices.byte()]);
    let operand = |choices: &mut Choices<'_>| Operand::from_bits(bits(choices)).unwrap_or(Operand::STACK);
    match choices.below(6) {
        0 => Instruction::Load(operand(choices)),
        1 => Instruction::HasSlot(operand(choices)),
        2 => Instruction::Unary(choices.pick(&Unary::ALL)),
        3 => Instruction::Binary {
            operator: choices.pick(&Binary::ALL),
            left: operand(choices),
            right: operand(choices),
            then: Then::from_bits(bits(choices)).unwrap_or(Then::PUSH),
        },
        4 => choices.pick(&[Instruction::Boolean, Instruction::Fail]),
        _ => choices.pick(NUMBERED)(choices.number()),
    }
}

/// A program of a few clauses that reads so many slots, and whether the verifier must take it.
pub fn program(choices: &mut Choices<'_>, slots: Slots) -> (Vec<Instruction>, bool) {
    if choices.once_in(16) {
        return ((0..choices.below(24)).map(|_| any(choices)).collect(), false);
    }
    let mut writer = Writer { code: Vec::new(), choices, slots, joined: 0, alternatives: 0 };
    for clause in 0..writer.choices.below(4) {
        writer.clause(u32::try_from(clause).unwrap_or(0));
    }
    let gathered: u32 = writer.code.iter().map(gathers).sum();
    (writer.code, gathered as usize <= MAX_SCRATCH)
}

/// Values that an instruction gathers.
const fn gathers(instruction: &Instruction) -> u32 {
    match instruction {
        Instruction::SetOf(several) | Instruction::RecordOf(several) => *several,
        _ => 0,
    }
}

struct Writer<'c, 'b> {
    code: Vec<Instruction>,
    choices: &'c mut Choices<'b>,
    slots: Slots,
    /// Where the last jump leads to.
    joined: u32,
    /// Alternatives that are still open: each is a jump ahead, and the verifier takes only so many.
    alternatives: usize,
}

impl Writer<'_, '_> {
    /// The place of the next instruction.
    fn here(&self) -> u32 {
        u32::try_from(self.code.len()).unwrap_or(u32::MAX)
    }

    /// Leaves room for an instruction that is written later.
    fn reserve(&mut self) -> usize {
        self.code.push(Instruction::Boolean);
        self.code.len() - 1
    }

    /// A small number: there in the tables.
    fn number(&mut self) -> u32 {
        u32::from(self.choices.byte() % 8)
    }

    /// A clause; sometimes behind an alternative that settles it.
    fn clause(&mut self, clause: u32) {
        let wanted = self.choices.below(2) == 0;
        if self.alternatives < MAX_DEPTH && self.choices.once_in(4) {
            self.alternatives += 1;
            let (left, right) = (self.operand(), self.operand());
            let operator = self.operator();
            let place = self.reserve();
            self.clause(clause);
            let passed = self.here() - u32::try_from(place).unwrap_or(0) - 1;
            let then = Then::skip(wanted, passed).unwrap_or(Then::PUSH);
            self.code[place] = Instruction::Binary { operator, left, right, then };
            self.alternatives -= 1;
            return;
        }
        self.expression(MAX_DEPTH);
        // An operator can end the clause itself where nothing else leads to its end.
        let is_alone = self.joined != self.here() && self.choices.once_in(2);
        match (self.code.last_mut(), Then::end(wanted, clause)) {
            (Some(Instruction::Binary { then, .. }), Some(end)) if is_alone => *then = end,
            _ if wanted => self.code.push(Instruction::EndWhen(clause)),
            _ => self.code.push(Instruction::EndUnless(clause)),
        }
    }

    fn operator(&mut self) -> Binary {
        let all = Binary::ALL;
        let without_like: Vec<_> = all.into_iter().filter(|operator| *operator != Binary::Like).collect();
        self.choices.pick(&without_like)
    }

    /// An operand that is not on the stack.
    fn operand(&mut self) -> Operand {
        let number = self.number();
        let slot =
            |slots: u32, of: fn(u32) -> Option<Operand>| (slots > 0).then(|| of(number % slots)).flatten();
        let operand = match self.choices.below(6) {
            0 => slot(self.slots.principal, Operand::principal),
            1 => slot(self.slots.resource, Operand::resource),
            2 | 3 => slot(self.slots.context, Operand::context),
            _ => Operand::constant(number),
        };
        let variables = [Variable::Principal, Variable::Action, Variable::Resource, Variable::Context];
        operand.unwrap_or_else(|| Operand::variable(self.choices.pick(&variables)))
    }

    fn leaf(&mut self) {
        let operand = self.operand();
        let is_slot = !matches!(
            operand.place(),
            assent_evaluator::Place::Constant(_) | assent_evaluator::Place::Variable(_)
        );
        let leaf = match self.choices.below(12) {
            0 => Instruction::Fail,
            1 => Instruction::Constant(self.number()),
            2 | 3 if is_slot => Instruction::HasSlot(operand),
            _ => Instruction::Load(operand),
        };
        self.code.push(leaf);
    }

    fn expression(&mut self, depth: usize) {
        let kind = if depth == 0 { 0 } else { self.choices.below(12) };
        let depth = depth.saturating_sub(1);
        match kind {
            0 | 1 => self.leaf(),
            2..=4 => {
                self.expression(depth);
                let unary = self.unary();
                self.code.push(unary);
            }
            5..=8 => self.binary(depth),
            9 => {
                let jump: fn(u32) -> Instruction = self.choices.pick(&[Instruction::And, Instruction::Or]);
                self.expression(depth);
                let place = self.reserve();
                self.expression(depth);
                self.code[place] = jump(self.here());
                self.joined = self.here();
            }
            10 => self.choice(depth),
            _ => self.gather(depth),
        }
    }

    fn unary(&mut self) -> Instruction {
        let number = self.number();
        match self.choices.below(9) {
            0 => Instruction::Attribute(number),
            1 => Instruction::Has(number),
            2 => Instruction::HasPath(number),
            3 => Instruction::ToUnits(number + 1),
            4 => Instruction::Is(number % TYPES.len() as u32),
            5 => Instruction::Like(number),
            6 => Instruction::Boolean,
            _ => Instruction::Unary(self.choices.pick(&Unary::ALL)),
        }
    }

    fn binary(&mut self, depth: usize) {
        let (mut left, mut right) = (self.operand(), self.operand());
        if self.choices.once_in(2) {
            self.expression(depth);
            left = Operand::STACK;
        }
        if self.choices.once_in(8) {
            let pattern = Operand::pattern(self.number()).unwrap_or(Operand::STACK);
            let then = Then::PUSH;
            self.code.push(Instruction::Binary { operator: Binary::Like, left, right: pattern, then });
            return;
        }
        if self.choices.once_in(2) {
            self.expression(depth);
            right = Operand::STACK;
        }
        let operator = self.operator();
        self.code.push(Instruction::Binary { operator, left, right, then: Then::PUSH });
    }

    fn choice(&mut self, depth: usize) {
        self.expression(depth);
        let to_else = self.reserve();
        self.expression(depth);
        let to_end = self.reserve();
        self.code[to_else] = Instruction::Unless(self.here());
        self.expression(depth);
        self.code[to_end] = Instruction::Jump(self.here());
        self.joined = self.here();
    }

    /// A set of a few values, or a record of the names of a path: the tables' path `n` has `n` names.
    fn gather(&mut self, depth: usize) {
        let several = self.number() % 4;
        (0..several).for_each(|_| self.expression(depth));
        self.code.push(match self.choices.below(2) {
            0 => Instruction::SetOf(several),
            _ => Instruction::RecordOf(several),
        });
    }
}
