//! The snapshot: entities, their attributes, tags and ancestors, as tables.
//!
//! The rule it keeps: an entity's number stands for its uid, so a uid occurs once. Entities that are named but not listed
//! (by the image, by another's attribute or as a parent) have a row too, and it says that they are not present.

use crate::names::{hash_uid, search};
use crate::value::{Address, Field, Range, Value};

/// The tables of a snapshot.
#[derive(Clone, Copy, Debug)]
pub struct Snapshot<'a> {
    /// All text of the snapshot.
    pub text: &'a str,
    /// Elements of sets.
    pub elements: &'a [Value],
    /// Attributes of entities: for each that is listed one value for each attribute that its type declares, in the
    /// order of their names, and [`Value::ABSENT`] where an optional one is not there.
    pub attributes: &'a [Value],
    /// Fields of records, sorted by name within each.
    pub fields: &'a [Field],
    /// Addresses.
    pub addresses: &'a [Address],
    /// The entities; the image's literals come first, in their order.
    pub entities: &'a [EntityRow],
    /// Entities by uid: open addressing by [`hash_uid`].
    pub slots: &'a [u32],
    /// Ancestors of entities, sorted within each.
    pub ancestors: &'a [u32],
    /// Anchors of the image among an entity and its ancestors.
    pub anchors: &'a [u32],
    /// Tags of entities, sorted by key within each.
    pub tags: &'a [Tag],
}

/// One entity.
#[derive(Clone, Copy, Debug)]
pub struct EntityRow {
    /// Number of its type in the image.
    pub type_number: u32,
    /// Its id, in the snapshot's text.
    pub id: Range,
    /// Whether the snapshot lists it.
    pub is_present: bool,
    /// Its attributes; none where it is not listed.
    pub attributes: Range,
    /// Its tags.
    pub tags: Range,
    /// Its ancestors.
    pub ancestors: Range,
    /// Anchors among itself and its ancestors.
    pub anchors: Range,
    /// Its own anchor, or [`EMPTY_SLOT`](crate::EMPTY_SLOT).
    pub anchor: u32,
}

/// A tag of an entity.
#[derive(Clone, Copy, Debug)]
pub struct Tag {
    /// Its key, in the snapshot's text.
    pub key: Range,
    /// Its value.
    pub value: Value,
}

impl Snapshot<'_> {
    /// The number of an entity.
    #[inline]
    pub fn find(&self, type_number: u32, id: &str) -> Option<u32> {
        search(self.slots, hash_uid(type_number, id), |number| {
            self.entities
                .get(number as usize)
                .is_some_and(|row| row.type_number == type_number && row.id.of_text(self.text) == Some(id))
        })
    }
}
