//! The load: real clients that ask without pause, and note when each asked, when it was answered, and what it heard.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, bail};
use assent_client::batch::{Batch, Outcomes, ReplyError};
use assent_client::connection::new_batch_id;
use assent_client::intent::Intent;
use assent_client::outcome::Outcome;
use assent_client::{Client, ClientError, Config};
use assent_proto::hash::Hash;
use assent_proto::refusal::Refusal;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

use super::catalogue::Load;
use crate::clock::Mark;
use crate::provision::AgentFiles;
use crate::sample;

/// Agents of the heavy load, and intents of each of their batches.
const AGENTS: usize = 4;
const BATCH: usize = 64;
/// How long an agent waits that was refused, before it asks again.
const PAUSE: Duration = Duration::from_millis(2);

/// One question and its answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ask {
    pub(super) sent: Mark,
    pub(super) answered: Mark,
    pub(super) allowed: u64,
    pub(super) unavailable: u64,
    /// Answers that no intent of this load may get, and answers that never came.
    pub(super) wrong: u64,
}

/// All that the agents saw.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) asks: Vec<Ask>,
    /// Leaf index and intent digest of each token.
    pub(super) tokens: Vec<(u64, Hash)>,
    /// The first wrong answers, for people.
    pub(super) wrong: Vec<String>,
}

/// Agents that ask until they are stopped.
pub(super) struct Agents {
    runtime: Runtime,
    client: Arc<Client>,
    intents: Arc<Vec<Intent>>,
    seen: Arc<Mutex<Seen>>,
    stop: Arc<AtomicBool>,
    tasks: Vec<JoinHandle<()>>,
}

impl Agents {
    /// Connects, and finds out which of the sample's intents are allowed in good times.
    pub(super) fn connect(address: &str, files: &AgentFiles) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let mut config = Config::new(address, &files.ca, &files.certificate, &files.key)?;
        config.server_name = "localhost".to_owned();
        let client = runtime.block_on(Client::connect(&config)).context("the agents cannot connect")?;
        let once = |intent: Result<Intent, _>| intent.map(|intent| Intent { uses: Some(1), ..intent });
        let sample = assent_client::json::parse_lines(sample::INTENTS).map(once);
        let sample = sample.take(BATCH * AGENTS).collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            runtime,
            client: Arc::new(client),
            intents: Arc::new(sample),
            seen: Arc::default(),
            stop: Arc::default(),
            tasks: Vec::new(),
        })
    }

    /// Keeps the intents that are allowed now, and gives one answered batch, to be asked again later.
    pub(super) fn settle(&mut self) -> anyhow::Result<(Batch, Vec<u8>)> {
        let outcomes = self.runtime.block_on(self.client.preauthorize(self.intents.iter()))?;
        let allowed = |(intent, outcome): (&Intent, Outcome<'_>)| outcome.token().map(|_| intent.clone());
        let allowed: Vec<Intent> = self.intents.iter().zip(outcomes.iter()).filter_map(allowed).collect();
        if allowed.is_empty() {
            bail!("the bundle allows none of the sample's intents");
        }
        self.intents = Arc::new(allowed);
        let batch = Batch::new(new_batch_id()?, self.intents.iter().take(BATCH))?;
        let reply = self.repeat(&batch)?;
        Ok((batch, reply))
    }

    /// The reply to a batch that may have been asked before.
    pub(super) fn repeat(&self, batch: &Batch) -> anyhow::Result<Vec<u8>> {
        Ok(self.runtime.block_on(self.client.reply(batch))?)
    }

    /// Begins to ask.
    pub(super) fn begin(&mut self, load: Load) {
        let (agents, batch) = match load {
            Load::Idle | Load::Lone => (1, 1),
            Load::Loaded => (AGENTS, BATCH),
        };
        for agent in 0..agents {
            let (client, intents) = (Arc::clone(&self.client), Arc::clone(&self.intents));
            let (seen, stop) = (Arc::clone(&self.seen), Arc::clone(&self.stop));
            self.tasks.push(self.runtime.spawn(async move {
                let asked: Vec<Intent> =
                    intents.iter().cycle().skip(agent * batch).take(batch).cloned().collect();
                while !stop.load(Ordering::Relaxed) {
                    let sent = Mark::now();
                    let outcomes = client.preauthorize(&asked).await;
                    let was_refused = note(&seen, sent, asked.len(), &outcomes);
                    if was_refused {
                        tokio::time::sleep(PAUSE).await;
                    }
                }
            }));
        }
    }

    /// Asks for one intent, beside whoever asks: so that somebody has asked since what came before this.
    pub(super) fn ask_once(&self) {
        let asked: Vec<Intent> = self.intents.iter().take(1).cloned().collect();
        let sent = Mark::now();
        let outcomes = self.runtime.block_on(self.client.preauthorize(&asked));
        note(&self.seen, sent, asked.len(), &outcomes);
    }

    /// Stops asking, and gives all that was seen.
    pub(super) fn end(&mut self) -> anyhow::Result<Seen> {
        self.stop.store(true, Ordering::Relaxed);
        for task in self.tasks.drain(..) {
            self.runtime.block_on(task).context("an agent fell")?;
        }
        Ok(self.take_seen())
    }

    /// What was seen since this was asked last; what is under way is seen later.
    pub(super) fn take_seen(&self) -> Seen {
        std::mem::take(&mut *self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Notes an answer, and tells whether it was a refusal.
fn note(seen: &Mutex<Seen>, sent: Mark, intents: usize, outcomes: &Result<Outcomes, ClientError>) -> bool {
    let answered = Mark::now();
    let mut ask = Ask { sent, answered, allowed: 0, unavailable: 0, wrong: 0 };
    let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
    match outcomes {
        Ok(outcomes) => {
            for (position, outcome) in outcomes.iter().enumerate() {
                match outcome {
                    Outcome::Allowed(token) => {
                        ask.allowed += 1;
                        seen.tokens.push((token.index().0, outcomes.digest(position).unwrap_or_default()));
                    }
                    Outcome::Unavailable(reason) if reason.refusal == Refusal::TokenUnavailable => {
                        ask.unavailable += 1;
                    }
                    other @ (Outcome::Denied(_)
                    | Outcome::Queued(_)
                    | Outcome::AwaitingApproval(_)
                    | Outcome::Held(_)
                    | Outcome::Expired(_)
                    | Outcome::Cancelled(_)
                    | Outcome::Unavailable(_)
                    | Outcome::Invalid(_)) => {
                        ask.wrong += 1;
                        seen.wrong.push(other.to_string());
                    }
                }
            }
        }
        Err(ClientError::Reply(ReplyError::Refused(Refusal::TokenUnavailable))) => {
            ask.unavailable = intents as u64;
        }
        Err(error) => {
            ask.wrong = intents as u64;
            seen.wrong.push(error.to_string());
        }
    }
    seen.wrong.truncate(8);
    seen.asks.push(ask);
    ask.unavailable > 0 || ask.wrong > 0
}
