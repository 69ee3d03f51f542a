//! The cached bundle: what is kept of the last good one, so that it can serve when its source is away.
//!
//! Its files with their names and texts, which are compiled again at start, its version and signatures, which are verified
//! again, and whence it came. Encoded like everything that we store: one value, one encoding.

use assent_compiler::{Document, Rules, Sources};
use assent_doors::shelf::ShelfError;
use assent_proto::codec;
use assent_proto::number::Timestamp;
use serde::{Deserialize, Serialize};

use super::offer::{Manifest, Offer};
use super::snapshot::Snapshot;
use super::store::LABEL;
use crate::operators::SignatureFile;

/// A bundle as it is kept.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Cached {
    catalog: (String, String),
    policies: Vec<(String, String)>,
    risk: Vec<(String, String)>,
    links: Option<(String, String)>,
    operators: Option<(String, String)>,
    entities: Vec<(String, String)>,
    tests: Vec<(String, String)>,
    version: Option<u64>,
    /// The version that it replaced, where operators went back to an older one.
    pub(super) replaces: Option<u64>,
    signatures: Vec<SignatureFile>,
    /// Whence it came.
    pub(super) source: String,
    loaded: Timestamp,
}

fn kept(Document { name, text }: &Document) -> (String, String) {
    (name.clone(), text.clone())
}

fn given((name, text): (String, String)) -> Document {
    Document { name, text }
}

/// A bundle in force, as bytes.
pub(super) fn encode(snapshot: &Snapshot) -> Result<Vec<u8>, ShelfError> {
    let Sources { catalog, policies, risk, links, operators, entities, tests, rules: _ } =
        snapshot.bundle.sources();
    let all = |documents: &[Document]| documents.iter().map(kept).collect();
    let cached = Cached {
        catalog: kept(catalog),
        policies: all(policies),
        risk: all(risk),
        links: links.as_ref().map(kept),
        operators: operators.as_ref().map(kept),
        entities: all(entities),
        tests: all(tests),
        version: snapshot.version,
        replaces: snapshot.replaces,
        signatures: snapshot.signatures.clone(),
        source: snapshot.provenance.source.clone(),
        loaded: snapshot.provenance.at,
    };
    let mut bytes = Vec::new();
    codec::append(&cached, &mut bytes)
        .map_err(|_| ShelfError::Unreadable { label: &LABEL, what: "bundle" })?;
    Ok(bytes)
}

/// The bundle that was kept.
pub(super) fn decode(bytes: &[u8]) -> Result<Cached, ShelfError> {
    codec::parse(bytes).map_err(|_| ShelfError::Unreadable { label: &LABEL, what: "bundle" })
}

impl Cached {
    /// Offers it again.
    pub(super) fn into_offer(self) -> Offer {
        let all = |documents: Vec<_>| documents.into_iter().map(given).collect();
        let sources = Sources {
            catalog: given(self.catalog),
            policies: all(self.policies),
            risk: all(self.risk),
            links: self.links.map(given),
            operators: self.operators.map(given),
            entities: all(self.entities),
            tests: all(self.tests),
            rules: Rules::Bundle,
        };
        let (manifest, signatures) = (Manifest { version: self.version }, self.signatures);
        Offer { sources, manifest, signatures, packed: None }
    }
}
