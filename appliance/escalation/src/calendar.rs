//! The calendar: points in time as RFC 3339 writes them, and as HTTP does (RFC 9110 section 5.6.7).
//!
//! The proleptic Gregorian calendar without leap seconds: a day has 86,400 seconds.

use assent_proto::number::Timestamp;

const MS_PER_DAY: u64 = 86_400_000;
/// The last millisecond that a date of four digits can name.
const LAST_DATE_MS: u64 = 253_402_300_799_999;
/// Days from 0000-03-01 to 1970-01-01.
const DAYS_TO_1970: u64 = 719_468;
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// A point in time in UTC, to the millisecond. What is beyond the year 9999 is written as its end.
#[must_use]
pub fn rfc3339(time: Timestamp) -> String {
    let ms = time.0.min(LAST_DATE_MS);
    let (year, month, day) = date_of(ms / MS_PER_DAY);
    let ms = ms % MS_PER_DAY;
    let (hour, minute, second) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", ms % 1000)
}

/// A date as HTTP prefers it, `Sun, 06 Nov 1994 08:49:37 GMT`; the obsolete forms are not read.
pub(crate) fn http_date(text: &str) -> Option<Timestamp> {
    let (_, text) = text.split_once(", ")?;
    let mut parts = text.split(' ');
    let day: u64 = number(parts.next()?, 2)?;
    let month = parts.next()?;
    let month = MONTHS.iter().position(|name| *name == month)?;
    let year: u64 = number(parts.next()?, 4)?;
    let mut clock = parts.next()?.split(':').map(|part| number(part, 2));
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
    let fits = (1..=31).contains(&day) && hour < 24 && minute < 60 && second <= 60 && year >= 1970;
    if !fits || parts.next() != Some("GMT") || parts.next().is_some() || clock.next().is_some() {
        return None;
    }
    let days = days_of(year, u64::try_from(month).ok()? + 1, day)?;
    Some(Timestamp(days * MS_PER_DAY + ((hour * 60 + minute) * 60 + second) * 1000))
}

fn number(text: &str, digits: usize) -> Option<u64> {
    let whole = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
    if whole { text.parse().ok() } else { None }
}

/// Year, month and day of that many days from 1970-01-01.
const fn date_of(days: u64) -> (u64, u64, u64) {
    // Years begin in March, so that the leap day is a year's last.
    let since = days + DAYS_TO_1970;
    let (era, day_of_era) = (since / 146_097, since % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let (month, into_next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (400 * era + year_of_era + into_next, month, day)
}

/// Days from 1970-01-01 to a date from then on.
fn days_of(year: u64, month: u64, day: u64) -> Option<u64> {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    (365 * year + year / 4 - year / 100 + year / 400 + day_of_year).checked_sub(DAYS_TO_1970)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_in_time_are_written_as_rfc_3339_has_them() {
        for (ms, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_667_507_170_344, "2022-11-03T20:26:10.344Z"),
            (1_795_824_000_000, "2026-11-28T00:00:00.000Z"),
            (u64::MAX, "9999-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(rfc3339(Timestamp(ms)), text);
        }
    }

    #[test]
    fn http_dates_are_read_and_nothing_else() {
        assert_eq!(http_date("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Timestamp(784_111_777_000)));
        for bad in [
            "",
            "06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
            "Sun, 06 Nov 1994 08:49:37 UTC",
            "Sun, 00 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 24:49:37 GMT",
            "Sun, 06 Nov 0000 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:37 GMT x",
            "Sun, 06 Nov 1994 08:49 GMT",
        ] {
            assert_eq!(http_date(bad), None, "{bad}");
        }
    }
}
