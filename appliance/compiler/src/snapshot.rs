//! The snapshot: entities in Cedar's JSON, checked by Cedar, laid into tables.
//!
//! The rule it keeps: the image's literals come first and in their order, and every entity that anything names has a
//! row, so that equal numbers mean equal uids. Cedar checks conformance and computes the ancestors.

use crate::bundle::Document;
use crate::constant::{Constant, ValueTable};
use crate::error::{BundleError, draw};
use crate::image::ImageTables;
use crate::literal::of_result;
use crate::schema::ResolvedSchema;
use crate::table::{EntityName, EntityTable, NameTable, number, open_addressed};
use assent_evaluator::{EMPTY_SLOT, EntityRow, Range, Snapshot, Source, Tag, Value, hash_uid};
use cedar_policy::{Entities, Entity, EvalResult};
use std::collections::{BTreeMap, HashMap, HashSet};

/// A snapshot, owned.
#[derive(Debug)]
pub(crate) struct SnapshotTables {
    values: ValueTable,
    attributes: Vec<Value>,
    entities: Vec<EntityRow>,
    slots: Vec<u32>,
    ancestors: Vec<u32>,
    anchors: Vec<u32>,
    tags: Vec<Tag>,
}

/// Reads entities and checks them against the catalog. Several documents are one snapshot.
pub(crate) fn read(documents: &[Document], schema: &ResolvedSchema) -> Result<Entities, BundleError> {
    let mut entities = Entities::from_json_str("[]", Some(&schema.schema))
        .map_err(|error| BundleError::Entities { file: "entities".to_owned(), drawn: draw(&error) })?;
    for document in documents {
        entities = entities
            .add_entities_from_json_str(&document.text, Some(&schema.schema))
            .map_err(|error| BundleError::Entities { file: document.name.clone(), drawn: draw(&error) })?;
    }
    Ok(entities)
}

impl SnapshotTables {
    /// Lays entities into tables.
    pub(crate) fn compile(image: &ImageTables, entities: &Entities) -> Result<Self, BundleError> {
        let mut layout = Layout {
            image,
            names: image.names.clone(),
            known: image.literals.clone(),
            present: image.declared.iter().cloned().collect(),
            anchors: image
                .anchors
                .iter()
                .enumerate()
                .map(|(place, literal)| (*literal, number(place)))
                .collect(),
            rows: HashMap::new(),
            tables: Self {
                values: ValueTable::new(Source::Snapshot),
                attributes: Vec::new(),
                entities: Vec::new(),
                slots: Vec::new(),
                ancestors: Vec::new(),
                anchors: Vec::new(),
                tags: Vec::new(),
            },
        };
        // In the order of their uids, so that equal entities give equal bytes.
        let mut sorted: Vec<_> =
            entities.iter().map(|entity| (EntityName::of(&entity.uid()), entity)).collect();
        sorted.sort_unstable_by(|left, right| left.0.cmp(&right.0));
        for (name, _) in &sorted {
            layout.known.keep(name);
        }
        for (_, entity) in sorted {
            layout.take(entity, entities)?;
        }
        layout.finish()
    }

    /// Nothing more is laid: it will stay in memory for long, and in its full size only.
    fn close(&mut self) {
        self.values.text.close();
        self.values.elements.shrink_to_fit();
        self.values.fields.shrink_to_fit();
        self.attributes.shrink_to_fit();
        self.entities.shrink_to_fit();
        self.ancestors.shrink_to_fit();
        self.anchors.shrink_to_fit();
        self.tags.shrink_to_fit();
    }

    /// As the evaluator reads it.
    pub(crate) fn snapshot(&self) -> Snapshot<'_> {
        Snapshot {
            text: &self.values.text.text,
            elements: &self.values.elements,
            attributes: &self.attributes,
            fields: &self.values.fields,
            addresses: &self.values.addresses,
            entities: &self.entities,
            slots: &self.slots,
            ancestors: &self.ancestors,
            anchors: &self.anchors,
            tags: &self.tags,
        }
    }
}

/// What an entity has, laid out.
#[derive(Clone, Copy, Default)]
struct Laid {
    attributes: Range,
    tags: Range,
    ancestors: Range,
}

struct Layout<'i> {
    image: &'i ImageTables,
    names: NameTable,
    known: EntityTable,
    present: HashSet<EntityName>,
    /// Anchors by literal.
    anchors: HashMap<u32, u32>,
    rows: HashMap<u32, Laid>,
    tables: SnapshotTables,
}

impl Layout<'_> {
    fn take(&mut self, entity: &Entity, entities: &Entities) -> Result<(), BundleError> {
        let name = EntityName::of(&entity.uid());
        let own = self.known.keep(&name);
        let attributes = constants(entity.attrs(), &name)?;
        let tags = constants(entity.tags(), &name)?;

        let attributes = self.lay_attributes(&name, &attributes)?;
        let known = &mut self.known;
        let values = &mut self.tables.values;

        // A map by key: sorted by bytes, as the evaluator searches.
        let start = self.tables.tags.len();
        for (key, value) in &tags {
            let key = values.text.keep(key);
            let value = values.place(value, &mut self.names, &mut |uid| known.keep(uid));
            self.tables.tags.push(Tag { key, value });
        }
        let tags = Range { start: number(start), length: number(tags.len()) };

        let above = entities.ancestors(&entity.uid()).into_iter().flatten();
        let mut above: Vec<_> = above.map(|uid| self.known.keep(&EntityName::of(uid))).collect();
        above.retain(|ancestor| *ancestor != own);
        above.sort_unstable();
        let ancestors = Range { start: number(self.tables.ancestors.len()), length: number(above.len()) };
        self.tables.ancestors.extend(above);

        self.rows.insert(own, Laid { attributes, tags, ancestors });
        self.present.insert(name);
        Ok(())
    }

    /// One value for each attribute that the type declares, in the order of their names.
    fn lay_attributes(
        &mut self,
        entity: &EntityName,
        attributes: &BTreeMap<String, Constant>,
    ) -> Result<Range, BundleError> {
        let mut values = BTreeMap::new();
        for (name, value) in attributes {
            let known = &mut self.known;
            let value = self.tables.values.place(value, &mut self.names, &mut |uid| known.keep(uid));
            values.insert(self.names.keep(name), value);
        }
        let row = self
            .image
            .types
            .find(&entity.type_name)
            .and_then(|number| self.image.type_rows.get(number as usize));
        let declared = row.and_then(|row| row.attributes.of(&self.image.attributes)).unwrap_or_default();
        let start = self.tables.attributes.len();
        for attribute in declared {
            self.tables.attributes.push(values.remove(&attribute.name).unwrap_or(Value::ABSENT));
        }
        match values.is_empty() {
            true => Ok(Range { start: number(start), length: number(declared.len()) }),
            false => Err(BundleError::Unsupported {
                file: "entities".to_owned(),
                what: format!("entity {}::\"{}\"", entity.type_name, entity.id),
                problem:
                    "it has attributes that the catalog does not declare: declare them, or take them out"
                        .to_owned(),
            }),
        }
    }

    fn finish(mut self) -> Result<SnapshotTables, BundleError> {
        let mut hashes = Vec::new();
        let entities = std::mem::take(&mut self.known.entities);
        for (place, entity) in entities.iter().enumerate() {
            let type_number =
                self.image.types.find(&entity.type_name).ok_or_else(|| BundleError::Unsupported {
                    file: "entities".to_owned(),
                    what: format!("entity {}::\"{}\"", entity.type_name, entity.id),
                    problem: "the catalog does not declare its type: declare it, or take the entity out"
                        .to_owned(),
                })?;
            let own = number(place);
            let laid = self.rows.get(&own).copied().unwrap_or_default();
            let row = EntityRow {
                type_number,
                id: self.tables.values.text.keep(&entity.id),
                is_present: self.present.contains(entity),
                attributes: laid.attributes,
                tags: laid.tags,
                ancestors: laid.ancestors,
                anchors: self.lay_anchors(own, laid.ancestors),
                anchor: self.anchors.get(&own).copied().unwrap_or(EMPTY_SLOT),
            };
            hashes.push(hash_uid(type_number, &entity.id));
            self.tables.entities.push(row);
        }
        if self.names.len() != self.image.names.len() {
            return Err(BundleError::Unsupported {
                file: "entities".to_owned(),
                what: "attributes".to_owned(),
                problem: "the catalog does not declare all of them: declare them, or take them out"
                    .to_owned(),
            });
        }
        self.tables.slots = open_addressed(hashes.into_iter());
        self.tables.close();
        Ok(self.tables)
    }

    /// Anchors among an entity and its ancestors.
    fn lay_anchors(&mut self, own: u32, ancestors: Range) -> Range {
        let start = self.tables.anchors.len();
        let above = ancestors.of(&self.tables.ancestors).unwrap_or_default().iter().chain([&own]);
        let anchors: Vec<_> = above.filter_map(|entity| self.anchors.get(entity).copied()).collect();
        self.tables.anchors.extend_from_slice(&anchors);
        Range { start: number(start), length: number(anchors.len()) }
    }
}

/// Attributes or tags as constants.
fn constants<'e, E>(
    pairs: impl Iterator<Item = (&'e str, Result<EvalResult, E>)>,
    entity: &EntityName,
) -> Result<BTreeMap<String, Constant>, BundleError> {
    pairs
        .map(|(name, value)| {
            let constant = value.ok().as_ref().and_then(of_result);
            constant.map(|constant| (name.to_owned(), constant)).ok_or_else(|| BundleError::Unsupported {
                file: "entities".to_owned(),
                what: format!("entity {}::\"{}\"", entity.type_name, entity.id),
                problem: format!("`{name}` has a value that the evaluator does not know: write one of a type that the catalog can declare"),
            })
        })
        .collect()
}
