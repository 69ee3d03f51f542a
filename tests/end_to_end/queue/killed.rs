//! kill -9 at any moment of an outage and of the drain behind it: no ticket that was acknowledged is lost, none is decided
//! twice.
//!
//! `ASSENT_QUEUE_KILLS` says how often, `ASSENT_SEED` when.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use assent_client::Ticket;

use super::{close, collect, open_shop, queueable, reopen};
use crate::operators::{clear, inject};
use crate::support::agent::Agent;
use crate::support::eventually;

/// How often it is killed, unless told otherwise.
const KILLS: u64 = 6;

fn told(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

/// Numbers that a seed determines (splitmix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

/// Asks until it is told to stop, and keeps what it was acknowledged.
fn ask(agent: &Agent, stop: &AtomicBool, tickets: &Mutex<Vec<Ticket>>) {
    let intents = queueable(5);
    while !stop.load(Ordering::SeqCst) {
        // A batch that got no answer was acknowledged nothing.
        if let Ok(outcomes) = agent.runtime.block_on(agent.client.preauthorize(&intents)) {
            tickets.lock().expect("no panic").extend(outcomes.tickets());
        }
    }
}

#[test]
fn kills_lose_no_ticket_and_decide_none_twice() {
    let (kills, seed) = (told("ASSENT_QUEUE_KILLS", KILLS), told("ASSENT_SEED", 7));
    println!("ASSENT_QUEUE_KILLS={kills} ASSENT_SEED={seed}");
    let (mut appliance, agent) = open_shop("[queue]\nprincipal_intents_max = 100000");
    let (stop, tickets) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
    let asking = std::thread::Builder::new().spawn({
        let (stop, tickets) = (Arc::clone(&stop), Arc::clone(&tickets));
        move || ask(&agent, &stop, &tickets)
    });
    let mut dice = Dice(seed);
    for _ in 0..kills {
        close(&appliance);
        let before = tickets.lock().expect("no panic").len();
        eventually("something waits", || (tickets.lock().expect("no panic").len() > before).then_some(()));
        if dice.below(3) > 0 {
            clear(&appliance);
        }
        // WAIT: for any moment of the outage, of the re-arm or of the drain
        std::thread::sleep(Duration::from_millis(dice.below(60)));
        appliance.kill();
        appliance.launch_closed();
        if dice.below(2) == 0 {
            reopen(&appliance);
        } else {
            inject(&appliance, "remove");
            reopen(&appliance);
        }
    }
    stop.store(true, Ordering::SeqCst);
    asking.expect("a thread").join().expect("it ends");
    reopen(&appliance);
    let agent = Agent::connect_trusting(&appliance);
    let tickets = std::mem::take(&mut *tickets.lock().expect("no panic"));
    println!("{} tickets were acknowledged", tickets.len());
    assert!(tickets.len() as u64 >= kills, "{} tickets", tickets.len());
    for ticket in &tickets {
        assert!(collect(&agent, ticket).all_allowed(), "ticket {}", ticket.id());
    }
    assert_eq!(appliance.status().expect("it answers").queue.queued, [0; 4]);
    // That no batch is decided twice, tickets included, is what the log's own verification finds.
    appliance.stop_and_verify_log();
}
