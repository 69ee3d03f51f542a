//! The watch over the signer: what its owner and the thread that watches it share, and that thread.
//!
//! The first fault is the fault: whoever meets it notes it, nobody changes it. The owner holds the answers from its question
//! to its answer; the watching thread takes them when the child has ended, so that its last words are read once, by one.
//! It waits for the end of the socket, for the end of the process and for the deadline of the answer that is due, whatever the
//! owner is doing. Whoever meets the loss tells it, once, before anything is killed.

use std::io::{self, Read};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command};
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use assent_proto::codec;
use rustix::event::{PollFd, PollFlags, Timespec, epoll, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::alarm::Alarm;
use super::frame::{Answer, FrameError, FrameReader};
use super::{FaultKind, HsmFault};
use crate::clock::Stopwatch;
use crate::limits::MAX_SIGNERS_ENDING;

/// How long last words may be on their way when the child has ended: they lie in the socket.
const LAST_WORDS: Duration = Duration::from_millis(1);

/// The child is not ready yet: what goes wrong is the start's result.
const STARTING: u8 = 0;
/// Its end is told to `on_loss`.
const SERVING: u8 = 1;
/// Its end was told, or is the owner's own doing.
const OVER: u8 = 2;

/// The first descriptor after the standard ones.
const FIRST_OF_OURS: i32 = 3;

const SOCKET: u64 = 0;
const PROCESS: u64 = 1;
const ALARM: u64 = 2;

/// Whom to tell when the child is lost.
pub(super) struct OnLoss(pub(super) Box<dyn Fn(HsmFault) + Send + Sync>);

impl std::fmt::Debug for OnLoss {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("OnLoss(..)")
    }
}

pub(super) fn read<'a>(answers: &'a mut FrameReader<Timed>) -> Result<Answer<'a>, HsmFault> {
    let bytes = answers.next().map_err(|error| frame_fault(&error))?;
    codec::parse(bytes).map_err(|error| unexpected(&error.to_string()))
}

pub(super) fn frame_fault(error: &FrameError) -> HsmFault {
    match error {
        FrameError::Gone => HsmFault::new(FaultKind::SignerLost, "its socket closed"),
        FrameError::DoesNotFit => HsmFault::new(FaultKind::TextTooLong, error.to_string()),
        FrameError::TooLong(_) => unexpected(&error.to_string()),
        FrameError::Socket(late)
            if matches!(late.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock) =>
        {
            HsmFault::new(FaultKind::DeadlineMissed, late.to_string())
        }
        FrameError::Socket(error) => HsmFault::new(FaultKind::SignerLost, error.to_string()),
    }
}

fn waited(limit: Duration) -> String {
    format!("waited {} ms", limit.as_millis())
}

pub(super) fn unexpected(what: &str) -> HsmFault {
    HsmFault::new(FaultKind::FrameUnexpected, what)
}

/// A socket whose reads end at a deadline, to the microsecond: a socket's own timeout counts in the kernel's ticks.
#[derive(Debug)]
pub(super) struct Timed {
    socket: UnixStream,
    since: Stopwatch,
    limit: Duration,
    grace: Duration,
}

impl Timed {
    /// From now on; `grace` is waited more, and not spoken of.
    pub(super) fn wait_at_most(&mut self, limit: Duration, grace: Duration) {
        self.since = Stopwatch::start();
        (self.limit, self.grace) = (limit, grace);
    }
}

impl Read for Timed {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let late = || io::Error::new(io::ErrorKind::TimedOut, waited(self.limit));
        let left = self.since.left_of(self.limit.saturating_add(self.grace)).ok_or_else(late)?;
        let left = Timespec::try_from(left).map_err(io::Error::other)?;
        match poll(&mut [PollFd::new(&self.socket, PollFlags::IN)], Some(&left))? {
            0 => Err(late()),
            _ => self.socket.read(room),
        }
    }
}

/// Whether bytes from the child are somebody's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quiet {
    /// The owner waits for them: only the end of the socket is the watcher's.
    AnswerDue,
    /// Nobody asked: bytes are a fault too.
    NothingDue,
}

impl Quiet {
    const fn events(self) -> epoll::EventFlags {
        match self {
            Self::AnswerDue => epoll::EventFlags::RDHUP,
            Self::NothingDue => epoll::EventFlags::RDHUP.union(epoll::EventFlags::IN),
        }
    }
}

/// What the owner and the watcher both see.
#[derive(Debug)]
pub(super) struct Shared {
    /// Held by the owner from its question to its answer; by the watcher after the end of the socket, when no read waits.
    answers: Mutex<FrameReader<Timed>>,
    socket: UnixStream,
    watched: OwnedFd,
    /// Goes off in the watching thread when the answer is not there in time.
    pub(super) alarm: Alarm,
    /// The first fault.
    pub(super) fault: OnceLock<HsmFault>,
    stage: AtomicU8,
    /// Whom to tell; taken by whoever tells.
    on_loss: Mutex<Option<OnLoss>>,
    /// Open as long as it is watched.
    process: OnceLock<OwnedFd>,
    /// Set when the attempt to start it is over: the child's process id, if there is one.
    pub(super) begun: OnceLock<Option<u32>>,
    /// Set once it runs. Locked by the watcher while it reaps, which is why the owner only tries.
    child: OnceLock<Mutex<Child>>,
}

impl Shared {
    pub(super) fn new(ours: &UnixStream, on_loss: OnLoss) -> io::Result<Self> {
        let socket = ours.try_clone()?;
        let timed = Timed { socket, since: Stopwatch::start(), limit: Duration::ZERO, grace: Duration::ZERO };
        let watched = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let socket = ours.try_clone()?;
        epoll::add(&watched, &socket, epoll::EventData::new_u64(SOCKET), Quiet::AnswerDue.events())?;
        let alarm = Alarm::new()?;
        epoll::add(&watched, &alarm, epoll::EventData::new_u64(ALARM), epoll::EventFlags::IN)?;
        Ok(Self {
            answers: Mutex::new(FrameReader::new(timed)),
            socket,
            watched,
            alarm,
            fault: OnceLock::new(),
            stage: AtomicU8::new(STARTING),
            on_loss: Mutex::new(Some(on_loss)),
            process: OnceLock::new(),
            begun: OnceLock::new(),
            child: OnceLock::new(),
        })
    }

    /// The start went well, unless the child has ended since.
    pub(super) fn serve(&self) -> Result<(), HsmFault> {
        let begun = self.stage.compare_exchange(STARTING, SERVING, Ordering::SeqCst, Ordering::SeqCst);
        begun.map(drop).map_err(|_| self.known_fault())
    }

    pub(super) fn known_fault(&self) -> HsmFault {
        self.fault.get().cloned().unwrap_or_else(|| HsmFault::new(FaultKind::SignerLost, ""))
    }

    pub(super) fn answers(&self) -> MutexGuard<'_, FrameReader<Timed>> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn watch(&self, quiet: Quiet) -> Result<(), HsmFault> {
        epoll::modify(&self.watched, &self.socket, epoll::EventData::new_u64(SOCKET), quiet.events())
            .map_err(|errno| HsmFault::new(FaultKind::SignerLost, errno.to_string()))
    }

    /// Ends the child for a fault that the owner met. What the child brought about, its end, a bad word or none in time, is
    /// told; the rest is between the owner and itself.
    pub(super) fn end(&self, fault: HsmFault) -> HsmFault {
        if fault.fault() == FaultKind::TextTooLong {
            self.stage.store(OVER, Ordering::SeqCst);
        }
        let first = self.lose(fault);
        self.stop();
        first
    }

    /// Tells the loss, once, whoever met it. Before anything is killed: to take a process down costs a processor a
    /// millisecond, and it may be ours.
    fn lose(&self, fault: HsmFault) -> HsmFault {
        // Another thread may have found a better name for the same fault.
        let first = self.fault.get_or_init(|| fault).clone();
        let mut on_loss = self.on_loss.lock().unwrap_or_else(PoisonError::into_inner);
        // Under one lock, so that whoever finds it serving also finds whom to tell.
        let was_serving = self.stage.swap(OVER, Ordering::SeqCst) == SERVING;
        let tell = on_loss.take();
        drop(on_loss);
        if let Some(tell) = tell.filter(|_| was_serving) {
            (tell.0)(first.clone());
        }
        first
    }

    /// Ends the child because the owner wants to.
    pub(super) fn retire(&self, why: HsmFault) {
        self.stage.store(OVER, Ordering::SeqCst);
        let _ = self.fault.set(why);
        self.stop();
    }

    /// Does not wait: the watcher sees the end of the socket, kills again and reaps.
    fn stop(&self) {
        self.kill();
        let _ = self.socket.shutdown(Shutdown::Both);
    }

    /// Whoever holds the lock is killing it already.
    fn kill(&self) {
        if let Some(Ok(mut child)) = self.child.get().map(Mutex::try_lock) {
            let _ = child.kill();
        }
    }
}

/// The thread's own part.
pub(super) struct Watcher {
    pub(super) shared: Arc<Shared>,
}

impl Watcher {
    pub(super) fn run(self, mut command: Command) {
        // The child gets its socket and standard error. What this process inherited itself, or a library opened, it does not.
        close_fds::set_fds_cloexec_threadsafe(FIRST_OF_OURS, &[]);
        let process = match command.spawn() {
            Ok(child) => Some(self.adopt(child)),
            Err(error) => {
                let _ = self.shared.fault.set(HsmFault::new(FaultKind::SignerUnstarted, error.to_string()));
                None
            }
        };
        let _ = self.shared.begun.set(process);
        // The child's end of the socket closes here, or the end of the child would not be the end of the file.
        drop(command);
        self.shared.lose(self.first_fault());
        reap(&self.shared);
    }

    /// A module may have left a process of its own that holds the socket open, so the end of the child is watched too.
    fn watch_process(&self, child: &Child) {
        let process = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let Some(process) = process else { return };
        let watched = pidfd_open(process, PidfdFlags::empty()).and_then(|process| {
            epoll::add(
                &self.shared.watched,
                &process,
                epoll::EventData::new_u64(PROCESS),
                epoll::EventFlags::IN,
            )?;
            Ok(process)
        });
        match watched {
            Ok(process) => drop(self.shared.process.set(process)),
            Err(error) => tracing::warn!(%error, "the signer's process is watched through its socket only"),
        }
    }

    fn adopt(&self, child: Child) -> u32 {
        self.watch_process(&child);
        let process = child.id();
        let _ = self.shared.child.set(Mutex::new(child));
        process
    }

    /// Waits until the child ends, speaks out of turn, or does not speak in time.
    fn first_fault(&self) -> HsmFault {
        let mut events =
            [epoll::Event { flags: epoll::EventFlags::empty(), data: epoll::EventData::new_u64(SOCKET) }];
        let event = loop {
            match epoll::wait(&self.shared.watched, &mut events, None) {
                Ok(0) | Err(rustix::io::Errno::INTR) => continue,
                Ok(_) => {}
                Err(errno) => return HsmFault::new(FaultKind::SignerLost, errno.to_string()),
            }
            let event = events.first().map(|event| (event.data.u64(), { event.flags }));
            if event.is_none_or(|(source, _)| source != ALARM) {
                break event;
            }
            // None when the answer was there before.
            if let Some(limit) = self.shared.alarm.went_off() {
                return self.too_late(limit);
            }
        };
        let over = epoll::EventFlags::RDHUP.union(epoll::EventFlags::HUP).union(epoll::EventFlags::ERR);
        match event {
            Some((SOCKET, flags)) if !flags.intersects(over) => unexpected("a frame that nobody asked for"),
            Some(_) | None => self.last_words(),
        }
    }

    /// Nobody need know more of a child that does not answer. The fault is noted first, so that no answer is taken after it;
    /// the owner, which still waits for one, wakes up to it.
    fn too_late(&self, limit: Duration) -> HsmFault {
        let first = self.shared.lose(HsmFault::new(FaultKind::DeadlineMissed, waited(limit)));
        self.shared.stop();
        first
    }

    /// What the child said before it ended, if it said why.
    fn last_words(&self) -> HsmFault {
        // A read that waits ends now; what lies in the socket is still read.
        let _ = self.shared.socket.shutdown(Shutdown::Both);
        // The owner may still hold the answers, and has no more to say about it.
        if let Some(known) = self.shared.fault.get() {
            return known.clone();
        }
        let mut answers = self.shared.answers();
        if let Some(known) = self.shared.fault.get() {
            return known.clone();
        }
        answers.source_mut().wait_at_most(LAST_WORDS, Duration::ZERO);
        match read(&mut answers) {
            Ok(answer) => answer.undue(),
            Err(fault) if fault.fault() == FaultKind::FrameUnexpected => fault,
            Err(_) => HsmFault::new(FaultKind::SignerLost, "its process ended"),
        }
    }
}

/// Signers that were killed and have not ended: the kernel ends none that a driver holds.
static ENDING: AtomicUsize = AtomicUsize::new(0);

/// Refuses another signer while too many of those before it do not end: each keeps a process and a thread of ours.
///
/// # Errors
/// [`FaultKind::SignerUnstarted`].
pub(super) fn may_start() -> Result<(), HsmFault> {
    let ending = ENDING.load(Ordering::SeqCst);
    if ending < MAX_SIGNERS_ENDING {
        return Ok(());
    }
    let what =
        format!("{ending} signers before it were killed and have not ended: the HSM's driver holds them");
    Err(HsmFault::new(FaultKind::SignerUnstarted, what))
}

/// Makes sure that it ends, and takes its exit status from the kernel.
fn reap(shared: &Shared) {
    let Some(Ok(mut child)) = shared.child.get().map(Mutex::lock) else { return };
    let _ = child.kill();
    ENDING.fetch_add(1, Ordering::SeqCst);
    match child.wait() {
        Ok(status) => tracing::debug!(%status, "signer ended"),
        Err(error) => tracing::warn!(%error, "signer could not be reaped"),
    }
    ENDING.fetch_sub(1, Ordering::SeqCst);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_signer_starts_behind_many_that_do_not_end() {
        assert!(may_start().is_ok());
        ENDING.fetch_add(MAX_SIGNERS_ENDING, Ordering::SeqCst);
        assert_eq!(may_start().unwrap_err().fault(), FaultKind::SignerUnstarted);
        ENDING.fetch_sub(MAX_SIGNERS_ENDING, Ordering::SeqCst);
    }
}
