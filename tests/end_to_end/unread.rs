//! Replies that nobody reads: they are taken back whole, and the log keeps them.

use std::time::Duration;

use assent_client::batch::Batch;
use assent_proto::limits::MAX_BATCH_INTENTS;
use assent_proto::refusal::Refusal;
use assent_proto::wire::{ALPN, Reply};
use quinn::{TransportConfig, VarInt};

use crate::support::agent::{Agent, allowed_batch, batch_id};
use crate::support::raw::{Identity, connect_within, exchange};
use crate::support::{Appliance, Hsm};

/// What a peer leaves room for: less than the reply has.
const ROOM: u32 = 1024;
/// Peers that leave no more, at once.
const PEERS: usize = 4;

/// Asks and reads nothing; gives the code with which the reply is taken back, and the reply when it is asked for again.
async fn unread_and_read(appliance: &Appliance, frame: &[u8]) -> (Option<VarInt>, Result<Vec<u8>, String>) {
    let mut transport = TransportConfig::default();
    transport.stream_receive_window(VarInt::from_u32(ROOM));
    let identity = Some(Identity::enrolled(appliance));
    let (_endpoint, connection) =
        connect_within(appliance, identity, ALPN, transport).await.expect("a connection");
    let (mut send, mut receive) = connection.open_bi().await.expect("a stream");
    send.write_all(frame).await.expect("it is sent");
    send.finish().expect("it is whole");
    // Its end is heard without a byte being read: with credit for more it would come whole.
    let unread = tokio::time::timeout(Duration::from_secs(30), receive.received_reset()).await;
    let unread = unread.expect("it has an end").expect("the connection stands");
    (unread, exchange(&connection, frame).await)
}

#[test]
fn replies_without_room_at_their_peers_are_reset_and_asked_for_again() {
    let mut appliance = Appliance::start(Hsm::Simulator);
    let agent = Agent::connect(&appliance);
    let intents = allowed_batch(MAX_BATCH_INTENTS);
    let batches: Vec<Batch> =
        (0..PEERS).map(|_| Batch::new(batch_id(), &intents).expect("a batch")).collect();
    let peers = batches.iter().map(|batch| unread_and_read(&appliance, batch.frame()));
    let heard = agent.runtime.block_on(futures_util::future::join_all(peers));
    for (batch, (unread, reply)) in batches.iter().zip(heard) {
        assert_eq!(unread, Some(VarInt::from_u32(u32::from(Refusal::QuotaExceeded.number()))));
        // On the same connection it is read, whole.
        let reply = reply.unwrap_or_else(|error| panic!("{error}"));
        assert!(reply.len() > 2 * usize::try_from(ROOM).expect("it fits"), "{} bytes", reply.len());
        assert_eq!(reply, agent.reply(batch), "the log's answer");
        let Ok(Reply::Decided(decided)) = Reply::parse(&reply) else { panic!("decisions") };
        assert_eq!(decided.outcomes().count(), MAX_BATCH_INTENTS);
    }
    drop(agent);
    appliance.stop_and_verify_log();
}
