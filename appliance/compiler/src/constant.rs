//! Constants: Cedar values as trees, and how they become handles into tables.
//!
//! The rule they keep: equal constants are one value, sets hold each element once, and records are sorted by the number
//! of their names, as the evaluator expects them.

use crate::table::{EntityName, NameTable, TextTable, number};
use assent_evaluator::{Address, Field, Source, Span, Value};
use std::collections::{BTreeMap, BTreeSet};

/// A value as a tree.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Constant {
    Bool(bool),
    Long(i64),
    Decimal(i64),
    Datetime(i64),
    Duration(i64),
    String(String),
    Entity(EntityName),
    Ip(Ip),
    Set(BTreeSet<Self>),
    Record(BTreeMap<String, Self>),
}

/// An address with an order, for sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Ip {
    pub(crate) address: std::net::IpAddr,
    pub(crate) prefix: u8,
}

impl Ip {
    pub(crate) fn address(self) -> Option<Address> {
        match self.address {
            std::net::IpAddr::V4(address) => Address::v4(address.octets(), self.prefix),
            std::net::IpAddr::V6(address) => Address::v6(address.octets(), self.prefix),
        }
    }
}

/// The tables that values of one source lie in.
#[derive(Debug)]
pub(crate) struct ValueTable {
    source: Source,
    pub(crate) text: TextTable,
    pub(crate) elements: Vec<Value>,
    pub(crate) fields: Vec<Field>,
    pub(crate) addresses: Vec<Address>,
}

impl ValueTable {
    pub(crate) fn new(source: Source) -> Self {
        Self {
            source,
            text: TextTable::default(),
            elements: Vec::new(),
            fields: Vec::new(),
            addresses: Vec::new(),
        }
    }

    fn span(&self, start: usize, length: usize) -> Span {
        Span { source: self.source, start: number(start), length: number(length) }
    }

    /// Lays a value into the tables. `entities` numbers the entities in it.
    pub(crate) fn place(
        &mut self,
        constant: &Constant,
        names: &mut NameTable,
        entities: &mut dyn FnMut(&EntityName) -> u32,
    ) -> Value {
        match constant {
            Constant::Bool(value) => Value::bool(*value),
            Constant::Long(value) => Value::long(*value),
            Constant::Decimal(value) => Value::decimal(*value),
            Constant::Datetime(value) => Value::datetime(*value),
            Constant::Duration(value) => Value::duration(*value),
            Constant::Entity(entity) => Value::entity(entities(entity)),
            Constant::String(text) => {
                let range = self.text.keep(text);
                Value::string(Span { source: self.source, start: range.start, length: range.length })
            }
            Constant::Ip(ip) => {
                let place = self.addresses.len();
                self.addresses.extend(ip.address());
                Value::ip(self.span(place, 1))
            }
            Constant::Set(elements) => {
                let values: Vec<_> =
                    elements.iter().map(|element| self.place(element, names, entities)).collect();
                let start = self.elements.len();
                self.elements.extend_from_slice(&values);
                Value::set(self.span(start, values.len()))
            }
            Constant::Record(fields) => {
                let (start, length) = self.place_fields(fields, names, entities);
                Value::record(self.span(start, length))
            }
        }
    }

    /// Lays fields side by side, sorted by the number of their names, and returns where.
    pub(crate) fn place_fields(
        &mut self,
        fields: &BTreeMap<String, Constant>,
        names: &mut NameTable,
        entities: &mut dyn FnMut(&EntityName) -> u32,
    ) -> (usize, usize) {
        let mut placed: Vec<_> = fields
            .iter()
            .map(|(name, value)| Field { name: names.keep(name), value: self.place(value, names, entities) })
            .collect();
        placed.sort_by_key(|field| field.name);
        let start = self.fields.len();
        self.fields.extend_from_slice(&placed);
        (start, placed.len())
    }
}
