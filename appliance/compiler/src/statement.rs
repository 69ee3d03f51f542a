//! Statements: where the policies of a file stand, with their annotations and clauses.
//!
//! The rule it keeps: the statement of number `n` is the one that Cedar calls `policy{n}`, for both count semicolons that
//! stand outside of brackets. Cedar's trees have no places, so they are found in the text that Cedar accepted.

use crate::token::{Kind, Token, tokens};
use std::ops::Range;

/// A policy or template as it stands in its file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Statement {
    /// From its first annotation to its semicolon.
    pub(crate) range: Range<usize>,
    /// Keys of its annotations, each with the place of its `@`.
    pub(crate) annotations: Vec<(String, usize)>,
    /// Its clauses, from `when` or `unless` to the closing brace.
    pub(crate) clauses: Vec<Range<usize>>,
}

impl Statement {
    /// Where an annotation stands; the statement's own place where there is none.
    pub(crate) fn annotation(&self, key: &str) -> usize {
        let known = self.annotations.iter().find(|(known, _)| known == key);
        known.map_or(self.range.start, |(_, at)| *at)
    }
}

/// All statements of a file of policies, in order.
pub(crate) fn statements(text: &str) -> Vec<Statement> {
    let mut statements = Vec::new();
    let mut open: Option<Statement> = None;
    let (mut depth, mut clause, mut is_key) = (0_isize, None, false);
    for token in tokens(text) {
        let statement = open.get_or_insert_with(|| begin(&token));
        depth += token.nesting();
        match token.kind {
            Kind::Word if is_key => {
                let at = token.range.start.saturating_sub(1);
                statement.annotations.push((token.of(text).to_owned(), at));
            }
            Kind::Word if depth == 0 && matches!(token.of(text), "when" | "unless") => {
                clause = Some(token.range.start);
            }
            Kind::Sign('}') if depth == 0 => {
                statement.clauses.extend(clause.take().map(|start| start..token.range.end));
            }
            Kind::Sign(';') if depth == 0 => {
                statement.range.end = token.range.end;
                statements.extend(open.take());
            }
            Kind::Word | Kind::Text | Kind::Sign(_) => {}
        }
        is_key = depth == 0 && token.is_sign('@');
    }
    statements
}

fn begin(token: &Token) -> Statement {
    Statement { range: token.range.clone(), ..Statement::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_annotations_and_clauses_are_found_where_they_stand() {
        let text = "// permit;\n@id(\"a;b\") @when(\"no\")\npermit (principal, action, resource)\n\
                    when { { \"}\": 1 } == context.x } // unless { }\nunless { [1].contains(2) };\n\nforbid (principal, action, resource);";
        let found = statements(text);
        assert_eq!(found.len(), 2);
        let keys: Vec<_> = found[0]
            .annotations
            .iter()
            .map(|(key, at)| (key.as_str(), text.get(*at..=*at).unwrap()))
            .collect();
        assert_eq!(keys, [("id", "@"), ("when", "@")]);
        let clauses: Vec<_> = found[0].clauses.iter().map(|range| text.get(range.clone()).unwrap()).collect();
        assert_eq!(clauses, ["when { { \"}\": 1 } == context.x }", "unless { [1].contains(2) }"]);
        assert!(text.get(found[0].range.clone()).unwrap().starts_with("@id"));
        assert_eq!(text.get(found[1].range.clone()).unwrap(), "forbid (principal, action, resource);");
    }
}
