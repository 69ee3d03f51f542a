//! Values: sixteen-byte handles, copied freely, that own nothing.
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

/// A Cedar value.
#[derive(Clone, Copy, Debug)]
pub enum Value {
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
}

const _: () = assert!(size_of::<Value>() == 16);

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
