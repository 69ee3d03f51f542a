//! The sealer: the one thread that appends to the log.
//!
//! It takes all that waits, seals it as one round, and begins the next when the last is durable: no timer when busy, so a
//! lone intent pays one signature and one commit. It owns the signer and the log; nobody else writes either. What it cannot
//! seal it turns into denials and logs without a signature. A commit that reports an error ends it, and the process.

mod gauges;
mod outage;
mod rotation;
mod turn;

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use assent_proto::note::{NoteError, VerifierKey};
use assent_proto::number::{Epoch, TreeSize};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

pub use gauges::{Gauges, Reading};
pub use rotation::{KeyAnswer, KeyChange, KeyOrder};

use super::arming::{Authority, Watched};
use super::boundary::TokenBoundary;
use super::cause::Cause;
use super::draft::{Draft, DraftError};
use super::operation::Operation;
use crate::clock::{Clock, Stopwatch};
use crate::limits::{FENCE_GRACE, MAX_SEALER_MESSAGES, MAX_WAITING_DRAFTS};
use crate::log::keyring::Keyring;
use crate::log::{Fatal, Log, SignedCheckpoint};

/// What the sealer hears.
#[derive(Debug)]
pub(super) enum Message {
    /// A batch was decided.
    Draft(Draft),
    /// The appliance did something that the log records.
    Operation(Operation),
    /// The signer is gone, and the boundary closed with it.
    Lost,
    /// An attempt to arm has ended.
    Attempted(Epoch, Box<Result<Watched, Cause>>),
    /// Operators signed that re-arm be tried in this epoch.
    Ordered(outage::Order),
    /// An operator orders something about keys.
    Keys(Box<rotation::Request>),
    /// A key that is to be announced, or to take over, was tried.
    Proved(Box<Result<Watched, Cause>>),
    /// Finish what waits, then end.
    Stop,
}

/// Why the sealer ended.
#[derive(Debug, thiserror::Error)]
pub enum SealerError {
    /// The log's state is unknown.
    #[error(transparent)]
    Fatal(#[from] Fatal),
    /// The pinned key is no key.
    #[error("the pinned verifier key is not one")]
    Key(#[from] NoteError),
    /// What we encoded ourselves does not parse, or the tree is full.
    #[error("the round cannot be made: {0}")]
    Round(&'static str),
}

impl From<DraftError> for SealerError {
    fn from(_: DraftError) -> Self {
        Self::Round("a draft cannot be encoded")
    }
}

/// How the sealer works.
#[derive(Clone, Debug)]
pub struct SealerSettings {
    /// Entries of one round at most; 1 gives every batch a signature of its own.
    pub entries_max: usize,
    /// How often an idle signer proves itself.
    pub heartbeat: Duration,
    /// Whether availability faults re-arm by themselves.
    pub rearm_automatically: bool,
    /// The longest pause between two attempts to arm.
    pub backoff_max: Duration,
}

/// The sealer before it runs.
#[derive(Debug)]
pub struct Sealer {
    log: Log,
    boundary: Arc<TokenBoundary>,
    authority: Arc<Authority>,
    settings: SealerSettings,
    clock: Clock,
    gauges: Arc<Gauges>,
    inbox: Receiver<Message>,
    outbox: SyncSender<Message>,
    signer: Option<Watched>,
    /// The order about keys that is being carried out.
    rotation: Option<rotation::Rotation>,
    /// The key ring, for whoever shows it.
    keys: Arc<Mutex<Keyring>>,
    drafts: Vec<Draft>,
    operations: Vec<Operation>,
    attempts: outage::Attempts,
    /// What operators ordered, for as long as its epoch lasts.
    order: Option<outage::Order>,
    checkpoints: watch::Sender<Option<SignedCheckpoint>>,
    /// The epoch whose trip the log has been told of.
    noted: Epoch,
    booted: bool,
    stopping: bool,
    idle: Stopwatch,
    alive: Stopwatch,
    fenced: Stopwatch,
    /// Since when the fence cannot follow the log.
    unfenced: Option<Stopwatch>,
}

/// How the rest of the appliance reaches the sealer.
#[derive(Clone, Debug)]
pub struct SealerHandle {
    outbox: SyncSender<Message>,
    places: Arc<Semaphore>,
    boundary: Arc<TokenBoundary>,
    gauges: Arc<Gauges>,
    checkpoints: watch::Sender<Option<SignedCheckpoint>>,
    keys: Arc<Mutex<Keyring>>,
}

impl SealerHandle {
    /// A place among the drafts that wait. While there is none the caller waits, and its peer with it.
    pub async fn place(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.places).acquire_owned().await.ok()
    }

    /// Hands a draft over. False when the sealer has ended: then nothing was decided.
    #[must_use]
    pub fn submit(&self, draft: Draft) -> bool {
        // The draft holds a place, and the inbox has room for all places, so this never waits.
        self.outbox.try_send(Message::Draft(draft)).is_ok()
    }

    /// Has the next round record something that the appliance did.
    pub fn record(&self, operation: Operation) {
        let _ = self.outbox.send(Message::Operation(operation));
    }

    /// Has the sealer finish what waits, and end.
    pub fn stop(&self) {
        let _ = self.outbox.send(Message::Stop);
    }

    /// Has arming be tried in this epoch, and the order written down. False where the epoch is over.
    pub(super) fn order_rearm(
        &self,
        epoch: Epoch,
        cause: &Cause,
        revoke: bool,
        operation: Operation,
    ) -> bool {
        let order = outage::Order { epoch, revoke, operation: Box::new(operation) };
        self.boundary.permit(epoch, cause) && self.outbox.send(Message::Ordered(order)).is_ok()
    }

    /// Hears the newest checkpoint, now and from now on; every verified signature is told, of a heartbeat too.
    #[must_use]
    pub fn checkpoints(&self) -> watch::Receiver<Option<SignedCheckpoint>> {
        self.checkpoints.subscribe()
    }

    /// The boundary that the sealer opens and closes.
    #[must_use]
    pub const fn boundary(&self) -> &Arc<TokenBoundary> {
        &self.boundary
    }

    /// What the sealer has done.
    #[must_use]
    pub const fn gauges(&self) -> &Arc<Gauges> {
        &self.gauges
    }
}

impl Sealer {
    /// A sealer over an opened log, and the handle to reach it. The boundary starts closed.
    #[must_use]
    pub fn new(
        log: Log,
        authority: Authority,
        settings: SealerSettings,
        clock: Clock,
    ) -> (Self, SealerHandle) {
        let (outbox, inbox) = sync_channel(MAX_SEALER_MESSAGES);
        let cause = Cause::at_start(log.held(), log.trips());
        let opened_before = log.signed().is_some();
        let (epoch, lowest) = (log.epoch(), log.lowest_epoch());
        let boundary = TokenBoundary::new(epoch, lowest, opened_before, cause, clock.stamp());
        let boundary = Arc::new(boundary);
        let checkpoints = watch::Sender::new(log.signed().copied());
        let gauges = Arc::new(Gauges::default());
        let keys = Arc::new(Mutex::new(log.keys().clone()));
        let handle = SealerHandle {
            outbox: outbox.clone(),
            places: Arc::new(Semaphore::new(MAX_WAITING_DRAFTS)),
            boundary: Arc::clone(&boundary),
            gauges: Arc::clone(&gauges),
            checkpoints: checkpoints.clone(),
            keys: Arc::clone(&keys),
        };
        let sealer = Self {
            noted: log.epoch(),
            log,
            boundary,
            authority: Arc::new(authority),
            settings,
            clock,
            gauges,
            inbox,
            outbox,
            signer: None,
            rotation: None,
            keys,
            drafts: Vec::new(),
            operations: Vec::new(),
            attempts: outage::Attempts::new(),
            order: None,
            checkpoints,
            booted: false,
            stopping: false,
            idle: Stopwatch::start(),
            alive: Stopwatch::start(),
            fenced: Stopwatch::start(),
            unfenced: None,
        };
        (sealer, handle)
    }

    /// Seals rounds until it is told to stop.
    ///
    /// # Errors
    /// [`SealerError`]: the process is to stop; whoever waits for an answer gets none.
    pub fn run(mut self) -> Result<(), SealerError> {
        self.gauges.log_size(self.log.frontier().size());
        while !self.stopping {
            let text = self.authority.verifier_key.clone();
            self.run_under(&VerifierKey::parse(&text)?)?;
        }
        let text = self.authority.verifier_key.clone();
        self.finish(&VerifierKey::parse(&text)?)
    }

    /// Seals rounds until it is told to stop, or another key has taken over.
    fn run_under(&mut self, key: &VerifierKey<'_>) -> Result<(), SealerError> {
        while !self.stopping {
            match self.inbox.recv_timeout(self.until_due()) {
                Ok(message) => self.take(message, key)?,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => self.stopping = true,
            }
            self.take_all_that_waits(key)?;
            self.turn(key)?;
            self.do_what_is_due(key)?;
            // Last: behind it `key` is not the key that signs any more.
            if self.rotate(key)? {
                break;
            }
        }
        Ok(())
    }

    fn take_all_that_waits(&mut self, key: &VerifierKey<'_>) -> Result<(), SealerError> {
        while self.entries_waiting() < self.settings.entries_max {
            let Ok(message) = self.inbox.try_recv() else {
                return Ok(());
            };
            self.take(message, key)?;
        }
        Ok(())
    }

    fn take(&mut self, message: Message, key: &VerifierKey<'_>) -> Result<(), SealerError> {
        match message {
            Message::Draft(draft) => self.drafts.push(draft),
            Message::Operation(operation) => self.operations.push(operation),
            // It only wakes the sealer, which looks at the boundary itself: a message may be lost, a trip must not be.
            Message::Lost => {}
            Message::Attempted(epoch, outcome) => self.end_attempt(epoch, *outcome, key)?,
            Message::Ordered(order) => self.obey(order),
            Message::Keys(request) => self.take_order(*request, key)?,
            Message::Proved(outcome) => self.end_proof(*outcome),
            Message::Stop => self.stopping = true,
        }
        Ok(())
    }

    fn entries_waiting(&self) -> usize {
        self.drafts.iter().map(|draft| draft.leaves.len()).sum()
    }

    /// Takes what came before the stop, seals it, and leaves the fence at the end of the log.
    fn finish(mut self, key: &VerifierKey<'_>) -> Result<(), SealerError> {
        while let Ok(message) = self.inbox.try_recv() {
            match message {
                Message::Draft(draft) => self.drafts.push(draft),
                // What a draft was decided by may have been announced just before it.
                Message::Operation(operation) => self.operations.push(operation),
                Message::Ordered(order) => self.obey(order),
                Message::Lost
                | Message::Attempted(..)
                | Message::Keys(_)
                | Message::Proved(_)
                | Message::Stop => {}
            }
        }
        while !self.drafts.is_empty() {
            self.turn(key)?;
        }
        // A trip that nobody asked about since is written too.
        self.turn(key)?;
        self.advance_fence();
        Ok(())
    }

    /// A log whose fence cannot follow it could be rolled back unseen: after a while nothing more is let out.
    fn advance_fence(&mut self) {
        self.fenced = Stopwatch::start();
        let Err(error) = self.log.advance_fence() else {
            self.unfenced = None;
            return;
        };
        tracing::error!(error = &error as &dyn std::error::Error, "the fence stays behind the log");
        if self.unfenced.get_or_insert_with(Stopwatch::start).elapsed() >= FENCE_GRACE {
            self.close(Cause::fence(&error));
        }
    }

    fn size(&self) -> TreeSize {
        self.log.frontier().size()
    }
}
