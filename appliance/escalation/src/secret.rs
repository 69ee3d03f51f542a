//! Secrets of sinks: lines of a file that only its owner can read. They are wiped when they are dropped and never shown.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::limits::{MAX_SECRET_BYTES, MAX_SECRETS};

/// What others than the owner may be allowed: nothing.
const OTHERS: u32 = 0o077;

/// A secret.
pub(crate) struct Secret(Zeroizing<String>);

/// Why there is no secret.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The file cannot be read.
    #[error("cannot read the secret from {}; give a file that the appliance's user owns", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Others can read or write it.
    #[error("others can open {} (mode {mode:03o}); run chmod 0600 on it", path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It is not what it should be.
    #[error("{} holds no secret of this kind: give {expected}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        expected: &'static str,
    },
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Secret(..)")
    }
}

impl Secret {
    /// The secret, for the request that carries or uses it.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }

    /// The lines of a file, one secret each: at least one, at most [`MAX_SECRETS`].
    pub(crate) fn lines(path: &Path, expected: &'static str) -> Result<Vec<Self>, SecretError> {
        let unreadable = |source| SecretError::Unreadable { path: path.to_owned(), source };
        let malformed = || SecretError::Malformed { path: path.to_owned(), expected };
        let file = File::open(path).map_err(unreadable)?;
        let mode = file.metadata().map_err(unreadable)?.permissions().mode() & 0o777;
        if mode & OTHERS != 0 {
            return Err(SecretError::Exposed { path: path.to_owned(), mode });
        }
        // The capacity holds all that is read, so that no copy is left behind by growing.
        let most = usize::try_from(MAX_SECRET_BYTES).unwrap_or(usize::MAX);
        let mut text = Zeroizing::new(String::with_capacity(most.saturating_add(1)));
        file.take(MAX_SECRET_BYTES + 1).read_to_string(&mut text).map_err(unreadable)?;
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let secrets: Vec<Self> = lines.map(|line| Self(Zeroizing::new(line.to_owned()))).collect();
        if text.len() > most || !(1..=MAX_SECRETS).contains(&secrets.len()) {
            return Err(malformed());
        }
        Ok(secrets)
    }

    /// The one line of a file.
    pub(crate) fn line(path: &Path, expected: &'static str) -> Result<Self, SecretError> {
        let malformed = || SecretError::Malformed { path: path.to_owned(), expected };
        let mut secrets = Self::lines(path, expected)?;
        let one = secrets.pop().ok_or_else(malformed)?;
        if secrets.is_empty() { Ok(one) } else { Err(malformed()) }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::fs::Permissions;

    use super::*;

    /// A file that only its owner can read.
    pub(crate) fn file(folder: &Path, name: &str, text: &str) -> PathBuf {
        let path = folder.join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        path
    }

    #[test]
    fn a_file_open_to_others_is_refused_with_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let path = file(folder.path(), "key", "abc\n");
        assert_eq!(Secret::line(&path, "a key").unwrap().reveal(), "abc");
        for mode in [0o640, 0o604, 0o660, 0o601] {
            std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            let error = Secret::line(&path, "a key").unwrap_err().to_string();
            assert_eq!(
                error,
                format!("others can open {} (mode {mode:o}); run chmod 0600 on it", path.display())
            );
        }
    }

    #[test]
    fn what_is_no_secret_is_refused_and_never_shown() {
        let folder = tempfile::tempdir().unwrap();
        let long = "x".repeat(5000);
        for text in ["", "\n \n", "a\nb", long.as_str()] {
            let error = Secret::line(&file(folder.path(), "key", text), "a key").unwrap_err();
            assert!(error.to_string().ends_with("key holds no secret of this kind: give a key"), "{error}");
        }
        assert!(Secret::lines(&file(folder.path(), "key", "1\n2\n3\n4\n5"), "keys").is_err());
        let secrets = Secret::lines(&file(folder.path(), "key", "hush\n\nhush hush\n"), "keys").unwrap();
        assert_eq!(format!("{secrets:?}"), "[Secret(..), Secret(..)]");
        assert!(Secret::line(&folder.path().join("none"), "a key").is_err());
    }
}
