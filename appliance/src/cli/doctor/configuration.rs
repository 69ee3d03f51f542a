//! The configuration: whether it says what an appliance can do, and which of its logs it means.

use std::path::Path;

use super::findings::Findings;
use crate::cli::output::chain;
use crate::config::{Config, ConfigError};
use crate::provision;

/// Reads it; without one there is nothing else to look at.
pub(super) fn examine(path: &Path, findings: &mut Findings) -> Option<Config> {
    let config = match Config::load(path) {
        Ok(config) => config,
        Err(error) => {
            findings.fail("configuration", chain(&error), next(&error, path));
            return None;
        }
    };
    findings.ok("configuration", format!("{}, origin {}", path.display(), config.origin()));
    match provision::agree(&config) {
        Ok(()) => {}
        Err(error) => {
            findings.fail("log number", chain(&error), "set `appliance.log` to the newest log's number");
        }
    }
    Some(config)
}

fn next(error: &ConfigError, path: &Path) -> String {
    match error {
        ConfigError::Missing { .. } => format!("`assent --config {} init`", path.display()),
        ConfigError::Unreadable { .. } => {
            format!("run this as the appliance's user, or chmod 0644 {}", path.display())
        }
        ConfigError::TooLong { .. }
        | ConfigError::Syntax { .. }
        | ConfigError::Unknown { .. }
        | ConfigError::Value { .. }
        | ConfigError::Sink { .. }
        | ConfigError::Beside { .. } => {
            format!("correct that line, then `assent --config {} config check`", path.display())
        }
    }
}
