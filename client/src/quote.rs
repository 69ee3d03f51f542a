//! Quoting of text that others wrote, in errors: cut to a bounded length, no control characters.

use crate::limits::MAX_QUOTED_BYTES;

/// The beginning of `text`, fit for an error message.
pub(crate) fn quoted(text: &str) -> String {
    let mut cut: String =
        text.chars().take(MAX_QUOTED_BYTES).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if cut.len() < text.len() {
        cut.push_str("...");
    }
    cut
}
