//! An agent that goes on through an outage: what cannot be decided now waits, under tickets that it writes down, and is
//! fetched when it is decided, by this run or by the next one.
//!
//! Run it against `assent dev`, whose output names the four variables that `Config::from_env` reads. Take its HSM away
//! (`firmware-sim --dir DIR/hsm/simulator inject remove`), run it, bring the HSM back (`... clear`), and watch.

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
        let lines: String = outcomes.tickets().iter().map(|ticket| format!("{ticket}\n")).collect();
        std::fs::write(TICKETS, lines)?;
    }
    for line in std::fs::read_to_string(TICKETS)?.lines() {
        let ticket: Ticket = line.parse()?;
        println!("ticket {} waits until {} at the latest", ticket.id(), ticket.until());
        show(&client.wait(&ticket).await?);
    }
    std::fs::remove_file(TICKETS)?;
    client.close().await;
    Ok(())
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
