//! Tables: an image and a snapshot that fit together, of which bytes decide the contents, and then break a few places.
//!
//! What the verifier computes is computed here as well (slots, anchors, sizes of scopes), or it would refuse them all.

mod damage;
mod storage;
mod values;

use crate::choices::Choices;
use crate::programs::{Slots, program};
use assent_evaluator::{
    ActionRow, Attribute, EMPTY_SLOT, Effect, EntityRow, FactNames, Instruction, Literal, PolicyRow,
    Priority, ProgramRow, Range, Shape, Source, Tag, Terms, TypeRow, Value, hash_name, hash_uid,
};
use values::Values;

/// Attribute names; the facts' come first, in their order.
pub const NAMES: &[&str] = &[
    "assent",
    "now",
    "risk",
    "approvals",
    "degraded",
    "agent_rate",
    "epoch",
    "a",
    "b",
    "c",
    "d",
    "e",
    "f",
    "g",
    "h",
];
/// The number of `a`.
const FIRST: u32 = 7;
/// Attributes of each type, from `a` on; every other one is optional.
const ATTRIBUTES: &[u32] = &[0, 6, 3, 0];
/// Attributes of the first action's context.
const CONTEXT: u32 = 8;
/// Entity types; entities of the last are in no snapshot.
pub const TYPES: &[&str] = &["Action", "U", "G", "T"];
/// Ids of entities; the first two are actions too.
pub const IDS: &[&str] = &["act", "look", "e0", "e1", "e2", "gone"];
const TEXTS: &[&str] = &["", "x", "ab", "b*", "\u{e9}", "abcabcabd"];
/// Entities of the snapshot: type and id.
const ENTITIES: &[(u32, usize)] = &[(0, 0), (0, 1), (2, 3), (1, 2), (2, 2), (1, 3), (1, 4), (2, 4), (1, 5)];
/// How many of them the image names too.
const LITERALS: usize = 5;
const ANCHORS: &[u32] = &[2, 4];

/// Rows of one side of the scopes.
#[derive(Debug, Default)]
struct Side {
    unnamed: Vec<u64>,
    by_type: Vec<u64>,
    equal: Vec<u64>,
    within: Vec<u64>,
}

/// All tables, owned.
#[derive(Debug, Default)]
pub struct Tables {
    image: Values,
    constants: Vec<Value>,
    code: Vec<Instruction>,
    patterns: Vec<Range>,
    parts: Vec<Range>,
    paths: Vec<Range>,
    path_names: Vec<u32>,
    policies: Vec<PolicyRow>,
    masks: [Vec<u64>; 3],
    name_rows: Vec<Range>,
    name_slots: Vec<u32>,
    type_names: Vec<Range>,
    type_slots: Vec<u32>,
    type_rows: Vec<TypeRow>,
    shapes: Vec<Shape>,
    attributes: Vec<Attribute>,
    actions: Vec<ActionRow>,
    applies_to: Vec<u32>,
    literals: Vec<Literal>,
    anchors: Vec<u32>,
    action_scopes: Vec<u64>,
    environment_scopes: Vec<u64>,
    environment_programs: Vec<u32>,
    programs: Vec<ProgramRow>,
    principals: Side,
    resources: Side,
    facts: Option<FactNames>,
    budget: u64,
    snapshot: Values,
    entities: Vec<EntityRow>,
    entity_attributes: Vec<Value>,
    slots: Vec<u32>,
    ancestors: Vec<u32>,
    entity_anchors: Vec<u32>,
    tags: Vec<Tag>,
    is_unsound: bool,
}

fn number(of: usize) -> u32 {
    u32::try_from(of).unwrap_or(u32::MAX)
}

/// Open addressing, as the evaluator searches.
fn slots(hashes: impl ExactSizeIterator<Item = u64>) -> Vec<u32> {
    let size = (hashes.len() * 2).next_power_of_two().max(2);
    let mut slots = vec![EMPTY_SLOT; size];
    for (row, hash) in hashes.enumerate() {
        let mut at = hash as usize & (size - 1);
        while slots[at] != EMPTY_SLOT {
            at = (at + 1) & (size - 1);
        }
        slots[at] = number(row);
    }
    slots
}

impl Tables {
    /// Tables out of bytes.
    pub fn new(choices: &mut Choices<'_>) -> Self {
        let mut tables = Self { budget: 100_000, ..Self::default() };
        tables.lay_names();
        tables.lay_catalog();
        tables.image.fill(Source::Image, choices);
        for _ in 0..8 {
            let value = tables.image.any(Source::Image, choices);
            tables.constants.push(value);
        }
        tables.lay_operands(choices);
        tables.lay_policies(choices);
        tables.lay_entities(choices);
        tables
    }

    /// Whether the verifier must take them.
    pub fn is_sound(&self) -> bool {
        !self.is_unsound
    }

    fn lay_names(&mut self) {
        self.name_rows = NAMES.iter().map(|name| self.image.keep(name)).collect();
        self.name_slots = slots(NAMES.iter().map(|name| hash_name(name)));
        self.type_names = TYPES.iter().map(|name| self.image.keep(name)).collect();
        self.type_slots = slots(TYPES.iter().map(|name| hash_name(name)));
        for (type_number, id) in &ENTITIES[..LITERALS] {
            let id = self.image.keep(IDS[*id]);
            self.literals.push(Literal { type_number: *type_number, id });
        }
        self.anchors = ANCHORS.to_vec();
        let [assent, now, risk, approvals, degraded, agent_rate, epoch] = std::array::from_fn(number);
        self.facts = Some(FactNames { assent, now, risk, approvals, degraded, agent_rate, epoch });
    }

    /// Two actions: one with the facts, and one that takes anything with an empty context.
    fn lay_catalog(&mut self) {
        let scalars = [
            Shape::Long,
            Shape::String,
            Shape::Datetime,
            Shape::Entity(1),
            Shape::Decimal,
            Shape::Ip,
            Shape::Bool,
            Shape::Set(0),
        ];
        self.shapes.extend(scalars);
        let field = |name: u32, shape: u32| Attribute { name, shape, is_required: true };
        let facts = [field(1, 2), field(2, 0), field(3, 0), field(4, 6), field(5, 0), field(6, 0)];
        self.attributes.extend(facts);
        self.shapes.push(Shape::Record(Range { start: 0, length: 6 }));
        let context = [(0, 8), (7, 0), (8, 1), (9, 7), (10, 2), (11, 3), (12, 4), (13, 5)];
        self.attributes.extend(context.map(|(name, shape)| field(name, shape)));
        self.shapes.push(Shape::Record(Range { start: 6, length: CONTEXT }));
        self.shapes.push(Shape::Record(Range { start: 0, length: 0 }));
        for (place, length) in ATTRIBUTES.iter().enumerate() {
            let attributes = Range { start: number(self.attributes.len()), length: *length };
            let declared =
                (0..*length).map(|step| Attribute { is_required: step % 2 == 0, ..field(FIRST + step, 0) });
            self.attributes.extend(declared);
            self.type_rows.push(TypeRow { is_transient: place == 3, attributes });
        }
        self.applies_to = vec![1, 2, 3];
        let all = Range { start: 0, length: 3 };
        let terms = Terms {
            risk: 10,
            window_ms: 1000,
            uses: 1,
            priority: Priority::Normal,
            break_glass: false,
            queue_ms: None,
        };
        let row = |environments, context, is_asserted| ActionRow {
            principals: all,
            resources: all,
            context,
            environments,
            is_asserted,
            terms,
        };
        self.actions = vec![row(0, 9, true), row(9, 10, false)];
    }

    /// Paths of no, one, two and three names, sorted, and patterns.
    fn lay_operands(&mut self, choices: &mut Choices<'_>) {
        for length in [0, 1, 2, 3, 2, 1, 3, 2] {
            let start = number(self.path_names.len());
            let first = FIRST + number(choices.below(5));
            self.path_names.extend((0..length).map(|step| first + step));
            self.paths.push(Range { start, length });
        }
        for _ in 0..8 {
            let start = number(self.parts.len());
            let several = 1 + choices.below(3);
            for _ in 0..several {
                let part = self.image.keep(choices.pick(TEXTS));
                self.parts.push(part);
            }
            self.patterns.push(Range { start, length: number(several) });
        }
    }

    /// Lays a program, and says where.
    fn lay_program(&mut self, choices: &mut Choices<'_>, slots: Slots) -> Range {
        let (code, is_sound) = program(choices, slots);
        self.is_unsound |= !is_sound;
        let row = Range { start: number(self.code.len()), length: number(code.len()) };
        self.code.extend(code);
        row
    }

    fn lay_policies(&mut self, choices: &mut Choices<'_>) {
        let mut masks = [0_u64; 3];
        let several = choices.below(7);
        for place in 0..several {
            let code = self.lay_program(choices, Slots::default());
            let effect = match choices.below(4) {
                0 => Effect::Forbid,
                1 => Effect::Score(choices.long().saturating_abs()),
                _ => Effect::Permit,
            };
            let bit = 1 << place;
            masks[0] |= if effect == Effect::Forbid { bit } else { 0 };
            masks[1] |= if effect == Effect::Forbid && choices.below(2) == 0 { bit } else { 0 };
            masks[2] |= if matches!(effect, Effect::Score(_)) { bit } else { 0 };
            self.policies.push(PolicyRow { effect, code });
        }
        let words = several.div_ceil(64);
        self.masks = masks.map(|mask| vec![mask; words]);
        let mut rows = |rows: usize| -> Vec<u64> {
            // Mostly everything is in scope.
            (0..rows * words)
                .map(|_| if choices.once_in(4) { u64::from(choices.byte()) } else { u64::MAX })
                .collect()
        };
        self.action_scopes = rows(self.actions.len() + 1);
        for side in [&mut self.principals, &mut self.resources] {
            *side = Side {
                unnamed: rows(1),
                by_type: rows(TYPES.len() + 1),
                equal: rows(ANCHORS.len()),
                within: rows(ANCHORS.len()),
            };
        }
        if several > 0 {
            self.lay_environments(choices, several);
        }
    }

    /// Programs that read slots, and which of them each policy has in each environment.
    fn lay_environments(&mut self, choices: &mut Choices<'_>, policies: usize) {
        let kinds =
            [(0, 0, 0), (0, 0, CONTEXT), (6, 0, CONTEXT), (3, 3, CONTEXT), (6, 3, 0), (3, 0, CONTEXT)];
        for (principal, resource, context) in kinds {
            let slots = Slots { principal, resource, context };
            let code = self.lay_program(choices, slots);
            let (principal_slots, resource_slots, context_slots) = (principal, resource, context);
            self.programs.push(ProgramRow { code, principal_slots, resource_slots, context_slots });
        }
        for context in [CONTEXT, 0] {
            for principal in [1, 2, 3] {
                for resource in [1, 2, 3] {
                    let has = (ATTRIBUTES[principal], ATTRIBUTES[resource], context);
                    let mut scope = 0;
                    for policy in 0..policies {
                        let wanted = choices.below(kinds.len() + 1);
                        let fits = |(principal, resource, context): &(u32, u32, u32)| {
                            *principal <= has.0 && *resource <= has.1 && *context <= has.2
                        };
                        let place = kinds.get(wanted).map(|kind| if fits(kind) { number(wanted) } else { 0 });
                        scope |= if place.is_some() { 1 << policy } else { 0 };
                        self.environment_programs.push(place.unwrap_or(EMPTY_SLOT));
                    }
                    self.environment_scopes.push(scope);
                }
            }
        }
    }

    fn lay_entities(&mut self, choices: &mut Choices<'_>) {
        self.snapshot.fill(Source::Snapshot, choices);
        for (place, (type_number, id)) in ENTITIES.iter().enumerate() {
            let own = number(place);
            let start = number(self.ancestors.len());
            self.ancestors.extend((own + 1..number(ENTITIES.len())).filter(|_| choices.once_in(4)));
            let ancestors = Range { start, length: number(self.ancestors.len()) - start };
            let above = &self.ancestors[start as usize..];
            let is_above = |literal: &u32| *literal == own || above.contains(literal);
            let start = number(self.entity_anchors.len());
            let listed = ANCHORS.iter().enumerate().filter(|(_, literal)| is_above(literal));
            self.entity_anchors.extend(listed.map(|(anchor, _)| number(anchor)));
            let anchors = Range { start, length: number(self.entity_anchors.len()) - start };
            let row = EntityRow {
                type_number: *type_number,
                id: self.snapshot.keep(IDS[*id]),
                is_present: *id != 5,
                attributes: self.lay_attributes(*type_number, *id != 5, choices),
                tags: self.lay_tags(choices),
                ancestors,
                anchors,
                anchor: ANCHORS.iter().position(|literal| *literal == own).map_or(EMPTY_SLOT, number),
            };
            self.entities.push(row);
        }
        self.slots = slots(ENTITIES.iter().map(|(type_number, id)| hash_uid(*type_number, IDS[*id])));
    }

    /// Attributes of one entity, as its type declares them.
    fn lay_attributes(&mut self, type_number: u32, is_present: bool, choices: &mut Choices<'_>) -> Range {
        let start = number(self.entity_attributes.len());
        let declared = if is_present { ATTRIBUTES[type_number as usize] } else { 0 };
        for step in 0..declared {
            let is_absent = step % 2 == 1 && choices.once_in(2);
            let value = if is_absent { Value::ABSENT } else { self.snapshot.any(Source::Snapshot, choices) };
            self.entity_attributes.push(value);
        }
        Range { start, length: declared }
    }

    /// Tags of one entity, sorted by key.
    fn lay_tags(&mut self, choices: &mut Choices<'_>) -> Range {
        let start = number(self.tags.len());
        for key in ["", "ab", "x"].into_iter().filter(|_| choices.once_in(3)).collect::<Vec<_>>() {
            let key = self.snapshot.keep(key);
            let value = self.snapshot.any(Source::Snapshot, choices);
            self.tags.push(Tag { key, value });
        }
        Range { start, length: number(self.tags.len()) - start }
    }
}
