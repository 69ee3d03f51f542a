//! Values and entities in Cedar's JSON, of the types that the catalog wants.
//!
//! Extension values and entities come in both of their spellings, with and without an escape. Some entities that are
//! named are listed nowhere: as parents, in attributes, in contexts.

use crate::dice::{DATES, DECIMALS, Dice, GONE, HUGE_LONGS, HUGE_WAITS, IDS, IPS, LONGS, STRINGS, WAITS};
use crate::schema::{Attribute, Catalog, Kind};
use serde_json::{Map, Value, json};

/// Writes values.
#[derive(Debug)]
pub(crate) struct Values<'c, 'd> {
    pub(crate) catalog: &'c Catalog,
    pub(crate) dice: &'d mut Dice,
    /// How often an entity is one that is not there, and a number one that overflows, in a thousand.
    pub(crate) oddity: usize,
}

impl<'c, 'd> Values<'c, 'd> {
    pub(crate) fn new(catalog: &'c Catalog, dice: &'d mut Dice, oddity: usize) -> Self {
        Self { catalog, dice, oddity }
    }

    fn is_odd(&mut self) -> bool {
        self.dice.below(1000) < self.oddity
    }

    /// An id of a type, rarely one that no snapshot lists.
    pub(crate) fn id(&mut self, place: usize) -> &'static str {
        let kind = &self.catalog.types[place];
        if !kind.choices.is_empty() {
            return self.dice.pick(kind.choices);
        }
        if self.is_odd() { GONE } else { self.dice.pick(IDS) }
    }

    fn extension(&mut self, function: &str, text: &str) -> Value {
        match self.dice.percent(50) {
            true => json!(text),
            false => json!({"__extn": {"fn": function, "arg": text}}),
        }
    }

    pub(crate) fn value(&mut self, kind: &Kind) -> Value {
        match kind {
            Kind::Bool => json!(self.dice.percent(50)),
            Kind::Long if self.is_odd() => json!(self.dice.pick(HUGE_LONGS)),
            Kind::Long => json!(self.dice.pick(LONGS)),
            Kind::String => json!(self.dice.pick(STRINGS)),
            Kind::Decimal => {
                let text = self.dice.pick(DECIMALS);
                self.extension("decimal", text)
            }
            Kind::Datetime => {
                let text = self.dice.pick(DATES);
                self.extension("datetime", text)
            }
            Kind::Duration => {
                let pool = if self.is_odd() { HUGE_WAITS } else { WAITS };
                let text = self.dice.pick(pool);
                self.extension("duration", text)
            }
            Kind::Ip => {
                let text = self.dice.pick(IPS);
                self.extension("ip", text)
            }
            Kind::Entity(place) => {
                let uid = json!({"type": self.catalog.name(*place), "id": self.id(*place)});
                if self.dice.percent(50) { uid } else { json!({"__entity": uid}) }
            }
            Kind::Set(element) => {
                let several = self.dice.below(4);
                (0..several).map(|_| self.value(element)).collect()
            }
            Kind::Record(attributes) => Value::Object(self.record(attributes)),
        }
    }

    pub(crate) fn record(&mut self, attributes: &[Attribute]) -> Map<String, Value> {
        let mut record = Map::new();
        for attribute in attributes {
            if attribute.is_required || self.dice.percent(60) {
                record.insert(attribute.name.to_owned(), self.value(&attribute.kind));
            }
        }
        record
    }
}

/// A snapshot: of most types three entities or so.
pub(crate) fn entities(catalog: &Catalog, dice: &mut Dice) -> Vec<Value> {
    let mut all = Vec::new();
    let oddity = dice.pick(&[0, 50, 150]);
    for (place, kind) in catalog.types.iter().enumerate() {
        if kind.is_transient || !kind.choices.is_empty() {
            continue;
        }
        for (number, id) in IDS.iter().enumerate() {
            let mut values = Values::new(catalog, dice, oddity);
            let attributes = values.record(&kind.attributes);
            let mut tags = Map::new();
            if let Some(tag) = &kind.tags {
                for _ in 0..values.dice.below(4) {
                    let key = values.dice.pick(STRINGS);
                    tags.insert(key.to_owned(), values.value(tag));
                }
            }
            let parents = parents(&mut values, place, number);
            let uid = json!({"type": catalog.name(place), "id": id});
            all.push(json!({"uid": uid, "attrs": attributes, "parents": parents, "tags": tags}));
        }
    }
    all
}

/// Parents of the types that the catalog allows; within a type only such as come later, so that there are no circles.
fn parents(values: &mut Values<'_, '_>, place: usize, number: usize) -> Vec<Value> {
    let mut parents = Vec::new();
    for above in values.catalog.types[place].parents.clone() {
        let id = match above == place {
            true => IDS.get(number + 1 + values.dice.below(2)).copied(),
            false => Some(values.id(above)),
        };
        if let Some(id) = id.filter(|_| values.dice.percent(70)) {
            parents.push(json!({"type": values.catalog.name(above), "id": id}));
        }
    }
    parents
}
