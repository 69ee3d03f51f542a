//! The calendar: dates of days, and points in time as RFC 3339 writes them.
//!
//! The proleptic Gregorian calendar without leap seconds: a day has 86,400 seconds (as in Cedar, and in POSIX time).

use core::fmt;

use crate::number::Timestamp;

/// Milliseconds of a day.
pub const MS_PER_DAY: i64 = 86_400_000;
/// The last millisecond that a date of four digits can name.
const LAST_DATE_MS: u64 = 253_402_300_799_999;
/// Days from 0000-03-01 to 1970-01-01.
const DAYS_TO_1970: i64 = 719_468;

/// Days from 1970-01-01 to a date, if there is one; of years from 0 to 9999.
#[must_use]
#[expect(clippy::arithmetic_side_effects, reason = "a date of four digits: nothing comes near an end of i64")]
pub fn days_of(year: i64, month: i64, day: i64) -> Option<i64> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        4 | 6 | 9 | 11 => 30,
        2 => 28 + i64::from(leap),
        1..=12 => 31,
        _ => return None,
    };
    if !(0..=9999).contains(&year) || !(1..=length).contains(&day) {
        return None;
    }
    // Years begin in March, so that the leap day is a year's last.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    Some(365 * year + leap_days + day_of_year - DAYS_TO_1970)
}

/// Year, month and day of so many days from 1970-01-01.
#[must_use]
#[expect(clippy::arithmetic_side_effects, reason = "parts of a saturated number, each smaller than it")]
pub const fn date_of(days: i64) -> (i64, i64, i64) {
    let since = days.saturating_add(DAYS_TO_1970);
    let (era, day_of_era) = (since.div_euclid(146_097), since.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let (month, into_next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (400 * era + year_of_era + into_next, month, day)
}

/// A point in time in UTC, to the millisecond, as RFC 3339 writes it. What is beyond the year 9999 is written as its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Utc(pub Timestamp);

impl fmt::Display for Utc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = self.0.0.min(LAST_DATE_MS).cast_signed();
        let (year, month, day) = date_of(ms / MS_PER_DAY);
        let ms = ms % MS_PER_DAY;
        let (hour, minute, second) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", ms % 1000)
    }
}
