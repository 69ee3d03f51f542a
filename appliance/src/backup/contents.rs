//! What belongs to an appliance, by its name in a backup and its place on the machine.
//!
//! The one rule: what is not listed here is in no backup. The PIN, the keys of warrants, the HSM's own state and secrets of
//! escalation sinks are not; neither is the outbox, which would tell people again what they know.

use std::path::{Path, PathBuf};

use super::{BackupError, CONFIGURATION, DATA, file};
use crate::config::{Config, Signers};
use crate::passkeys;
use crate::policy::{archive, store};
use crate::provision;

/// Stores that a running appliance may be writing.
pub(super) const SHELVES: [&str; 2] = [store::FILE, passkeys::FILE];

/// A file or folder of the appliance's.
#[derive(Clone, Debug)]
pub(super) struct Item {
    /// Its name in a backup.
    pub(super) name: String,
    /// Where it lies.
    pub(super) place: PathBuf,
    /// Whether it is a private key.
    pub(super) is_private: bool,
}

impl Item {
    fn new(name: &str, place: PathBuf) -> Self {
        Self { name: name.to_owned(), place, is_private: false }
    }

    fn private(name: &str, place: PathBuf) -> Self {
        Self { is_private: true, ..Self::new(name, place) }
    }

    /// Something in the data folder.
    fn data(config: &Config, name: &str) -> Self {
        Self::new(&format!("{DATA}/{name}"), config.appliance.data.join(name))
    }
}

/// The latch beside the fence.
pub(super) fn latch(config: &Config) -> PathBuf {
    config.latch_file()
}

/// What lies outside the data folder, and may be there already where a backup is put back.
pub(super) fn beside(config: &Config) -> Vec<Item> {
    let tls = &config.tls;
    let mut items = vec![
        Item::new(CONFIGURATION, config.file.clone()),
        Item::new("bundle", config.policy.bundle.clone()),
        Item::new("tls/ca.pem", tls.ca.clone()),
        Item::new("tls/server.pem", tls.certificate.clone()),
        Item::new("fence.latch", latch(config)),
        Item::private("tls/ca.key", config.ca_key()),
        Item::private("tls/server.key", tls.key.clone()),
        Item::private("witness.key", config.witnessing.key.clone()),
    ];
    let lists = [("policy.signers", &config.policy.signers), ("hsm.operators", &config.hsm.operators)];
    for (name, list) in lists {
        items.extend(list.as_ref().and_then(Signers::file).map(|place| Item::new(name, place)));
    }
    items
}

/// What lies in the data folder beside the logs.
pub(super) fn data(config: &Config) -> Vec<Item> {
    ["agents.json", archive::FOLDER, "witness"]
        .into_iter()
        .chain(SHELVES)
        .map(|name| Item::data(config, name))
        .collect()
}

/// Key rings of all logs: copied before the log, for a log may know one hand-over more than its ring, and not the other way.
pub(super) fn rings(config: &Config) -> Result<Vec<Item>, BackupError> {
    logs(config, |name| name.ends_with(".keys.toml"))
}

/// The logs that another one succeeded, which nobody writes any more.
pub(super) fn older_logs(config: &Config) -> Result<Vec<Item>, BackupError> {
    let newest = provision::log_file(config);
    let of_newest = newest.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default().to_owned();
    logs(config, |name| {
        let stem = name.strip_suffix(".redb").or_else(|| name.strip_suffix(".volumes"));
        stem.is_some_and(|stem| stem != of_newest)
    })
}

fn logs(config: &Config, is_wanted: impl Fn(&str) -> bool) -> Result<Vec<Item>, BackupError> {
    let data = &config.appliance.data;
    let mut items = Vec::new();
    for entry in std::fs::read_dir(data).map_err(file("look into", data))? {
        let name = entry.map_err(file("look into", data))?.file_name();
        let Some(name) = name.to_str().filter(|name| name.starts_with("log-")) else { continue };
        if is_wanted(name) {
            items.push(Item::data(config, name));
        }
    }
    items.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(items)
}

/// What is in the way of putting a backup back: whatever of an appliance's own lies in the data folder.
pub(super) fn in_the_way(config: &Config) -> Option<PathBuf> {
    let of_logs = |name: &str| name.starts_with("log-");
    let logs = logs(config, of_logs).unwrap_or_default();
    logs.into_iter().chain(data(config)).map(|item| item.place).find(|place| place.exists())
}

/// Where the log of a backup lies in it.
pub(super) fn log_in(backup: &Path, config: &Config) -> PathBuf {
    let log = provision::log_file(config);
    backup.join(DATA).join(log.file_name().unwrap_or_default())
}

/// Where the key ring of that log lies in it.
pub(super) fn ring_in(backup: &Path, config: &Config) -> PathBuf {
    let ring = provision::keyring_file(config);
    backup.join(DATA).join(ring.file_name().unwrap_or_default())
}
