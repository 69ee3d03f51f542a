//! Visible characters: which of them a reader sees, and how the others are written out.
//!
//! Source: Unicode's DerivedCoreProperties.txt, `Default_Ignorable_Code_Point`, unassigned ones included, which a renderer
//! shows as nothing; and two that it counts as symbols and that look like a space. What else does not print, moves a
//! cursor or turns the direction of text, Rust's `char::escape_debug` knows. Quotes and backslashes print.
//!
//! Marks (`Grapheme_Extend`) stand on the character before them: without them Thai, Hindi or Arabic cannot be written. They print
//! behind a letter, a few to each; anywhere else they would change what is not the text's own, and so would those that
//! cover what they stand on.

/// Marks that print on one letter: as many as scripts stack; more would reach into the lines above. No part of the format.
const MAX_MARKS: u8 = 4;
/// Code points that are shown as nothing: the first and the last of each stretch, in their order.
const INVISIBLE: [(char, char); 19] = [
    ('\u{ad}', '\u{ad}'),
    ('\u{34f}', '\u{34f}'),
    ('\u{61c}', '\u{61c}'),
    ('\u{115f}', '\u{1160}'),
    ('\u{17b4}', '\u{17b5}'),
    ('\u{180b}', '\u{180f}'),
    ('\u{200b}', '\u{200f}'),
    ('\u{202a}', '\u{202e}'),
    ('\u{2060}', '\u{206f}'),
    // The empty pattern of Braille: no default ignorable.
    ('\u{2800}', '\u{2800}'),
    ('\u{3164}', '\u{3164}'),
    ('\u{fe00}', '\u{fe0f}'),
    ('\u{feff}', '\u{feff}'),
    ('\u{ffa0}', '\u{ffa0}'),
    ('\u{fff0}', '\u{fff8}'),
    ('\u{1bca0}', '\u{1bca3}'),
    // The null notehead: no default ignorable.
    ('\u{1d159}', '\u{1d159}'),
    ('\u{1d173}', '\u{1d17a}'),
    ('\u{e0000}', '\u{e0fff}'),
];

/// Marks that strike out or enclose the character that they stand on.
const COVERING: [(char, char); 3] =
    [('\u{334}', '\u{338}'), ('\u{488}', '\u{489}'), ('\u{20d0}', '\u{20f0}')];

/// The characters of a text, each with whether a reader sees it as what it is.
pub fn read(text: &str) -> impl Iterator<Item = (char, bool)> {
    // How many marks may still follow.
    let mut marks: u8 = 0;
    text.chars().map(move |c| {
        let prints = if is_mark(c) { marks > 0 && !is_in(&COVERING, c) } else { prints_alone(c) };
        marks = match prints {
            true if is_mark(c) => marks.saturating_sub(1),
            true if c.is_alphabetic() => MAX_MARKS,
            true | false => 0,
        };
        (c, prints)
    })
}

/// Whether a reader sees all of the text as what it is.
#[must_use]
pub fn prints(text: &str) -> bool {
    read(text).all(|(_, prints)| prints)
}

/// The text, with the escape of whatever does not print in its place.
pub fn append(text: &str, out: &mut impl Extend<char>) {
    read(text).for_each(|read| append_read(read, out));
}

/// Appends the character where it prints, and its escape where it does not.
pub fn append_read((c, prints): (char, bool), out: &mut impl Extend<char>) {
    if prints {
        out.extend([c]);
    } else if is_invisible(c) || is_mark(c) {
        out.extend(c.escape_unicode());
    } else {
        out.extend(c.escape_debug());
    }
}

fn prints_alone(c: char) -> bool {
    match c {
        '"' | '\'' | '\\' => true,
        _ => c.escape_debug().len() == 1 && !is_invisible(c),
    }
}

/// What `char::escape_debug` escapes, and `str::escape_debug` does not behind another character.
fn is_mark(c: char) -> bool {
    if c.is_ascii() || c.escape_debug().len() == 1 || is_invisible(c) {
        return false;
    }
    let mut behind = [b'a'; 5];
    let (_, room) = behind.split_at_mut(1);
    let end = c.encode_utf8(room).len().saturating_add(1);
    let text = behind.get(..end).and_then(|text| core::str::from_utf8(text).ok());
    text.is_some_and(|text| text.escape_debug().count() == 2)
}

fn is_invisible(c: char) -> bool {
    !c.is_ascii() && is_in(&INVISIBLE, c)
}

fn is_in(stretches: &[(char, char)], c: char) -> bool {
    stretches.iter().any(|(first, last)| (*first..=*last).contains(&c))
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::string::String;

    use super::*;

    fn shown(text: &str) -> String {
        let mut shown = String::new();
        append(text, &mut shown);
        shown
    }

    #[test]
    fn what_is_shown_as_nothing_is_written_out() {
        for (first, last) in INVISIBLE {
            for c in [first, last] {
                let text = std::format!("a{c}");
                assert!(!prints(&text), "{c:?}");
                assert_eq!(shown(&text), std::format!("a\\u{{{:x}}}", u32::from(c)));
            }
        }
        let unseen = "a\u{3164}b\u{115f}\u{1160}\u{ffa0}\u{2800}\u{fe0f}\u{e0100}\u{2065}\u{34f}";
        let written = "a\\u{3164}b\\u{115f}\\u{1160}\\u{ffa0}\\u{2800}\\u{fe0f}\\u{e0100}\\u{2065}\\u{34f}";
        assert_eq!(shown(unseen), written);
    }

    #[test]
    fn stretches_are_in_their_order_and_apart() {
        assert!(INVISIBLE.iter().all(|(first, last)| first <= last));
        assert!(INVISIBLE.windows(2).all(|pair| pair[0].1 < pair[1].0));
    }

    #[test]
    fn letters_of_any_script_are_what_they_are_and_what_moves_the_cursor_is_not() {
        let seen = "a \"b\" 'c' \\ gr\u{fc}n \u{4e16} \u{1112}\u{d55c} \u{2801} \u{1f600}";
        assert_eq!(shown(seen), seen);
        assert_eq!(shown("\u{1b}[2J\r\n\t\0\u{202e}\u{7f}"), "\\u{1b}[2J\\r\\n\\t\\0\\u{202e}\\u{7f}");
    }
    #[test]
    fn marks_print_on_letters_and_nowhere_else() {
        // Thai, Hindi, Arabic and Hebrew with vowels, and a Latin letter that is written in two.
        let seen = [
            "\u{e44}\u{e21}\u{e48}\u{e40}\u{e1b}\u{e47}\u{e19}\u{e44}\u{e23}",
            "\u{939}\u{93f}\u{928}\u{94d}\u{926}\u{940}",
            "\u{645}\u{64f}\u{62d}\u{64e}\u{645}\u{64e}\u{651}\u{62f}",
            "\u{5e9}\u{5c1}\u{5b8}\u{5dc}\u{5d5}\u{5b9}\u{5dd}",
            "e\u{302}\u{301}",
        ];
        for text in seen {
            assert_eq!((shown(text).as_str(), prints(text)), (text, true));
        }
        for text in ["\u{301}a", " \u{301}", "1\u{301}", "\u{4e16}\u{200b}\u{301}", "\"\u{e48}"] {
            assert!(!prints(text), "{text:?}");
            assert_eq!(shown(&shown(text)), shown(text), "what was written out stays so");
        }
        assert_eq!(shown("o\u{338}k\u{20dd}"), "o\\u{338}k\\u{20dd}", "they cover what they stand on");
        let most = usize::from(MAX_MARKS);
        let stacked = std::format!("a{}", "\u{301}".repeat(most + 2));
        let expected = std::format!("a{}\\u{{301}}\\u{{301}}", "\u{301}".repeat(most));
        assert_eq!(shown(&stacked), expected, "they would reach into the lines above");
    }
}
