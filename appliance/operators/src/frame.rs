//! SSH's own framing, as far as a passkey's signature needs it: strings behind their lengths, and the armour around a signature.
//!
//! The rule it keeps: one form. What was cut, continued or padded otherwise is refused rather than read in part. It knows no
//! cryptography. (RFC 4251 section 5; PROTOCOL.sshsig.)

use base64ct::{Base64, Encoding as _};

const BEGIN: &str = "-----BEGIN SSH SIGNATURE-----";
const END: &str = "-----END SSH SIGNATURE-----";
/// Characters of a line, as OpenSSH writes them.
const LINE_CHARS: usize = 70;

/// What is left to read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    /// So many bytes.
    pub(super) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    /// A number of four bytes.
    pub(super) fn number(&mut self) -> Option<u32> {
        let (bytes, rest) = self.0.split_first_chunk::<4>()?;
        self.0 = rest;
        Some(u32::from_be_bytes(*bytes))
    }

    /// A string behind its length.
    pub(super) fn string(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.number()?).ok()?;
        self.take(length)
    }

    /// A string that is text.
    pub(super) fn text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.string()?).ok()
    }

    /// That nothing is left.
    pub(super) fn end(self) -> Option<()> {
        self.0.is_empty().then_some(())
    }
}

/// Adds a string behind its length; none where it is too long for one.
pub(super) fn put(bytes: &mut Vec<u8>, string: &[u8]) -> Option<()> {
    bytes.extend_from_slice(&u32::try_from(string.len()).ok()?.to_be_bytes());
    bytes.extend_from_slice(string);
    Some(())
}

/// What an armoured signature holds.
pub(super) fn open(text: &str) -> Option<Vec<u8>> {
    let inside = text.trim().strip_prefix(BEGIN)?.strip_suffix(END)?;
    let encoded: String = inside.lines().map(|line| line.strip_suffix('\r').unwrap_or(line)).collect();
    Base64::decode_vec(&encoded).ok()
}

/// A signature in its armour, as `ssh-keygen` writes it.
pub(super) fn close(blob: &[u8]) -> String {
    let mut text = format!("{BEGIN}\n");
    for (at, character) in Base64::encode_string(blob).chars().enumerate() {
        if at > 0 && at.is_multiple_of(LINE_CHARS) {
            text.push('\n');
        }
        text.push(character);
    }
    text.push('\n');
    text.push_str(END);
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_armoured_comes_back_and_what_is_cut_does_not() {
        for length in [0, 1, 51, 52, 53, 300] {
            let blob: Vec<u8> = (0..length).map(|byte: u16| byte.to_be_bytes()[1]).collect();
            let text = close(&blob);
            assert!(text.lines().all(|line| line.len() <= LINE_CHARS), "{text}");
            assert_eq!(open(&text).as_deref(), Some(&*blob));
            assert_eq!(open(&text.replace('\n', "\r\n")).as_deref(), Some(&*blob));
        }
        let text = close(b"a signature of some length");
        for wrong in [text.replace("END", "end"), text.replace('=', ""), format!("{text}more")] {
            assert_eq!(open(&wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_string_that_is_longer_than_what_there_is_is_none() {
        let mut bytes = Vec::new();
        put(&mut bytes, b"abc").unwrap();
        let mut reader = Reader(&bytes);
        assert_eq!((reader.string(), reader.end()), (Some(&b"abc"[..]), Some(())));
        assert_eq!(Reader(&bytes[..6]).string(), None);
        assert_eq!(Reader(&[0, 0, 1]).string(), None);
        assert_eq!(Reader(&[0, 0, 0, 1, 0xff]).text(), None);
        assert_eq!(Reader(&bytes).end(), None);
    }
}
