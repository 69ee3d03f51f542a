//! An agent that asks all the while, remembers what it got, and holds the log to it.
//!
//! It goes on through every death of the appliance: a batch without an answer is asked again under its id. Between two
//! batches it lets the fence come up to the log, so that a sweep meets what an idle appliance writes, too.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use appliance::clock::Stopwatch;
use appliance::log::reader::Reader;
use appliance::log::store::Store;
use assent_client::batch::Batch;
use assent_client::intent::Intent;
use assent_client::outcome::Outcome;
use assent_proto::token::UnverifiedToken;
use assent_proto::wire::Reply;

use crate::support::agent::{Agent, allowed, batch_id, now, retail};
use crate::support::{Appliance, assent, eventually};

/// Batches whose answers are asked for once more behind every death.
const REPEATED: usize = 3;
/// How long the agent waits for the fence between two batches.
const PAUSE: Duration = Duration::from_millis(60);

/// A batch with the answer that it got.
#[derive(Debug)]
struct Answered {
    batch: Batch,
    reply: Vec<u8>,
    /// Leaf index and body of each token in it.
    tokens: Vec<(u64, Vec<u8>)>,
}

/// The agent, on a thread of its own.
pub(crate) struct Load {
    answered: Arc<Mutex<Vec<Answered>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Load {
    /// Begins to ask. The appliance must answer now, and may die later.
    pub(crate) fn begin(appliance: &Appliance) -> Self {
        let agent = Agent::connect(appliance);
        let (answered, stop) = (Arc::<Mutex<Vec<Answered>>>::default(), Arc::new(AtomicBool::new(false)));
        let fence = appliance.folder.path().join("fence/checkpoint");
        let intents: Vec<Intent> = retail().into_iter().take(3).chain([allowed()]).collect();
        let (kept, stopped) = (Arc::clone(&answered), Arc::clone(&stop));
        let run = move || {
            while !stopped.load(Ordering::SeqCst) {
                let before = std::fs::read(&fence).ok();
                let batch = Batch::new(batch_id(), &intents).expect("a batch");
                let Some(reply) = decided(&agent, &batch, &stopped) else { return };
                let tokens = tokens_of(&agent, &batch, &reply);
                lock(&kept).push(Answered { batch, reply, tokens });
                let watch = Stopwatch::start();
                while watch.elapsed() < PAUSE && std::fs::read(&fence).ok() == before {
                    std::thread::sleep(Duration::from_millis(2)); // WAIT: for the fence, up to PAUSE
                }
            }
        };
        let thread = std::thread::Builder::new().spawn(run).expect("a thread");
        Self { answered, stop, thread: Some(thread) }
    }

    /// How many batches were answered.
    pub(crate) fn answered(&self) -> usize {
        lock(&self.answered).len()
    }

    /// Waits until so many more were.
    pub(crate) fn goes_on(&self, more: usize) {
        let before = self.answered();
        eventually("batches are answered", || (self.answered() >= before + more).then_some(()));
    }

    /// How many tokens the agent holds.
    pub(crate) fn tokens(&self) -> usize {
        lock(&self.answered).iter().map(|answered| answered.tokens.len()).sum()
    }

    /// The whole-log check on a copy of what a dead appliance left: `assent log verify`, and every token that the agent got
    /// before it died stands at its index.
    pub(crate) fn check_log_of(&self, appliance: &Appliance) {
        let copy = tempfile::tempdir().expect("a folder");
        let folder = appliance.folder.path();
        for name in ["data", "fence", "assent.toml"] {
            copy_all(&folder.join(name), &copy.path().join(name));
        }
        let config = copy.path().join("assent.toml");
        let (code, out, talk) = assent(Some(&config), &["log", "verify", "-o", "json"]);
        assert_eq!(code, 0, "`assent log verify`: {out}{talk}");
        let store = Store::open(&copy.path().join("data/log-1.redb")).expect("the log opens");
        let reader = Reader::new(Arc::new(store));
        let size = reader.size().expect("a size").0;
        let leaves = reader.leaves(0..size).expect("leaves");
        for answered in lock(&self.answered).iter() {
            for (index, body) in &answered.tokens {
                let leaf = leaves.get(usize::try_from(*index).expect("an index"));
                assert!(
                    leaf.is_some_and(|leaf| leaf.ends_with(body)),
                    "token {index} of batch {} is not in a log of {size} leaves",
                    answered.batch.id()
                );
            }
        }
    }

    /// Batches that are repeated under their ids get the answers that they got.
    pub(crate) fn check_answers_of(&self, appliance: &Appliance) {
        let agent = Agent::connect(appliance);
        let never = AtomicBool::new(false);
        let batches: Vec<(Batch, Vec<u8>)> = {
            let answered = lock(&self.answered);
            let last = answered.iter().rev().take(REPEATED);
            last.map(|answered| (answered.batch.clone(), answered.reply.clone())).collect()
        };
        for (batch, reply) in batches {
            let again = decided(&agent, &batch, &never);
            assert!(again == Some(reply), "batch {} got another answer", batch.id());
        }
    }

    /// Asks no more; what it has stays.
    pub(crate) fn rest(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the agent ends well");
        }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
    }
}

fn lock(answered: &Mutex<Vec<Answered>>) -> MutexGuard<'_, Vec<Answered>> {
    answered.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Asks until the batch is decided: while the boundary is closed a decided answer may not go out yet.
fn decided(agent: &Agent, batch: &Batch, stop: &AtomicBool) -> Option<Vec<u8>> {
    eventually("the batch is decided", || {
        if stop.load(Ordering::SeqCst) {
            return Some(None);
        }
        let reply = async { tokio::time::timeout(Duration::from_secs(1), agent.client.reply(batch)).await };
        let reply = agent.runtime.block_on(reply).ok()?.ok()?;
        matches!(Reply::parse(&reply), Ok(Reply::Decided(_))).then_some(Some(reply))
    })
}

fn tokens_of(agent: &Agent, batch: &Batch, reply: &[u8]) -> Vec<(u64, Vec<u8>)> {
    let outcomes = batch.clone().open(reply, Some(&agent.trust), now()).expect("a reply that verifies");
    let token = |outcome: Outcome<'_>| {
        let token = outcome.token()?;
        let token = UnverifiedToken::parse(token.bytes()).expect("a token");
        Some((token.index.0, token.body.to_vec()))
    };
    outcomes.iter().filter_map(token).collect()
}

/// Copies a file, or a folder with all that is in it; sockets are not copied.
pub(crate) fn copy_all(from: &Path, to: &Path) {
    if from.is_dir() {
        std::fs::create_dir_all(to).expect("a folder");
        for inside in std::fs::read_dir(from).expect("a folder").flatten() {
            copy_all(&inside.path(), &to.join(inside.file_name()));
        }
    } else if from.is_file() {
        std::fs::copy(from, to).expect("a copy");
    }
}
