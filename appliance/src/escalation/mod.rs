//! Escalation: whoever runs the appliance hears of it when a boundary closes, and when it is open again.
//!
//! A task (`watching`) looks at the boundaries and raises; the crate `assent_escalation` keeps what was raised in the outbox
//! (`data/escalations.redb`) and takes it to the sinks. Nothing that decides or signs waits for any of it: the watcher only
//! listens. The outbox is there without sinks too, so that `assent escalation list` tells what was to be known.

mod break_glass;
mod desk;
mod holds;
mod outage_bound;
mod status;
#[cfg(test)]
mod tests;
mod watching;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use assent_escalation::{
    Deliverer, Escalations, Outbox, ShelfError, Sink, SinkError, StartError, SystemClock,
};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub use desk::{EscalationAnswer, EscalationDesk, EscalationOrder, Tested};
pub(crate) use status::is_open;
pub use status::{EscalationStatus, SinkStatus};
use watching::Watching;

use self::break_glass::Uses;
use self::holds::Holds;
use self::outage_bound::OutageBound;
use crate::break_glass::BreakGlass;
use crate::clock::{Clock, Stopwatch};
use crate::config::Config;
use crate::limits::{ESCALATION_STOP_PATIENCE, MAX_DRILL_MARK};
use crate::policy::Policies;
use crate::queue::Queue;
use crate::token::SealerHandle;

/// Why nobody could be told; then nothing is served.
#[derive(Debug, thiserror::Error)]
pub enum EscalationError {
    /// A sink cannot be used.
    #[error("`[[escalation.sink]]` names a sink that cannot be used; mend it, or take it out")]
    Sink(#[from] SinkError),
    /// The outbox cannot be used.
    #[error("cannot keep escalations")]
    Outbox(#[from] ShelfError),
    /// The threads cannot be started.
    #[error("cannot deliver escalations")]
    Start(#[from] StartError),
}

/// Whether a drill is on: what closes meanwhile is told as a part of it. A drill that never says that it is over stops
/// counting after a while, so that no real closing is taken for one.
#[derive(Clone, Debug, Default)]
pub struct DrillMark(Arc<Mutex<Option<Stopwatch>>>);

impl DrillMark {
    /// A drill begins, or is over.
    pub fn set(&self, begun: bool) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = begun.then(Stopwatch::start);
    }

    fn is_on(&self) -> bool {
        let mark = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        mark.as_ref().is_some_and(|began| began.elapsed() < MAX_DRILL_MARK)
    }
}

/// The room, before it watches.
#[derive(Debug)]
pub struct Escalation {
    origin: String,
    /// Entries that may stand unsigned.
    unsigned_max: u64,
    outbox: Arc<Outbox>,
    deliverer: Arc<Deliverer>,
    raise: Escalations,
    drill: DrillMark,
}

impl Escalation {
    /// Opens the outbox, builds the sinks and starts to deliver what waits from before.
    ///
    /// # Errors
    /// [`EscalationError`].
    pub fn open(config: &Config) -> Result<Self, EscalationError> {
        let sinks = config.escalation.sinks.iter().map(assent_escalation::SinkConfig::build);
        let sinks = sinks.collect::<Result<Vec<Sink>, SinkError>>()?;
        let routes: Vec<_> = sinks.iter().map(Sink::route).collect();
        let origin = config.origin();
        let outbox = Arc::new(Outbox::open(&config.outbox_path(), &origin, &routes)?);
        let deliverer = Arc::new(Deliverer::start(Arc::clone(&outbox), sinks, Arc::new(SystemClock))?);
        let raise = deliverer.escalations();
        let (unsigned_max, drill) = (config.round.unsigned_max, DrillMark::default());
        Ok(Self { origin, unsigned_max, outbox, deliverer, raise, drill })
    }

    /// What answers commands and tells status.
    #[must_use]
    pub fn desk(&self) -> EscalationDesk {
        let deliverer = Arc::downgrade(&self.deliverer);
        EscalationDesk::new(Arc::clone(&self.outbox), deliverer, self.raise.clone(), self.drill.clone())
    }

    /// Begins to watch. `automatic`: the boundary opens by itself after an outage. With break-glass comes how soon a use is to be
    /// reviewed.
    #[must_use]
    pub fn watch(
        self,
        sealer: &SealerHandle,
        policies: Arc<Policies>,
        clock: Clock,
        automatic: bool,
        (break_glass, review_within): (Arc<BreakGlass>, Duration),
        queue: Arc<Queue>,
    ) -> Running {
        let Self { origin, unsigned_max, outbox, deliverer, raise, drill } = self;
        let open = outbox.list().incidents;
        let uses = Uses::new(origin.clone(), break_glass, review_within, raise.clone(), &outbox);
        let holds = Holds::new(origin.clone(), queue, raise.clone(), &open);
        let gauges = Arc::clone(sealer.gauges());
        let bound = OutageBound::new(origin.clone(), gauges, unsigned_max, raise.clone(), &open);
        let boundary = Arc::clone(sealer.boundary());
        let watching = Watching::new(origin, boundary, policies, clock, raise, drill, automatic, &open);
        let watching = watching.with(bound, uses, holds);
        let (enough, heard) = oneshot::channel();
        Running { deliverer, enough, watching: tokio::spawn(watching.run(heard)) }
    }
}

/// The room while it watches.
#[derive(Debug)]
pub struct Running {
    deliverer: Arc<Deliverer>,
    enough: oneshot::Sender<Option<String>>,
    watching: JoinHandle<()>,
}

impl Running {
    /// Ends it behind the boundaries' last word. `fatal`: why the appliance ends though nobody told it to, which is to be
    /// known too. A sink that keeps us waiting is left; it hears again after the next start.
    pub async fn stop(self, fatal: Option<String>) {
        let Self { deliverer, enough, watching } = self;
        let _ = enough.send(fatal);
        let _ = tokio::time::timeout(ESCALATION_STOP_PATIENCE, watching).await;
        let (tell, ended) = oneshot::channel();
        let end = move || {
            drop(deliverer);
            let _ = tell.send(());
        };
        // Without a thread to wait on, it ends when the process does.
        if std::thread::Builder::new().name("escalations".to_owned()).spawn(end).is_ok() {
            let _ = tokio::time::timeout(ESCALATION_STOP_PATIENCE, ended).await;
        }
    }
}
