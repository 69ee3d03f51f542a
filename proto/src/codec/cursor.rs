//! A strict reader of postcard's encoding, for what has no fixed shape: contexts, and frames that are walked in place.

use super::CodecError;

/// Reads from the front of borrowed bytes. After an error the position is unspecified; the bytes are to be refused.
#[derive(Clone, Copy, Debug)]
pub struct Cursor<'a> {
    rest: &'a [u8],
    /// As much from the beginning on as is UTF-8 as a whole; empty where nobody looked.
    text: &'a str,
    /// How many bytes there were behind it.
    beyond: usize,
}

impl<'a> Cursor<'a> {
    /// Starts at the first of `bytes`.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, text: "", beyond: bytes.len() }
    }

    /// The same, for bytes that are strings for the most part.
    ///
    /// Lengths and tags below 128 are UTF-8 too, so all of an intent often is: looked at once, in large steps, it need not be looked
    /// at again for each short string. Where it is not, each string is looked at by itself, and the outcome is the same.
    #[must_use]
    pub fn over_text(bytes: &'a [u8]) -> Self {
        let text = match core::str::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => {
                let (front, _) = bytes.split_at_checked(error.valid_up_to()).unwrap_or_default();
                core::str::from_utf8(front).unwrap_or_default()
            }
        };
        Self { rest: bytes, text, beyond: bytes.len().saturating_sub(text.len()) }
    }

    /// What has not been read.
    #[must_use]
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// One byte.
    ///
    /// # Errors
    /// [`CodecError::Truncated`].
    pub fn byte(&mut self) -> Result<u8, CodecError> {
        let (first, rest) = self.rest.split_first().ok_or(CodecError::Truncated)?;
        self.rest = rest;
        Ok(*first)
    }

    /// The next `count` bytes.
    ///
    /// # Errors
    /// [`CodecError::Truncated`].
    pub fn take(&mut self, count: usize) -> Result<&'a [u8], CodecError> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(CodecError::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    /// The next `N` bytes.
    ///
    /// # Errors
    /// [`CodecError::Truncated`].
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], CodecError> {
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or(CodecError::Truncated)?;
        self.rest = rest;
        Ok(*taken)
    }

    /// An unsigned number of at most 64 bits, in as few bytes as it needs.
    ///
    /// # Errors
    /// [`CodecError::NotCanonical`] when a shorter encoding exists, [`CodecError::Malformed`] beyond 64 bits.
    pub fn varint(&mut self) -> Result<u64, CodecError> {
        let mut number: u64 = 0;
        for shift in (0_u32..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return Err(CodecError::Malformed);
            }
            number |= bits.wrapping_shl(shift);
            if byte & 0x80 == 0 {
                let overlong = byte == 0 && shift > 0;
                return if overlong { Err(CodecError::NotCanonical) } else { Ok(number) };
            }
        }
        Err(CodecError::Malformed)
    }

    /// A signed number, zigzag in a varint.
    ///
    /// # Errors
    /// As [`Cursor::varint`].
    pub fn signed(&mut self) -> Result<i64, CodecError> {
        let number = self.varint()?;
        let magnitude = number.wrapping_shr(1).cast_signed();
        Ok(magnitude ^ (number & 1).cast_signed().wrapping_neg())
    }

    /// A boolean: the byte 0 or 1.
    ///
    /// # Errors
    /// [`CodecError::Malformed`] for any other byte.
    pub fn boolean(&mut self) -> Result<bool, CodecError> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(CodecError::Malformed),
        }
    }

    /// A count or length of at most `max`.
    ///
    /// # Errors
    /// [`CodecError::TooLong`] above `max`, before anything is set aside for it.
    pub fn count(&mut self, max: usize) -> Result<usize, CodecError> {
        let count = self.varint()?;
        usize::try_from(count).ok().filter(|count| *count <= max).ok_or(CodecError::TooLong)
    }

    /// Bytes behind their length, of which there are at most `max`.
    ///
    /// # Errors
    /// [`CodecError::TooLong`], [`CodecError::Truncated`].
    pub fn bytes(&mut self, max: usize) -> Result<&'a [u8], CodecError> {
        let length = self.count(max)?;
        self.take(length)
    }

    /// A string of at most `max` bytes.
    ///
    /// # Errors
    /// As [`Cursor::bytes`], and [`CodecError::Malformed`] where it is not UTF-8.
    pub fn string(&mut self, max: usize) -> Result<&'a str, CodecError> {
        let bytes = self.bytes(max)?;
        match self.text_of(bytes.len()) {
            Some(text) => Ok(text),
            None => core::str::from_utf8(bytes).map_err(|_| CodecError::Malformed),
        }
    }

    /// What was read last, so many bytes, as a part of the text; none where it is not within it.
    fn text_of(&self, length: usize) -> Option<&'a str> {
        let end = self.text.len().checked_add(self.beyond)?.checked_sub(self.rest.len())?;
        self.text.get(end.checked_sub(length)?..end)
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// [`CodecError::Trailing`] when anything is left.
    pub const fn end(self) -> Result<(), CodecError> {
        if self.rest.is_empty() { Ok(()) } else { Err(CodecError::Trailing) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_as_postcard_wrote_them() {
        let mut buffer = [0; 16];
        for number in [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX] {
            let written = super::super::encode(&number, &mut buffer).unwrap();
            assert_eq!(Cursor::new(written).varint(), Ok(number));
        }
        for number in [0, 1, -1, 63, -64, i64::MAX, i64::MIN] {
            let written = super::super::encode(&number, &mut buffer).unwrap();
            assert_eq!(Cursor::new(written).signed(), Ok(number));
        }
    }

    #[test]
    fn number_beyond_64_bits_is_refused() {
        let mut bytes = [0xff; 10];
        bytes[9] = 0x02;
        assert_eq!(Cursor::new(&bytes).varint(), Err(CodecError::Malformed));
    }

    #[test]
    fn strings_read_the_same_whether_the_bytes_were_looked_at_as_text_or_not() {
        let texts: [&[u8]; 6] = [b"", b"plain", "\u{fc}ber".as_bytes(), &[0xc3], &[0xa9], &[b'a', 0xff]];
        for first in texts {
            for second in texts {
                let mut bytes = [0; 32];
                let mut length = 0;
                for text in [first, &[0xac][..0], second] {
                    bytes[length] = u8::try_from(text.len()).unwrap();
                    bytes[length + 1..length + 1 + text.len()].copy_from_slice(text);
                    length += 1 + text.len();
                }
                let (mut plain, mut whole) = (Cursor::new(&bytes), Cursor::over_text(&bytes[..length]));
                for _ in 0..3 {
                    let (one, other) = (plain.string(9), whole.string(9));
                    assert_eq!(one, other, "{bytes:?}");
                    if one.is_err() {
                        break;
                    }
                }
            }
        }
    }

    #[test]
    fn lying_length_is_refused_before_it_is_used() {
        assert_eq!(Cursor::new(&[0xff, 0xff, 0x7f]).bytes(1000), Err(CodecError::TooLong));
    }
}
