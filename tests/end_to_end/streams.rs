//! What all connections may have on its way is bounded: streams beyond it are reset, those of whoever has most, newest first.

use std::time::Duration;

use assent_proto::limits::MAX_BATCH_INTENTS;
use assent_proto::refusal::Refusal;
use assent_proto::wire::ALPN;
use quinn::{Connection, Endpoint, RecvStream, SendStream, TransportConfig, VarInt};

use crate::support::agent::{Agent, allowed_batch, make_known};
use crate::support::raw::{Identity, connect_within};
use crate::support::{Appliance, Hsm};

/// Connections of one agent: the older of them have credit for fewer streams than there are (`MAX_STREAMS`), all of them for more.
const OLDER: usize = 30;
const NEWER: usize = 6;
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

/// Connections of the sample's agent, and all streams that they have credit for.
struct Crowd {
    connections: Vec<(Endpoint, Connection)>,
    streams: Vec<(SendStream, RecvStream)>,
}

impl Crowd {
    async fn connect(appliance: &Appliance, count: usize) -> Self {
        let (mut connections, mut filling) = (Vec::new(), tokio::task::JoinSet::new());
        for _ in 0..count {
            let identity = Some(Identity::enrolled(appliance));
            let connected = connect_within(appliance, identity, ALPN, TransportConfig::default()).await;
            let (endpoint, connection) = connected.expect("a connection");
            connections.push((endpoint, connection.clone()));
            filling.spawn(async move { fill(&connection).await });
        }
        Self { connections, streams: filling.join_all().await.into_iter().flatten().collect() }
    }

    /// Gives up what is reset.
    async fn without_reset(self) -> Self {
        let mut waiting = tokio::task::JoinSet::new();
        for stream in self.streams {
            waiting.spawn(is_reset(stream));
        }
        let streams = waiting.join_all().await.into_iter().flatten().collect();
        Self { connections: self.connections, streams }
    }
}

#[test]
fn streams_beyond_what_all_may_have_are_reset_and_others_are_served() {
    let mut appliance = Appliance::start(Hsm::Simulator);
    assert!(appliance.stop(), "{}", appliance.traces());
    make_known(&appliance, &["asks-little".to_owned()]);
    appliance.launch();
    let other = Agent::enrolled(&appliance, "asks-little");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("a runtime");
    let (opened, kept) = runtime.block_on(async {
        let older = Crowd::connect(&appliance, OLDER).await;
        let newer = Crowd::connect(&appliance, NEWER).await;
        let opened = [older.streams.len(), newer.streams.len()];
        let (older, newer) = tokio::join!(older.without_reset(), newer.without_reset());
        (opened, [older, newer])
    });
    let count: usize = kept.iter().map(|crowd| crowd.streams.len()).sum();
    let reset = [opened[0] - kept[0].streams.len(), opened[1] - kept[1].streams.len()];
    println!("{opened:?} streams, older and newer; {reset:?} reset, {count} kept");
    assert!(opened[0] < STREAMS, "the older ones alone are no more than may be");
    assert!(opened[0] + opened[1] > STREAMS, "{opened:?} streams were opened: no more than may be");
    assert!(count <= STREAMS, "{opened:?} opened, {count} kept");
    assert!(count > STREAMS / 2, "{opened:?} opened, {count} kept: more are reset than must be");
    // Were it the oldest, only older ones were reset; were it any, mostly older ones.
    assert!(reset[1] > reset[0], "of {opened:?} {reset:?} were reset: not the newest");
    // Whoever has little is served while all that is full.
    let outcomes = other.preauthorize(&allowed_batch(MAX_BATCH_INTENTS));
    assert_eq!(outcomes.len(), MAX_BATCH_INTENTS);
    let refused = outcomes.iter().find(|outcome| outcome.token().is_none());
    assert!(refused.is_none(), "{refused:?}");
    drop((kept, other));
    appliance.stop_and_verify_log();
}
