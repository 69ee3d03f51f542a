//! The deliverer: a thread for each sink, and one that fills the outbox from the channel.
//!
//! A sink's thread sends, notes what became of it, and waits; a sink that hangs holds up its own thread alone. Stopping is in
//! order: first what was raised is put into the outbox, then each thread ends behind the attempt that it is at.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread::{Builder, JoinHandle};

use assent_doors::shelf::ShelfError;
use assent_proto::hash::Hash;

use crate::clock::Clock;
use crate::limits::MAX_SINKS;
use crate::message::Message;
use crate::outbox::{Outbox, OutboxView, Outcome, Retry};
use crate::raising::{Escalations, front};
use crate::sink::Sink;

/// Why nothing is delivered.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// There are more sinks than threads are meant to be.
    #[error("{0} sinks are configured; at most {MAX_SINKS} are served")]
    TooMany(usize),
    /// Two sinks have one name.
    #[error("two sinks are called `{0}`; give each a name of its own")]
    Twice(String),
    /// There is no thread to be had.
    #[error("cannot start a thread for escalations")]
    Thread(#[source] std::io::Error),
}

/// Why there was no test.
#[derive(Debug, thiserror::Error)]
pub enum TestError {
    /// Nobody is called so.
    #[error("there is no sink `{0}`; see `assent escalation list`")]
    Unknown(String),
}

/// What the threads share.
#[derive(Debug)]
struct Shared {
    outbox: Arc<Outbox>,
    clock: Arc<dyn Clock>,
    stop: AtomicBool,
}

/// The threads. Dropped without [`Self::stop`], it stops them all the same.
#[derive(Debug)]
pub struct Deliverer {
    shared: Arc<Shared>,
    sinks: Vec<Arc<Sink>>,
    front: Escalations,
    raiser: Option<JoinHandle<()>>,
    threads: Vec<JoinHandle<()>>,
}

impl Deliverer {
    /// Starts the threads for these sinks; the outbox is to have been opened with their routes.
    ///
    /// # Errors
    /// [`StartError`]; then none runs.
    pub fn start(outbox: Arc<Outbox>, sinks: Vec<Sink>, clock: Arc<dyn Clock>) -> Result<Self, StartError> {
        if sinks.len() > MAX_SINKS {
            return Err(StartError::TooMany(sinks.len()));
        }
        let mut names: Vec<&str> = sinks.iter().map(Sink::name).collect();
        names.sort_unstable();
        if let Some([twice, _]) = names.array_windows().find(|[one, other]| one == other) {
            return Err(StartError::Twice((*twice).to_owned()));
        }
        let (front, waiting) = front();
        let shared = Arc::new(Shared { outbox, clock, stop: AtomicBool::new(false) });
        let sinks: Vec<Arc<Sink>> = sinks.into_iter().map(Arc::new).collect();
        let (raiser, threads) = (None, Vec::with_capacity(sinks.len()));
        // From here on, whoever gives up drops this, which stops what runs.
        let mut deliverer = Self { shared, sinks, front, raiser, threads };
        let shared = Arc::clone(&deliverer.shared);
        let raise = move || waiting.run(&shared.outbox, &*shared.clock);
        deliverer.raiser = Some(thread("escalate".to_owned(), raise)?);
        for sink in &deliverer.sinks {
            let (sink, shared) = (Arc::clone(sink), Arc::clone(&deliverer.shared));
            let name = format!("sink {}", sink.name());
            deliverer.threads.push(thread(name, move || deliver(&shared, &sink))?);
        }
        Ok(deliverer)
    }

    /// The front through which events are raised.
    #[must_use]
    pub fn escalations(&self) -> Escalations {
        self.front.clone()
    }

    /// The outbox.
    #[must_use]
    pub fn outbox(&self) -> &Outbox {
        &self.shared.outbox
    }

    /// All that the outbox holds.
    #[must_use]
    pub fn list(&self) -> OutboxView {
        self.shared.outbox.list()
    }

    /// Has what was not delivered tried again at once; gives how many events that are.
    ///
    /// # Errors
    /// [`ShelfError`], as [`Outbox::retry`].
    pub fn retry(&self, what: Retry) -> Result<usize, ShelfError> {
        self.shared.outbox.retry(what, self.shared.clock.now())
    }

    /// Sends a test to a sink, beside the outbox, and waits for what becomes of it.
    ///
    /// # Errors
    /// [`TestError`].
    pub fn test(&self, sink: &str) -> Result<Outcome, TestError> {
        let found = self.sinks.iter().find(|one| one.name() == sink);
        let found = found.ok_or_else(|| {
            TestError::Unknown(crate::visible::visible(sink, crate::limits::MAX_SINK_NAME_BYTES))
        })?;
        Ok(found.test(self.shared.outbox.origin(), self.shared.clock.now()))
    }

    /// Puts into the outbox what was raised, and ends the threads: each after the attempt that it is at, within its deadline.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        if let Some(raiser) = self.raiser.take() {
            self.front.stop();
            let _ = raiser.join();
        }
        self.shared.outbox.wake(&self.shared.stop);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

impl Drop for Deliverer {
    fn drop(&mut self) {
        self.end();
    }
}

fn thread(name: String, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, StartError> {
    Builder::new().name(name).spawn(run).map_err(StartError::Thread)
}

/// Sends what goes to one sink, until it is told to stop.
fn deliver(shared: &Shared, sink: &Sink) {
    while let Some(message) = shared.outbox.await_next(sink.name(), &*shared.clock, &shared.stop) {
        let outcome = sink.send(&message, shared.clock.now());
        // What could not be written is known in memory, and is in the outbox's list as not durable.
        let _ = shared.outbox.settle(&message, &outcome, shared.clock.now(), jitter(&message));
    }
}

/// As good as chance, and the same when an attempt is told again: appliances whose sink was down do not come back at once.
fn jitter(message: &Message) -> u8 {
    let attempt = message.failed_attempts().to_be_bytes();
    let hash = Hash::of_labelled(b"assent/escalation/jitter/v1\0", [message.id().as_bytes(), &attempt]);
    let [first, ..] = hash.0;
    first
}
