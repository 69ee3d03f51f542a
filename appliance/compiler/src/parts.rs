//! Parts: which document of a bundle stands where, by its name.
//!
//! The rule it keeps: a document stands in the part that its name says, once. A bundle's digest covers names and texts, and
//! operators sign the digest: were a part free, a forbid could be carried among the tests under the same signatures, and
//! would decide nothing.

use std::collections::BTreeSet;

use crate::bundle::{Document, Sources};
use crate::error::BundleError;

pub(crate) const CATALOG: &str = "catalog.cedarschema";
pub(crate) const LINKS: &str = "links.json";
pub(crate) const OPERATORS: &str = "operators.toml";
pub(crate) const ENTITIES: &str = "entities.json";

impl Sources {
    /// Whether every document stands where its name says, and no name comes twice.
    ///
    /// # Errors
    /// [`BundleError::Unsupported`], with the first that does not.
    pub fn check_names(&self) -> Result<(), BundleError> {
        let mut seen = BTreeSet::new();
        for (document, fits) in self.placed() {
            let problem = if !fits {
                "does not stand in the part of the bundle that its name says"
            } else if !seen.insert(&document.name) {
                "stands in the bundle twice"
            } else {
                continue;
            };
            return Err(BundleError::Unsupported {
                file: document.name.clone(),
                what: "this file".to_owned(),
                problem: format!("{problem}: make the bundle anew from its folder"),
            });
        }
        Ok(())
    }

    /// Every document, and whether its name is one of the part in which it stands.
    fn placed(&self) -> impl Iterator<Item = (&Document, bool)> {
        let Self { catalog, policies, risk, links, operators, entities, tests, rules: _ } = self;
        let is_alone = entities.len() == 1;
        let single = |document: &Document, name: &str| document.name == name;
        let entities_fit = move |document: &Document| {
            (is_alone && document.name == ENTITIES) || is_of(document, "entities/", ".json")
        };
        std::iter::once((catalog, single(catalog, CATALOG)))
            .chain(links.iter().map(move |links| (links, single(links, LINKS))))
            .chain(operators.iter().map(move |operators| (operators, single(operators, OPERATORS))))
            .chain(policies.iter().map(|policies| (policies, is_of(policies, "policies/", ".cedar"))))
            .chain(risk.iter().map(|risk| (risk, is_of(risk, "risk/", ".cedar"))))
            .chain(entities.iter().map(move |entities| (entities, entities_fit(entities))))
            .chain(tests.iter().map(|tests| (tests, is_of(tests, "tests/", ".json"))))
    }
}

/// Whether it is a file right in that folder, with that ending, and not hidden.
fn is_of(document: &Document, folder: &str, ending: &str) -> bool {
    let file = document.name.strip_prefix(folder).and_then(|file| file.strip_suffix(ending));
    file.is_some_and(|stem| !stem.is_empty() && !stem.starts_with('.') && !stem.contains('/'))
}
