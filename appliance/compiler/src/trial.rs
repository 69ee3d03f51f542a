//! Trials: a bundle's own tests, in the format of `cedar run-tests`.
//!
//! The rule it keeps: each test brings its own entities, and passes only if our verdict is as it says, the policies that it
//! names are among the deciding ones, and as many policies failed. A test of an allow therefore fails where Cedar would
//! allow and we refuse.

use crate::answer::Answer;
use crate::bundle::{Bundle, Document};
use crate::error::BundleError;
use crate::json::elements;
use crate::place::Place;
use serde::Deserialize;
use std::collections::HashSet;
use std::ops::Range;

/// A test as it is written.
#[derive(Debug, Deserialize)]
struct TrialJson {
    #[serde(default = "unnamed")]
    name: String,
    request: serde_json::Value,
    /// Entities, or the name of a file beside that has them.
    entities: serde_json::Value,
    decision: Expected,
    #[serde(default)]
    reason: Vec<String>,
    #[serde(default)]
    num_errors: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Expected {
    Allow,
    Deny,
}

impl Expected {
    const fn word(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
        }
    }
}

fn unnamed() -> String {
    "(unnamed)".to_owned()
}

/// A test and what became of it.
#[derive(Clone, Debug)]
pub struct Trial {
    /// Where it stands.
    pub place: Place,
    /// What it says it shows.
    pub name: String,
    /// What is not as it should be; nothing where it passed.
    pub difference: Option<String>,
}

impl Bundle {
    /// Runs the tests of `tests/*.json` whose name or file holds `filter`.
    ///
    /// # Errors
    /// A file that is not in the format. A test that cannot run has failed.
    pub fn run_tests(&self, filter: &str) -> Result<Vec<Trial>, BundleError> {
        let documents = &self.sources().tests;
        let named: HashSet<String> = documents.iter().flat_map(entity_files).collect();
        let mut files = Vec::new();
        for document in documents.iter().filter(|document| !named.contains(&document.name)) {
            files.push((document, read(document)?));
        }
        let mut trials = Vec::new();
        for (document, tests) in &files {
            for (place, test) in tests {
                if test.name.contains(filter) || document.name.contains(filter) {
                    let difference = self.run_test(test).unwrap_or_else(Some);
                    trials.push(Trial { place: place.clone(), name: test.name.clone(), difference });
                }
            }
        }
        Ok(trials)
    }

    /// The entities that a test brings, or those of the file beside that it names.
    fn entities_of(&self, test: &TrialJson) -> Result<Document, String> {
        let Some(name) = test.entities.as_str() else {
            return Ok(Document::new("entities of the test", test.entities.to_string()));
        };
        let wanted = format!("tests/{name}");
        let beside = self.sources().tests.iter().find(|document| document.name == wanted);
        beside
            .cloned()
            .ok_or_else(|| format!("there is no {wanted}: put the entities there, or into the test"))
    }

    /// What is not as it should be, or why the test could not run.
    fn run_test(&self, test: &TrialJson) -> Result<Option<String>, String> {
        let entities = self.entities_of(test)?;
        let bundle = self.with_entities(vec![entities]).map_err(|error| error.report())?;
        let answer = bundle.answer(&test.request.to_string()).map_err(|error| error.to_string())?;
        Ok(test.difference(&answer))
    }
}

/// Names of files beside that hold the entities of tests, and no tests.
fn entity_files(document: &Document) -> Vec<String> {
    let tests: Vec<serde_json::Value> = serde_json::from_str(&document.text).unwrap_or_default();
    let named = tests.iter().filter_map(|test| test.get("entities")?.as_str());
    named.map(|name| format!("tests/{name}")).collect()
}

/// The tests of a file, each with its place.
fn read(document: &Document) -> Result<Vec<(Place, TrialJson)>, BundleError> {
    let tests: Vec<TrialJson> = serde_json::from_str(&document.text).map_err(|error| BundleError::Tests {
        file: document.place(document.offset(error.line(), error.column())).to_string(),
        problem: error.to_string(),
    })?;
    let places = elements(&document.text).into_iter().map(|range: Range<usize>| document.place(range.start));
    Ok(places.zip(tests).collect())
}

impl TrialJson {
    fn difference(&self, answer: &Answer) -> Option<String> {
        let list = |ids: &[String]| {
            if ids.is_empty() { "no policy".to_owned() } else { format!("`{}`", ids.join("`, `")) }
        };
        let mut found = Vec::new();
        if self.decision.word() != answer.decision {
            let why = answer.refusal.map(|refusal| format!(" ({refusal})")).unwrap_or_default();
            let detail = answer.detail.as_deref().map(|detail| format!(": {detail}")).unwrap_or_default();
            let by = list(&answer.reasons);
            let expected = self.decision.word();
            found.push(format!("expected {expected}, decided {}{why} by {by}{detail}", answer.decision));
        }
        let deciding: HashSet<_> = answer.reasons.iter().collect();
        let missing: Vec<_> = self.reason.iter().filter(|id| !deciding.contains(id)).cloned().collect();
        if !missing.is_empty() {
            found.push(format!(
                "expected {} to decide, decided by {}",
                list(&missing),
                list(&answer.reasons)
            ));
        }
        if self.num_errors != answer.errors.len() {
            found.push(format!(
                "expected {} policies to fail, {} failed",
                self.num_errors,
                list(&answer.errors)
            ));
        }
        (!found.is_empty()).then(|| found.join("; "))
    }
}
