//! Values: handles of two words, copied freely, that own nothing.
//!
//! The rule they keep: a value never says more than where its content lies. Text, sets, records and addresses are spans
//! into the image, the snapshot, the intent or the machine's scratch; [`crate::world::World`] reads them.
//! Entities are numbers of the snapshot, so that equal numbers mean equal uids and nothing else does.

/// Half-open part of a table: `start..start + length`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Range {
    /// First element.
    pub start: u32,
    /// Number of elements.
    pub length: u32,
}

impl Range {
    /// The part of `table` that this range names, or nothing where it does not lie within.
    #[inline]
    pub fn of<T>(self, table: &[T]) -> Option<&[T]> {
        let start = self.start as usize;
        table.get(start..start.checked_add(self.length as usize)?)
    }

    /// The part of `text` that this range of bytes names, or nothing where it does not lie within or cuts a character.
    #[inline]
    pub fn of_text(self, text: &str) -> Option<&str> {
        let start = self.start as usize;
        text.get(start..start.checked_add(self.length as usize)?)
    }
}

/// Whose tables a span lies in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The image's constants.
    Image,
    /// The snapshot's entities.
    Snapshot,
    /// The intent's context.
    Intent,
    /// Sets and records that the running policy gathered.
    Scratch,
}

/// A range in the tables of one source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Whose tables.
    pub source: Source,
    /// First element, or first byte of text; in an intent the number of the string.
    pub start: u32,
    /// Elements, fields or bytes; not used for addresses.
    pub length: u32,
}

impl Span {
    /// The same without its source.
    #[inline]
    pub const fn range(self) -> Range {
        Range { start: self.start, length: self.length }
    }
}

/// A Cedar value, in two words: kind, source and length; number, place or start.
///
/// It is not the enum [`Content`] itself so that it travels in two registers and is stored and loaded in equal parts.
#[derive(Clone, Copy)]
pub struct Value {
    head: u64,
    payload: u64,
}

const _: () = assert!(size_of::<Value>() == 16);

/// What a [`Value`] is.
#[derive(Clone, Copy, Debug)]
pub enum Content {
    /// `true` or `false`.
    Bool(bool),
    /// A 64-bit integer.
    Long(i64),
    /// `decimal`, in ten-thousandths.
    Decimal(i64),
    /// `datetime`, in milliseconds since 1970.
    Datetime(i64),
    /// `duration`, in milliseconds.
    Duration(i64),
    /// Text, compared by bytes.
    String(Span),
    /// An entity by its number: of the snapshot, or beyond it a stranger of the intent.
    Entity(u32),
    /// `ipaddr`: the place of an [`Address`].
    Ip(Span),
    /// A set; elements may repeat, they count once.
    Set(Span),
    /// A record; its fields are sorted by name.
    Record(Span),
    /// No value: the mark of an optional attribute that is not there. It stands in slots only and never in an operation.
    Absent,
}

const BOOL: u64 = 0;
const LONG: u64 = 1;
const DATETIME: u64 = 2;
const DURATION: u64 = 3;
const DECIMAL: u64 = 4;
const ENTITY: u64 = 5;
/// From here on a value lies in the tables of a source.
const STRING: u64 = 6;
const IP: u64 = 7;
const SET: u64 = 8;
const RECORD: u64 = 9;
const ABSENT: u64 = 10;

impl Value {
    /// The mark of an optional attribute that is not there.
    pub const ABSENT: Self = Self { head: ABSENT, payload: 0 };

    /// Whether it is the mark that there is no value.
    #[inline(always)]
    pub const fn is_absent(self) -> bool {
        self.head == ABSENT
    }

    /// Its two words, for storage.
    pub const fn words(self) -> [u64; 2] {
        [self.head, self.payload]
    }

    /// The value of two words that were stored, if they are ones that can be made. It does not tell that its place exists.
    pub const fn from_words([head, payload]: [u64; 2]) -> Option<Self> {
        let (kind, source, rest) = (head & 0xff, head >> 8 & 0xff, head >> 16 & 0xffff);
        let is_narrow = payload <= u32::MAX as u64;
        let is_made = match kind {
            BOOL => head == BOOL && payload <= 1,
            LONG | DECIMAL | DATETIME | DURATION => head == kind,
            ENTITY => head == ENTITY && is_narrow,
            STRING | IP | SET | RECORD => source <= 3 && rest == 0 && is_narrow,
            ABSENT => head == ABSENT && payload == 0,
            _ => false,
        };
        if is_made { Some(Self { head, payload }) } else { None }
    }

    /// A boolean.
    #[inline(always)]
    pub const fn bool(value: bool) -> Self {
        Self { head: BOOL, payload: value as u64 }
    }

    /// A 64-bit integer.
    #[inline(always)]
    pub const fn long(value: i64) -> Self {
        Self { head: LONG, payload: value.cast_unsigned() }
    }

    /// A decimal in ten-thousandths.
    #[inline(always)]
    pub const fn decimal(value: i64) -> Self {
        Self { head: DECIMAL, payload: value.cast_unsigned() }
    }

    /// A point in time in milliseconds since 1970.
    #[inline(always)]
    pub const fn datetime(value: i64) -> Self {
        Self { head: DATETIME, payload: value.cast_unsigned() }
    }

    /// A duration in milliseconds.
    #[inline(always)]
    pub const fn duration(value: i64) -> Self {
        Self { head: DURATION, payload: value.cast_unsigned() }
    }

    /// An entity by its number.
    #[inline(always)]
    pub const fn entity(number: u32) -> Self {
        Self { head: ENTITY, payload: number as u64 }
    }

    /// Text.
    #[inline(always)]
    pub const fn string(span: Span) -> Self {
        Self::spanning(STRING, span)
    }

    /// An address.
    #[inline(always)]
    pub const fn ip(span: Span) -> Self {
        Self::spanning(IP, span)
    }

    /// A set.
    #[inline(always)]
    pub const fn set(span: Span) -> Self {
        Self::spanning(SET, span)
    }

    /// A record.
    #[inline(always)]
    pub const fn record(span: Span) -> Self {
        Self::spanning(RECORD, span)
    }

    #[inline(always)]
    const fn spanning(kind: u64, span: Span) -> Self {
        let source = match span.source {
            Source::Image => 0,
            Source::Snapshot => 1,
            Source::Intent => 2,
            Source::Scratch => 3,
        };
        Self { head: kind | source << 8 | (span.length as u64) << 32, payload: span.start as u64 }
    }

    /// Where its content lies; of a value that says all by itself it tells nothing.
    #[inline(always)]
    pub(crate) const fn span(self) -> Span {
        let source = match self.head >> 8 & 3 {
            0 => Source::Image,
            1 => Source::Snapshot,
            2 => Source::Intent,
            _ => Source::Scratch,
        };
        Span { source, start: low(self.payload), length: low(self.head >> 32) }
    }

    /// What it is.
    #[inline(always)]
    pub const fn content(self) -> Content {
        match self.head & 0xff {
            BOOL => Content::Bool(self.payload != 0),
            LONG => Content::Long(self.payload.cast_signed()),
            DECIMAL => Content::Decimal(self.payload.cast_signed()),
            DATETIME => Content::Datetime(self.payload.cast_signed()),
            DURATION => Content::Duration(self.payload.cast_signed()),
            ENTITY => Content::Entity(low(self.payload)),
            STRING => Content::String(self.span()),
            IP => Content::Ip(self.span()),
            SET => Content::Set(self.span()),
            RECORD => Content::Record(self.span()),
            _ => Content::Absent,
        }
    }

    /// Whether it says all by itself: then two of them are equal where both words are.
    #[inline(always)]
    pub(crate) const fn is_scalar(self) -> bool {
        self.head & 0xff < STRING
    }

    /// Whether it is text.
    #[inline(always)]
    pub(crate) const fn is_string(self) -> bool {
        self.head & 0xff == STRING
    }

    /// A kind of number that has an order, and the number.
    #[inline(always)]
    pub(crate) const fn in_order(self) -> Option<(u64, i64)> {
        match self.head {
            LONG | DATETIME | DURATION => Some((self.head, self.payload.cast_signed())),
            _ => None,
        }
    }

    /// Both words are the same.
    #[inline(always)]
    pub(crate) const fn is_same(self, other: Self) -> bool {
        self.head == other.head && self.payload == other.payload
    }
}

/// The low half of a word.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "the low half is what is asked for")]
const fn low(word: u64) -> u32 {
    word as u32
}

impl core::fmt::Debug for Value {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.content().fmt(f)
    }
}

/// An attribute of a record or of an entity.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// Number of the attribute's name.
    pub name: u32,
    /// Its value.
    pub value: Value,
}

/// An IP address or range, as Cedar keeps it: the address unmasked, and a prefix length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address {
    bits: u128,
    prefix: u8,
    is_v6: bool,
}

impl Address {
    /// An IPv4 address, or nothing where the prefix is longer than 32.
    pub fn v4(octets: [u8; 4], prefix: u8) -> Option<Self> {
        (prefix <= 32).then_some(Self { bits: u128::from(u32::from_be_bytes(octets)), prefix, is_v6: false })
    }

    /// An IPv6 address, or nothing where the prefix is longer than 128.
    pub fn v6(octets: [u8; 16], prefix: u8) -> Option<Self> {
        (prefix <= 128).then_some(Self { bits: u128::from_be_bytes(octets), prefix, is_v6: true })
    }

    /// Whether it is an IPv6 address.
    pub const fn is_v6(&self) -> bool {
        self.is_v6
    }

    /// The prefix length.
    pub const fn prefix(&self) -> u8 {
        self.prefix
    }

    /// The address in the low bits: 32 of them for IPv4.
    pub const fn bits(&self) -> u128 {
        self.bits
    }
}
