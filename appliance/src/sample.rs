//! The retail sample, carried in the binary: a store's bundle, and what its support agent asked to do.
//!
//! Source and licence: `appliance/samples/retail/README.md`.

use std::path::Path;

use crate::log::disk::{sync_folder_of, write_durably};

macro_rules! sample {
    ($($path:literal),+ $(,)?) => {
        &[$(($path, include_str!(concat!("../samples/retail/bundle/", $path)))),+]
    };
}

/// The bundle's files, by their path in it.
pub const BUNDLE: &[(&str, &str)] = sample![
    "catalog.cedarschema",
    "entities.json",
    "policies/guards.cedar",
    "policies/orders.cedar",
    "policies/profiles.cedar",
    "policies/services.cedar",
    "tests/orders.json",
    "tests/profiles.json",
    "tests/services.json",
];

/// The agent's intents, one JSON a line.
pub const INTENTS: &str = include_str!("../samples/retail/intents.jsonl");

/// What the store's rules say of each, one JSON a line.
pub const EXPECTED: &str = include_str!("../samples/retail/expected.jsonl");

/// What a bad day adds to the catalog, within its namespace.
pub const BAD_DAY_ACTIONS: &str = include_str!("../samples/retail/bad-day/actions.cedarschema");

/// What it adds to the policies.
pub const BAD_DAY_POLICIES: &str = include_str!("../samples/retail/bad-day/payments.cedar");

/// The agent that the bundle knows.
pub const AGENT: &str = "retail-support";

/// The executor that the intents are for.
pub const AUDIENCE: &str = "store-api";

/// Makes the bundle's folder, which must not hold anything yet. It appears under its name only when it is whole.
///
/// # Errors
/// When a file or folder cannot be written; then there is no such folder.
pub fn write_bundle(folder: &Path) -> std::io::Result<()> {
    let mut unfinished = folder.as_os_str().to_owned();
    unfinished.push(".unfinished");
    let unfinished = Path::new(&unfinished);
    match std::fs::remove_dir_all(unfinished) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        // A killed process left it.
        Ok(()) | Err(_) => {}
    }
    for (path, text) in BUNDLE {
        let file = unfinished.join(path);
        let inner = file.parent().unwrap_or(unfinished);
        std::fs::create_dir_all(inner)?;
        write_durably(&file, text.as_bytes(), 0o644)?;
        sync_folder_of(inner)?;
    }
    std::fs::rename(unfinished, folder)?;
    sync_folder_of(folder)
}
