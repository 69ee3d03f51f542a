//! Configuration: where the state lies, read once at `C_Initialize`.
//!
//! Without a folder the module starts and offers no slot: it never writes where nobody told it to.

use std::path::PathBuf;

/// The environment variable that names the folder of the simulator's state; created 0700 when missing.
pub const ENV_DIR: &str = "FIRMWARE_SIM_DIR";

/// What the environment says.
#[derive(Debug, Clone, Default)]
pub(crate) struct Configuration {
    /// The folder of the state, if one is named.
    pub(crate) folder: Option<PathBuf>,
}

impl Configuration {
    /// Reads the environment.
    pub(crate) fn from_environment() -> Self {
        Self { folder: std::env::var_os(ENV_DIR).filter(|folder| !folder.is_empty()).map(PathBuf::from) }
    }
}
