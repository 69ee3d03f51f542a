//! Agents ask all the while: no intent hears anything but what policy says, and tokens of both keys verify offline.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use assent_client::guard::Guard;
use assent_client::intent::Intent;
use assent_client::spent::Spent;
use assent_client::trust::Trust;
use assent_proto::number::Timestamp;
use assent_proto::token::UnverifiedToken;

use super::{announce, done, export, json, key_id, rotate, signing};
use crate::support::agent::{Agent, allowed, label_of, labels, now, retail};
use crate::support::{Appliance, Hsm, eventually, softhsm};

/// Intents of a batch, and agents that send them.
const BATCH: usize = 64;
const AGENTS: usize = 2;

/// Every token that an agent got, with its intent.
type Tokens = Arc<Mutex<Vec<(Vec<u8>, Intent)>>>;

fn count(tokens: &Tokens) -> usize {
    tokens.lock().unwrap_or_else(PoisonError::into_inner).len()
}

/// Asks until told to stop; gives how many intents were answered, each as its label says.
fn load(appliance: &Appliance, tokens: &Tokens, stop: &Arc<AtomicBool>) -> JoinHandle<usize> {
    let agent = Agent::connect(appliance);
    let (tokens, stop) = (Arc::clone(tokens), Arc::clone(stop));
    let (intents, labels) = (retail(), labels());
    let run = move || {
        let mut answered = 0;
        while !stop.load(Ordering::SeqCst) {
            let outcomes = agent.preauthorize(&intents[..BATCH]);
            for (outcome, label) in outcomes.iter().zip(&labels) {
                assert_eq!(&label_of(&outcome), label, "nothing but policy refuses anything");
                answered += 1;
            }
            let held = outcomes.tokens().map(|(at, token)| (token.bytes().to_vec(), intents[at].clone()));
            tokens.lock().unwrap_or_else(PoisonError::into_inner).extend(held);
        }
        answered
    };
    std::thread::Builder::new().spawn(run).expect("a thread")
}

fn waits_for_more(tokens: &Tokens) {
    let before = count(tokens);
    eventually("tokens are released", || (count(tokens) > before + 4 * BATCH).then_some(()));
}

/// Verifies every token as an executor would; gives how many each key signed.
fn verify(tokens: &[(Vec<u8>, Intent)], trust: Trust) -> Vec<(String, usize)> {
    let guard = Guard::with_spent(trust, appliance::sample::AUDIENCE, Spent::in_memory(Timestamp(0)));
    let mut by_key: Vec<(String, usize)> = Vec::new();
    for (token, intent) in tokens {
        guard.admit(token, intent, now()).expect("a token that verifies").run(|| ());
        let id = UnverifiedToken::parse(token).expect("a token").key_id.to_string();
        match by_key.iter_mut().find(|(known, _)| *known == id) {
            Some((_, count)) => *count += 1,
            None => by_key.push((id, 1)),
        }
    }
    by_key
}

fn rotation_under_load_loses_nothing(hsm: Hsm) {
    let mut appliance = Appliance::start(hsm);
    announce(&appliance, "02");
    let told = export(&appliance, "trust.toml");
    assert_eq!(told.keys().len(), 2, "the announced key is told of ahead");
    let (tokens, stop) = (Tokens::default(), Arc::new(AtomicBool::new(false)));
    let agents: Vec<_> = (0..AGENTS).map(|_| load(&appliance, &tokens, &stop)).collect();
    waits_for_more(&tokens);
    let before = appliance.status().expect("the appliance answers");
    let rotated = rotate(&appliance, "02");
    waits_for_more(&tokens);
    stop.store(true, Ordering::SeqCst);
    let answered: usize = agents.into_iter().map(|agent| agent.join().expect("the agent ends")).sum();
    let after = appliance.status().expect("the appliance answers");
    assert_eq!((before.epoch, before.counters.trips), (after.epoch, after.counters.trips), "it stayed open");
    assert_eq!((before.key.cka_id.as_str(), after.key.cka_id.as_str()), ("01", "02"));

    let tokens = std::mem::take(&mut *tokens.lock().unwrap_or_else(PoisonError::into_inner));
    let by_key = verify(&tokens, export(&appliance, "after.toml"));
    println!(
        "{hsm:?}: rotation took {} us, rounds waited {} us; {answered} intents answered, none refused but by policy; \
         tokens by key: {by_key:?}",
        rotated["took_us"], rotated["held_us"]
    );
    let ids = [key_id(&before.key.verifier_key.into()), key_id(&rotated["verifier_key"])];
    assert!(by_key.iter().map(|(id, _)| id).eq(&ids), "tokens of both keys verify: {by_key:?}");

    commands_tell_the_truth(&appliance, &ids);
    let report = appliance.stop_and_verify_log();
    assert_eq!(
        (report["kinds"]["key"].as_u64(), report["gaps"].as_array().map(Vec::len)),
        (Some(2), Some(0))
    );
    let keys = report["keys"].as_array().expect("keys");
    assert!(
        keys.iter().map(|key| key["key_id"].as_str()).eq(ids.iter().map(|id| Some(id.as_str()))),
        "{report}"
    );
    assert_eq!(keys[1]["from_size"], rotated["from_size"]);
    let trust = appliance.folder.path().join("after.toml").display().to_string();
    done(&appliance, &["log", "verify", "--trust", &trust]);

    appliance.launch();
    assert_eq!(signing(&appliance), "02", "after a restart too");
    let agent = Agent::connect(&appliance);
    let outcomes = agent.preauthorize(&[allowed()]);
    let (_, token) = outcomes.tokens().next().expect("a token");
    assert_eq!(UnverifiedToken::parse(token.bytes()).expect("a token").key_id.to_string(), ids[1]);
}

fn commands_tell_the_truth(appliance: &Appliance, ids: &[String; 2]) {
    let listed = json(appliance, &["keys", "list"]);
    let states: Vec<_> =
        listed["keys"].as_array().expect("keys").iter().map(|key| &key["log"]["state"]).collect();
    assert!(states.contains(&&"signed".into()) && states.contains(&&"signs".into()), "{listed}");
    let shown = done(appliance, &["status"]);
    assert!(shown.contains("02, signs since") && shown.contains(&ids[1]), "{shown}");
    let shown = done(appliance, &["config", "show", "--effective"]);
    let line = shown.lines().find(|line| line.starts_with("hsm.key_id")).expect("the key's id");
    assert!(line.contains("\"02\"") && line.contains("key ring"), "{line}");
    done(appliance, &["hsm", "check"]);
}

#[test]
fn rotation_under_load_loses_nothing_on_the_simulator() {
    rotation_under_load_loses_nothing(Hsm::Simulator);
}

#[test]
fn rotation_under_load_loses_nothing_on_softhsm() {
    if softhsm::present() {
        rotation_under_load_loses_nothing(Hsm::SoftHsm);
    }
}

/// An agent that nobody brought the new trust file hears that it needs one, without asking for anything.
#[test]
fn agent_without_the_new_key_is_told_of_it() {
    let appliance = Appliance::start(Hsm::Simulator);
    let agent = Agent::connect_trusting(&appliance);
    let notices = agent.client.notices();
    eventually("notices are heard", || notices.checkpoint());
    assert_eq!(notices.unknown_key(), None, "it holds the key that signs");
    announce(&appliance, "02");
    let rotated = rotate(&appliance, "02");
    let told = eventually("the new key is told of", || notices.unknown_key());
    assert_eq!(Some(told.as_str()), rotated["verifier_key"].as_str());
    assert!(notices.fork().is_none(), "a checkpoint that both keys signed is no fork");
    let reply = agent.runtime.block_on(agent.client.preauthorize(&[allowed()]));
    let why = reply.expect_err("its answers are not believed any more").to_string();
    assert!(why.contains("trust export"), "{why}");
}

/// What is recorded is sent again byte for byte, under the signature of its time.
#[test]
fn answer_from_before_is_fetched_after_and_verifies() {
    use assent_client::batch::Batch;
    let appliance = Appliance::start(Hsm::Simulator);
    announce(&appliance, "02");
    let agent = Agent::connect(&appliance);
    let batch = Batch::new(crate::support::agent::batch_id(), &[allowed()]).expect("a batch");
    let before = agent.reply(&batch);
    rotate(&appliance, "02");
    let after = agent.reply(&batch);
    assert_eq!(before, after);
    let trust = export(&appliance, "after.toml");
    assert!(batch.open(&after, Some(&trust), now()).expect("a reply that verifies").all_allowed());
}
