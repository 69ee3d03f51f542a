//! A strict reader of postcard's encoding, for what has no fixed shape: contexts, and frames that are walked in place.

use super::CodecError;

/// Reads from the front of borrowed bytes. After an error the position is unspecified; the bytes are to be refused.
#[derive(Clone, Copy, Debug)]
pub struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    /// Starts at the first of `bytes`.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
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
        core::str::from_utf8(self.bytes(max)?).map_err(|_| CodecError::Malformed)
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
    fn lying_length_is_refused_before_it_is_used() {
        assert_eq!(Cursor::new(&[0xff, 0xff, 0x7f]).bytes(1000), Err(CodecError::TooLong));
    }
}
