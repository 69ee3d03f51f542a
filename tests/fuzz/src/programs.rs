//! Programs: instructions out of bytes, mostly such as the verifier takes, and sometimes any.
//!
//! Types are left to chance: the machine must meet a value of every type at every operator.

use crate::choices::Choices;
use crate::tables::TYPES;
use assent_evaluator::{Instruction, MAX_SCRATCH};

/// Deepest nesting; the stack has room for more.
const MAX_DEPTH: usize = 4;

const LEAVES: &[fn(u32) -> Instruction] = &[
    Instruction::Constant,
    Instruction::Constant,
    |_| Instruction::Principal,
    |_| Instruction::Action,
    |_| Instruction::Resource,
    |_| Instruction::Context,
    Instruction::PrincipalAttribute,
    Instruction::ResourceAttribute,
    Instruction::ContextAttribute,
    Instruction::ContextAttribute,
    |_| Instruction::Fail,
];

const UNARY: &[fn(u32) -> Instruction] = &[
    Instruction::Attribute,
    Instruction::Has,
    Instruction::HasPath,
    |_| Instruction::Not,
    |_| Instruction::Negate,
    |_| Instruction::IsEmpty,
    |_| Instruction::IsIpv4,
    |_| Instruction::IsIpv6,
    |_| Instruction::IsLoopback,
    |_| Instruction::IsMulticast,
    |_| Instruction::ToDate,
    |_| Instruction::ToTime,
    Instruction::ToUnits,
    Instruction::Is,
    Instruction::Like,
    |_| Instruction::Boolean,
];

const BINARY: &[Instruction] = &[
    Instruction::Equal,
    Instruction::NotEqual,
    Instruction::Less,
    Instruction::LessEqual,
    Instruction::Greater,
    Instruction::GreaterEqual,
    Instruction::Add,
    Instruction::Subtract,
    Instruction::Multiply,
    Instruction::In,
    Instruction::Contains,
    Instruction::ContainsAll,
    Instruction::ContainsAny,
    Instruction::HasTag,
    Instruction::GetTag,
    Instruction::IsInRange,
    Instruction::Offset,
    Instruction::DurationSince,
    Instruction::DecimalLess,
    Instruction::DecimalLessEqual,
    Instruction::DecimalGreater,
    Instruction::DecimalGreaterEqual,
];

/// Instructions that jump, gather or end a clause.
const OTHERS: &[fn(u32) -> Instruction] = &[
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
    let (kind, operand) = (choices.below(4), choices.number());
    match kind {
        0 => choices.pick(LEAVES)(operand),
        1 => choices.pick(UNARY)(operand),
        2 => choices.pick(BINARY),
        _ => choices.pick(OTHERS)(operand),
    }
}

/// A program of a few clauses, and whether the verifier must take it.
pub fn program(choices: &mut Choices<'_>) -> (Vec<Instruction>, bool) {
    let mut code = Vec::new();
    if choices.once_in(16) {
        return ((0..choices.below(24)).map(|_| any(choices)).collect(), false);
    }
    for clause in 0..choices.below(4) {
        let number = u32::try_from(clause).unwrap_or(0);
        expression(&mut code, choices, MAX_DEPTH);
        code.push(match choices.below(2) {
            0 => Instruction::EndWhen(number),
            _ => Instruction::EndUnless(number),
        });
    }
    let gathered: u32 = code.iter().map(gathers).sum();
    (code, gathered as usize <= MAX_SCRATCH)
}

/// Values that an instruction gathers.
const fn gathers(instruction: &Instruction) -> u32 {
    match instruction {
        Instruction::SetOf(several) | Instruction::RecordOf(several) => *several,
        _ => 0,
    }
}

/// The place of the next instruction.
fn here(code: &[Instruction]) -> u32 {
    u32::try_from(code.len()).unwrap_or(u32::MAX)
}

/// Small operands: there in the tables.
fn operand(choices: &mut Choices<'_>) -> u32 {
    u32::from(choices.byte() % 8)
}

fn expression(code: &mut Vec<Instruction>, choices: &mut Choices<'_>, depth: usize) {
    let kind = if depth == 0 { 0 } else { choices.below(12) };
    let depth = depth.saturating_sub(1);
    match kind {
        0..=3 => {
            let leaf = choices.pick(LEAVES);
            code.push(leaf(operand(choices)));
        }
        4 | 5 => {
            expression(code, choices, depth);
            let unary = choices.pick(UNARY);
            code.push(match unary(operand(choices)) {
                Instruction::Is(number) => Instruction::Is(number % TYPES.len() as u32),
                Instruction::ToUnits(unit) => Instruction::ToUnits(unit + 1),
                other => other,
            });
        }
        6..=8 => {
            expression(code, choices, depth);
            expression(code, choices, depth);
            code.push(choices.pick(BINARY));
        }
        9 => {
            let jump: fn(u32) -> Instruction = choices.pick(&[Instruction::And, Instruction::Or]);
            expression(code, choices, depth);
            let place = code.len();
            code.push(Instruction::Boolean);
            expression(code, choices, depth);
            code[place] = jump(here(code));
        }
        10 => choice(code, choices, depth),
        _ => gather(code, choices, depth),
    }
}

fn choice(code: &mut Vec<Instruction>, choices: &mut Choices<'_>, depth: usize) {
    expression(code, choices, depth);
    let to_else = code.len();
    code.push(Instruction::Boolean);
    expression(code, choices, depth);
    let to_end = code.len();
    code.push(Instruction::Boolean);
    code[to_else] = Instruction::Unless(here(code));
    expression(code, choices, depth);
    code[to_end] = Instruction::Jump(here(code));
}

/// A set of a few values, or a record of the names of a path: the tables' path `n` has `n` names.
fn gather(code: &mut Vec<Instruction>, choices: &mut Choices<'_>, depth: usize) {
    let several = operand(choices) % 4;
    (0..several).for_each(|_| expression(code, choices, depth));
    code.push(match choices.below(2) {
        0 => Instruction::SetOf(several),
        _ => Instruction::RecordOf(several),
    });
}
