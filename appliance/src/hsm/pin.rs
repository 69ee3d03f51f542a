//! PINs: bytes that are wiped when they are dropped and are never shown.
//!
//! They come from a file, a prompt, a systemd credential or the `pin-source` of a PKCS#11 URI; never from a command line or the environment, where every
//! process of the machine reads along. This file does not know what a PIN opens.

use std::ffi::OsString;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

use crate::limits::MAX_PIN_BYTES;

/// Characters of a wrong pin-source that an error repeats.
const MAX_SOURCE_CHARS: usize = 80;

/// A PIN.
#[derive(Clone)]
pub struct Pin(Zeroizing<Vec<u8>>);

/// Why there is no PIN.
#[derive(Debug, thiserror::Error)]
pub enum PinError {
    /// The file cannot be read.
    #[error("cannot read the PIN from {}; give a file that only its owner can read", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// There is nothing in it.
    #[error("the PIN is empty")]
    Empty,
    /// There is too much in it.
    #[error("the PIN is longer than {MAX_PIN_BYTES} bytes")]
    TooLong,
    /// There is no terminal to ask at.
    #[error("no terminal to ask for the PIN at; give a file with it")]
    NoTerminal(#[source] std::io::Error),
    /// This process was not started with credentials.
    #[error("no systemd credentials ($CREDENTIALS_DIRECTORY); add LoadCredential={name}:FILE to the unit")]
    NoCredentials {
        /// The credential that was asked for.
        name: String,
    },
    /// It asks for a command.
    #[error(
        "a pin-source that begins with a bar runs a command, which is not done here: have the command write a file that only its owner can read, and name that"
    )]
    Command,
    /// It names no file.
    #[error("`{0}` is no pin-source: give an absolute path, or a URI such as file:/etc/assent/pin")]
    Source(String),
}

/// The file that a `pin-source` names, as RFC 7512 section 2.4 has it: a `file:` URI of this machine (RFC 8089), or an
/// absolute path.
///
/// # Errors
/// [`PinError::Command`], [`PinError::Source`].
pub fn pin_source(text: &str) -> Result<PathBuf, PinError> {
    let no_source = || PinError::Source(text.chars().take(MAX_SOURCE_CHARS).collect());
    if text.starts_with('|') {
        return Err(PinError::Command);
    }
    let path = match text.strip_prefix("file:") {
        None => text.as_bytes().to_vec(),
        Some(rest) => {
            let path = rest.strip_prefix("//").map_or(Some(rest), |rest| {
                // An authority is nobody, or this machine.
                rest.strip_prefix("localhost").or(Some(rest)).filter(|path| path.starts_with('/'))
            });
            path.and_then(decoded).ok_or_else(no_source)?
        }
    };
    if !path.starts_with(b"/") || path.contains(&0) || path.ends_with(b"/") {
        return Err(no_source());
    }
    Ok(PathBuf::from(OsString::from_vec(path)))
}

/// Percent-encoded bytes, decoded. A query or a fragment is none of a file's.
fn decoded(text: &str) -> Option<Vec<u8>> {
    let mut bytes = text.bytes();
    let mut path = Vec::with_capacity(text.len());
    let digit = |bytes: &mut std::str::Bytes<'_>| char::from(bytes.next()?).to_digit(16);
    while let Some(byte) = bytes.next() {
        match byte {
            b'%' => {
                let (high, low) = (digit(&mut bytes)?, digit(&mut bytes)?);
                path.push(u8::try_from(high << 4 | low).ok()?);
            }
            b'?' | b'#' => return None,
            _ => path.push(byte),
        }
    }
    Some(path)
}

impl Pin {
    /// The first line of the file at `path`, which must be all of it.
    ///
    /// # Errors
    /// When it cannot be read, is empty or too long. That others may read it is said in a trace, not refused: systemd
    /// credentials and secret mounts have modes of their own.
    pub fn from_file(path: &Path) -> Result<Self, PinError> {
        let unreadable = |source| PinError::Unreadable { path: path.to_owned(), source };
        let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_PIN_BYTES + 3));
        let file = File::open(path).map_err(unreadable)?;
        if is_exposed(&file) {
            tracing::warn!(path = %path.display(), "others can read the PIN; chmod 0600");
        }
        // The capacity holds all that is read, so that no copy is left behind by growing.
        file.take(MAX_PIN_BYTES as u64 + 3).read_to_end(&mut bytes).map_err(unreadable)?;
        Self::from_line(bytes)
    }

    /// The systemd credential `name`.
    ///
    /// # Errors
    /// When this process has none, or as [`Self::from_file`].
    pub fn from_credential(name: &str) -> Result<Self, PinError> {
        let folder = std::env::var_os("CREDENTIALS_DIRECTORY")
            .ok_or_else(|| PinError::NoCredentials { name: name.to_owned() })?;
        Self::from_file(&Path::new(&folder).join(name))
    }

    /// Asks for it at the terminal, without echo.
    ///
    /// # Errors
    /// When there is no terminal, or what is typed is empty or too long.
    pub fn prompt(question: &str) -> Result<Self, PinError> {
        let terminal =
            File::options().read(true).write(true).open("/dev/tty").map_err(PinError::NoTerminal)?;
        let line = {
            let _silence = Silence::over(&terminal).map_err(PinError::NoTerminal)?;
            write!(&terminal, "{question}: ").map_err(PinError::NoTerminal)?;
            read_line(&terminal)
        };
        let _ = writeln!(&terminal);
        Self::from_line(line.map_err(PinError::NoTerminal)?)
    }

    /// Whether others than its owner can read the file at `path`.
    #[must_use]
    pub fn file_is_exposed(path: &Path) -> bool {
        File::open(path).is_ok_and(|file| is_exposed(&file))
    }

    pub(super) fn from_line(mut bytes: Zeroizing<Vec<u8>>) -> Result<Self, PinError> {
        if bytes.last() == Some(&b'\n') {
            bytes.pop();
            if bytes.last() == Some(&b'\r') {
                bytes.pop();
            }
        }
        match bytes.len() {
            0 => Err(PinError::Empty),
            1..=MAX_PIN_BYTES => Ok(Self(bytes)),
            _ => Err(PinError::TooLong),
        }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether both are the same: for a PIN that is typed twice.
    #[must_use]
    pub fn matches(&self, other: &Self) -> bool {
        *self.0 == *other.0
    }
}

impl std::fmt::Debug for Pin {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Pin(..)")
    }
}

fn is_exposed(file: &File) -> bool {
    file.metadata().is_ok_and(|metadata| metadata.permissions().mode() & 0o077 != 0)
}

/// A line, byte by byte: nothing stays in a reader's buffer.
fn read_line(mut terminal: &File) -> std::io::Result<Zeroizing<Vec<u8>>> {
    let mut line = Zeroizing::new(Vec::with_capacity(MAX_PIN_BYTES + 1));
    let mut byte = Zeroizing::new([0_u8]);
    while line.len() <= MAX_PIN_BYTES {
        if terminal.read(&mut *byte)? == 0 || *byte == [b'\n'] {
            break;
        }
        line.extend_from_slice(&*byte);
    }
    Ok(line)
}

/// A terminal without echo; its old mode comes back on drop.
struct Silence<'t> {
    terminal: &'t File,
    before: Termios,
}

impl<'t> Silence<'t> {
    fn over(terminal: &'t File) -> std::io::Result<Self> {
        let before = tcgetattr(terminal)?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        tcsetattr(terminal, OptionalActions::Flush, &silent)?;
        Ok(Self { terminal, before })
    }
}

impl Drop for Silence<'_> {
    fn drop(&mut self) {
        let _ = tcsetattr(self.terminal, OptionalActions::Flush, &self.before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(bytes: &[u8]) -> Result<Pin, PinError> {
        Pin::from_line(Zeroizing::new(bytes.to_vec()))
    }

    #[test]
    fn one_line_end_is_not_part_of_a_pin() {
        assert_eq!(from(b"1234\n").unwrap().bytes(), b"1234");
        assert_eq!(from(b"1234\r\n").unwrap().bytes(), b"1234");
        assert_eq!(from(b"12 34\n\n").unwrap().bytes(), b"12 34\n");
    }

    #[test]
    fn a_pin_is_neither_empty_nor_without_bound() {
        assert!(matches!(from(b"\n"), Err(PinError::Empty)));
        assert!(from(&[b'1'; MAX_PIN_BYTES]).is_ok());
        assert!(matches!(from(&[b'1'; MAX_PIN_BYTES + 1]), Err(PinError::TooLong)));
    }

    #[test]
    fn a_pin_is_not_shown() {
        assert_eq!(format!("{:?}", from(b"1234").unwrap()), "Pin(..)");
    }

    #[test]
    fn a_pin_source_is_a_file_of_this_machine() {
        for (text, path) in [
            ("/etc/assent/pin", "/etc/assent/pin"),
            ("/etc/50%/pin", "/etc/50%/pin"),
            ("file:/etc/assent/pin", "/etc/assent/pin"),
            ("file:///etc/assent/pin", "/etc/assent/pin"),
            ("file://localhost/etc/assent/pin", "/etc/assent/pin"),
            ("file:/etc/my%20pin%25", "/etc/my pin%"),
        ] {
            assert_eq!(pin_source(text).unwrap(), Path::new(path), "{text}");
        }
        let wrong = [
            "",
            "pin",
            "file:",
            "file:pin",
            "file://elsewhere/etc/pin",
            "file://localhost.example/pin",
            "file:/etc/pin?x",
            "file:/etc/pin#x",
            "file:/etc/%2",
            "file:/etc/%+1",
            "file:/etc/%00",
            "file:/etc/",
            "https://host/pin",
            "env:PIN",
        ];
        for text in wrong {
            assert!(matches!(pin_source(text), Err(PinError::Source(_))), "{text}");
        }
        for text in ["|/usr/bin/pin", "| cat pin"] {
            let refused = pin_source(text).unwrap_err();
            assert!(refused.to_string().contains("write a file"), "{refused}");
        }
    }

    #[test]
    fn a_missing_file_names_the_path() {
        let error = Pin::from_file(Path::new("/nonexistent/pin")).unwrap_err();
        assert!(error.to_string().contains("/nonexistent/pin"));
    }
}
