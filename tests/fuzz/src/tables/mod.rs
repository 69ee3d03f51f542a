//! Tables: an image and a snapshot that fit together, of which bytes decide the contents, and then break a few places.
//!
//! What the verifier computes is computed here as well (slots, anchors, sizes of scopes), or it would refuse them all.

mod damage;
mod values;

use crate::choices::Choices;
use crate::programs::program;
use assent_evaluator::{
    ActionRow, Attribute, EMPTY_SLOT, Effect, EntityRow, FactNames, Field, Image, Instruction, Literal,
    Names, PolicyRow, Priority, Range, ScopeIndex, Shape, Snapshot, Source, Storage, Tag, Terms, TypeRow,
    Value, hash_name, hash_uid,
};
use values::Values;

/// Attribute names; the facts' come last. Not all are sorted by their number.
pub const NAMES: &[&str] = &[
    "a",
    "b",
    "c",
    "d",
    "e",
    "f",
    "g",
    "h",
    "assent",
    "now",
    "risk",
    "approvals",
    "degraded",
    "agent_rate",
    "epoch",
];
const ASSENT: u32 = 8;
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
    principals: Side,
    resources: Side,
    facts: Option<FactNames>,
    budget: u64,
    snapshot: Values,
    entities: Vec<EntityRow>,
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
        self.type_rows = (0..TYPES.len()).map(|place| TypeRow { is_transient: place == 3 }).collect();
        for (type_number, id) in &ENTITIES[..LITERALS] {
            let id = self.image.keep(IDS[*id]);
            self.literals.push(Literal { type_number: *type_number, id });
        }
        self.anchors = ANCHORS.to_vec();
        let [assent, now, risk, approvals, degraded, agent_rate, epoch] =
            std::array::from_fn(|place| ASSENT + number(place));
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
        let facts = [field(9, 2), field(10, 0), field(11, 0), field(12, 6), field(13, 0), field(14, 0)];
        self.attributes.extend(facts);
        self.shapes.push(Shape::Record(Range { start: 0, length: 6 }));
        let context = [(0, 0), (1, 1), (2, 7), (3, 2), (4, 3), (5, 4), (6, 5), (ASSENT, 8)];
        self.attributes.extend(context.map(|(name, shape)| field(name, shape)));
        self.shapes.push(Shape::Record(Range { start: 6, length: 8 }));
        self.shapes.push(Shape::Record(Range { start: 0, length: 0 }));
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
        let row =
            |context, is_asserted| ActionRow { principals: all, resources: all, context, is_asserted, terms };
        self.actions = vec![row(9, true), row(10, false)];
    }

    /// Paths of no, one, two and three names, sorted, and patterns.
    fn lay_operands(&mut self, choices: &mut Choices<'_>) {
        for length in [0, 1, 2, 3, 2, 1, 3, 2] {
            let start = number(self.path_names.len());
            let first = number(choices.below(5));
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

    fn lay_policies(&mut self, choices: &mut Choices<'_>) {
        let mut masks = [0_u64; 3];
        let several = choices.below(7);
        for place in 0..several {
            let (code, is_sound) = program(choices);
            self.is_unsound |= !is_sound;
            let row = Range { start: number(self.code.len()), length: number(code.len()) };
            self.code.extend(code);
            let effect = match choices.below(4) {
                0 => Effect::Forbid,
                1 => Effect::Score(choices.long().saturating_abs()),
                _ => Effect::Permit,
            };
            let bit = 1 << place;
            masks[0] |= if effect == Effect::Forbid { bit } else { 0 };
            masks[1] |= if effect == Effect::Forbid && choices.below(2) == 0 { bit } else { 0 };
            masks[2] |= if matches!(effect, Effect::Score(_)) { bit } else { 0 };
            self.policies.push(PolicyRow { effect, code: row });
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
                fields: self.lay_fields(choices),
                tags: self.lay_tags(choices),
                ancestors,
                anchors,
                anchor: ANCHORS.iter().position(|literal| *literal == own).map_or(EMPTY_SLOT, number),
            };
            self.entities.push(row);
        }
        self.slots = slots(ENTITIES.iter().map(|(type_number, id)| hash_uid(*type_number, IDS[*id])));
    }

    /// Attributes of one entity, sorted by name.
    fn lay_fields(&mut self, choices: &mut Choices<'_>) -> Range {
        let start = number(self.snapshot.fields.len());
        for name in (0..8).filter(|_| choices.once_in(2)).collect::<Vec<_>>() {
            let value = self.snapshot.any(Source::Snapshot, choices);
            self.snapshot.fields.push(Field { name, value });
        }
        Range { start, length: number(self.snapshot.fields.len()) - start }
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

impl Side {
    fn index(&self) -> ScopeIndex<'_> {
        ScopeIndex {
            unnamed: &self.unnamed,
            by_type: &self.by_type,
            equal: &self.equal,
            within: &self.within,
        }
    }
}

impl Storage for Tables {
    fn image(&self) -> Image<'_> {
        let [forbids, approvals, scores] = &self.masks;
        Image {
            text: &self.image.text,
            elements: &self.image.elements,
            fields: &self.image.fields,
            addresses: &self.image.addresses,
            constants: &self.constants,
            code: &self.code,
            patterns: &self.patterns,
            parts: &self.parts,
            paths: &self.paths,
            path_names: &self.path_names,
            policies: &self.policies,
            forbids,
            approvals,
            scores,
            names: Names { rows: &self.name_rows, slots: &self.name_slots },
            types: Names { rows: &self.type_names, slots: &self.type_slots },
            type_rows: &self.type_rows,
            shapes: &self.shapes,
            attributes: &self.attributes,
            actions: &self.actions,
            applies_to: &self.applies_to,
            literals: &self.literals,
            anchors: &self.anchors,
            action_scopes: &self.action_scopes,
            principals: self.principals.index(),
            resources: self.resources.index(),
            facts: self.facts,
            budget: self.budget,
        }
    }

    fn snapshot(&self) -> Snapshot<'_> {
        Snapshot {
            text: &self.snapshot.text,
            elements: &self.snapshot.elements,
            fields: &self.snapshot.fields,
            addresses: &self.snapshot.addresses,
            entities: &self.entities,
            slots: &self.slots,
            ancestors: &self.ancestors,
            anchors: &self.entity_anchors,
            tags: &self.tags,
        }
    }
}
