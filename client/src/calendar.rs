//! The texts of points in time, for Cedar's datetime and for RFC 3339.

use std::fmt;

pub(crate) use assent_proto::calendar::MS_PER_DAY;
use assent_proto::calendar::{date_of, days_of};
use assent_proto::number::Timestamp;

/// Exactly `count` decimal digits from the front of `text`, which is left behind them.
pub(crate) fn digits(text: &mut &str, count: usize) -> Option<i64> {
    let (front, rest) = text.split_at_checked(count)?;
    *text = rest;
    if front.bytes().all(|byte| byte.is_ascii_digit()) { front.parse().ok() } else { None }
}

/// `prefix` from the front of `text`, which is left behind it.
pub(crate) fn literal(text: &mut &str, prefix: &str) -> Option<()> {
    *text = text.strip_prefix(prefix)?;
    Some(())
}

/// `YYYY-MM-DD` from the front of `text`: milliseconds since 1970.
pub(crate) fn date(text: &mut &str) -> Option<i64> {
    let year = digits(text, 4)?;
    literal(text, "-")?;
    let month = digits(text, 2)?;
    literal(text, "-")?;
    let day = digits(text, 2)?;
    Some(days_of(year, month, day)? * MS_PER_DAY)
}

/// `HH:MM:SS` from the front of `text`: milliseconds since midnight.
pub(crate) fn time_of_day(text: &mut &str) -> Option<i64> {
    let hour = digits(text, 2)?;
    literal(text, ":")?;
    let minute = digits(text, 2)?;
    literal(text, ":")?;
    let second = digits(text, 2)?;
    let fits = hour < 24 && minute < 60 && second < 60;
    fits.then_some(((hour * 60 + minute) * 60 + second) * 1000)
}

/// `Z`, or a sign with hours and minutes joined by `separator`: milliseconds east of Greenwich.
pub(crate) fn offset(text: &mut &str, separator: &str) -> Option<i64> {
    if literal(text, "Z").is_some() {
        return Some(0);
    }
    let sign = if literal(text, "+").is_some() {
        1
    } else {
        literal(text, "-")?;
        -1
    };
    let hour = digits(text, 2)?;
    literal(text, separator)?;
    let minute = digits(text, 2)?;
    let fits = hour < 24 && minute < 60;
    fits.then_some(sign * (hour * 60 + minute) * 60_000)
}

/// An RFC 3339 time with at most milliseconds: milliseconds since 1970.
#[must_use]
pub fn parse_rfc3339(mut text: &str) -> Option<i64> {
    let text = &mut text;
    let date = date(text)?;
    literal(text, "T")?;
    let time = time_of_day(text)?;
    let ms = if literal(text, ".").is_some() { digits(text, 3)? } else { 0 };
    let offset = offset(text, ":")?;
    text.is_empty().then_some(date + time + ms - offset)
}

/// Milliseconds since 1970, written in UTC; milliseconds only where there are any.
pub(crate) struct Utc(pub(crate) i64);

impl fmt::Display for Utc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = date_of(self.0.div_euclid(MS_PER_DAY));
        let ms = self.0.rem_euclid(MS_PER_DAY);
        let (hour, minute, second) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")?;
        match ms % 1000 {
            0 => f.write_str("Z"),
            fraction => write!(f, ".{fraction:03}Z"),
        }
    }
}

/// The last millisecond that a date of four digits can name.
const LAST_DATE_MS: u64 = 253_402_300_799_999;

/// A timestamp in RFC 3339; what is beyond the year 9999 is written as its end.
pub(crate) fn rfc3339(time: Timestamp) -> String {
    Utc(i64::try_from(time.0.min(LAST_DATE_MS)).unwrap_or(i64::MAX)).to_string()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_times_are_read() {
        for (text, ms) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2000-02-29T12:00:00.001Z", 951_825_600_001),
            ("1969-12-31T23:59:59+00:00", -1000),
            ("2026-11-24T03:50:00+01:00", 1_795_488_600_000),
        ] {
            assert_eq!(parse_rfc3339(text), Some(ms), "{text}");
        }
    }

    #[test]
    fn days_that_are_not_in_the_calendar_are_refused() {
        for text in ["2025-02-29", "1900-02-29", "2024-13-01", "2024-00-01", "2024-04-31", "2024-01-00"] {
            assert_eq!(parse_rfc3339(&format!("{text}T00:00:00Z")), None, "{text}");
        }
        assert!(parse_rfc3339("2000-02-29T00:00:00Z").is_some());
        assert!(parse_rfc3339("2024-01-01T24:00:00Z").is_none());
        assert!(parse_rfc3339("2024-01-01T00:00:00").is_none());
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(ms in -62_167_219_200_000_i64..253_402_300_800_000) {
            prop_assert_eq!(parse_rfc3339(&Utc(ms).to_string()), Some(ms));
        }
    }
}
