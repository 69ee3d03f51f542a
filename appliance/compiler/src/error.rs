//! Errors of loading a bundle.
//!
//! The rule they keep: each names the file with line and column where it has one, draws Cedar's diagnostic over the source
//! where Cedar gave one, and says what to do next. A bundle with any of them is not loaded at all.

pub(crate) use crate::diagnosis::draw;
use crate::diagnosis::{Diagnosis, drawn};
use crate::place::Place;
use std::path::PathBuf;

/// Why a bundle is rejected.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// A file or folder could not be read.
    #[error("cannot read {path}")]
    Unreadable {
        /// The path.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The catalog does not parse, does not resolve or is not complete.
    #[error("{file}: the catalog is rejected")]
    Catalog {
        /// The file, with line and column.
        file: String,
        /// Cedar's diagnostics, drawn.
        drawn: String,
    },
    /// Policies do not parse, or do not validate strictly at level 1.
    #[error("{file}: policies are rejected")]
    Policies {
        /// The file, or files.
        file: String,
        /// Cedar's diagnostics, drawn.
        drawn: String,
    },
    /// Template links cannot be read or do not fit their templates.
    #[error("{file}: template links are rejected")]
    Links {
        /// The file, with line and column.
        file: String,
        /// What is wrong, drawn.
        drawn: String,
    },
    /// Entities do not conform to the catalog.
    #[error("{file}: entities are rejected")]
    Entities {
        /// The file, with line and column.
        file: String,
        /// Cedar's diagnostics, drawn.
        drawn: String,
    },
    /// An annotation that is not ours, or whose value is not of its type.
    #[error("{file}: {place}: @{key}: {problem}")]
    Annotation {
        /// The file.
        file: String,
        /// What is annotated.
        place: String,
        /// The annotation.
        key: String,
        /// What is wrong with it.
        problem: String,
    },
    /// Two policies, templates or links of one id.
    #[error("{file}: policy id `{id}` occurs twice; the first is at {first}")]
    DuplicateId {
        /// Where the second stands.
        file: String,
        /// The id.
        id: String,
        /// Where the first stands.
        first: String,
    },
    /// Something that Cedar accepts and we do not.
    #[error("{file}: {what}: {problem}")]
    Unsupported {
        /// The file.
        file: String,
        /// The policy, type or action.
        what: String,
        /// Why not.
        problem: String,
    },
    /// Larger than a limit.
    #[error("{what}: {size} passes the limit of {limit}")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// How large it is.
        size: u64,
        /// The limit.
        limit: u64,
    },
    /// The worst case of an intent passes the budget.
    #[error(
        "{file}: policy `{id}`: an intent can use {worst_case} units of fuel, over the budget of {budget}; this policy alone {fuel}"
    )]
    OverBudget {
        /// Where the most expensive policy stands.
        file: String,
        /// Its id.
        id: String,
        /// What it can use.
        fuel: u64,
        /// What all policies together can use.
        worst_case: u64,
        /// The budget.
        budget: u64,
    },
    /// A test file is not in the format of `cedar run-tests`.
    #[error("{file}: {problem}")]
    Tests {
        /// The file.
        file: String,
        /// What is wrong.
        problem: String,
    },
    /// The image that was made does not pass its verifier: a fault of the compiler, not of the bundle.
    #[error("the compiled image is flawed")]
    Flawed(#[source] assent_evaluator::Flaw),
}

impl BundleError {
    /// The message, the diagnostic drawn over its source where there is one, and what to do next.
    pub fn report(&self) -> String {
        let mut report = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            report = format!("{report}: {error}");
            cause = error.source();
        }
        if let Some(drawn) = self.drawn() {
            report = format!("{report}\n{}", drawn.trim_end_matches('\n'));
        }
        match self.advice() {
            Some(advice) => format!("{report}\n  next: {advice}"),
            None => report,
        }
    }

    const fn drawn(&self) -> Option<&str> {
        match self {
            Self::Catalog { drawn, .. }
            | Self::Policies { drawn, .. }
            | Self::Links { drawn, .. }
            | Self::Entities { drawn, .. } => Some(drawn.as_str()),
            Self::Unreadable { .. }
            | Self::Annotation { .. }
            | Self::DuplicateId { .. }
            | Self::Unsupported { .. }
            | Self::TooLarge { .. }
            | Self::OverBudget { .. }
            | Self::Tests { .. }
            | Self::Flawed(_) => None,
        }
    }

    /// What to do next, where message and drawing do not say so themselves.
    pub fn advice(&self) -> Option<&'static str> {
        let is_said = if let Self::Unsupported { problem, .. } = self {
            says_what_to_do(problem)
        } else {
            self.drawn().is_some_and(is_helped)
        };
        (!is_said).then(|| self.general_advice())
    }

    fn general_advice(&self) -> &'static str {
        match self {
            Self::Unreadable { source, .. } => advice_on_reading(source.kind()),
            Self::Catalog { .. } => "correct the catalog where the drawing points",
            Self::Policies { .. } => {
                "correct the policy where the drawing points, or the catalog that it is held against"
            }
            Self::Links { .. } => "correct links.json, or the template that the link names",
            Self::Entities { .. } => "correct the entity, or declare in the catalog what it has",
            Self::Annotation { .. } => "correct the annotation, or take it out",
            Self::DuplicateId { .. } => "give one of the two another @id, or another link_id",
            Self::Unsupported { .. } => "write it another way",
            Self::OverBudget { .. } => {
                "compare smaller sets and texts in it, or raise policy.budget; `assent policy check` lists what each policy can use"
            }
            Self::TooLarge { .. } => "make it smaller, or raise the limit where it is configured",
            Self::Tests { .. } => {
                "a test file is a list of {\"name\", \"request\", \"entities\", \"decision\", \"reason\", \"num_errors\"}"
            }
            Self::Flawed(_) => {
                "report it with the bundle: this is a fault of the compiler, not of the bundle"
            }
        }
    }

    pub(crate) fn catalog(diagnoses: Vec<Diagnosis>) -> Self {
        let (file, drawn) = drawn(diagnoses);
        Self::Catalog { file, drawn }
    }

    pub(crate) fn policies(diagnoses: Vec<Diagnosis>) -> Self {
        let (file, drawn) = drawn(diagnoses);
        Self::Policies { file, drawn }
    }

    pub(crate) fn links(diagnosis: Diagnosis) -> Self {
        let (file, drawn) = drawn(vec![diagnosis]);
        Self::Links { file, drawn }
    }

    pub(crate) fn entities(diagnoses: Vec<Diagnosis>) -> Self {
        let (file, drawn) = drawn(diagnoses);
        Self::Entities { file, drawn }
    }

    /// The same error with its place, where it is about a whole file so far.
    pub(crate) fn at(mut self, place: Option<Place>) -> Self {
        if let (Self::Unsupported { file, .. } | Self::Annotation { file, .. }, Some(place)) =
            (&mut self, place)
        {
            *file = place.to_string();
        }
        self
    }

    /// A bounded label for metrics.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => "unreadable",
            Self::Catalog { .. } => "catalog",
            Self::Policies { .. } => "policies",
            Self::Links { .. } => "links",
            Self::Entities { .. } => "entities",
            Self::Annotation { .. } => "annotation",
            Self::DuplicateId { .. } => "duplicate_id",
            Self::Unsupported { .. } => "unsupported",
            Self::TooLarge { .. } => "too_large",
            Self::OverBudget { .. } => "over_budget",
            Self::Tests { .. } => "tests",
            Self::Flawed(_) => "flawed",
        }
    }
}

/// Our own problems are written as what is wrong and, behind a colon or a semicolon, what to do about it.
fn says_what_to_do(problem: &str) -> bool {
    problem.contains(": ") || problem.contains("; ")
}

/// Whether each fault that is drawn says what to do.
fn is_helped(drawn: &str) -> bool {
    let lines = |mark: &str| drawn.lines().filter(|line| line.trim_start().starts_with(mark)).count();
    lines("help: ") >= lines("\u{d7} ")
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the system's other kinds are many, and say what is wrong"
)]
const fn advice_on_reading(kind: std::io::ErrorKind) -> &'static str {
    match kind {
        std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory => {
            "a bundle is a folder with catalog.cedarschema, policies/*.cedar and entities.json; name it, or put there what is missing"
        }
        std::io::ErrorKind::PermissionDenied => {
            "let the user who reads the bundle read this file, and enter the folders that it is in"
        }
        std::io::ErrorKind::InvalidData => "save this file as UTF-8: everything in a bundle is text",
        std::io::ErrorKind::IsADirectory => "put a file there: a folder has its name",
        _ => "look at the disk, and at what stands there: the system could not read it",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unreadable(kind: std::io::ErrorKind) -> String {
        BundleError::Unreadable { path: PathBuf::from("entities.json"), source: kind.into() }.report()
    }

    #[test]
    fn a_file_that_cannot_be_read_gets_advice_about_just_that() {
        assert!(unreadable(std::io::ErrorKind::NotFound).contains("next: a bundle is a folder with"));
        let forbidden = unreadable(std::io::ErrorKind::PermissionDenied);
        assert!(forbidden.contains("next: let the user who reads the bundle read this file"), "{forbidden}");
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("catalog.cedarschema"), [0xff, 0xfe]).unwrap();
        let said = crate::Bundle::from_folder(folder.path()).unwrap_err().report();
        assert!(
            said.contains("catalog.cedarschema") && said.contains("next: save this file as UTF-8"),
            "{said}"
        );
    }

    #[test]
    fn advice_is_given_once_and_always() {
        let unsupported = |problem: &str| BundleError::Unsupported {
            file: "policies/a.cedar:1:1".to_owned(),
            what: "policy `a`".to_owned(),
            problem: problem.to_owned(),
        };
        assert!(!unsupported("is too deep: nest it less").report().contains("next: "));
        assert!(unsupported("is unknown").report().ends_with("\n  next: write it another way"));
        let drawn = |drawn: &str| BundleError::Catalog { file: "a".to_owned(), drawn: drawn.to_owned() };
        assert!(!drawn("  \u{d7} wrong\n  help: mend it\n").report().contains("next: "));
        assert!(drawn("  \u{d7} wrong\n  help: mend it\n  \u{d7} also wrong\n").report().contains("next: "));
    }
}
