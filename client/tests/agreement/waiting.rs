//! Over a real QUIC connection: what waits is asked about for as long as it may, and one stream that is given up leaves the
//! others as they are.

use std::time::Duration;

use assent_client::proto::wire::Ticket as TicketId;
use assent_client::{
    BatchId, Client, ClientError, Collected, Config, Refusal, ReplyError, Ticket, Timestamp, clock,
};
use tokio::time::timeout;

use crate::appliance::{NOON, cancel};
use crate::connection::{Manner, Server};

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(20);

fn ticket(until: Timestamp) -> Ticket {
    Ticket::new(TicketId::new(BatchId::new(NOON, [7; 10]), 0, until), &[cancel("#W1")]).unwrap()
}

#[tokio::test]
async fn waiting_ends_when_the_answer_would_be_kept_no_longer() {
    let server = Server::start(Manner::SayWaiting);
    let client = Client::connect(&server.config()).await.unwrap();
    let over = ticket(Timestamp(1_000));
    let error = timeout(PATIENCE, client.wait(&over)).await.unwrap().unwrap_err();
    assert!(
        matches!(error, ClientError::Reply(ReplyError::Refused(Refusal::Queued))),
        "as it stood at last: {error}"
    );
    assert_eq!(server.frames().len(), 1);
    let open = ticket(clock::now().plus_ms(600_000));
    assert!(timeout(Duration::from_millis(300), client.wait(&open)).await.is_err(), "its time is not over");
    assert!(server.frames().len() > 1);
}

#[tokio::test]
async fn question_about_a_ticket_may_be_held_for_longer_than_a_batch_may_take() {
    let server = Server::start(Manner::HoldWaiting);
    let deadline = Duration::from_millis(100);
    let client = Client::connect(&Config { deadline, ..server.config() }).await.unwrap();
    let ticket = ticket(clock::now().plus_ms(600_000));
    let collected = client.collect(&ticket);
    tokio::pin!(collected);
    assert!(timeout(deadline * 3, &mut collected).await.is_err(), "the appliance holds it");
    server.go_on.notify_one();
    let collected = timeout(PATIENCE, collected).await.unwrap().unwrap();
    assert!(matches!(collected, Collected::Waiting(Refusal::Queued)), "{collected:?}");
    assert_eq!(server.frames().len(), 1);
}

#[tokio::test]
async fn reply_that_is_given_up_costs_no_connection() {
    let server = Server::start(Manner::ResetFirst(2, Refusal::QuotaExceeded));
    let client = Client::connect(&server.config()).await.unwrap();
    let _first = server.connection().await;
    assert!(client.preauthorize(&[cancel("#W1")]).await.unwrap().all_allowed());
    assert_eq!(server.frames().len(), 3);
    assert!(server.has_no_other_connection().await);
}

#[tokio::test]
async fn batch_whose_tokens_stayed_behind_is_fetched_under_its_id() {
    let server = Server::start(Manner::ResetFirst(1, Refusal::TokenUnavailable));
    let client = Client::connect(&server.config()).await.unwrap();
    let _first = server.connection().await;
    let batch = crate::appliance::batch_of(&[cancel("#W1")]);
    let error = client.ask(batch.clone()).await.unwrap_err();
    assert!(
        matches!(error, ClientError::Reply(ReplyError::Refused(Refusal::TokenUnavailable))),
        "it is not asked again by itself: {error}"
    );
    assert!(error.can_be_repeated());
    assert!(client.ask(batch).await.unwrap().all_allowed());
    let frames = server.frames();
    assert_eq!((frames.len(), &frames[0]), (2, &frames[1]));
    assert!(server.has_no_other_connection().await, "who hears of the trip goes on hearing");
}
