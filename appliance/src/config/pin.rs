//! `[hsm]`, where the PIN is: in one place of three, and never in the configuration itself.

use std::path::PathBuf;

use super::ConfigError;
use super::reader::Section;
use super::sections::text;
use crate::hsm::{Pin, PinError, pin_source};

/// Where the PIN is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PinSource {
    /// In a file.
    File(PathBuf),
    /// In a systemd credential of this name.
    Credential(String),
}

impl PinSource {
    /// The file that it is in, if it is in one that the configuration names.
    #[must_use]
    pub fn file(&self) -> Option<PathBuf> {
        match self {
            Self::File(path) => Some(path.clone()),
            Self::Credential(_) => None,
        }
    }

    /// Reads the PIN.
    ///
    /// # Errors
    /// [`PinError`].
    pub fn read(&self) -> Result<Pin, PinError> {
        match self {
            Self::File(path) => Pin::from_file(path),
            Self::Credential(name) => Pin::from_credential(name),
        }
    }
}

/// The PIN's file, unless a credential or a `pin-source` is named in its place.
pub(super) fn read_pin(section: &mut Section<'_, '_>) -> Result<PinSource, ConfigError> {
    let named: Vec<_> =
        ["pin_file", "pin_credential", "pin_source"].into_iter().filter(|key| section.sets(key)).collect();
    if let [first, .., other] = named.as_slice() {
        return Err(section.beside(other, first));
    }
    let allowed = "the name of a systemd credential: A-Z, a-z, 0-9, dot, dash and underscore";
    let name = section.optional("pin_credential", allowed, |value| {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
        text(value, 255, fits).filter(|name| name != "." && name != "..")
    })?;
    let allowed =
        "a pin-source (RFC 7512): a `file:` URI or an absolute path; a command behind a bar is never run";
    let source = section.optional("pin_source", allowed, |value| pin_source(value.as_str()?).ok())?;
    let elsewhere = name.map(PinSource::Credential).or(source.map(PinSource::File));
    match elsewhere {
        Some(elsewhere) => {
            section.optional("pin_file", "a path", |_| Some(()))?;
            Ok(elsewhere)
        }
        None => section.path("pin_file", "hsm/pin").map(PinSource::File),
    }
}
