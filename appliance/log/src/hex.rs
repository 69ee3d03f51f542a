//! Hexadecimal, as a `CKA_ID` is written.

/// Lower-case hexadecimal digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The bytes of an even number of hexadecimal digits, at least two.
#[must_use]
pub fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let pairs = text.as_bytes().chunks(2).map(|pair| match pair {
        [high, low] => Some(digit(high)? << 4 | digit(low)?),
        _ => None,
    });
    if text.is_empty() { None } else { pairs.collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal_comes_back() {
        assert_eq!(hex(&[0, 0xa1, 0xff]), "00a1ff");
        assert_eq!(unhex("00A1ff"), Some(vec![0, 0xa1, 0xff]));
        for bad in ["", "1", "0g", "+1", "012"] {
            assert_eq!(unhex(bad), None, "{bad}");
        }
    }
}
