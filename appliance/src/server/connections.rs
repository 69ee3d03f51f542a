//! The connections that are open: counted, and closed when their agent is revoked.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use quinn::{Connection, VarInt};

use crate::identity::Peer;

/// Every open connection with who is at its other end.
#[derive(Clone, Debug, Default)]
pub(super) struct Connections {
    open: Arc<Mutex<HashMap<usize, (Connection, Peer)>>>,
}

/// Takes a connection out of the count when it ends.
#[derive(Debug)]
pub(super) struct Open {
    id: usize,
    connections: Connections,
}

impl Connections {
    pub(super) fn insert(&self, connection: Connection, peer: Peer) -> Open {
        let id = connection.stable_id();
        self.lock().insert(id, (connection, peer));
        Open { id, connections: self.clone() }
    }

    pub(super) fn close_where(&self, wanted: impl Fn(&Peer) -> bool, code: VarInt, reason: &[u8]) {
        for (connection, peer) in self.lock().values() {
            if wanted(peer) {
                tracing::info!(principal = %peer.id, "connection closed");
                connection.close(code, reason);
            }
        }
    }

    /// The round trip of the slowest peer; none at all where nobody is connected.
    pub(super) fn slowest_round_trip(&self) -> Duration {
        self.lock().values().map(|(connection, _)| connection.rtt()).max().unwrap_or_default()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<usize, (Connection, Peer)>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.connections.lock().remove(&self.id);
    }
}
