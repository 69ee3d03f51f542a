//! The schema: Cedar's resolved JSON form of a catalog, read into types, shapes and actions.
//!
//! The rule it keeps: Cedar parses, resolves and checks; this only carries over what it says. Names in the JSON are
//! complete, so nothing is looked up by scope here.

use crate::annotation::Annotations;
use crate::bundle::{Document, Rules};
use crate::declaration::{Declarations, Declared};
use crate::diagnosis::Diagnosis;
use crate::error::BundleError;
use crate::table::EntityName;
use crate::token::tokens;
use assent_evaluator::Terms;
use cedar_policy::{Schema, SchemaFragment, schema_str_to_json_with_resolved_types};
use miette::Diagnostic;
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

/// What to do about a catalog that Cedar does not take.
const ADVICE: &str = "correct the catalog here; its syntax is Cedar's human-readable schema format";

/// Parses and resolves a catalog.
pub(crate) fn resolve(document: &Document, rules: Rules) -> Result<ResolvedSchema, BundleError> {
    let rejected = |error: &dyn Diagnostic| BundleError::catalog(Diagnosis::of(error, document, 0, ADVICE));
    crate::nesting::check(document, crate::nesting::Text::Catalog)?;
    let (fragment, warnings) =
        SchemaFragment::from_cedarschema_str(&document.text).map_err(|error| rejected(&error))?;
    let warnings = warnings.map(|warning| warned(&warning, document)).collect();
    let schema = Schema::from_schema_fragments([fragment]).map_err(|error| rejected(&error))?;
    if !schema.is_complete() {
        return Err(incomplete(document));
    }
    let (json, _) =
        schema_str_to_json_with_resolved_types(&document.text).map_err(|error| rejected(&error))?;
    let namespaces: BTreeMap<String, NamespaceJson> = serde_json::from_value(json).map_err(|error| {
        let message = format!("the resolved catalog cannot be read: {error}");
        BundleError::catalog(vec![Diagnosis::new(document, 0..document.text.len(), message, ADVICE)])
    })?;

    let mut resolved = ResolvedSchema {
        schema,
        entity_types: Vec::new(),
        actions: Vec::new(),
        common_types: BTreeMap::new(),
        warnings,
    };
    let reader = Reader { declarations: &Declarations::of(document), rules };
    for (namespace, content) in namespaces {
        reader.read_namespace(&mut resolved, &namespace, content)?;
    }
    Ok(resolved)
}

fn warned(warning: &dyn Diagnostic, document: &Document) -> String {
    let start = warning.labels().into_iter().flatten().map(|label| label.offset()).min().unwrap_or(0);
    format!("{}: {warning}", document.place(start))
}

/// Declarations that are left to another schema; nothing here is validated against what is not known.
fn incomplete(document: &Document) -> BundleError {
    let externals = tokens(&document.text);
    let externals = externals.iter().filter(|token| token.of(&document.text) == "external");
    let help = "declare the type or action here: a catalog is one file and complete";
    let diagnosis = |at| Diagnosis::new(document, at, "the catalog leaves this to another schema", help);
    let found: Vec<_> = externals.map(|token| diagnosis(token.range.clone())).collect();
    BundleError::catalog(match found.is_empty() {
        true => vec![diagnosis(0..document.text.len())],
        false => found,
    })
}

/// Reads the JSON form, and knows where in the catalog its parts stand.
#[derive(Clone, Copy)]
struct Reader<'d> {
    declarations: &'d Declarations<'d>,
    rules: Rules,
}

impl Reader<'_> {
    /// The annotations of something, read by `read`.
    fn annotations<T>(
        self,
        (declared, name): (Declared, &str),
        values: &BTreeMap<String, String>,
        read: impl FnOnce(Annotations<'_>) -> Result<T, BundleError>,
    ) -> Result<T, BundleError> {
        let of = match declared {
            Declared::Namespace => format!("namespace {name}"),
            Declared::EntityType => format!("entity type {name}"),
            Declared::CommonType => format!("type {name}"),
            Declared::Action => format!("action `{}`", name.rsplit_once("::").map_or(name, |(_, id)| id)),
            Declared::Attribute => format!("attribute `{name}`"),
        };
        let at = |key: &str| self.declarations.annotation(declared, name, key);
        read(Annotations { of: &of, values, rules: self.rules, at: &at })
    }

    fn read_namespace(
        self,
        resolved: &mut ResolvedSchema,
        namespace: &str,
        content: NamespaceJson,
    ) -> Result<(), BundleError> {
        let none = |annotations: Annotations<'_>| annotations.only(&[]);
        self.annotations((Declared::Namespace, namespace), &content.annotations, none)?;
        for (name, common) in content.common_types {
            let name = qualified(namespace, &name);
            self.annotations((Declared::CommonType, &name), &common.annotations, none)?;
            self.check_attributes(&common.shape)?;
            resolved.common_types.insert(name, common.shape);
        }
        for (name, entity_type) in content.entity_types {
            resolved.entity_types.push(self.entity_type(entity_type, qualified(namespace, &name))?);
        }
        for (id, action) in content.actions {
            resolved.actions.push(self.action(action, namespace, id)?);
        }
        Ok(())
    }

    /// No annotation of ours stands on attributes.
    fn check_attributes(self, shape: &TypeJson) -> Result<(), BundleError> {
        for (name, attribute) in &shape.attributes {
            let none = |annotations: Annotations<'_>| annotations.only(&[]);
            self.annotations((Declared::Attribute, name), &attribute.annotations, none)?;
            self.check_attributes(&attribute.shape)?;
        }
        shape.element.as_deref().map_or(Ok(()), |element| self.check_attributes(element))
    }

    fn entity_type(self, json: EntityTypeJson, name: String) -> Result<EntityType, BundleError> {
        let is_transient =
            self.annotations((Declared::EntityType, &name), &json.annotations, |annotations| {
                annotations.only(&["transient"])?;
                annotations.mark("transient")
            })?;
        let has_attributes = json.shape.as_ref().is_some_and(|shape| !shape.attributes.is_empty());
        if is_transient && (has_attributes || json.tags.is_some() || !json.member_of_types.is_empty()) {
            return Err(BundleError::Unsupported {
                file: self.declarations.place(Declared::EntityType, &name).to_string(),
                what: format!("entity type {name}"),
                problem: "a transient type has no attributes, tags or parents: say in the context what is to be known of it, or take @transient off"
                    .to_owned(),
            });
        }
        if let Some(shape) = &json.shape {
            self.check_attributes(shape)?;
        }
        Ok(EntityType { name, shape: json.shape, tags: json.tags, choices: json.choices, is_transient })
    }

    fn action(self, json: ActionJson, namespace: &str, id: String) -> Result<ActionType, BundleError> {
        let name = qualified(namespace, &id);
        let terms = self.annotations((Declared::Action, &name), &json.annotations, |own| own.terms())?;
        let uid = EntityName::new(qualified(namespace, "Action"), id);
        let (principals, resources, context) = match json.applies_to {
            Some(applies) => (applies.principal_types, applies.resource_types, applies.context),
            None => (Vec::new(), Vec::new(), None),
        };
        if let Some(context) = &context {
            self.check_attributes(context)?;
        }
        let own_type = uid.type_name.clone();
        let group = |member: MemberJson| {
            EntityName::new(member.type_name.unwrap_or_else(|| own_type.clone()), member.id)
        };
        let groups = json.member_of.unwrap_or_default().into_iter().map(group).collect();
        Ok(ActionType { uid, groups, principals, resources, context, terms })
    }
}

impl ResolvedSchema {
    /// Whether the context of an action has room for what the appliance asserts.
    pub(crate) fn asserts_facts(&self, action: &ActionType) -> bool {
        let context = action.context.as_ref().map(|context| self.unalias(context));
        context.is_some_and(|context| context.attributes.contains_key("assent"))
    }

    /// The contexts of actions by id, written so that equal ones are equal text.
    pub(crate) fn contexts(&self) -> BTreeMap<String, String> {
        let context = |action: &ActionType| match &action.context {
            Some(context) => self.written(context),
            None => "{}".to_owned(),
        };
        self.actions.iter().map(|action| (action.uid.id.clone(), context(action))).collect()
    }

    /// A type as the catalog could write it, without common types.
    fn written(&self, json: &TypeJson) -> String {
        let json = self.unalias(json);
        match (json.kind.as_str(), &json.element) {
            ("Record", _) => {
                let attributes = json.attributes.iter().map(|(name, attribute)| {
                    let optional = if attribute.required { "" } else { "?" };
                    format!("{name}{optional}: {}", self.written(&attribute.shape))
                });
                format!("{{{}}}", attributes.collect::<Vec<_>>().join(", "))
            }
            ("Set", Some(element)) => format!("Set<{}>", self.written(element)),
            (kind, _) => json.name.clone().unwrap_or_else(|| kind.trim_start_matches("__cedar::").to_owned()),
        }
    }

    /// The type that a common type stands for, or the type itself.
    pub(crate) fn unalias<'t>(&'t self, json: &'t TypeJson) -> &'t TypeJson {
        match self.common_types.get(&json.kind) {
            Some(common) => self.unalias(common),
            None => json,
        }
    }
}
