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

#[test]
fn a_reply_without_room_at_its_peer_is_reset_and_asked_for_again() {
    let mut appliance = Appliance::start(Hsm::Simulator);
    let agent = Agent::connect(&appliance);
    let batch = Batch::new(batch_id(), &allowed_batch(MAX_BATCH_INTENTS)).expect("a batch");
    let mut transport = TransportConfig::default();
    transport.stream_receive_window(VarInt::from_u32(ROOM));
    let (unread, reply) = agent.runtime.block_on(async {
        let identity = Some(Identity::enrolled(&appliance));
        let (_endpoint, connection) =
            connect_within(&appliance, identity, ALPN, transport).await.expect("a connection");
        let (mut send, mut receive) = connection.open_bi().await.expect("a stream");
        send.write_all(batch.frame()).await.expect("it is sent");
        send.finish().expect("it is whole");
        // Its end is heard without a byte being read: with credit for more it would come whole.
        let reset = receive.received_reset();
        let unread = tokio::time::timeout(Duration::from_secs(30), reset).await.expect("it has an end");
        (unread.expect("the connection stands"), exchange(&connection, batch.frame()).await)
    });
    assert_eq!(unread, Some(VarInt::from_u32(u32::from(Refusal::QuotaExceeded.number()))));
    // On the same connection it is read, whole.
    let reply = reply.unwrap_or_else(|error| panic!("{error}"));
    assert!(reply.len() > 2 * usize::try_from(ROOM).expect("it fits"), "{} bytes", reply.len());
    assert_eq!(reply, agent.reply(&batch), "the log's answer");
    let Ok(Reply::Decided(decided)) = Reply::parse(&reply) else { panic!("decisions") };
    assert_eq!(decided.outcomes().count(), MAX_BATCH_INTENTS);
    drop(agent);
    appliance.stop_and_verify_log();
}
