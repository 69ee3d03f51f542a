//! Configuration: where the state lies and what stands behind us, read once at `C_Initialize`.
//!
//! Without a folder the stand-alone module starts and offers no slot: it never writes where nobody told it to.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
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

/// Why the simulator cannot start, or its pace not be set.
#[derive(Debug, thiserror::Error)]
pub enum ConfigurationError {
    /// The folder of the state.
    #[error("cannot use the folder `{0}`: {1}")]
    Folder(PathBuf, io::Error),
    /// The settings file, on the way in.
    #[error("cannot read `{0}`: {1}")]
    Read(PathBuf, io::Error),
    /// The settings file, on the way out.
    #[error("cannot write `{0}`: {1}")]
    Write(PathBuf, io::Error),
    /// What it says.
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
        let latency = folder.as_deref().map_or_else(|| Ok(Latency::none()), latency)?;
        Ok(Self { folder, module: path_in(ENV_MODULE), latency })
    }
}

/// The pace of signatures that the settings in `folder` ask for, as `status` names it.
pub(crate) fn pace(folder: &Path) -> Result<String, ConfigurationError> {
    latency(folder).map(|latency| latency.to_string())
}

/// Makes `name` the pace of `folder` from the next load on: a profile, or `none`. Other settings there are replaced.
pub(crate) fn choose_pace(folder: &Path, name: &str) -> Result<String, ConfigurationError> {
    Store::create(folder).map_err(|error| ConfigurationError::Folder(folder.to_owned(), error))?;
    let (path, beside) = (folder.join(SETTINGS_FILE), folder.join("firmware-sim.toml.new"));
    let text = if name == "none" { String::new() } else { format!("profile = {name:?}\n") };
    let chosen =
        Latency::from_toml(&text).map_err(|error| ConfigurationError::Settings(path.clone(), error))?;
    let mut options = OpenOptions::new();
    let written = options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&beside)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .and_then(|()| fs::rename(&beside, &path));
    written.map_err(|error| ConfigurationError::Write(path, error))?;
    Ok(chosen.to_string())
}

fn latency(folder: &Path) -> Result<Latency, ConfigurationError> {
    let text = settings(folder)?;
    Latency::from_toml(&text).map_err(|error| ConfigurationError::Settings(folder.join(SETTINGS_FILE), error))
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
