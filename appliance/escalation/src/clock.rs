//! The clock door: where the threads of this room ask for the time. Whatever has a rule in it takes time as an argument.

use std::fmt::Debug;

use assent_proto::number::Timestamp;

/// Tells the time of day, or what a test takes for it.
pub trait Clock: Debug + Send + Sync {
    /// Milliseconds since 1970. It may jump.
    fn now(&self) -> Timestamp;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock door")]
    fn now(&self) -> Timestamp {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }
}
