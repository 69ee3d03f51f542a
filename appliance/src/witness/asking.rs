//! Asking others to cosign: the newest signed checkpoint goes to every witness, with the proof that the log only grew.
//!
//! All are asked for the same checkpoint at once, so that their lines gather under one. The one rule: a line is kept only after
//! it verified under the key that the configuration names. Nothing waits for a witness: one that is away, slow or wrong costs its
//! own line, is asked less often, and is told in status and traces. A witness that remembers more than the log holds says that
//! somebody put an older log back, or that it lies; people find out which.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use assent_doors::outbound::RootsError;
use assent_proto::cosignature::WitnessKey;
use assent_proto::hash::Hash;
use assent_proto::limits::MAX_NOTE_BYTES;
use assent_proto::note::Note;
use assent_proto::number::TreeSize;
use serde::{Deserialize, Serialize};

use super::cosigned::Cosignatures;
use crate::clock::{Clock, Stopwatch};
use crate::http::client::{Client, Unreachable};
use crate::limits::{MAX_WITNESS_PAUSE, WITNESS_DEADLINE};
use crate::log::SignedCheckpoint;
use crate::log::fence::signed_note;
use crate::log::proof::{ConsistencyProof, consistency};
use crate::log::reader::Reader;
use crate::log::store::StoreError;

/// What a witness calls the body of its 409.
const SIZE_TYPE: &str = "text/x.tlog.size";
/// Characters of a witness's answer that a trace repeats.
const MAX_TOLD_CHARS: usize = 120;

/// How far a witness is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WitnessStatus {
    /// Its name.
    pub name: String,
    /// Where it is asked.
    pub url: String,
    /// Size of the tree that it cosigned last, since this appliance started or as it was kept; 0 before.
    pub size: u64,
    /// When, in seconds since 1970; 0 before.
    pub time_s: u64,
    /// Attempts in a row that failed.
    pub failures: u64,
    /// Why the last of them did.
    pub error: Option<String>,
    /// Whether it says that it cosigned what this log does not hold, or that this log did not grow from it.
    pub contradicts: bool,
}

/// Why a witness did not cosign.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// Nobody answers.
    #[error(transparent)]
    Unreachable(#[from] Unreachable),
    /// The log cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It remembers more than the log holds.
    #[error(
        "it cosigned {cosigned} leaves, and this log has {signed} under its newest checkpoint: an older log was put back, or the witness lies"
    )]
    Ahead {
        /// What it says that it cosigned.
        cosigned: TreeSize,
        /// What this log holds.
        signed: TreeSize,
    },
    /// It holds that the log did not grow from what it cosigned.
    #[error(
        "it says that this log did not grow from what it cosigned at size {0}: the log was forked, or the witness lies"
    )]
    Forked(TreeSize),
    /// It refuses.
    #[error("it answers with status {status}: {told}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The first line of the answer.
        told: String,
    },
    /// Its answer holds no cosignature of its key that verifies.
    #[error("its answer holds no cosignature of its key that verifies")]
    NotCosigned,
}

impl AskError {
    /// Whether the log and the witness tell two stories.
    const fn contradicts(&self) -> bool {
        matches!(self, Self::Ahead { .. } | Self::Forked(_))
    }
}

/// A witness that is asked.
#[derive(Debug)]
struct Asked {
    vkey: String,
    /// Without a slash at its end.
    url: String,
    /// What it cosigned last, as far as we know.
    cosigned: TreeSize,
    /// The checkpoint that it cosigned for this process.
    done: Option<(TreeSize, Hash)>,
    /// Since the last attempt, and how long to wait before the next.
    waited: Stopwatch,
    pause: Duration,
}

/// Who asks.
#[derive(Debug)]
pub struct Asking {
    reader: Reader,
    origin: String,
    client: Client,
    cosignatures: Arc<Cosignatures>,
    interval: Duration,
    clock: Clock,
    asked: Vec<Asked>,
    statuses: Arc<Mutex<Vec<WitnessStatus>>>,
}

/// How far all witnesses are, for whoever shows it.
#[derive(Clone, Debug, Default)]
pub struct Witnesses(Arc<Mutex<Vec<WitnessStatus>>>);

impl Witnesses {
    /// How far each is.
    #[must_use]
    pub fn status(&self) -> Vec<WitnessStatus> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Asking {
    /// Asks these witnesses, each a verifier key and a URL, about the log of this origin.
    #[must_use]
    pub fn new(
        reader: Reader,
        origin: String,
        witnesses: &[(String, String)],
        interval: Duration,
        client: Client,
        cosignatures: Arc<Cosignatures>,
        clock: Clock,
    ) -> (Self, Witnesses) {
        let status = |(vkey, url): &(String, String)| WitnessStatus {
            name: WitnessKey::parse(vkey).map_or_else(|_| String::new(), |key| key.name().to_owned()),
            url: url.clone(),
            size: 0,
            time_s: 0,
            failures: 0,
            error: None,
            contradicts: false,
        };
        let statuses: Vec<_> = witnesses.iter().map(status).collect();
        let statuses = Arc::new(Mutex::new(statuses));
        let asked = |(vkey, url): &(String, String)| Asked {
            vkey: vkey.clone(),
            url: url.trim_end_matches('/').to_owned(),
            // What was cosigned before this process is a good guess; a witness that knows better says so.
            cosigned: cosignatures.size().unwrap_or_default(),
            done: None,
            waited: Stopwatch::start(),
            pause: Duration::ZERO,
        };
        let asked = witnesses.iter().map(asked).collect();
        let told = Witnesses(Arc::clone(&statuses));
        (Self { reader, origin, client, cosignatures, interval, clock, asked, statuses }, told)
    }

    /// Asks until somebody says, or nobody can say any more, that it is enough.
    pub fn run(mut self, enough: &Receiver<()>) {
        loop {
            self.round();
            if enough.recv_timeout(self.interval) != Err(RecvTimeoutError::Timeout) {
                return;
            }
        }
    }

    /// Asks every witness that is due about the newest checkpoint, all at once.
    fn round(&mut self) {
        let newest = match self.reader.checkpoint() {
            Ok(Some(newest)) => newest,
            Ok(None) => return,
            Err(error) => {
                return tracing::error!(error = &error as &dyn std::error::Error, "witnesses are not asked");
            }
        };
        let (reader, origin, client) = (&self.reader, &self.origin, &self.client);
        let outcomes: Vec<_> = std::thread::scope(|scope| {
            let mut running = Vec::new();
            for (at, asked) in self.asked.iter_mut().enumerate() {
                let done = asked.done == Some((newest.size, newest.root));
                if done || asked.waited.elapsed() < asked.pause {
                    continue;
                }
                let work = move || ask(asked, &newest, reader, origin, client);
                let thread = std::thread::Builder::new().name("witness".to_owned());
                // Without a thread it is asked the next time.
                running.extend(thread.spawn_scoped(scope, work).ok().map(|thread| (at, thread)));
            }
            running.into_iter().filter_map(|(at, thread)| Some((at, thread.join().ok()?))).collect()
        });
        let lines: Vec<String> =
            outcomes.iter().filter_map(|(_, outcome)| outcome.as_ref().ok().cloned()).collect();
        if let Err(error) = self.cosignatures.add(&newest, &lines) {
            tracing::warn!(error = &error as &dyn std::error::Error, "cosignatures cannot be kept");
        }
        for (at, outcome) in outcomes {
            self.note(at, &newest, outcome.map(drop));
        }
    }

    /// Keeps what came of it, and tells what is new.
    fn note(&mut self, at: usize, newest: &SignedCheckpoint, outcome: Result<(), AskError>) {
        let mut statuses = self.statuses.lock().unwrap_or_else(PoisonError::into_inner);
        let (Some(asked), Some(status)) = (self.asked.get_mut(at), statuses.get_mut(at)) else { return };
        asked.waited = Stopwatch::start();
        match outcome {
            Ok(()) => {
                if status.failures > 0 {
                    tracing::info!(witness = status.name, size = newest.size.0, "the witness cosigns again");
                }
                asked.pause = Duration::ZERO;
                (status.size, status.time_s) = (newest.size.0, self.clock.now().0 / 1000);
                (status.failures, status.error, status.contradicts) = (0, None, false);
            }
            Err(error) => {
                let (told, contradicts) = (chain(&error), error.contradicts());
                if contradicts && !status.contradicts {
                    tracing::error!(witness = status.name, error = told, "the witness contradicts this log");
                } else if status.failures == 0 {
                    tracing::warn!(witness = status.name, error = told, "the witness does not cosign");
                }
                status.failures = status.failures.saturating_add(1);
                let doublings = u32::try_from(status.failures.min(16)).unwrap_or(16);
                asked.pause =
                    self.interval.saturating_mul(1 << doublings).min(MAX_WITNESS_PAUSE.max(self.interval));
                (status.error, status.contradicts) = (Some(told), contradicts);
            }
        }
    }
}

/// Asks one witness; what it remembers may be another size than we think, and it says which.
fn ask(
    asked: &mut Asked,
    newest: &SignedCheckpoint,
    reader: &Reader,
    origin: &str,
    client: &Client,
) -> Result<String, AskError> {
    let note = signed_note(origin, newest);
    let mut told = false;
    loop {
        let path = consistency(asked.cosigned, newest.size, |level, index| reader.node(level, index))?;
        let Some(path) = path else {
            if told {
                return Err(AskError::Ahead { cosigned: asked.cosigned, signed: newest.size });
            }
            // It was only our guess.
            asked.cosigned = TreeSize(0);
            continue;
        };
        let request = ConsistencyProof { old: asked.cosigned, path, note: note.clone() };
        let url = format!("{}/add-checkpoint", asked.url);
        let reply = client.post(&url, &request.to_string(), MAX_NOTE_BYTES as u64)?;
        let body = String::from_utf8_lossy(&reply.body).into_owned();
        match reply.status {
            200 => {
                let line = verified(&note, &body, &asked.vkey).ok_or(AskError::NotCosigned)?;
                (asked.cosigned, asked.done) = (newest.size, Some((newest.size, newest.root)));
                return Ok(line);
            }
            409 if !told && reply.content_type == SIZE_TYPE => {
                told = true;
                asked.cosigned =
                    body.trim_end_matches('\n').parse().map(TreeSize).map_err(|_| refused(409, &body))?;
            }
            422 => return Err(AskError::Forked(asked.cosigned)),
            status => return Err(refused(status, &body)),
        }
    }
}

/// The line of this witness in its answer, if it verifies over the note's text. What others wrote there is left out.
fn verified(note: &str, answer: &str, vkey: &str) -> Option<String> {
    let key = WitnessKey::parse(vkey).ok()?;
    let cosigned = format!("{note}{answer}");
    let cosigned = Note::parse(&cosigned).ok()?;
    let latest = cosigned.cosigned_at(&key).ok()?;
    let mut lines = cosigned.cosignatures().iter();
    let line = lines.find(|line| line.name == key.name() && line.id == key.id() && line.time_s == latest)?;
    Some(line.to_string())
}

fn refused(status: u16, body: &str) -> AskError {
    let told = body.lines().next().unwrap_or_default();
    let told = told.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_TOLD_CHARS).collect();
    AskError::Refused { status, told }
}

/// An error and what is behind it, in one line.
fn chain(error: &AskError) -> String {
    let mut told = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(because) = cause {
        told = format!("{told}: {because}");
        cause = because.source();
    }
    told
}

/// A client as witnesses are asked with.
///
/// # Errors
/// [`RootsError`].
pub fn client(roots: Option<&std::path::Path>) -> Result<Client, RootsError> {
    Client::new(WITNESS_DEADLINE, roots)
}
