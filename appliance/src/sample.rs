//! The retail sample, carried in the binary: a store's bundle, and what its support agent asked to do.
//!
//! Source and licence: `appliance/samples/retail/README.md`.

use std::path::Path;

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

/// The agent that the bundle knows.
pub const AGENT: &str = "retail-support";

/// The executor that the intents are for.
pub const AUDIENCE: &str = "store-api";

/// Writes the bundle into a folder.
///
/// # Errors
/// When a file cannot be written.
pub fn write_bundle(folder: &Path) -> std::io::Result<()> {
    for (path, text) in BUNDLE {
        let file = folder.join(path);
        std::fs::create_dir_all(file.parent().unwrap_or(folder))?;
        std::fs::write(file, text)?;
    }
    Ok(())
}
