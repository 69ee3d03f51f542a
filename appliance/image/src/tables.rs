//! Tables: an image and a snapshot that own what the evaluator borrows, and their bytes.
//!
//! The rule it keeps: the order of the tables is that of the evaluator's fields, and so is the order in the bytes. Image
//! and snapshot are kept apart, for entities change more often than policies.

use crate::cursor::{Cursor, FormatError, write_table, write_text};
use assent_evaluator::{
    ActionRow, Address, Attribute, EntityRow, FactNames, Field, Image, Instruction, Literal, Names,
    PolicyRow, ProgramRow, Range, ScopeIndex, Shape, Snapshot, Storage, Tag, TypeRow, Value,
};
use sha2::{Digest as _, Sha256};

/// How an image's bytes begin.
const IMAGE: &[u8] = b"assent/image/v1\0";
/// How a snapshot's bytes begin.
const SNAPSHOT: &[u8] = b"assent/snapshot/v1\0";
/// Bytes that an image or a snapshot may have: LIMIT: far more than 200,000 entities need.
pub const MAX_IMAGE_BYTES: usize = 1 << 30;

/// Declares tables that are owned, and how they are read: one after the other.
macro_rules! tables {
    ($(#[$doc:meta])* $name:ident { $($field:ident: $row:ty = $words:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug)]
        pub struct $name {
            text: String,
            $($field: Vec<$row>,)*
        }

        impl $name {
            fn read_tables(cursor: &mut Cursor<'_>) -> Result<Self, FormatError> {
                Ok(Self { text: cursor.text("text")?, $($field: cursor.table($words)?,)* })
            }
        }
    };
}

tables! {
    /// An image that owns its tables.
    OwnedImage {
        elements: Value = "elements",
        fields: Field = "fields",
        addresses: Address = "addresses",
        constants: Value = "constants",
        code: Instruction = "code",
        patterns: Range = "patterns",
        parts: Range = "parts of patterns",
        paths: Range = "paths",
        path_names: u32 = "names of paths",
        policies: PolicyRow = "policies",
        forbids: u64 = "forbids",
        approvals: u64 = "approvals",
        scores: u64 = "scores",
        name_rows: Range = "names",
        name_slots: u32 = "slots of names",
        type_names: Range = "type names",
        type_slots: u32 = "slots of type names",
        type_rows: TypeRow = "types",
        shapes: Shape = "shapes",
        attributes: Attribute = "attributes",
        actions: ActionRow = "actions",
        applies_to: u32 = "types that actions apply to",
        literals: Literal = "literals",
        anchors: u32 = "anchors",
        action_scopes: u64 = "action scopes",
        environment_scopes: u64 = "environment scopes",
        environment_programs: u32 = "programs of environments",
        programs: ProgramRow = "specialised programs",
        principals_unnamed: u64 = "principal scopes",
        principals_by_type: u64 = "principal scopes by type",
        principals_equal: u64 = "principal scopes by entity",
        principals_within: u64 = "principal scopes by ancestor",
        resources_unnamed: u64 = "resource scopes",
        resources_by_type: u64 = "resource scopes by type",
        resources_equal: u64 = "resource scopes by entity",
        resources_within: u64 = "resource scopes by ancestor",
        facts: FactNames = "facts",
        budget: u64 = "budget",
    }
}

tables! {
    /// A snapshot that owns its tables.
    OwnedSnapshot {
        elements: Value = "elements of entities",
        attributes: Value = "attributes of entities",
        fields: Field = "fields of entities",
        addresses: Address = "addresses of entities",
        entities: EntityRow = "entities",
        slots: u32 = "slots of entities",
        ancestors: u32 = "ancestors",
        anchors: u32 = "anchors of entities",
        tags: Tag = "tags",
    }
}

/// The bytes of an image.
#[must_use]
pub fn image_bytes(image: &Image<'_>) -> Vec<u8> {
    let mut to = IMAGE.to_vec();
    write_text(image.text, &mut to);
    write_table(image.elements, &mut to);
    write_table(image.fields, &mut to);
    write_table(image.addresses, &mut to);
    write_table(image.constants, &mut to);
    write_table(image.code, &mut to);
    write_table(image.patterns, &mut to);
    write_table(image.parts, &mut to);
    write_table(image.paths, &mut to);
    write_table(image.path_names, &mut to);
    write_table(image.policies, &mut to);
    for mask in [image.forbids, image.approvals, image.scores] {
        write_table(mask, &mut to);
    }
    for names in [&image.names, &image.types] {
        write_table(names.rows, &mut to);
        write_table(names.slots, &mut to);
    }
    write_table(image.type_rows, &mut to);
    write_table(image.shapes, &mut to);
    write_table(image.attributes, &mut to);
    write_table(image.actions, &mut to);
    write_table(image.applies_to, &mut to);
    write_table(image.literals, &mut to);
    write_table(image.anchors, &mut to);
    write_table(image.action_scopes, &mut to);
    write_table(image.environment_scopes, &mut to);
    write_table(image.environment_programs, &mut to);
    write_table(image.programs, &mut to);
    for scope in [&image.principals, &image.resources] {
        for rows in [scope.unnamed, scope.by_type, scope.equal, scope.within] {
            write_table(rows, &mut to);
        }
    }
    write_table(image.facts.as_slice(), &mut to);
    write_table(&[image.budget], &mut to);
    to
}

/// The bytes of a snapshot.
#[must_use]
pub fn snapshot_bytes(snapshot: &Snapshot<'_>) -> Vec<u8> {
    let mut to = SNAPSHOT.to_vec();
    write_text(snapshot.text, &mut to);
    write_table(snapshot.elements, &mut to);
    write_table(snapshot.attributes, &mut to);
    write_table(snapshot.fields, &mut to);
    write_table(snapshot.addresses, &mut to);
    write_table(snapshot.entities, &mut to);
    write_table(snapshot.slots, &mut to);
    write_table(snapshot.ancestors, &mut to);
    write_table(snapshot.anchors, &mut to);
    write_table(snapshot.tags, &mut to);
    to
}

/// SHA-256 of an image's or a snapshot's bytes.
#[must_use]
pub fn digest(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

fn bounded(bytes: &[u8]) -> Result<&[u8], FormatError> {
    match bytes.len() {
        size if size > MAX_IMAGE_BYTES => Err(FormatError::TooLarge { size, limit: MAX_IMAGE_BYTES }),
        _ => Ok(bytes),
    }
}

impl OwnedImage {
    /// Reads an image from bytes.
    ///
    /// # Errors
    /// [`FormatError`] for whatever [`image_bytes`] does not write.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FormatError> {
        let mut cursor = Cursor::new(bounded(bytes)?, IMAGE)?;
        let image = Self::read_tables(&mut cursor)?;
        cursor.end()?;
        // These two are not tables: one at most, and exactly one.
        let alone = |holds: bool, table| if holds { Ok(()) } else { Err(FormatError::Row { table, row: 1 }) };
        alone(image.facts.len() <= 1, "facts")?;
        alone(image.budget.len() == 1, "budget")?;
        Ok(image)
    }

    /// As the evaluator reads it.
    #[must_use]
    pub fn image(&self) -> Image<'_> {
        Image {
            text: &self.text,
            elements: &self.elements,
            fields: &self.fields,
            addresses: &self.addresses,
            constants: &self.constants,
            code: &self.code,
            patterns: &self.patterns,
            parts: &self.parts,
            paths: &self.paths,
            path_names: &self.path_names,
            policies: &self.policies,
            forbids: &self.forbids,
            approvals: &self.approvals,
            scores: &self.scores,
            has_scores: self.scores.iter().any(|word| *word != 0),
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
            environment_scopes: &self.environment_scopes,
            environment_programs: &self.environment_programs,
            programs: &self.programs,
            principals: ScopeIndex {
                unnamed: &self.principals_unnamed,
                by_type: &self.principals_by_type,
                equal: &self.principals_equal,
                within: &self.principals_within,
            },
            resources: ScopeIndex {
                unnamed: &self.resources_unnamed,
                by_type: &self.resources_by_type,
                equal: &self.resources_equal,
                within: &self.resources_within,
            },
            facts: self.facts.first().copied(),
            budget: self.budget.first().copied().unwrap_or(0),
        }
    }
}

impl OwnedSnapshot {
    /// Reads a snapshot from bytes.
    ///
    /// # Errors
    /// [`FormatError`] for whatever [`snapshot_bytes`] does not write.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FormatError> {
        let mut cursor = Cursor::new(bounded(bytes)?, SNAPSHOT)?;
        let snapshot = Self::read_tables(&mut cursor)?;
        cursor.end()?;
        Ok(snapshot)
    }

    /// As the evaluator reads it.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot<'_> {
        Snapshot {
            text: &self.text,
            elements: &self.elements,
            attributes: &self.attributes,
            fields: &self.fields,
            addresses: &self.addresses,
            entities: &self.entities,
            slots: &self.slots,
            ancestors: &self.ancestors,
            anchors: &self.anchors,
            tags: &self.tags,
        }
    }
}

/// An image and a snapshot that were read from bytes. They are not verified yet.
#[derive(Clone, Debug)]
pub struct Stored {
    image: OwnedImage,
    snapshot: OwnedSnapshot,
}

impl Stored {
    /// Reads both.
    ///
    /// # Errors
    /// [`FormatError`] for whatever is not the one encoding of an image and of a snapshot.
    pub fn from_bytes(image: &[u8], snapshot: &[u8]) -> Result<Self, FormatError> {
        Ok(Self { image: OwnedImage::from_bytes(image)?, snapshot: OwnedSnapshot::from_bytes(snapshot)? })
    }
}

impl Storage for Stored {
    fn image(&self) -> Image<'_> {
        self.image.image()
    }

    fn snapshot(&self) -> Snapshot<'_> {
        self.snapshot.snapshot()
    }
}
