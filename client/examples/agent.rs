//! An agent that cancels orders: asks leave for all of them at once, then acts where it was given.
//!
//! Run it against `assent dev`, whose output names the four variables that `Config::from_env` reads.

use std::time::Duration;

use assent_client::{Client, Config, Intent, Outcome, Uid, clock};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let orders = ["#W1", "#W2", "#W3"];
    let intents = orders.map(|order| Intent {
        window: Some(Duration::from_secs(300)),
        ..Intent::new(
            Uid::new("Retail::Action", "cancel_pending_order"),
            Uid::new("Retail::Order", order),
            "store-api",
        )
        .with("reason", "no longer needed")
    });

    let client = Client::connect(&Config::from_env()?).await?;
    let outcomes = client.preauthorize(&intents).await?;
    for (order, outcome) in orders.iter().zip(outcomes.iter()) {
        match outcome {
            Outcome::Allowed(token) => {
                let seconds = token.not_after().0.saturating_sub(clock::now().0) / 1000;
                println!("{order}: cancel it within {seconds} s, with {token}");
            }
            other => println!("{order}: {other}"),
        }
    }
    client.close().await;
    Ok(())
}
