//! Scopes: which policies accept which entities, laid out as rows of bits.
//!
//! The rule it keeps: the rows say exactly what the scope says, `is` and `in` together included. Evaluation combines
//! them per request; see the evaluator's `scope`.

use crate::error::BundleError;
use crate::image::{ImageTables, bits};
use crate::schema::ResolvedSchema;
use crate::table::{EntityName, number};
use assent_evaluator::ScopeIndex;
use cedar_policy::pst::{ActionConstraint, EntityOrSlot, PrincipalConstraint, ResourceConstraint, Template};
use std::str::FromStr;

/// One side of a scope.
#[derive(Debug, Default)]
struct Side {
    /// The type that `is` asks for.
    type_name: Option<String>,
    /// The place of the entity that `==` asks for, among the anchors.
    equal: Option<usize>,
    /// The place of the entity that `in` asks for.
    within: Option<usize>,
}

/// Scopes of all policies, in their order.
#[derive(Debug, Default)]
pub(crate) struct Scopes {
    principals: Vec<Side>,
    resources: Vec<Side>,
    actions: Vec<ActionConstraint>,
}

impl Scopes {
    /// Notes the scope of the next policy.
    pub(crate) fn take(&mut self, policy: &Template, image: &mut ImageTables) -> Result<(), BundleError> {
        let principal = match &policy.principal {
            PrincipalConstraint::Any => Side::default(),
            PrincipalConstraint::Eq(entity) => Side { equal: Some(image.anchor(entity)?), ..Side::default() },
            PrincipalConstraint::In(entity) => {
                Side { within: Some(image.anchor(entity)?), ..Side::default() }
            }
            PrincipalConstraint::Is(kind) => Side { type_name: Some(kind.0.to_string()), ..Side::default() },
            PrincipalConstraint::IsIn(kind, entity) => {
                Side { type_name: Some(kind.0.to_string()), equal: None, within: Some(image.anchor(entity)?) }
            }
        };
        let resource = match &policy.resource {
            ResourceConstraint::Any => Side::default(),
            ResourceConstraint::Eq(entity) => Side { equal: Some(image.anchor(entity)?), ..Side::default() },
            ResourceConstraint::In(entity) => Side { within: Some(image.anchor(entity)?), ..Side::default() },
            ResourceConstraint::Is(kind) => Side { type_name: Some(kind.0.to_string()), ..Side::default() },
            ResourceConstraint::IsIn(kind, entity) => {
                Side { type_name: Some(kind.0.to_string()), equal: None, within: Some(image.anchor(entity)?) }
            }
        };
        self.principals.push(principal);
        self.resources.push(resource);
        self.actions.push(policy.action.clone());
        Ok(())
    }

    /// A row for each action of the catalog, and one for actions that are unknown.
    pub(crate) fn action_rows(&self, schema: &ResolvedSchema) -> Result<Vec<u64>, BundleError> {
        let mut rows = Vec::new();
        for action in &schema.actions {
            let above = self.above(schema, &action.uid)?;
            rows.extend(self.action_row(|constraint| accepts_action(constraint, &action.uid, &above)));
        }
        rows.extend(self.action_row(|constraint| *constraint == ActionConstraint::Any));
        Ok(rows)
    }

    /// The groups that an action is in, at any height.
    pub(crate) fn above(
        &self,
        schema: &ResolvedSchema,
        action: &EntityName,
    ) -> Result<Vec<EntityName>, BundleError> {
        let entities = schema.schema.action_entities().map_err(|error| rejected(error.to_string()))?;
        let uid = uid(action).map_err(rejected)?;
        Ok(entities.ancestors(&uid).into_iter().flatten().map(EntityName::of).collect())
    }

    /// Whether a policy's scope can accept an intent of these types, as far as they and the action tell.
    pub(crate) fn accept(
        &self,
        policy: usize,
        principal: &str,
        action: &EntityName,
        above: &[EntityName],
        resource: &str,
    ) -> bool {
        let accepts = |sides: &[Side], type_name: &str| {
            sides.get(policy).is_some_and(|side| side.type_name.as_deref().is_none_or(|is| is == type_name))
        };
        self.actions.get(policy).is_some_and(|constraint| accepts_action(constraint, action, above))
            && accepts(&self.principals, principal)
            && accepts(&self.resources, resource)
    }

    fn action_row(&self, accepts: impl Fn(&ActionConstraint) -> bool) -> Vec<u64> {
        let accepting = self.actions.iter().enumerate().filter(|(_, constraint)| accepts(constraint));
        bits(self.actions.len(), accepting.map(|(place, _)| place))
    }

    pub(crate) fn principal_rows(&self, image: &ImageTables) -> ScopeRows {
        ScopeRows::of(&self.principals, image)
    }

    pub(crate) fn resource_rows(&self, image: &ImageTables) -> ScopeRows {
        ScopeRows::of(&self.resources, image)
    }
}

fn accepts_action(constraint: &ActionConstraint, action: &EntityName, above: &[EntityName]) -> bool {
    match constraint {
        ActionConstraint::Any => true,
        ActionConstraint::Eq(wanted) => EntityName::of_pst(wanted) == *action,
        ActionConstraint::In(wanted) => {
            wanted.iter().map(EntityName::of_pst).any(|wanted| wanted == *action || above.contains(&wanted))
        }
    }
}

fn rejected(problem: String) -> BundleError {
    BundleError::Unsupported { file: "catalog.cedarschema".to_owned(), what: "actions".to_owned(), problem }
}

/// A uid as Cedar's public interface takes it.
pub(crate) fn uid(name: &EntityName) -> Result<cedar_policy::EntityUid, String> {
    let type_name =
        cedar_policy::EntityTypeName::from_str(&name.type_name).map_err(|error| error.to_string())?;
    Ok(cedar_policy::EntityUid::from_type_name_and_id(type_name, cedar_policy::EntityId::new(&name.id)))
}

impl ImageTables {
    /// The place of an entity among the anchors.
    fn anchor(&mut self, entity: &EntityOrSlot) -> Result<usize, BundleError> {
        let EntityOrSlot::Entity(uid) = entity else {
            return Err(BundleError::Unsupported {
                file: String::new(),
                what: "scope".to_owned(),
                problem: "a slot that no link fills: fill it in links.json".to_owned(),
            });
        };
        let literal = self.literals.keep(&EntityName::of_pst(uid));
        match self.anchors.iter().position(|known| *known == literal) {
            Some(place) => Ok(place),
            None => {
                self.anchors.push(literal);
                Ok(self.anchors.len() - 1)
            }
        }
    }
}

/// The rows of one side.
#[derive(Debug, Default)]
pub(crate) struct ScopeRows {
    unnamed: Vec<u64>,
    by_type: Vec<u64>,
    equal: Vec<u64>,
    within: Vec<u64>,
}

impl ScopeRows {
    fn of(sides: &[Side], image: &ImageTables) -> Self {
        let row = |accepts: &dyn Fn(&Side) -> bool| {
            let accepting = sides.iter().enumerate().filter(|(_, side)| accepts(side));
            bits(sides.len(), accepting.map(|(place, _)| place))
        };
        let types = 0..=number(image.types.len());
        let accepts_type = |side: &Side, type_number| match &side.type_name {
            None => true,
            Some(name) => image.types.find(name) == Some(type_number),
        };
        let anchors = || 0..image.anchors.len();
        Self {
            unnamed: row(&|side| side.equal.is_none() && side.within.is_none()),
            by_type: types.flat_map(|type_number| row(&|side| accepts_type(side, type_number))).collect(),
            equal: anchors().flat_map(|anchor| row(&|side| side.equal == Some(anchor))).collect(),
            within: anchors().flat_map(|anchor| row(&|side| side.within == Some(anchor))).collect(),
        }
    }

    pub(crate) fn index(&self) -> ScopeIndex<'_> {
        ScopeIndex {
            unnamed: &self.unnamed,
            by_type: &self.by_type,
            equal: &self.equal,
            within: &self.within,
        }
    }
}
