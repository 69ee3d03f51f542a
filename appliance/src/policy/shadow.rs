//! The shadow: a second bundle, evaluated beside the one in force, counted and never obeyed.
//!
//! The rule it keeps: it changes nothing. It is evaluated on a thread of its own, over a copy of a batch that was decided
//! already, and only where there is room for the copy; else the batch is dropped and counted. A shadow that cannot be
//! loaded, or that errs, is told of and that is all. Nobody has to sign it, and no log records it.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use assent_proto::entry::Grounds;
use assent_proto::number::Timestamp;
use assent_proto::wire::{Request, Ruling, Verdict};
use serde::{Deserialize, Serialize};

use super::admission::{Rules, bounded};
use super::loader::{guarded, make_way};
use super::offer::{Look, Offer};
use super::snapshot::{By, Provenance, Snapshot};
use super::watch::{Finding, Watch};
use crate::evaluation::{Asserted, evaluate};
use crate::identity::SpiffeId;
use crate::intent::Reading;
use crate::limits::{
    MAX_REASON_BYTES, MAX_SHOWN_DISAGREEMENTS, MAX_WAITING_SHADOW_BYTES, MAX_WAITING_SHADOWS,
};

/// Bytes of a text in a disagreement that is shown.
const MAX_SHOWN_BYTES: usize = 256;
/// Policies that a shown disagreement names on each side.
const MAX_SHOWN_POLICIES: usize = 4;

/// How often ours came out so, and the shadow's so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pair {
    /// The outcome that was obeyed: `allow`, `hold`, or the refusal.
    pub ours: String,
    /// The shadow's.
    pub theirs: String,
    /// How often.
    pub count: u64,
}

/// One intent on which the bundles disagreed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disagreement {
    /// When it was decided, in milliseconds since 1970.
    pub at_ms: u64,
    /// Who asked.
    pub principal: String,
    /// Cedar's action.
    pub action: String,
    /// Cedar's resource.
    pub resource: String,
    /// The outcome that was obeyed.
    pub ours: String,
    /// The shadow's.
    pub theirs: String,
    /// Policies that decided.
    pub our_policies: Vec<String>,
    /// The shadow's policies that would have.
    pub their_policies: Vec<String>,
}

/// What status says of the shadow.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShadowStatus {
    /// Where it is.
    pub source: String,
    /// Its digest; none while there is none.
    pub digest: Option<String>,
    /// Why the last that was found there is not used.
    pub problem: Option<String>,
    /// Intents that both decided, since this shadow was loaded.
    pub compared: u64,
    /// Those on which they agreed.
    pub agreed: u64,
    /// Those that the shadow could not evaluate.
    pub errors: u64,
    /// Batches that were not compared for want of room, since start.
    pub dropped_batches: u64,
    /// The others, by outcome.
    pub disagreements: Vec<Pair>,
    /// The newest of them, the last one last.
    pub latest: Vec<Disagreement>,
}

/// What was decided on a batch, for comparison.
#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) asserted: Asserted,
    rulings: Vec<(&'static str, Vec<String>)>,
    outcomes: Vec<u16>,
}

impl Account {
    /// Of the distinct rulings, and the number of each intent's.
    pub(crate) fn new(asserted: Asserted, rulings: &[Ruling<'_>], outcomes: &[u16]) -> Self {
        let told = |ruling: &Ruling<'_>| (outcome(ruling), named(ruling));
        Self { asserted, rulings: rulings.iter().map(told).collect(), outcomes: outcomes.to_vec() }
    }
}

/// A batch on its way to the shadow.
#[derive(Debug)]
struct Work {
    frame: Vec<u8>,
    principal: SpiffeId,
    account: Account,
}

/// The shadow, as the threads that serve intents and the one that loads bundles know it.
#[derive(Debug)]
pub struct Shadow {
    folder: PathBuf,
    watch: Mutex<Watch>,
    current: RwLock<Option<Arc<Snapshot>>>,
    outbox: SyncSender<Work>,
    waiting_bytes: AtomicUsize,
    dropped: AtomicU64,
    tally: Mutex<Tally>,
}

#[derive(Debug, Default)]
struct Tally {
    problem: Option<String>,
    compared: u64,
    agreed: u64,
    errors: u64,
    pairs: Vec<(&'static str, &'static str, u64)>,
    latest: VecDeque<Disagreement>,
}

impl Shadow {
    /// A shadow at this folder; nothing is loaded yet.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(folder: PathBuf) -> std::io::Result<Arc<Self>> {
        let (outbox, inbox) = sync_channel(MAX_WAITING_SHADOWS);
        let shadow = Arc::new(Self {
            folder,
            watch: Mutex::default(),
            current: RwLock::new(None),
            outbox,
            waiting_bytes: AtomicUsize::new(0),
            dropped: AtomicU64::new(0),
            tally: Mutex::default(),
        });
        let evaluated = Arc::clone(&shadow);
        std::thread::Builder::new().name("shadow".to_owned()).spawn(move || evaluated.run(&inbox))?;
        Ok(shadow)
    }

    /// Whether there is room for the copy of a frame of so many bytes. False is counted.
    pub(crate) fn has_room(&self, bytes: usize) -> bool {
        if self.snapshot().is_none() {
            return false;
        }
        let fits =
            self.waiting_bytes.load(Ordering::Relaxed).saturating_add(bytes) <= MAX_WAITING_SHADOW_BYTES;
        if !fits {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
        fits
    }

    /// Hands over a batch that was decided. Never waits.
    pub(crate) fn compare(&self, frame: Vec<u8>, principal: SpiffeId, account: Account) {
        let bytes = frame.len();
        self.waiting_bytes.fetch_add(bytes, Ordering::Relaxed);
        if self.outbox.try_send(Work { frame, principal, account }).is_err() {
            self.waiting_bytes.fetch_sub(bytes, Ordering::Relaxed);
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// What status says of it.
    #[must_use]
    pub fn status(&self) -> ShadowStatus {
        let digest = self.snapshot().map(|snapshot| snapshot.digest().to_string());
        let tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
        let pair = |(ours, theirs, count): &(&str, &str, u64)| Pair {
            ours: (*ours).to_owned(),
            theirs: (*theirs).to_owned(),
            count: *count,
        };
        ShadowStatus {
            source: self.folder.display().to_string(),
            digest,
            problem: tally.problem.clone(),
            compared: tally.compared,
            agreed: tally.agreed,
            errors: tally.errors,
            dropped_batches: self.dropped.load(Ordering::Relaxed),
            disagreements: tally.pairs.iter().map(pair).collect(),
            latest: tally.latest.iter().cloned().collect(),
        }
    }

    fn snapshot(&self) -> Option<Arc<Snapshot>> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// One look at its folder, by the thread that loads bundles.
    pub(super) fn look(&self, rules: &Rules, now: Timestamp) {
        let mut watch = self.watch.lock().unwrap_or_else(PoisonError::into_inner);
        let look = match watch.take(Look::at(&self.folder)) {
            Finding::Changed(look) => look,
            Finding::Away(Some(error)) => return self.note_problem(&error.to_string()),
            // It is back, as it was.
            Finding::Confirmed => {
                return self.tally.lock().unwrap_or_else(PoisonError::into_inner).problem = None;
            }
            Finding::Unsettled | Finding::Away(None) => return,
        };
        let rules = Rules { quorum: None, ..rules.clone() };
        let provenance = Provenance { source: self.folder.display().to_string(), by: By::Watch, at: now };
        let admitted = Offer::read_as(&self.folder, &look, Vec::new())
            .map_err(Into::into)
            .and_then(|offer| guarded(|| rules.admit(offer, provenance, None, None, false)));
        watch.judge(look, admitted.is_ok());
        match admitted {
            Ok(snapshot) => {
                tracing::info!(digest = %snapshot.digest(), "shadow bundle loaded");
                *self.tally.lock().unwrap_or_else(PoisonError::into_inner) = Tally::default();
                *self.current.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(snapshot));
            }
            Err(error) => self.note_problem(&error.reason()),
        }
    }

    fn note_problem(&self, problem: &str) {
        tracing::warn!(problem, "shadow bundle not loaded");
        let problem = Some(bounded(problem, MAX_REASON_BYTES));
        self.tally.lock().unwrap_or_else(PoisonError::into_inner).problem = problem;
    }

    fn run(&self, inbox: &Receiver<Work>) {
        make_way();
        while let Ok(work) = inbox.recv() {
            self.waiting_bytes.fetch_sub(work.frame.len(), Ordering::Relaxed);
            if let Some(snapshot) = self.snapshot() {
                self.count(&snapshot, &work);
            }
        }
    }

    /// Evaluates a batch that was parsed once already, so that it parses.
    fn count(&self, snapshot: &Snapshot, Work { frame, principal, account }: &Work) {
        let Ok(request) = Request::parse(frame) else { return };
        let (view, subject) = (snapshot.bundle().view(), snapshot.principal(principal.as_str()));
        let mut reading = Reading::new(&view);
        for (position, ((intent, _), ours)) in request.intents().zip(&account.outcomes).enumerate() {
            let theirs = match reading.classify(subject, &intent, account.asserted.at(position)) {
                Ok(classified) => evaluate(classified, snapshot, Grounds::Policy).into_ruling(),
                Err(unclassified) => unclassified.ruling(),
            };
            let Some((ours, our_policies)) = account.rulings.get(usize::from(*ours)) else { continue };
            let describe = || Disagreement {
                at_ms: account.asserted.now.0,
                principal: bounded(principal.as_str(), MAX_SHOWN_BYTES),
                action: bounded(&intent.act.action.to_string(), MAX_SHOWN_BYTES),
                resource: bounded(&intent.act.resource.to_string(), MAX_SHOWN_BYTES),
                ours: (*ours).to_owned(),
                theirs: outcome(&theirs).to_owned(),
                our_policies: our_policies.clone(),
                their_policies: named(&theirs),
            };
            self.tally.lock().unwrap_or_else(PoisonError::into_inner).add(ours, outcome(&theirs), describe);
        }
    }
}

impl Tally {
    fn add(&mut self, ours: &'static str, theirs: &'static str, describe: impl FnOnce() -> Disagreement) {
        self.compared += 1;
        self.errors += u64::from(theirs == UNAVAILABLE);
        if ours == theirs {
            self.agreed += 1;
            return;
        }
        match self.pairs.iter_mut().find(|(one, other, _)| (*one, *other) == (ours, theirs)) {
            Some((_, _, count)) => *count += 1,
            // LIMIT: there are no more pairs than pairs of refusals.
            None => self.pairs.push((ours, theirs, 1)),
        }
        if self.latest.len() == MAX_SHOWN_DISAGREEMENTS {
            self.latest.pop_front();
        }
        self.latest.push_back(describe());
    }
}

const UNAVAILABLE: &str = assent_proto::refusal::Refusal::EvaluationUnavailable.name();

fn outcome(ruling: &Ruling<'_>) -> &'static str {
    match ruling.verdict {
        Verdict::Allow { .. } => "allow",
        Verdict::Hold { .. } => "hold",
        Verdict::Deny(refusal) => refusal.name(),
    }
}

fn named(ruling: &Ruling<'_>) -> Vec<String> {
    ruling.policies.named.iter().take(MAX_SHOWN_POLICIES).map(|id| (*id).to_owned()).collect()
}
