//! Evidence for auditors: the whole log, verified in the background and told as `assent log report` tells it, and a download of
//! it that verifies elsewhere.
//!
//! The rules it keeps: there is one verification at a time, on a thread of its own at the lowest priority, which waits for nobody
//! who decides and is given up when it takes too long or the appliance stops; what it found stands with its time until the next
//! one is done. It is no second opinion: whoever must not rely on us takes the download to a machine of their own.

mod archive;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use assent_proto::number::Timestamp;

pub use self::archive::{Archive, FOLDER, command, file_name};

use super::Console;
use crate::cli::log::report::{Told, tell_own};
use crate::clock::{Clock, Stopwatch};
use crate::config::Config;
use crate::limits::{EVIDENCE_PAUSE, EVIDENCE_TIME};
use crate::log::reader::Reader;

/// Niceness of the thread that verifies: whoever decides goes first.
const NICENESS: i32 = 19;

/// What is verified, and what was.
#[derive(Debug)]
pub(super) struct Evidence {
    config: Config,
    stops: Arc<AtomicBool>,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    running: Option<Running>,
    newest: Option<Arc<Verified>>,
    failed: Option<Failed>,
    thread: Option<JoinHandle<()>>,
}

/// A verification that is under way.
#[derive(Clone, Debug)]
pub struct Running {
    /// Who asked for it.
    pub by: String,
    /// Since when.
    pub since: Timestamp,
    done: Arc<AtomicU64>,
    total: Arc<AtomicU64>,
}

/// What a verification found.
#[derive(Debug)]
pub struct Verified {
    /// Who asked for it.
    pub by: String,
    /// When it was done.
    pub at: Timestamp,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
    told: Told,
}

/// A verification that was given up.
#[derive(Clone, Debug)]
pub struct Failed {
    /// When.
    pub at: Timestamp,
    /// Why, and what to do.
    pub why: String,
}

/// How it is.
#[derive(Clone, Debug, Default)]
pub struct Standing {
    /// The one that is under way.
    pub running: Option<Running>,
    /// The last that was done.
    pub newest: Option<Arc<Verified>>,
    /// Why the last one was given up, where one was since.
    pub failed: Option<Failed>,
}

/// Why no verification begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EvidenceError {
    /// There is one.
    #[error("the log is being verified already; what it finds is for you, too")]
    Runs,
    /// There was one a moment ago.
    #[error("the log was verified a moment ago; another verification can begin in {left_s} s")]
    Fresh {
        /// Seconds until then.
        left_s: u64,
    },
    /// The system gives no thread.
    #[error("the machine has no room for another thread; come back later")]
    NoThread,
}

impl Running {
    /// How many entries are done, and of how many.
    #[must_use]
    pub fn progress(&self) -> (u64, u64) {
        (self.done.load(Ordering::Relaxed), self.total.load(Ordering::Relaxed))
    }
}

impl Verified {
    /// What was found.
    pub(super) const fn told(&self) -> &Told {
        &self.told
    }
}

impl Evidence {
    pub(super) fn new(config: Config) -> Self {
        Self { config, stops: Arc::default(), state: Arc::default() }
    }

    fn standing(&self) -> Standing {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        Standing {
            running: state.running.clone(),
            newest: state.newest.clone(),
            failed: state.failed.clone(),
        }
    }

    fn begin(&self, reader: Reader, clock: Clock, by: &str) -> Result<(), EvidenceError> {
        let now = clock.now();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.running.is_some() {
            return Err(EvidenceError::Runs);
        }
        if let Some(left_s) = state.newest.as_ref().and_then(|newest| rests(newest.at, now)) {
            return Err(EvidenceError::Fresh { left_s });
        }
        let running = Running { by: by.to_owned(), since: now, done: Arc::default(), total: Arc::default() };
        let job = Job {
            reader,
            clock,
            config: self.config.clone(),
            running: running.clone(),
            stops: Arc::clone(&self.stops),
        };
        let shared = Arc::clone(&self.state);
        let thread = std::thread::Builder::new().name("evidence".to_owned()).spawn(move || job.run(&shared));
        state.thread = Some(thread.map_err(|_| EvidenceError::NoThread)?);
        state.running = Some(running);
        Ok(())
    }

    /// Has the verification that is under way end, and waits for its thread.
    fn stop(&self) {
        self.stops.store(true, Ordering::Relaxed);
        let thread = self.state.lock().unwrap_or_else(PoisonError::into_inner).thread.take();
        if let Some(thread) = thread {
            // It tells nothing that matters any more, a panic included.
            let _ = thread.join();
        }
    }
}

/// Seconds until another may begin; none when it may.
fn rests(last: Timestamp, now: Timestamp) -> Option<u64> {
    let passed = now.0.saturating_sub(last.0) / 1000;
    EVIDENCE_PAUSE.as_secs().checked_sub(passed).filter(|left| *left > 0)
}

/// One verification.
struct Job {
    reader: Reader,
    clock: Clock,
    config: Config,
    running: Running,
    stops: Arc<AtomicBool>,
}

impl Job {
    fn run(self, shared: &Mutex<State>) {
        // Of this thread alone. Where the system does not let us, it takes its turn like others.
        let _ = rustix::process::nice(NICENESS);
        let watch = Stopwatch::start();
        let in_time = || watch.left_of(EVIDENCE_TIME).is_some();
        let goes_on = || !self.stops.load(Ordering::Relaxed) && in_time();
        let progress = |done, total| {
            self.running.done.store(done, Ordering::Relaxed);
            self.running.total.store(total, Ordering::Relaxed);
        };
        let told = tell_own(&self.config, &self.reader, self.clock.now(), goes_on, progress);
        let at = self.clock.now();
        let mut state = shared.lock().unwrap_or_else(PoisonError::into_inner);
        state.running = None;
        let why = match told {
            Ok(Some(told)) => {
                let took_ms = u64::try_from(watch.elapsed().as_millis()).unwrap_or(u64::MAX);
                state.newest = Some(Arc::new(Verified { by: self.running.by, at, took_ms, told }));
                state.failed = None;
                return;
            }
            Ok(None) if in_time() => "the appliance is stopping".to_owned(),
            Ok(None) => format!(
                "it was not done within {} min: download the log, and verify it on another machine",
                EVIDENCE_TIME.as_secs() / 60
            ),
            Err(error) => format!("the log cannot be verified here: {error:#}"),
        };
        tracing::warn!(why, "console: no verification of the log");
        state.failed = Some(Failed { at, why });
    }
}

impl Console {
    /// What is verified, and what was.
    #[must_use]
    pub fn evidence(&self) -> Standing {
        self.evidence.standing()
    }

    /// Begins a verification of the whole log.
    ///
    /// # Errors
    /// [`EvidenceError`].
    pub fn begin_verification(&self, by: &str) -> Result<(), EvidenceError> {
        self.evidence.begin(self.reader().clone(), self.desk.status.clock.clone(), by)
    }

    /// Ends what reads the log in the background. Waits for it.
    pub fn stop(&self) {
        self.evidence.stop();
    }

    /// The log as it is now, made ready to be sent to an auditor. Waits for the disk.
    ///
    /// # Errors
    /// Why there is none, and what to do.
    pub fn archive(&self, by: &str) -> Result<Archive, String> {
        Archive::prepare(
            &self.desk.backup,
            &self.evidence.config,
            self.evidence().newest.as_deref(),
            by,
            self.now(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_may_begin_when_the_last_one_is_no_longer_fresh() {
        let pause = EVIDENCE_PAUSE.as_secs();
        let at = |seconds: u64| Timestamp(1_000_000 + seconds * 1000);
        assert_eq!(rests(at(0), at(0)), Some(pause));
        assert_eq!(rests(at(0), at(pause - 1)), Some(1));
        assert_eq!(rests(at(0), at(pause)), None);
        assert_eq!(rests(at(5), at(0)), Some(pause), "a clock that was set back");
    }
}
