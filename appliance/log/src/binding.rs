//! The binder: makes volumes beside whoever appends, so that no round pays for one.
//!
//! The one rule: it writes files only. That a volume is bound, the next commit says; until then nobody reads it, and a crash
//! in between has it made again. Where it cannot write it is tried again after a while, and the store keeps the rounds.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};

use assent_proto::number::Timestamp;

use crate::limits::BINDING_PAUSE_MS;
use crate::store::{Store, StoreError, StoredVolume};
use crate::volume;

/// Who binds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Binding {
    /// A thread of its own.
    #[default]
    Beside,
    /// Whoever appends, in the commit: for tests that repeat.
    Inline,
}

/// Binds one volume after the other.
#[derive(Debug)]
pub(crate) struct Binder {
    binding: Binding,
    store: Arc<Store>,
    /// Number of the volume that is next.
    next: u64,
    state: State,
    /// Why the last attempt failed, until somebody asks.
    failure: Option<StoreError>,
    /// When a failed attempt is made again.
    again: Timestamp,
    thread: Option<Thread>,
}

/// The thread that binds: it is told numbers, and tells outcomes.
#[derive(Debug)]
struct Thread {
    numbers: SyncSender<u64>,
    outcomes: Receiver<Result<StoredVolume, StoreError>>,
}

#[derive(Debug)]
enum State {
    Idle,
    Busy,
    /// Bound, and not yet in a commit.
    Bound(StoredVolume),
}

impl Binder {
    pub(crate) const fn new(store: Arc<Store>, binding: Binding, next: u64) -> Self {
        Self { binding, store, next, state: State::Idle, failure: None, again: Timestamp(0), thread: None }
    }

    /// The volume that the next commit is to tell of.
    pub(crate) fn bound(&mut self, now: Timestamp) -> Option<(u64, StoredVolume)> {
        if let (State::Busy, Some(thread)) = (&self.state, &self.thread) {
            match thread.outcomes.try_recv() {
                Ok(outcome) => self.take(outcome, now),
                Err(TryRecvError::Empty) => {}
                Err(TryRecvError::Disconnected) => {
                    self.thread = None;
                    self.take(Err(StoreError::Unreadable("volume")), now);
                }
            }
        }
        match self.state {
            State::Bound(volume) => Some((self.next, volume)),
            State::Idle | State::Busy => None,
        }
    }

    /// Waits for what is being bound, and forgets it: it is bound again.
    pub(crate) fn discard(&mut self) {
        if let (State::Busy, Some(thread)) = (&self.state, &self.thread)
            && thread.outcomes.recv().is_err()
        {
            self.thread = None;
        }
        self.state = State::Idle;
    }

    /// A commit told of it.
    pub(crate) fn told(&mut self) {
        self.state = State::Idle;
        self.next += 1;
    }

    /// Binds the next volume once `covered` leaves stand under a signed checkpoint.
    pub(crate) fn look(&mut self, covered: u64, now: Timestamp) {
        let full = (self.next + 1) << self.store.height() <= covered;
        if !full || !matches!(self.state, State::Idle) || now < self.again {
            return;
        }
        let begun = match self.binding {
            Binding::Inline => Some(bind(&self.store, self.next)),
            Binding::Beside => self.begin().err().map(|source| {
                let path = self.store.volumes_folder();
                Err(StoreError::File { doing: "start the thread that binds volumes in", path, source })
            }),
        };
        match begun {
            Some(outcome) => self.take(outcome, now),
            None => self.state = State::Busy,
        }
    }

    fn begin(&mut self) -> std::io::Result<()> {
        let gone = || std::io::Error::from(std::io::ErrorKind::BrokenPipe);
        if self.thread.is_none() {
            let (numbers, wanted) = sync_channel(1);
            let (bound, outcomes) = sync_channel(1);
            let store = Arc::clone(&self.store);
            std::thread::Builder::new().name("binder".to_owned()).spawn(move || {
                while let Ok(number) = wanted.recv() {
                    if bound.send(bind(&store, number)).is_err() {
                        break;
                    }
                }
            })?;
            self.thread = Some(Thread { numbers, outcomes });
        }
        let thread = self.thread.as_ref().ok_or_else(gone)?;
        thread.numbers.try_send(self.next).map_err(|_| gone())
    }

    fn take(&mut self, outcome: Result<StoredVolume, StoreError>, now: Timestamp) {
        match outcome {
            Ok(volume) => self.state = State::Bound(volume),
            Err(error) => {
                self.state = State::Idle;
                self.again = Timestamp(now.0.saturating_add(BINDING_PAUSE_MS));
                self.failure = Some(error);
            }
        }
    }

    /// Why binding failed since this was asked last.
    pub(crate) const fn take_failure(&mut self) -> Option<StoreError> {
        self.failure.take()
    }
}

fn bind(store: &Store, number: u64) -> Result<StoredVolume, StoreError> {
    volume::bind(store, &store.snapshot()?, number)
}
