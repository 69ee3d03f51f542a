//! A Rust source as its reader sees it: code apart from comments, and product apart from tests.
//!
//! Text and character literals belong to neither, so that a rule may spell what it forbids.

use crate::tree::File;

/// Whom a line serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Product,
    Test,
    Bench,
}

pub(crate) struct Line {
    pub(crate) number: usize,
    pub(crate) code: String,
    /// Comments with their slashes.
    pub(crate) comment: String,
    pub(crate) part: Part,
}

#[derive(Clone, Copy, PartialEq)]
enum Piece {
    Code,
    Comment,
    Literal,
}

/// The lines of a source.
pub(crate) fn lines(file: &File) -> Vec<Line> {
    let mut lines = split(&file.text);
    mark(&mut lines, &file.path);
    lines
}

/// Whether code names this word, whole.
pub(crate) fn names(code: &str, word: &str) -> bool {
    let joins = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(word).any(|(at, _)| {
        let before = code.get(..at).and_then(|before| before.chars().next_back());
        let after = code.get(at + word.len()..).and_then(|after| after.chars().next());
        !before.is_some_and(joins) && !after.is_some_and(joins)
    })
}

fn split(text: &str) -> Vec<Line> {
    let empty = |number| Line { number, code: String::new(), comment: String::new(), part: Part::Product };
    let (mut lines, mut line, mut rest) = (Vec::new(), empty(1), text);
    while !rest.is_empty() {
        let (length, piece) = first_piece(rest);
        let (taken, left) = rest.split_at(length);
        for c in taken.chars() {
            match (c, piece) {
                ('\n', _) => {
                    let next = empty(line.number + 1);
                    lines.push(std::mem::replace(&mut line, next));
                }
                (_, Piece::Code) => line.code.push(c),
                (_, Piece::Comment) => line.comment.push(c),
                (_, Piece::Literal) => {}
            }
        }
        rest = left;
    }
    lines.push(line);
    lines
}

/// Bytes of the piece at the start, and what it is. Never none, so that reading ends.
fn first_piece(rest: &str) -> (usize, Piece) {
    if rest.starts_with("//") {
        (rest.find('\n').unwrap_or(rest.len()), Piece::Comment)
    } else if rest.starts_with("/*") {
        (block_length(rest), Piece::Comment)
    } else if let Some(length) =
        raw_length(rest).or_else(|| text_length(rest)).or_else(|| character_length(rest))
    {
        (length, Piece::Literal)
    } else {
        (rest.chars().next().map_or(1, char::len_utf8), Piece::Code)
    }
}

fn block_length(rest: &str) -> usize {
    let mut depth = 0_usize;
    for (at, pair) in rest.as_bytes().windows(2).enumerate() {
        match pair {
            b"/*" => depth += 1,
            b"*/" if depth == 1 => return at + 2,
            b"*/" => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    rest.len()
}

fn raw_length(rest: &str) -> Option<usize> {
    let after = rest.strip_prefix('r')?;
    let inside = after.trim_start_matches('#');
    let hashes = "#".repeat(after.len() - inside.len());
    let text = inside.strip_prefix('"')?;
    let closing = format!("\"{hashes}");
    let end = text.find(&closing).map_or(text.len(), |at| at + closing.len());
    Some(rest.len() - text.len() + end)
}

fn text_length(rest: &str) -> Option<usize> {
    let text = rest.strip_prefix('"')?;
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return Some(at + 2),
            _ => {}
        }
    }
    Some(rest.len())
}

/// Bytes of a character literal; a lifetime is none.
fn character_length(rest: &str) -> Option<usize> {
    let inside = rest.strip_prefix('\'')?;
    if let Some(escape) = inside.strip_prefix('\\') {
        let skipped = escape.chars().next().map_or(0, char::len_utf8);
        let end = escape.get(skipped..)?.find('\'')?;
        return Some(2 + skipped + end + 1);
    }
    let length = inside.chars().next()?.len_utf8();
    inside.get(length..)?.starts_with('\'').then_some(length + 2)
}

/// Marks what serves tests and benchmarks: by the folder, or the item below a `#[cfg(test)]` that is not indented.
fn mark(lines: &mut [Line], path: &str) {
    let mut folders = path.split('/');
    let whole = if folders.clone().any(|name| name == "tests" || name == "tests.rs") {
        Part::Test
    } else if folders.any(|name| name == "benches") {
        Part::Bench
    } else {
        Part::Product
    };
    let mut in_test = false;
    for line in lines {
        in_test |= line.code == "#[cfg(test)]";
        line.part = if in_test { Part::Test } else { whole };
        let indented = line.code.starts_with(' ');
        in_test &= indented || !(line.code == "}" || line.code.trim_end().ends_with(';'));
    }
}

#[test]
fn code_comments_and_literals_are_told_apart() {
    let text = "let a = '\"'; // one \"\nlet b: &'a str = r#\"two // \"\n\"#; /* three /* four */\n*/ let c = \"\\\"dbg!\";\n#[cfg(test)]\nmod tests {\n    five;\n}\nsix;";
    let lines = lines(&File { path: "proto/src/sample.rs".to_owned(), text: text.to_owned() });
    let code: Vec<&str> = lines.iter().map(|line| line.code.trim()).collect();
    let comments: Vec<&str> = lines.iter().map(|line| line.comment.as_str()).collect();
    let tests: Vec<usize> =
        lines.iter().filter(|line| line.part == Part::Test).map(|line| line.number).collect();
    assert_eq!(
        code,
        [
            "let a = ;",
            "let b: &'a str =",
            ";",
            "let c = ;",
            "#[cfg(test)]",
            "mod tests {",
            "five;",
            "}",
            "six;"
        ]
    );
    assert_eq!(comments, ["// one \"", "", "/* three /* four */", "*/", "", "", "", "", ""]);
    assert_eq!(tests, [5, 6, 7, 8]);
}

#[test]
fn a_word_is_named_only_whole() {
    assert!(names("use std::fmt;", "std") && names("<redb::Error>", "redb") && names("unsafe {", "unsafe"));
    assert!(
        !names("#![no_std]", "std")
            && !names("forbid(unsafe_code)", "unsafe")
            && !names("cryptoki_sys::X", "cryptoki")
    );
}
