//! Conversion: a value taken as what an instruction needs, or the fault that it is something else.
//!
//! The rule it keeps: nothing is converted. What Cedar would call a type error is a fault, and what would overflow is one too.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "an operator takes one type; whatever else there is or will be is a fault"
)]

use crate::machine::Fault;
use crate::value::{Content, Span, Value};
use core::cmp::Ordering;

#[inline(always)]
pub(crate) const fn as_bool(value: Value) -> Result<bool, Fault> {
    match value.content() {
        Content::Bool(value) => Ok(value),
        _ => Err(Fault::Type),
    }
}

#[inline(always)]
pub(crate) const fn as_long(value: Value) -> Result<i64, Fault> {
    match value.content() {
        Content::Long(value) => Ok(value),
        _ => Err(Fault::Type),
    }
}

#[inline(always)]
pub(crate) const fn as_entity(value: Value) -> Result<u32, Fault> {
    match value.content() {
        Content::Entity(value) => Ok(value),
        _ => Err(Fault::Type),
    }
}

#[inline(always)]
pub(crate) const fn as_set(value: Value) -> Result<Span, Fault> {
    match value.content() {
        Content::Set(value) => Ok(value),
        _ => Err(Fault::Type),
    }
}

#[inline(always)]
pub(crate) const fn as_decimal(value: Value) -> Result<i64, Fault> {
    match value.content() {
        Content::Decimal(value) => Ok(value),
        _ => Err(Fault::Type),
    }
}

#[inline(always)]
pub(crate) const fn as_datetime(value: Value) -> Result<i64, Fault> {
    match value.content() {
        Content::Datetime(value) => Ok(value),
        _ => Err(Fault::Type),
    }
}

#[inline(always)]
pub(crate) const fn as_duration(value: Value) -> Result<i64, Fault> {
    match value.content() {
        Content::Duration(value) => Ok(value),
        _ => Err(Fault::Type),
    }
}

/// Long, datetime and duration have an order, each among its own.
#[inline(always)]
pub(crate) fn order(left: Value, right: Value) -> Result<Ordering, Fault> {
    match (left.in_order(), right.in_order()) {
        (Some(left), Some(right)) if left.0 == right.0 => Ok(left.1.cmp(&right.1)),
        (_, _) => Err(Fault::Type),
    }
}

#[inline(always)]
pub(crate) fn arithmetic(
    left: Value,
    right: Value,
    by: impl Fn(i64, i64) -> Option<i64>,
) -> Result<Value, Fault> {
    by(as_long(left)?, as_long(right)?).map(Value::long).ok_or(Fault::Overflow)
}
