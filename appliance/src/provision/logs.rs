//! Logs by number: where each lies, and whether the configuration names the one that is to be served.
//!
//! The rule it keeps: `appliance.log` says which log is meant, and no log is served, read by default or founded but the newest
//! one here. A log that was succeeded is for auditors; one that does not exist yet is opened by operators, not by a start.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::ProvisionError;
use crate::config::Config;
use crate::log::keyring::Keyring;

/// The log's database.
#[must_use]
pub fn log_file(config: &Config) -> PathBuf {
    log_file_of(config, config.appliance.log)
}

/// The log's key ring.
#[must_use]
pub fn keyring_file(config: &Config) -> PathBuf {
    keyring_file_of(config, config.appliance.log)
}

/// The database of the log of this number.
pub(super) fn log_file_of(config: &Config, log: u32) -> PathBuf {
    config.appliance.data.join(format!("log-{log}.redb"))
}

/// The key ring of the log of this number.
pub(super) fn keyring_file_of(config: &Config, log: u32) -> PathBuf {
    config.appliance.data.join(format!("log-{log}.keys.toml"))
}

/// The number of the newest log in the data folder; none where there is none.
pub(super) fn newest(config: &Config) -> Option<u32> {
    numbers(config, ".redb").into_iter().next_back()
}

/// The numbers of the logs of which there is a file with this ending, ascending.
fn numbers(config: &Config, ending: &str) -> BTreeSet<u32> {
    let Ok(names) = std::fs::read_dir(&config.appliance.data) else { return BTreeSet::new() };
    let number = |name: &str| name.strip_prefix("log-")?.strip_suffix(ending)?.parse().ok();
    names.filter_map(|name| number(name.ok()?.file_name().to_str()?)).collect()
}

/// Refuses a log that another one has succeeded.
///
/// # Errors
/// [`ProvisionError::Succeeded`].
pub fn agree(config: &Config) -> Result<(), ProvisionError> {
    let configured = config.appliance.log;
    match newest(config) {
        Some(newest) if newest > configured => Err(ProvisionError::Succeeded { configured, newest }),
        Some(_) | None => Ok(()),
    }
}

/// The verifier keys of the log: the HSM is held to the one that signs, and `hsm.key_id` only founds the first.
///
/// # Errors
/// [`ProvisionError::NotPinned`] or [`ProvisionError::NotOpened`] where no log was made; [`ProvisionError::Succeeded`].
pub fn keyring(config: &Config) -> Result<Keyring, ProvisionError> {
    agree(config)?;
    let number = config.appliance.log;
    if number > 1 && !log_file(config).exists() {
        return Err(ProvisionError::NotOpened(number));
    }
    let path = keyring_file_of(config, number);
    Keyring::load(&path)?.ok_or(ProvisionError::NotPinned(path))
}

/// The verifier keys of the logs before the configured one whose rings are here, the oldest first.
///
/// # Errors
/// [`ProvisionError::Keyring`].
pub fn keyrings_before(config: &Config) -> Result<Vec<Keyring>, ProvisionError> {
    let before = numbers(config, ".keys.toml").into_iter().filter(|number| *number < config.appliance.log);
    let rings = before.map(|number| Keyring::load(&keyring_file_of(config, number)));
    rings.filter_map(Result::transpose).map(|ring| Ok(ring?)).collect()
}
