//! Latency: how long a signature takes, and how many are made at once.
//!
//! A software signature is done before an HSM has heard of it. The profiles give the simulator the pace of a real device, so that what is
//! measured over it is not too good to be true.

use std::fmt;
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Profile {
    /// A USB device that signs one at a time.
    Yubihsm2,
    /// A device in a rack.
    NetworkHsm,
}

impl Profile {
    const ALL: [(Self, &str); 2] = [(Self::Yubihsm2, "yubihsm2"), (Self::NetworkHsm, "network-hsm")];

    const fn latency(self) -> Latency {
        match self {
            Self::Yubihsm2 => Latency::new(Duration::from_millis(114), 1),
            Self::NetworkHsm => Latency::new(Duration::from_millis(2), 8),
        }
    }
}

/// Why settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// Keys or values.
    #[error("not TOML or not our keys; a profile is yubihsm2 or network-hsm")]
    Toml(#[from] toml::de::Error),
    /// `latency`.
    #[error("latency")]
    Latency(#[from] crate::faults::line::LineError),
    /// `at_once`.
    #[error("`at_once` is {0}; it is from 1 to {MAX_SIGNATURES_AT_ONCE}")]
    AtOnce(usize),
    /// A profile, and more.
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
            Settings { profile: Some(profile), latency: None, at_once: None } => Ok(profile.latency()),
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

    /// No pace but the processor's.
    pub(crate) const fn none() -> Self {
        Self::new(Duration::ZERO, MAX_SIGNATURES_AT_ONCE)
    }

    const fn new(each: Duration, at_once: usize) -> Self {
        Self { each, at_once, busy: Mutex::new(0), free: Condvar::new() }
    }

    /// Waits for a turn and for the time that a signature takes. The turn ends when it is dropped, after the signature.
    pub(crate) fn turn(&self) -> Option<Turn<'_>> {
        if self.is(&Self::none()) {
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

    fn is(&self, other: &Self) -> bool {
        (self.each, self.at_once) == (other.each, other.at_once)
    }

    fn busy(&self) -> MutexGuard<'_, usize> {
        self.busy.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A profile's name, `none`, or the numbers.
impl fmt::Display for Latency {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let profile = Profile::ALL.into_iter().find(|(profile, _)| self.is(&profile.latency()));
        match profile {
            Some((_, name)) => out.write_str(name),
            None if self.is(&Self::none()) => out.write_str("none"),
            None => write!(out, "{} ms, {} at once", self.each.as_millis(), self.at_once),
        }
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
    fn a_pace_has_the_name_that_sets_it() {
        for text in ["yubihsm2", "network-hsm"] {
            assert_eq!(Latency::from_toml(&format!("profile = '{text}'")).unwrap().to_string(), text);
        }
        assert_eq!(Latency::from_toml("").unwrap().to_string(), "none");
        assert_eq!(
            Latency::from_toml("latency = '5ms'\nat_once = 3").unwrap().to_string(),
            "5 ms, 3 at once"
        );
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
