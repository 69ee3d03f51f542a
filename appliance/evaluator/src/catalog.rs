//! The catalog: which intents exist, what their contexts look like and on which terms they are granted.
//!
//! The rule it keeps: a context fits its shape exactly; nothing is missing, nothing is added, nothing is converted.
//! What an action allows or forbids is not here, that is for policies.

use crate::classification::Misfit;
use crate::limits::{MAX_CONTEXT_SLOTS, MAX_VALUE_DEPTH};
use crate::value::{Content, Field, Range, Value};
use crate::world::World;
use heapless::Vec;

/// An action of the catalog, by its place there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ActionIndex(pub(crate) u32);

impl ActionIndex {
    /// Its place among the catalog's actions.
    pub const fn place(self) -> usize {
        self.0 as usize
    }
}

/// The type of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// `Bool`
    Bool,
    /// `Long`
    Long,
    /// `String`
    String,
    /// `decimal`
    Decimal,
    /// `datetime`
    Datetime,
    /// `duration`
    Duration,
    /// `ipaddr`
    Ip,
    /// An entity of the type of this number.
    Entity(u32),
    /// A set whose elements have the shape of this number.
    Set(u32),
    /// A record with these attributes.
    Record(Range),
}

/// An attribute of a record shape.
#[derive(Clone, Copy, Debug)]
pub struct Attribute {
    /// Number of its name.
    pub name: u32,
    /// Number of its shape.
    pub shape: u32,
    /// Whether it must be there.
    pub is_required: bool,
}

/// An entity type.
#[derive(Clone, Copy, Debug)]
pub struct TypeRow {
    /// Annotated `@transient`: its entities are in no snapshot.
    pub is_transient: bool,
    /// What its entities have, sorted by name: a range of the image's attributes.
    pub attributes: Range,
}

/// An action.
#[derive(Clone, Copy, Debug)]
pub struct ActionRow {
    /// Types of principals, a range of the image's `applies_to`. Empty for a category.
    pub principals: Range,
    /// Types of resources.
    pub resources: Range,
    /// Number of the context's shape, a record.
    pub context: u32,
    /// Its request environments: the first one's number; one follows for each type of resource, and that for each type
    /// of principal.
    pub environments: u32,
    /// Whether the context declares the record that the appliance asserts.
    pub is_asserted: bool,
    /// Its terms.
    pub terms: Terms,
}

impl ActionRow {
    /// The request environment of a principal's and a resource's type, by their places among those it applies to.
    #[inline]
    pub(crate) fn environment(&self, principal: usize, resource: usize) -> usize {
        let row = principal.wrapping_mul(self.resources.length as usize);
        (self.environments as usize).wrapping_add(row).wrapping_add(resource)
    }
}

/// Where a waiting intent stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    /// After everything else.
    Low,
    /// In turn.
    Normal,
    /// Before what is normal.
    High,
    /// Before everything else.
    Critical,
}

/// On which terms an action is granted, from its annotations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Base score, before the risk model adds to it.
    pub risk: i64,
    /// Longest time that a token may stay valid.
    pub window_ms: u64,
    /// Most uses of a token.
    pub uses: u32,
    /// Place in a queue.
    pub priority: Priority,
    /// Whether a charter may cover it.
    pub break_glass: bool,
    /// How long it may wait in a queue, if at all.
    pub queue_ms: Option<u64>,
}

/// Numbers of the names of `context.assent` and its attributes: the first numbers of all, in this order, so that the
/// record and the context are sorted by name as soon as they are filled.
#[derive(Clone, Copy, Debug)]
pub struct FactNames {
    /// The record.
    pub assent: u32,
    /// When the intent is evaluated.
    pub now: u32,
    /// Its score.
    pub risk: u32,
    /// Approvals that are in.
    pub approvals: u32,
    /// Whether the token boundary is closed.
    pub degraded: u32,
    /// The principal's intents in the last minute.
    pub agent_rate: u32,
    /// The revocation epoch.
    pub epoch: u32,
}

impl<'a> World<'_, 'a> {
    /// Checks a value against a shape. `name` is that of the nearest attribute, for the message.
    pub(crate) fn fit(&self, value: Value, shape: u32, name: u32, depth: usize) -> Result<(), Misfit<'a>> {
        let wrong = || Misfit::WrongType { attribute: self.name(name) };
        let depth = depth.checked_sub(1).ok_or(Misfit::TooLarge("nesting of values"))?;
        match (value.content(), *self.image.shapes.get(shape as usize).ok_or_else(wrong)?) {
            (Content::Bool(_), Shape::Bool)
            | (Content::Long(_), Shape::Long)
            | (Content::String(_), Shape::String)
            | (Content::Decimal(_), Shape::Decimal)
            | (Content::Datetime(_), Shape::Datetime)
            | (Content::Duration(_), Shape::Duration)
            | (Content::Ip(_), Shape::Ip) => Ok(()),
            (Content::Entity(entity), Shape::Entity(type_number))
                if self.type_of(entity) == Some(type_number) =>
            {
                Ok(())
            }
            (Content::Set(span), Shape::Set(element)) => {
                let elements = self.elements(span).map_err(|_| wrong())?;
                elements.iter().try_for_each(|value| self.fit(*value, element, name, depth))
            }
            (Content::Record(_), Shape::Record(attributes)) => self.fit_record(value, attributes, depth),
            (_, _) => Err(wrong()),
        }
    }

    fn fit_record(&self, record: Value, attributes: Range, depth: usize) -> Result<(), Misfit<'a>> {
        self.walk_record(record, attributes, depth, &mut |_| ())
    }

    /// Both sides are sorted by name, so one walk over both finds what is missing and what is too much. `each` is given
    /// one value for each declared attribute, in their order.
    #[inline(always)]
    fn walk_record(
        &self,
        record: Value,
        attributes: Range,
        depth: usize,
        each: &mut impl FnMut(Value),
    ) -> Result<(), Misfit<'a>> {
        let Content::Record(span) = record.content() else { return Err(Misfit::Malformed) };
        let mut fields = self.fields(span).map_err(|_| Misfit::Malformed)?.iter().peekable();
        let attributes = attributes.of(self.image.attributes).ok_or(Misfit::Malformed)?;
        for attribute in attributes {
            match fields.next_if(|field| field.name == attribute.name) {
                Some(field) => {
                    self.fit(field.value, attribute.shape, attribute.name, depth)?;
                    each(field.value);
                }
                None if attribute.is_required => {
                    return Err(self.missing_or_unknown(fields, attributes, self.name(attribute.name)));
                }
                None => each(Value::ABSENT),
            }
        }
        match fields.next() {
            None => Ok(()),
            Some(field) => Err(Misfit::UnknownAttribute { attribute: self.name(field.name) }),
        }
    }

    /// A field that no attribute declares stops the walk before the one that is missing: say which of both it is.
    fn missing_or_unknown<'f>(
        &self,
        mut fields: impl Iterator<Item = &'f Field>,
        attributes: &[Attribute],
        missing: &'a str,
    ) -> Misfit<'a> {
        match fields.find(|field| attributes.iter().all(|attribute| attribute.name != field.name)) {
            Some(field) => Misfit::UnknownAttribute { attribute: self.name(field.name) },
            None => Misfit::MissingAttribute { attribute: missing },
        }
    }

    /// Checks a whole context, and lays its attributes into slots.
    pub(crate) fn fit_context(
        &self,
        context: Value,
        shape: u32,
        slots: &mut Vec<Value, MAX_CONTEXT_SLOTS>,
    ) -> Result<(), Misfit<'a>> {
        let Some(Shape::Record(attributes)) = self.image.shapes.get(shape as usize) else {
            return Err(Misfit::Malformed);
        };
        slots.clear();
        // No program asks for a slot beyond the last one that has room.
        self.walk_record(context, *attributes, MAX_VALUE_DEPTH, &mut |value| {
            let _beyond = slots.push(value);
        })
    }
}
