//! Comparison: equality of values and membership in sets, paid for in fuel.
//!
//! The rule it keeps: values of different types are unequal and that is no error; sets are equal when each holds the
//! other's elements. Fuel pays for each element of a set that is searched, for each field of records that are compared, and for
//! each byte of texts of one length, so no pair of values takes longer than paid for. One exception: whether an empty set holds
//! any element of another is asked for each of these, and none is paid for.

use crate::machine::Fault;
use crate::value::{Content, Span, Value};
use crate::world::World;

/// What an evaluation may still spend.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fuel {
    left: u64,
}

impl Fuel {
    pub(crate) const fn of(left: u64) -> Self {
        Self { left }
    }

    pub(crate) const fn left(&self) -> u64 {
        self.left
    }

    /// Spends fuel, or fails for good.
    #[inline]
    pub(crate) fn spend(&mut self, amount: usize) -> Result<(), Fault> {
        match self.left.checked_sub(amount as u64) {
            Some(left) => self.left = left,
            None => {
                self.left = 0;
                return Err(Fault::Budget);
            }
        }
        Ok(())
    }
}

impl World<'_, '_> {
    /// `==`
    #[inline(always)]
    pub(crate) fn equal(
        &self,
        left: Value,
        right: Value,
        depth: usize,
        fuel: &mut Fuel,
    ) -> Result<bool, Fault> {
        if left.is_scalar() || right.is_scalar() {
            return Ok(left.is_same(right));
        }
        match left.is_string() && right.is_string() {
            true => self.equal_texts(left.span(), right.span(), fuel),
            false => self.equal_contents(left, right, depth, fuel),
        }
    }

    #[inline(always)]
    fn equal_texts(&self, left: Span, right: Span, fuel: &mut Fuel) -> Result<bool, Fault> {
        if left.length != right.length {
            return Ok(false);
        }
        fuel.spend(left.length as usize)?;
        Ok(left == right || self.bytes(left)? == self.bytes(right)?)
    }

    /// `==` of other values that lie in tables.
    #[inline(never)]
    fn equal_contents(
        &self,
        left: Value,
        right: Value,
        depth: usize,
        fuel: &mut Fuel,
    ) -> Result<bool, Fault> {
        match (left.content(), right.content()) {
            (Content::Ip(left), Content::Ip(right)) => Ok(self.address(left)? == self.address(right)?),
            (Content::Set(left), Content::Set(right)) => Ok(self.contains_all(left, right, depth, fuel)?
                && self.contains_all(right, left, depth, fuel)?),
            (Content::Record(left), Content::Record(right)) => self.equal_records(left, right, depth, fuel),
            (_, _) => Ok(false),
        }
    }

    /// Fields are sorted by name, so equal records have their fields side by side.
    fn equal_records(&self, left: Span, right: Span, depth: usize, fuel: &mut Fuel) -> Result<bool, Fault> {
        let depth = depth.checked_sub(1).ok_or(Fault::Image)?;
        let (left, right) = (self.fields(left)?, self.fields(right)?);
        if left.len() != right.len() {
            return Ok(false);
        }
        fuel.spend(left.len())?;
        for (left, right) in left.iter().zip(right) {
            if left.name != right.name || !self.equal(left.value, right.value, depth, fuel)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether a set holds a value.
    #[inline]
    pub(crate) fn contains(
        &self,
        set: Span,
        value: Value,
        depth: usize,
        fuel: &mut Fuel,
    ) -> Result<bool, Fault> {
        let depth = depth.checked_sub(1).ok_or(Fault::Image)?;
        let elements = self.elements(set)?;
        fuel.spend(elements.len())?;
        for element in elements {
            if self.equal(*element, value, depth, fuel)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether `set` holds all elements of `other`.
    pub(crate) fn contains_all(
        &self,
        set: Span,
        other: Span,
        depth: usize,
        fuel: &mut Fuel,
    ) -> Result<bool, Fault> {
        for element in self.elements(other)? {
            if !self.contains(set, *element, depth, fuel)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether `set` holds any element of `other`.
    pub(crate) fn contains_any(
        &self,
        set: Span,
        other: Span,
        depth: usize,
        fuel: &mut Fuel,
    ) -> Result<bool, Fault> {
        for element in self.elements(other)? {
            if self.contains(set, *element, depth, fuel)? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
