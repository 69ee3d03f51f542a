//! What is known of an offer, for the log's line about its refusal.
//!
//! The rule it keeps: whoever reads that a bundle was refused can tell which one it was, wherever its files could be read.

use assent_proto::hash::Hash;

use crate::limits::MAX_REASON_BYTES;
use crate::policy::admission::{LoadError, bounded};
use crate::policy::offer::{Offer, OfferError};

/// Digits of the digest that are shown: enough to find the bundle by.
const SHOWN_DIGITS: usize = 16;

/// What is known of an offer; nothing where it could not be read.
#[derive(Debug, Default)]
pub(super) struct Offered {
    pub(super) fingerprint: Hash,
    pub(super) version: Option<u64>,
    pub(super) digest: Option<Hash>,
}

impl Offered {
    pub(super) fn of(offer: &Result<Offer, OfferError>) -> Self {
        offer.as_ref().map_or_else(
            |_| Self::default(),
            |offer| Self {
                fingerprint: offer.fingerprint(),
                version: offer.manifest.version,
                digest: Some(Hash(offer.sources.digest())),
            },
        )
    }

    /// Why it is refused, in one bounded line: the label, the report's first words, and which bundle it was.
    pub(super) fn reason(&self, error: &LoadError) -> String {
        let reason = error.reason();
        let Some(digest) = self.digest else { return reason };
        let which = format!("; offered {:.SHOWN_DIGITS$}", digest.to_string());
        bounded(&reason, MAX_REASON_BYTES.saturating_sub(which.len())) + &which
    }
}
