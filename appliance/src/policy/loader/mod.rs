//! The loader: the one thread on which bundles are read, compiled, admitted, kept, recorded and put in force.
//!
//! The rule it keeps: a bundle is in force only after the log's line about it is on its way, and durably kept before that; so
//! no decision stands in the log before the line that names its bundle, and a restart knows what it may not go below. One
//! thread, so that loads have an order; not one that serves intents, so that a large bundle delays none. What it replaces it
//! holds until nobody else does, and frees it itself.

mod begin;
mod offered;
mod order;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

use assent_proto::hash::Hash;

pub use order::{Answer, LoaderHandle, Order};

use offered::Offered;
use order::Ask;

use super::admission::{LoadError, Rules, bounded};
use super::archive::Archive;
use super::offer::{Look, Offer, OfferError};
use super::report::RefusedOffer;
use super::shadow::Shadow;
use super::snapshot::{By, Provenance, Snapshot};
use super::store::{State, Store};
use super::watch::{Finding, Watch};
use super::{Policies, cached};
use crate::clock::{Clock, Stopwatch};
use crate::limits::{LOADER_STACK_BYTES, MAX_SOURCE_BYTES, MAX_WAITING_LOADS};
use crate::token::Operation;

/// How often a confirmation is written down at most, for the next start.
const REMEMBER_EVERY: Duration = Duration::from_secs(60);

/// How far the threads in the background stand back: on a busy machine they get a tenth of what the others get.
const BACKGROUND_NICENESS: i32 = 10;

/// What the loader is told at its start.
#[derive(Clone, Debug)]
pub struct LoaderSettings {
    /// The source: the bundle's folder.
    pub folder: PathBuf,
    /// Whether what changed there is loaded.
    pub watch: bool,
    /// How often it is looked at.
    pub poll: Duration,
    /// How long a bundle may be used without its source being confirmed.
    pub max_age: Option<Duration>,
    /// What bundles are held to.
    pub rules: Rules,
    /// The store of the last good bundle.
    pub store: PathBuf,
    /// Where every bundle is kept for auditors.
    pub archive: PathBuf,
}

/// The loader, and what it alone holds.
pub struct Loader {
    settings: LoaderSettings,
    policies: Arc<Policies>,
    store: Store,
    state: State,
    clock: Clock,
    record: Box<dyn FnMut(Operation) + Send>,
    watch: Watch,
    shadow: Option<Arc<Shadow>>,
    /// Bundles that were replaced and may still be in use.
    retired: Vec<Arc<Snapshot>>,
    /// The last offer that was refused and recorded, with the kind of its fault.
    recorded: Option<(Hash, String)>,
    remembered: Stopwatch,
}

impl std::fmt::Debug for Loader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Loader({:?})", self.settings)
    }
}

/// Starts the loader on a thread of its own, and waits until the first bundle is in force.
///
/// # Errors
/// [`LoadError`]: there is no bundle that could decide, neither at the source nor kept.
pub fn start(
    settings: LoaderSettings,
    clock: Clock,
    shadow: Option<Arc<Shadow>>,
    record: impl FnMut(Operation) + Send + 'static,
) -> Result<(Arc<Policies>, LoaderHandle), LoadError> {
    let (outbox, inbox) = sync_channel(MAX_WAITING_LOADS);
    let (tell, told) = sync_channel(1);
    let run = move || match Loader::begin(settings, clock, shadow, Box::new(record)) {
        Ok(loader) => {
            let _ = tell.send(Ok(Arc::clone(&loader.policies)));
            make_way();
            loader.run(&inbox);
        }
        Err(error) => drop(tell.send(Err(error))),
    };
    let thread = std::thread::Builder::new().name("policies".to_owned()).stack_size(LOADER_STACK_BYTES);
    thread.spawn(run).map_err(LoadError::Thread)?;
    let policies = told.recv().map_err(|_| LoadError::Crashed)??;
    Ok((policies, LoaderHandle { outbox }))
}

impl Loader {
    /// Loads what is ordered, and looks at the source, until nobody can order any more.
    fn run(mut self, inbox: &Receiver<Ask>) {
        let mut looked = Stopwatch::start();
        self.look_at_shadow();
        loop {
            match inbox.recv_timeout(looked.left_of(self.settings.poll).unwrap_or_default()) {
                Ok(Ask { order, answer }) => drop(answer.send(self.obey(order))),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            if looked.left_of(self.settings.poll).is_none() {
                self.look();
                self.look_at_shadow();
                looked = Stopwatch::start();
            }
            // What nobody else holds is freed here, on this thread.
            self.retired.retain(|old| Arc::strong_count(old) > 1);
        }
    }

    fn obey(&mut self, order: Order) -> Answer {
        let Order { folder, downgrade, signatures, by } = order;
        let is_source = folder.as_ref().is_none_or(|folder| is_same_folder(folder, &self.settings.folder));
        let folder = folder.unwrap_or_else(|| self.settings.folder.clone());
        let before = self.policies.digest();
        let look = Look::at(&folder);
        let (look, offer) = match look {
            Ok(look) => {
                let offer = Offer::read_as(&folder, &look, signatures);
                (Some(look), offer)
            }
            Err(error) => (None, Err(error)),
        };
        let outcome = self.load(&folder, offer, by, downgrade);
        match look.filter(|_| is_source) {
            Some(look) => self.judge(look, &outcome),
            None if outcome.is_ok() => self.watch.settle(),
            None => {}
        }
        if outcome.is_ok() {
            let now = self.clock.now();
            self.policies.boundary().accept_clock(self.policies.moment(now));
            self.remember(State { confirmed: now, ..self.state });
        }
        Answer::of(outcome, before)
    }

    /// One look at the source.
    fn look(&mut self) {
        let folder = self.settings.folder.clone();
        match self.watch.take(Look::at(&folder)) {
            Finding::Confirmed => self.confirm(),
            Finding::Changed(look) if self.settings.watch => self.take_change(&folder, look),
            Finding::Changed(_) | Finding::Unsettled | Finding::Away(None) => {}
            Finding::Away(Some(error @ OfferError::Away { .. })) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "the bundle's source cannot be looked at; nothing confirms the bundle in force"
                );
            }
            // It is there, and so large that it is not looked at.
            Finding::Away(Some(error)) => {
                self.refuse(&error.into(), shown(&folder), &By::Watch, &Offered::default());
            }
        }
        // Looked at here too, so that it is traced when nobody asks anything.
        self.policies.boundary().closed(self.policies.moment(self.clock.now()));
    }

    fn take_change(&mut self, folder: &Path, look: Look) {
        let offer = match Offer::read_as(folder, &look, Vec::new()) {
            // Neither is an offer; the next look tells more.
            Err(OfferError::Changing | OfferError::Away { .. }) => return,
            offer => offer,
        };
        if offer.as_ref().is_ok_and(|offer| offer.is_in_force(&self.policies.snapshot())) {
            self.watch.judge(look, true);
            return self.confirm();
        }
        let outcome = self.load(folder, offer, By::Watch, false);
        self.judge(look, &outcome);
    }

    fn judge(&mut self, look: Look, outcome: &Result<Arc<Snapshot>, LoadError>) {
        // What could not be kept may be another time: the disk was full, perhaps.
        if !matches!(outcome, Err(LoadError::Store(_))) {
            self.watch.judge(look, outcome.is_ok());
        }
    }

    /// The one path of every bundle after the first.
    fn load(
        &mut self,
        folder: &Path,
        offer: Result<Offer, OfferError>,
        by: By,
        downgrade: bool,
    ) -> Result<Arc<Snapshot>, LoadError> {
        let (now, source) = (self.clock.now(), shown(folder));
        let known = Offered::of(&offer);
        let provenance = Provenance { source: source.clone(), by: by.clone(), at: now };
        let in_force = self.policies.snapshot();
        let admitted = offer.map_err(LoadError::from).and_then(|offer| {
            let rules = &self.settings.rules;
            guarded(|| rules.admit(offer, provenance, Some(&in_force), self.state.version, downgrade))
        });
        match admitted.and_then(|snapshot| self.put_in_force(snapshot)) {
            Ok(snapshot) => Ok(snapshot),
            Err(error) => {
                self.refuse(&error, source, &by, &known);
                Err(error)
            }
        }
    }

    /// Keep, record, swap: in this order.
    fn put_in_force(&mut self, snapshot: Snapshot) -> Result<Arc<Snapshot>, LoadError> {
        let snapshot = Arc::new(snapshot);
        let now = self.clock.now();
        let state = State { version: snapshot.version(), confirmed: now.max(self.state.confirmed) };
        Archive::at(&self.settings.archive).keep(&snapshot)?;
        self.store.keep(&cached::encode(&snapshot)?, &state)?;
        self.state = state;
        (self.record)(loaded(self.policies.digest(), &snapshot));
        self.retired.push(self.policies.swap(Arc::clone(&snapshot)));
        self.policies.boundary().confirm(self.policies.moment(now));
        self.recorded = None;
        let Provenance { source, by, .. } = snapshot.provenance();
        tracing::info!(digest = %snapshot.digest(), version = snapshot.version(), source, %by, "bundle loaded");
        Ok(snapshot)
    }

    /// Says everywhere that the one before stays.
    fn refuse(&mut self, error: &LoadError, source: String, by: &By, known: &Offered) {
        let reason = known.reason(error);
        tracing::error!(source, %by, reason, "bundle refused; the one before stays");
        let now = self.clock.now();
        self.policies.note_refused(RefusedOffer::new(now, source.clone(), by.to_string(), reason.clone()));
        // What is wrong with one content may be told in another order each time; that it is of one kind stays.
        let what = if known.digest.is_some() { error.kind().to_owned() } else { reason.clone() };
        let recorded = (known.fingerprint, what);
        // The watch may meet one bad bundle many times; what an operator does is recorded each time.
        if *by == By::Watch && self.recorded.as_ref() == Some(&recorded) {
            return;
        }
        (self.record)(refusal(self.policies.digest(), source, by, known.version, reason));
        self.recorded = Some(recorded);
    }

    fn confirm(&mut self) {
        let now = self.clock.now();
        self.policies.boundary().confirm(self.policies.moment(now));
        let every = self.settings.max_age.map_or(REMEMBER_EVERY, |age| REMEMBER_EVERY.min(age / 10));
        if self.remembered.left_of(every).is_some() {
            return;
        }
        self.remembered = Stopwatch::start();
        // Lower than it was it becomes when an operator accepts the clock, and by nothing else.
        self.remember(State { confirmed: now.max(self.state.confirmed), ..self.state });
    }

    fn remember(&mut self, state: State) {
        match self.store.remember(&state) {
            Ok(()) => self.state = state,
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "a confirmation is not kept");
            }
        }
    }

    fn look_at_shadow(&self) {
        if let Some(shadow) = &self.shadow {
            shadow.look(&self.settings.rules, self.clock.now());
        }
    }
}

/// Lets the threads that serve intents go first: on Linux a niceness is that of the calling thread.
pub(super) fn make_way() {
    // Where the system does not let us, there is no harm but a slower answer.
    let _ = rustix::process::setpriority_process(None, BACKGROUND_NICENESS);
}

/// Whatever a bundle does to the compiler, the loader goes on.
pub(super) fn guarded(admit: impl FnOnce() -> Result<Snapshot, LoadError>) -> Result<Snapshot, LoadError> {
    // Nothing of ours is changed in there: what it borrows is as it was.
    catch_unwind(AssertUnwindSafe(admit)).unwrap_or(Err(LoadError::Crashed))
}

fn loaded(before: Hash, snapshot: &Snapshot) -> Operation {
    let Provenance { source, by, .. } = snapshot.provenance();
    let (source, by) = (source.clone(), by.to_string());
    let (after, version) = (snapshot.digest(), snapshot.version());
    Operation::BundleOffered { before, after, source, by, version, refused: None }
}

fn refusal(in_force: Hash, source: String, by: &By, version: Option<u64>, reason: String) -> Operation {
    let (before, after, by) = (in_force, in_force, by.to_string());
    Operation::BundleOffered { before, after, source, by, version, refused: Some(reason) }
}

fn shown(folder: &Path) -> String {
    bounded(&folder.display().to_string(), MAX_SOURCE_BYTES)
}

fn is_same_folder(one: &Path, other: &Path) -> bool {
    one == other
        || std::fs::canonicalize(one)
            .ok()
            .is_some_and(|one| std::fs::canonicalize(other).is_ok_and(|other| one == other))
}

#[cfg(test)]
mod tests;
