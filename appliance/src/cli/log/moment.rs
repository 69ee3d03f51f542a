//! Moments on the command line: a point in time as RFC 3339 writes it, a date, or so long ago.

use assent_client::parse_rfc3339;
use assent_proto::number::Timestamp;

use crate::clock::Clock;

/// A point in time, or so long before now: `2026-11-24T12:00:00Z`, `2026-11-24`, `90s`, `30m`, `2h`, `7d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) struct Moment(pub(in crate::cli) Timestamp);

impl std::str::FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text, Clock::system().now())
            .map(Self)
            .ok_or_else(|| "give a time such as 2026-11-24T12:00:00Z, a date such as 2026-11-24, or how long ago: 90s, 30m, 2h, 7d".to_owned())
    }
}

fn parse(text: &str, now: Timestamp) -> Option<Timestamp> {
    let point = |text: &str| parse_rfc3339(text).and_then(|ms| u64::try_from(ms).ok()).map(Timestamp);
    if let Some(point) = point(text).or_else(|| point(&format!("{text}T00:00:00Z"))) {
        return Some(point);
    }
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let seconds: u64 = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return None,
    };
    let is_plain = number.bytes().all(|byte| byte.is_ascii_digit());
    let ago = number.parse::<u64>().ok().filter(|_| is_plain)?.checked_mul(seconds)?.checked_mul(1000)?;
    Some(now.minus_ms(ago))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_dates_and_spans_are_taken_and_nothing_else() {
        let now = Timestamp(1_795_485_600_000); // 2026-11-24T02:00:00Z
        let taken = |text| parse(text, now).map(|time| time.0);
        assert_eq!(taken("2026-11-24T02:00:00Z"), Some(now.0));
        assert_eq!(taken("2026-11-24T03:00:00+01:00"), Some(now.0));
        assert_eq!(taken("2026-11-24"), Some(now.0 - 7_200_000));
        assert_eq!(taken("2h"), Some(now.0 - 7_200_000));
        assert_eq!(taken("90s"), Some(now.0 - 90_000));
        for wrong in
            ["", "h", "-2h", "+2h", "2", "2w", "2026-11-31", "yesterday", "99999999999999999999d", "\u{663}h"]
        {
            assert_eq!(taken(wrong), None, "{wrong}");
        }
    }
}
