//! The schema: Cedar's resolved JSON form of a catalog, read into types, shapes and actions.
//!
//! The rule it keeps: Cedar parses, resolves and checks; this only carries over what it says. Names in the JSON are
//! complete, so nothing is looked up by scope here.

use crate::annotation::Annotations;
use crate::bundle::{Document, Rules};
use crate::error::{BundleError, draw};
use crate::table::EntityName;
use assent_evaluator::Terms;
use cedar_policy::{Schema, SchemaFragment, schema_str_to_json_with_resolved_types};
use serde::Deserialize;
use std::collections::BTreeMap;

/// A type as the resolved JSON writes it.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct TypeJson {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) name: Option<String>,
    pub(crate) element: Option<Box<Self>>,
    #[serde(default)]
    pub(crate) attributes: BTreeMap<String, AttributeJson>,
}

/// An attribute of a record type.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct AttributeJson {
    #[serde(flatten)]
    pub(crate) shape: TypeJson,
    #[serde(default = "yes")]
    pub(crate) required: bool,
    #[serde(default)]
    pub(crate) annotations: BTreeMap<String, String>,
}

fn yes() -> bool {
    true
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct NamespaceJson {
    #[serde(default)]
    common_types: BTreeMap<String, CommonTypeJson>,
    #[serde(default)]
    entity_types: BTreeMap<String, EntityTypeJson>,
    #[serde(default)]
    actions: BTreeMap<String, ActionJson>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
struct CommonTypeJson {
    #[serde(flatten)]
    shape: TypeJson,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct EntityTypeJson {
    shape: Option<TypeJson>,
    tags: Option<TypeJson>,
    #[serde(default, rename = "enum")]
    choices: Vec<String>,
    #[serde(default)]
    member_of_types: Vec<String>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ActionJson {
    applies_to: Option<AppliesToJson>,
    #[serde(default)]
    member_of: Option<Vec<MemberJson>>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct AppliesToJson {
    #[serde(default)]
    principal_types: Vec<String>,
    #[serde(default)]
    resource_types: Vec<String>,
    context: Option<TypeJson>,
}

#[derive(Debug, Deserialize)]
struct MemberJson {
    id: String,
    #[serde(rename = "type")]
    type_name: Option<String>,
}

/// An entity type of the catalog.
#[derive(Debug)]
pub(crate) struct EntityType {
    pub(crate) name: String,
    pub(crate) shape: Option<TypeJson>,
    pub(crate) tags: Option<TypeJson>,
    pub(crate) choices: Vec<String>,
    pub(crate) is_transient: bool,
}

/// An action of the catalog.
#[derive(Debug)]
pub(crate) struct ActionType {
    pub(crate) uid: EntityName,
    pub(crate) groups: Vec<EntityName>,
    pub(crate) principals: Vec<String>,
    pub(crate) resources: Vec<String>,
    pub(crate) context: Option<TypeJson>,
    pub(crate) terms: Terms,
}

/// The catalog as Cedar resolved it.
#[derive(Debug)]
pub(crate) struct ResolvedSchema {
    pub(crate) schema: Schema,
    pub(crate) entity_types: Vec<EntityType>,
    pub(crate) actions: Vec<ActionType>,
    pub(crate) common_types: BTreeMap<String, TypeJson>,
    pub(crate) warnings: Vec<String>,
}

fn qualified(namespace: &str, name: &str) -> String {
    if namespace.is_empty() { name.to_owned() } else { format!("{namespace}::{name}") }
}

/// Parses and resolves a catalog.
pub(crate) fn resolve(document: &Document, rules: Rules) -> Result<ResolvedSchema, BundleError> {
    let rejected = |drawn: String| BundleError::Catalog { file: document.name.clone(), drawn };
    let (fragment, warnings) =
        SchemaFragment::from_cedarschema_str(&document.text).map_err(|error| rejected(draw(&error)))?;
    let warnings = warnings.map(|warning| warning.to_string()).collect();
    let schema = Schema::from_schema_fragments([fragment]).map_err(|error| rejected(draw(&error)))?;
    if !schema.is_complete() {
        return Err(rejected("the catalog declares external types or actions".to_owned()));
    }
    let (json, _) =
        schema_str_to_json_with_resolved_types(&document.text).map_err(|error| rejected(draw(&error)))?;
    let namespaces: BTreeMap<String, NamespaceJson> =
        serde_json::from_value(json).map_err(|error| rejected(error.to_string()))?;

    let mut resolved = ResolvedSchema {
        schema,
        entity_types: Vec::new(),
        actions: Vec::new(),
        common_types: BTreeMap::new(),
        warnings,
    };
    for (namespace, content) in namespaces {
        resolved.read_namespace(&document.name, rules, &namespace, content)?;
    }
    Ok(resolved)
}

impl ResolvedSchema {
    fn read_namespace(
        &mut self,
        file: &str,
        rules: Rules,
        namespace: &str,
        content: NamespaceJson,
    ) -> Result<(), BundleError> {
        let place = format!("namespace {namespace}");
        Annotations { file, place: &place, values: &content.annotations, rules }.only(&[])?;
        for (name, common) in content.common_types {
            let name = qualified(namespace, &name);
            Annotations { file, place: &name, values: &common.annotations, rules }.only(&[])?;
            check_attributes(file, rules, &common.shape)?;
            self.common_types.insert(name, common.shape);
        }
        for (name, entity_type) in content.entity_types {
            self.entity_types.push(entity_type.read(file, rules, qualified(namespace, &name))?);
        }
        for (id, action) in content.actions {
            let uid = EntityName::new(qualified(namespace, "Action"), id);
            self.actions.push(action.read(file, rules, uid)?);
        }
        Ok(())
    }
}

/// No annotation of ours stands on attributes.
fn check_attributes(file: &str, rules: Rules, shape: &TypeJson) -> Result<(), BundleError> {
    for (name, attribute) in &shape.attributes {
        let place = format!("attribute `{name}`");
        Annotations { file, place: &place, values: &attribute.annotations, rules }.only(&[])?;
        check_attributes(file, rules, &attribute.shape)?;
    }
    shape.element.as_deref().map_or(Ok(()), |element| check_attributes(file, rules, element))
}

impl EntityTypeJson {
    fn read(self, file: &str, rules: Rules, name: String) -> Result<EntityType, BundleError> {
        let annotations = Annotations { file, place: &name, values: &self.annotations, rules };
        annotations.only(&["transient"])?;
        let is_transient = annotations.mark("transient")?;
        let has_attributes = self.shape.as_ref().is_some_and(|shape| !shape.attributes.is_empty());
        if is_transient && (has_attributes || self.tags.is_some() || !self.member_of_types.is_empty()) {
            return Err(BundleError::Unsupported {
                file: file.to_owned(),
                what: format!("entity type {name}"),
                problem: "a transient type has no attributes, tags or parents; what is said about it travels in the context"
                    .to_owned(),
            });
        }
        if let Some(shape) = &self.shape {
            check_attributes(file, rules, shape)?;
        }
        Ok(EntityType { name, shape: self.shape, tags: self.tags, choices: self.choices, is_transient })
    }
}

impl ActionJson {
    fn read(self, file: &str, rules: Rules, uid: EntityName) -> Result<ActionType, BundleError> {
        let place = format!("action `{}`", uid.id);
        let terms = Annotations { file, place: &place, values: &self.annotations, rules }.terms()?;
        let (principals, resources, context) = match self.applies_to {
            Some(applies) => (applies.principal_types, applies.resource_types, applies.context),
            None => (Vec::new(), Vec::new(), None),
        };
        if let Some(context) = &context {
            check_attributes(file, rules, context)?;
        }
        let own_type = uid.type_name.clone();
        let group = |member: MemberJson| {
            EntityName::new(member.type_name.unwrap_or_else(|| own_type.clone()), member.id)
        };
        let groups = self.member_of.unwrap_or_default().into_iter().map(group).collect();
        Ok(ActionType { uid, groups, principals, resources, context, terms })
    }
}

impl ResolvedSchema {
    /// The type that a common type stands for, or the type itself.
    pub(crate) fn unalias<'t>(&'t self, json: &'t TypeJson) -> &'t TypeJson {
        match self.common_types.get(&json.kind) {
            Some(common) => self.unalias(common),
            None => json,
        }
    }
}
