//! The one connection that all of a client's tasks share: the live one, or a new one when it broke.
//!
//! It decides nothing on what passes over it, and does not try again by itself: who asks or listens does, each with its
//! own pauses.

use std::net::SocketAddr;

#[cfg(feature = "break-glass")]
use assent_proto::number::Timestamp;
use quinn::Connection;
use tokio::runtime::Handle;
use tokio::sync::{Mutex, Notify};
use tokio::time::Instant;

use super::addresses::{Sockets, first_that_serves, resolve};
use super::config::Config;
use super::error::ClientError;
use super::tls;
use crate::batch::{Batch, Outcomes, ReplyError};
use crate::clock;
#[cfg(feature = "break-glass")]
use crate::warrant::{AcceptError, Held, Warrant};

/// What asking and listening have in common.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) config: Config,
    pub(super) sockets: Sockets,
    /// Where tasks of this client run.
    pub(super) runtime: Handle,
    /// Told when a connection that lives on is given up.
    pub(super) forgotten: Notify,
    tls: quinn::ClientConfig,
    #[cfg(feature = "break-glass")]
    held: Held,
    /// Held while connecting, so that tasks which find it broken connect once, not once each.
    line: Mutex<Line>,
}

/// The live connection, where there is one, and where the last one led.
#[derive(Debug, Default)]
struct Line {
    connection: Option<Connection>,
    reached: Option<SocketAddr>,
}

impl Shared {
    /// Reads the certificates; connects to nobody yet. Within a runtime, which is the client's from here on.
    pub(super) fn begin(config: &Config) -> Result<Self, ClientError> {
        let tls = tls::client_config(config).map_err(ClientError::Config)?;
        Ok(Self {
            config: config.clone(),
            sockets: Sockets::default(),
            runtime: Handle::current(),
            forgotten: Notify::new(),
            tls,
            #[cfg(feature = "break-glass")]
            held: Held::default(),
            line: Mutex::default(),
        })
    }

    /// Opens an answer under the trust, where there is one, and the warrants that were accepted.
    pub(super) fn open(&self, batch: Batch, reply: &[u8]) -> Result<Outcomes, ReplyError> {
        let now = clock::now();
        match &self.config.trust {
            #[cfg(feature = "break-glass")]
            Some(trust) => {
                let held = self.held.all();
                batch.open_under(reply, trust, held.iter().map(AsRef::as_ref), now)
            }
            #[cfg(not(feature = "break-glass"))]
            Some(trust) => batch.open(reply, Some(trust), now),
            None => batch.open(reply, None, now),
        }
    }

    /// Believes a warrant, where a key that is trusted signed for its charter.
    #[cfg(feature = "break-glass")]
    pub(super) fn accept(&self, warrant: Warrant, now: Timestamp) -> Result<(), AcceptError> {
        let trust = self.config.trust.as_ref();
        if !trust.is_some_and(|trust| warrant.is_vouched_for_by(trust.keys())) {
            return Err(AcceptError::Untrusted);
        }
        self.held.accept(warrant, now)
    }

    /// Makes the next attempt connect anew. The connection ends when the last batch on it does.
    pub(super) async fn forget(&self, connection: &Connection) {
        let mut line = self.line.lock().await;
        if line.connection.as_ref().is_some_and(|held| held.stable_id() == connection.stable_id()) {
            line.connection = None;
            self.forgotten.notify_waiters();
        }
    }

    /// The live connection, or a new one.
    pub(super) async fn connected(&self) -> Result<Connection, ClientError> {
        let mut line = self.line.lock().await;
        if let Some(live) = line.connection.as_ref().filter(|held| held.close_reason().is_none()) {
            return Ok(live.clone());
        }
        line.connection = None;
        let Config { addr, connect_timeout, .. } = &self.config;
        let span = (Instant::now(), *connect_timeout);
        let mut addresses = resolve(addr, *connect_timeout).await?;
        // Where it was last it is most likely again.
        addresses.sort_by_key(|address| line.reached != Some(*address));
        let no_answer = || ClientError::NoAnswer { addr: addr.clone(), waited: *connect_timeout };
        let connection =
            first_that_serves(&addresses, span, |remote| self.attempt(remote), no_answer).await?;
        line.reached = Some(connection.remote_address());
        line.connection = Some(connection.clone());
        Ok(connection)
    }

    /// One attempt to connect, to this address.
    async fn attempt(&self, remote: SocketAddr) -> Result<Connection, ClientError> {
        let socket = self.sockets.toward(remote, &self.runtime)?;
        let connecting = socket
            .connect_with(self.tls.clone(), remote, &self.config.server_name)
            .map_err(|error| ClientError::Endpoint(error.to_string()))?;
        connecting.await.map_err(|reason| ClientError::of_connection(&self.config.addr, reason))
    }
}
