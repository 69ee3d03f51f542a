//! The schedule: when a sink that did not take an event is asked again.
//!
//! It is the schedule of Standard Webhooks ("Deliverability and reliability"), for every kind of sink: about three days, then
//! the event is undeliverable. Some of each delay is jitter, which the caller gives: this file throws no dice.

use assent_proto::number::Timestamp;

/// Milliseconds before each attempt: the first is made at once, the last is followed by none.
pub const DELAYS_MS: [u64; 10] = [
    0,
    5_000,
    5 * 60_000,
    30 * 60_000,
    2 * 3_600_000,
    5 * 3_600_000,
    10 * 3_600_000,
    14 * 3_600_000,
    20 * 3_600_000,
    24 * 3_600_000,
];
/// The largest jitter, in parts of 256 of a delay: a tenth.
const MAX_JITTER_PARTS: u64 = 26;

/// When the attempt after `failed` ones is due; none: there is no other.
///
/// `jitter` adds up to a tenth of the delay. `put_off_until` is what the sink asked for: it is waited for at least so long.
#[must_use]
pub fn next_attempt(
    failed: u32,
    now: Timestamp,
    jitter: u8,
    put_off_until: Option<Timestamp>,
) -> Option<Timestamp> {
    let delay = DELAYS_MS.get(usize::try_from(failed).ok()?)?;
    let jitter = delay / 256 * MAX_JITTER_PARTS * u64::from(jitter) / 256;
    let due = now.plus_ms(delay + jitter);
    Some(put_off_until.map_or(due, |until| due.max(until)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_attempts_are_those_of_the_specification() {
        let since_start = [0, 5, 305, 2105, 9305, 27305, 63305, 113_705, 185_705, 272_105];
        let mut now = Timestamp(0);
        for (failed, seconds) in (0..).zip(since_start) {
            now = next_attempt(failed, now, 0, None).unwrap();
            assert_eq!(now, Timestamp(seconds * 1000), "after {failed}");
        }
        assert_eq!(next_attempt(10, now, 0, None), None);
        assert_eq!(next_attempt(u32::MAX, now, 0, None), None);
    }

    #[test]
    fn jitter_lengthens_a_delay_by_a_tenth_at_most() {
        for (failed, delay) in (0_u32..).zip(DELAYS_MS) {
            let least = next_attempt(failed, Timestamp(0), 0, None).unwrap().0;
            let most = next_attempt(failed, Timestamp(0), u8::MAX, None).unwrap().0;
            assert_eq!(least, delay);
            assert!(most <= delay + delay / 9 && (delay == 0 || most > delay), "{failed}: {most}");
        }
    }

    #[test]
    fn a_sink_is_not_asked_before_it_wants_to_be() {
        let until = |ms| next_attempt(1, Timestamp(1000), 0, Some(Timestamp(ms))).unwrap().0;
        assert_eq!(until(60_000), 60_000);
        assert_eq!(until(2_000), 6_000, "nor before the schedule says");
    }
}
