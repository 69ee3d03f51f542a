//! Tables under construction: text, names and entities get their numbers here.
//!
//! The rule they keep: what was numbered once keeps its number, so a number may be handed out before the table is full.

use assent_evaluator::{EMPTY_SLOT, Range, hash_name};
use std::collections::HashMap;

/// A place in a table as a number. Tables of more than four thousand million rows do not fit into memory first.
pub(crate) fn number(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(u32::MAX)
}

/// Text of which each piece is kept once.
#[derive(Debug, Default)]
pub(crate) struct TextTable {
    pub(crate) text: String,
    known: HashMap<String, Range>,
}

impl TextTable {
    /// No more will be kept: what only finds known pieces is given back. It is larger than the text.
    pub(crate) fn close(&mut self) {
        self.known = HashMap::new();
        self.text.shrink_to_fit();
    }

    pub(crate) fn keep(&mut self, piece: &str) -> Range {
        if let Some(range) = self.known.get(piece) {
            return *range;
        }
        let range = Range { start: number(self.text.len()), length: number(piece.len()) };
        self.text.push_str(piece);
        self.known.insert(piece.to_owned(), range);
        range
    }
}

/// Names and their numbers.
#[derive(Clone, Debug, Default)]
pub(crate) struct NameTable {
    names: Vec<String>,
    numbers: HashMap<String, u32>,
}

impl NameTable {
    pub(crate) fn keep(&mut self, name: &str) -> u32 {
        match self.numbers.get(name) {
            Some(known) => *known,
            None => {
                let new = number(self.names.len());
                self.names.push(name.to_owned());
                self.numbers.insert(name.to_owned(), new);
                new
            }
        }
    }

    pub(crate) fn find(&self, name: &str) -> Option<u32> {
        self.numbers.get(name).copied()
    }

    pub(crate) fn len(&self) -> usize {
        self.names.len()
    }

    /// The rows and slots that the evaluator searches.
    pub(crate) fn finish(&self, text: &mut TextTable) -> (Vec<Range>, Vec<u32>) {
        let rows = self.names.iter().map(|name| text.keep(name)).collect();
        (rows, open_addressed(self.names.iter().map(|name| hash_name(name))))
    }
}

/// Slots for rows whose hashes are given in order, at most half full.
pub(crate) fn open_addressed(hashes: impl ExactSizeIterator<Item = u64>) -> Vec<u32> {
    let size = (hashes.len() * 2).next_power_of_two().max(2);
    let mut slots = vec![EMPTY_SLOT; size];
    for (row, hash) in hashes.enumerate() {
        #[expect(clippy::cast_possible_truncation, reason = "the mask keeps the low bits only")]
        let mut at = hash as usize & (size - 1);
        while slots.get(at).is_some_and(|slot| *slot != EMPTY_SLOT) {
            at = (at + 1) & (size - 1);
        }
        if let Some(slot) = slots.get_mut(at) {
            *slot = number(row);
        }
    }
    slots
}

/// An entity uid, owned.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct EntityName {
    pub(crate) type_name: String,
    pub(crate) id: String,
}

impl EntityName {
    pub(crate) fn new(type_name: impl Into<String>, id: impl Into<String>) -> Self {
        Self { type_name: type_name.into(), id: id.into() }
    }

    pub(crate) fn of(uid: &cedar_policy::EntityUid) -> Self {
        Self::new(uid.type_name().to_string(), uid.id().unescaped())
    }

    pub(crate) fn of_pst(uid: &cedar_policy::pst::EntityUID) -> Self {
        Self::new(uid.ty.0.to_string(), uid.eid.as_str())
    }
}

/// Entities and their numbers.
#[derive(Clone, Debug, Default)]
pub(crate) struct EntityTable {
    pub(crate) entities: Vec<EntityName>,
    numbers: HashMap<EntityName, u32>,
}

impl EntityTable {
    pub(crate) fn find(&self, entity: &EntityName) -> Option<u32> {
        self.numbers.get(entity).copied()
    }

    pub(crate) fn keep(&mut self, entity: &EntityName) -> u32 {
        match self.numbers.get(entity) {
            Some(known) => *known,
            None => {
                let new = number(self.entities.len());
                self.entities.push(entity.clone());
                self.numbers.insert(entity.clone(), new);
                new
            }
        }
    }
}
