//! Diagnoses: what Cedar or we found wrong, drawn over the file that it stands in.
//!
//! The rule it keeps: each names its file and says what to do next, and one fault is told once, however many request
//! environments show it. Cedar's diagnostics know their text but not its file; they are taken apart and given it.

use crate::bundle::Document;
use crate::place::Place;
use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource, SourceCode};
use std::fmt::Display;
use std::ops::Range;

/// Diagnoses that are drawn; more are only counted.
const MAX_DRAWN: usize = 20;

/// One thing that is wrong, with its place in a file.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Diagnosis {
    message: String,
    help: Option<String>,
    labels: Vec<LabeledSpan>,
    place: Place,
    file: NamedSource<String>,
}

impl Diagnostic for Diagnosis {
    fn help<'a>(&'a self) -> Option<Box<dyn Display + 'a>> {
        self.help.as_ref().map(|help| Box::new(help) as Box<dyn Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        (!self.labels.is_empty()).then_some(&self.file as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        Some(Box::new(self.labels.iter().cloned()))
    }
}

impl Diagnosis {
    /// Something of ours that is wrong with a part of a file.
    pub(crate) fn new(
        document: &Document,
        at: Range<usize>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> Self {
        let place = document.place(at.start);
        Self {
            message: message.into(),
            help: Some(help.into()),
            labels: vec![LabeledSpan::underline(first_line(&document.text, at))],
            file: NamedSource::new(&document.name, document.text.clone()),
            place,
        }
    }

    /// Marks another part of the same file.
    pub(crate) fn and(mut self, at: Range<usize>, label: &str) -> Self {
        let label = LabeledSpan::new_with_span(Some(label.to_owned()), at);
        self.labels.push(label);
        self
    }

    /// What Cedar found in a file, and what it found with it. Where Cedar gives no place, it is `otherwise`.
    pub(crate) fn of(
        diagnostic: &dyn Diagnostic,
        document: &Document,
        otherwise: usize,
        advice: &str,
    ) -> Vec<Self> {
        let mut labels: Vec<_> = diagnostic.labels().into_iter().flatten().collect();
        if labels.is_empty() && otherwise < document.text.len() {
            let line = first_line(&document.text, otherwise..document.text.len());
            labels.push(LabeledSpan::underline(line));
        }
        let start = labels.iter().map(LabeledSpan::offset).min().unwrap_or(otherwise);
        let help = diagnostic.help().map(|help| help.to_string()).filter(|help| !help.is_empty());
        let help: Vec<String> =
            help.into_iter().chain((!advice.is_empty()).then(|| advice.to_owned())).collect();
        let own = Self {
            message: with_causes(diagnostic),
            help: (!help.is_empty()).then(|| help.join(" or else ")),
            labels,
            place: document.place(start),
            file: NamedSource::new(&document.name, document.text.clone()),
        };
        let related = diagnostic.related().into_iter().flatten();
        let others = related.flat_map(|other| Self::of(other, document, otherwise, advice));
        std::iter::once(own).chain(others).collect()
    }

    fn is_same(&self, other: &Self) -> bool {
        self.message == other.message && self.place == other.place && self.labels == other.labels
    }
}

/// A span over the rest of its first line: a drawing of more says less.
fn first_line(text: &str, at: Range<usize>) -> Range<usize> {
    let shown = text.get(at.clone()).unwrap_or_default();
    at.start..at.start + shown.find('\n').unwrap_or(shown.len())
}

/// The message and its causes, each once.
fn with_causes(diagnostic: &dyn Diagnostic) -> String {
    let mut message = diagnostic.to_string();
    let mut cause = diagnostic.source();
    while let Some(error) = cause {
        let because = error.to_string();
        if !message.contains(&because) {
            message = format!("{message}: {because}");
        }
        cause = error.source();
    }
    message
}

/// Several diagnoses in the order of their places, each once: where the first stands, and all of them drawn.
pub(crate) fn drawn(mut diagnoses: Vec<Diagnosis>) -> (String, String) {
    diagnoses.sort_by(|left, right| (&left.place, &left.message).cmp(&(&right.place, &right.message)));
    diagnoses.dedup_by(|later, earlier| later.is_same(earlier));
    let first = diagnoses.first().map(|first| first.place.to_string()).unwrap_or_default();
    let mut text: String = diagnoses.iter().take(MAX_DRAWN).map(|diagnosis| draw(diagnosis)).collect();
    let more = diagnoses.len().saturating_sub(MAX_DRAWN);
    if more > 0 {
        text.push_str(&format!("  and {more} more of them\n"));
    }
    (first, text)
}

/// Draws a diagnostic over its source, without colours.
pub(crate) fn draw(diagnostic: &dyn Diagnostic) -> String {
    let mut drawn = String::new();
    let handler =
        GraphicalReportHandler::new_themed(GraphicalTheme::unicode_nocolor()).with_wrap_lines(false);
    match handler.render_report(&mut drawn, diagnostic) {
        Ok(()) => drawn,
        Err(_) => diagnostic.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_fault_is_drawn_once_and_in_the_order_of_the_file() {
        let document = Document::new("policies/a.cedar", "first\nsecond\n");
        let fault = |at: Range<usize>, message: &str| Diagnosis::new(&document, at, message, "mend it");
        let (first, text) = drawn(vec![fault(6..12, "later"), fault(0..5, "earlier"), fault(6..12, "later")]);
        assert_eq!(first, "policies/a.cedar:1:1");
        assert_eq!(text.matches("later").count(), 1, "{text}");
        assert!(text.find("earlier") < text.find("later"), "{text}");
        assert!(text.contains("policies/a.cedar:2:1") && text.contains("mend it"), "{text}");
    }
}
