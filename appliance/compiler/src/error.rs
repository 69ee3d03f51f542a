//! Errors of loading a bundle.
//!
//! The rule they keep: each names the file, and draws Cedar's diagnostic over the source where Cedar gave one. A bundle
//! with any of them is not loaded at all.

use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme};
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
        /// The file.
        file: String,
        /// Cedar's diagnostic, drawn.
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
    /// Entities do not conform to the catalog.
    #[error("{file}: entities are rejected")]
    Entities {
        /// The file.
        file: String,
        /// Cedar's diagnostic, drawn.
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
    /// Two policies of one id.
    #[error("{file}: policy id `{id}` occurs twice")]
    DuplicateId {
        /// The file of the second.
        file: String,
        /// The id.
        id: String,
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
    /// The message and, where there is one, the diagnostic drawn over its source.
    pub fn report(&self) -> String {
        if let Self::Catalog { drawn, .. } | Self::Policies { drawn, .. } | Self::Entities { drawn, .. } =
            self
        {
            return format!("{self}\n{drawn}");
        }
        let mut report = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            report = format!("{report}: {error}");
            cause = error.source();
        }
        report
    }

    /// A bounded label for metrics.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => "unreadable",
            Self::Catalog { .. } => "catalog",
            Self::Policies { .. } => "policies",
            Self::Entities { .. } => "entities",
            Self::Annotation { .. } => "annotation",
            Self::DuplicateId { .. } => "duplicate_id",
            Self::Unsupported { .. } => "unsupported",
            Self::TooLarge { .. } => "too_large",
            Self::Tests { .. } => "tests",
            Self::Flawed(_) => "flawed",
        }
    }
}

/// Draws a diagnostic over its source, without colours.
pub(crate) fn draw(diagnostic: &dyn Diagnostic) -> String {
    let mut drawn = String::new();
    let handler = GraphicalReportHandler::new_themed(GraphicalTheme::unicode_nocolor());
    match handler.render_report(&mut drawn, diagnostic) {
        Ok(()) => drawn,
        Err(_) => diagnostic.to_string(),
    }
}

/// Draws several diagnostics, one below the other.
pub(crate) fn draw_all<'d>(diagnostics: impl IntoIterator<Item = &'d dyn Diagnostic>) -> String {
    diagnostics.into_iter().map(draw).collect()
}
