//! Instructions as rows: eight bytes, as the machine's.

use super::{Parts, place_of};
use crate::cursor::Row;
use assent_evaluator::{Binary, Instruction, Operand, Then, Unary};

/// Numbers of instructions; they are never reused.
pub(super) mod code {
    pub(in crate::rows) const LOAD: u8 = 0;
    pub(in crate::rows) const CONSTANT: u8 = 1;
    pub(in crate::rows) const ATTRIBUTE: u8 = 2;
    pub(in crate::rows) const HAS: u8 = 3;
    pub(in crate::rows) const HAS_PATH: u8 = 4;
    pub(in crate::rows) const HAS_SLOT: u8 = 5;
    pub(in crate::rows) const UNARY: u8 = 6;
    pub(in crate::rows) const TO_UNITS: u8 = 7;
    pub(in crate::rows) const IS: u8 = 8;
    pub(in crate::rows) const LIKE: u8 = 9;
    pub(in crate::rows) const BINARY: u8 = 10;
    pub(in crate::rows) const SET_OF: u8 = 11;
    pub(in crate::rows) const RECORD_OF: u8 = 12;
    pub(in crate::rows) const AND: u8 = 13;
    pub(in crate::rows) const OR: u8 = 14;
    pub(in crate::rows) const BOOLEAN: u8 = 15;
    pub(in crate::rows) const UNLESS: u8 = 16;
    pub(in crate::rows) const JUMP: u8 = 17;
    pub(in crate::rows) const FAIL: u8 = 18;
    pub(in crate::rows) const END_WHEN: u8 = 19;
    pub(in crate::rows) const END_UNLESS: u8 = 20;
}

/// Eight bytes as the machine's: what it is, an operator, and six bytes of numbers.
impl Row for Instruction {
    const BYTES: usize = 8;

    fn write(&self, to: &mut Vec<u8>) {
        let wide = |code, number: u32| {
            let [a, b, c, d] = number.to_le_bytes();
            [code, 0, 0, 0, a, b, c, d]
        };
        let bytes = match *self {
            Self::Load(operand) => wide(code::LOAD, u32::from(operand.bits())),
            Self::Constant(place) => wide(code::CONSTANT, place),
            Self::Attribute(name) => wide(code::ATTRIBUTE, name),
            Self::Has(name) => wide(code::HAS, name),
            Self::HasPath(path) => wide(code::HAS_PATH, path),
            Self::HasSlot(operand) => wide(code::HAS_SLOT, u32::from(operand.bits())),
            Self::Unary(operator) => wide(code::UNARY, u32::from(place_of(&Unary::ALL, &operator))),
            Self::ToUnits(unit) => wide(code::TO_UNITS, unit),
            Self::Is(number) => wide(code::IS, number),
            Self::Like(pattern) => wide(code::LIKE, pattern),
            Self::SetOf(length) => wide(code::SET_OF, length),
            Self::RecordOf(path) => wide(code::RECORD_OF, path),
            Self::And(target) => wide(code::AND, target),
            Self::Or(target) => wide(code::OR, target),
            Self::Boolean => wide(code::BOOLEAN, 0),
            Self::Unless(target) => wide(code::UNLESS, target),
            Self::Jump(target) => wide(code::JUMP, target),
            Self::Fail => wide(code::FAIL, 0),
            Self::EndWhen(clause) => wide(code::END_WHEN, clause),
            Self::EndUnless(clause) => wide(code::END_UNLESS, clause),
            Self::Binary { operator, left, right, then } => {
                let [a, b] = left.bits().to_le_bytes();
                let [c, d] = right.bits().to_le_bytes();
                let [e, f] = then.bits().to_le_bytes();
                [code::BINARY, place_of(&Binary::ALL, &operator), a, b, c, d, e, f]
            }
        };
        to.extend_from_slice(&bytes);
    }

    fn read(from: &[u8]) -> Option<Self> {
        let mut parts = Parts(from);
        let (kind, operator) = (parts.byte()?, parts.byte()?);
        if kind == code::BINARY {
            let (left, right, then) = (parts.short()?, parts.short()?, parts.short()?);
            let instruction = Self::Binary {
                operator: *Binary::ALL.get(usize::from(operator))?,
                left: Operand::from_bits(left)?,
                right: Operand::from_bits(right)?,
                then: Then::from_bits(then)?,
            };
            return parts.end(instruction);
        }
        let (unused, number) = (parts.short()?, parts.number()?);
        let operand = || u16::try_from(number).ok().and_then(Operand::from_bits);
        let plain = |instruction| (number == 0).then_some(instruction);
        let instruction = match kind {
            code::LOAD => Self::Load(operand()?),
            code::CONSTANT => Self::Constant(number),
            code::ATTRIBUTE => Self::Attribute(number),
            code::HAS => Self::Has(number),
            code::HAS_PATH => Self::HasPath(number),
            code::HAS_SLOT => Self::HasSlot(operand()?),
            code::UNARY => Self::Unary(*Unary::ALL.get(usize::try_from(number).ok()?)?),
            code::TO_UNITS => Self::ToUnits(number),
            code::IS => Self::Is(number),
            code::LIKE => Self::Like(number),
            code::SET_OF => Self::SetOf(number),
            code::RECORD_OF => Self::RecordOf(number),
            code::AND => Self::And(number),
            code::OR => Self::Or(number),
            code::BOOLEAN => plain(Self::Boolean)?,
            code::UNLESS => Self::Unless(number),
            code::JUMP => Self::Jump(number),
            code::FAIL => plain(Self::Fail)?,
            code::END_WHEN => Self::EndWhen(number),
            code::END_UNLESS => Self::EndUnless(number),
            _ => return None,
        };
        (operator == 0 && unused == 0).then_some(instruction).and_then(|instruction| parts.end(instruction))
    }
}
