//! Cedar's extension values: decimal, ipaddr, datetime and duration, read exactly as Cedar's constructors read them.
//!
//! A text that Cedar refuses is refused here, and one that Cedar takes gives the number that Cedar computes (cedar-policy
//! 4.14.1, `extensions/`). What is written reads back to the same value.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use crate::calendar::{self, MS_PER_DAY, Utc};
use crate::quote::quoted;

/// Why a text is no extension value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExtensionError {
    /// Not a decimal.
    #[error("`{0}` is no decimal: digits, a point, one to four digits, such as 12.34")]
    Decimal(String),
    /// Not an address or a range of addresses.
    #[error("`{0}` is no IP address or range, such as 10.0.0.0/24 or ffee::/64")]
    Ip(String),
    /// Not a point in time.
    #[error(
        "`{0}` is no datetime, such as 2026-01-31 or 2026-01-31T12:00:00.000Z or 2026-01-31T12:00:00+0100"
    )]
    Datetime(String),
    /// Not a span of time.
    #[error("`{0}` is no duration, such as 1d2h3m4s5ms or -90s")]
    Duration(String),
}

/// Cedar's decimal: a number of ten-thousandths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Decimal(pub i64);

/// Cedar's ipaddr: an address with the prefix it was written with; the address is not masked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ip {
    address: IpAddr,
    prefix: u8,
}

/// Cedar's datetime: milliseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Datetime(pub i64);

/// Cedar's duration: milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Duration(pub i64);

impl FromStr for Decimal {
    type Err = ExtensionError;

    fn from_str(text: &str) -> Result<Self, ExtensionError> {
        parse_decimal(text).map(Self).ok_or_else(|| ExtensionError::Decimal(quoted(text)))
    }
}

fn parse_decimal(text: &str) -> Option<i64> {
    let (whole, fraction) = text.split_once('.')?;
    let negative = whole.starts_with('-');
    let digits = whole.strip_prefix('-').unwrap_or(whole);
    let all_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !all_digits(digits) || !all_digits(fraction) {
        return None;
    }
    let scale = 10_i64.checked_pow(4_u32.checked_sub(u32::try_from(fraction.len()).ok()?)?)?;
    let whole = whole.parse::<i64>().ok()?.checked_mul(10_000)?;
    let fraction = fraction.parse::<i64>().ok()?.checked_mul(scale)?;
    if negative { whole.checked_sub(fraction) } else { whole.checked_add(fraction) }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sign, number) = (if self.0 < 0 { "-" } else { "" }, self.0.unsigned_abs());
        write!(f, "{sign}{}.{:04}", number / 10_000, number % 10_000)
    }
}

/// Bytes of the longest text of an address with its prefix.
const MAX_IP_TEXT_BYTES: usize = 43;

impl Ip {
    /// An address with a prefix, which must not be longer than the address.
    #[must_use]
    pub fn new(address: IpAddr, prefix: u8) -> Option<Self> {
        (prefix <= bits(address)).then_some(Self { address, prefix })
    }

    /// The address as it was written.
    #[must_use]
    pub const fn address(self) -> IpAddr {
        self.address
    }

    /// Length of the prefix, in bits.
    #[must_use]
    pub const fn prefix(self) -> u8 {
        self.prefix
    }
}

const fn bits(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

impl From<IpAddr> for Ip {
    fn from(address: IpAddr) -> Self {
        Self { address, prefix: bits(address) }
    }
}

impl FromStr for Ip {
    type Err = ExtensionError;

    fn from_str(text: &str) -> Result<Self, ExtensionError> {
        parse_ip(text).ok_or_else(|| ExtensionError::Ip(quoted(text)))
    }
}

fn parse_ip(text: &str) -> Option<Ip> {
    let mixed = text.matches(':').count() >= 2 && text.matches('.').count() >= 2;
    if text.len() > MAX_IP_TEXT_BYTES || mixed {
        return None;
    }
    let Some((address, prefix)) = text.split_once('/') else {
        return text.parse::<IpAddr>().ok().map(Ip::from);
    };
    let plain =
        prefix.bytes().all(|byte| byte.is_ascii_digit()) && (prefix == "0" || !prefix.starts_with('0'));
    Ip::new(address.parse().ok()?, prefix.parse().ok().filter(|_| plain)?)
}

impl fmt::Display for Ip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            // The standard library writes mapped addresses with dots, which Cedar does not read.
            IpAddr::V6(v6) if v6.to_string().contains('.') => {
                let parts = v6.segments().map(|segment| format!("{segment:x}"));
                write!(f, "{}/{}", parts.join(":"), self.prefix)
            }
            IpAddr::V4(_) | IpAddr::V6(_) => write!(f, "{}/{}", self.address, self.prefix),
        }
    }
}

impl FromStr for Datetime {
    type Err = ExtensionError;

    fn from_str(text: &str) -> Result<Self, ExtensionError> {
        parse_datetime(text).map(Self).ok_or_else(|| ExtensionError::Datetime(quoted(text)))
    }
}

fn parse_datetime(mut text: &str) -> Option<i64> {
    let text = &mut text;
    let date = calendar::date(text)?;
    if text.is_empty() {
        return Some(date);
    }
    calendar::literal(text, "T")?;
    let time = calendar::time_of_day(text)?;
    let ms = if calendar::literal(text, ".").is_some() { calendar::digits(text, 3)? } else { 0 };
    let offset = calendar::offset(text, "")?;
    text.is_empty().then_some(date + time + ms - offset)
}

/// In UTC. LIMIT: years outside 0000 to 9999 are written, but neither Cedar nor we read them.
impl fmt::Display for Datetime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Utc(self.0).fmt(f)
    }
}

/// Units of a duration, in the order in which they may be written.
const UNITS: [(&str, i64); 5] = [("d", MS_PER_DAY), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

impl FromStr for Duration {
    type Err = ExtensionError;

    fn from_str(text: &str) -> Result<Self, ExtensionError> {
        parse_duration(text).map(Self).ok_or_else(|| ExtensionError::Duration(quoted(text)))
    }
}

fn parse_duration(text: &str) -> Option<i64> {
    let (mut rest, sign) = text.strip_prefix('-').map_or((text, 1), |rest| (rest, -1_i128));
    let mut units = UNITS.iter();
    let mut total = 0_i64;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let (number, behind) = rest.split_at_checked(rest.find(|c: char| !c.is_ascii_digit())?)?;
        let end = behind.find(|c: char| c.is_ascii_digit()).unwrap_or(behind.len());
        let (unit, behind) = behind.split_at_checked(end)?;
        let (_, ms) = units.find(|(name, _)| *name == unit)?;
        // All parts have one sign, so that no sum on the way can overflow unless the last one does.
        let part = sign * i128::from(number.parse::<u64>().ok()?) * i128::from(*ms);
        total = total.checked_add(i64::try_from(part).ok()?)?;
        rest = behind;
    }
    Some(total)
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 < 0 {
            f.write_str("-")?;
        }
        let mut rest = self.0.unsigned_abs();
        for (name, ms) in UNITS {
            let (count, behind) = (rest / ms.unsigned_abs(), rest % ms.unsigned_abs());
            if count > 0 || (ms == 1 && self.0 == 0) {
                write!(f, "{count}{name}")?;
            }
            rest = behind;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn decimals_are_read_as_cedar_reads_them() {
        for (text, number) in [
            ("1.0", 10_000),
            ("-1.0", -10_000),
            ("-0.5", -5_000),
            ("123.456", 1_234_560),
            ("0.1234", 1_234),
            ("007.0700", 70_700),
            ("922337203685477.5807", i64::MAX),
            ("-922337203685477.5808", i64::MIN),
        ] {
            assert_eq!(text.parse(), Ok(Decimal(number)), "{text}");
        }
        for text in [
            "",
            "1",
            "1.",
            ".1",
            "1.12345",
            "+1.0",
            "1.-0",
            "--1.0",
            "1.0.0",
            "1e3.0",
            " 1.0",
            "1,0",
            "\u{663}.0",
            "922337203685477.5808",
            "-922337203685477.5809",
            "99999999999999999999.0",
        ] {
            assert!(text.parse::<Decimal>().is_err(), "{text}");
        }
    }

    #[test]
    fn addresses_are_read_as_cedar_reads_them() {
        for (text, written) in [
            ("127.0.0.1", "127.0.0.1/32"),
            ("10.0.0.1/24", "10.0.0.1/24"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("ffee::/64", "ffee::/64"),
            ("::1", "::1/128"),
            ("::ffff:ff00:1", "0:0:0:0:0:ffff:ff00:1/128"),
        ] {
            assert_eq!(text.parse::<Ip>().unwrap().to_string(), written);
        }
        for text in [
            "",
            "1.2.3",
            "1.2.3.4/33",
            "1.2.3.4/",
            "1.2.3.4/08",
            "1.2.3.4/+8",
            "01.2.3.4",
            "::/129",
            "::/001",
            "::ffff:192.168.0.1",
            "127.0.0.1:80",
            "fe80::1%eth0",
            "1.2.3.4 ",
            "g::",
        ] {
            assert!(text.parse::<Ip>().is_err(), "{text}");
        }
    }

    #[test]
    fn datetimes_are_read_as_cedar_reads_them() {
        for (text, utc) in [
            ("2024-10-15", "2024-10-15T00:00:00Z"),
            ("2024-10-15T11:38:02Z", "2024-10-15T11:38:02Z"),
            ("2024-10-15T11:38:02.101Z", "2024-10-15T11:38:02.101Z"),
            ("2024-10-15T11:38:02.101+1134", "2024-10-15T00:04:02.101Z"),
            ("2024-10-15T11:38:02.101-1134", "2024-10-15T23:12:02.101Z"),
            ("2024-10-15T23:59:00+2359", "2024-10-15T00:00:00Z"),
            ("2024-10-15T00:00:00-2359", "2024-10-15T23:59:00Z"),
            ("0000-01-01", "0000-01-01T00:00:00Z"),
        ] {
            assert_eq!(text.parse::<Datetime>().unwrap().to_string(), utc);
        }
        for text in [
            "",
            "a",
            "-1",
            "11-12-13",
            "10000-01-01",
            "2024-10-15Z",
            "2024-10-15T11:38:02ZZ",
            "2025-02-29",
            "2024-01-01T31:02:03Z",
            "2016-12-31T23:59:60Z",
            "2024-01-01T00:00:00",
            "2024-01-01T00:00:00.0001Z",
            "2024-01-01T00:00:00.001+00000",
            "2016-12-31T00:00:00+1160",
            "2016-12-31T00:00:00+2400",
            "2024-01-01T00:00:00+01:00",
            "2024-01-01t00:00:00Z",
        ] {
            assert!(text.parse::<Datetime>().is_err(), "{text}");
        }
    }

    #[test]
    fn durations_are_read_as_cedar_reads_them() {
        for (text, ms) in [
            ("1h", 3_600_000),
            ("-10h", -36_000_000),
            ("5d3ms", 432_000_003),
            ("-3h5m", -11_100_000),
            ("0ms", 0),
            ("5m1s", 301_000),
            ("-9223372036854775808ms", i64::MIN),
        ] {
            assert_eq!(text.parse(), Ok(Duration(ms)), "{text}");
        }
        for text in [
            "",
            "a",
            "-",
            "-1",
            "1",
            "11dd",
            "00000mm",
            "-d",
            "-h",
            "-1hh",
            "-h2d",
            "-ms",
            "1ms1s",
            "1ms1m",
            "1s1m",
            "0s0d",
            "0m0h",
            "1h1d",
            "1d1d",
            "1m 1s",
            "+1s",
            "9223372036854775808ms",
            "1.5h",
            "106751991168d",
        ] {
            assert!(text.parse::<Duration>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(number in any::<i64>(), ms in -62_167_219_200_000_i64..253_402_300_800_000) {
            prop_assert_eq!(Decimal(number).to_string().parse(), Ok(Decimal(number)));
            prop_assert_eq!(Duration(number).to_string().parse(), Ok(Duration(number)));
            prop_assert_eq!(Datetime(ms).to_string().parse(), Ok(Datetime(ms)));
        }

        #[test]
        fn written_addresses_read_back(v4 in any::<[u8; 4]>(), v6 in any::<[u8; 16]>(), prefix in 0_u8..=128) {
            for ip in [Ip::new(v4.into(), prefix), Ip::new(v6.into(), prefix)].into_iter().flatten() {
                prop_assert_eq!(ip.to_string().parse(), Ok(ip));
            }
        }
    }
}
