//! The image under construction, and as the evaluator reads it.
//!
//! The rule it keeps: the literals' numbers are final as soon as they are handed out, for constants hold them; whatever
//! depends on how many policies there are is laid out at the end.

use crate::bundle::Rules;
use crate::constant::{Constant, ValueTable};
use crate::environment::Programs;
use crate::error::BundleError;
use crate::expression::{Compiled, compile};
use crate::policy::{Accepted, PolicyNote};
use crate::schema::ResolvedSchema;
use crate::scope::{ScopeRows, Scopes};
use crate::table::{EntityName, EntityTable, NameTable, number};
use assent_evaluator::{
    ActionRow, Attribute, Effect, FactNames, Image, Instruction, Literal, MAX_POLICIES, Names, PolicyRow,
    Range, Shape, Source, TypeRow, Value,
};
use std::collections::{BTreeMap, HashMap};

/// An image, owned.
#[derive(Debug)]
pub(crate) struct ImageTables {
    pub(crate) values: ValueTable,
    pub(crate) names: NameTable,
    pub(crate) types: NameTable,
    pub(crate) literals: EntityTable,
    pub(crate) constants: Vec<Value>,
    pub(crate) code: Vec<Instruction>,
    pub(crate) patterns: Vec<Range>,
    pub(crate) parts: Vec<Range>,
    pub(crate) paths: Vec<Range>,
    pub(crate) path_names: Vec<u32>,
    pub(crate) policies: Vec<PolicyRow>,
    pub(crate) anchors: Vec<u32>,
    pub(crate) type_rows: Vec<TypeRow>,
    pub(crate) shapes: Vec<Shape>,
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) actions: Vec<ActionRow>,
    pub(crate) applies_to: Vec<u32>,
    pub(crate) facts: Option<FactNames>,
    /// Enumerated entities: there by declaration.
    pub(crate) declared: Vec<EntityName>,
    budget: u64,
    known_constants: HashMap<Constant, u32>,
    known_paths: HashMap<Vec<u32>, u32>,
    known_patterns: HashMap<Vec<String>, u32>,
    pub(crate) common_shapes: BTreeMap<String, u32>,
    finished: Finished,
}

/// What is laid out at the end.
#[derive(Debug, Default)]
struct Finished {
    name_rows: Vec<Range>,
    name_slots: Vec<u32>,
    type_names: Vec<Range>,
    type_slots: Vec<u32>,
    literals: Vec<Literal>,
    forbids: Vec<u64>,
    approvals: Vec<u64>,
    scores: Vec<u64>,
    action_scopes: Vec<u64>,
    principals: ScopeRows,
    resources: ScopeRows,
    programs: Programs,
}

impl ImageTables {
    /// Compiles a catalog and its policies.
    pub(crate) fn compile(
        schema: &ResolvedSchema,
        policies: &[Accepted],
        budget: u64,
        rules: Rules,
    ) -> Result<Self, BundleError> {
        if policies.len() > MAX_POLICIES {
            let (size, limit) = (policies.len() as u64, MAX_POLICIES as u64);
            return Err(BundleError::TooLarge { what: "number of policies", size, limit });
        }
        let mut image = Self::empty(budget);
        image.lay_catalog(schema, rules)?;
        let mut scopes = Scopes::default();
        for policy in policies {
            scopes.take(&policy.body, &mut image)?;
            let code = match compile(&mut image, policy, None)? {
                Compiled::Code(code) => code,
                // The general program says so itself, and which clause it is.
                Compiled::Never(clause) => {
                    let place = image.constant(&Constant::Bool(false));
                    vec![Instruction::Constant(place), Instruction::EndWhen(clause)]
                }
            };
            let code = image.keep_code(&code);
            image.policies.push(PolicyRow { effect: policy.note.effect, code });
        }
        let programs = Programs::specialise(&mut image, schema, policies, &scopes)?;
        image.finish(schema, policies, &scopes, programs)?;
        Ok(image)
    }

    fn empty(budget: u64) -> Self {
        Self {
            values: ValueTable::new(Source::Image),
            names: NameTable::default(),
            types: NameTable::default(),
            literals: EntityTable::default(),
            constants: Vec::new(),
            code: Vec::new(),
            patterns: Vec::new(),
            parts: Vec::new(),
            paths: Vec::new(),
            path_names: Vec::new(),
            policies: Vec::new(),
            anchors: Vec::new(),
            type_rows: Vec::new(),
            shapes: Vec::new(),
            attributes: Vec::new(),
            actions: Vec::new(),
            applies_to: Vec::new(),
            facts: None,
            declared: Vec::new(),
            budget,
            known_constants: HashMap::new(),
            known_paths: HashMap::new(),
            known_patterns: HashMap::new(),
            common_shapes: BTreeMap::new(),
            finished: Finished::default(),
        }
    }

    /// The number of a constant.
    pub(crate) fn constant(&mut self, constant: &Constant) -> u32 {
        if let Some(known) = self.known_constants.get(constant) {
            return *known;
        }
        let literals = &mut self.literals;
        let value = self.values.place(constant, &mut self.names, &mut |entity| literals.keep(entity));
        self.constants.push(value);
        let place = number(self.constants.len() - 1);
        self.known_constants.insert(constant.clone(), place);
        place
    }

    /// The number of a path of attribute names.
    pub(crate) fn path(&mut self, names: Vec<u32>) -> u32 {
        if let Some(known) = self.known_paths.get(&names) {
            return *known;
        }
        let range = Range { start: number(self.path_names.len()), length: number(names.len()) };
        self.path_names.extend_from_slice(&names);
        self.paths.push(range);
        let place = number(self.paths.len() - 1);
        self.known_paths.insert(names, place);
        place
    }

    /// The number of a pattern: the text between its wildcards.
    pub(crate) fn pattern(&mut self, parts: Vec<String>) -> u32 {
        if let Some(known) = self.known_patterns.get(&parts) {
            return *known;
        }
        let start = number(self.parts.len());
        for part in &parts {
            let range = self.values.text.keep(part);
            self.parts.push(range);
        }
        self.patterns.push(Range { start, length: number(parts.len()) });
        let place = number(self.patterns.len() - 1);
        self.known_patterns.insert(parts, place);
        place
    }

    /// Keeps a program.
    pub(crate) fn keep_code(&mut self, code: &[Instruction]) -> Range {
        let start = number(self.code.len());
        self.code.extend_from_slice(code);
        Range { start, length: number(code.len()) }
    }

    fn finish(
        &mut self,
        schema: &ResolvedSchema,
        policies: &[Accepted],
        scopes: &Scopes,
        programs: Programs,
    ) -> Result<(), BundleError> {
        let mask = |test: &dyn Fn(&Accepted) -> bool| {
            bits(
                policies.len(),
                policies.iter().enumerate().filter(|(_, policy)| test(policy)).map(|(place, _)| place),
            )
        };
        let mut finished = Finished {
            forbids: mask(&|policy| policy.note.effect == Effect::Forbid),
            approvals: mask(&|policy| policy.note.approval.is_some()),
            scores: mask(&|policy| matches!(policy.note.effect, Effect::Score(_))),
            action_scopes: scopes.action_rows(schema)?,
            principals: scopes.principal_rows(self),
            resources: scopes.resource_rows(self),
            programs,
            ..Finished::default()
        };
        for entity in &self.literals.entities {
            let type_number = self.types.keep(&entity.type_name);
            let id = self.values.text.keep(&entity.id);
            finished.literals.push(Literal { type_number, id });
        }
        (finished.name_rows, finished.name_slots) = self.names.finish(&mut self.values.text);
        (finished.type_names, finished.type_slots) = self.types.finish(&mut self.values.text);
        self.finished = finished;
        Ok(())
    }

    /// Arithmetic in a forbid: an overflow there would lift it in Cedar; here it makes the answer unavailable.
    pub(crate) fn warning(&self, policy: usize, note: &PolicyNote) -> Option<String> {
        let row = self.policies.get(policy).filter(|row| row.effect == Effect::Forbid)?;
        let code = row.code.of(&self.code)?;
        let PolicyNote { file, id, .. } = note;
        code.iter().any(|instruction| instruction.can_overflow()).then(|| {
            format!("{file}: policy `{id}` forbids by arithmetic: an overflow makes evaluation unavailable")
        })
    }

    /// As the evaluator reads it.
    pub(crate) fn image(&self) -> Image<'_> {
        let finished = &self.finished;
        Image {
            text: &self.values.text.text,
            elements: &self.values.elements,
            fields: &self.values.fields,
            addresses: &self.values.addresses,
            constants: &self.constants,
            code: &self.code,
            patterns: &self.patterns,
            parts: &self.parts,
            paths: &self.paths,
            path_names: &self.path_names,
            policies: &self.policies,
            forbids: &finished.forbids,
            approvals: &finished.approvals,
            scores: &finished.scores,
            has_scores: finished.scores.iter().any(|word| *word != 0),
            names: Names { rows: &finished.name_rows, slots: &finished.name_slots },
            types: Names { rows: &finished.type_names, slots: &finished.type_slots },
            type_rows: &self.type_rows,
            shapes: &self.shapes,
            attributes: &self.attributes,
            actions: &self.actions,
            applies_to: &self.applies_to,
            literals: &finished.literals,
            anchors: &self.anchors,
            action_scopes: &finished.action_scopes,
            environment_scopes: &finished.programs.scopes,
            environment_programs: &finished.programs.places,
            programs: &finished.programs.rows,
            principals: finished.principals.index(),
            resources: finished.resources.index(),
            facts: self.facts,
            budget: self.budget,
        }
    }
}

/// A row of bits over `policies` policies.
pub(crate) fn bits(policies: usize, set: impl Iterator<Item = usize>) -> Vec<u64> {
    let mut row = vec![0; policies.div_ceil(64)];
    for policy in set {
        if let Some(word) = row.get_mut(policy / 64) {
            *word |= 1_u64 << (policy % 64);
        }
    }
    row
}
