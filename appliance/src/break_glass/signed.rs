//! Signatures under an act: one for each operator, in the order of the list of keys, as an entry holds them.
//!
//! A verifier takes no signature beside those of the operators who are named, so what is there twice is left out here.

use std::collections::BTreeMap;

use assent_proto::limits::MAX_ACT_SIGNATURES;

use crate::operators::{Quorum, QuorumError, SignatureFile};

/// Who signed, and what they wrote.
#[derive(Debug)]
pub(super) struct Signed {
    pub(super) names: Vec<String>,
    /// Places in the list of keys, ascending.
    pub(super) places: Vec<u8>,
    pub(super) texts: Vec<String>,
}

impl Signed {
    /// Enough of these operators signed this statement.
    pub(super) fn by(
        quorum: &Quorum,
        namespace: &str,
        statement: &str,
        signatures: &[SignatureFile],
    ) -> Result<Self, QuorumError> {
        let signers = quorum.verify(namespace, statement.as_bytes(), signatures)?;
        let mut of_place = BTreeMap::new();
        for file in signatures {
            if let Ok(place) = quorum.verify_one(namespace, statement.as_bytes(), file) {
                of_place.entry(place).or_insert_with(|| file.text.clone());
            }
        }
        // More than an entry holds are more than must sign: whoever made the list saw to that.
        let names = signers.names().iter().take(MAX_ACT_SIGNATURES).cloned().collect();
        let places = of_place.keys().take(MAX_ACT_SIGNATURES);
        let places = places.map(|place| u8::try_from(*place).unwrap_or(u8::MAX)).collect();
        Ok(Self { names, places, texts: of_place.into_values().take(MAX_ACT_SIGNATURES).collect() })
    }
}
