//! Reading: what operators ask of attributes, paths, tags, ancestors and patterns.
//!
//! The rule it keeps: what is not there is a fault or `false`, as Cedar says for each; nothing is converted, and whatever
//! is searched is paid for in fuel.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "an operator takes one type; whatever else there is or will be is a fault"
)]

use crate::comparison::Fuel;
use crate::conversion::{as_entity, as_long};
use crate::machine::Fault;
use crate::pattern;
use crate::value::{Address, Content, Value};
use crate::world::World;

impl<'a> World<'_, 'a> {
    /// An attribute of a record or an entity, if it is there. An entity that is absent has none.
    #[inline(always)]
    pub(crate) fn attribute(&self, of: Value, name: u32) -> Result<Option<Value>, Fault> {
        match of.content() {
            Content::Record(span) => Ok(Self::field(self.fields(span)?, name)),
            Content::Entity(entity) => self.attribute_of_entity(entity, name),
            _ => Err(Fault::Type),
        }
    }

    /// An attribute that must be there.
    #[inline(always)]
    pub(crate) fn attribute_or_fault(&self, of: Value, name: u32) -> Result<Value, Fault> {
        self.attribute(of, name)?.ok_or(match of.content() {
            Content::Entity(entity) if self.present(entity).is_none() => Fault::MissingEntity,
            _ => Fault::MissingAttribute,
        })
    }

    pub(crate) fn path(&self, path: u32) -> Result<&'a [u32], Fault> {
        let range = self.image.paths.get(path as usize).ok_or(Fault::Image)?;
        range.of(self.image.path_names).ok_or(Fault::Image)
    }

    /// `has a.b.c`: walks while each is there.
    pub(crate) fn has_path(&self, of: Value, path: u32) -> Result<Value, Fault> {
        let mut value = of;
        for name in self.path(path)? {
            match self.attribute(value, *name)? {
                Some(next) => value = next,
                None => return Ok(Value::bool(false)),
            }
        }
        Ok(Value::bool(true))
    }

    pub(crate) fn like(&self, value: Value, place: u32, fuel: &mut Fuel) -> Result<bool, Fault> {
        let Content::String(span) = value.content() else { return Err(Fault::Type) };
        let parts = self.image.patterns.get(place as usize).ok_or(Fault::Image)?;
        let parts = parts.of(self.image.parts).ok_or(Fault::Image)?;
        pattern::matches(self.bytes(span)?, parts, self.image.text, fuel)
    }

    /// `like` with a pattern that travelled as an operand.
    pub(crate) fn like_numbered(&self, value: Value, pattern: Value, fuel: &mut Fuel) -> Result<bool, Fault> {
        let place = u32::try_from(as_long(pattern)?).map_err(|_| Fault::Image)?;
        self.like(value, place, fuel)
    }

    /// `in`: an entity or a set of entities. Every element must be an entity, also behind one that matches.
    pub(crate) fn is_in(&self, left: Value, right: Value, fuel: &mut Fuel) -> Result<bool, Fault> {
        let entity = as_entity(left)?;
        let span = match right.content() {
            Content::Entity(ancestor) => return Ok(self.is_within(entity, ancestor)),
            Content::Set(span) => span,
            _ => return Err(Fault::Type),
        };
        let (elements, mut found) = (self.elements(span)?, false);
        fuel.spend(elements.len())?;
        for element in elements {
            found |= self.is_within(entity, as_entity(*element)?);
        }
        Ok(found)
    }

    /// The tag of an entity, or what is missing.
    pub(crate) fn find_tag(
        &self,
        of: Value,
        key: Value,
        fuel: &mut Fuel,
    ) -> Result<Result<Value, Fault>, Fault> {
        let entity = as_entity(of)?;
        let Content::String(key) = key.content() else { return Err(Fault::Type) };
        fuel.spend(key.length as usize)?;
        let Some(row) = self.present(entity) else { return Ok(Err(Fault::MissingEntity)) };
        Ok(self.tag(row, self.text(key)?).ok_or(Fault::MissingTag))
    }

    pub(crate) fn as_address(&self, value: Value) -> Result<Address, Fault> {
        match value.content() {
            Content::Ip(span) => self.address(span),
            _ => Err(Fault::Type),
        }
    }
}
