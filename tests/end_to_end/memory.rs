//! Memory is bounded: agents who all ask as much as they can make the appliance no larger than it may be.

use std::sync::Arc;

use assent_client::batch::Batch;
use rustix::process::Pid;

use crate::support::agent::{Agent, allowed_batch, batch_id, make_known};
use crate::support::{Appliance, Hsm};

/// Agents that flood at once.
const AGENTS: usize = 6;
/// Batches that each has in flight, and intents of each of them: together two dozen of the largest rounds.
const BATCHES: usize = 64;
const INTENTS: usize = 1024;
/// What the appliance may have resident, its signer too: 256 megabytes, in the kilobytes of 1,024 bytes that the kernel counts.
const MOST_KB: u64 = 250_000;

#[test]
fn agents_that_all_flood_make_the_appliance_no_larger_than_it_may_be() {
    let mut appliance = Appliance::start(Hsm::Simulator);
    assert!(appliance.stop(), "{}", appliance.traces());
    let names: Vec<String> = (0..AGENTS).map(|number| format!("flood-{number}")).collect();
    make_known(&appliance, &names);
    appliance.launch();
    let agents: Vec<Agent> = names.iter().map(|name| Agent::enrolled(&appliance, name)).collect();
    let intents = allowed_batch(INTENTS);
    let at_rest = resident_kb(&appliance);
    std::thread::scope(|scope| {
        for Agent { runtime, client, .. } in agents {
            let batches: Vec<Batch> =
                (0..BATCHES).map(|_| Batch::new(batch_id(), &intents).expect("a batch")).collect();
            scope.spawn(move || {
                let client = Arc::new(client);
                runtime.block_on(async {
                    let mut asking = tokio::task::JoinSet::new();
                    for batch in batches {
                        let client = Arc::clone(&client);
                        asking.spawn(async move { client.reply(&batch).await.expect("an answer") });
                    }
                    while let Some(answered) = asking.join_next().await {
                        answered.expect("the flood is answered");
                    }
                });
            });
        }
    });
    let most = resident_kb(&appliance);
    println!("resident: {at_rest} kB at rest, {most} kB at most");
    assert!(most > at_rest, "it is measured");
    assert!(most <= MOST_KB, "{most} kB, of {MOST_KB} that it may have");
    // That each was evaluated, allowed, signed and written is in the log: what is refused at the door takes little memory. Beside
    // these, each agent has asked once to see whether it is welcome.
    let report = appliance.stop_and_verify_log();
    assert_eq!(report["kinds"]["allow"], AGENTS * (BATCHES * INTENTS + 1), "{report}");
}

/// The most that the appliance and its signer have ever had resident (`VmHWM`, proc(5)).
fn resident_kb(appliance: &Appliance) -> u64 {
    let peak = |process: Pid| {
        let status = std::fs::read_to_string(format!("/proc/{}/status", process.as_raw_nonzero()));
        let status = status.expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
        let kb = line.trim().strip_suffix(" kB").expect("in kilobytes");
        kb.parse::<u64>().expect("a number")
    };
    peak(appliance.process()) + peak(appliance.signer())
}
