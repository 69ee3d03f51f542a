//! Visible text: what is shown to people moves no cursor, turns no direction and hides nothing.
//!
//! Whatever does not print is written as an escape (`\u{202e}`), once, where a text enters this room; so every sink shows
//! the same. It does not know markup: what a sink's own language would take for more than text, that sink escapes.

use assent_proto::visible::{append_read, read};

/// The same text on one line, with what does not print or turns the direction of text escaped; at most `most` bytes of it.
///
/// A text that was cut ends in `...`.
#[must_use]
pub fn visible(text: &str, most: usize) -> String {
    const CUT: &str = "...";
    let mut shown = String::with_capacity(text.len().min(most));
    // Where the text can be cut so that the mark of the cut fits.
    let mut cut = 0;
    for read in read(text) {
        if shown.len() + CUT.len() <= most {
            cut = shown.len();
        }
        append_read(read, &mut shown);
        if shown.len() > most {
            shown.truncate(cut);
            shown.push_str(CUT);
            shown.truncate(most);
            break;
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_print_is_written_out() {
        assert_eq!(visible("a \"b\"\\ \u{e9}\u{4e16}", 99), "a \"b\"\\ \u{e9}\u{4e16}");
        assert_eq!(visible("\u{1b}[2J\r\n\t\0", 99), "\\u{1b}[2J\\r\\n\\t\\0");
        assert_eq!(
            visible("a\u{202e}b\u{2066}\u{200f}\u{85}\u{feff}", 99),
            "a\\u{202e}b\\u{2066}\\u{200f}\\u{85}\\u{feff}"
        );
        for c in ('\u{202a}'..='\u{202e}').chain('\u{2066}'..='\u{2069}').chain(['\u{200e}', '\u{61c}']) {
            assert_eq!(visible(&c.to_string(), 99), format!("\\u{{{:x}}}", u32::from(c)));
        }
    }

    #[test]
    fn what_is_shown_as_nothing_is_written_out() {
        assert_eq!(visible("a\u{3164}b\u{2800}\u{fe0f}", 99), "a\\u{3164}b\\u{2800}\\u{fe0f}");
    }

    #[test]
    fn what_is_shown_again_stays_as_it_is() {
        let once = visible("a\u{202e}\"b\"\n", 99);
        assert_eq!(visible(&once, 99), once);
    }

    #[test]
    fn a_text_is_cut_between_characters_and_says_so() {
        assert_eq!(visible("abcdef", 6), "abcdef");
        assert_eq!(visible("abcdefg", 6), "abc...");
        assert_eq!(visible("ab\u{4e16}\u{4e16}", 7), "ab...");
        assert_eq!(visible("a\u{202e}bc", 8), "a...", "an escape is not cut in the middle");
        for most in 0..12 {
            assert!(visible("\u{4e16}\u{202e}\u{4e16}abcdefg", most).len() <= most);
        }
    }
}
