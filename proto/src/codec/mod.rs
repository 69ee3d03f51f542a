//! Canonical postcard: one value, one encoding.
//!
//! postcard itself accepts overlong varints, and its `from_bytes` drops trailing bytes. What is hashed or signed must not
//! have two encodings, so everything is parsed here: nothing may remain, and encoding the value again must give the same
//! bytes. [`Cursor`] reads the same encoding piece by piece where the shape is not known in advance.

mod cursor;

pub use cursor::Cursor;

use postcard::ser_flavors::Flavor;
use serde::{Deserialize, Serialize};

/// Why bytes were not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodecError {
    /// The bytes end before the value does.
    Truncated,
    /// Bytes follow the value.
    Trailing,
    /// The value is encoded in another way than the canonical one.
    NotCanonical,
    /// No value has these bytes.
    Malformed,
    /// A length or a count is over its limit.
    TooLong,
}

impl core::fmt::Display for CodecError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Truncated => "bytes end early",
            Self::Trailing => "bytes follow the end",
            Self::NotCanonical => "encoding is not canonical",
            Self::Malformed => "bytes are malformed",
            Self::TooLong => "a length is over its limit",
        })
    }
}

impl core::error::Error for CodecError {}

/// Parses all of `bytes` as one value in its canonical encoding.
///
/// # Errors
/// Any of [`CodecError`]; the value is made only from bytes that encoding it gives back.
pub fn parse<'a, T: Deserialize<'a> + Serialize>(bytes: &'a [u8]) -> Result<T, CodecError> {
    let (value, rest) = postcard::take_from_bytes::<T>(bytes).map_err(|error| {
        let truncated = error == postcard::Error::DeserializeUnexpectedEnd;
        if truncated { CodecError::Truncated } else { CodecError::Malformed }
    })?;
    if !rest.is_empty() {
        return Err(CodecError::Trailing);
    }
    if is_canonical(&value, bytes) { Ok(value) } else { Err(CodecError::NotCanonical) }
}

/// Whether encoding the value gives these bytes.
pub(crate) fn is_canonical<T: Serialize>(value: &T, bytes: &[u8]) -> bool {
    postcard::serialize_with_flavor(value, Compare { rest: bytes }) == Ok(true)
}

/// Encodes `value` at the start of `buffer` and returns what was written.
///
/// # Errors
/// [`CodecError::TooLong`] when it does not fit.
pub fn encode<'b, T: Serialize>(value: &T, buffer: &'b mut [u8]) -> Result<&'b [u8], CodecError> {
    postcard::to_slice(value, buffer).map(|written| &*written).map_err(|_| CodecError::TooLong)
}

/// Appends the encoding of `value` to `out`.
///
/// # Errors
/// [`CodecError::Malformed`] for a type that postcard cannot encode; none of this crate's is one.
pub fn append<T: Serialize>(value: &T, out: &mut impl Extend<u8>) -> Result<(), CodecError> {
    postcard::serialize_with_flavor(value, Append { out }).map_err(|_| CodecError::Malformed)
}

/// Appends an unsigned number as postcard writes it.
pub fn append_varint(mut number: u64, out: &mut impl Extend<u8>) {
    loop {
        let [low, ..] = number.to_le_bytes();
        number = number.wrapping_shr(7);
        if number == 0 {
            out.extend([low & 0x7f]);
            return;
        }
        out.extend([low | 0x80]);
    }
}

/// Appends a signed number as postcard writes it: zigzag, in a varint.
pub fn append_signed(number: i64, out: &mut impl Extend<u8>) {
    append_varint((number.wrapping_shl(1) ^ number.wrapping_shr(63)).cast_unsigned(), out);
}

/// Appends bytes behind their length, as postcard writes a byte string.
pub fn append_bytes(bytes: &[u8], out: &mut impl Extend<u8>) {
    append_varint(bytes.len() as u64, out);
    out.extend(bytes.iter().copied());
}

/// Writes nothing; compares what would be written with what was read.
struct Compare<'a> {
    rest: &'a [u8],
}

impl Flavor for Compare<'_> {
    type Output = bool;

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.try_extend(&[byte])
    }

    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.rest = self.rest.strip_prefix(bytes).ok_or(postcard::Error::SerializeBufferFull)?;
        Ok(())
    }

    fn finalize(self) -> postcard::Result<bool> {
        Ok(self.rest.is_empty())
    }
}

struct Append<'o, O> {
    out: &'o mut O,
}

impl<O: Extend<u8>> Flavor for Append<'_, O> {
    type Output = ();

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.out.extend([byte]);
        Ok(())
    }

    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.out.extend(bytes.iter().copied());
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trailing_byte_is_refused() {
        assert_eq!(parse::<u8>(&[7, 0]), Err(CodecError::Trailing));
    }

    #[test]
    fn overlong_varint_is_refused() {
        assert_eq!(parse::<u32>(&[0x05]), Ok(5));
        assert_eq!(parse::<u32>(&[0x85, 0x00]), Err(CodecError::NotCanonical));
    }

    #[test]
    fn half_a_value_is_refused() {
        assert_eq!(parse::<&str>(&[3, b'a']), Err(CodecError::Truncated));
    }
}
