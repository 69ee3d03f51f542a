//! Cedar's values, owned: what a context is made of.
//!
//! Numbers are whole: Cedar has no floats, and neither has this. Sets are written as lists; order and repetition do not
//! count, the encoding sees to that.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::extension::{Datetime, Decimal, Duration, Ip};
use crate::uid::Uid;

/// A value in a context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// True or false.
    Bool(bool),
    /// A whole number.
    Long(i64),
    /// A text.
    String(String),
    /// An entity.
    Entity(Uid),
    /// A set: order and repetition of its elements mean nothing.
    Set(Vec<Self>),
    /// Named values.
    Record(BTreeMap<String, Self>),
    /// A number with four digits behind the point.
    Decimal(Decimal),
    /// An address or a range of addresses.
    Ip(Ip),
    /// A point in time.
    Datetime(Datetime),
    /// A span of time.
    Duration(Duration),
}

macro_rules! values_from {
    ($($variant:ident($from:ty),)+) => {
        $(impl From<$from> for Value {
            fn from(value: $from) -> Self {
                Self::$variant(value.into())
            }
        })+
    };
}

values_from! {
    Bool(bool),
    Long(i64),
    Long(i32),
    Long(u32),
    String(&str),
    String(String),
    Entity(Uid),
    Decimal(Decimal),
    Ip(Ip),
    Ip(IpAddr),
    Datetime(Datetime),
    Duration(Duration),
    Record(BTreeMap<String, Value>),
}

impl<V: Into<Self>> From<Vec<V>> for Value {
    fn from(elements: Vec<V>) -> Self {
        Self::Set(elements.into_iter().map(Into::into).collect())
    }
}

impl<V: Into<Self>> FromIterator<V> for Value {
    /// Gathers a set.
    fn from_iter<I: IntoIterator<Item = V>>(elements: I) -> Self {
        Self::Set(elements.into_iter().map(Into::into).collect())
    }
}
