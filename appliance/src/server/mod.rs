//! The socket door: QUIC connections of agents, one request and one reply a stream.
//!
//! Every limit is explicit, and a peer that stalls, floods or sends garbage costs only itself: its stream is refused or
//! reset, its connection closed. Nothing is decided here; a frame goes to the pipeline with the principal that the
//! certificate names, and what comes back is sent. On a stream of its own each agent is told the news.

mod connections;
mod counts;
mod drain;
mod frame;
pub mod record;

use std::sync::Arc;

use assent_proto::refusal::Refusal;
use quinn::{Connection, Endpoint, Incoming, RecvStream, SendStream, VarInt};
use tokio::sync::watch;

use self::connections::Connections;
pub use self::counts::SocketCounts;
use self::counts::Unwelcome;
pub use self::drain::Stage;
use self::drain::{Drain, UnderWay};
use self::frame::{Arrived, Unread};
use self::record::Record;
use crate::clock::Clock;
use crate::identity::{Peer, Registry, SpiffeId};
use crate::limits::{
    DRAIN_PATIENCE, FRAME_DEADLINE, HANDSHAKE_DEADLINE, MAX_CONNECTIONS, MAX_UNVALIDATED_CONNECTIONS,
    REGISTRY_POLL,
};
use crate::notices::Notices;
use crate::pipeline::{Lane, Lanes, Pipeline};
use crate::token::Answer;

/// Accepts agents until it is told to stop.
#[derive(Debug)]
pub struct Server {
    endpoint: Endpoint,
    pipeline: Arc<Pipeline>,
    registry: Arc<Registry>,
    accept_unregistered: bool,
    clock: Clock,
    notices: Notices,
    connections: Connections,
    lanes: Lanes,
    record: Arc<Record>,
    counts: Arc<SocketCounts>,
    drain: Drain,
}

impl Server {
    /// A server on an endpoint that is bound already; `streams`: how many a connection may have open at once.
    #[must_use]
    pub fn new(
        (endpoint, streams): (Endpoint, u32),
        pipeline: Arc<Pipeline>,
        registry: Arc<Registry>,
        accept_unregistered: bool,
        clock: Clock,
        notices: Notices,
    ) -> Self {
        let connections = Connections::new(streams);
        Self {
            endpoint,
            pipeline,
            registry,
            accept_unregistered,
            clock,
            notices,
            counts: Arc::new(SocketCounts::new(connections.clone())),
            connections,
            lanes: Lanes::default(),
            record: Arc::default(),
            drain: Drain::default(),
        }
    }

    /// What left the socket.
    #[must_use]
    pub const fn record(&self) -> &Arc<Record> {
        &self.record
    }

    /// Which certificates are good.
    #[must_use]
    pub const fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    /// What was counted at the socket.
    #[must_use]
    pub const fn counts(&self) -> &Arc<SocketCounts> {
        &self.counts
    }

    /// Runs until its stage is to close; then waits for those who are being answered, and closes. An answer that a peer has not
    /// read by then it fetches again by its batch id.
    pub async fn run(self: Arc<Self>, mut stages: watch::Receiver<Stage>) {
        let mut poll = tokio::time::interval(REGISTRY_POLL);
        loop {
            tokio::select! {
                changed = stages.changed() => {
                    let stage = if changed.is_ok() { *stages.borrow_and_update() } else { Stage::Closes };
                    self.drain.enter(stage);
                    if stage == Stage::Closes {
                        break;
                    }
                }
                _ = poll.tick() => self.close_unwelcome(),
                incoming = self.endpoint.accept() => match incoming {
                    Some(incoming) => self.meet(incoming),
                    None => break,
                },
            }
        }
        if !self.drain.wait(self.connections.slowest_round_trip()).await {
            tracing::info!("somebody has not read an answer; the log keeps it");
        }
        self.endpoint.close(code(Refusal::ShuttingDown), b"shutting down");
        let _ = tokio::time::timeout(DRAIN_PATIENCE, self.endpoint.wait_idle()).await;
    }

    /// Above a threshold a peer must first prove its address; at the limit it is refused.
    fn meet(self: &Arc<Self>, incoming: Incoming) {
        // Handshakes count too: nobody has proved anything yet.
        let open = self.endpoint.open_connections();
        if !self.drain.takes() {
            incoming.refuse();
        } else if open >= MAX_CONNECTIONS {
            self.counts.turned_away(Unwelcome::Full);
            incoming.refuse();
        } else if open >= MAX_UNVALIDATED_CONNECTIONS && !incoming.remote_address_validated() {
            // Retry fails only where the address is validated already.
            let _ = incoming.retry();
        } else {
            let server = Arc::clone(self);
            tokio::spawn(async move { server.welcome(incoming).await });
        }
    }

    async fn welcome(self: Arc<Self>, incoming: Incoming) {
        let peer = incoming.remote_address();
        let connection = match tokio::time::timeout(HANDSHAKE_DEADLINE, incoming).await {
            Ok(Ok(connection)) => connection,
            Ok(Err(error)) => {
                self.counts.turned_away(Unwelcome::Handshake);
                return tracing::debug!(%peer, %error, "handshake failed");
            }
            Err(_) => {
                self.counts.turned_away(Unwelcome::Handshake);
                return tracing::debug!(%peer, "handshake took too long");
            }
        };
        let peer = match crate::identity::peer(&connection) {
            Ok(peer) => peer,
            Err(error) => {
                self.counts.turned_away(Unwelcome::Unnamed);
                tracing::warn!(%error, "peer refused");
                return connection.close(code(Refusal::Unauthenticated), b"certificate names no agent");
            }
        };
        if !self.registry.admits(&peer, self.accept_unregistered) {
            self.counts.turned_away(Unwelcome::Unenrolled);
            tracing::warn!(principal = %peer.id, "agent is revoked or not enrolled");
            return connection.close(code(Refusal::Unauthenticated), b"agent is revoked or not enrolled");
        }
        let principal = Arc::new(peer.id.clone());
        let _open = self.connections.insert(connection.clone(), peer);
        let telling = async {
            self.notices.tell(&connection).await;
            // An agent that wants no notices may ask all the same.
            std::future::pending().await
        };
        tokio::select! {
            () = self.serve(&connection, principal) => {}
            () = telling => {}
        }
    }

    async fn serve(&self, connection: &Connection, principal: Arc<SpiffeId>) {
        let lane = self.lanes.of(principal.as_str());
        // Ends when the connection does. QUIC itself bounds how many streams are open at once.
        while let Ok((mut send, receive)) = connection.accept_bi().await {
            let Some(under_way) = self.drain.begin() else {
                drop(send.reset(code(Refusal::ShuttingDown)));
                continue;
            };
            let (pipeline, principal) = (Arc::clone(&self.pipeline), Arc::clone(&principal));
            let door = (Arc::clone(&self.record), Arc::clone(&self.counts));
            let lane = Arc::clone(&lane);
            tokio::spawn(async move {
                answer(&pipeline, &door, (&principal, &lane), under_way, (send, receive)).await;
            });
        }
    }

    /// Closes the connections of agents that were revoked, or whose certificates have expired, since they were welcome.
    fn close_unwelcome(&self) {
        if let Err(error) = self.registry.reload_if_changed() {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "the register of agents stays as it was"
            );
        }
        let now = self.clock.now();
        let unwelcome =
            |peer: &Peer| peer.is_expired(now) || !self.registry.admits(peer, self.accept_unregistered);
        self.connections.close_where(
            unwelcome,
            code(Refusal::Unauthenticated),
            b"agent is revoked or expired",
        );
    }
}

/// Reads one frame, has it answered, and sends the reply.
async fn answer(
    pipeline: &Pipeline,
    (record, counts): &(Arc<Record>, Arc<SocketCounts>),
    (principal, lane): (&SpiffeId, &Lane),
    mut under_way: UnderWay,
    (mut send, mut receive): (SendStream, RecvStream),
) {
    let reply = match frame::read(&mut receive, pipeline, lane).await {
        Ok(Arrived { frame, turn, trace }) => tokio::select! {
            biased;
            answer = pipeline.answer(principal, (lane, turn), (frame, trace)) => {
                answer.map(|answer| leaving(answer, pipeline, record))
            }
            // Nobody decides any more: whoever waits for a place or a ticket is told to come back.
            () = under_way.closes() => None,
        },
        Err(unread @ (Unread::TooLong | Unread::Untraceable(_))) => {
            tracing::debug!(%principal, ?unread, "frame refused");
            let _ = receive.stop(code(Refusal::FrameInvalid));
            Some(Answer::refused(Refusal::FrameInvalid))
        }
        Err(Unread::Gone) => return,
        Err(Unread::Late) => {
            let _ = receive.stop(code(Refusal::FrameInvalid));
            return drop(send.reset(code(Refusal::FrameInvalid)));
        }
    };
    match reply {
        Some(Answer { frame: reply, tokens, refused }) => {
            refused.into_iter().for_each(|refusal| counts.refused(refusal));
            let mut standing = pipeline.boundary().subscribe();
            let closes = async { standing.wait_for(|standing| !standing.open).await.is_ok() };
            tokio::select! {
                biased;
                // What has not left when it closes stays here; the log keeps it, and asking again fetches it.
                true = closes, if tokens > 0 => drop(send.reset(code(Refusal::TokenUnavailable))),
                // A peer that is gone, or does not read, loses only its own answer, which the log keeps.
                _ = tokio::time::timeout(FRAME_DEADLINE, send.write_all(&reply)) => drop(send.finish()),
            }
            if under_way.is_last() {
                // What closes would take back what has not arrived.
                let _ = tokio::time::timeout(DRAIN_PATIENCE, send.stopped()).await;
            }
        }
        None => drop(send.reset(code(Refusal::ShuttingDown))),
    }
}

/// The frame that leaves. Tokens that the sealer let out stay here when the boundary has closed since: they are recorded,
/// and asking again after re-arm fetches them.
fn leaving(answer: Answer, pipeline: &Pipeline, record: &Record) -> Answer {
    if answer.tokens == 0 || record.admit(answer.tokens, pipeline.boundary()) {
        answer
    } else {
        Answer::refused(Refusal::TokenUnavailable)
    }
}

/// The application error code that closes a connection or resets a stream: the refusal's number.
fn code(refusal: Refusal) -> VarInt {
    VarInt::from_u32(u32::from(refusal.number()))
}
