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
mod replies;
mod room;

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
use self::replies::Replies;
use self::room::{GivesWay, Room};
use crate::clock::Clock;
use crate::identity::{Peer, Registry, SpiffeId};
use crate::limits::{
    DRAIN_PATIENCE, FRAME_DEADLINE, HANDSHAKE_DEADLINE, MAX_CONNECTIONS, MAX_STREAMS,
    MAX_UNVALIDATED_CONNECTIONS, REGISTRY_POLL,
};
use crate::notices::Notices;
use crate::pipeline::{Lane, Lanes, Pipeline};
use crate::token::Answer;

/// Accepts agents until it is told to stop.
#[derive(Debug)]
pub struct Server {
    endpoint: Endpoint,
    door: Arc<Door>,
    registry: Arc<Registry>,
    accept_unregistered: bool,
    clock: Clock,
    notices: Notices,
    connections: Connections,
    lanes: Lanes,
    drain: Drain,
}

/// What each stream needs to be answered.
#[derive(Debug)]
struct Door {
    pipeline: Arc<Pipeline>,
    /// Streams whose frames are not here whole.
    frames: Room,
    replies: Replies,
    record: Arc<Record>,
    counts: Arc<SocketCounts>,
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
        let counts = Arc::new(SocketCounts::new(connections.clone()));
        let frames = Room::new(MAX_STREAMS, GivesWay::Newest);
        let door = Door { pipeline, frames, replies: Replies::default(), record: Arc::default(), counts };
        Self {
            endpoint,
            door: Arc::new(door),
            registry,
            accept_unregistered,
            clock,
            notices,
            connections,
            lanes: Lanes::default(),
            drain: Drain::default(),
        }
    }

    /// What left the socket.
    #[must_use]
    pub fn record(&self) -> &Arc<Record> {
        &self.door.record
    }

    /// Which certificates are good.
    #[must_use]
    pub const fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    /// What was counted at the socket.
    #[must_use]
    pub fn counts(&self) -> &Arc<SocketCounts> {
        &self.door.counts
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
            self.counts().turned_away(Unwelcome::Full);
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
                self.counts().turned_away(Unwelcome::Handshake);
                return tracing::debug!(%peer, %error, "handshake failed");
            }
            Err(_) => {
                self.counts().turned_away(Unwelcome::Handshake);
                return tracing::debug!(%peer, "handshake took too long");
            }
        };
        let peer = match crate::identity::peer(&connection) {
            Ok(peer) => peer,
            Err(error) => {
                self.counts().turned_away(Unwelcome::Unnamed);
                tracing::warn!(%error, "peer refused");
                return connection.close(code(Refusal::Unauthenticated), b"certificate names no agent");
            }
        };
        if !self.registry.admits(&peer, self.accept_unregistered) {
            self.counts().turned_away(Unwelcome::Unenrolled);
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
        // Ends when the connection does. QUIC itself bounds how many of its streams are open at once.
        while let Ok((mut send, receive)) = connection.accept_bi().await {
            let Some(under_way) = self.drain.begin() else {
                drop(send.reset(code(Refusal::ShuttingDown)));
                continue;
            };
            let (door, principal, lane) = (Arc::clone(&self.door), Arc::clone(&principal), Arc::clone(&lane));
            tokio::spawn(async move {
                door.answer((&principal, &lane), under_way, (send, receive)).await;
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

impl Door {
    /// Reads one frame, has it answered, and sends the reply.
    async fn answer(
        &self,
        (principal, lane): (&SpiffeId, &Lane),
        mut under_way: UnderWay,
        (mut send, mut receive): (SendStream, RecvStream),
    ) {
        let mut coming = self.frames.take_in(principal.as_str(), 1);
        let read = tokio::select! {
            read = frame::read(&mut receive, &self.pipeline, lane) => read,
            () = coming.given_up() => Err(Unread::Crowded),
        };
        drop(coming);
        let answer = match read {
            Ok(Arrived { frame, turn, trace }) => tokio::select! {
                biased;
                answer = self.pipeline.answer(principal, (lane, turn), (frame, trace)) => {
                    answer.map(|answer| self.leaving(answer))
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
            Err(Unread::Crowded) => {
                let _ = receive.stop(code(Refusal::QuotaExceeded));
                return self.take_back(send, Refusal::QuotaExceeded);
            }
            Err(Unread::Late) => {
                let _ = receive.stop(code(Refusal::FrameInvalid));
                return drop(send.reset(code(Refusal::FrameInvalid)));
            }
        };
        match answer {
            Some(answer) => self.send(answer, principal, &under_way, send).await,
            None => drop(send.reset(code(Refusal::ShuttingDown))),
        }
    }

    /// The frame that leaves. Tokens that the sealer let out stay here when the boundary has closed since: they are
    /// recorded, and asking again after re-arm fetches them.
    fn leaving(&self, answer: Answer) -> Answer {
        if answer.tokens == 0 || self.record.admit(answer.tokens, self.pipeline.boundary()) {
            answer
        } else {
            Answer::refused(Refusal::TokenUnavailable)
        }
    }

    /// Sends a reply, whole or not at all: what cannot leave whole has its stream reset. A large one is followed until its
    /// peer has it.
    async fn send(&self, answer: Answer, principal: &SpiffeId, under_way: &UnderWay, mut send: SendStream) {
        let Answer { frame, tokens, refused, place } = answer;
        refused.into_iter().for_each(|refusal| self.counts.refused(refusal));
        let mut way = self.replies.set_out(principal.as_str(), frame.len());
        drop(place);
        let mut standing = self.pipeline.boundary().subscribe();
        let closes = async { standing.wait_for(|standing| !standing.open).await.is_ok() };
        let stays = tokio::select! {
            biased;
            // What has not left when it closes stays here; the log keeps it, and asking again fetches it.
            true = closes, if tokens > 0 => Some(Refusal::TokenUnavailable),
            () = way.given_up() => Some(Refusal::QuotaExceeded),
            stays = written(&mut send, frame) => stays,
        };
        if let Some(refusal) = stays {
            return self.take_back(send, refusal);
        }
        // It fails where the peer wants no more of it.
        let _ = send.finish();
        if !under_way.is_last() && !way.takes_room() {
            return;
        }
        let arrives = async {
            if under_way.is_last() {
                // What closes would take back what has not arrived.
                let _ = tokio::time::timeout(DRAIN_PATIENCE, send.stopped()).await;
            } else {
                let _ = send.stopped().await;
            }
        };
        let was_given_up = tokio::select! {
            () = arrives => false,
            () = way.given_up() => true,
        };
        if was_given_up {
            self.take_back(send, Refusal::QuotaExceeded);
        }
    }

    fn take_back(&self, mut send: SendStream, refusal: Refusal) {
        self.counts.refused(refusal);
        // It fails where the connection has ended.
        let _ = send.reset(code(refusal));
    }
}

/// Hands a reply to QUIC, whole; or says why its stream is to be reset.
async fn written(send: &mut SendStream, reply: Vec<u8>) -> Option<Refusal> {
    match tokio::time::timeout(FRAME_DEADLINE, send.write_all_chunks(&mut [reply.into()])).await {
        // A peer that is gone, or wants it no more, loses only its own answer, which the log keeps.
        Ok(Ok(()) | Err(_)) => None,
        // One that gives no room for it, too; but of what it has it must not believe that it is all.
        Err(_) => Some(Refusal::QuotaExceeded),
    }
}

/// The application error code that closes a connection or resets a stream: the refusal's number.
fn code(refusal: Refusal) -> VarInt {
    VarInt::from_u32(u32::from(refusal.number()))
}
