//! The clock: the one door through which time comes in.
//!
//! Everything else takes time as an argument, so that a test can say what time it is.

use std::time::{SystemTime, UNIX_EPOCH};

use assent_proto::number::Timestamp;

/// The machine's time, in milliseconds since 1970. A clock that stands before 1970 reads as 1970.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the clock door")]
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
