//! The counts of the socket: who was not let in, which frames were refused as a whole, and how many agents are connected.
//!
//! It is for monitoring; the record of what left is another matter. It names nobody: who was turned away, the traces tell.

use std::sync::atomic::{AtomicU64, Ordering};

use assent_proto::refusal::Refusal;

use super::connections::Connections;

/// Why a peer was not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unwelcome {
    /// There are as many connections as there may be.
    Full,
    /// The handshake failed, or took too long: the certificate is missing, expired or of another CA, or it was no agent at all.
    Handshake,
    /// The certificate names no agent.
    Unnamed,
    /// The agent is revoked, or not enrolled.
    Unenrolled,
}

impl Unwelcome {
    const ALL: [(Self, &str); 4] = [
        (Self::Full, "full"),
        (Self::Handshake, "handshake"),
        (Self::Unnamed, "unnamed"),
        (Self::Unenrolled, "unenrolled"),
    ];
}

/// What was counted since the start.
#[derive(Debug)]
pub struct SocketCounts {
    connections: Connections,
    peers: [AtomicU64; Unwelcome::ALL.len()],
    /// In the order of the refusals' numbers.
    frames: [AtomicU64; Refusal::ALL.len()],
}

impl SocketCounts {
    pub(super) fn new(connections: Connections) -> Self {
        let (peers, frames) =
            (std::array::from_fn(|_| AtomicU64::new(0)), std::array::from_fn(|_| AtomicU64::new(0)));
        Self { connections, peers, frames }
    }

    pub(super) fn turned_away(&self, why: Unwelcome) {
        let counts = Unwelcome::ALL.iter().zip(&self.peers);
        counts.filter(|((kind, _), _)| *kind == why).for_each(|(_, count)| {
            count.fetch_add(1, Ordering::Relaxed);
        });
    }

    pub(super) fn refused(&self, refusal: Refusal) {
        let place = usize::from(refusal.number()).checked_sub(1);
        if let Some(count) = place.and_then(|place| self.frames.get(place)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Agents that are connected.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.connections.count()
    }

    /// Peers that were not let in, by reason.
    pub fn peers(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let counts = Unwelcome::ALL.iter().zip(&self.peers);
        counts.map(|((_, label), count)| (*label, count.load(Ordering::Relaxed)))
    }

    /// Frames that were refused as a whole, for each of [`Refusal::ALL`].
    pub fn frames(&self) -> impl Iterator<Item = u64> {
        self.frames.iter().map(|count| count.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_has_a_count_of_its_own() {
        let counts = SocketCounts::new(Connections::new(1));
        counts.turned_away(Unwelcome::Handshake);
        counts.turned_away(Unwelcome::Handshake);
        counts.turned_away(Unwelcome::Unenrolled);
        let peers: Vec<_> = counts.peers().collect();
        assert_eq!(peers, [("full", 0), ("handshake", 2), ("unnamed", 0), ("unenrolled", 1)]);
        Refusal::ALL.iter().for_each(|refusal| counts.refused(*refusal));
        counts.refused(Refusal::FrameInvalid);
        for (refusal, count) in Refusal::ALL.iter().zip(counts.frames()) {
            assert_eq!(count, 1 + u64::from(*refusal == Refusal::FrameInvalid), "{refusal}");
        }
        assert_eq!(counts.connections(), 0);
    }
}
