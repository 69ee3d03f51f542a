//! The watch over a disk that hangs: whoever waits hears a refusal at the deadline, and what comes late releases nothing.
//!
//! The sealer's thread stands in the system call itself, so another one looks at the clock. Past the deadline that one closes
//! the token boundary and says that the disk hangs; connections answer whoever waits, and take no more until it moves. What
//! the call did, its own return tells: a commit that was late stands in the log, and a batch repeated after re-arm fetches
//! its answer. The watch ends no call, for nobody can.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::watch;

use super::boundary::TokenBoundary;
use super::cause::Cause;
use crate::clock::{Clock, Mark};
use crate::limits::DISK_LOOKS_PER_DEADLINE;

/// Since when the disk is waited for, and whether that is too long.
#[derive(Debug)]
pub(super) struct DiskWatch {
    deadline: Duration,
    /// When what the sealer waits for began; 0 while it waits for nothing.
    began: AtomicU64,
    /// Whether something came later than it may.
    late: AtomicBool,
    hangs: watch::Sender<bool>,
}

impl DiskWatch {
    /// A watch with this deadline, which nobody keeps yet.
    pub(super) fn new(deadline: Duration) -> Arc<Self> {
        let hangs = watch::Sender::new(false);
        Arc::new(Self { deadline, began: AtomicU64::new(0), late: AtomicBool::new(false), hangs })
    }

    /// Does what may hang, under the watch.
    pub(super) fn over<T>(&self, work: impl FnOnce() -> T) -> T {
        let began = Mark::now().0.max(1);
        self.began.store(began, Ordering::SeqCst);
        let done = work();
        self.began.store(0, Ordering::SeqCst);
        if self.is_over(began) {
            self.late.store(true, Ordering::SeqCst);
        }
        // Behind the store above: whoever says that it hangs looks once more whether it still does.
        self.hangs.send_if_modified(std::mem::take);
        done
    }

    /// Whether anything was late since this was asked last.
    pub(super) fn take_late(&self) -> bool {
        self.late.swap(false, Ordering::SeqCst)
    }

    /// Whether the disk is waited for, and is not late yet.
    pub(super) fn waits_in_time(&self) -> bool {
        let began = self.began.load(Ordering::SeqCst);
        began != 0 && !self.is_over(began)
    }

    /// Hears whether the disk hangs, now and from now on.
    pub(super) fn hangs(&self) -> watch::Receiver<bool> {
        self.hangs.subscribe()
    }

    /// Keeps the watch, on a thread of its own, for as long as anybody else has it.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(super) fn keep(self: &Arc<Self>, boundary: Arc<TokenBoundary>, clock: Clock) -> std::io::Result<()> {
        let (watch, pause) = (Arc::downgrade(self), self.deadline / DISK_LOOKS_PER_DEADLINE);
        let look = move || {
            while let Some(watch) = Weak::upgrade(&watch) {
                watch.look(&boundary, &clock);
                drop(watch);
                std::thread::sleep(pause);
            }
        };
        std::thread::Builder::new().name("disk-watch".to_owned()).spawn(look).map(drop)
    }

    fn look(&self, boundary: &TokenBoundary, clock: &Clock) {
        let began = self.began.load(Ordering::SeqCst);
        if began == 0 || *self.hangs.borrow() || !self.is_over(began) {
            return;
        }
        // The boundary first: whoever hears that the disk hangs finds it closed.
        boundary.trip(Cause::disk_hangs(self.deadline), clock.stamp());
        self.hangs.send_replace(true);
        tracing::error!(deadline = ?self.deadline, "the disk hangs; whoever waits is refused");
        if self.began.load(Ordering::SeqCst) != began {
            self.hangs.send_replace(false);
        }
    }

    fn is_over(&self, began: u64) -> bool {
        Duration::from_micros(Mark::now().0.saturating_sub(began)) >= self.deadline
    }
}

#[cfg(test)]
mod tests {
    use assent_proto::number::{Epoch, Timestamp};

    use super::*;
    use crate::clock::Stopwatch;

    fn open_boundary(clock: &Clock) -> Arc<TokenBoundary> {
        let boundary = TokenBoundary::new(Epoch(3), Epoch(0), true, Cause::starting(), clock.stamp());
        boundary.arm(Epoch(3), Epoch(0), clock.stamp());
        Arc::new(boundary)
    }

    #[test]
    fn what_hangs_closes_the_boundary_while_it_hangs() {
        let clock = Clock::manual(Timestamp(1));
        let boundary = open_boundary(&clock);
        let watch = DiskWatch::new(Duration::from_millis(5));
        watch.keep(Arc::clone(&boundary), clock).unwrap();
        let hangs = watch.hangs();
        watch.over(|| {
            let waited = Stopwatch::start();
            while !*hangs.borrow() {
                assert!(waited.elapsed() < Duration::from_secs(20), "nobody noticed");
                std::thread::yield_now(); // WAIT: for the watch
            }
            assert_eq!((boundary.is_open(), boundary.epoch()), (false, Epoch(4)));
        });
        assert_eq!(boundary.closed().map(|closed| closed.cause.kind), Some("disk_hangs"));
        assert!(watch.take_late());
        assert!(!watch.take_late());
        let waited = Stopwatch::start();
        while *hangs.borrow() {
            assert!(waited.elapsed() < Duration::from_secs(20), "it says that it hangs for ever");
            std::thread::yield_now(); // WAIT: for the watch to look once more
        }
    }

    #[test]
    fn what_comes_in_time_changes_nothing() {
        let clock = Clock::manual(Timestamp(1));
        let boundary = open_boundary(&clock);
        let watch = DiskWatch::new(Duration::from_secs(3600));
        watch.look(&boundary, &clock);
        watch.over(|| {
            assert!(watch.waits_in_time());
            watch.look(&boundary, &clock);
        });
        assert!(!watch.waits_in_time());
        assert!(boundary.is_open() && !watch.take_late() && !*watch.hangs().borrow());
    }
}
