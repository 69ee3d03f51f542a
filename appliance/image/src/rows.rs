//! Rows: each type of the evaluator's tables, to bytes and back.
//!
//! The rule it keeps: whatever [`Row::read`] takes, [`Row::write`] writes again to the same bytes. A number that stands
//! for a kind and is none of the known ones is refused; what a number leads to is the verifier's to ask.

use crate::cursor::Row;
use assent_evaluator::{
    ActionRow, Address, Attribute, Binary, Effect, EntityRow, FactNames, Field, Instruction, Literal,
    Operand, PolicyRow, Priority, ProgramRow, Range, Shape, Tag, Terms, Then, TypeRow, Unary, Value,
};

/// Reads the parts of a row one after the other.
struct Parts<'b>(&'b [u8]);

impl Parts<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take::<1>().map(|[byte]| byte)
    }

    fn flag(&mut self) -> Option<bool> {
        match self.byte()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    fn short(&mut self) -> Option<u16> {
        self.take().map(u16::from_le_bytes)
    }

    fn number(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }

    fn long(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }

    fn range(&mut self) -> Option<Range> {
        Some(Range { start: self.number()?, length: self.number()? })
    }

    fn end<T>(&self, row: T) -> Option<T> {
        self.0.is_empty().then_some(row)
    }
}

fn put_range(range: Range, to: &mut Vec<u8>) {
    range.start.write(to);
    range.length.write(to);
}

impl Row for u32 {
    const BYTES: usize = 4;

    fn write(&self, to: &mut Vec<u8>) {
        to.extend_from_slice(&self.to_le_bytes());
    }

    fn read(from: &[u8]) -> Option<Self> {
        Parts(from).number()
    }
}

impl Row for u64 {
    const BYTES: usize = 8;

    fn write(&self, to: &mut Vec<u8>) {
        to.extend_from_slice(&self.to_le_bytes());
    }

    fn read(from: &[u8]) -> Option<Self> {
        Parts(from).long()
    }
}

impl Row for Range {
    const BYTES: usize = 8;

    fn write(&self, to: &mut Vec<u8>) {
        put_range(*self, to);
    }

    fn read(from: &[u8]) -> Option<Self> {
        Parts(from).range()
    }
}

impl Row for Value {
    const BYTES: usize = 16;

    fn write(&self, to: &mut Vec<u8>) {
        for word in self.words() {
            word.write(to);
        }
    }

    fn read(from: &[u8]) -> Option<Self> {
        let mut parts = Parts(from);
        let value = Self::from_words([parts.long()?, parts.long()?])?;
        parts.end(value)
    }
}

impl Row for Field {
    const BYTES: usize = 4 + Value::BYTES;

    fn write(&self, to: &mut Vec<u8>) {
        self.name.write(to);
        self.value.write(to);
    }

    fn read(from: &[u8]) -> Option<Self> {
        let (name, value) = from.split_at_checked(4)?;
        Some(Self { name: u32::read(name)?, value: Value::read(value)? })
    }
}

impl Row for Tag {
    const BYTES: usize = Range::BYTES + Value::BYTES;

    fn write(&self, to: &mut Vec<u8>) {
        put_range(self.key, to);
        self.value.write(to);
    }

    fn read(from: &[u8]) -> Option<Self> {
        let (key, value) = from.split_at_checked(Range::BYTES)?;
        Some(Self { key: Range::read(key)?, value: Value::read(value)? })
    }
}

impl Row for Address {
    const BYTES: usize = 18;

    fn write(&self, to: &mut Vec<u8>) {
        to.push(if self.is_v6() { 6 } else { 4 });
        to.push(self.prefix());
        to.extend_from_slice(&self.bits().to_be_bytes());
    }

    fn read(from: &[u8]) -> Option<Self> {
        let mut parts = Parts(from);
        let (version, prefix, octets) = (parts.byte()?, parts.byte()?, parts.take::<16>()?);
        parts.end(match (version, octets) {
            (6, octets) => Self::v6(octets, prefix)?,
            (4, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, a, b, c, d]) => Self::v4([a, b, c, d], prefix)?,
            _ => return None,
        })
    }
}

/// Numbers of instructions; they are never reused.
mod code {
    pub(super) const LOAD: u8 = 0;
    pub(super) const CONSTANT: u8 = 1;
    pub(super) const ATTRIBUTE: u8 = 2;
    pub(super) const HAS: u8 = 3;
    pub(super) const HAS_PATH: u8 = 4;
    pub(super) const HAS_SLOT: u8 = 5;
    pub(super) const UNARY: u8 = 6;
    pub(super) const TO_UNITS: u8 = 7;
    pub(super) const IS: u8 = 8;
    pub(super) const LIKE: u8 = 9;
    pub(super) const BINARY: u8 = 10;
    pub(super) const SET_OF: u8 = 11;
    pub(super) const RECORD_OF: u8 = 12;
    pub(super) const AND: u8 = 13;
    pub(super) const OR: u8 = 14;
    pub(super) const BOOLEAN: u8 = 15;
    pub(super) const UNLESS: u8 = 16;
    pub(super) const JUMP: u8 = 17;
    pub(super) const FAIL: u8 = 18;
    pub(super) const END_WHEN: u8 = 19;
    pub(super) const END_UNLESS: u8 = 20;
}

/// A number that stands for one of a list.
fn place_of<T: PartialEq>(all: &[T], wanted: &T) -> u8 {
    let place = all.iter().position(|known| known == wanted);
    place.and_then(|place| u8::try_from(place).ok()).unwrap_or(u8::MAX)
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

impl Row for PolicyRow {
    const BYTES: usize = 1 + 8 + Range::BYTES;

    fn write(&self, to: &mut Vec<u8>) {
        let (kind, score) = match self.effect {
            Effect::Permit => (0, 0),
            Effect::Forbid => (1, 0),
            Effect::Score(score) => (2, score),
        };
        to.push(kind);
        score.cast_unsigned().write(to);
        put_range(self.code, to);
    }

    fn read(from: &[u8]) -> Option<Self> {
        let mut parts = Parts(from);
        let effect = match (parts.byte()?, parts.long()?) {
            (0, 0) => Effect::Permit,
            (1, 0) => Effect::Forbid,
            (2, score) => Effect::Score(score.cast_signed()),
            _ => return None,
        };
        let row = Self { effect, code: parts.range()? };
        parts.end(row)
    }
}

impl Row for ProgramRow {
    const BYTES: usize = Range::BYTES + 12;

    fn write(&self, to: &mut Vec<u8>) {
        put_range(self.code, to);
        for slots in [self.principal_slots, self.resource_slots, self.context_slots] {
            slots.write(to);
        }
    }

    fn read(from: &[u8]) -> Option<Self> {
        let mut parts = Parts(from);
        let row = Self {
            code: parts.range()?,
            principal_slots: parts.number()?,
            resource_slots: parts.number()?,
            context_slots: parts.number()?,
        };
        parts.end(row)
    }
}

impl Row for TypeRow {
    const BYTES: usize = 1 + Range::BYTES;

    fn write(&self, to: &mut Vec<u8>) {
        to.push(u8::from(self.is_transient));
        put_range(self.attributes, to);
    }

    fn read(from: &[u8]) -> Option<Self> {
        let mut parts = Parts(from);
        let row = Self { is_transient: parts.flag()?, attributes: parts.range()? };
        parts.end(row)
    }
}

impl Row for Shape {
    const BYTES: usize = 1 + Range::BYTES;

    fn write(&self, to: &mut Vec<u8>) {
        let alone = |start| Range { start, length: 0 };
        let (kind, range) = match *self {
            Self::Bool => (0, Range::default()),
            Self::Long => (1, Range::default()),
            Self::String => (2, Range::default()),
            Self::Decimal => (3, Range::default()),
            Self::Datetime => (4, Range::default()),
            Self::Duration => (5, Range::default()),
            Self::Ip => (6, Range::default()),
            Self::Entity(number) => (7, alone(number)),
            Self::Set(element) => (8, alone(element)),
            Self::Record(attributes) => (9, attributes),
        };
        to.push(kind);
        put_range(range, to);
    }

    fn read(from: &[u8]) -> Option<Self> {
        let mut parts = Parts(from);
        let (kind, range) = (parts.byte()?, parts.range()?);
        let shape = match (kind, range) {
            (9, attributes) => Self::Record(attributes),
            (7, Range { start, length: 0 }) => Self::Entity(start),
            (8, Range { start, length: 0 }) => Self::Set(start),
            (plain, Range { start: 0, length: 0 }) => match plain {
                0 => Self::Bool,
                1 => Self::Long,
                2 => Self::String,
                3 => Self::Decimal,
                4 => Self::Datetime,
                5 => Self::Duration,
                6 => Self::Ip,
                _ => return None,
            },
            _ => return None,
        };
        parts.end(shape)
    }
}

impl Row for Attribute {
    const BYTES: usize = 9;

    fn write(&self, to: &mut Vec<u8>) {
        self.name.write(to);
        self.shape.write(to);
        to.push(u8::from(self.is_required));
    }

    fn read(from: &[u8]) -> Option<Self> {
        let mut parts = Parts(from);
        let row = Self { name: parts.number()?, shape: parts.number()?, is_required: parts.flag()? };
        parts.end(row)
    }
}

const PRIORITIES: [Priority; 4] = [Priority::Low, Priority::Normal, Priority::High, Priority::Critical];

impl Row for Terms {
    const BYTES: usize = 8 + 8 + 4 + 1 + 1 + 1 + 8;

    fn write(&self, to: &mut Vec<u8>) {
        self.risk.cast_unsigned().write(to);
        self.window_ms.write(to);
        self.uses.write(to);
        to.push(place_of(&PRIORITIES, &self.priority));
        to.push(u8::from(self.break_glass));
        to.push(u8::from(self.queue_ms.is_some()));
        self.queue_ms.unwrap_or(0).write(to);
    }

    fn read(from: &[u8]) -> Option<Self> {
        let mut parts = Parts(from);
        let terms = Self {
            risk: parts.long()?.cast_signed(),
            window_ms: parts.long()?,
            uses: parts.number()?,
            priority: *PRIORITIES.get(usize::from(parts.byte()?))?,
            break_glass: parts.flag()?,
            queue_ms: match (parts.flag()?, parts.long()?) {
                (false, 0) => None,
                (true, queue_ms) => Some(queue_ms),
                (false, _) => return None,
            },
        };
        parts.end(terms)
    }
}

impl Row for ActionRow {
    const BYTES: usize = 2 * Range::BYTES + 4 + 4 + 1 + Terms::BYTES;

    fn write(&self, to: &mut Vec<u8>) {
        put_range(self.principals, to);
        put_range(self.resources, to);
        self.context.write(to);
        self.environments.write(to);
        to.push(u8::from(self.is_asserted));
        self.terms.write(to);
    }

    fn read(from: &[u8]) -> Option<Self> {
        let (head, terms) = from.split_at_checked(Self::BYTES - Terms::BYTES)?;
        let mut parts = Parts(head);
        let row = Self {
            principals: parts.range()?,
            resources: parts.range()?,
            context: parts.number()?,
            environments: parts.number()?,
            is_asserted: parts.flag()?,
            terms: Terms::read(terms)?,
        };
        parts.end(row)
    }
}

impl Row for Literal {
    const BYTES: usize = 4 + Range::BYTES;

    fn write(&self, to: &mut Vec<u8>) {
        self.type_number.write(to);
        put_range(self.id, to);
    }

    fn read(from: &[u8]) -> Option<Self> {
        let mut parts = Parts(from);
        let row = Self { type_number: parts.number()?, id: parts.range()? };
        parts.end(row)
    }
}

impl Row for FactNames {
    const BYTES: usize = 7 * 4;

    fn write(&self, to: &mut Vec<u8>) {
        let Self { assent, now, risk, approvals, degraded, agent_rate, epoch } = *self;
        for name in [assent, now, risk, approvals, degraded, agent_rate, epoch] {
            name.write(to);
        }
    }

    fn read(from: &[u8]) -> Option<Self> {
        let mut parts = Parts(from);
        let row = Self {
            assent: parts.number()?,
            now: parts.number()?,
            risk: parts.number()?,
            approvals: parts.number()?,
            degraded: parts.number()?,
            agent_rate: parts.number()?,
            epoch: parts.number()?,
        };
        parts.end(row)
    }
}

impl Row for EntityRow {
    const BYTES: usize = 4 + 5 * Range::BYTES + 1 + 4;

    fn write(&self, to: &mut Vec<u8>) {
        self.type_number.write(to);
        for range in [self.id, self.attributes, self.tags, self.ancestors, self.anchors] {
            put_range(range, to);
        }
        to.push(u8::from(self.is_present));
        self.anchor.write(to);
    }

    fn read(from: &[u8]) -> Option<Self> {
        let mut parts = Parts(from);
        let row = Self {
            type_number: parts.number()?,
            id: parts.range()?,
            attributes: parts.range()?,
            tags: parts.range()?,
            ancestors: parts.range()?,
            anchors: parts.range()?,
            is_present: parts.flag()?,
            anchor: parts.number()?,
        };
        parts.end(row)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use proptest::strategy::ValueTree;

    /// Whatever is read is written again to the same bytes, and what is shorter or longer is no row.
    fn is_one_encoding<T: Row>(bytes: &[u8; 64], read: &mut usize) {
        let bytes = &bytes[..T::BYTES];
        if let Some(row) = T::read(bytes) {
            let mut written = Vec::new();
            row.write(&mut written);
            assert_eq!(written, bytes);
            *read += 1;
        }
        assert!(T::read(&bytes[..T::BYTES - 1]).is_none());
    }

    /// Bytes that are often a row: mostly small ones.
    fn bytes() -> impl Strategy<Value = [u8; 64]> {
        let byte = prop_oneof![6 => Just(0_u8), 3 => 0..24_u8, 1 => any::<u8>()];
        proptest::collection::vec(byte, 64).prop_map(|bytes| bytes.try_into().unwrap_or([0; 64]))
    }

    #[test]
    fn every_row_has_one_encoding() {
        let mut read = [0; 19];
        let mut runner = proptest::test_runner::TestRunner::deterministic();
        for _ in 0..20_000 {
            let bytes = bytes().new_tree(&mut runner).unwrap().current();
            let [
                number,
                word,
                range,
                value,
                field,
                tag,
                address,
                instruction,
                policy,
                program,
                kind,
                shape,
                attribute,
                terms,
                action,
                literal,
                facts,
                entity,
                all,
            ] = &mut read;
            is_one_encoding::<u32>(&bytes, number);
            is_one_encoding::<u64>(&bytes, word);
            is_one_encoding::<Range>(&bytes, range);
            is_one_encoding::<Value>(&bytes, value);
            is_one_encoding::<Field>(&bytes, field);
            is_one_encoding::<Tag>(&bytes, tag);
            is_one_encoding::<Address>(&bytes, address);
            is_one_encoding::<Instruction>(&bytes, instruction);
            is_one_encoding::<PolicyRow>(&bytes, policy);
            is_one_encoding::<ProgramRow>(&bytes, program);
            is_one_encoding::<TypeRow>(&bytes, kind);
            is_one_encoding::<Shape>(&bytes, shape);
            is_one_encoding::<Attribute>(&bytes, attribute);
            is_one_encoding::<Terms>(&bytes, terms);
            is_one_encoding::<ActionRow>(&bytes, action);
            is_one_encoding::<Literal>(&bytes, literal);
            is_one_encoding::<FactNames>(&bytes, facts);
            is_one_encoding::<EntityRow>(&bytes, entity);
            *all += 1;
        }
        assert!(read.iter().all(|count| *count > 0), "{read:?}");
    }

    #[test]
    fn what_nothing_writes_is_no_row() {
        let no_value = [[0_u64, 2], [1 << 8, 0], [5, 1 << 32], [6 | 4 << 8, 0], [10, 1], [11, 0]];
        for words in no_value {
            let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
            assert!(Value::read(&bytes).is_none(), "{words:?}");
        }
        let binary = |operator, then: u16| {
            let [e, f] = then.to_le_bytes();
            [code::BINARY, operator, 0, 0, 0, 0, e, f]
        };
        assert!(Instruction::read(&binary(22, 0)).is_some() && Instruction::read(&binary(23, 0)).is_none());
        assert!(Instruction::read(&binary(0, 5 << 13)).is_none());
        assert!(Instruction::read(&[code::FAIL, 0, 0, 0, 1, 0, 0, 0]).is_none());
        assert!(Instruction::read(&[21, 0, 0, 0, 0, 0, 0, 0]).is_none());
    }
}
