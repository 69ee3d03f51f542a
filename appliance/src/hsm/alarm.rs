//! The alarm: a timer that goes off in the watching thread when an answer is not there in time.
//!
//! Whether the answer or the deadline was first is decided once, under the lock: [`Alarm::stop`] and [`Alarm::went_off`] do not
//! both say so for one question. The lock is held for one system call, and two a question are all that it costs.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::io;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};

/// What a timer reads as: how often it went off.
const COUNT_BYTES: usize = size_of::<u64>();

/// One timer, for one question at a time.
#[derive(Debug)]
pub(super) struct Alarm {
    timer: OwnedFd,
    /// How long the answer that is due may take, until that has passed.
    due: Mutex<Option<Duration>>,
}

impl Alarm {
    pub(super) fn new() -> io::Result<Self> {
        let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        Ok(Self { timer, due: Mutex::new(None) })
    }

    /// A question goes out; its answer is due within `limit`.
    pub(super) fn set(&self, limit: Duration) -> io::Result<()> {
        let mut due = self.due();
        // Zero would be no alarm at all.
        self.arm(limit.max(Duration::from_nanos(1)))?;
        *due = Some(limit);
        Ok(())
    }

    /// The answer is there; whether it is there in time.
    pub(super) fn stop(&self) -> io::Result<bool> {
        let mut due = self.due();
        self.arm(Duration::ZERO)?;
        Ok(due.take().is_some())
    }

    /// How long the answer might have taken, if that has passed and it is not there. Then it is late, whenever it comes.
    pub(super) fn went_off(&self) -> Option<Duration> {
        let mut due = self.due();
        // Setting the timer takes back what it counted, so a count is that of the question that is due.
        io::read(&self.timer, &mut [0; COUNT_BYTES]).ok()?;
        due.take()
    }

    fn arm(&self, limit: Duration) -> io::Result<()> {
        let it_value = Timespec::try_from(limit).map_err(|_| io::Errno::INVAL)?;
        let once = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value };
        timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &once).map(drop)
    }

    fn due(&self) -> MutexGuard<'_, Option<Duration>> {
        self.due.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AsFd for Alarm {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.timer.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use rustix::event::{PollFd, PollFlags, poll};

    use super::*;

    fn wait(alarm: &Alarm) {
        poll(&mut [PollFd::new(alarm, PollFlags::IN)], None).unwrap();
    }

    #[test]
    fn an_answer_in_time_stops_it_and_one_that_is_late_does_not() {
        let alarm = Alarm::new().unwrap();
        alarm.set(Duration::from_secs(3600)).unwrap();
        assert_eq!(alarm.went_off(), None);
        assert!(alarm.stop().unwrap());
        alarm.set(Duration::from_millis(1)).unwrap();
        wait(&alarm);
        assert_eq!(alarm.went_off(), Some(Duration::from_millis(1)));
        assert!(!alarm.stop().unwrap(), "late");
    }

    #[test]
    fn the_alarm_of_a_question_that_was_answered_is_none_for_the_next() {
        let alarm = Alarm::new().unwrap();
        alarm.set(Duration::ZERO).unwrap();
        wait(&alarm);
        // It went off, and the answer is taken before the watching thread looks.
        assert!(alarm.stop().unwrap());
        alarm.set(Duration::from_secs(3600)).unwrap();
        assert_eq!(alarm.went_off(), None);
        assert!(alarm.stop().unwrap());
        assert_eq!(alarm.went_off(), None, "nothing is due");
    }
}
