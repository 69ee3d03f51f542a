//! Raising: the bounded front of the outbox, for those who must not wait for a disk.
//!
//! An event waits in a channel until a thread puts it into the outbox, several in one commit. When the channel is full an event
//! is lost, which its caller is told and which is counted: nobody who decides intents ever waits here.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

use crate::clock::Clock;
use crate::incident::{End, Event, Incident};
use crate::limits::{MAX_RAISED_AT_ONCE, MAX_WAITING_EVENTS};
use crate::outbox::Outbox;

/// What goes through the channel.
#[derive(Debug)]
enum Note {
    Event(Event),
    Stop,
}

/// The front: cheap to clone, never blocks.
#[derive(Clone, Debug)]
pub struct Escalations {
    notes: SyncSender<Note>,
    lost: Arc<AtomicU64>,
}

impl Escalations {
    /// Says that something has begun; false: it was lost.
    #[must_use = "what was lost is counted, but may be worth a try later"]
    pub fn begin(&self, incident: Incident) -> bool {
        self.raise(Event::Begun(Box::new(incident)))
    }

    /// Says that something is over; false: it was lost.
    #[must_use = "what was lost is counted, but may be worth a try later"]
    pub fn end(&self, end: End) -> bool {
        self.raise(Event::Ended(end))
    }

    fn raise(&self, event: Event) -> bool {
        match self.notes.try_send(Note::Event(event)) {
            Ok(()) => true,
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                self.lost.fetch_add(1, Ordering::Relaxed);
                false
            }
        }
    }

    /// How many events were lost before they came to the outbox.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Has the thread stop behind all that waits.
    pub(crate) fn stop(&self) {
        // It fails where the thread is gone already, which is what was wanted.
        let _ = self.notes.send(Note::Stop);
    }
}

/// The other end of the channel.
#[derive(Debug)]
pub(crate) struct Waiting(Receiver<Note>);

/// Both ends.
pub(crate) fn front() -> (Escalations, Waiting) {
    let (notes, waiting) = sync_channel(MAX_WAITING_EVENTS);
    (Escalations { notes, lost: Arc::default() }, Waiting(waiting))
}

impl Waiting {
    /// Puts into the outbox what comes, until it is told to stop.
    pub(crate) fn run(&self, outbox: &Outbox, clock: &dyn Clock) {
        let mut stopped = false;
        while !stopped {
            let Ok(first) = self.0.recv() else { return };
            let mut events = Vec::new();
            for note in std::iter::once(first).chain(self.0.try_iter()) {
                match note {
                    Note::Event(event) => events.push(event),
                    Note::Stop => {
                        stopped = true;
                        break;
                    }
                }
                if events.len() == MAX_RAISED_AT_ONCE {
                    break;
                }
            }
            // What is not durable goes out all the same; the outbox says so in its list. What it refuses, it counts.
            let _ = outbox.raise_all(&events, clock.now());
        }
    }
}
