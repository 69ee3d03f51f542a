//! The context of an intent: a record of Cedar values in one canonical encoding.
//!
//! Encoding: postcard's, of `enum Value { Bool, Long, String, Entity, Set, Record, Decimal, Ip, Datetime, Duration }` in
//! that order; a context is a `Record` without its tag. Canonical means: keys of a record strictly ascending by their
//! bytes, elements of a set strictly ascending by their encodings. So equal contexts have equal bytes and equal digests.
//!
//! A [`Context`] tells that its bytes are canonical and within the limits. It does not tell that they fit any catalog.

use crate::codec::{CodecError, Cursor};
use crate::intent::Uid;
use crate::limits::{MAX_CONTEXT_DEPTH, MAX_CONTEXT_VALUES, MAX_NAME_BYTES, MAX_STRING_BYTES};

/// Tags of the values, which are also postcard's variant numbers.
pub mod tag {
    /// True or false.
    pub const BOOL: u8 = 0;
    /// A 64-bit signed integer.
    pub const LONG: u8 = 1;
    /// A UTF-8 string.
    pub const STRING: u8 = 2;
    /// An entity: type name and id.
    pub const ENTITY: u8 = 3;
    /// A set, elements ascending.
    pub const SET: u8 = 4;
    /// A record, keys ascending.
    pub const RECORD: u8 = 5;
    /// Cedar's decimal: a 64-bit signed number of ten-thousandths.
    pub const DECIMAL: u8 = 6;
    /// Cedar's ipaddr: family 4 or 6, the address's bytes, the prefix length.
    pub const IP: u8 = 7;
    /// Cedar's datetime: signed milliseconds since 1970.
    pub const DATETIME: u8 = 8;
    /// Cedar's duration: signed milliseconds.
    pub const DURATION: u8 = 9;
}

/// An address with the prefix it was written with; the address is not masked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ip {
    /// An IPv4 address and a prefix of at most 32 bits.
    V4([u8; 4], u8),
    /// An IPv6 address and a prefix of at most 128 bits.
    V6([u8; 16], u8),
}

/// One step of the walk through a context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A boolean.
    Bool(bool),
    /// An integer.
    Long(i64),
    /// A string.
    String(&'a str),
    /// An entity.
    Entity(Uid<'a>),
    /// A decimal, in ten-thousandths.
    Decimal(i64),
    /// An address.
    Ip(Ip),
    /// A point in time, in milliseconds since 1970.
    Datetime(i64),
    /// A span of time, in milliseconds.
    Duration(i64),
    /// A set of so many elements begins; `End` closes it.
    Set(usize),
    /// A record of so many attributes begins; `End` closes it.
    Record(usize),
    /// The key of the attribute whose value comes next.
    Key(&'a str),
    /// The innermost set or record ends.
    End,
}

/// A context in canonical bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Context<'a> {
    bytes: &'a [u8],
}

impl<'a> Context<'a> {
    /// Reads a context from the front of `cursor`, which is left behind it.
    ///
    /// # Errors
    /// Whatever makes the bytes not one canonical context within the limits.
    pub fn read(cursor: &mut Cursor<'a>) -> Result<Self, CodecError> {
        let end = Checker::default().check(*cursor)?;
        let taken = cursor.rest().len().saturating_sub(end.len());
        Ok(Self { bytes: cursor.take(taken)? })
    }

    /// The canonical bytes.
    #[must_use]
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The walk through the context: it begins with its `Record` and ends with that record's `End`.
    #[must_use]
    pub fn events(&self) -> Events<'a> {
        Events::new(Cursor::over_text(self.bytes))
    }
}

impl core::fmt::Debug for Context<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Context({} bytes)", self.bytes.len())
    }
}

/// A set or record that has begun and not ended.
#[derive(Clone, Copy, Debug)]
struct Open {
    remaining: usize,
    record: bool,
    key_is_next: bool,
}

/// The walk through encoded bytes, one event at a time. Bounded: it stops with an error at any limit.
#[derive(Debug)]
pub struct Events<'a> {
    cursor: Cursor<'a>,
    open: heapless::Vec<Open, MAX_CONTEXT_DEPTH>,
    values: usize,
    state: State,
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    AtStart,
    Within,
    Done,
}

impl<'a> Events<'a> {
    const fn new(cursor: Cursor<'a>) -> Self {
        Self { cursor, open: heapless::Vec::new(), values: 0, state: State::AtStart }
    }

    fn step(&mut self) -> Result<Event<'a>, CodecError> {
        let Some(innermost) = self.open.last_mut() else {
            self.state = State::Within;
            return self.begin(true);
        };
        if innermost.key_is_next {
            innermost.key_is_next = false;
            return self.cursor.string(MAX_NAME_BYTES).map(Event::Key);
        }
        let Some(remaining) = innermost.remaining.checked_sub(1) else {
            self.open.pop();
            if self.open.is_empty() {
                self.state = State::Done;
            }
            return Ok(Event::End);
        };
        innermost.remaining = remaining;
        innermost.key_is_next = innermost.record && remaining > 0;
        self.value()
    }

    fn value(&mut self) -> Result<Event<'a>, CodecError> {
        self.values = self.values.saturating_add(1);
        if self.values > MAX_CONTEXT_VALUES {
            return Err(CodecError::TooLong);
        }
        let cursor = &mut self.cursor;
        Ok(match cursor.byte()? {
            tag::BOOL => Event::Bool(cursor.boolean()?),
            tag::LONG => Event::Long(cursor.signed()?),
            tag::STRING => Event::String(cursor.string(MAX_STRING_BYTES)?),
            tag::ENTITY => Event::Entity(Uid::read(cursor)?),
            tag::SET => return self.begin(false),
            tag::RECORD => return self.begin(true),
            tag::DECIMAL => Event::Decimal(cursor.signed()?),
            tag::IP => Event::Ip(read_ip(cursor)?),
            tag::DATETIME => Event::Datetime(cursor.signed()?),
            tag::DURATION => Event::Duration(cursor.signed()?),
            _ => return Err(CodecError::Malformed),
        })
    }

    fn begin(&mut self, record: bool) -> Result<Event<'a>, CodecError> {
        let count = self.cursor.count(MAX_CONTEXT_VALUES)?;
        let open = Open { remaining: count, record, key_is_next: record && count > 0 };
        self.open.push(open).map_err(|_| CodecError::TooLong)?;
        Ok(if record { Event::Record(count) } else { Event::Set(count) })
    }
}

impl<'a> Iterator for Events<'a> {
    type Item = Result<Event<'a>, CodecError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.state == State::Done {
            return None;
        }
        let event = self.step();
        if event.is_err() {
            self.state = State::Done;
        }
        Some(event)
    }
}

fn read_ip(cursor: &mut Cursor<'_>) -> Result<Ip, CodecError> {
    let ip = match cursor.byte()? {
        4 => Ip::V4(cursor.array()?, cursor.byte()?),
        6 => Ip::V6(cursor.array()?, cursor.byte()?),
        _ => return Err(CodecError::Malformed),
    };
    let fits = match ip {
        Ip::V4(_, prefix) => prefix <= 32,
        Ip::V6(_, prefix) => prefix <= 128,
    };
    if fits { Ok(ip) } else { Err(CodecError::Malformed) }
}

/// What came last in an open set or record, to compare the next with.
#[derive(Clone, Copy, Debug, Default)]
struct Last<'a> {
    /// The last key, or the encoding of the last element.
    bytes: Option<&'a [u8]>,
    /// Where the element that is being read begins, while it is being read.
    begins: &'a [u8],
}

/// Checks the order within sets and records over the walk.
#[derive(Debug, Default)]
struct Checker<'a> {
    last: heapless::Vec<Last<'a>, MAX_CONTEXT_DEPTH>,
}

impl<'a> Checker<'a> {
    /// Returns what follows the context.
    fn check(mut self, cursor: Cursor<'a>) -> Result<&'a [u8], CodecError> {
        let mut events = Events::new(cursor);
        let mut before = cursor.rest();
        while let Some(event) = events.next() {
            let in_set = events.open.last().is_some_and(|open| !open.record);
            let after = events.cursor.rest();
            match event? {
                Event::Key(key) => self.ascend(key.as_bytes())?,
                Event::Record(_) | Event::Set(_) => {
                    if let Some(parent) = self.last.last_mut() {
                        parent.begins = before;
                    }
                    self.last.push(Last::default()).map_err(|_| CodecError::TooLong)?;
                }
                Event::End => {
                    self.last.pop();
                    if let Some(parent) = self.last.last().filter(|_| in_set) {
                        self.ascend(between(parent.begins, after))?;
                    }
                }
                Event::Bool(_)
                | Event::Long(_)
                | Event::String(_)
                | Event::Entity(_)
                | Event::Decimal(_)
                | Event::Ip(_)
                | Event::Datetime(_)
                | Event::Duration(_) => {
                    if in_set {
                        self.ascend(between(before, after))?;
                    }
                }
            }
            before = after;
        }
        Ok(before)
    }

    /// `next` must be greater than what came last in the innermost set or record.
    fn ascend(&mut self, next: &'a [u8]) -> Result<(), CodecError> {
        let last = self.last.last_mut().ok_or(CodecError::Malformed)?;
        if last.bytes.is_some_and(|last| last >= next) {
            return Err(CodecError::NotCanonical);
        }
        last.bytes = Some(next);
        Ok(())
    }
}

/// The bytes from where `start` begins to where `end`, its tail, begins.
fn between<'a>(start: &'a [u8], end: &'a [u8]) -> &'a [u8] {
    let length = start.len().saturating_sub(end.len());
    start.get(..length).unwrap_or(start)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: &[u8]) -> Result<usize, CodecError> {
        Context::read(&mut Cursor::new(bytes)).map(|context| context.bytes().len())
    }

    #[test]
    fn empty_record_is_a_context() {
        assert_eq!(check(&[0]), Ok(1));
    }

    #[test]
    fn keys_must_ascend() {
        let a_then_b = [2, 1, b'a', tag::BOOL, 1, 1, b'b', tag::BOOL, 0];
        let b_then_a = [2, 1, b'b', tag::BOOL, 1, 1, b'a', tag::BOOL, 0];
        let a_twice = [2, 1, b'a', tag::BOOL, 1, 1, b'a', tag::BOOL, 0];
        assert_eq!(check(&a_then_b), Ok(a_then_b.len()));
        assert_eq!(check(&b_then_a), Err(CodecError::NotCanonical));
        assert_eq!(check(&a_twice), Err(CodecError::NotCanonical));
    }

    #[test]
    fn elements_of_a_set_must_ascend_nested_sets_too() {
        let good = [1, 1, b'k', tag::SET, 2, tag::LONG, 2, tag::LONG, 4];
        let bad = [1, 1, b'k', tag::SET, 2, tag::LONG, 4, tag::LONG, 2];
        assert_eq!(check(&good), Ok(good.len()));
        assert_eq!(check(&bad), Err(CodecError::NotCanonical));

        let nested = |first: u8, second: u8| {
            [1, 1, b'k', tag::SET, 2, tag::SET, 1, tag::LONG, first, tag::SET, 1, tag::LONG, second]
        };
        assert_eq!(check(&nested(2, 4)), Ok(13));
        assert_eq!(check(&nested(4, 2)), Err(CodecError::NotCanonical));
        assert_eq!(check(&nested(2, 2)), Err(CodecError::NotCanonical));
    }

    #[test]
    fn depth_is_limited() {
        let mut bytes = [0; 64];
        bytes[0] = 1;
        bytes[1] = 1;
        bytes[2] = b'k';
        for level in 0..MAX_CONTEXT_DEPTH {
            bytes[3 + 2 * level] = tag::SET;
            bytes[4 + 2 * level] = 1;
        }
        assert_eq!(check(&bytes), Err(CodecError::TooLong));
    }

    #[test]
    fn events_come_in_the_order_of_the_bytes() {
        let bytes = [1, 1, b'k', tag::SET, 1, tag::STRING, 1, b'x'];
        let context = Context::read(&mut Cursor::new(&bytes)).unwrap();
        let mut events = context.events();
        for expected in
            [Event::Record(1), Event::Key("k"), Event::Set(1), Event::String("x"), Event::End, Event::End]
        {
            assert_eq!(events.next(), Some(Ok(expected)));
        }
        assert_eq!(events.next(), None);
    }
}
