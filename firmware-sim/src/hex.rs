//! Hex: bytes in the files, as lower-case hexadecimal digits.
//!
//! A `serde(with)` module: what it writes it reads back, and it takes an array only at its exact length.

use serde::{Deserialize, Deserializer, Serializer, de::Error};

const DIGITS: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];

/// `bytes` as hexadecimal digits.
pub(crate) fn text(bytes: &[u8]) -> String {
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

fn digit(nibble: u8) -> char {
    DIGITS.get(usize::from(nibble)).copied().unwrap_or('?')
}

/// The bytes of `text`, or none when it is not an even number of hexadecimal digits.
pub(crate) fn bytes(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) {
        return None;
    }
    text.as_bytes().chunks_exact(2).map(pair).collect()
}

fn pair(digits: &[u8]) -> Option<u8> {
    let mut value = 0_u32;
    for &digit in digits {
        value = value * 16 + char::from(digit).to_digit(16)?;
    }
    u8::try_from(value).ok()
}

pub(crate) fn serialize<S: Serializer>(value: impl AsRef<[u8]>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&text(value.as_ref()))
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>, T: TryFrom<Vec<u8>>>(from: D) -> Result<T, D::Error> {
    let digits = String::deserialize(from)?;
    let bytes = bytes(&digits).ok_or_else(|| D::Error::custom("not hexadecimal"))?;
    T::try_from(bytes).map_err(|_| D::Error::custom("wrong number of bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_survive_the_way_there_and_back() {
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(bytes(&text(&all)), Some(all));
    }

    #[test]
    fn what_is_no_hexadecimal_is_refused() {
        assert_eq!(bytes("0"), None);
        assert_eq!(bytes("0g"), None);
        assert_eq!(bytes("+1"), None);
    }
}
