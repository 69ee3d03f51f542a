//! Trials: a bundle's own tests, in the format of `cedar run-tests`.
//!
//! The rule it keeps: each test brings its own entities, and passes only if our verdict, Cedar's reasons and the number
//! of errors are all as it says. A test of an allow therefore fails where Cedar would allow and we refuse.

use crate::answer::Answer;
use crate::bundle::{Bundle, Document};
use crate::error::BundleError;
use serde::Deserialize;

/// A test as it is written.
#[derive(Debug, Deserialize)]
struct TrialJson {
    name: String,
    request: serde_json::Value,
    entities: serde_json::Value,
    decision: String,
    #[serde(default)]
    reason: Vec<String>,
    #[serde(default)]
    num_errors: usize,
}

/// A test and what became of it.
#[derive(Clone, Debug)]
pub struct Trial {
    /// The file it stands in.
    pub file: String,
    /// What it says it shows.
    pub name: String,
    /// What is not as it should be; nothing where it passed.
    pub difference: Option<String>,
}

impl Bundle {
    /// Runs the tests of `tests/*.json`.
    ///
    /// # Errors
    /// A file that is not in the format, or a test whose entities do not conform to the catalog.
    pub fn run_tests(&self) -> Result<Vec<Trial>, BundleError> {
        let mut trials = Vec::new();
        for document in &self.sources().tests {
            let rejected = |problem: String| BundleError::Tests { file: document.name.clone(), problem };
            let tests: Vec<TrialJson> =
                serde_json::from_str(&document.text).map_err(|error| rejected(error.to_string()))?;
            for test in tests {
                let entities = Document::new(document.name.clone(), test.entities.to_string());
                let bundle = self.with_entities(vec![entities])?;
                let answer = bundle.answer(&test.request.to_string());
                let answer = answer.map_err(|error| rejected(format!("`{}`: {error}", test.name)))?;
                let difference = test.difference(&answer);
                trials.push(Trial { file: document.name.clone(), name: test.name, difference });
            }
        }
        Ok(trials)
    }
}

impl TrialJson {
    fn difference(&self, answer: &Answer) -> Option<String> {
        let mut expected = self.reason.clone();
        expected.sort();
        if self.decision != answer.decision {
            let why = answer.refusal.map(|refusal| format!(" ({refusal})")).unwrap_or_default();
            let detail = answer.detail.as_deref().map(|detail| format!(": {detail}")).unwrap_or_default();
            return Some(format!("expected {}, decided {}{why}{detail}", self.decision, answer.decision));
        }
        if expected != answer.reasons {
            return Some(format!("expected reasons {expected:?}, decided by {:?}", answer.reasons));
        }
        (self.num_errors != answer.errors.len())
            .then(|| format!("expected {} errors, failed {:?}", self.num_errors, answer.errors))
    }
}
