//! PINs: a salted, iterated hash, and a count of wrong tries.
//!
//! A PIN is never stored; after [`MAX_PIN_TRIES`] wrong tries in a row the right one is refused too, until the PIN is set anew.
//! The hash slows a guesser down by little, and the keys beside it are not encrypted under it: this is a simulator.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::failure::Failure;
use crate::hex;
use crate::limits::{MAX_PIN_BYTES, MAX_PIN_TRIES, MIN_PIN_BYTES, PIN_ROUNDS};

/// A PIN as it lies on disk.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PinRecord {
    #[serde(with = "hex")]
    salt: [u8; 16],
    #[serde(with = "hex")]
    hash: [u8; 32],
    rounds: u32,
    wrong_tries: u32,
}

impl PinRecord {
    /// A record of `pin` with a new salt and no wrong tries.
    pub(crate) fn new(pin: &[u8]) -> Result<Self, Failure> {
        if !(MIN_PIN_BYTES..=MAX_PIN_BYTES).contains(&pin.len()) {
            return Err(Failure::PinLengthRange);
        }
        let mut salt = [0; 16];
        getrandom::fill(&mut salt).map_err(|_| Failure::DeviceError)?;
        Ok(Self { salt, hash: digest(&salt, PIN_ROUNDS, pin), rounds: PIN_ROUNDS, wrong_tries: 0 })
    }

    /// Compares `pin` and counts a wrong one. The caller stores the record before it answers, so that no try is free.
    pub(crate) fn enter(&mut self, pin: &[u8]) -> Result<(), Failure> {
        if self.locked() {
            return Err(Failure::PinLocked);
        }
        if pin.len() <= MAX_PIN_BYTES && same(&digest(&self.salt, self.rounds, pin), &self.hash) {
            self.wrong_tries = 0;
            return Ok(());
        }
        self.wrong_tries = self.wrong_tries.saturating_add(1);
        Err(if self.locked() { Failure::PinLocked } else { Failure::PinIncorrect })
    }

    /// At least one wrong try since the last right one.
    pub(crate) const fn count_low(&self) -> bool {
        self.wrong_tries > 0
    }

    /// The next wrong try locks.
    pub(crate) const fn final_try(&self) -> bool {
        self.wrong_tries.saturating_add(1) == MAX_PIN_TRIES
    }

    /// No try is left.
    pub(crate) const fn locked(&self) -> bool {
        self.wrong_tries >= MAX_PIN_TRIES
    }
}

fn digest(salt: &[u8; 16], rounds: u32, pin: &[u8]) -> [u8; 32] {
    let mut hash: [u8; 32] = Sha256::new().chain_update(salt).chain_update(pin).finalize().into();
    for _ in 1..rounds.min(PIN_ROUNDS) {
        hash = Sha256::new().chain_update(hash).chain_update(salt).chain_update(pin).finalize().into();
    }
    hash
}

/// Equal, in a time that does not depend on where they differ.
fn same(left: &[u8; 32], right: &[u8; 32]) -> bool {
    left.iter().zip(right).fold(0, |difference, (a, b)| difference | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_wrong_tries_lock_out_the_right_pin() {
        let mut pin = PinRecord::new(b"1234").unwrap();
        for tried in 1..MAX_PIN_TRIES {
            assert_eq!(pin.enter(b"4321"), Err(Failure::PinIncorrect));
            assert!(pin.count_low());
            assert_eq!(pin.final_try(), tried + 1 == MAX_PIN_TRIES);
        }
        assert_eq!(pin.enter(b"4321"), Err(Failure::PinLocked));
        assert!(pin.locked());
        assert_eq!(pin.enter(b"1234"), Err(Failure::PinLocked));
    }

    #[test]
    fn the_right_pin_forgives_the_wrong_ones() {
        let mut pin = PinRecord::new(b"1234").unwrap();
        assert_eq!(pin.enter(b"4321"), Err(Failure::PinIncorrect));
        assert_eq!(pin.enter(b"1234"), Ok(()));
        assert!(!pin.count_low());
    }

    #[test]
    fn a_pin_too_short_or_too_long_is_refused() {
        assert_eq!(PinRecord::new(b"123").unwrap_err(), Failure::PinLengthRange);
        assert_eq!(PinRecord::new(&[b'1'; MAX_PIN_BYTES + 1]).unwrap_err(), Failure::PinLengthRange);
    }

    #[test]
    fn equal_pins_have_different_hashes() {
        assert_ne!(PinRecord::new(b"1234").unwrap().hash, PinRecord::new(b"1234").unwrap().hash);
    }
}
