//! The cached bundle: what is kept of the last good one, so that it can serve when its source is away.
//!
//! Its files with their names and texts, which are compiled again at start, its version and signatures, which are verified
//! again, and whence it came. Encoded like everything that we store: one value, one encoding.

use assent_compiler::{Document, Rules, Sources};
use assent_proto::codec;
use assent_proto::number::Timestamp;
use serde::{Deserialize, Serialize};

use super::offer::{Manifest, Offer};
use super::snapshot::Snapshot;
use super::store::StoreError;
use crate::operators::SignatureFile;

/// A bundle as it is kept.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Cached {
    catalog: (String, String),
    policies: Vec<(String, String)>,
    risk: Vec<(String, String)>,
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

fn kept(documents: &[Document]) -> Vec<(String, String)> {
    documents.iter().map(|Document { name, text }| (name.clone(), text.clone())).collect()
}

fn given(documents: Vec<(String, String)>) -> Vec<Document> {
    documents.into_iter().map(|(name, text)| Document { name, text }).collect()
}

/// A bundle in force, as bytes.
pub(super) fn encode(snapshot: &Snapshot) -> Result<Vec<u8>, StoreError> {
    let sources = snapshot.bundle.sources();
    let cached = Cached {
        catalog: (sources.catalog.name.clone(), sources.catalog.text.clone()),
        policies: kept(&sources.policies),
        risk: kept(&sources.risk),
        entities: kept(&sources.entities),
        tests: kept(&sources.tests),
        version: snapshot.version,
        replaces: snapshot.replaces,
        signatures: snapshot.signatures.clone(),
        source: snapshot.provenance.source.clone(),
        loaded: snapshot.provenance.at,
    };
    let mut bytes = Vec::new();
    codec::append(&cached, &mut bytes).map_err(|_| StoreError::Unreadable("bundle"))?;
    Ok(bytes)
}

/// The bundle that was kept.
pub(super) fn decode(bytes: &[u8]) -> Result<Cached, StoreError> {
    codec::parse(bytes).map_err(|_| StoreError::Unreadable("bundle"))
}

impl Cached {
    /// Offers it again.
    pub(super) fn into_offer(self) -> Offer {
        let (name, text) = self.catalog;
        let sources = Sources {
            catalog: Document { name, text },
            policies: given(self.policies),
            risk: given(self.risk),
            entities: given(self.entities),
            tests: given(self.tests),
            rules: Rules::Bundle,
        };
        Offer { sources, manifest: Manifest { version: self.version }, signatures: self.signatures }
    }
}
