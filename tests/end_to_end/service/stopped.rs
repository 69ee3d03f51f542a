//! SIGTERM under load: what was acknowledged is in the log, and whoever asks hears that it stops, or connects anew.
//!
//! Agents that link the client notice nothing: each of their batches is answered, once. Beside them raw peers ask without
//! asking again, and each thing that they hear is held against the short list of what is clean.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use assent_client::batch::Batch;
use assent_client::intent::Intent;
use assent_proto::refusal::Refusal;
use assent_proto::wire::Reply;
use quinn::{Connection, Endpoint};

use crate::crash::{all_are_in_the_log, decided, tokens_of};
use crate::support::agent::{Agent, allowed_batch, batch_id};
use crate::support::raw::{self, Identity};
use crate::support::{Appliance, Hsm, eventually};

/// How often it is stopped and started again.
const STOPS: usize = 5;
/// Agents that link the client.
const AGENTS: usize = 4;
/// Peers that do not ask again.
const PEERS: usize = 2;
/// Intents of one batch.
const INTENTS: usize = 32;
/// How long a raw peer waits for somebody to answer its handshake.
const HANDSHAKE: Duration = Duration::from_millis(500);

type Answered = Arc<Mutex<Vec<(Batch, Vec<u8>)>>>;

/// What all of the load has in common.
#[derive(Clone, Default)]
struct Load {
    answered: Answered,
    heard: Arc<Mutex<Vec<String>>>,
    asked: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
}

impl Load {
    fn over(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }

    fn keep(&self, batch: Batch, reply: Vec<u8>) {
        self.asked.fetch_add(1, Ordering::SeqCst);
        if matches!(Reply::parse(&reply), Ok(Reply::Decided(_))) {
            self.answered.lock().unwrap_or_else(PoisonError::into_inner).push((batch, reply));
        }
    }

    fn hear(&self, what: String) {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).push(what);
    }
}

fn batch(intents: &[Intent]) -> Batch {
    Batch::new(batch_id(), intents).expect("a batch")
}

/// An agent with the client: every batch is answered.
fn agent(appliance: &Appliance, load: &Load) -> JoinHandle<()> {
    let (agent, load) = (Agent::connect(appliance), load.clone());
    let run = move || {
        let intents = allowed_batch(INTENTS);
        while !load.over() {
            let batch = batch(&intents);
            let reply = agent.reply(&batch);
            let refused = match Reply::parse(&reply).expect("a reply parses") {
                Reply::Decided(_) => None,
                Reply::Refused(refusal) => Some(refusal),
            };
            // Just after a start the boundary is closed: a refusal, and one that says so.
            assert!(refused.is_none_or(|refusal| refusal == Refusal::TokenUnavailable), "{refused:?}");
            load.keep(batch, reply);
        }
    };
    std::thread::Builder::new().spawn(run).expect("a thread")
}

/// A peer that asks once: what it hears is told.
fn peer(appliance: &Appliance, load: &Load) -> JoinHandle<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let identity = Identity::enrolled(appliance);
    let begun = raw::connect(appliance, Some(identity), b"assent/1");
    let (endpoint, connection) = runtime.block_on(begun).expect("it connects");
    let load = load.clone();
    let run = move || runtime.block_on(ask_on(&endpoint, connection, &load));
    std::thread::Builder::new().spawn(run).expect("a thread")
}

async fn ask_on(endpoint: &Endpoint, mut connection: Connection, load: &Load) {
    let (intents, address) = (allowed_batch(INTENTS), connection.remote_address());
    while !load.over() {
        let batch = batch(&intents);
        match raw::exchange(&connection, batch.frame()).await {
            Ok(reply) => load.keep(batch, reply),
            // Where the connection has ended, its end says why.
            Err(why) => load.hear(connection.close_reason().map_or(why, |reason| reason.to_string())),
        }
        if connection.close_reason().is_some() {
            let connecting = endpoint.connect(address, "localhost").expect("it can be tried");
            match tokio::time::timeout(HANDSHAKE, connecting).await {
                Ok(Ok(anew)) => connection = anew,
                Ok(Err(why)) => load.hear(why.to_string()),
                // Nobody is there: the one has ended, and the next has not begun to listen.
                Err(_) => {}
            }
        }
    }
}

/// Whether it is a clean refusal, or says that the appliance has ended: then a peer connects anew.
fn is_clean(heard: &str) -> bool {
    let reset = format!("stream reset by peer: error {}", Refusal::ShuttingDown.number());
    heard.contains("shutting down")
        || heard.contains(&reset)
        || heard.contains("refused to accept a new connection")
}

#[test]
fn sigterm_under_load_loses_nothing_that_was_acknowledged_and_tells_everybody_cleanly() {
    let mut appliance = Appliance::start(Hsm::Simulator);
    let load = Load::default();
    let mut threads: Vec<_> = (0..AGENTS).map(|_| agent(&appliance, &load)).collect();
    threads.extend((0..PEERS).map(|_| peer(&appliance, &load)));
    for _ in 0..STOPS {
        let before = load.asked.load(Ordering::SeqCst);
        eventually("batches are answered", || {
            (load.asked.load(Ordering::SeqCst) > before + 40).then_some(())
        });
        assert!(appliance.stop(), "it stops well under load; traces:\n{}", appliance.traces());
        appliance.launch();
    }
    load.stop.store(true, Ordering::SeqCst);
    threads.into_iter().for_each(|thread| thread.join().expect("it ends"));

    let heard = std::mem::take(&mut *load.heard.lock().unwrap_or_else(PoisonError::into_inner));
    let unclean: Vec<_> = heard.iter().filter(|heard| !is_clean(heard)).collect();
    assert!(unclean.is_empty(), "{unclean:?}");
    assert!(!heard.is_empty(), "no stop met a peer that was asking");

    let answered = std::mem::take(&mut *load.answered.lock().unwrap_or_else(PoisonError::into_inner));
    println!(
        "{} batches answered over {STOPS} stops; raw peers heard {} refusals",
        answered.len(),
        heard.len()
    );
    let agent = Agent::connect(&appliance);
    for (batch, reply) in &answered {
        assert!(&decided(&agent, batch) == reply, "batch {} got another answer", batch.id());
    }
    let tokens = tokens_of(answered, &agent);
    drop(agent);
    let report = appliance.stop_and_verify_log();
    assert_eq!(report["kinds"]["boot"], STOPS + 1, "{report}");
    all_are_in_the_log(&appliance, &tokens);
}
