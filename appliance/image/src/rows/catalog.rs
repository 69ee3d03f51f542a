//! The catalog's rows: types, shapes, actions with their terms, and the names of facts.

use super::{Parts, place_of, put_range};
use crate::cursor::Row;
use assent_evaluator::{ActionRow, Attribute, FactNames, Priority, Range, Shape, Terms, TypeRow};

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
