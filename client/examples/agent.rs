//! An agent that cancels orders: asks leave for all of them at once, then acts where it was given.
//!
//! Run it against `assent dev`, whose output names the four variables that `Config::from_env` reads.

use std::time::Duration;

use assent_client::{Client, Config, Intent, Uid};

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
        match outcome.token() {
            Some(token) => println!("{order}: cancel it once, with {token}"),
            None => println!("{order}: {outcome}"),
        }
    }
    client.close().await;
    Ok(())
}
