//! Entity identifiers, owned: type name and id, read and written as Cedar writes them.
//!
//! `Retail::Order::"#W1"`: identifiers joined by `::`, then the id in quotes with Cedar's escapes, which are Rust's. Only the
//! normal form is read: no spaces or comments between the parts. Whether the catalog knows the type, the appliance says.

use std::fmt;
use std::str::{Chars, FromStr};

use assent_proto::intent::Uid as Borrowed;

use crate::quote::quoted;

/// A Cedar entity: an action, a resource, or one in a context.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uid {
    /// The type's full name, such as `Retail::Order`.
    pub type_name: String,
    /// The id, any string.
    pub id: String,
}

/// Why a text names no entity.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UidError {
    /// There is no id in quotes at its end.
    #[error("`{0}` is no entity: write it as Type::\"id\"")]
    Form(String),
    /// The type name is not identifiers joined by `::`.
    #[error("`{0}` is no type name: identifiers joined by `::` are")]
    TypeName(String),
    /// An escape in the id is not one of Cedar's, or a quote stands without one.
    #[error("id of `{0}` has a quote or an escape that Cedar does not know")]
    Escape(String),
}

impl Uid {
    /// The entity of that type with that id.
    pub fn new(type_name: impl Into<String>, id: impl Into<String>) -> Self {
        Self { type_name: type_name.into(), id: id.into() }
    }

    /// Lends it in the form that the formats use.
    #[must_use]
    pub fn borrowed(&self) -> Borrowed<'_> {
        Borrowed { type_name: &self.type_name, id: &self.id }
    }
}

impl From<Borrowed<'_>> for Uid {
    fn from(uid: Borrowed<'_>) -> Self {
        Self::new(uid.type_name, uid.id)
    }
}

impl fmt::Display for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.borrowed().fmt(f)
    }
}

impl FromStr for Uid {
    type Err = UidError;

    fn from_str(text: &str) -> Result<Self, UidError> {
        let (type_name, id) = text
            .strip_suffix('"')
            .and_then(|rest| rest.split_once("::\""))
            .ok_or_else(|| UidError::Form(quoted(text)))?;
        if !type_name.split("::").all(is_identifier) {
            return Err(UidError::TypeName(quoted(type_name)));
        }
        let id = unescaped(id).ok_or_else(|| UidError::Escape(quoted(text)))?;
        Ok(Self::new(type_name, id))
    }
}

fn is_identifier(text: &str) -> bool {
    text.starts_with(|c: char| c == '_' || c.is_ascii_alphabetic())
        && text.chars().all(|c| c == '_' || c.is_ascii_alphanumeric())
}

/// The string whose literal has this text between its quotes.
fn unescaped(literal: &str) -> Option<String> {
    let mut plain = String::with_capacity(literal.len());
    let mut chars = literal.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => plain.push(escape(&mut chars)?),
            '"' | '\r' => return None,
            other => plain.push(other),
        }
    }
    Some(plain)
}

fn escape(chars: &mut Chars<'_>) -> Option<char> {
    Some(match chars.next()? {
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        '0' => '\0',
        '\\' => '\\',
        '\'' => '\'',
        '"' => '"',
        'x' => {
            let code = 16 * chars.next()?.to_digit(16)? + chars.next()?.to_digit(16)?;
            char::from_u32(code).filter(char::is_ascii)?
        }
        'u' => {
            let (digits, rest) = chars.as_str().strip_prefix('{')?.split_once('}')?;
            *chars = rest.chars();
            unicode(digits)?
        }
        _ => return None,
    })
}

/// One to six hexadecimal digits; underscores may follow the first.
fn unicode(digits: &str) -> Option<char> {
    let plain: String = digits.chars().filter(|c| *c != '_').collect();
    let form = !digits.starts_with('_')
        && (1..=6).contains(&plain.len())
        && plain.chars().all(|c| c.is_ascii_hexdigit());
    char::from_u32(u32::from_str_radix(&plain, 16).ok().filter(|_| form)?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn cedar_text_is_read_with_its_escapes() {
        let uid: Uid = r##"Retail::Order::"\"#W1\"\n\x41\u{1F6_00}\0\'\\""##.parse().unwrap();
        assert_eq!(uid, Uid::new("Retail::Order", "\"#W1\"\nA\u{1F600}\0'\\"));
        assert_eq!(r#"T::"a::\"b""#.parse(), Ok(Uid::new("T", "a::\"b")));
    }

    #[test]
    fn other_forms_are_refused() {
        for text in ["", "Order", "\"x\"", "::\"x\"", "Order::x", "Order::\"", "Order::\"x"] {
            assert!(matches!(text.parse::<Uid>(), Err(UidError::Form(_) | UidError::TypeName(_))), "{text}");
        }
        for text in ["1T::\"x\"", "A::::\"x\"", "A B::\"x\"", " A::\"x\"", "A:: B::\"x\""] {
            assert!(matches!(text.parse::<Uid>(), Err(UidError::TypeName(_))), "{text}");
        }
        for id in [
            r#"a"b"#,
            r"\q",
            r"\x80",
            r"\x4",
            r"\u{}",
            r"\u{110000}",
            r"\u{_1}",
            r"\u{0000041}",
            r"\",
            "\\\n",
        ] {
            assert!(matches!(format!("T::\"{id}\"").parse::<Uid>(), Err(UidError::Escape(_))), "{id}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(id in any::<String>()) {
            let uid = Uid::new("Retail::Order", id);
            prop_assert_eq!(uid.to_string().parse(), Ok(uid));
        }
    }
}
