//! `like`: text against a pattern of parts with wildcards between them.
//!
//! The rule it keeps: the result is that of matching character by character, for whole UTF-8 parts are found at
//! character boundaries only. The leftmost place of a part is as good as any later one, so no step is taken back.

use crate::comparison::Fuel;
use crate::machine::Fault;
use crate::value::Range;

/// Whether `text` is the first part, then anything, then the second part and so on to the last.
pub(crate) fn matches(text: &[u8], parts: &[Range], names: &str, fuel: &mut Fuel) -> Result<bool, Fault> {
    let part = |range: &Range| range.of(names.as_bytes()).ok_or(Fault::Image);
    fuel.spend(text.len())?;
    let (first, rest) = parts.split_first().ok_or(Fault::Image)?;
    let Some((last, middle)) = rest.split_last() else {
        return Ok(text == part(first)?);
    };
    let (first, last) = (part(first)?, part(last)?);
    let mut rest = text;
    // Most patterns begin and end with a wildcard, and have nothing to compare there.
    if !first.is_empty() {
        let Some(behind) = rest.strip_prefix(first) else { return Ok(false) };
        rest = behind;
    }
    if !last.is_empty() {
        let Some(before) = rest.strip_suffix(last) else { return Ok(false) };
        rest = before;
    }
    for range in middle {
        match after(rest, part(range)?, fuel)? {
            Some(tail) => rest = tail,
            None => return Ok(false),
        }
    }
    Ok(true)
}

/// What follows the leftmost occurrence of `part`.
fn after<'t>(text: &'t [u8], part: &[u8], fuel: &mut Fuel) -> Result<Option<&'t [u8]>, Fault> {
    fuel.spend(text.len().saturating_mul(part.len()))?;
    let Some((first, others)) = part.split_first() else { return Ok(Some(text)) };
    let mut rest = text;
    // Most places are ruled out by their first byte.
    while let Some((_, behind)) = place_of(rest, *first).and_then(|at| rest.split_at_checked(at)) {
        let Some((_, behind)) = behind.split_first() else { break };
        if let Some(tail) = behind.strip_prefix(others) {
            return Ok(Some(tail));
        }
        rest = behind;
    }
    Ok(None)
}

/// Where a byte occurs first: eight bytes are looked at in one step.
#[inline]
fn place_of(text: &[u8], byte: u8) -> Option<usize> {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGHS: u64 = u64::from_ne_bytes([0x80; 8]);
    let (chunks, rest) = text.as_chunks::<8>();
    let wanted = ONES.wrapping_mul(u64::from(byte));
    let mut before = 0_usize;
    for chunk in chunks {
        let differs = u64::from_le_bytes(*chunk) ^ wanted;
        // The lowest high bit that is set stands where no bit differs.
        let same = differs.wrapping_sub(ONES) & !differs & HIGHS;
        if same != 0 {
            return Some(before.wrapping_add(same.trailing_zeros() as usize / 8));
        }
        before = before.wrapping_add(chunk.len());
    }
    rest.iter().position(|candidate| *candidate == byte).map(|at| before.wrapping_add(at))
}

#[cfg(test)]
mod tests {
    use super::*;
    use heapless::{String, Vec};

    fn like(text: &str, pattern: &str) -> bool {
        let (mut names, mut parts) = (String::<64>::new(), Vec::<Range, 16>::new());
        for part in pattern.split('*') {
            let number = |place: usize| u32::try_from(place).unwrap();
            parts.push(Range { start: number(names.len()), length: number(part.len()) }).unwrap();
            names.push_str(part).unwrap();
        }
        matches(text.as_bytes(), &parts, &names, &mut Fuel::of(10_000)).unwrap()
    }

    #[test]
    fn wildcards_stand_for_anything_and_the_rest_for_itself() {
        for (text, pattern) in [
            ("", ""),
            ("", "*"),
            ("a", "a"),
            ("abc", "a*c"),
            ("abcbc", "*bc"),
            ("aXbYc", "a*b*c"),
            ("\u{e9}t\u{e9}", "\u{e9}*\u{e9}"),
        ] {
            assert!(like(text, pattern), "{text} like {pattern}");
        }
        for (text, pattern) in
            [("a", ""), ("", "a"), ("a", "a*a"), ("abc", "b*"), ("abc", "*b"), ("aab", "a*c*b")]
        {
            assert!(!like(text, pattern), "{text} like {pattern}");
        }
    }

    #[test]
    fn a_byte_is_found_where_it_occurs_first() {
        let text: Vec<u8, 64> = (0..64_u8).map(|at| at ^ 0x81).collect();
        for length in 0..text.len() {
            let text = &text[..length];
            for byte in 0..=u8::MAX {
                assert_eq!(
                    place_of(text, byte),
                    text.iter().position(|known| *known == byte),
                    "{byte} in {length}"
                );
            }
        }
        assert_eq!(place_of(b"\x01\x00\x01\x00aaaaaaaa", 0), Some(1));
    }

    #[test]
    fn a_pattern_that_runs_out_of_fuel_is_a_fault() {
        let parts =
            [Range { start: 0, length: 0 }, Range { start: 0, length: 1 }, Range { start: 0, length: 0 }];
        assert_eq!(matches(b"bbbbbbbb", &parts, "a", &mut Fuel::of(9)), Err(Fault::Budget));
    }
}
