//! Checkpoints as C2SP tlog-checkpoint (v1.0.0) defines them: origin, tree size, root hash; no extension lines, which no
//! monitor could audit.
//!
//! This text is the only thing that an appliance's HSM key ever signs.

use base64ct::{Base64, Encoding as _};
use core::fmt::{self, Write as _};

use crate::hash::Hash;
use crate::limits::{MAX_CHECKPOINT_BYTES, MAX_ORIGIN_BYTES};
use crate::lines;
use crate::number::TreeSize;

/// The state of a log that a signature can cover.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checkpoint<'a> {
    /// Which log: `<host>/<appliance>/log/<n>`.
    pub origin: &'a str,
    /// How many leaves.
    pub size: TreeSize,
    /// Their root hash.
    pub root: Hash,
}

/// Why a text is no checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckpointError {
    /// Not three lines, or more than three.
    Lines,
    /// The origin is empty, too long, or holds a space or a plus.
    Origin,
    /// The size is no decimal without leading zeroes.
    Size,
    /// The root hash is not 32 bytes in base64.
    Root,
}

impl fmt::Display for CheckpointError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Lines => "checkpoint does not have three lines",
            Self::Origin => "origin is empty, too long, or holds a space or a plus",
            Self::Size => "tree size is no plain decimal",
            Self::Root => "root hash is not 32 bytes in base64",
        })
    }
}

impl core::error::Error for CheckpointError {}

/// Whether a log may have this name.
///
/// # Errors
/// [`CheckpointError::Origin`].
pub fn check_origin(origin: &str) -> Result<(), CheckpointError> {
    let wrong = origin.is_empty()
        || origin.len() > MAX_ORIGIN_BYTES
        || origin.chars().any(|c| c.is_whitespace() || c.is_control() || c == '+');
    if wrong { Err(CheckpointError::Origin) } else { Ok(()) }
}

impl<'a> Checkpoint<'a> {
    /// The text to be signed, with its last newline.
    ///
    /// # Errors
    /// [`CheckpointError::Origin`] for an origin that no log may have.
    pub fn text(&self) -> Result<heapless::String<MAX_CHECKPOINT_BYTES>, CheckpointError> {
        check_origin(self.origin)?;
        let mut root = [0; 44];
        let root = Base64::encode(&self.root.0, &mut root).map_err(|_| CheckpointError::Root)?;
        let mut text = heapless::String::new();
        // INVARIANT: MAX_CHECKPOINT_BYTES is the sum of the three lines at their longest.
        writeln!(text, "{}\n{}\n{root}", self.origin, self.size).map_err(|_| CheckpointError::Origin)?;
        Ok(text)
    }

    /// Parses a text of exactly three lines.
    ///
    /// # Errors
    /// [`CheckpointError`].
    pub fn parse(text: &'a str) -> Result<Self, CheckpointError> {
        let mut lines = lines::of(text).ok_or(CheckpointError::Lines)?;
        let (Some(origin), Some(size), Some(root), None) =
            (lines.next(), lines.next(), lines.next(), lines.next())
        else {
            return Err(CheckpointError::Lines);
        };
        check_origin(origin)?;
        let size = lines::decimal(size).ok_or(CheckpointError::Size)?;
        let mut hash = Hash::default();
        match Base64::decode(root, &mut hash.0) {
            Ok(decoded) if decoded.len() == 32 => {}
            Ok(_) | Err(_) => return Err(CheckpointError::Root),
        }
        Ok(Self { origin, size: TreeSize(size), root: hash })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_leads_back() {
        let checkpoint =
            Checkpoint { origin: "localhost/dev/log/1", size: TreeSize(0), root: Hash::of_empty_tree() };
        let text = checkpoint.text().unwrap();
        assert_eq!(text, "localhost/dev/log/1\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n");
        assert_eq!(Checkpoint::parse(&text), Ok(checkpoint));
    }

    #[test]
    fn other_forms_are_refused() {
        let root = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
        for (text, error) in [
            (heapless::format!(200; "o\n01\n{root}\n"), CheckpointError::Size),
            (heapless::format!(200; "o\n+1\n{root}\n"), CheckpointError::Size),
            (heapless::format!(200; "o\n1\n{root}\nextension\n"), CheckpointError::Lines),
            (heapless::format!(200; "o\n1\n{root}"), CheckpointError::Lines),
            (heapless::format!(200; "an origin\n1\n{root}\n"), CheckpointError::Origin),
            (heapless::format!(200; "o\n1\n47DE\n"), CheckpointError::Root),
        ] {
            assert_eq!(Checkpoint::parse(&text.unwrap()), Err(error));
        }
    }
}
