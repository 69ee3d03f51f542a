//! `CKA_EC_POINT` of an Ed25519 key: one value, three encodings in the field.
//!
//! The length decides, first and alone: a raw key may happen to begin with the bytes of a DER header.
//! (PKCS#11 3.0 section 2.3.5 as vendors read it: DER OCTET STRING, DER BIT STRING, raw.)

/// The public key in `point`.
pub(super) fn public_key(point: &[u8]) -> Option<[u8; 32]> {
    let raw = match point.len() {
        32 => point,
        34 => point.strip_prefix(&[0x04, 0x20])?,
        35 => point.strip_prefix(&[0x03, 0x21, 0x00])?,
        _ => return None,
    };
    raw.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: [u8; 32] = [0x04; 32];

    #[test]
    fn the_three_encodings_are_one_key() {
        let octets = [&[0x04, 0x20], &KEY[..]].concat();
        let bits = [&[0x03, 0x21, 0x00], &KEY[..]].concat();
        for point in [&KEY[..], &octets, &bits] {
            assert_eq!(public_key(point), Some(KEY));
        }
    }

    #[test]
    fn a_raw_key_that_looks_like_der_stays_itself() {
        let mut key = [7; 32];
        key[..2].copy_from_slice(&[0x04, 0x1e]);
        assert_eq!(public_key(&key), Some(key));
    }

    #[test]
    fn other_lengths_and_headers_are_no_key() {
        assert_eq!(public_key(&[]), None);
        assert_eq!(public_key(&[4; 33]), None);
        assert_eq!(public_key(&[4; 34]), None);
        assert_eq!(public_key(&[4; 35]), None);
        assert_eq!(public_key(&[4; 57]), None, "Ed448");
    }
}
