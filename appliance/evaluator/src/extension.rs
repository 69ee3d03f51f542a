//! Extension types: IP ranges and dates, as Cedar computes with them.
//!
//! The rule it keeps: same results as cedar-policy-core's `extensions`, overflow included. Text forms are not read here.

use crate::value::Address;

/// Milliseconds of a day.
const DAY_MS: i64 = 86_400_000;

/// The day of a point in time, or nothing where it lies before the first that can be told.
pub(crate) fn to_date(ms: i64) -> Option<i64> {
    ms.checked_sub(ms.checked_rem_euclid(DAY_MS)?)
}

/// The time of day.
pub(crate) const fn to_time(ms: i64) -> i64 {
    match ms.checked_rem_euclid(DAY_MS) {
        Some(time) => time,
        None => 0,
    }
}

impl Address {
    const fn width(&self) -> u32 {
        if self.is_v6() { 128 } else { 32 }
    }

    /// Bits beyond the prefix.
    fn host_mask(&self) -> u128 {
        let host_bits = self.width().saturating_sub(u32::from(self.prefix()));
        match host_bits {
            128 => u128::MAX,
            _ => 1u128.checked_shl(host_bits).map_or(u128::MAX, |above| above.wrapping_sub(1)),
        }
    }

    /// Whether all of this range lies within `other`.
    pub(crate) fn is_in_range(&self, other: &Self) -> bool {
        let (first, last) = (self.bits() & !self.host_mask(), self.bits() | self.host_mask());
        let (from, to) = (other.bits() & !other.host_mask(), other.bits() | other.host_mask());
        self.is_v6() == other.is_v6() && from <= first && last <= to
    }

    /// `127.0.0.0/8` or `::1`.
    pub(crate) fn is_loopback(&self) -> bool {
        match self.is_v6() {
            true => self.bits() == 1 && self.prefix() == 128,
            false => self.bits() >> 24 == 127 && self.prefix() >= 8,
        }
    }

    /// `224.0.0.0/4` or `ff00::/8`.
    pub(crate) fn is_multicast(&self) -> bool {
        match self.is_v6() {
            true => self.bits() >> 120 == 0xff && self.prefix() >= 8,
            false => self.bits() >> 28 == 0xe && self.prefix() >= 4,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_floor_and_times_are_never_negative() {
        assert_eq!((to_date(-1), to_time(-1)), (Some(-DAY_MS), DAY_MS - 1));
        assert_eq!((to_date(DAY_MS), to_time(DAY_MS)), (Some(DAY_MS), 0));
        assert_eq!(to_date(i64::MIN), None);
    }

    #[test]
    fn ranges_hold_addresses_of_their_own_version_only() {
        let v4 = |octets, prefix| Address::v4(octets, prefix).unwrap();
        assert!(v4([10, 0, 0, 7], 32).is_in_range(&v4([10, 0, 0, 0], 24)));
        assert!(!v4([10, 0, 1, 7], 32).is_in_range(&v4([10, 0, 0, 0], 24)));
        assert!(!v4([10, 0, 0, 0], 8).is_in_range(&v4([10, 0, 0, 0], 24)));
        let all = Address::v6([0; 16], 0).unwrap();
        assert!(Address::v6([255; 16], 128).unwrap().is_in_range(&all));
        assert!(
            !v4([0, 0, 0, 0], 32).is_in_range(&all) && v4([1, 2, 3, 4], 32).is_in_range(&v4([9, 9, 9, 9], 0))
        );
    }

    #[test]
    fn short_prefixes_are_neither_loopback_nor_multicast() {
        assert!(Address::v4([127, 0, 0, 1], 8).unwrap().is_loopback());
        assert!(!Address::v4([127, 0, 0, 1], 7).unwrap().is_loopback());
        assert!(Address::v4([224, 0, 0, 1], 4).unwrap().is_multicast());
        assert!(!Address::v4([224, 0, 0, 1], 3).unwrap().is_multicast());
    }
}
