//! The catalog, laid into the image's tables: types, actions, shapes and the facts that the appliance asserts.
//!
//! The rule it keeps: numbers that later tables hold are final as soon as they are handed out. Facts' names come first, and
//! actions come first among the literals: an action's entity number is its place in the catalog.

use crate::bundle::Rules;
use crate::error::BundleError;
use crate::image::ImageTables;
use crate::schema::{ResolvedSchema, TypeJson};
use crate::table::{EntityName, number};
use assent_evaluator::{ActionRow, Attribute, FactNames, Range, Shape, TypeRow};

/// The record that the appliance asserts, and its attributes with their types.
const FACTS: (&str, [(&str, &str); 6]) = (
    "assent",
    [
        ("now", "datetime"),
        ("risk", "Long"),
        ("approvals", "Long"),
        ("degraded", "Bool"),
        ("agent_rate", "Long"),
        ("epoch", "Long"),
    ],
);

impl ImageTables {
    /// Lays the catalog.
    pub(crate) fn lay_catalog(&mut self, schema: &ResolvedSchema, rules: Rules) -> Result<(), BundleError> {
        // Facts are asserted without sorting: their names are the first.
        let (record, facts) = FACTS;
        for name in std::iter::once(record).chain(facts.map(|(name, _)| name)) {
            self.names.keep(name);
        }
        for kind in &schema.entity_types {
            self.types.keep(&kind.name);
            self.type_rows.push(TypeRow { is_transient: kind.is_transient, attributes: Range::default() });
        }
        // Actions come first among the literals: an action's entity number is its place in the catalog.
        for action in &schema.actions {
            self.literals.keep(&action.uid);
            if number(self.types.len()) == self.types.keep(&action.uid.type_name) {
                self.type_rows.push(TypeRow { is_transient: false, attributes: Range::default() });
            }
        }
        for (place, kind) in schema.entity_types.iter().enumerate() {
            if let Some(tags) = &kind.tags {
                self.shape(schema, tags)?;
            }
            let shape = kind.shape.as_ref().map(|shape| self.shape(schema, shape)).transpose()?;
            let shape = shape.and_then(|shape| self.shapes.get(shape as usize));
            if let (Some(Shape::Record(attributes)), Some(row)) = (shape, self.type_rows.get_mut(place)) {
                row.attributes = *attributes;
            }
            for choice in &kind.choices {
                let entity = EntityName::new(&kind.name, choice);
                self.literals.keep(&entity);
                self.declared.push(entity);
            }
        }
        let mut environments = 0;
        for action in &schema.actions {
            let principals = self.applies_to(&action.principals);
            let resources = self.applies_to(&action.resources);
            let is_asserted = self.take_facts(schema, action.context.as_ref(), &action.uid.id, rules)?;
            let context = match &action.context {
                Some(context) => self.shape(schema, context)?,
                None => self.record_shape(Vec::new()),
            };
            let terms = action.terms;
            self.actions.push(ActionRow { principals, resources, context, environments, is_asserted, terms });
            environments += principals.length * resources.length;
        }
        Ok(())
    }

    fn applies_to(&mut self, types: &[String]) -> Range {
        let start = number(self.applies_to.len());
        for name in types {
            let kept = self.types.keep(name);
            self.applies_to.push(kept);
        }
        Range { start, length: number(types.len()) }
    }

    /// Whether a context declares `assent`; if it does, it must be as the appliance fills it.
    fn take_facts(
        &mut self,
        schema: &ResolvedSchema,
        context: Option<&TypeJson>,
        action: &str,
        rules: Rules,
    ) -> Result<bool, BundleError> {
        let (record, attributes) = FACTS;
        let context = context.map(|context| schema.unalias(context));
        let Some(declared) = context.and_then(|context| context.attributes.get(record)) else {
            return Ok(false);
        };
        let shape = schema.unalias(&declared.shape);
        let is_ours = declared.required
            && shape.attributes.len() == attributes.len()
            && attributes.iter().all(|(name, kind)| {
                shape.attributes.get(*name).is_some_and(|attribute| {
                    let declared = schema.unalias(&attribute.shape).kind.trim_start_matches("__cedar::");
                    attribute.required && (declared == *kind || (declared == "Boolean" && *kind == "Bool"))
                })
            });
        if !is_ours {
            // In plain Cedar files `assent` may be anybody's word.
            let listed: Vec<_> = attributes.iter().map(|(name, kind)| format!("{name}: {kind}")).collect();
            return match rules {
                Rules::Plain => Ok(false),
                Rules::Bundle => Err(BundleError::Unsupported {
                    file: "catalog.cedarschema".to_owned(),
                    what: format!("action `{action}`"),
                    problem: format!("context.assent must be declared as {{ {} }}", listed.join(", ")),
                }),
            };
        }
        let [now, risk, approvals, degraded, agent_rate, epoch] =
            attributes.map(|(name, _)| self.names.keep(name));
        let assent = self.names.keep(record);
        self.facts = Some(FactNames { assent, now, risk, approvals, degraded, agent_rate, epoch });
        Ok(true)
    }

    fn record_shape(&mut self, mut attributes: Vec<Attribute>) -> u32 {
        attributes.sort_by_key(|attribute| attribute.name);
        let range = Range { start: number(self.attributes.len()), length: number(attributes.len()) };
        self.attributes.extend(attributes);
        self.push_shape(Shape::Record(range))
    }

    fn push_shape(&mut self, shape: Shape) -> u32 {
        self.shapes.push(shape);
        number(self.shapes.len() - 1)
    }

    /// The number of a type's shape.
    fn shape(&mut self, schema: &ResolvedSchema, json: &TypeJson) -> Result<u32, BundleError> {
        if let Some(common) = schema.common_types.get(&json.kind) {
            if let Some(known) = self.common_shapes.get(&json.kind) {
                return Ok(*known);
            }
            let shape = self.shape(schema, common)?;
            self.common_shapes.insert(json.kind.clone(), shape);
            return Ok(shape);
        }
        let unknown = || {
            BundleError::Unsupported {
            file: "catalog.cedarschema".to_owned(),
            what: format!("type `{}`", json.name.as_deref().unwrap_or(&json.kind)),
            problem: "not a type that the evaluator knows: take one of Cedar's own, of its extensions, or one that you declare".to_owned(),
        }
        };
        let kind = match json.kind.as_str() {
            "Extension" => json.name.as_deref().unwrap_or_default(),
            kind => kind.trim_start_matches("__cedar::"),
        };
        let shape = match kind {
            "Bool" | "Boolean" => Shape::Bool,
            "Long" => Shape::Long,
            "String" => Shape::String,
            "decimal" => Shape::Decimal,
            "datetime" => Shape::Datetime,
            "duration" => Shape::Duration,
            "ipaddr" => Shape::Ip,
            "Entity" => {
                let name = json.name.as_deref().and_then(|name| self.types.find(name));
                Shape::Entity(name.ok_or_else(unknown)?)
            }
            "Set" => Shape::Set(self.shape(schema, json.element.as_deref().ok_or_else(unknown)?)?),
            "Record" => {
                let mut attributes = Vec::new();
                for (name, attribute) in &json.attributes {
                    let shape = self.shape(schema, &attribute.shape)?;
                    attributes.push(Attribute {
                        name: self.names.keep(name),
                        shape,
                        is_required: attribute.required,
                    });
                }
                return Ok(self.record_shape(attributes));
            }
            _ => return Err(unknown()),
        };
        Ok(self.push_shape(shape))
    }
}
