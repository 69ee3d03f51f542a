//! Cost: the most fuel that one evaluation of a bundle can use, known before it serves.
//!
//! The rule it keeps: the estimate is never below what the evaluator spends, for it follows the same programs with the
//! largest value that each name can have: what the catalog lets an intent bring, or the largest that the snapshot holds.
//! It is an upper bound and often far above; it does not say how long typical intents take.

#![expect(clippy::wildcard_enum_match_arm, reason = "what is not named is a scalar, or costs its step only")]

use assent_evaluator::{
    Attribute, Binary, Content, Field, Image, Instruction, MAX_INTENT_DEPTH, MAX_INTENT_TEXT_BYTES,
    MAX_INTENT_VALUES, Operand, Place, Range, Shape, Snapshot, Source, Span, Value, Variable, View,
};
use std::collections::HashMap;

/// How large a value can be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Extent {
    /// Elements and fields, nested ones included.
    values: u64,
    /// Bytes of text in it.
    bytes: u64,
    /// How deep it nests.
    depth: usize,
}

impl Extent {
    const SCALAR: Self = Self { values: 0, bytes: 0, depth: 0 };
    /// The whole context: elements and fields are counted apart, so there may be as many of each.
    const CONTEXT: Self = Self {
        values: MAX_INTENT_VALUES as u64 * 2,
        bytes: MAX_INTENT_TEXT_BYTES as u64,
        depth: MAX_INTENT_DEPTH,
    };
    const TEXT: Self = Self { values: 0, bytes: MAX_INTENT_TEXT_BYTES as u64, depth: 0 };

    fn or(self, other: Self) -> Self {
        Self {
            values: self.values.max(other.values),
            bytes: self.bytes.max(other.bytes),
            depth: self.depth.max(other.depth),
        }
    }

    fn with(self, part: Self) -> Self {
        Self {
            values: self.values.saturating_add(part.values).saturating_add(1),
            bytes: self.bytes.saturating_add(part.bytes),
            depth: self.depth.max(part.depth.saturating_add(1)),
        }
    }

    /// Fuel to compare this with another: every value and text of one against every one of the other, and both ways at
    /// each level where sets nest.
    fn compared(self, other: Self) -> u64 {
        let pairs = self.values.saturating_mul(other.values);
        let text = self.bytes.min(other.bytes);
        let texts = (self.values.saturating_add(1)).saturating_mul(other.bytes);
        let other_texts = (other.values.saturating_add(1)).saturating_mul(self.bytes);
        let once = match (self.values, other.values) {
            (0, 0) => text,
            _ => pairs
                .saturating_add(texts.max(other_texts))
                .saturating_add(self.values)
                .saturating_add(other.values),
        };
        let levels = u32::try_from(self.depth.min(other.depth)).unwrap_or(u32::MAX);
        once.saturating_mul(1_u64.checked_shl(levels).unwrap_or(u64::MAX))
    }
}

/// The most fuel that one evaluation can use: in the environment whose policies cost most, all of them run, each
/// instruction once.
pub(crate) fn worst_case(view: &View<'_>) -> u64 {
    let sum =
        |costs: &Vec<(usize, u64)>| costs.iter().fold(0_u64, |sum, (_, cost)| sum.saturating_add(*cost));
    environments(view).iter().map(sum).max().unwrap_or(0)
}

/// The most fuel that each policy can use in any environment, by index.
pub(crate) fn policy_costs(view: &View<'_>) -> Vec<u64> {
    let mut most = vec![0; view.policy_count()];
    for (policy, cost) in environments(view).into_iter().flatten() {
        if let Some(known) = most.get_mut(policy) {
            *known = cost.max(*known);
        }
    }
    most
}

/// What the candidates of each environment cost there.
fn environments(view: &View<'_>) -> Vec<Vec<(usize, u64)>> {
    let (image, extents) = (view.image(), Extents::of(view));
    let mut known: HashMap<(u32, u32, u32, u32), u64> = HashMap::new();
    let mut rows = image.environment_programs.chunks(image.policies.len().max(1));
    let mut all = Vec::new();
    for action in image.actions {
        for principal in part(action.principals, image.applies_to) {
            for resource in part(action.resources, image.applies_to) {
                let sides = Sides::of(image, *principal, *resource, action.context);
                let row = rows.next().unwrap_or_default();
                let candidates = row.iter().enumerate().filter_map(|(policy, number)| {
                    let program = image.programs.get(*number as usize)?;
                    let key = (*number, *principal, *resource, action.context);
                    let cost = || extents.cost(part(program.code, image.code), &sides);
                    Some((policy, *known.entry(key).or_insert_with(cost)))
                });
                all.push(candidates.collect());
            }
        }
    }
    all
}

/// The attributes that an environment's slots stand for.
struct Sides<'a> {
    principal: &'a [Attribute],
    resource: &'a [Attribute],
    context: &'a [Attribute],
}

impl<'a> Sides<'a> {
    fn of(image: &Image<'a>, principal: u32, resource: u32, context: u32) -> Self {
        let of_type = |number: u32| match image.type_rows.get(number as usize) {
            Some(row) => part(row.attributes, image.attributes),
            None => &[],
        };
        let context = match image.shapes.get(context as usize) {
            Some(Shape::Record(attributes)) => part(*attributes, image.attributes),
            Some(_) | None => &[],
        };
        Self { principal: of_type(principal), resource: of_type(resource), context }
    }
}

/// The largest values that attributes can have, by the number of their name.
struct Extents<'m, 'a> {
    image: &'m Image<'a>,
    snapshot: &'m Snapshot<'a>,
    by_name: Vec<Extent>,
    tag: Extent,
    context: Extent,
}

impl<'m, 'a> Extents<'m, 'a> {
    fn of(view: &'m View<'a>) -> Self {
        let (image, snapshot) = (view.image(), view.snapshot());
        let mut by_name = vec![Extent::SCALAR; image.names.rows.len()];
        let mut note = |name: u32, extent: Extent| {
            if let Some(known) = by_name.get_mut(name as usize) {
                *known = known.or(extent);
            }
        };
        for attribute in image.attributes {
            note(attribute.name, declared(image, attribute.shape));
        }
        for Field { name, value } in snapshot.fields.iter().chain(image.fields) {
            note(*name, held(image, snapshot, *value));
        }
        for row in snapshot.entities {
            let declared = image
                .type_rows
                .get(row.type_number as usize)
                .map(|row| part(row.attributes, image.attributes));
            let values = part(row.attributes, snapshot.attributes).iter();
            for (attribute, value) in declared.unwrap_or_default().iter().zip(values) {
                note(attribute.name, held(image, snapshot, *value));
            }
        }
        let tags = snapshot.tags.iter().map(|tag| held(image, snapshot, tag.value));
        let tag = tags.fold(Extent::SCALAR, Extent::or);
        let mut extents = Self { image, snapshot, by_name, tag, context: Extent::CONTEXT };
        extents.take_gathered();
        extents
    }

    /// A record that a policy gathers can hold anything under its names, and that record others.
    fn take_gathered(&mut self) {
        let gathering = |code: &[Instruction]| {
            code.iter().filter(|one| matches!(one, Instruction::SetOf(_) | Instruction::RecordOf(_))).count()
        };
        let mut any = self.by_name.iter().copied().fold(self.context.or(self.tag), Extent::or);
        let programs =
            self.image.programs.iter().map(|program| gathering(part(program.code, self.image.code)));
        any.depth = any.depth.saturating_add(programs.max().unwrap_or(0));
        for instruction in self.image.code {
            let Instruction::RecordOf(path) = instruction else { continue };
            let names = self.image.paths.get(*path as usize).map(|path| part(*path, self.image.path_names));
            for name in names.unwrap_or_default() {
                if let Some(known) = self.by_name.get_mut(*name as usize) {
                    *known = any;
                }
            }
        }
    }

    /// What a program can cost where its slots stand for these attributes.
    fn cost(&self, code: &[Instruction], sides: &Sides<'_>) -> u64 {
        self.program(code, sides).saturating_add(code.len() as u64)
    }

    fn name(&self, name: u32) -> Extent {
        self.by_name.get(name as usize).copied().unwrap_or(self.context)
    }

    /// Follows a program in its order. Where the two ways of an `if` join, the larger value stands for both.
    fn program(&self, code: &[Instruction], sides: &Sides<'_>) -> u64 {
        let (mut stack, mut joins, mut cost) = (Vec::<Extent>::new(), Vec::<(usize, Extent)>::new(), 0_u64);
        for (place, instruction) in code.iter().enumerate() {
            while let Some((_, other)) = joins.pop_if(|(target, _)| *target == place) {
                let top = stack.pop().unwrap_or(other);
                stack.push(top.or(other));
            }
            let (takes, leaves) = match *instruction {
                Instruction::SetOf(elements) => (elements as usize, 1),
                Instruction::RecordOf(path) => (self.path_length(path), 1),
                Instruction::Jump(_) => (1, 0),
                other => other.effect(),
            };
            let taken = stack.split_off(stack.len().saturating_sub(takes));
            let operands = self.operands(*instruction, &taken, sides);
            cost = cost.saturating_add(self.spent(*instruction, &operands));
            if let (Instruction::Jump(target), Some(value)) = (instruction, taken.first()) {
                joins.push((*target as usize, *value));
            }
            if leaves == 1 {
                stack.push(self.left(*instruction, &operands));
            }
        }
        cost
    }

    /// What an instruction works on: what it took from the stack, and what its operands say.
    fn operands(&self, instruction: Instruction, taken: &[Extent], sides: &Sides<'_>) -> Vec<Extent> {
        let mut from_stack = taken.iter().copied();
        let mut of = |operand: Operand| match operand.place() {
            Place::Stack => from_stack.next().unwrap_or(self.context),
            Place::Constant(place) => self.constant(u32::from(place)),
            Place::Variable(Variable::Context) => self.context,
            Place::Variable(_) => Extent::SCALAR,
            Place::Pattern(pattern) => {
                Extent { bytes: self.pattern_bytes(u32::from(pattern)), ..Extent::SCALAR }
            }
            Place::Principal(slot) => self.slot(sides.principal, slot),
            Place::Resource(slot) => self.slot(sides.resource, slot),
            Place::Context(slot) => self.slot(sides.context, slot),
        };
        match instruction {
            Instruction::Binary { left, right, .. } => vec![of(left), of(right)],
            Instruction::Load(operand) => vec![of(operand)],
            _ => taken.to_vec(),
        }
    }

    fn slot(&self, attributes: &[Attribute], slot: u16) -> Extent {
        attributes.get(usize::from(slot)).map_or(self.context, |attribute| self.name(attribute.name))
    }

    fn constant(&self, place: u32) -> Extent {
        let constant = self.image.constants.get(place as usize);
        constant.map_or(self.context, |value| held(self.image, self.snapshot, *value))
    }

    fn path_length(&self, path: u32) -> usize {
        self.image.paths.get(path as usize).map_or(0, |range| range.length as usize)
    }

    /// Fuel beyond the step itself.
    fn spent(&self, instruction: Instruction, taken: &[Extent]) -> u64 {
        let at = |place: usize| taken.get(place).copied().unwrap_or(self.context);
        let like = |pattern_bytes: u64| at(0).bytes.saturating_mul(pattern_bytes.saturating_add(1));
        let operator = match instruction {
            Instruction::Like(pattern) => return like(self.pattern_bytes(pattern)),
            Instruction::Binary { operator, .. } => operator,
            _ => return 0,
        };
        match operator {
            Binary::Equal | Binary::NotEqual => at(0).compared(at(1)),
            Binary::Contains => at(0).compared(at(1).with(Extent::SCALAR)),
            Binary::ContainsAll | Binary::ContainsAny => at(0).compared(at(1)),
            Binary::In => at(1).values,
            Binary::HasTag | Binary::GetTag => at(1).bytes,
            Binary::Like => like(at(1).bytes),
            _ => 0,
        }
    }

    /// What an instruction leaves.
    fn left(&self, instruction: Instruction, taken: &[Extent]) -> Extent {
        match instruction {
            Instruction::Constant(place) => self.constant(place),
            Instruction::Load(_) => taken.first().copied().unwrap_or(self.context),
            Instruction::Attribute(name) => self.name(name),
            Instruction::Binary { operator: Binary::GetTag, .. } => self.tag,
            Instruction::SetOf(_) | Instruction::RecordOf(_) => {
                taken.iter().fold(Extent::SCALAR, |sum, part| sum.with(*part))
            }
            _ => Extent::SCALAR,
        }
    }

    fn pattern_bytes(&self, pattern: u32) -> u64 {
        let parts = self.image.patterns.get(pattern as usize).and_then(|range| range.of(self.image.parts));
        parts.unwrap_or_default().iter().map(|part| u64::from(part.length)).sum()
    }
}

/// The largest value of a shape that an intent can bring.
fn declared(image: &Image<'_>, shape: u32) -> Extent {
    match image.shapes.get(shape as usize) {
        Some(Shape::String) => Extent::TEXT,
        Some(Shape::Set(element)) => {
            let element = declared(image, *element);
            let bytes = if element.bytes > 0 { Extent::TEXT.bytes } else { 0 };
            Extent { bytes, depth: element.depth.saturating_add(1), ..Extent::CONTEXT }
        }
        Some(Shape::Record(attributes)) => {
            let attributes = attributes.of(image.attributes).unwrap_or_default().iter();
            attributes.fold(Extent::SCALAR, |sum, attribute| sum.with(declared(image, attribute.shape)))
        }
        Some(_) => Extent::SCALAR,
        None => Extent::CONTEXT,
    }
}

/// How large a value of the image or the snapshot is.
fn held(image: &Image<'_>, snapshot: &Snapshot<'_>, value: Value) -> Extent {
    let of_image = |span: Span| span.source == Source::Image;
    let sum = |values: &mut dyn Iterator<Item = Value>| {
        values.fold(Extent { depth: 1, ..Extent::SCALAR }, |sum, part| sum.with(held(image, snapshot, part)))
    };
    match value.content() {
        Content::String(Span { length, .. }) => Extent { bytes: u64::from(length), ..Extent::SCALAR },
        Content::Set(span) => {
            let elements = if of_image(span) { image.elements } else { snapshot.elements };
            sum(&mut part(span.range(), elements).iter().copied())
        }
        Content::Record(span) => {
            let fields = if of_image(span) { image.fields } else { snapshot.fields };
            sum(&mut part(span.range(), fields).iter().map(|field| field.value))
        }
        _ => Extent::SCALAR,
    }
}

fn part<T>(range: Range, table: &[T]) -> &[T] {
    range.of(table).unwrap_or_default()
}
