//! Tokens of Cedar text, with where they stand: as much of its grammar as finding places takes.
//!
//! The rule it keeps: what stands in a string or a comment is never taken for a word or a sign. It accepts any text; whether
//! that is Cedar has been asked of Cedar before.

use std::ops::Range;

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A name, keyword or number.
    Word,
    /// A string with its quotes.
    Text,
    /// Any other character.
    Sign(char),
}

/// A token and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) range: Range<usize>,
}

impl Token {
    /// The token as it is written.
    pub(crate) fn of<'t>(&self, text: &'t str) -> &'t str {
        text.get(self.range.clone()).unwrap_or_default()
    }

    /// A word, or a string without its quotes. Escapes stay as they are.
    pub(crate) fn name<'t>(&self, text: &'t str) -> &'t str {
        self.of(text).trim_matches('"')
    }

    pub(crate) fn is_sign(&self, sign: char) -> bool {
        self.kind == Kind::Sign(sign)
    }

    /// How it changes the depth of brackets.
    pub(crate) const fn nesting(&self) -> isize {
        match self.kind {
            Kind::Sign('(' | '[' | '{') => 1,
            Kind::Sign(')' | ']' | '}') => -1,
            Kind::Sign(_) | Kind::Word | Kind::Text => 0,
        }
    }
}

/// All tokens of a text, in order.
pub(crate) fn tokens(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = text.char_indices().peekable();
    while let Some((start, character)) = rest.next() {
        let next = rest.peek().map(|(_, next)| *next);
        match character {
            // A comment ends where Cedar's lexer ends it, which is at a carriage return too: what stands behind is text.
            '/' if next == Some('/') => {
                while rest.next_if(|(_, next)| !matches!(next, '\n' | '\r')).is_some() {}
            }
            '"' => {
                let mut is_escaped = false;
                let mut end = text.len();
                for (at, inner) in rest.by_ref() {
                    if inner == '"' && !is_escaped {
                        end = at + 1;
                        break;
                    }
                    is_escaped = inner == '\\' && !is_escaped;
                }
                tokens.push(Token { kind: Kind::Text, range: start..end });
            }
            character if is_of_word(character) => {
                let mut end = start + character.len_utf8();
                while let Some((at, inner)) = rest.next_if(|(_, next)| is_of_word(*next)) {
                    end = at + inner.len_utf8();
                }
                tokens.push(Token { kind: Kind::Word, range: start..end });
            }
            character if character.is_whitespace() => {}
            sign => tokens.push(Token { kind: Kind::Sign(sign), range: start..start + sign.len_utf8() }),
        }
    }
    tokens
}

fn is_of_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_and_comments_hide_what_they_hold() {
        let text = "permit // when {\n(\"a\\\"; when {\", x);";
        let written: Vec<_> = tokens(text).iter().map(|token| token.of(text).to_owned()).collect();
        assert_eq!(written, ["permit", "(", "\"a\\\"; when {\"", ",", "x", ")", ";"]);
    }

    #[test]
    fn a_comment_ends_with_its_line_whatever_ends_that() {
        for ending in ["\n", "\r\n", "\r"] {
            let text = format!("a // b{ending}c");
            let written: Vec<_> = tokens(&text).iter().map(|token| token.of(&text).to_owned()).collect();
            assert_eq!(written, ["a", "c"], "{ending:?}");
        }
    }

    #[test]
    fn a_string_without_end_ends_with_the_text() {
        let text = "@id(\"open";
        assert_eq!(tokens(text).last().map(|token| token.of(text)), Some("\"open"));
    }
}
