//! Visible characters: which of them a reader sees, and how the others are written out.
//!
//! Source: Unicode's DerivedCoreProperties.txt, `Default_Ignorable_Code_Point`, unassigned ones included, which a renderer
//! shows as nothing; and two that it counts as symbols and that look like a space. What else does not print, moves a
//! cursor or turns the direction of text, Rust's `char::escape_debug` knows. Quotes and backslashes print.

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

/// Whether a reader sees this character as what it is.
#[must_use]
pub fn prints(c: char) -> bool {
    match c {
        '"' | '\'' | '\\' => true,
        _ => c.escape_debug().len() == 1 && !is_invisible(c),
    }
}

/// Appends the character where it prints, and its escape where it does not.
pub fn append(c: char, out: &mut impl Extend<char>) {
    if prints(c) {
        out.extend([c]);
    } else if is_invisible(c) {
        out.extend(c.escape_unicode());
    } else {
        out.extend(c.escape_debug());
    }
}

fn is_invisible(c: char) -> bool {
    !c.is_ascii() && INVISIBLE.iter().any(|(first, last)| (*first..=*last).contains(&c))
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::string::String;

    use super::*;

    fn shown(text: &str) -> String {
        let mut shown = String::new();
        text.chars().for_each(|c| append(c, &mut shown));
        shown
    }

    #[test]
    fn what_is_shown_as_nothing_is_written_out() {
        for (first, last) in INVISIBLE {
            for c in [first, last] {
                assert!(!prints(c), "{c:?}");
                let mut text = String::new();
                append(c, &mut text);
                assert_eq!(text, std::format!("\\u{{{:x}}}", u32::from(c)));
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
}
