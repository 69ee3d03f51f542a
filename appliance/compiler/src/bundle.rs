//! The bundle: catalog, policies, risk model and entities, compiled and verified as one.
//!
//! The rule it keeps: a bundle that exists is sound, for its image passed the evaluator's verifier; anything else is a
//! [`BundleError`] and no bundle. It never changes: other entities make another bundle, and the appliance swaps whole.

use crate::catalog::Catalog;
use crate::conformance::blame;
use crate::declaration::Declarations;
use crate::error::BundleError;
use crate::image::ImageTables;
use crate::policy::{Accepted, PolicyDocuments, PolicyNote, accept};
use crate::schema::{ResolvedSchema, resolve};
use crate::snapshot::{SnapshotTables, read};
use assent_evaluator::{
    DEFAULT_BUDGET, Flaw, Image, MAX_OPEN_JUMPS, MAX_SCRATCH, MAX_STACK, PROGRAMS, Snapshot, Storage,
    Verified, View,
};
use cedar_policy::Entities;
use sha2::{Digest, Sha256};
use std::sync::Arc;

/// A file of a bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// Its name within the bundle: `policies/orders.cedar`.
    pub name: String,
    /// Its content.
    pub text: String,
}

impl Document {
    /// A file.
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        Self { name: name.into(), text: text.into() }
    }
}

/// How strictly files are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rules {
    /// As a bundle of ours: validator warnings and annotations that are not ours reject it.
    Bundle,
    /// As anybody's Cedar files: strict validation at any level, warnings are told, annotations that are not ours ignored.
    Plain,
}

/// The files that make a bundle.
#[derive(Clone, Debug)]
pub struct Sources {
    /// `catalog.cedarschema`
    pub catalog: Document,
    /// `policies/*.cedar`
    pub policies: Vec<Document>,
    /// `risk/*.cedar`
    pub risk: Vec<Document>,
    /// `links.json`: the links of the templates among policies and risk model.
    pub links: Option<Document>,
    /// `operators.toml`: who approves. The compiler does not look into it; the bundle's digest covers it.
    pub operators: Option<Document>,
    /// `entities.json` or `entities/*.json`
    pub entities: Vec<Document>,
    /// `tests/*.json`
    pub tests: Vec<Document>,
    /// How strictly they are taken.
    pub rules: Rules,
}

impl Sources {
    /// Plain Cedar files.
    pub fn plain(
        catalog: impl Into<String>,
        policies: impl Into<String>,
        entities: impl Into<String>,
    ) -> Self {
        Self {
            catalog: Document::new("schema", catalog),
            policies: vec![Document::new("policies", policies)],
            risk: Vec::new(),
            links: None,
            operators: None,
            entities: vec![Document::new("entities", entities)],
            tests: Vec::new(),
            rules: Rules::Plain,
        }
    }

    pub(crate) fn documents(&self) -> impl Iterator<Item = &Document> {
        let lists = [&self.policies, &self.risk, &self.entities, &self.tests];
        std::iter::once(&self.catalog)
            .chain(&self.links)
            .chain(&self.operators)
            .chain(lists.into_iter().flatten())
    }

    const fn policy_documents(&self) -> PolicyDocuments<'_> {
        PolicyDocuments {
            policies: self.policies.as_slice(),
            risk: self.risk.as_slice(),
            links: self.links.as_ref(),
        }
    }

    /// SHA-256 over names and contents, each behind its length, sorted by name.
    pub fn digest(&self) -> [u8; 32] {
        let mut documents: Vec<_> = self.documents().collect();
        documents.sort_by(|left, right| left.name.cmp(&right.name));
        let mut hash = Sha256::new();
        hash.update(b"assent bundle v1\n");
        for document in documents {
            for part in [&document.name, &document.text] {
                hash.update((part.len() as u64).to_be_bytes());
                hash.update(part.as_bytes());
            }
        }
        hash.finalize().into()
    }
}

/// What evaluation reads: the image is shared between bundles that differ in their entities only.
#[derive(Debug)]
pub(crate) struct Tables {
    image: Arc<ImageTables>,
    snapshot: SnapshotTables,
}

impl Storage for Tables {
    fn image(&self) -> Image<'_> {
        self.image.image()
    }

    fn snapshot(&self) -> Snapshot<'_> {
        self.snapshot.snapshot()
    }
}

/// A program that the verifier does not take is one that passes the machine's limits; anything else is our own fault.
fn flawed(flaw: Flaw, policies: &[Accepted]) -> BundleError {
    match policies.get(flaw.place).filter(|_| flaw.table == PROGRAMS) {
        None => BundleError::Flawed(flaw),
        Some(Accepted { note, .. }) => BundleError::Unsupported {
            file: note.place.to_string(),
            what: format!("policy `{}`", note.id),
            problem: format!(
                "nests deeper or gathers more than the evaluator has room for: {MAX_STACK} values on the stack, \
                 {MAX_SCRATCH} in sets and records that are not constant, {MAX_OPEN_JUMPS} open branches: split it, or nest \
                 it less"
            ),
        },
    }
}

/// The same error with the place of the policy or action that it is about.
fn placed(error: BundleError, catalog: &Document, policies: &[Accepted]) -> BundleError {
    let BundleError::Unsupported { what, .. } = &error else { return error };
    let quoted = what.split('`').nth(1).unwrap_or_default();
    let place = match what.split(' ').next() {
        Some("policy") => {
            let policy = policies.iter().find(|policy| policy.note.id == quoted);
            policy.map(|policy| policy.note.place.clone())
        }
        Some("action") => Declarations::of(catalog).action(quoted),
        _ => None,
    };
    error.at(place)
}

/// Rejects what could use more fuel than an evaluation gets, and names the policy that uses most.
fn check_budget<'p>(
    view: &View<'_>,
    policies: impl Iterator<Item = &'p PolicyNote>,
) -> Result<(), BundleError> {
    let (worst_case, budget) = (crate::cost::worst_case(view), view.image().budget);
    let most = policies.zip(crate::cost::policy_costs(view)).max_by_key(|(_, fuel)| *fuel);
    match most.filter(|_| worst_case > budget) {
        None => Ok(()),
        Some((policy, fuel)) => Err(BundleError::OverBudget {
            file: policy.place.to_string(),
            id: policy.id.clone(),
            fuel,
            worst_case,
            budget,
        }),
    }
}

fn read_entities(documents: &[Document], schema: &ResolvedSchema) -> Result<Entities, BundleError> {
    read(documents, schema).map_err(|error| blame(error, documents, schema))
}

/// A compiled bundle.
#[derive(Debug)]
pub struct Bundle {
    verified: Verified<Tables>,
    pub(crate) schema: Arc<ResolvedSchema>,
    catalog: Arc<Catalog>,
    notes: Arc<[PolicyNote]>,
    warnings: Arc<[String]>,
    sources: Sources,
    digest: [u8; 32],
}

impl Bundle {
    /// Compiles a bundle with the default budget.
    ///
    /// # Errors
    /// Whatever is wrong with the files; see [`BundleError`].
    pub fn compile(sources: Sources) -> Result<Self, BundleError> {
        Self::compile_within(sources, DEFAULT_BUDGET)
    }

    /// Compiles a bundle whose evaluations may use so much fuel.
    ///
    /// # Errors
    /// Whatever is wrong with the files; see [`BundleError`].
    pub fn compile_within(sources: Sources, budget: u64) -> Result<Self, BundleError> {
        if sources.rules == Rules::Bundle {
            sources.check_names()?;
        }
        let schema = resolve(&sources.catalog, sources.rules)?;
        let (accepted, mut warnings) = accept(sources.policy_documents(), &schema, sources.rules)?;
        warnings.extend(schema.warnings.iter().cloned());
        let image = ImageTables::compile(&schema, &accepted, budget, sources.rules)
            .map_err(|error| placed(error, &sources.catalog, &accepted))?;
        warnings.extend(accepted.iter().enumerate().filter_map(|(index, Accepted { note, .. })| {
            let warning = image.warning(index, note)?;
            Some(warning.replacen(&note.file, &note.place.to_string(), 1))
        }));
        let entities = read_entities(&sources.entities, &schema)?;
        let snapshot = SnapshotTables::compile(&image, &entities)?;
        let verified = Verified::new(Tables { image: Arc::new(image), snapshot })
            .map_err(|flaw| flawed(flaw, &accepted))?;
        if sources.rules == Rules::Bundle {
            check_budget(&verified.view(), accepted.iter().map(|policy| &policy.note))?;
        }
        Ok(Self {
            verified,
            catalog: Arc::new(Catalog::of(&schema)),
            schema: Arc::new(schema),
            notes: accepted.into_iter().map(|policy| policy.note).collect(),
            warnings: warnings.into(),
            digest: sources.digest(),
            sources,
        })
    }

    /// The same catalog and policies over other entities, whatever they are called. Its digest is another one.
    ///
    /// # Errors
    /// Entities that do not conform to the catalog, or over which the worst case passes the budget.
    pub fn with_entities(&self, entities: Vec<Document>) -> Result<Self, BundleError> {
        let image = Arc::clone(&self.verified.storage().image);
        let snapshot = SnapshotTables::compile(&image, &read_entities(&entities, &self.schema)?)?;
        let sources = Sources { entities, ..self.sources.clone() };
        let verified = Verified::new(Tables { image, snapshot }).map_err(BundleError::Flawed)?;
        if sources.rules == Rules::Bundle {
            // Larger sets in entities make a dearer worst case.
            check_budget(&verified.view(), self.notes.iter())?;
        }
        Ok(Self {
            verified,
            schema: Arc::clone(&self.schema),
            catalog: Arc::clone(&self.catalog),
            notes: Arc::clone(&self.notes),
            warnings: Arc::clone(&self.warnings),
            digest: sources.digest(),
            sources,
        })
    }

    /// What evaluation reads.
    pub fn view(&self) -> View<'_> {
        self.verified.view()
    }

    /// SHA-256 over the names and contents of all files.
    pub const fn digest(&self) -> [u8; 32] {
        self.digest
    }

    /// The catalog.
    pub fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// The entity type of all agents: a SPIFFE ID is an entity of it. None where no action takes a principal.
    ///
    /// # Errors
    /// [`BundleError::Unsupported`] where actions take principals of several types, for an id would not name one entity.
    pub fn agent_type(&self) -> Result<Option<&str>, BundleError> {
        let mut known: Option<&str> = None;
        for action in self.catalog.actions() {
            for principal in &action.principals {
                let first = *known.get_or_insert(principal);
                if first != principal {
                    let error = BundleError::Unsupported {
                        file: self.sources.catalog.name.clone(),
                        what: format!("action `{}`", action.id),
                        problem: format!(
                            "takes principals of type {principal}, and others take {first}: give agents one entity type"
                        ),
                    };
                    return Err(placed(error, &self.sources.catalog, &[]));
                }
            }
        }
        Ok(known)
    }

    /// The policies by index, the risk model's last.
    pub fn policies(&self) -> &[PolicyNote] {
        &self.notes
    }

    /// The id of a policy.
    pub fn policy_id(&self, index: usize) -> &str {
        self.notes.get(index).map_or("?", |note| &note.id)
    }

    /// The most fuel that one evaluation can use, over this image and these entities. Compare it with `policy.budget`.
    pub fn worst_case(&self) -> u64 {
        crate::cost::worst_case(&self.view())
    }

    /// The same for each policy, by index.
    pub fn worst_cases(&self) -> Vec<u64> {
        crate::cost::policy_costs(&self.view())
    }

    /// The greatest height of the stack in each policy, by index; at most [`MAX_STACK`].
    pub fn stack_heights(&self) -> Vec<usize> {
        crate::stack::heights(&self.view())
    }

    /// What does not reject the bundle and should be known.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The files it was made from.
    pub const fn sources(&self) -> &Sources {
        &self.sources
    }
}
