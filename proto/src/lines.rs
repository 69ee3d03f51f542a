//! Cutting text at an ASCII byte. The standard library's searchers carry checks that the compiler cannot remove, each of
//! them a way to panic; these carry none.

/// What stands before and after the first `byte`, which is ASCII.
pub(crate) fn split_once(text: &str, byte: u8) -> Option<(&str, &str)> {
    let at = text.bytes().position(|other| other == byte)?;
    let (before, rest) = text.split_at_checked(at)?;
    Some((before, rest.get(1..)?))
}

/// The lines of a text, each of which a newline ends; none where the last is not ended.
pub(crate) fn of(text: &str) -> Option<impl Iterator<Item = &str>> {
    let mut rest = text;
    (text.is_empty() || text.ends_with('\n')).then(|| {
        core::iter::from_fn(move || {
            let (line, after) = split_once(rest, b'\n')?;
            rest = after;
            Some(line)
        })
    })
}

/// A decimal as C2SP writes it: no sign, no leading zero.
pub(crate) fn decimal(text: &str) -> Option<u64> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_those_that_a_newline_ends() {
        assert!(of("").unwrap().eq([""; 0]));
        assert!(of("\n").unwrap().eq([""]));
        assert!(of("a\n\nb\n").unwrap().eq(["a", "", "b"]));
        assert!(of("a\nb").is_none());
    }

    #[test]
    fn text_is_cut_at_the_first_byte() {
        assert_eq!(split_once("a b c", b' '), Some(("a", "b c")));
        assert_eq!(split_once("\u{2014} ", b' '), Some(("\u{2014}", "")));
        assert_eq!(split_once("abc", b' '), None);
    }
}
