//! The world: what a running policy can read, in one place.
//!
//! The rule it keeps: every number is looked up with its bounds checked; a number that leads nowhere is a fault and the
//! policy fails closed. It reads only; nothing here changes an intent.

use crate::contents::Contents;
use crate::image::Image;
use crate::limits::{MAX_SCRATCH, MAX_STACK};
use crate::machine::Fault;
use crate::operand::KINDS;
use crate::snapshot::{EntityRow, Snapshot};
use crate::value::{Address, Field, Source, Span, Value};
use heapless::Vec;

/// What a running policy writes: its stack, and sets and records of its own.
#[derive(Debug)]
pub(crate) struct Scratch {
    pub(crate) stack: Vec<Value, MAX_STACK>,
    pub(crate) elements: Vec<Value, MAX_SCRATCH>,
    pub(crate) fields: Vec<Field, MAX_SCRATCH>,
}

/// Where operands lie, by their kind: constants, attributes of principal, resource and context in their slots, and the
/// four variables. What lies in no table has an empty one, and so has an entity that the snapshot does not list.
pub(crate) type Tables<'m> = [&'m [Value]; KINDS];

/// All that can be read.
#[derive(Debug)]
pub(crate) struct World<'m, 'a> {
    pub(crate) image: &'m Image<'a>,
    pub(crate) snapshot: &'m Snapshot<'a>,
    pub(crate) intent: &'m Contents<'a>,
    /// Where operands lie, by their kind.
    pub(crate) tables: Tables<'m>,
    /// Lent, for it is too large to be moved about.
    pub(crate) scratch: &'m mut Scratch,
}

impl Scratch {
    /// Nothing is written; what is not written is not cleared either.
    #[inline(always)]
    pub(crate) const fn new() -> Self {
        Self { stack: Vec::new(), elements: Vec::new(), fields: Vec::new() }
    }

    /// Forgets what the policy before left.
    #[inline(always)]
    pub(crate) fn clear(&mut self) {
        self.stack.clear();
        self.elements.clear();
        self.fields.clear();
    }
}

impl<'a> World<'_, 'a> {
    /// The text of a string.
    #[inline]
    pub(crate) fn text(&self, span: Span) -> Result<&'a str, Fault> {
        let text = match span.source {
            Source::Image => span.range().of_text(self.image.text),
            Source::Snapshot => span.range().of_text(self.snapshot.text),
            Source::Intent => self.intent.strings.get(span.start as usize).copied(),
            Source::Scratch => None,
        };
        text.ok_or(Fault::Image)
    }

    /// The bytes of a string: for comparison, which need not know where characters begin.
    #[inline(always)]
    pub(crate) fn bytes(&self, span: Span) -> Result<&'a [u8], Fault> {
        if span.source == Source::Intent {
            return self
                .intent
                .strings
                .get(span.start as usize)
                .map(|text| text.as_bytes())
                .ok_or(Fault::Image);
        }
        let text = if span.source == Source::Image { self.image.text } else { self.snapshot.text };
        span.range().of(text.as_bytes()).ok_or(Fault::Image)
    }

    /// The elements of a set.
    #[inline]
    pub(crate) fn elements(&self, span: Span) -> Result<&[Value], Fault> {
        let elements: &[Value] = match span.source {
            Source::Image => self.image.elements,
            Source::Snapshot => self.snapshot.elements,
            Source::Intent => &self.intent.elements,
            Source::Scratch => &self.scratch.elements,
        };
        span.range().of(elements).ok_or(Fault::Image)
    }

    /// The fields of a record.
    #[inline(always)]
    pub(crate) fn fields(&self, span: Span) -> Result<&[Field], Fault> {
        let fields: &[Field] = match span.source {
            Source::Image => self.image.fields,
            Source::Snapshot => self.snapshot.fields,
            Source::Intent => &self.intent.fields,
            Source::Scratch => &self.scratch.fields,
        };
        span.range().of(fields).ok_or(Fault::Image)
    }

    /// An address.
    #[inline]
    pub(crate) fn address(&self, span: Span) -> Result<Address, Fault> {
        let addresses: &[Address] = match span.source {
            Source::Image => self.image.addresses,
            Source::Snapshot => self.snapshot.addresses,
            Source::Intent => &self.intent.addresses,
            Source::Scratch => &[],
        };
        addresses.get(span.start as usize).copied().ok_or(Fault::Image)
    }

    /// The row of an entity that the snapshot lists.
    #[inline]
    pub(crate) fn present(&self, entity: u32) -> Option<&'a EntityRow> {
        self.snapshot.entities.get(entity as usize).filter(|row| row.is_present)
    }

    /// The number of an entity's type, where the catalog knows it.
    #[inline]
    pub(crate) fn type_of(&self, entity: u32) -> Option<u32> {
        match self.snapshot.entities.get(entity as usize) {
            Some(row) => Some(row.type_number),
            None => self.intent.stranger(self.snapshot, entity)?.type_number,
        }
    }

    /// Whether an entity is `ancestor` or below it.
    #[inline]
    pub(crate) fn is_within(&self, entity: u32, ancestor: u32) -> bool {
        entity == ancestor
            || self
                .present(entity)
                .and_then(|row| row.ancestors.of(self.snapshot.ancestors))
                .is_some_and(|ancestors| ancestors.binary_search(&ancestor).is_ok())
    }

    /// An attribute among fields sorted by name.
    #[inline(always)]
    pub(crate) fn field(fields: &[Field], name: u32) -> Option<Value> {
        let place = place_of(fields, name, |field| field.name)?;
        fields.get(place).map(|field| field.value)
    }

    /// An attribute of an entity, if the snapshot lists the entity and it has one.
    pub(crate) fn attribute_of_entity(&self, entity: u32, name: u32) -> Result<Option<Value>, Fault> {
        let Some(row) = self.present(entity) else { return Ok(None) };
        let declared = self.image.type_rows.get(row.type_number as usize).ok_or(Fault::Image)?;
        let declared = declared.attributes.of(self.image.attributes).ok_or(Fault::Image)?;
        let Some(slot) = place_of(declared, name, |attribute| attribute.name) else { return Ok(None) };
        let slots = row.attributes.of(self.snapshot.attributes).ok_or(Fault::Image)?;
        let value = *slots.get(slot).ok_or(Fault::Image)?;
        Ok((!value.is_absent()).then_some(value))
    }

    /// A tag of an entity that the snapshot lists.
    pub(crate) fn tag(&self, row: &EntityRow, key: &str) -> Option<Value> {
        let tags = row.tags.of(self.snapshot.tags)?;
        let key_of = |range: crate::value::Range| range.of_text(self.snapshot.text).unwrap_or("");
        let place = tags.binary_search_by(|tag| key_of(tag.key).cmp(key)).ok()?;
        tags.get(place).map(|tag| tag.value)
    }

    /// The name of an attribute, for messages.
    pub(crate) fn name(&self, number: u32) -> &'a str {
        let known = self.image.names.rows.len();
        let name = match (number as usize).checked_sub(known) {
            None => self.image.names.name(self.image.text, number),
            Some(place) => self.intent.unknown_names.get(place).copied(),
        };
        name.unwrap_or("?")
    }
}

/// Where a name stands among rows sorted by name.
#[inline(always)]
fn place_of<T>(rows: &[T], name: u32, name_of: impl Fn(&T) -> u32) -> Option<usize> {
    const FEW: usize = 8;
    match rows.len() <= FEW {
        true => rows.iter().position(|row| name_of(row) == name),
        false => rows.binary_search_by_key(&name, name_of).ok(),
    }
}
