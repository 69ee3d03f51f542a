//! Keys as a slot describes them, and what an authority key must be.
//!
//! Born in the HSM, sensitive, never extractable: an attribute that the slot does not tell counts as a lack. This file
//! asks no module.

use super::{FaultKind, HsmFault};
use crate::log::hex::hex;

/// A private key in a slot, without its secret half, which nobody can read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    /// `CKA_ID`.
    pub(crate) id: Vec<u8>,
    pub(crate) label: String,
    /// `CKK_EC_EDWARDS`.
    pub(crate) is_edwards: bool,
    /// `CKA_SENSITIVE` and `CKA_ALWAYS_SENSITIVE`.
    pub(crate) sensitive: bool,
    /// Neither `CKA_EXTRACTABLE` now nor ever before (`CKA_NEVER_EXTRACTABLE`).
    pub(crate) never_extractable: bool,
    /// `CKA_LOCAL`: made here.
    pub(crate) local: bool,
    /// Its public half, when exactly one object tells it.
    pub(crate) public_key: Option<[u8; 32]>,
}

impl Key {
    /// What it lacks to be an authority key, the worst first.
    pub(crate) fn lacks(&self) -> Vec<FaultKind> {
        let demands = [
            (self.is_edwards, FaultKind::KeyAbsent),
            (self.never_extractable, FaultKind::KeyExtractable),
            (self.sensitive, FaultKind::KeyNotSensitive),
            (self.local, FaultKind::KeyImported),
            (self.public_key.is_some(), FaultKind::KeyUnreadable),
        ];
        demands.into_iter().filter(|(met, _)| !met).map(|(_, lack)| lack).collect()
    }

    /// The public half of a key that lacks nothing.
    pub(crate) fn require(&self) -> Result<[u8; 32], HsmFault> {
        let fault = |kind| HsmFault::new(kind, format!("id {}", hex(&self.id)));
        match (self.lacks().first(), self.public_key) {
            (None, Some(public_key)) => Ok(public_key),
            (Some(&lack), _) => Err(fault(lack)),
            (None, None) => Err(fault(FaultKind::KeyUnreadable)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Key {
        Key {
            id: vec![1],
            label: "authority".to_owned(),
            is_edwards: true,
            sensitive: true,
            never_extractable: true,
            local: true,
            public_key: Some([7; 32]),
        }
    }

    #[test]
    fn each_lack_refuses_the_key_by_its_own_name() {
        assert_eq!(good().require(), Ok([7; 32]));
        let cases = [
            (Key { is_edwards: false, ..good() }, FaultKind::KeyAbsent),
            (Key { never_extractable: false, ..good() }, FaultKind::KeyExtractable),
            (Key { sensitive: false, ..good() }, FaultKind::KeyNotSensitive),
            (Key { local: false, ..good() }, FaultKind::KeyImported),
            (Key { public_key: None, ..good() }, FaultKind::KeyUnreadable),
        ];
        for (key, lack) in cases {
            assert_eq!(key.require().unwrap_err().fault(), lack);
        }
    }
}
