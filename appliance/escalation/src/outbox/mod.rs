//! The outbox: what people are to know, durable until they do.
//!
//! The one rule: an event is in the store before anybody is told of it, and what became of an attempt is in the store before
//! the next one. Killed between the two it sends again, under the same id. Should the store fail, an event is held in memory
//! and goes out all the same, for a full disk is itself something to hear of; it is written with the next commit that works.

#[cfg(test)]
mod model;
mod record;
mod sending;
mod state;
mod store;
#[cfg(test)]
mod tests;
mod told;
mod view;

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use assent_doors::shelf::ShelfError;
use assent_proto::number::Timestamp;

pub use sending::Next;
pub use told::Told;
pub use view::{DeliveryView, IncidentView, OutboxView, ProgressView, SinkView, StageView};

use self::state::State;
use self::store::{Changes, Store};
use crate::clock::Clock;
use crate::incident::{Event, Kind, Severity};
use crate::limits::MAX_WAIT;
use crate::message::{Message, bytes};

/// Which events go to a sink.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The sink's name.
    pub name: String,
    /// The least severity that it is told of.
    pub min_severity: Severity,
}

/// What became of an event that was raised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Raised {
    /// It is in the outbox; this is the incident's number.
    Added(u64),
    /// The incident is open already: there is nothing to say.
    Known,
    /// No such incident is open: there is nothing to end.
    NotOpen,
    /// The outbox is full of what waits or is open; it was counted.
    Refused,
}

/// What became of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The sink has taken it.
    Delivered,
    /// The sink does not answer, or takes nothing now.
    Failed {
        /// Why, for operators.
        reason: String,
        /// For how long it does not want to be asked.
        retry_after_seconds: Option<u64>,
    },
    /// The sink does not take this event; it may take others.
    Refused {
        /// Why, for operators.
        reason: String,
    },
    /// The sink wants nothing more.
    Gone {
        /// Why, for operators.
        reason: String,
    },
}

/// What operators want to be tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// Everything that was not delivered, at every sink.
    All,
    /// One incident, by its number.
    Incident(u64),
}

#[derive(Debug)]
struct Inner {
    state: State,
    store: Store,
    not_durable: Option<String>,
}

/// The outbox. All of it may be used by many threads.
#[derive(Debug)]
pub struct Outbox {
    origin: String,
    inner: Mutex<Inner>,
    raised: Condvar,
    /// Attempts since the start, by what became of them: [`Outcome::LABELS`].
    attempts: [AtomicU64; Outcome::LABELS.len()],
}

impl Outcome {
    /// What can become of an attempt, as bounded labels.
    const LABELS: [&str; 4] = ["delivered", "failed", "refused", "gone"];

    const fn label(&self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Failed { .. } => "failed",
            Self::Refused { .. } => "refused",
            Self::Gone { .. } => "gone",
        }
    }
}

impl Outbox {
    /// Opens the outbox of the log with this origin, or makes an empty one. What it holds for sinks without a route is
    /// forgotten.
    ///
    /// # Errors
    /// [`ShelfError`].
    pub fn open(path: &Path, origin: &str, routes: &[Route]) -> Result<Self, ShelfError> {
        let store = Store::open(path)?;
        let (records, standing) = store.load()?;
        let state = State::new(origin, routes, records, standing);
        let inner = Inner { state, store, not_durable: None };
        Ok(Self {
            origin: origin.to_owned(),
            inner: Mutex::new(inner),
            raised: Condvar::new(),
            attempts: Default::default(),
        })
    }

    /// Takes an event: one local commit, whatever the sinks do.
    ///
    /// # Errors
    /// [`ShelfError`]: it was taken and goes out, but would not outlive this process.
    pub fn raise(&self, event: &Event, now: Timestamp) -> Result<Raised, ShelfError> {
        self.changing(|state| state.raise(event, now))
    }

    /// Takes several events in one commit; their fates in the same order.
    ///
    /// # Errors
    /// As [`Self::raise`], for all of them.
    pub fn raise_all(&self, events: &[Event], now: Timestamp) -> Result<Vec<Raised>, ShelfError> {
        self.changing(|state| events.iter().map(|event| state.raise(event, now)).collect())
    }

    /// What goes to this sink next.
    #[must_use]
    pub fn next(&self, sink: &str, now: Timestamp) -> Next {
        self.lock().state.next(sink, now)
    }

    /// Notes what became of an attempt. `jitter` spreads the next one.
    ///
    /// # Errors
    /// [`ShelfError`]: it is known, but would not outlive this process; then the sink hears it again.
    pub fn settle(
        &self,
        message: &Message,
        outcome: &Outcome,
        now: Timestamp,
        jitter: u8,
    ) -> Result<(), ShelfError> {
        self.count(outcome);
        self.changing(|state| state.settle(message, outcome, now, jitter))
    }

    /// Has what was not delivered tried again at once; gives how many events that are. A sink that is gone is asked again.
    ///
    /// # Errors
    /// [`ShelfError`]: it is tried, but this process would have to do it.
    pub fn retry(&self, what: Retry, now: Timestamp) -> Result<usize, ShelfError> {
        self.changing(|state| state.retry(what, now))
    }

    /// All that it holds.
    #[must_use]
    pub fn list(&self) -> OutboxView {
        let inner = self.lock();
        inner.state.view(inner.not_durable.clone())
    }

    /// All that it holds, unless somebody is at it: for those who must not wait for a disk that hangs.
    #[must_use]
    pub fn try_list(&self) -> Option<OutboxView> {
        let inner = self.inner.try_lock().ok()?;
        Some(inner.state.view(inner.not_durable.clone()))
    }

    /// Attempts since the start, by what became of them. It waits for nobody.
    #[must_use]
    pub fn attempts(&self) -> [(&'static str, u64); 4] {
        let mut counts = self.attempts.iter().map(|count| count.load(Ordering::Relaxed));
        Outcome::LABELS.map(|label| (label, counts.next().unwrap_or_default()))
    }

    /// How far leaves of this kind were told; none: not one was.
    #[must_use]
    pub fn told(&self, kind: Kind) -> Option<Told> {
        self.lock().state.told(kind)
    }

    fn count(&self, outcome: &Outcome) {
        let counts = Outcome::LABELS.iter().zip(&self.attempts);
        counts.filter(|(label, _)| **label == outcome.label()).for_each(|(_, count)| {
            count.fetch_add(1, Ordering::Relaxed);
        });
    }

    /// The log's name.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Waits until something is to be sent to this sink; none: it was told to stop.
    pub(crate) fn await_next(&self, sink: &str, clock: &dyn Clock, stop: &AtomicBool) -> Option<Message> {
        let mut inner = self.lock();
        while !stop.load(Ordering::SeqCst) {
            let now = clock.now();
            inner = match inner.state.next(sink, now) {
                Next::Send(message) => return Some(*message),
                Next::Wait(None) => self.raised.wait(inner).unwrap_or_else(PoisonError::into_inner),
                Next::Wait(Some(due)) => {
                    let ms = due.0.saturating_sub(now.0).max(1);
                    let wait = std::time::Duration::from_millis(ms).min(MAX_WAIT);
                    self.raised.wait_timeout(inner, wait).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
        None
    }

    /// Wakes whoever waits. Under the lock, so that none looks at what it waits for and then sleeps on.
    pub(crate) fn wake(&self, stop: &AtomicBool) {
        let inner = self.lock();
        stop.store(true, Ordering::SeqCst);
        drop(inner);
        self.raised.notify_all();
    }

    fn changing<T>(&self, change: impl FnOnce(&mut State) -> T) -> Result<T, ShelfError> {
        let mut inner = self.lock();
        let done = change(&mut inner.state);
        let committed = inner.commit();
        inner.not_durable = committed.as_ref().err().map(reason_of);
        drop(inner);
        self.raised.notify_all();
        committed.map(|()| done)
    }

    /// A thread that panicked left whole records: each change is made in memory first, and written after.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Writes what has changed; what could not be written stays to be.
    fn commit(&mut self) -> Result<(), ShelfError> {
        let state = &mut self.state;
        if state.changed.is_empty() && !state.standing_changed {
            return Ok(());
        }
        let record = |number: &u64| (*number, state.records.get(number).map(bytes));
        let changes = Changes {
            records: state.changed.iter().map(record).collect(),
            standing: state.standing_changed.then(|| bytes(&state.standing)),
        };
        self.store.commit(&changes)?;
        state.changed.clear();
        state.standing_changed = false;
        Ok(())
    }
}

/// An error with its causes, in a line.
fn reason_of(error: &ShelfError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(one) = cause {
        text = format!("{text}: {one}");
        cause = one.source();
    }
    text
}
