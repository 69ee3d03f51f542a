//! Verification: an image and a snapshot are looked through before anything reads them.
//!
//! The rule it keeps: every number leads somewhere, every range lies within its table, what must be sorted is, and
//! every program ends with an empty stack. It does not tell who made the image; the bundle's digest and signatures do.

use crate::catalog::{FactNames, Shape};
use crate::environment;
use crate::image::{Effect, Image};
use crate::limits::MAX_POLICIES;
use crate::names::{EMPTY_SLOT, Names};
use crate::program::{self, PROGRAMS, Slots};
use crate::snapshot::{EntityRow, Snapshot};
use crate::value::{Content, Field, Range, Source, Span, Value};
use crate::view::View;

/// Where an image and a snapshot are kept.
pub trait Storage {
    /// The image's tables. They must be the same whenever this is called.
    fn image(&self) -> Image<'_>;
    /// The snapshot's tables. They must be the same whenever this is called.
    fn snapshot(&self) -> Snapshot<'_>;
}

/// A place in a table that is not as it must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flaw {
    /// The table.
    pub table: &'static str,
    /// The place in it.
    pub place: usize,
}

impl core::fmt::Display for Flaw {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "image is flawed: {} at {}", self.table, self.place)
    }
}

impl core::error::Error for Flaw {}

/// Storage whose tables were verified: the only source of a [`View`].
///
/// ```compile_fail
/// fn forge<S: assent_evaluator::Storage>(storage: S) -> assent_evaluator::Verified<S> {
///     assent_evaluator::Verified { storage }
/// }
/// ```
#[derive(Debug)]
pub struct Verified<S> {
    storage: S,
}

impl<S: Storage> Verified<S> {
    /// Verifies.
    ///
    /// # Errors
    /// The first [`Flaw`] that is found.
    pub fn new(storage: S) -> Result<Self, Flaw> {
        verify(&storage.image(), &storage.snapshot())?;
        Ok(Self { storage })
    }

    /// What was verified, for evaluation.
    pub fn view(&self) -> View<'_> {
        View::new(self.storage.image(), self.storage.snapshot())
    }

    /// The storage.
    pub const fn storage(&self) -> &S {
        &self.storage
    }
}

pub(crate) fn flaw(table: &'static str, place: usize) -> Flaw {
    Flaw { table, place }
}

/// Fails with a flaw unless `holds`.
pub(crate) fn ensure(holds: bool, table: &'static str, place: usize) -> Result<(), Flaw> {
    holds.then_some(()).ok_or(flaw(table, place))
}

fn verify(image: &Image<'_>, snapshot: &Snapshot<'_>) -> Result<(), Flaw> {
    verify_names(&image.names, image.text, "attribute names")?;
    verify_names(&image.types, image.text, "type names")?;
    let own = Values { image, snapshot, source: Source::Image };
    own.verify_all(image.constants, "constants")?;
    own.verify_all(image.elements, "elements")?;
    own.verify_fields(image.fields, "fields")?;
    verify_policies(image)?;
    verify_scopes(image)?;
    verify_catalog(image)?;
    for (place, policy) in image.policies.iter().enumerate() {
        program::verify(image, policy.code, Slots::default(), flaw(PROGRAMS, place))?;
    }
    environment::verify(image)?;
    verify_snapshot(image, snapshot)
}

fn verify_names(names: &Names<'_>, text: &str, table: &'static str) -> Result<(), Flaw> {
    verify_slots(names.slots, names.rows.len(), table)?;
    for place in 0..names.rows.len() {
        let number = u32::try_from(place).map_err(|_| flaw(table, place))?;
        let name = names.name(text, number).ok_or(flaw(table, place))?;
        ensure(names.find(text, name) == Some(number), table, place)?;
    }
    Ok(())
}

fn verify_slots(slots: &[u32], rows: usize, table: &'static str) -> Result<(), Flaw> {
    ensure(slots.len().is_power_of_two() && slots.len() > rows, table, slots.len())?;
    let is_slot = |slot: &u32| *slot == EMPTY_SLOT || (*slot as usize) < rows;
    ensure(slots.iter().all(is_slot), table, rows)
}

/// Values of one source.
struct Values<'m, 'a> {
    image: &'m Image<'a>,
    snapshot: &'m Snapshot<'a>,
    source: Source,
}

impl Values<'_, '_> {
    fn verify_all(&self, values: &[Value], table: &'static str) -> Result<(), Flaw> {
        values
            .iter()
            .enumerate()
            .try_for_each(|(place, value)| ensure(self.leads_somewhere(*value), table, place))
    }

    fn verify_fields(&self, fields: &[Field], table: &'static str) -> Result<(), Flaw> {
        fields.iter().enumerate().try_for_each(|(place, field)| {
            let is_name = (field.name as usize) < self.image.names.rows.len();
            ensure(is_name && self.leads_somewhere(field.value), table, place)
        })
    }

    fn leads_somewhere(&self, value: Value) -> bool {
        match value.content() {
            Content::Bool(_)
            | Content::Long(_)
            | Content::Decimal(_)
            | Content::Datetime(_)
            | Content::Duration(_) => true,
            Content::Absent => false,
            Content::Entity(entity) => {
                let entities = match self.source {
                    Source::Image => self.image.literals.len(),
                    Source::Snapshot | Source::Intent | Source::Scratch => self.snapshot.entities.len(),
                };
                (entity as usize) < entities
            }
            Content::String(span) => {
                span.source == self.source && span.range().of_text(self.text()).is_some()
            }
            Content::Ip(span) => span.source == self.source && (span.start as usize) < self.addresses(),
            Content::Set(span) => span.source == self.source && span.range().of(self.elements()).is_some(),
            Content::Record(span) => self.is_record(span),
        }
    }

    fn is_record(&self, span: Span) -> bool {
        let fields = span.range().of(self.fields());
        span.source == self.source && fields.is_some_and(|fields| fields.is_sorted_by(|a, b| a.name < b.name))
    }

    fn text(&self) -> &str {
        if self.source == Source::Image { self.image.text } else { self.snapshot.text }
    }

    fn addresses(&self) -> usize {
        if self.source == Source::Image { self.image.addresses.len() } else { self.snapshot.addresses.len() }
    }

    fn elements(&self) -> &[Value] {
        if self.source == Source::Image { self.image.elements } else { self.snapshot.elements }
    }

    fn fields(&self) -> &[Field] {
        if self.source == Source::Image { self.image.fields } else { self.snapshot.fields }
    }
}

fn verify_policies(image: &Image<'_>) -> Result<(), Flaw> {
    ensure(image.policies.len() <= MAX_POLICIES, "policies", image.policies.len())?;
    ensure(image.has_scores == image.scores.iter().any(|word| *word != 0), "policy masks", 0)?;
    for masks in [image.forbids, image.approvals, image.scores] {
        ensure(masks.len() == image.words(), "policy masks", masks.len())?;
    }
    for (place, policy) in image.policies.iter().enumerate() {
        let bit = |mask: &[u64]| mask.get(place / 64).is_some_and(|word| word & (1 << (place % 64)) != 0);
        let is_forbid = policy.effect == Effect::Forbid;
        let is_score = matches!(policy.effect, Effect::Score(_));
        ensure(bit(image.forbids) == is_forbid && bit(image.scores) == is_score, "policy masks", place)?;
        ensure(is_forbid || !bit(image.approvals), "policy masks", place)?;
    }
    for range in image.paths {
        let names = range.of(image.path_names).ok_or(flaw("paths", image.paths.len()))?;
        let is_name = |name: &u32| (*name as usize) < image.names.rows.len();
        ensure(names.iter().all(is_name), "paths", range.start as usize)?;
    }
    for (place, pattern) in image.patterns.iter().enumerate() {
        let parts =
            pattern.of(image.parts).filter(|parts| !parts.is_empty()).ok_or(flaw("patterns", place))?;
        ensure(parts.iter().all(|part| part.of_text(image.text).is_some()), "patterns", place)?;
    }
    Ok(())
}

fn verify_scopes(image: &Image<'_>) -> Result<(), Flaw> {
    let rows = |table: &[u64], rows: usize, name| {
        ensure(rows.checked_mul(image.words()) == Some(table.len()), name, table.len())
    };
    rows(image.action_scopes, image.actions.len().saturating_add(1), "action scopes")?;
    for scope in [&image.principals, &image.resources] {
        rows(scope.unnamed, 1, "scopes")?;
        rows(scope.by_type, image.types.rows.len().saturating_add(1), "scopes by type")?;
        rows(scope.equal, image.anchors.len(), "scopes by entity")?;
        rows(scope.within, image.anchors.len(), "scopes by ancestor")?;
    }
    let is_literal = |anchor: &u32| (*anchor as usize) < image.literals.len();
    ensure(image.anchors.iter().all(is_literal), "anchors", image.anchors.len())
}

fn verify_catalog(image: &Image<'_>) -> Result<(), Flaw> {
    ensure(image.type_rows.len() == image.types.rows.len(), "types", image.type_rows.len())?;
    ensure(image.actions.len() <= image.literals.len(), "actions", image.actions.len())?;
    let is_type = |number: &u32| (*number as usize) < image.types.rows.len();
    let is_shape = |number: u32| (number as usize) < image.shapes.len();
    ensure(image.applies_to.iter().all(is_type), "types that actions apply to", image.applies_to.len())?;
    for (place, literal) in image.literals.iter().enumerate() {
        let has_id = literal.id.of_text(image.text).is_some();
        ensure(has_id && is_type(&literal.type_number), "literals", place)?;
    }
    for (place, shape) in image.shapes.iter().enumerate() {
        let holds = match *shape {
            Shape::Entity(number) => is_type(&number),
            Shape::Set(element) => is_shape(element),
            Shape::Record(range) => range
                .of(image.attributes)
                .is_some_and(|attributes| attributes.is_sorted_by(|left, right| left.name < right.name)),
            Shape::Bool
            | Shape::Long
            | Shape::String
            | Shape::Decimal
            | Shape::Datetime
            | Shape::Duration
            | Shape::Ip => true,
        };
        ensure(holds, "shapes", place)?;
    }
    for (place, attribute) in image.attributes.iter().enumerate() {
        let is_name = (attribute.name as usize) < image.names.rows.len();
        ensure(is_name && is_shape(attribute.shape), "attributes", place)?;
    }
    for (place, action) in image.actions.iter().enumerate() {
        let types = [action.principals, action.resources];
        let in_table = |range: &Range| range.of(image.applies_to).is_some();
        let asserts = !action.is_asserted || image.facts.is_some();
        let is_record = matches!(image.shapes.get(action.context as usize), Some(Shape::Record(_)));
        ensure(types.iter().all(in_table) && is_record && asserts, "actions", place)?;
    }
    for (place, row) in image.type_rows.iter().enumerate() {
        let attributes = row.attributes.of(image.attributes);
        ensure(attributes.is_some_and(|rows| rows.is_sorted_by(|a, b| a.name < b.name)), "types", place)?;
    }
    // Facts are asserted without sorting: their names come first, in their order.
    let in_order = |facts: FactNames| {
        let FactNames { assent, now, risk, approvals, degraded, agent_rate, epoch } = facts;
        let names = [now, risk, approvals, degraded, agent_rate, epoch];
        assent == 0 && names.is_sorted_by(|a, b| a < b) && (epoch as usize) < image.names.rows.len()
    };
    ensure(image.facts.is_none_or(in_order), "facts", 0)?;
    Ok(())
}

fn verify_snapshot(image: &Image<'_>, snapshot: &Snapshot<'_>) -> Result<(), Flaw> {
    verify_slots(snapshot.slots, snapshot.entities.len(), "entities by uid")?;
    let own = Values { image, snapshot, source: Source::Snapshot };
    own.verify_all(snapshot.elements, "elements of entities")?;
    own.verify_fields(snapshot.fields, "fields of entities")?;
    for (place, literal) in image.literals.iter().enumerate() {
        let row = snapshot.entities.get(place);
        let is_same = row.is_some_and(|row| {
            row.type_number == literal.type_number
                && row.id.of_text(snapshot.text) == literal.id.of_text(image.text)
        });
        ensure(is_same, "literals of the snapshot", place)?;
    }
    for (place, row) in snapshot.entities.iter().enumerate() {
        let id = row.id.of_text(snapshot.text).ok_or(flaw("entities", place))?;
        let number = u32::try_from(place).map_err(|_| flaw("entities", place))?;
        ensure(snapshot.find(row.type_number, id) == Some(number), "entities by uid", place)?;
        verify_entity(image, snapshot, &own, row, number)?;
    }
    Ok(())
}

fn verify_entity(
    image: &Image<'_>,
    snapshot: &Snapshot<'_>,
    values: &Values<'_, '_>,
    row: &EntityRow,
    number: u32,
) -> Result<(), Flaw> {
    let place = number as usize;
    let at = |holds, table| ensure(holds, table, place);
    at((row.type_number as usize) < image.types.rows.len(), "types of entities")?;
    let declared =
        image.type_rows.get(row.type_number as usize).and_then(|row| row.attributes.of(image.attributes));
    let declared = declared.ok_or(flaw("types of entities", place))?;
    let attributes = row.attributes.of(snapshot.attributes).ok_or(flaw("attributes of entities", place))?;
    let expected = if row.is_present { declared.len() } else { 0 };
    let fits = |value: &Value, is_required: bool| match value.is_absent() {
        true => !is_required,
        false => values.leads_somewhere(*value),
    };
    let mut pairs = attributes.iter().zip(declared);
    let all_fit = pairs.all(|(value, attribute)| fits(value, attribute.is_required));
    at(attributes.len() == expected && all_fit, "attributes of entities")?;

    let ancestors = row.ancestors.of(snapshot.ancestors).unwrap_or(&[EMPTY_SLOT]);
    let is_entity = |entity: &u32| (*entity as usize) < snapshot.entities.len();
    at(ancestors.iter().all(is_entity) && ancestors.is_sorted_by(|a, b| a < b), "ancestors")?;

    let tags = row.tags.of(snapshot.tags).ok_or(flaw("tags", place))?;
    let keys = || tags.iter().map(|tag| tag.key.of_text(snapshot.text));
    at(keys().all(|key| key.is_some()) && keys().is_sorted_by(|a, b| a < b), "tags")?;
    at(tags.iter().all(|tag| values.leads_somewhere(tag.value)), "tags")?;

    // An entity's anchors are exactly those that it is or lies below.
    let anchors = row.anchors.of(snapshot.anchors).ok_or(flaw("anchors", place))?;
    for (anchor, literal) in image.anchors.iter().enumerate() {
        let is_above = *literal == number || ancestors.binary_search(literal).is_ok();
        let is_listed = anchors.iter().any(|listed| *listed as usize == anchor);
        at(is_above == is_listed, "anchors")?;
        at((*literal == number) == (row.anchor as usize == anchor), "anchors")?;
    }
    Ok(())
}
