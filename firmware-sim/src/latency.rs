//! Latency: how long a signature takes, and how many are made at once.
//!
//! A software signature is done before an HSM has heard of it. The profiles give the simulator the pace of a real device, so that what is
//! measured over it is not too good to be true.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::sleep;
use std::time::Duration;

use serde::Deserialize;

use crate::faults::line::duration;
use crate::limits::MAX_SIGNATURES_AT_ONCE;

/// The file `firmware-sim.toml`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    profile: Option<Profile>,
    latency: Option<String>,
    at_once: Option<usize>,
}

/// The pace of a device.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Profile {
    /// A USB device that signs one at a time.
    Yubihsm2,
    /// A device in a rack.
    NetworkHsm,
}

/// Why settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SettingsError {
    #[error("not TOML, or not our keys")]
    Toml(#[from] toml::de::Error),
    #[error("latency")]
    Latency(#[from] crate::faults::line::LineError),
    #[error("`at_once` is {0}; it is from 1 to {MAX_SIGNATURES_AT_ONCE}")]
    AtOnce(usize),
    #[error("`profile` stands alone, or `latency` and `at_once` do")]
    Both,
}

/// What every signature passes.
#[derive(Debug)]
pub(crate) struct Latency {
    each: Duration,
    at_once: usize,
    busy: Mutex<usize>,
    free: Condvar,
}

impl Latency {
    /// The pace that `text` sets; none by default.
    pub(crate) fn from_toml(text: &str) -> Result<Self, SettingsError> {
        let settings: Settings = toml::from_str(text)?;
        match settings {
            Settings { profile: Some(profile), latency: None, at_once: None } => Ok(match profile {
                Profile::Yubihsm2 => Self::new(Duration::from_millis(114), 1),
                Profile::NetworkHsm => Self::new(Duration::from_millis(2), 8),
            }),
            Settings { profile: Some(_), .. } => Err(SettingsError::Both),
            Settings { profile: None, latency, at_once } => {
                let each = latency.map_or(Ok(Duration::ZERO), |latency| duration(&latency))?;
                let at_once = at_once.unwrap_or(MAX_SIGNATURES_AT_ONCE);
                if !(1..=MAX_SIGNATURES_AT_ONCE).contains(&at_once) {
                    return Err(SettingsError::AtOnce(at_once));
                }
                Ok(Self::new(each, at_once))
            }
        }
    }

    const fn new(each: Duration, at_once: usize) -> Self {
        Self { each, at_once, busy: Mutex::new(0), free: Condvar::new() }
    }

    /// Waits for a turn and for the time that a signature takes. The turn ends when it is dropped, after the signature.
    pub(crate) fn turn(&self) -> Option<Turn<'_>> {
        if self.each.is_zero() && self.at_once == MAX_SIGNATURES_AT_ONCE {
            return None;
        }
        let mut busy = self.busy();
        while *busy >= self.at_once {
            busy = self.free.wait(busy).unwrap_or_else(PoisonError::into_inner);
        }
        *busy = busy.saturating_add(1);
        drop(busy);
        let turn = Turn { of: self };
        sleep(self.each);
        Some(turn)
    }

    fn busy(&self) -> MutexGuard<'_, usize> {
        self.busy.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One of the signatures that are made at once.
#[derive(Debug)]
pub(crate) struct Turn<'a> {
    of: &'a Latency,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut busy = self.of.busy();
        *busy = busy.saturating_sub(1);
        self.of.free.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_or_numbers_set_the_pace() {
        let pace = |text| Latency::from_toml(text).map(|latency| (latency.each.as_millis(), latency.at_once));
        assert_eq!(pace("").unwrap(), (0, MAX_SIGNATURES_AT_ONCE));
        assert_eq!(pace("profile = 'yubihsm2'").unwrap(), (114, 1));
        assert_eq!(pace("profile = 'network-hsm'").unwrap(), (2, 8));
        assert_eq!(pace("latency = '5ms'\nat_once = 3").unwrap(), (5, 3));
    }

    #[test]
    fn settings_that_cannot_be_meant_are_refused() {
        for text in [
            "profile = 'fast'",
            "profile = 'yubihsm2'\nat_once = 2",
            "at_once = 0",
            "at_once = 100000",
            "latency = 'soon'",
            "speed = 1",
        ] {
            assert!(Latency::from_toml(text).is_err(), "{text}");
        }
    }
}
