//! Damage: a few numbers of sound tables, changed. What is left of them is for the verifier to judge.

use super::{Side, Tables};
use crate::choices::Choices;
use crate::programs::any;
use assent_evaluator::{Effect, Range, Shape, Source, Span, Value};

fn one<T>(table: &mut Vec<T>, choices: &mut Choices<'_>, change: impl FnOnce(&mut T, &mut Choices<'_>)) {
    let place = choices.below(table.len());
    if let Some(row) = table.get_mut(place) {
        change(row, choices);
    }
}

fn numbers(table: &mut Vec<u32>, choices: &mut Choices<'_>) {
    match choices.below(4) {
        0 => drop(table.pop()),
        1 => table.push(choices.number()),
        _ => one(table, choices, |row, choices| *row = choices.number()),
    }
}

fn words(table: &mut Vec<u64>, choices: &mut Choices<'_>) {
    match choices.below(4) {
        0 => drop(table.pop()),
        1 => table.push(u64::MAX),
        _ => one(table, choices, |row, choices| *row ^= 1 << choices.below(64)),
    }
}

fn range(range: &mut Range, choices: &mut Choices<'_>) {
    match choices.below(2) {
        0 => range.start = choices.number(),
        _ => range.length = choices.number(),
    }
}

fn ranges(table: &mut Vec<Range>, choices: &mut Choices<'_>) {
    match choices.below(4) {
        0 => drop(table.pop()),
        _ => one(table, choices, range),
    }
}

impl Side {
    fn damage(&mut self, choices: &mut Choices<'_>) {
        match choices.below(4) {
            0 => words(&mut self.unnamed, choices),
            1 => words(&mut self.by_type, choices),
            2 => words(&mut self.equal, choices),
            _ => words(&mut self.within, choices),
        }
    }
}

impl Tables {
    /// Changes a number somewhere.
    pub fn damage(&mut self, choices: &mut Choices<'_>) {
        self.is_unsound = true;
        match choices.below(4) {
            0 => self.damage_policies(choices),
            1 => self.damage_catalog(choices),
            2 => self.damage_entities(choices),
            _ => self.damage_values(choices),
        }
    }

    fn damage_policies(&mut self, choices: &mut Choices<'_>) {
        match choices.below(14) {
            0 => one(&mut self.policies, choices, |row, choices| range(&mut row.code, choices)),
            1 => one(&mut self.policies, choices, |row, _| row.effect = Effect::Forbid),
            2 => drop(self.policies.pop()),
            3 => self.masks.iter_mut().for_each(|mask| words(mask, choices)),
            4 => ranges(&mut self.patterns, choices),
            5 => ranges(&mut self.parts, choices),
            6 => ranges(&mut self.paths, choices),
            7 => numbers(&mut self.path_names, choices),
            8 => words(&mut self.environment_scopes, choices),
            9 => numbers(&mut self.environment_programs, choices),
            10 => one(&mut self.programs, choices, |row, choices| range(&mut row.code, choices)),
            11 => one(&mut self.programs, choices, |row, choices| row.context_slots = choices.number()),
            _ => one(&mut self.code, choices, |row, choices| *row = any(choices)),
        }
    }

    fn damage_catalog(&mut self, choices: &mut Choices<'_>) {
        match choices.below(14) {
            0 => ranges(&mut self.name_rows, choices),
            1 => numbers(&mut self.name_slots, choices),
            2 => ranges(&mut self.type_names, choices),
            3 => numbers(&mut self.type_slots, choices),
            4 => one(&mut self.shapes, choices, |row, choices| *row = Shape::Set(choices.number())),
            5 => one(&mut self.attributes, choices, |row, choices| row.name = choices.number()),
            6 => one(&mut self.attributes, choices, |row, choices| row.shape = choices.number()),
            7 => one(&mut self.actions, choices, |row, choices| row.context = choices.number()),
            8 => one(&mut self.actions, choices, |row, choices| range(&mut row.resources, choices)),
            9 => numbers(&mut self.applies_to, choices),
            10 => self.facts = None,
            11 => one(&mut self.type_rows, choices, |row, choices| range(&mut row.attributes, choices)),
            12 => one(&mut self.actions, choices, |row, choices| row.environments = choices.number()),
            _ => one(&mut self.type_rows, choices, |row, _| row.is_transient ^= true),
        }
    }

    fn damage_entities(&mut self, choices: &mut Choices<'_>) {
        match choices.below(14) {
            0 => one(&mut self.literals, choices, |row, choices| row.type_number = choices.number()),
            1 => one(&mut self.literals, choices, |row, choices| range(&mut row.id, choices)),
            2 => numbers(&mut self.anchors, choices),
            3 => one(&mut self.entities, choices, |row, choices| row.type_number = choices.number()),
            4 => one(&mut self.entities, choices, |row, choices| range(&mut row.attributes, choices)),
            5 => one(&mut self.entities, choices, |row, choices| range(&mut row.tags, choices)),
            6 => one(&mut self.entities, choices, |row, choices| range(&mut row.ancestors, choices)),
            7 => one(&mut self.entities, choices, |row, choices| row.anchor = choices.number()),
            8 => self.principals.damage(choices),
            9 => numbers(&mut self.slots, choices),
            10 => numbers(&mut self.ancestors, choices),
            11 => self.resources.damage(choices),
            12 => drop(self.entities.pop()),
            _ => numbers(&mut self.entity_anchors, choices),
        }
    }

    fn damage_values(&mut self, choices: &mut Choices<'_>) {
        let values = if choices.below(2) == 0 { &mut self.image } else { &mut self.snapshot };
        match choices.below(8) {
            // A value of the other source, or one that lies elsewhere by now.
            0 => one(&mut self.constants, choices, |row, choices| *row = stray(choices)),
            1 | 2 => one(&mut values.elements, choices, |row, choices| *row = stray(choices)),
            3 => one(&mut values.fields, choices, |row, choices| row.value = stray(choices)),
            4 => one(&mut values.fields, choices, |row, choices| row.name = choices.number()),
            5 => one(&mut self.entity_attributes, choices, |row, choices| *row = stray(choices)),
            6 => drop(values.addresses.pop()),
            _ => words(&mut self.action_scopes, choices),
        }
    }
}

/// A value that leads anywhere: into itself, too.
fn stray(choices: &mut Choices<'_>) -> Value {
    let source = choices.pick(&[Source::Image, Source::Snapshot, Source::Intent, Source::Scratch]);
    let span = Span { source, start: choices.number(), length: choices.number() };
    match choices.below(6) {
        0 => Value::string(span),
        1 => Value::ip(span),
        2 => Value::record(span),
        3 => Value::entity(choices.number()),
        4 => Value::ABSENT,
        _ => Value::set(span),
    }
}
