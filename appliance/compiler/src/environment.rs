//! Request environments: policies, specialised for an action with a type of principal and a type of resource.
//!
//! The rule it keeps: a specialised program gives what the general one gives for every intent that was classified into
//! the environment: the same answer, the same clause, and an error where that has one. What the environment decides for
//! certain is folded; attributes become slots. What it cannot decide stays as it is.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "Cedar's enums are open; what is not named is not decided here"
)]

use crate::error::BundleError;
use crate::expression::{Compiled, compile};
use crate::image::{ImageTables, bits};
use crate::policy::Accepted;
use crate::schema::{ActionType, ResolvedSchema};
use crate::scope::Scopes;
use crate::table::{EntityName, NameTable, number};
use assent_evaluator::{
    Attribute, EMPTY_SLOT, Instruction, MAX_CONTEXT_SLOTS, Operand, Place, ProgramRow, Range, Shape,
};
use cedar_policy::pst::{BinaryOp, Clause, Expr, Literal, UnaryOp, Var};
use std::collections::HashMap;

/// A side of a request that has attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Principal,
    Resource,
    Context,
}

/// What is known of every intent of an environment.
#[derive(Clone, Debug)]
pub(crate) struct Environment {
    action: EntityName,
    /// Groups that the action is in, at any height.
    above: Vec<EntityName>,
    principal: String,
    resource: String,
    principal_attributes: Vec<Attribute>,
    resource_attributes: Vec<Attribute>,
    context_attributes: Vec<Attribute>,
}

impl Environment {
    fn attributes(&self, side: Side) -> &[Attribute] {
        match side {
            Side::Principal => &self.principal_attributes,
            Side::Resource => &self.resource_attributes,
            Side::Context => &self.context_attributes,
        }
    }

    /// The slot of an attribute.
    pub(crate) fn slot(&self, side: Side, name: u32) -> Option<Operand> {
        let place = self.attributes(side).binary_search_by_key(&name, |attribute| attribute.name).ok()?;
        match side {
            Side::Principal => Operand::principal(number(place)),
            Side::Resource => Operand::resource(number(place)),
            Side::Context if place < MAX_CONTEXT_SLOTS => Operand::context(number(place)),
            Side::Context => None,
        }
    }

    /// The type of one of Cedar's four, where it is an entity.
    fn type_of(&self, expression: &Expr) -> Option<&str> {
        match expression {
            Expr::Var(Var::Principal) => Some(&self.principal),
            Expr::Var(Var::Resource) => Some(&self.resource),
            Expr::Var(Var::Action) => Some(&self.action.type_name),
            _ => None,
        }
    }

    /// Whether an expression is an entity of the type, where that is certain.
    pub(crate) fn is_of(&self, expression: &Expr, type_name: &str) -> Option<bool> {
        self.type_of(expression).map(|known| known == type_name)
    }

    /// The answer to a question that every intent of the environment answers alike, and without an error.
    pub(crate) fn decide(&self, expression: &Expr, names: &NameTable) -> Option<bool> {
        let decide = |part| self.decide(part, names);
        match expression {
            Expr::Literal(Literal::Bool(value)) => Some(*value),
            Expr::UnaryOp { op: UnaryOp::Not, expr } => decide(expr).map(|value| !value),
            Expr::BinaryOp { op: BinaryOp::And, left, right } => match decide(left)? {
                true => decide(right),
                false => Some(false),
            },
            Expr::BinaryOp { op: BinaryOp::Or, left, right } => match decide(left)? {
                true => Some(true),
                false => decide(right),
            },
            Expr::BinaryOp { op: BinaryOp::Eq, left, right } => self.equal(left, right),
            Expr::BinaryOp { op: BinaryOp::NotEq, left, right } => {
                self.equal(left, right).map(|value| !value)
            }
            Expr::BinaryOp { op: BinaryOp::In, left, right } => self.action_in(left, right),
            Expr::Is { expr, entity_type, in_expr } => {
                let is_of = self.is_of(expr, &entity_type.0.to_string())?;
                // Of the type, what follows `in` decides.
                (in_expr.is_none() || !is_of).then_some(is_of)
            }
            Expr::HasAttr { expr, attrs } => self.has(expr, names.find(attrs.first()), attrs.len() == 1),
            Expr::IfThenElse { cond, then_expr, else_expr } => match decide(cond)? {
                true => decide(then_expr),
                false => decide(else_expr),
            },
            _ => None,
        }
    }

    /// Entities of different types are different; actions are known.
    fn equal(&self, left: &Expr, right: &Expr) -> Option<bool> {
        let literal_type = |expression: &Expr| literal(expression).map(|uid| uid.type_name);
        let type_of = |expression: &Expr| match self.type_of(expression) {
            Some(known) => Some(known.to_owned()),
            None => literal_type(expression),
        };
        if type_of(left)? != type_of(right)? {
            return Some(false);
        }
        match (left, right) {
            (Expr::Var(Var::Action), other) | (other, Expr::Var(Var::Action)) => {
                literal(other).map(|uid| uid == self.action)
            }
            (_, _) => None,
        }
    }

    /// `action in E` and `action in [E, F]`: the catalog knows the groups.
    fn action_in(&self, left: &Expr, right: &Expr) -> Option<bool> {
        let Expr::Var(Var::Action) = left else { return None };
        let is_in = |uid: EntityName| uid == self.action || self.above.contains(&uid);
        match right {
            Expr::Set(elements) => {
                let uids: Option<Vec<_>> = elements.iter().map(|element| literal(element)).collect();
                uids.map(|uids| uids.into_iter().any(is_in))
            }
            _ => literal(right).map(is_in),
        }
    }

    /// `has` of an attribute that is not declared is false, of one that is required true: a classified intent's principal
    /// and resource are listed, or of a type without attributes.
    fn has(&self, of: &Expr, first: Option<u32>, is_all: bool) -> Option<bool> {
        let side = match of {
            Expr::Var(Var::Principal) => Side::Principal,
            Expr::Var(Var::Resource) => Side::Resource,
            Expr::Var(Var::Context) => Side::Context,
            _ => return None,
        };
        let declared = first.and_then(|name| {
            let attributes = self.attributes(side);
            let place = attributes.binary_search_by_key(&name, |attribute| attribute.name).ok()?;
            attributes.get(place)
        });
        match declared {
            None => Some(false),
            Some(attribute) if attribute.is_required && is_all => Some(true),
            Some(_) => None,
        }
    }
}

fn literal(expression: &Expr) -> Option<EntityName> {
    match expression {
        Expr::Literal(Literal::EntityUID(uid)) => Some(EntityName::of_pst(uid)),
        _ => None,
    }
}

/// What a policy's clauses ask of an environment: where none of it differs, one program serves.
#[derive(Clone, Copy, Debug, Default)]
struct Asks {
    principal: bool,
    action: bool,
    resource: bool,
    context: bool,
}

impl Asks {
    fn of(policy: &Accepted) -> Self {
        let mut asks = Self::default();
        for clause in policy.body.clauses() {
            let (Clause::When(body) | Clause::Unless(body)) = clause;
            let variable = |expression: &Expr| match expression {
                Expr::Var(Var::Principal) => Some(Self { principal: true, ..Self::default() }),
                Expr::Var(Var::Action) => Some(Self { action: true, ..Self::default() }),
                Expr::Var(Var::Resource) => Some(Self { resource: true, ..Self::default() }),
                Expr::Var(_) => Some(Self { context: true, ..Self::default() }),
                _ => None,
            };
            asks = asks.or(body.reduce(&variable, &Self::or, Self::default()));
        }
        asks
    }

    fn or(self, other: Self) -> Self {
        Self {
            principal: self.principal || other.principal,
            action: self.action || other.action,
            resource: self.resource || other.resource,
            context: self.context || other.context,
        }
    }
}

/// What a program was specialised for.
type Key = (usize, Option<u32>, Option<u32>, Option<usize>, Option<u32>);

/// Programs for environments, under construction.
#[derive(Debug, Default)]
pub(crate) struct Programs {
    pub(crate) rows: Vec<ProgramRow>,
    pub(crate) scopes: Vec<u64>,
    pub(crate) places: Vec<u32>,
    /// A program that occurs again is kept once.
    known: HashMap<Vec<Instruction>, u32>,
    /// None where the policy can neither be satisfied nor fail.
    specialised: HashMap<Key, Option<u32>>,
    contexts: HashMap<Vec<u32>, usize>,
}

impl Programs {
    /// Specialises all policies for all environments of the catalog.
    pub(crate) fn specialise(
        image: &mut ImageTables,
        schema: &ResolvedSchema,
        policies: &[Accepted],
        scopes: &Scopes,
    ) -> Result<Self, BundleError> {
        let mut programs = Self::default();
        let asks: Vec<_> = policies.iter().map(Asks::of).collect();
        for (place, action) in schema.actions.iter().enumerate() {
            let above = scopes.above(schema, &action.uid)?;
            for principal in &action.principals {
                for resource in &action.resources {
                    let environment = environment(image, place, action, &above, principal, resource);
                    programs.lay_environment(image, policies, scopes, &asks, &environment)?;
                }
            }
        }
        Ok(programs)
    }

    fn lay_environment(
        &mut self,
        image: &mut ImageTables,
        policies: &[Accepted],
        scopes: &Scopes,
        asks: &[Asks],
        environment: &Environment,
    ) -> Result<(), BundleError> {
        let mut places = vec![EMPTY_SLOT; policies.len()];
        let context = self.context(environment);
        for (number, ((policy, asks), place)) in policies.iter().zip(asks).zip(&mut places).enumerate() {
            let (principal, resource) = (&environment.principal, &environment.resource);
            if !scopes.accept(number, principal, &environment.action, &environment.above, resource) {
                continue;
            }
            let place_of = |name: &str| image.types.find(name);
            let key = (
                number,
                asks.principal.then(|| place_of(principal)).flatten(),
                asks.resource.then(|| place_of(resource)).flatten(),
                asks.context.then_some(context),
                asks.action.then(|| image.literals.find(&environment.action)).flatten(),
            );
            let program = match self.specialised.get(&key) {
                Some(known) => *known,
                None => {
                    let program = self.program(image, policy, environment)?;
                    self.specialised.insert(key, program);
                    program
                }
            };
            *place = program.unwrap_or(EMPTY_SLOT);
        }
        let candidates = places.iter().enumerate().filter(|(_, place)| **place != EMPTY_SLOT);
        self.scopes.extend(bits(policies.len(), candidates.map(|(number, _)| number)));
        self.places.extend(places);
        Ok(())
    }

    /// Contexts of the same attributes have the same slots.
    fn context(&mut self, environment: &Environment) -> usize {
        let shape = environment.context_attributes.iter().flat_map(|a| [a.name, u32::from(a.is_required)]);
        let next = self.contexts.len();
        *self.contexts.entry(shape.collect()).or_insert(next)
    }

    fn program(
        &mut self,
        image: &mut ImageTables,
        policy: &Accepted,
        environment: &Environment,
    ) -> Result<Option<u32>, BundleError> {
        let Compiled::Code(code) = compile(image, policy, Some(environment))? else { return Ok(None) };
        if let Some(known) = self.known.get(&code) {
            return Ok(Some(*known));
        }
        let place = number(self.rows.len());
        self.rows.push(ProgramRow { code: image.keep_code(&code), ..slots(&code) });
        self.known.insert(code, place);
        Ok(Some(place))
    }
}

/// What is known of an action's intents with these types.
fn environment(
    image: &ImageTables,
    place: usize,
    action: &ActionType,
    above: &[EntityName],
    principal: &str,
    resource: &str,
) -> Environment {
    let context = image.actions.get(place).and_then(|row| image.shapes.get(row.context as usize));
    let context_attributes = match context {
        Some(Shape::Record(range)) => attributes(image, *range),
        Some(_) | None => Vec::new(),
    };
    let of_type = |name: &str| {
        let row = image.types.find(name).and_then(|number| image.type_rows.get(number as usize));
        row.map_or_else(Vec::new, |row| attributes(image, row.attributes))
    };
    Environment {
        action: action.uid.clone(),
        above: above.to_vec(),
        principal: principal.to_owned(),
        resource: resource.to_owned(),
        principal_attributes: of_type(principal),
        resource_attributes: of_type(resource),
        context_attributes,
    }
}

fn attributes(image: &ImageTables, range: Range) -> Vec<Attribute> {
    range.of(&image.attributes).unwrap_or_default().to_vec()
}

/// How many slots a program reads, on each side.
fn slots(code: &[Instruction]) -> ProgramRow {
    let mut row =
        ProgramRow { code: Range::default(), principal_slots: 0, resource_slots: 0, context_slots: 0 };
    let mut note = |operand: Operand| match operand.place() {
        Place::Principal(slot) => row.principal_slots = row.principal_slots.max(u32::from(slot) + 1),
        Place::Resource(slot) => row.resource_slots = row.resource_slots.max(u32::from(slot) + 1),
        Place::Context(slot) => row.context_slots = row.context_slots.max(u32::from(slot) + 1),
        Place::Stack | Place::Constant(_) | Place::Variable(_) | Place::Pattern(_) => {}
    };
    for instruction in code {
        match instruction {
            Instruction::Load(operand) | Instruction::HasSlot(operand) => note(*operand),
            Instruction::Binary { left, right, .. } => {
                note(*left);
                note(*right);
            }
            _ => {}
        }
    }
    row
}
