//! Contents: what one intent says, in bounded tables of its own.
//!
//! The rule they keep: equal uids have equal numbers, also where the snapshot does not know them; whether an entity that it
//! does not list may be named at all is noted here and answered by classification.

use crate::classification::Misfit;
use crate::image::Image;
use crate::limits::{
    MAX_INTENT_ADDRESSES, MAX_INTENT_STRANGERS, MAX_INTENT_STRINGS, MAX_INTENT_UNKNOWN_NAMES,
    MAX_INTENT_VALUES,
};
use crate::snapshot::Snapshot;
use crate::value::{Address, Field, Value};
use heapless::Vec;

/// A Cedar entity uid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Uid<'a> {
    /// Its type with the namespaces: `Retail::Order`.
    pub type_name: &'a str,
    /// Its id, without escapes.
    pub id: &'a str,
}

/// An entity that the snapshot does not know.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stranger<'a> {
    pub(crate) uid: Uid<'a>,
    /// Number of its type, where the catalog knows it.
    pub(crate) type_number: Option<u32>,
}

/// What an intent says, in tables of its own.
#[derive(Debug)]
pub(crate) struct Contents<'a> {
    pub(crate) principal: u32,
    pub(crate) action: u32,
    pub(crate) resource: u32,
    pub(crate) context: Option<Value>,
    /// Principal, action, resource and context as values, in the order of their operands' numbers.
    pub(crate) variables: [Value; 4],
    pub(crate) strings: Vec<&'a str, MAX_INTENT_STRINGS>,
    pub(crate) elements: Vec<Value, MAX_INTENT_VALUES>,
    pub(crate) fields: Vec<Field, { MAX_INTENT_VALUES + FACT_FIELDS }>,
    pub(crate) addresses: Vec<Address, MAX_INTENT_ADDRESSES>,
    pub(crate) strangers: Vec<Stranger<'a>, MAX_INTENT_STRANGERS>,
    pub(crate) unknown_names: Vec<&'a str, MAX_INTENT_UNKNOWN_NAMES>,
    /// The first entity that should be in the snapshot and is not.
    pub(crate) absent: Option<Uid<'a>>,
}

/// `context.assent` and its attributes, and one more to spare.
pub(crate) const FACT_FIELDS: usize = 8;

impl<'a> Contents<'a> {
    /// The stranger that an entity number beyond the snapshot's stands for.
    pub(crate) fn stranger(&self, snapshot: &Snapshot<'_>, entity: u32) -> Option<&Stranger<'a>> {
        self.strangers.get((entity as usize).checked_sub(snapshot.entities.len())?)
    }

    /// Keeps the context, which is a record.
    pub(crate) fn keep_context(&mut self, context: Value) {
        let [principal, action, resource, _] = self.variables;
        self.variables = [principal, action, resource, context];
        self.context = Some(context);
    }

    /// The number of an entity; equal uids have equal numbers.
    pub(crate) fn entity(
        &mut self,
        image: &Image<'_>,
        snapshot: &Snapshot<'_>,
        uid: Uid<'a>,
    ) -> Result<u32, Misfit<'a>> {
        let type_number = image.types.find(image.text, uid.type_name);
        let known = type_number.and_then(|number| snapshot.find(number, uid.id));
        let is_transient = type_number
            .and_then(|number| image.type_rows.get(number as usize))
            .is_some_and(|row| row.is_transient);
        let is_present =
            known.and_then(|number| snapshot.entities.get(number as usize)).is_some_and(|row| row.is_present);
        if !is_present && !is_transient {
            self.absent.get_or_insert(uid);
        }
        match known {
            Some(number) => Ok(number),
            None => self.befriend(snapshot, Stranger { uid, type_number }),
        }
    }

    fn befriend(&mut self, snapshot: &Snapshot<'_>, stranger: Stranger<'a>) -> Result<u32, Misfit<'a>> {
        let place = match self.strangers.iter().position(|known| known.uid == stranger.uid) {
            Some(place) => place,
            None => {
                let place = self.strangers.len();
                self.strangers.push(stranger).map_err(|_| Misfit::TooLarge("entities"))?;
                place
            }
        };
        number(snapshot.entities.len().saturating_add(place))
    }
}

/// A place in a table as a number; tables are far smaller.
pub(crate) fn number<'a>(place: usize) -> Result<u32, Misfit<'a>> {
    u32::try_from(place).map_err(|_| Misfit::TooLarge("tables"))
}
