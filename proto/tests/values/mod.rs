//! Contexts as owned values, encoded by postcard itself: the encoding that `context.rs` reads by hand.

use assent_proto::codec;
use assent_proto::context::{Context, Event, Ip as ReadIp};
use proptest::prelude::*;
use serde::Serialize;

/// The enum whose postcard encoding a context's values have.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) enum Value {
    Bool(bool),
    Long(i64),
    String(String),
    Entity(String, String),
    Set(Vec<Self>),
    Record(Record),
    Decimal(i64),
    Ip(Ip),
    Datetime(i64),
    Duration(i64),
}

pub(crate) type Record = Vec<(String, Value)>;

/// Family, address, prefix length.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub(crate) enum Ip {
    V4(u8, [u8; 4], u8),
    V6(u8, [u8; 16], u8),
}

/// What postcard makes of it.
pub(crate) fn encoded(value: &impl Serialize) -> Vec<u8> {
    let mut out = Vec::new();
    codec::append(value, &mut out).expect("a vector takes all bytes");
    out
}

/// Sets ascending by their elements' encodings, records by their keys, nothing twice.
pub(crate) fn canonical(record: Record) -> Record {
    let mut record: Record = record.into_iter().map(|(key, value)| (key, canonical_value(value))).collect();
    record.sort_by(|(a, _), (b, _)| a.as_bytes().cmp(b.as_bytes()));
    record.dedup_by(|(a, _), (b, _)| a == b);
    record
}

fn canonical_value(value: Value) -> Value {
    match value {
        Value::Set(elements) => {
            let mut elements: Vec<_> = elements.into_iter().map(canonical_value).collect();
            elements.sort_by_cached_key(encoded);
            elements.dedup();
            Value::Set(elements)
        }
        Value::Record(record) => Value::Record(canonical(record)),
        scalar @ (Value::Bool(_)
        | Value::Long(_)
        | Value::String(_)
        | Value::Entity(..)
        | Value::Decimal(_)
        | Value::Ip(_)
        | Value::Datetime(_)
        | Value::Duration(_)) => scalar,
    }
}

/// Contexts of every kind of value, three levels deep.
pub(crate) fn contexts() -> impl Strategy<Value = Record> {
    let scalar = prop_oneof![
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Long),
        ".{0,9}".prop_map(Value::String),
        ("[A-Z]{1,3}::[a-z]{1,3}", ".{0,5}").prop_map(|(of, id)| Value::Entity(of, id)),
        any::<i64>().prop_map(Value::Decimal),
        (any::<[u8; 4]>(), 0_u8..=32).prop_map(|(address, prefix)| Value::Ip(Ip::V4(4, address, prefix))),
        (any::<[u8; 16]>(), 0_u8..=128).prop_map(|(address, prefix)| Value::Ip(Ip::V6(6, address, prefix))),
        any::<i64>().prop_map(Value::Datetime),
        any::<i64>().prop_map(Value::Duration),
    ];
    let value = scalar.prop_recursive(3, 24, 5, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::Set),
            proptest::collection::vec((".{0,4}", inner), 0..5).prop_map(Value::Record),
        ]
    });
    proptest::collection::vec((".{0,5}", value), 0..6).prop_map(canonical)
}

/// The values that a walk through a context tells of.
pub(crate) fn walked(context: &Context<'_>) -> Record {
    let mut events = context.events().map(|event| event.expect("a context's walk does not fail"));
    assert!(matches!(events.next(), Some(Event::Record(_))), "a context begins as a record");
    let record = record(&mut events);
    assert_eq!(events.next(), None, "the walk ends with the context");
    record
}

fn record<'a>(events: &mut impl Iterator<Item = Event<'a>>) -> Record {
    let mut record = Record::new();
    loop {
        match events.next() {
            Some(Event::Key(key)) => {
                let first = events.next().expect("a value follows its key");
                record.push((key.to_owned(), value(first, events)));
            }
            Some(Event::End) => return record,
            Some(other) => panic!("{other:?} where a key should be"),
            None => panic!("the walk ends within a record"),
        }
    }
}

fn value<'a>(first: Event<'a>, events: &mut impl Iterator<Item = Event<'a>>) -> Value {
    match first {
        Event::Bool(value) => Value::Bool(value),
        Event::Long(value) => Value::Long(value),
        Event::String(value) => Value::String(value.to_owned()),
        Event::Entity(uid) => Value::Entity(uid.type_name.to_owned(), uid.id.to_owned()),
        Event::Decimal(value) => Value::Decimal(value),
        Event::Ip(ReadIp::V4(address, prefix)) => Value::Ip(Ip::V4(4, address, prefix)),
        Event::Ip(ReadIp::V6(address, prefix)) => Value::Ip(Ip::V6(6, address, prefix)),
        Event::Datetime(value) => Value::Datetime(value),
        Event::Duration(value) => Value::Duration(value),
        Event::Record(_) => Value::Record(record(events)),
        Event::Set(_) => {
            let mut elements = Vec::new();
            while let Some(element) = events.next().filter(|event| *event != Event::End) {
                elements.push(value(element, events));
            }
            Value::Set(elements)
        }
        Event::Key(_) | Event::End => panic!("{first:?} where a value should be"),
    }
}
