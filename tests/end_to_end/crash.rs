//! kill -9 of the appliance in the middle of batches: what any agent got is in the log, and nothing is decided twice.
//!
//! The agents go on through every kill: a batch that got no answer is asked again under its id when the appliance is back.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use crate::support::agent::{Agent, batch_id, now, retail};
use crate::support::{Appliance, Hsm};
use appliance::log::reader::Reader;
use assent_client::batch::Batch;
use assent_client::intent::Intent;
use assent_client::outcome::Outcome;
use assent_proto::token::UnverifiedToken;
use assent_proto::wire::Reply;

/// How often it is killed.
const KILLS: usize = 20;
/// Agents that ask all the while.
const AGENTS: usize = 2;

/// Batches with the answers they got.
type Answered = Arc<Mutex<Vec<(Batch, Vec<u8>)>>>;

fn count(answered: &Answered) -> usize {
    answered.lock().unwrap_or_else(PoisonError::into_inner).len()
}

/// Asks until the batch is decided: while the boundary is closed a decided answer may not go out yet.
pub(crate) fn decided(agent: &Agent, batch: &Batch) -> Vec<u8> {
    crate::support::eventually("the batch is decided", || {
        let reply = agent.reply(batch);
        matches!(Reply::parse(&reply), Ok(Reply::Decided(_))).then_some(reply)
    })
}

/// Asks, batch after batch, until told to stop.
fn load(appliance: &Appliance, answered: &Answered, stop: &Arc<AtomicBool>) -> JoinHandle<()> {
    let agent = Agent::connect(appliance);
    let (answered, stop) = (Arc::clone(answered), Arc::clone(stop));
    let intents: Vec<Intent> = retail().into_iter().take(64).collect();
    let run = move || {
        while !stop.load(Ordering::SeqCst) {
            let batch = Batch::new(batch_id(), &intents).expect("a batch");
            let reply = decided(&agent, &batch);
            answered.lock().unwrap_or_else(PoisonError::into_inner).push((batch, reply));
        }
    };
    std::thread::Builder::new().spawn(run).expect("a thread")
}

#[test]
fn whatever_an_agent_got_is_in_the_log_after_twenty_kills() {
    let mut appliance = Appliance::start(Hsm::Simulator);
    let (answered, stop) = (Answered::default(), Arc::new(AtomicBool::new(false)));
    let agents: Vec<_> = (0..AGENTS).map(|_| load(&appliance, &answered, &stop)).collect();
    for kill in 0..KILLS {
        let before = count(&answered);
        crate::support::eventually("batches are answered", || {
            (count(&answered) > before + kill % 7).then_some(())
        });
        appliance.kill();
        appliance.launch();
    }
    stop.store(true, Ordering::SeqCst);
    agents.into_iter().for_each(|agent| agent.join().expect("the agent ends"));
    let answered = std::mem::take(&mut *answered.lock().unwrap_or_else(PoisonError::into_inner));
    println!("{} batches answered through {KILLS} kills", answered.len());

    let agent = Agent::connect(&appliance);
    for (batch, reply) in &answered {
        assert!(
            &decided(&agent, batch) == reply,
            "batch {} got another answer when it was repeated",
            batch.id()
        );
    }
    let tokens = tokens_of(answered, &agent);
    drop(agent);
    appliance.stop_and_verify_log();
    all_are_in_the_log(&appliance, &tokens);
}

/// Leaf index and body of every token that any agent holds.
pub(crate) fn tokens_of(answered: Vec<(Batch, Vec<u8>)>, agent: &Agent) -> Vec<(u64, Vec<u8>)> {
    let mut tokens = Vec::new();
    for (batch, reply) in answered {
        let outcomes = batch.open(&reply, Some(&agent.trust), now()).expect("a reply that verifies");
        for outcome in outcomes.iter() {
            if let Outcome::Allowed(token) = outcome {
                let token = UnverifiedToken::parse(token.bytes()).expect("a token");
                tokens.push((token.index.0, token.body.to_vec()));
            }
        }
    }
    assert!(!tokens.is_empty());
    tokens
}

pub(crate) fn all_are_in_the_log(appliance: &Appliance, tokens: &[(u64, Vec<u8>)]) {
    let reader = Reader::open(&appliance.log()).expect("the log opens");
    let leaves = reader.leaves(0..reader.size().expect("a size").0).expect("leaves");
    for (index, body) in tokens {
        let leaf = leaves.get(usize::try_from(*index).expect("an index")).expect("a leaf");
        assert!(leaf.ends_with(body), "leaf {index} is not the token's entry");
    }
    println!("{} tokens, each in the log at its index", tokens.len());
}
