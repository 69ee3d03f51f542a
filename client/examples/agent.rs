//! An agent that cancels orders: asks leave for all of them at once, acts where it was given, and waits where the appliance
//! says that there is none to be had.
//!
//! Run it against `assent dev`, whose output names the four variables that `Config::from_env` reads.

use std::time::Duration;

use assent_client::connection::new_batch_id;
use assent_client::{Client, Config, Intent, Uid, Wallet, clock};

/// How long before their end tokens are asked for again: within their window, or each would be at once.
const AHEAD: Duration = Duration::from_secs(60);

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
    let mut notices = client.notices();
    if let Some(standing) = notices.standing_where(|standing| standing.is_open()).await {
        println!("token boundary of {} is open in epoch {}", standing.origin, standing.epoch);
    }
    let outcomes = client.preauthorize(&intents).await?;
    for (order, outcome) in orders.iter().zip(outcomes.iter()) {
        match outcome.token() {
            Some(token) => println!("{order}: cancel it once, with {token}"),
            None => println!("{order}: {outcome}"),
        }
    }

    // Before the tokens end, ask for others; not while the boundary is closed, and not for what was revoked. An agent that
    // goes on does this time and again; just now nothing ends yet.
    let mut wallet = Wallet::from(outcomes);
    if let Some(standing) = notices.standing() {
        wallet.heed(&standing);
    }
    if let Some(batch) = wallet.refresh(new_batch_id()?, clock::now(), AHEAD)? {
        wallet.add(client.ask(batch).await?);
    }
    println!("{} tokens at hand", wallet.len());
    client.close().await;
    Ok(())
}
