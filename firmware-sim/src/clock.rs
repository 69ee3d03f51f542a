//! The clock: the one place that asks what time it is.
//!
//! A fault that is set for a time is shared between processes through a file, so its end is a time of day.
#![expect(clippy::disallowed_methods, reason = "this is the clock door of the simulator")]

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970.
pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
