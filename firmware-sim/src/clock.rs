//! The clock: the one place that asks what time it is.
//!
//! A fault that is set for a time outlives a restart of the machine in its file, so its end is a time of day. When a fault struck
//! is compared with what other processes saw, to the microsecond, so that is on the clock that they all share and nobody sets.
#![expect(clippy::disallowed_methods, reason = "this is the clock door of the simulator")]

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};

/// Milliseconds since 1970.
pub(crate) fn now_ms() -> u64 {
    u64::try_from(since_1970().as_millis()).unwrap_or(u64::MAX)
}

/// When the time of day was `ms` milliseconds since 1970, in microseconds of `CLOCK_MONOTONIC`; now when it is yet to come.
pub(crate) fn monotonic_us_at(ms: u64) -> u64 {
    let past = since_1970().saturating_sub(Duration::from_millis(ms));
    monotonic_us().saturating_sub(u64::try_from(past.as_micros()).unwrap_or(u64::MAX))
}

fn since_1970() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO)
}

/// Microseconds of `CLOCK_MONOTONIC`.
pub(crate) fn monotonic_us() -> u64 {
    let since = Duration::try_from(clock_gettime(ClockId::Monotonic)).unwrap_or(Duration::ZERO);
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}
