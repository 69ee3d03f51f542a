//! The binder: makes volumes beside whoever appends, so that no round pays for one.
//!
//! The one rule: it writes files only. That a volume is bound, the next commit says; until then nobody reads it, and a crash
//! in between has it made again. Where it cannot write it is tried again after a while, and the store keeps the rounds.
//!
//! A volume is a tenth of a second of a processor, and nobody waits for it: each has a thread of its own, which steps back for
//! whoever decides and seals. Under a load that leaves nothing over it would never be done while the store grows by
//! everything that is appended, so where several volumes wait the next is bound as urgently as all else.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};

use assent_proto::number::Timestamp;

use crate::limits::{BINDING_PAUSE_MS, PATIENT_VOLUMES};
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
}

type Outcome = Result<StoredVolume, StoreError>;

#[derive(Debug)]
enum State {
    Idle,
    /// Its thread tells the outcome.
    Busy(Receiver<Outcome>),
    /// Bound, and not yet in a commit.
    Bound(StoredVolume),
}

impl Binder {
    pub(crate) const fn new(store: Arc<Store>, binding: Binding, next: u64) -> Self {
        Self { binding, store, next, state: State::Idle, failure: None, again: Timestamp(0) }
    }

    /// The volume that the next commit is to tell of.
    pub(crate) fn bound(&mut self, now: Timestamp) -> Option<(u64, StoredVolume)> {
        if let State::Busy(outcome) = &self.state {
            match outcome.try_recv() {
                Ok(outcome) => self.take(outcome, now),
                Err(TryRecvError::Empty) => {}
                Err(TryRecvError::Disconnected) => self.take(Err(StoreError::Unreadable("volume")), now),
            }
        }
        match self.state {
            State::Bound(volume) => Some((self.next, volume)),
            State::Idle | State::Busy(_) => None,
        }
    }

    /// Waits for what is being bound, and forgets it: it is bound again.
    pub(crate) fn discard(&mut self) {
        if let State::Busy(outcome) = &self.state {
            // Whatever it tells, and also that its thread ended without a word.
            let _ = outcome.recv();
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
        let waiting = (covered >> self.store.height()).saturating_sub(self.next);
        if waiting == 0 || !matches!(self.state, State::Idle) || now < self.again {
            return;
        }
        match self.binding {
            Binding::Inline => self.take(bind(&self.store, self.next), now),
            Binding::Beside => match self.begin(waiting <= PATIENT_VOLUMES) {
                Ok(outcome) => self.state = State::Busy(outcome),
                Err(source) => {
                    let path = self.store.volumes_folder();
                    self.take(
                        Err(StoreError::File {
                            doing: "start the thread that binds volumes in",
                            path,
                            source,
                        }),
                        now,
                    );
                }
            },
        }
    }

    fn begin(&self, patient: bool) -> std::io::Result<Receiver<Outcome>> {
        let (tell, outcome) = sync_channel(1);
        let (store, number) = (Arc::clone(&self.store), self.next);
        std::thread::Builder::new().name("binder".to_owned()).spawn(move || {
            if patient {
                step_back();
            }
            // Nobody listens any more where the log was closed meanwhile.
            let _ = tell.send(bind(&store, number));
        })?;
        Ok(outcome)
    }

    fn take(&mut self, outcome: Outcome, now: Timestamp) {
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

/// The thread holds the store, and with it the lock on the log's file: whoever let go of the log may open it again at once.
impl Drop for Binder {
    fn drop(&mut self) {
        self.discard();
    }
}

/// Lets everybody else go first, from here to the end of this thread: a thread may not take that back without privileges,
/// which is why there is one for each volume. On Linux the "process" is the calling thread (setpriority(2), notes). Where it
/// is refused, rounds wait a little longer.
#[cfg(target_os = "linux")]
fn step_back() {
    const LAST: i32 = 19;
    let _ = rustix::process::setpriority_process(None, LAST);
}

#[cfg(not(target_os = "linux"))]
const fn step_back() {}

fn bind(store: &Store, number: u64) -> Outcome {
    volume::bind(store, &store.snapshot()?, number)
}
