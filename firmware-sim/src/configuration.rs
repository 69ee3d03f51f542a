//! Configuration: where the state lies and what stands behind us, read once at `C_Initialize`.
//!
//! Without a folder the stand-alone module starts and offers no slot: it never writes where nobody told it to.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::latency::{Latency, SettingsError};
use crate::limits::MAX_SETTINGS_BYTES;
use crate::store::Store;

/// The environment variable that names the folder of the simulator's state; created 0700 when missing.
pub const ENV_DIR: &str = "FIRMWARE_SIM_DIR";

/// The environment variable that names a PKCS#11 module to stand in front of.
pub const ENV_MODULE: &str = "FIRMWARE_SIM_MODULE";

/// The file in the folder that sets the pace.
pub const SETTINGS_FILE: &str = "firmware-sim.toml";

/// What the environment and the settings file say.
#[derive(Debug)]
pub(crate) struct Configuration {
    /// The folder of the state, if one is named; it exists.
    pub(crate) folder: Option<PathBuf>,
    /// The module that we stand in front of; stand-alone when none.
    pub(crate) module: Option<PathBuf>,
    pub(crate) latency: Latency,
}

/// Why the simulator cannot start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigurationError {
    #[error("cannot use the folder `{0}`: {1}")]
    Folder(PathBuf, io::Error),
    #[error("cannot read `{0}`: {1}")]
    Read(PathBuf, io::Error),
    #[error("`{0}`: {1}")]
    Settings(PathBuf, SettingsError),
}

impl Configuration {
    /// Reads the environment, makes the folder, and reads the settings in it.
    pub(crate) fn from_environment() -> Result<Self, ConfigurationError> {
        let folder = path_in(ENV_DIR);
        if let Some(folder) = &folder {
            Store::create(folder).map_err(|error| ConfigurationError::Folder(folder.clone(), error))?;
        }
        let latency = folder.as_deref().map_or_else(|| Ok(String::new()), settings)?;
        let from = folder.as_deref().unwrap_or(Path::new("")).join(SETTINGS_FILE);
        let latency =
            Latency::from_toml(&latency).map_err(|error| ConfigurationError::Settings(from, error))?;
        Ok(Self { folder, module: path_in(ENV_MODULE), latency })
    }
}

fn path_in(variable: &str) -> Option<PathBuf> {
    std::env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from)
}

fn settings(folder: &Path) -> Result<String, ConfigurationError> {
    let path = folder.join(SETTINGS_FILE);
    let mut text = String::new();
    let read = File::open(&path).and_then(|file| file.take(MAX_SETTINGS_BYTES).read_to_string(&mut text));
    match read {
        Ok(_) => Ok(text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(ConfigurationError::Read(path, error)),
    }
}
