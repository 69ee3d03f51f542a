//! The sealer: the one thread that appends to the log.
//!
//! It takes in all that waits, chooses a round of it (`choice`), seals that (`turn`), and begins the next when the last is
//! durable: no timer when busy, so a lone intent pays one signature and one commit. It owns the signer and the log; nobody
//! else writes either. What it cannot seal it logs without a signature, its allows turned into denials, holds or uses of a
//! warrant. A commit that reports an error ends it, and the process.

mod archive;
mod choice;
mod erasure;
mod fence;
mod gauges;
mod handle;
mod kept;
mod life;
mod outage;
mod rotation;
mod turn;
mod warrants;

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use assent_proto::note::{NoteError, VerifierKey};
use assent_proto::number::{Epoch, LeafIndex, Timestamp, TreeSize};
use tokio::sync::{Semaphore, oneshot, watch};

pub(super) use choice::Seen;
pub use erasure::{ErasureAnswer, ErasureOrder};
pub use fence::{FenceInHsm, HsmFenceSettings};
pub use gauges::{Gauges, Reading};
pub use handle::{Place, SealerHandle, Share};
pub use rotation::{KeyAnswer, KeyChange, KeyOrder};

use super::arming::{Authority, Watched};
use super::boundary::TokenBoundary;
use super::cause::Cause;
use super::disk_watch::DiskWatch;
use super::draft::{Draft, DraftError};
use super::operation::Operation;
use crate::break_glass::BreakGlass;
use crate::clock::{Clock, Stopwatch};
use crate::disk::{Room, Space};
use crate::limits::{MAX_SEALER_MESSAGES, MAX_WAITING_DRAFTS};
use crate::log::keyring::Keyring;
use crate::log::{Fatal, Log, SignedCheckpoint};
use crate::queue::Queue;

/// What the sealer hears.
#[derive(Debug)]
pub(super) enum Message {
    /// A batch was decided.
    Draft(Box<Draft>),
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
    /// An operator orders that what a principal asked be erased.
    Erase(Box<erasure::Request>),
    /// Volumes lie in an archive, and are to be let go of.
    LetGo(Box<archive::Request>),
    /// An operator did something that a room keeps.
    Keep(Box<kept::Request>),
    /// Operators did something about break-glass.
    Act(Box<warrants::Request>),
    /// Something of the log turned out to be damaged.
    Damaged(Box<Cause>),
    /// Somebody asks whether this thread goes round.
    Live(oneshot::Sender<()>),
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
    /// Nobody would see the disk hang.
    #[error("the system gives no thread to watch the disk")]
    Thread(#[from] std::io::Error),
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
    /// Entries that may stand unsigned; beyond it intents are refused without one.
    pub unsigned_max: u64,
    /// How the HSM is to keep the log's fence; none where it is not to.
    pub hsm_fence: Option<HsmFenceSettings>,
    /// How often a log in which nothing happens, or nothing can be signed, shows that it is alive.
    pub status_every: Duration,
    /// How long the disk may take.
    pub disk_deadline: Duration,
    /// How much room it must have.
    pub space: Space,
}

/// The sealer before it runs.
pub struct Sealer {
    log: Log,
    /// Watches over whatever is asked of the log's disk.
    disk: Arc<DiskWatch>,
    /// What is asked of the HSM.
    hsm: Arc<life::Wait>,
    /// How much room it had when it was looked at last.
    room: Room,
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
    /// What waits.
    queue: Arc<Queue>,
    /// Charters, warrants and their uses.
    break_glass: Arc<BreakGlass>,
    /// Since when the log tells that the boundary is closed.
    told_closed: Option<Timestamp>,
    /// Where the act stands that was written last.
    acted: Option<LeafIndex>,
    drafts: Vec<Draft>,
    /// Whose turn it is among them.
    turns: choice::Turns,
    operations: Vec<Operation>,
    /// Intents of this outage that were refused without an entry since the last commit, which counts them.
    unlogged: u64,
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
    fences: fence::Fences,
}

impl std::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sealer(at {}, {:?})", self.size(), self.boundary)
    }
}

impl Sealer {
    /// A sealer over an opened log, and the handle to reach it. The boundary starts closed.
    #[must_use]
    pub fn new(
        log: Log,
        authority: Authority,
        settings: SealerSettings,
        queue: Arc<Queue>,
        break_glass: Arc<BreakGlass>,
        clock: Clock,
    ) -> (Self, SealerHandle) {
        let (outbox, inbox) = sync_channel(MAX_SEALER_MESSAGES);
        let cause = Cause::at_start(log.latched(), log.trips());
        let opened_before = log.signed().is_some();
        let (epoch, lowest) = (log.epoch(), log.lowest_epoch());
        let boundary = TokenBoundary::new(epoch, lowest, opened_before, cause, clock.stamp());
        let boundary = Arc::new(boundary);
        let checkpoints = watch::Sender::new(log.signed().copied());
        let gauges = Arc::new(Gauges::default());
        let (disk, hsm) = (DiskWatch::new(settings.disk_deadline), Arc::<life::Wait>::default());
        let keys = Arc::new(Mutex::new(log.keys().clone()));
        let fences = fence::Fences::new(settings.hsm_fence);
        let handle = SealerHandle {
            outbox: outbox.clone(),
            places: Arc::new(Semaphore::new(MAX_WAITING_DRAFTS)),
            disk: Arc::clone(&disk),
            hsm: Arc::clone(&hsm),
            boundary: Arc::clone(&boundary),
            gauges: Arc::clone(&gauges),
            checkpoints: checkpoints.clone(),
            keys: Arc::clone(&keys),
            reader: log.reader(),
            fence_in_hsm: fences.shown(),
            volumes: Arc::default(),
            space: settings.space.clone(),
        };
        let sealer = Self {
            noted: log.told_epoch(),
            told_closed: log.unsigned().since.filter(|_| !log.trips().is_empty()),
            acted: None,
            break_glass,
            log,
            disk,
            hsm,
            room: Room::Enough,
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
            queue,
            drafts: Vec::new(),
            turns: choice::Turns::default(),
            operations: Vec::new(),
            unlogged: 0,
            attempts: outage::Attempts::new(),
            order: None,
            checkpoints,
            booted: false,
            stopping: false,
            idle: Stopwatch::start(),
            alive: Stopwatch::start(),
            fences,
        };
        (sealer, handle)
    }

    /// Seals rounds until it is told to stop.
    ///
    /// # Errors
    /// [`SealerError`]: the process is to stop; whoever waits for an answer gets none.
    pub fn run(mut self) -> Result<(), SealerError> {
        self.disk.keep(Arc::clone(&self.boundary), self.clock.clone())?;
        self.show_size();
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

    /// All of it, also where it is more than a round takes: small batches may lie behind large ones. Bounded, for a draft keeps its
    /// place until it is answered.
    fn take_all_that_waits(&mut self, key: &VerifierKey<'_>) -> Result<(), SealerError> {
        while let Ok(message) = self.inbox.try_recv() {
            self.take(message, key)?;
        }
        Ok(())
    }

    fn take(&mut self, message: Message, key: &VerifierKey<'_>) -> Result<(), SealerError> {
        match message {
            Message::Draft(draft) => self.drafts.push(*draft),
            Message::Operation(operation) => self.operations.push(operation),
            // It only wakes the sealer, which looks at the boundary itself: a message may be lost, a trip must not be.
            Message::Lost => {}
            Message::Attempted(epoch, outcome) => self.end_attempt(epoch, *outcome, key)?,
            Message::Ordered(order) => self.obey(order),
            Message::Keys(request) => self.take_order(*request, key)?,
            Message::Proved(outcome) => self.end_proof(*outcome),
            Message::Erase(request) => self.erase(*request, key)?,
            Message::LetGo(request) => self.let_go(*request, key)?,
            Message::Keep(request) => self.write_kept(*request, key)?,
            Message::Act(request) => self.act(*request, key)?,
            Message::Damaged(cause) => self.close(*cause),
            Message::Live(alive) => drop(alive.send(())),
            Message::Stop => self.stopping = true,
        }
        Ok(())
    }

    /// Takes what came before the stop, seals it, and leaves the fence at the end of the log.
    fn finish(mut self, key: &VerifierKey<'_>) -> Result<(), SealerError> {
        while let Ok(message) = self.inbox.try_recv() {
            match message {
                Message::Draft(draft) => self.drafts.push(*draft),
                // What a draft was decided by may have been announced just before it.
                Message::Operation(operation) => self.operations.push(operation),
                Message::Ordered(order) => self.obey(order),
                Message::Lost
                | Message::Damaged(_)
                | Message::Erase(_)
                | Message::LetGo(_)
                | Message::Keep(_)
                | Message::Act(_)
                | Message::Attempted(..)
                | Message::Keys(_)
                | Message::Proved(_)
                | Message::Live(_)
                | Message::Stop => {}
            }
        }
        while !self.drafts.is_empty() {
            self.turn(key)?;
        }
        if self.unlogged > 0 {
            self.operations.push(Operation::Alive);
        }
        // A trip that nobody asked about since is written too.
        self.turn(key)?;
        self.fence_at_the_end();
        let (disk, log) = (self.disk, self.log);
        Ok(disk.over(|| log.close())?)
    }

    /// A volume that cannot be bound costs room in the store, and no more.
    fn mind_volumes(&mut self) {
        if let Some(error) = self.log.binding_failure() {
            tracing::warn!(error = &error as &dyn std::error::Error, "a volume of the log cannot be bound");
        }
    }

    fn size(&self) -> TreeSize {
        self.log.frontier().size()
    }

    fn show_size(&self) {
        self.gauges.log_size(self.size(), self.log.unsigned_entries());
    }
}
