//! Units in values: `"250ms"`, `"64MiB"`.
//!
//! A number and its unit, nothing between them, no fractions: what is written is what is meant.

use std::time::Duration;

const DURATIONS: [(&str, u64); 5] =
    [("ms", 1), ("s", 1000), ("m", 60 * 1000), ("h", 60 * 60 * 1000), ("d", 24 * 60 * 60 * 1000)];
const SIZES: [(&str, u64); 4] = [("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];

/// A duration such as `250ms`, `1s`, `5m`, `2h`, `30d`.
pub(crate) fn parse_duration(text: &str) -> Option<Duration> {
    parse(text, &DURATIONS).map(Duration::from_millis)
}

/// A size in bytes such as `512B`, `64KiB`, `64MiB`, `1GiB`.
pub(super) fn parse_size(text: &str) -> Option<u64> {
    parse(text, &SIZES)
}

/// The shortest text that gives this duration.
pub(crate) fn show_duration(duration: Duration) -> String {
    show(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX), &DURATIONS)
}

/// The shortest text that gives this size.
pub(super) fn show_size(bytes: u64) -> String {
    show(bytes, &SIZES)
}

fn parse(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let end = text.bytes().position(|byte| !byte.is_ascii_digit())?;
    let (number, unit) = text.split_at_checked(end)?;
    let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

fn show(value: u64, units: &[(&str, u64)]) -> String {
    let mut fitting = units.iter().rev().filter(|(_, factor)| value > 0 && value.is_multiple_of(*factor));
    match fitting.next().or_else(|| units.first()) {
        Some((unit, factor)) => format!("{}{unit}", value / factor),
        None => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_gives_the_same_value() {
        for text in ["0ms", "250ms", "1s", "90s", "5m", "2h", "30d"] {
            assert_eq!(show_duration(parse_duration(text).unwrap()), text);
        }
        for text in ["0B", "512B", "64KiB", "64MiB", "1GiB"] {
            assert_eq!(show_size(parse_size(text).unwrap()), text);
        }
        assert_eq!(show_duration(Duration::from_millis(60_000)), "1m");
    }

    #[test]
    fn a_number_needs_its_unit_and_nothing_else() {
        for text in [
            "",
            "5",
            "s",
            "1 s",
            "1.5s",
            "-1s",
            "+1s",
            "1S",
            "1sec",
            "1s ",
            "1\u{b5}s",
            "99999999999999999999s",
        ] {
            assert_eq!(parse_duration(text), None, "{text:?}");
        }
        for text in ["", "64", "64MB", "64mib", "64 MiB", "99999999999GiB"] {
            assert_eq!(parse_size(text), None, "{text:?}");
        }
    }
}
