//! Places in JSON: where the elements, keys and oddities of a text stand that a JSON reader took or refused.
//!
//! The rule it keeps: it finds places for messages and decides nothing; it goes on over what is not JSON as well as it can.

use std::collections::BTreeMap;
use std::ops::Range;

/// A token of JSON text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token<'t> {
    Text(&'t str),
    /// A number or a word.
    Scalar(&'t str),
    Sign(char),
}

/// All tokens, in order.
fn tokens(text: &str) -> Vec<(Range<usize>, Token<'_>)> {
    let mut tokens = Vec::new();
    let mut rest = text.char_indices().peekable();
    while let Some((start, character)) = rest.next() {
        if character == '"' {
            let (mut is_escaped, mut end) = (false, text.len());
            for (at, inner) in rest.by_ref() {
                if inner == '"' && !is_escaped {
                    end = at + 1;
                    break;
                }
                is_escaped = inner == '\\' && !is_escaped;
            }
            let inner = text.get(start + 1..end.saturating_sub(1)).unwrap_or_default();
            tokens.push((start..end, Token::Text(inner)));
        } else if matches!(character, '{' | '}' | '[' | ']' | ':' | ',') {
            tokens.push((start..start + 1, Token::Sign(character)));
        } else if !character.is_whitespace() {
            let mut end = start + character.len_utf8();
            let is_scalar = |c: &char| c.is_alphanumeric() || matches!(c, '+' | '-' | '.' | '_');
            while let Some((at, inner)) = rest.next_if(|(_, next)| is_scalar(next)) {
                end = at + inner.len_utf8();
            }
            tokens.push((start..end, Token::Scalar(text.get(start..end).unwrap_or_default())));
        }
    }
    tokens
}

/// The elements of the list that a text is.
pub(crate) fn elements(text: &str) -> Vec<Range<usize>> {
    let mut elements = Vec::new();
    let (mut depth, mut open): (usize, Option<Range<usize>>) = (0, None);
    for (range, token) in tokens(text) {
        let closes = matches!(token, Token::Sign('}' | ']'));
        depth = depth.saturating_sub(usize::from(closes));
        match token {
            Token::Sign(',') if depth == 1 => elements.extend(open.take()),
            Token::Sign(']') if depth == 0 => elements.extend(open.take()),
            _ if depth >= 1 => {
                let start = open.map_or(range.start, |open| open.start);
                open = Some(start..range.end);
            }
            Token::Sign(_) | Token::Text(_) | Token::Scalar(_) => {}
        }
        depth += usize::from(matches!(token, Token::Sign('{' | '[')));
    }
    elements
}

/// The first key or string of this name within a part of a text.
pub(crate) fn find(text: &str, within: &Range<usize>, name: &str) -> Option<Range<usize>> {
    let part = text.get(within.clone())?;
    let found = tokens(part).into_iter().find(|(_, token)| *token == Token::Text(name));
    found.map(|(range, _)| within.start + range.start..within.start + range.end)
}

/// Something that JSON has and Cedar's entities have not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Oddity {
    /// A key that its object has twice, with where the first one stands.
    Twice(String, Range<usize>),
    /// A number that is not a whole one.
    Fraction(String),
    /// `null`
    Null,
}

/// The first oddity of a text and its place.
pub(crate) fn oddity(text: &str) -> Option<(Range<usize>, Oddity)> {
    let tokens = tokens(text);
    // The keys of each object that is open; a list has none.
    let mut open: Vec<Option<BTreeMap<&str, Range<usize>>>> = Vec::new();
    for (place, (range, token)) in tokens.iter().enumerate() {
        let is_key = matches!(tokens.get(place + 1), Some((_, Token::Sign(':'))));
        match *token {
            Token::Sign('{') => open.push(Some(BTreeMap::new())),
            Token::Sign('[') => open.push(None),
            Token::Sign('}' | ']') => {
                open.pop();
            }
            Token::Text(key) if is_key => {
                let keys = open.last_mut().and_then(Option::as_mut);
                if let Some(first) = keys.and_then(|keys| keys.insert(key, range.clone())) {
                    return Some((range.clone(), Oddity::Twice(key.to_owned(), first)));
                }
            }
            Token::Scalar("null") => return Some((range.clone(), Oddity::Null)),
            Token::Scalar(number) if is_fraction(number) => {
                return Some((range.clone(), Oddity::Fraction(number.to_owned())));
            }
            Token::Sign(_) | Token::Text(_) | Token::Scalar(_) => {}
        }
    }
    None
}

fn is_fraction(scalar: &str) -> bool {
    let is_number = scalar.starts_with(|first: char| first.is_ascii_digit() || first == '-');
    is_number && scalar.parse::<i64>().is_err()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_and_keys_are_found() {
        let text = "[ {\"a\": [1, \"]\"]},\n 7, {\"b\": {\"a\": 2}} ]";
        let written: Vec<_> = elements(text).into_iter().map(|range| text.get(range).unwrap()).collect();
        assert_eq!(written, ["{\"a\": [1, \"]\"]}", "7", "{\"b\": {\"a\": 2}}"]);
        let last = elements(text).pop().unwrap();
        assert_eq!(find(text, &last, "a").map(|range| range.start), text.rfind("\"a\""));
        assert_eq!(find(text, &last, "c"), None);
        assert!(elements("[]").is_empty());
    }

    #[test]
    fn what_entities_cannot_have_is_found() {
        let kind = |text| oddity(text).map(|(_, oddity)| oddity);
        assert_eq!(kind("[{\"a\": {\"b\": 1}, \"b\": [1, -2, true]}]"), None);
        assert_eq!(kind("{\"a\": 1.5}"), Some(Oddity::Fraction("1.5".into())));
        assert_eq!(
            kind("{\"a\": 99999999999999999999}"),
            Some(Oddity::Fraction("99999999999999999999".into()))
        );
        assert_eq!(kind("{\"a\": [null]}"), Some(Oddity::Null));
        assert_eq!(oddity("{\"a\": 1, \"a\": 2}"), Some((9..12, Oddity::Twice("a".into(), 1..4))));
    }
}
