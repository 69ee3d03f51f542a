//! The one connection that all of a client's tasks share: the live one, or a new one when it broke.
//!
//! It decides nothing on what passes over it, and does not try again by itself: who asks or listens does, each with its
//! own pauses.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

#[cfg(feature = "break-glass")]
use assent_proto::number::Timestamp;
use quinn::{Connection, Endpoint};
use tokio::runtime::Handle;
use tokio::sync::{Mutex, Notify};
use tokio::time::timeout;

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
    pub(super) endpoint: Endpoint,
    /// Where tasks of this client run.
    pub(super) runtime: Handle,
    /// Told when a connection that lives on is given up.
    pub(super) forgotten: Notify,
    tls: quinn::ClientConfig,
    #[cfg(feature = "break-glass")]
    held: Held,
    /// Held while connecting, so that tasks which find it broken connect once, not once each.
    connection: Mutex<Option<Connection>>,
}

impl Shared {
    /// Reads the certificates and opens a socket; connects to nobody yet.
    pub(super) async fn begin(config: &Config) -> Result<Self, ClientError> {
        let tls = tls::client_config(config).map_err(ClientError::Config)?;
        let remote = resolve(&config.addr).await?;
        let any: SocketAddr = if remote.is_ipv6() {
            (Ipv6Addr::UNSPECIFIED, 0).into()
        } else {
            (Ipv4Addr::UNSPECIFIED, 0).into()
        };
        let endpoint = Endpoint::client(any).map_err(ClientError::Socket)?;
        Ok(Self {
            config: config.clone(),
            endpoint,
            runtime: Handle::current(),
            forgotten: Notify::new(),
            tls,
            #[cfg(feature = "break-glass")]
            held: Held::default(),
            connection: Mutex::new(None),
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
        let mut held = self.connection.lock().await;
        if held.as_ref().is_some_and(|held| held.stable_id() == connection.stable_id()) {
            *held = None;
            self.forgotten.notify_waiters();
        }
    }

    /// The live connection, or a new one.
    pub(super) async fn connected(&self) -> Result<Connection, ClientError> {
        let mut held = self.connection.lock().await;
        if let Some(live) = held.as_ref().filter(|connection| connection.close_reason().is_none()) {
            return Ok(live.clone());
        }
        *held = None;
        let remote = resolve(&self.config.addr).await?;
        let connecting = self
            .endpoint
            .connect_with(self.tls.clone(), remote, &self.config.server_name)
            .map_err(|error| ClientError::Endpoint(error.to_string()))?;
        let no_answer =
            || ClientError::NoAnswer { addr: self.config.addr.clone(), waited: self.config.connect_timeout };
        let connection = timeout(self.config.connect_timeout, connecting)
            .await
            .map_err(|_| no_answer())?
            .map_err(|reason| ClientError::of_connection(&self.config.addr, reason))?;
        *held = Some(connection.clone());
        Ok(connection)
    }
}

async fn resolve(addr: &str) -> Result<SocketAddr, ClientError> {
    let unresolved = |source| ClientError::Resolve { addr: addr.to_owned(), source };
    let mut found = tokio::net::lookup_host(addr).await.map_err(unresolved)?;
    found.next().ok_or_else(|| unresolved(std::io::ErrorKind::NotFound.into()))
}
