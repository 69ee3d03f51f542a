//! Fair between agents: who floods costs others a round, not a row of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use assent_client::batch::Batch;

use crate::support::agent::{Agent, allowed, allowed_batch, batch_id};
use crate::support::{Appliance, Hsm, eventually};

/// Large batches that the flood has in flight; it is granted streams for all of them.
const FLOOD: usize = 96;
/// Intents of each of them.
const INTENTS: usize = 1024;
/// Lone intents that are asked meanwhile, one after the other.
const LONE: usize = 12;
/// Of the flood, batches that may be answered while a lone intent waits, as the median; in their order it would be all of them.
const AHEAD: usize = 8;
/// And at most, on a machine that runs other tests beside it.
const AHEAD_AT_MOST: usize = FLOOD / 2;

#[test]
fn a_lone_intent_does_not_wait_for_another_agents_flood() {
    let mut appliance = Appliance::start(Hsm::Simulator);
    let lone = Agent::enrolled(&appliance, "other");
    let flood = Agent::connect(&appliance);
    let batches: Vec<Batch> = {
        let intents = allowed_batch(INTENTS);
        (0..FLOOD).map(|_| Batch::new(batch_id(), &intents).expect("a batch")).collect()
    };
    let (client, answered) = (Arc::new(flood.client), Arc::new(AtomicUsize::new(0)));
    let flooding: Vec<_> = batches
        .into_iter()
        .map(|batch| {
            let (client, answered) = (Arc::clone(&client), Arc::clone(&answered));
            flood.runtime.spawn(async move {
                client.reply(&batch).await.expect("an answer");
                answered.fetch_add(1, Ordering::SeqCst);
            })
        })
        .collect();
    let count = || answered.load(Ordering::SeqCst);
    eventually("the flood is under way", || (count() > 0).then_some(()));
    let mut ahead = Vec::new();
    for _ in 0..LONE {
        let before = count();
        if before == FLOOD {
            break;
        }
        // The sample's policies deny it to this one, which takes a round as well.
        assert_eq!(lone.preauthorize(&[allowed()]).iter().count(), 1);
        ahead.push(count() - before);
    }
    flood.runtime.block_on(async {
        for batch in flooding {
            batch.await.expect("the flood is answered, too");
        }
    });
    println!("batches of the flood answered while each lone intent waited: {ahead:?}");
    assert!(ahead.len() >= 3, "the flood was over too soon to tell: {ahead:?}");
    ahead.sort_unstable();
    assert!(ahead[ahead.len() / 2] <= AHEAD, "{ahead:?}");
    assert!(ahead[ahead.len() - 1] <= AHEAD_AT_MOST, "{ahead:?}");
    assert_eq!(count(), FLOOD);
    appliance.stop_and_verify_log();
}
