//! Dates and points in time, both ways.

use assent_proto::calendar::{Utc, date_of, days_of};
use assent_proto::number::Timestamp;

#[test]
fn every_day_of_four_digit_years_has_one_date_and_they_follow_one_another() {
    let first = days_of(0, 1, 1).expect("a date");
    let (mut year, mut month, mut day) = (0, 1, 1);
    for days in first..=days_of(9999, 12, 31).expect("a date") {
        assert_eq!((date_of(days), days_of(year, month, day)), ((year, month, day), Some(days)));
        (year, month, day) = [(year, month, day + 1), (year, month + 1, 1), (year + 1, 1, 1)]
            .into_iter()
            .find(|(year, month, day)| days_of(*year, *month, *day).is_some())
            .unwrap_or((10_000, 1, 1));
    }
    assert_eq!(year, 10_000);
    for (year, month, day) in
        [(2026, 2, 29), (1900, 2, 29), (2026, 0, 1), (2026, 13, 1), (2026, 4, 31), (2026, 4, 0)]
    {
        assert_eq!(days_of(year, month, day), None, "{year}-{month}-{day}");
    }
    assert_eq!((days_of(1970, 1, 1), days_of(2000, 2, 29)), (Some(0), Some(11_016)));
}

#[test]
fn points_in_time_are_written_as_rfc_3339_has_them() {
    for (ms, text) in [
        (0, "1970-01-01T00:00:00.000Z"),
        (951_782_400_000, "2000-02-29T00:00:00.000Z"),
        (1_667_507_170_344, "2022-11-03T20:26:10.344Z"),
        (1_795_824_000_000, "2026-11-28T00:00:00.000Z"),
        (u64::MAX, "9999-12-31T23:59:59.999Z"),
    ] {
        assert_eq!(Utc(Timestamp(ms)).to_string(), text);
    }
}
