//! The clock: the one door through which time comes in.
//!
//! Rooms take time as an argument. Whoever stands at the edge asks a [`Clock`]; tests give one that moves only when told.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use assent_proto::number::Timestamp;

/// Tells the time of day, and a time that never goes back.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    System,
    Manual(Arc<AtomicU64>),
}

impl Clock {
    /// The machine's clock.
    #[must_use]
    pub const fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that stands at `now` until it is told otherwise.
    #[must_use]
    pub fn manual(now: Timestamp) -> Self {
        Self(Source::Manual(Arc::new(AtomicU64::new(now.0))))
    }

    /// Milliseconds since 1970. A machine whose clock stands before 1970 reads as 1970.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the clock door")]
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Source::System => {
                let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
            }
            Source::Manual(now) => Timestamp(now.load(Ordering::SeqCst)),
        }
    }

    /// The time of day, and where the machine's own clock stands.
    #[must_use]
    pub fn stamp(&self) -> Stamp {
        let time = self.now();
        let mark = match &self.0 {
            Source::System => Mark::now(),
            Source::Manual(_) => Mark(time.0.saturating_mul(1000)),
        };
        Stamp { time, mark }
    }

    /// Moves a manual clock; the machine's own stays as it is.
    pub fn set(&self, now: Timestamp) {
        if let Source::Manual(stored) = &self.0 {
            stored.store(now.0, Ordering::SeqCst);
        }
    }
}

/// Microseconds of `CLOCK_MONOTONIC`: the same for every process of this machine, so that one can tell whether another's fault
/// came before its own answer. It means nothing on another machine, nor after the next boot.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
pub struct Mark(pub u64);

impl Mark {
    /// Where the machine's clock stands.
    #[must_use]
    pub fn now() -> Self {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
        let nanos = u64::try_from(time.tv_nsec).unwrap_or_default();
        Self(seconds.saturating_mul(1_000_000).saturating_add(nanos / 1000))
    }
}

/// When something happened: for the log, and to the microsecond for whoever compares processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// The time of day.
    pub time: Timestamp,
    /// The machine's own clock.
    pub mark: Mark,
}

/// A point from which elapsed time is measured, whatever the time of day does.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts it.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the clock door")]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// How long it has run.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }

    /// What is left of `limit`; none when it has passed.
    #[must_use]
    pub fn left_of(&self, limit: Duration) -> Option<Duration> {
        limit.checked_sub(self.elapsed()).filter(|left| !left.is_zero())
    }
}
