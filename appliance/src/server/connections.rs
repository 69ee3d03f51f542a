//! The connections that are open: counted, and closed when their agent is revoked.
//!
//! All of them share a number of streams, by powers of two. One that has more open than its share finishes them, and is given
//! credit for no other until it is within it; credit that was given cannot be taken back, so whoever connected while there were
//! few may open more. What all have sent and we have not read is bounded by the room for frames, in the server.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use quinn::{Connection, VarInt};

use crate::identity::Peer;
use crate::limits::{MAX_STREAMS, MIN_STREAMS_PER_CONNECTION};

/// Every open connection with who is at its other end.
#[derive(Clone, Debug)]
pub(super) struct Connections {
    open: Arc<Mutex<HashMap<usize, (Connection, Peer)>>>,
    /// Streams that one may have where there are few.
    streams: u32,
}

/// Takes a connection out of the count when it ends.
#[derive(Debug)]
pub(super) struct Open {
    id: usize,
    connections: Connections,
}

impl Connections {
    pub(super) fn new(streams: u32) -> Self {
        Self { open: Arc::default(), streams }
    }

    pub(super) fn insert(&self, connection: Connection, peer: Peer) -> Open {
        let id = connection.stable_id();
        let mut open = self.lock();
        let before = share(open.len(), self.streams);
        let now = share(open.len() + 1, self.streams);
        if now < self.streams {
            connection.set_max_concurrent_bi_streams(VarInt::from_u32(now));
        }
        open.insert(id, (connection, peer));
        if now != before {
            deal(&open, now);
        }
        drop(open);
        Open { id, connections: self.clone() }
    }

    pub(super) fn count(&self) -> u64 {
        self.lock().len() as u64
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

/// Streams of each of so many connections.
fn share(connections: usize, most: u32) -> u32 {
    let even = MAX_STREAMS / connections.max(1).next_power_of_two();
    u32::try_from(even).unwrap_or(u32::MAX).max(MIN_STREAMS_PER_CONNECTION).min(most)
}

fn deal(open: &HashMap<usize, (Connection, Peer)>, streams: u32) {
    for (connection, _) in open.values() {
        connection.set_max_concurrent_bi_streams(VarInt::from_u32(streams));
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let Connections { streams, .. } = self.connections;
        let mut open = self.connections.lock();
        let before = share(open.len(), streams);
        open.remove(&self.id);
        let now = share(open.len(), streams);
        if now != before {
            deal(&open, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::{MAX_CONNECTIONS, MAX_STREAMS_PER_CONNECTION};

    #[test]
    fn streams_are_shared_and_everybody_has_some() {
        let most = MAX_STREAMS_PER_CONNECTION;
        assert_eq!([0, 1, 32].map(|connections| share(connections, most)), [128, 128, 128]);
        assert_eq!([33, 64, 65, 512].map(|connections| share(connections, most)), [64, 64, 32, 8]);
        assert_eq!(share(MAX_CONNECTIONS, most), MIN_STREAMS_PER_CONNECTION);
        assert_eq!((share(1, 3), share(MAX_CONNECTIONS, 3)), (3, 3), "never more than is configured");
    }
}
