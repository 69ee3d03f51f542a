//! Keys as a slot describes them, and what an authority key must be.
//!
//! Born in the HSM, sensitive, never extractable: an attribute that the slot does not tell counts as a lack. This file
//! asks no module.

use super::{FaultKind, HsmFault};

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

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The bytes of an even number of hexadecimal digits, at least two.
pub(crate) fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let pairs = text.as_bytes().chunks(2).map(|pair| match pair {
        [high, low] => Some(digit(high)? << 4 | digit(low)?),
        _ => None,
    });
    if text.is_empty() { None } else { pairs.collect() }
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

    #[test]
    fn hexadecimal_comes_back() {
        assert_eq!(hex(&[0, 0xa1, 0xff]), "00a1ff");
        assert_eq!(unhex("00A1ff"), Some(vec![0, 0xa1, 0xff]));
        for bad in ["", "1", "0g", "+1", "012"] {
            assert_eq!(unhex(bad), None, "{bad}");
        }
    }
}
