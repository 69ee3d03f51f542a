//! Places: file, line and column of what a message is about.
//!
//! The rule it keeps: lines and columns count from 1, and columns count characters, as editors do.

use crate::bundle::Document;
use serde::Serialize;

/// A place in a file of a bundle. It is written `policies/orders.cedar:12:3`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Place {
    /// The file.
    pub file: String,
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

impl Document {
    /// The place of an offset in its text.
    pub(crate) fn place(&self, offset: usize) -> Place {
        let (line, column) = line_and_column(&self.text, offset);
        Place { file: self.name.clone(), line, column }
    }

    /// The offset of a line and column, both counted from 1, as JSON's errors give them in bytes.
    pub(crate) fn offset(&self, line: usize, column: usize) -> usize {
        let before = self.text.split_inclusive('\n').take(line.saturating_sub(1));
        let start: usize = before.map(str::len).sum();
        start.saturating_add(column.saturating_sub(1)).min(self.text.len())
    }
}

/// Line and column of an offset, both counted from 1.
pub(crate) fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let before = text.as_bytes().get(..offset).unwrap_or(text.as_bytes());
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    let start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    let in_line = before.get(start..).unwrap_or_default();
    (line, String::from_utf8_lossy(in_line).chars().count() + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_count_from_one_and_in_characters() {
        let document = Document::new("a.cedar", "one\n\u{e4}\u{e4} x\nthree");
        assert_eq!(document.place(0).to_string(), "a.cedar:1:1");
        assert_eq!(document.place(document.text.find('x').unwrap()).to_string(), "a.cedar:2:4");
        assert_eq!(document.place(usize::MAX).line, 3);
        assert_eq!(document.offset(3, 2), document.text.find("hree").unwrap());
        assert_eq!(document.offset(9, 9), document.text.len());
    }
}
