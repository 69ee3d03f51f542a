//! What a guard believes: a trust, and the lowest epoch of each of its logs.
//!
//! One trust takes the place of another as a whole. The epochs go on: they are shared between the two, so that nothing that
//! is heard meanwhile is lost, and a log that is trusted again is held to what it said before.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use assent_proto::number::Epoch;
use assent_proto::token::UnverifiedToken;
use assent_proto::verify::TrustedWarrant;

use crate::trust::Trust;

/// Whose checkpoints are believed, and from which epochs on.
#[derive(Debug)]
pub(super) struct Believed {
    pub(super) trust: Trust,
    /// One for each log that is or was trusted, so that one log's trips say nothing of another's tokens.
    lowest_epochs: Vec<(&'static str, Arc<AtomicU64>)>,
}

impl Believed {
    /// Any epoch of the logs of this trust.
    pub(super) fn new(trust: Trust) -> Self {
        Self::with(trust, Vec::new(), Epoch(0))
    }

    /// The same epochs for another trust; logs that were never trusted before begin with `lowest`.
    pub(super) fn trusting(&self, trust: Trust, lowest: Epoch) -> Self {
        Self::with(trust, self.lowest_epochs.clone(), lowest)
    }

    fn with(trust: Trust, mut lowest_epochs: Vec<(&'static str, Arc<AtomicU64>)>, lowest: Epoch) -> Self {
        for trusted in trust.keys() {
            let name = trusted.key.name();
            if lowest_epochs.iter().all(|(origin, _)| *origin != name) {
                lowest_epochs.push((name, Arc::new(AtomicU64::new(lowest.0))));
            }
        }
        Self { trust, lowest_epochs }
    }

    /// Whether that log is trusted.
    pub(super) fn holds(&self, origin: &str) -> bool {
        self.trust.keys().iter().any(|trusted| trusted.key.name() == origin)
    }

    /// Raises the lowest epochs of these logs. They are never lowered.
    pub(super) fn raise(&self, of: impl Fn(&str) -> bool, lowest: Epoch) {
        for (_, epoch) in self.lowest_epochs.iter().filter(|(origin, _)| of(origin)) {
            epoch.fetch_max(lowest.0, Ordering::SeqCst);
        }
    }

    /// The lowest epoch of the log that the token is of. Should keys of several logs share its key ID, the highest counts.
    pub(super) fn lowest_epoch(&self, token: &[u8], warrants: &[TrustedWarrant<'_>]) -> Epoch {
        let Ok(token) = UnverifiedToken::parse(token) else { return Epoch(0) };
        let named = |origin: &str| {
            let mut keys = self.trust.keys().iter().map(|trusted| (trusted.key, trusted.key.name()));
            let mut under = warrants.iter().map(|warrant| (warrant.key, warrant.origin));
            keys.any(|(key, of)| key.id() == token.key_id && of == origin)
                || under.any(|(key, of)| key.id() == token.key_id && of == origin)
        };
        let lowest = self.lowest_epochs.iter().filter(|(origin, _)| named(origin));
        Epoch(lowest.map(|(_, epoch)| epoch.load(Ordering::SeqCst)).max().unwrap_or_default())
    }
}
