//! Rows: each type of the evaluator's tables, to bytes and back.
//!
//! The rule it keeps: whatever [`Row::read`] takes, [`Row::write`] writes again to the same bytes. A number that stands
//! for a kind and is none of the known ones is refused; what a number leads to is the verifier's to ask.

mod catalog;
mod instruction;
#[cfg(test)]
mod tests;

use crate::cursor::Row;
use assent_evaluator::{
    Address, Effect, EntityRow, Field, Literal, PolicyRow, ProgramRow, Range, Tag, Value,
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

/// A number that stands for one of a list.
fn place_of<T: PartialEq>(all: &[T], wanted: &T) -> u8 {
    let place = all.iter().position(|known| known == wanted);
    place.and_then(|place| u8::try_from(place).ok()).unwrap_or(u8::MAX)
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
