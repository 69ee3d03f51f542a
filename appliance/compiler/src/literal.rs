//! Literals of extension types, read as Cedar reads them.
//!
//! The rule they keep: Cedar is asked wherever it can answer. Dates and durations come out of its own evaluator as
//! milliseconds; decimals and addresses have no operator that gives their number and are read here.

use crate::constant::{Constant, Ip};
use crate::table::EntityName;
use cedar_policy::{Entities, EvalResult, Expression, Request, eval_expression};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::str::FromStr;

/// Fraction digits of a decimal.
const DECIMAL_DIGITS: usize = 4;
/// Longest text of an address with its prefix, in bytes.
const MAX_ADDRESS_BYTES: usize = 43;

/// What one of the four constructors makes of a text, or nothing where Cedar would refuse it.
pub(crate) fn construct(constructor: &str, text: &str) -> Option<Constant> {
    match constructor {
        "decimal" => decimal(text).map(Constant::Decimal),
        "ip" => ip(text).map(Constant::Ip),
        "datetime" => {
            milliseconds(&format!("{}{SINCE_1970}", call(constructor, text))).map(Constant::Datetime)
        }
        "duration" => {
            milliseconds(&format!("{}.toMilliseconds()", call(constructor, text))).map(Constant::Duration)
        }
        _ => None,
    }
}

/// Turns a point in time into milliseconds.
const SINCE_1970: &str = ".durationSince(datetime(\"1970-01-01\")).toMilliseconds()";

fn call(constructor: &str, text: &str) -> String {
    format!("{constructor}(\"{}\")", text.escape_debug())
}

/// What Cedar's evaluator makes of an expression without variables.
fn milliseconds(expression: &str) -> Option<i64> {
    let uid = cedar_policy::EntityUid::from_str("A::\"\"").ok()?;
    let request = Request::new(uid.clone(), uid.clone(), uid, cedar_policy::Context::empty(), None).ok()?;
    let expression = Expression::from_str(expression).ok()?;
    match eval_expression(&request, &Entities::empty(), &expression) {
        Ok(EvalResult::Long(ms)) => Some(ms),
        Ok(_) | Err(_) => None,
    }
}

/// `-?digits.digits`, at most four after the point, in ten-thousandths.
fn decimal(text: &str) -> Option<i64> {
    let (whole, fraction) = text.split_once('.')?;
    let digits = whole.strip_prefix('-').unwrap_or(whole);
    let all_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !all_digits(digits) || !all_digits(fraction) || fraction.len() > DECIMAL_DIGITS {
        return None;
    }
    let magnitude = i128::from(digits.parse::<u64>().ok()?) * 10_000
        + i128::from(format!("{fraction:0<DECIMAL_DIGITS$}").parse::<i64>().ok()?);
    i64::try_from(if whole.starts_with('-') { -magnitude } else { magnitude }).ok()
}

/// An address, alone or with a prefix length. IPv4 within IPv6 text is refused, as Cedar does.
fn ip(text: &str) -> Option<Ip> {
    let several = |wanted| text.bytes().filter(|byte| *byte == wanted).count() > 1;
    if text.len() > MAX_ADDRESS_BYTES || (several(b':') && several(b'.')) {
        return None;
    }
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix)),
        None => (text, None),
    };
    let address = IpAddr::from_str(address).ok()?;
    let widest: u8 = if address.is_ipv4() { 32 } else { 128 };
    let prefix = match prefix {
        None => widest,
        Some("0") => 0,
        Some(digits) if digits.starts_with('0') || !digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            return None;
        }
        Some(digits) => digits.parse().ok().filter(|prefix| *prefix <= widest)?,
    };
    Some(Ip { address, prefix })
}

/// A value that Cedar evaluated, as a constant.
pub(crate) fn of_result(result: &EvalResult) -> Option<Constant> {
    Some(match result {
        EvalResult::Bool(value) => Constant::Bool(*value),
        EvalResult::Long(value) => Constant::Long(*value),
        EvalResult::String(value) => Constant::String(value.clone()),
        EvalResult::EntityUid(uid) => Constant::Entity(EntityName::of(uid)),
        EvalResult::Set(set) => Constant::Set(set.iter().map(of_result).collect::<Option<BTreeSet<_>>>()?),
        EvalResult::Record(record) => Constant::Record(
            record
                .iter()
                .map(|(name, value)| Some((name.clone(), of_result(value)?)))
                .collect::<Option<BTreeMap<_, _>>>()?,
        ),
        EvalResult::ExtensionValue(text) => of_extension(text)?,
    })
}

/// An extension value in the text form that Cedar prints: one constructor, or for dates an offset as well.
fn of_extension(text: &str) -> Option<Constant> {
    let constructor = text.split('(').next()?;
    match constructor {
        "datetime" => milliseconds(&format!("{text}{SINCE_1970}")).map(Constant::Datetime),
        "duration" => milliseconds(&format!("{text}.toMilliseconds()")).map(Constant::Duration),
        _ => {
            construct(constructor, text.strip_prefix(constructor)?.strip_prefix("(\"")?.strip_suffix("\")")?)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extension_literals_are_read_as_cedar_reads_them() {
        assert_eq!(construct("decimal", "-0.5"), Some(Constant::Decimal(-5000)));
        assert_eq!(construct("decimal", "922337203685477.5807"), Some(Constant::Decimal(i64::MAX)));
        assert_eq!(construct("decimal", "-922337203685477.5808"), Some(Constant::Decimal(i64::MIN)));
        assert_eq!(construct("datetime", "1970-01-02T00:00:00.001Z"), Some(Constant::Datetime(86_400_001)));
        assert_eq!(construct("duration", "-1h1ms"), Some(Constant::Duration(-3_600_001)));
        let net = Ip { address: IpAddr::from([10, 0, 0, 1]), prefix: 8 };
        assert_eq!(construct("ip", "10.0.0.1/8"), Some(Constant::Ip(net)));
        for (constructor, text) in [
            ("decimal", "1"),
            ("decimal", "1.00000"),
            ("decimal", "922337203685477.5808"),
            ("ip", "::ffff:1.2.3.4"),
            ("ip", "1.2.3.4/08"),
            ("ip", "1.2.3.4/33"),
            ("datetime", "2024-13-01"),
            ("duration", ""),
        ] {
            assert_eq!(construct(constructor, text), None, "{constructor}({text})");
        }
    }

    #[test]
    fn dates_that_cedar_computed_are_read_back() {
        let text = "datetime(\"1970-01-01\").offset(duration(\"1704067200005ms\"))";
        assert_eq!(of_extension(text), Some(Constant::Datetime(1_704_067_200_005)));
    }
}
