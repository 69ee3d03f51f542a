//! kill -9 while a warrant is used: no use is lost, and none is given twice.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use assent_client::Outcomes;
use assent_client::batch::Batch;
use assent_proto::wire::Reply;

use super::{chartered, close, covered, reopen, use_of};
use crate::support::agent::{Agent, batch_id, now};
use crate::support::eventually;

/// How often it is killed.
const KILLS: usize = 6;
/// Uses of the warrant.
const USES: u16 = 12;
/// Batches of one intent each that are asked meanwhile.
const BATCHES: usize = 20;

fn opened(batch: &Batch, reply: &[u8]) -> Outcomes {
    batch.clone().open(reply, None, now()).expect("a reply")
}

#[test]
fn no_use_is_lost_or_given_twice_whenever_it_is_killed() {
    let mut shop = chartered("0s", "");
    close(&shop.appliance);
    let leaf = shop.warrant("orders", USES);
    let agent = Agent::connect(&shop.appliance);
    let answered = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&answered);
    let asking = std::thread::Builder::new().spawn(move || {
        let mut all = Vec::new();
        for _ in 0..BATCHES {
            let batch = Batch::new(batch_id(), &covered(1)).expect("a batch");
            let reply = eventually("the batch is decided", || {
                let reply = agent.reply(&batch);
                matches!(Reply::parse(&reply), Ok(Reply::Decided(_))).then_some(reply)
            });
            all.push((batch, reply));
            count.fetch_add(1, Ordering::SeqCst);
        }
        (agent, all)
    });
    let asking = asking.expect("a thread");
    for kill in 0..KILLS {
        let before = answered.load(Ordering::SeqCst);
        eventually("batches are answered", || {
            let now = answered.load(Ordering::SeqCst);
            (now > before || now == BATCHES).then_some(())
        });
        // In the middle of whatever comes next, a little later each time.
        std::thread::sleep(std::time::Duration::from_micros(300 * kill as u64)); // WAIT: to hit another step at each kill
        shop.appliance.kill();
        shop.appliance.launch_closed();
    }
    let (agent, all) = asking.join().expect("it ends");
    let mut numbers = BTreeSet::new();
    for (batch, reply) in &all {
        for (_, token) in opened(batch, reply).tokens() {
            let (warrant, number) = use_of(token.bytes());
            assert_eq!(warrant, leaf);
            assert!(numbers.insert(number), "use {number} was given twice");
        }
        assert_eq!(&agent.reply(batch), reply, "asked again it is the same answer");
    }
    assert_eq!(numbers, (1..=USES).collect(), "and none was lost");
    reopen(&shop.appliance);
    let report = shop.appliance.stop_and_verify_log();
    assert_eq!(report["warrants"][0]["uses"].as_array().map(Vec::len), Some(usize::from(USES)), "{report}");
}

#[test]
fn an_activation_that_was_killed_is_there_with_its_key_or_not_at_all() {
    let mut shop = chartered("0s", "");
    close(&shop.appliance);
    let statement = shop.prepare("orders", 2);
    shop.appliance.kill();
    shop.appliance.launch_closed();
    let (code, out, talk) = shop.activate(&statement, &["bob", "carol"]);
    assert_eq!(code, 0, "a prepared warrant outlives a kill: {talk}");
    shop.appliance.kill();
    shop.appliance.launch_closed();
    let (code, again, talk) = shop.activate(&statement, &["bob", "carol"]);
    assert_eq!((code, &again), (0, &out), "whoever did not hear asks again: {talk}");
    let leaf = shop.list("warrant", "warrants")[0]["leaf"].as_u64().expect("a leaf");
    let agent = Agent::connect(&shop.appliance);
    let batch = Batch::new(batch_id(), &covered(3)).expect("a batch");
    let outcomes = opened(&batch, &agent.reply(&batch));
    assert_eq!(outcomes.tokens().count(), 2);
    assert!(shop.warrant_file(leaf).exists());
    reopen(&shop.appliance);
    shop.appliance.stop_and_verify_log();
}

#[test]
fn an_appliance_that_was_open_when_it_ended_tells_the_log_that_it_is_closed_before_a_warrant() {
    let mut shop = chartered("0s", "");
    assert!(shop.appliance.stop(), "it stops");
    crate::operators::inject(&shop.appliance, "remove");
    shop.appliance.launch_closed();
    let leaf = shop.warrant("orders", 1);
    let agent = Agent::connect(&shop.appliance);
    let batch = Batch::new(batch_id(), &covered(1)).expect("a batch");
    let outcomes = opened(&batch, &agent.reply(&batch));
    let uses: Vec<_> = outcomes.tokens().map(|(_, token)| use_of(token.bytes())).collect();
    assert_eq!(uses, [(leaf, 1)]);
    reopen(&shop.appliance);
    shop.appliance.stop_and_verify_log();
}
