//! Nesting: how deep and how long Cedar text may be before Cedar's own parser sees it.
//!
//! The rule it keeps: parser, validator and compiler recurse over what they read, and a stack that overflows ends the
//! process. So brackets within one another and operators within one policy are counted first, with what recurses nowhere.
//! Whoever compiles needs [`STACK_BYTES`] of stack; JSON has its own bound, in `serde_json`.

use crate::bundle::Document;
use crate::error::BundleError;
use crate::token::{Kind, Token, tokens};

/// Brackets that may be open at once in a policy or a catalog.
pub const MAX_NESTING: usize = 200;
/// Operators, as signs and words, that one policy may have.
pub const MAX_OPERATORS: usize = 4096;
/// Stack that the deepest text within these limits takes, with room to spare.
pub const STACK_BYTES: usize = 64 * 1024 * 1024;

/// What a text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Text {
    Policies,
    Catalog,
}

/// Rejects text that is nested too deep, or a policy that is too long.
pub(crate) fn check(document: &Document, text: Text) -> Result<(), BundleError> {
    let (mut depth, mut operators) = (0_isize, 0_usize);
    for token in tokens(&document.text) {
        depth += nesting(&token, text);
        if depth > MAX_NESTING.cast_signed() {
            return Err(too_much(document, &token, "brackets within one another", MAX_NESTING));
        }
        if token.is_sign(';') && depth <= 0 {
            (depth, operators) = (0, 0);
        }
        operators += usize::from(text == Text::Policies && is_operator(&token, &document.text));
        if operators > MAX_OPERATORS {
            return Err(too_much(document, &token, "operators in one policy", MAX_OPERATORS));
        }
    }
    Ok(())
}

/// Types of types are written with angles.
const fn nesting(token: &Token, text: Text) -> isize {
    match (text, token.kind) {
        (Text::Catalog, Kind::Sign('<')) => 1,
        (Text::Catalog, Kind::Sign('>')) => -1,
        (Text::Catalog | Text::Policies, _) => token.nesting(),
    }
}

fn is_operator(token: &Token, text: &str) -> bool {
    match token.kind {
        Kind::Sign(sign) => "|&+-*!.<>=".contains(sign),
        Kind::Word => matches!(token.of(text), "if" | "has" | "like" | "in" | "is"),
        Kind::Text => false,
    }
}

fn too_much(document: &Document, token: &Token, what: &str, limit: usize) -> BundleError {
    BundleError::Unsupported {
        file: document.place(token.range.start).to_string(),
        what: "this text".to_owned(),
        problem: format!("has more than {limit} {what}: split the policy, or list values in one set"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(text: &str, kind: Text) -> bool {
        check(&Document::new("a.cedar", text), kind).is_ok()
    }

    #[test]
    fn brackets_and_operators_are_counted_up_to_their_limit() {
        let nested = |depth: usize| format!("permit {}true{};", "(".repeat(depth), ")".repeat(depth));
        assert!(
            fits(&nested(MAX_NESTING), Text::Policies) && !fits(&nested(MAX_NESTING + 1), Text::Policies)
        );
        let sum = |terms: usize| format!("permit when {{ 1{} }};", " + 1".repeat(terms));
        assert!(fits(&sum(MAX_OPERATORS), Text::Policies) && !fits(&sum(MAX_OPERATORS + 1), Text::Policies));
        // Each policy has its own; what stands in a text or a comment is none.
        assert!(fits(&sum(MAX_OPERATORS).repeat(3), Text::Policies));
        assert!(fits(
            &format!("permit when {{ \"{}\" }}; // {}", "(+".repeat(9000), "(+".repeat(9000)),
            Text::Policies
        ));
        let sets =
            |depth: usize| format!("entity A = {{ a: {}Long{} }};", "Set<".repeat(depth), ">".repeat(depth));
        assert!(fits(&sets(MAX_NESTING - 1), Text::Catalog) && !fits(&sets(MAX_NESTING), Text::Catalog));
    }

    #[test]
    fn the_place_is_where_the_limit_is_passed() {
        let text = format!("permit (principal, action, resource) when {{\n{} }};", "(".repeat(MAX_NESTING));
        let error = check(&Document::new("policies/a.cedar", text), Text::Policies).unwrap_err();
        assert!(
            error.report().starts_with(&format!("policies/a.cedar:2:{MAX_NESTING}")),
            "{}",
            error.report()
        );
    }
}
