//! An agent that goes on through an outage: what cannot be decided now waits, under tickets that it writes down, and is
//! fetched when it is decided, by this run or by the next one.
//!
//! Run it against `assent dev`, whose output names the four variables that `Config::from_env` reads. Take its HSM away
//! (`firmware-sim --dir DIR/hsm/simulator inject remove`), run it, bring the HSM back (`... clear`), and watch.

use std::collections::VecDeque;
use std::path::Path;

use assent_client::{Client, Config, Intent, OnUnavailable, Outcome, Outcomes, Ticket, Uid};

/// Where tickets are written down.
const TICKETS: &str = "tickets.txt";

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let client = Client::connect(&Config::from_env()?).await?;
    if !Path::new(TICKETS).exists() {
        let orders = ["#W1", "#W2", "#W3"];
        let intents = orders.map(|order| Intent {
            on_unavailable: OnUnavailable::Queue,
            ..Intent::new(
                Uid::new("Retail::Action", "cancel_pending_order"),
                Uid::new("Retail::Order", order),
                "store-api",
            )
            .with("reason", "no longer needed")
        });
        let outcomes = client.preauthorize(&intents).await?;
        show(&outcomes);
        // Before anything else: a ticket that is written down survives this process.
        write_down(&outcomes.tickets())?;
    }
    let lines = std::fs::read_to_string(TICKETS)?;
    let mut tickets: VecDeque<Ticket> = lines.lines().map(str::parse).collect::<Result<_, _>>()?;
    while let Some(ticket) = tickets.front() {
        println!("ticket {} waits until {} at the latest", ticket.id(), ticket.until());
        let outcomes = client.wait(ticket).await?;
        show(&outcomes);
        // Some of it may wait anew, as for operators: under tickets of its own, which take the place of this one.
        tickets.pop_front();
        tickets.extend(outcomes.tickets());
        write_down(tickets.make_contiguous())?;
    }
    std::fs::remove_file(TICKETS)?;
    client.close().await;
    Ok(())
}

/// Writes down what still waits, in place of what was written there before.
fn write_down(tickets: &[Ticket]) -> std::io::Result<()> {
    let lines: String = tickets.iter().map(|ticket| format!("{ticket}\n")).collect();
    let beside = format!("{TICKETS}.new");
    std::fs::write(&beside, lines)?;
    std::fs::rename(beside, TICKETS)
}

/// Each outcome asks something else of an agent.
fn show(outcomes: &Outcomes) {
    for (position, outcome) in outcomes.iter().enumerate() {
        let what = match &outcome {
            Outcome::Allowed(token) => format!("act on {token}"),
            Outcome::Queued(waits) | Outcome::AwaitingApproval(waits) => {
                format!("wait: decided by {} under ticket {}", waits.until(), waits.ticket)
            }
            Outcome::Held(_) => "ask again so that it may wait for operators".to_owned(),
            Outcome::Expired(_) => "nobody decided in time; ask again if it still matters".to_owned(),
            Outcome::Unavailable(why) => format!("not now ({}); ask again later", why.refusal),
            Outcome::Denied(_) | Outcome::Cancelled(_) | Outcome::Invalid(_) => "give it up".to_owned(),
        };
        println!("{position}: {outcome}: {what}");
    }
}
