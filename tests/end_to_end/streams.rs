//! What all connections may have on its way is bounded: streams beyond it are reset, those of whoever has most, newest first.

use std::time::Duration;

use assent_client::outcome::Outcome;
use assent_proto::limits::MAX_BATCH_INTENTS;
use assent_proto::refusal::Refusal;
use assent_proto::wire::ALPN;
use quinn::{Connection, RecvStream, SendStream, TransportConfig, VarInt};

use crate::support::agent::{Agent, allowed_batch};
use crate::support::raw::{Identity, connect_within};
use crate::support::{Appliance, Hsm};

/// Connections of one agent: the first of them have credit for all streams that there are (`MAX_STREAMS`), the others for more.
const CONNECTIONS: usize = 36;
/// Streams of all connections whose frames may be on their way.
const STREAMS: usize = 4096;

/// Opens as many streams as there is credit for, with one byte on each.
async fn fill(connection: &Connection) -> Vec<(SendStream, RecvStream)> {
    let mut streams = Vec::new();
    // WAIT: for credit that may still come; where none comes, all of it is used.
    while let Ok(opened) = tokio::time::timeout(Duration::from_millis(300), connection.open_bi()).await {
        let (mut send, receive) = opened.expect("the connection stands");
        send.write_all(&[0]).await.expect("it is sent");
        streams.push((send, receive));
    }
    streams
}

/// Whether this stream is reset, in some time that is short beside that of an unfinished frame.
async fn is_reset((send, mut receive): (SendStream, RecvStream)) -> Option<(SendStream, RecvStream)> {
    match tokio::time::timeout(Duration::from_secs(1), receive.received_reset()).await {
        Ok(reset) => {
            let code = reset.expect("the connection stands");
            assert_eq!(code, Some(VarInt::from_u32(u32::from(Refusal::QuotaExceeded.number()))));
            None
        }
        Err(_) => Some((send, receive)),
    }
}

#[test]
fn streams_beyond_what_all_may_have_are_reset_and_others_are_served() {
    let mut appliance = Appliance::start(Hsm::Simulator);
    let other = Agent::enrolled(&appliance, "asks-little");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("a runtime");
    let (connections, opened, kept) = runtime.block_on(async {
        let (mut connections, mut filling) = (Vec::new(), tokio::task::JoinSet::new());
        for _ in 0..CONNECTIONS {
            let identity = Some(Identity::enrolled(&appliance));
            let connected = connect_within(&appliance, identity, ALPN, TransportConfig::default()).await;
            let (endpoint, connection) = connected.expect("a connection");
            connections.push((endpoint, connection.clone()));
            filling.spawn(async move { fill(&connection).await });
        }
        let mut waiting = tokio::task::JoinSet::new();
        for stream in filling.join_all().await.into_iter().flatten() {
            waiting.spawn(is_reset(stream));
        }
        let opened = waiting.len();
        (connections, opened, waiting.join_all().await)
    });
    let kept: Vec<_> = kept.into_iter().flatten().collect();
    println!("{opened} streams, {} kept", kept.len());
    assert!(opened > STREAMS, "{opened} streams were opened: no more than may be");
    assert!(kept.len() <= STREAMS, "{opened} opened, {} kept", kept.len());
    // Whoever has little is served while all that is full.
    let outcomes = other.preauthorize(&allowed_batch(MAX_BATCH_INTENTS));
    assert_eq!(outcomes.iter().count(), MAX_BATCH_INTENTS);
    // The sample does not know this agent; what counts is that it hears so.
    let unheard = outcomes.iter().find(|outcome| !matches!(outcome, Outcome::Invalid(_)));
    assert!(unheard.is_none(), "{unheard:?}");
    drop((kept, connections, other));
    appliance.stop_and_verify_log();
}
