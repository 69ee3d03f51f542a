//! Secrets that are handed out once: what we keep of them is their hash, so that whoever reads our memory or disk has none of them.

use assent_proto::hash::Hash;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use base64ct::{Base64UrlUnpadded, Encoding as _};

use super::IdentityError;

/// Random bytes of a link, a cookie and a token against forged requests.
const SECRET_BYTES: usize = 32;

/// A fresh secret: the text that is handed out.
pub(super) fn fresh() -> Result<String, IdentityError> {
    let mut random = [0; SECRET_BYTES];
    getrandom::fill(&mut random).map_err(IdentityError::Random)?;
    Ok(Base64UrlUnpadded::encode_string(&random))
}

/// What is kept of it.
pub(super) fn kept(secret: &str) -> Hash {
    hash(&[secret.as_bytes()])
}

/// The hash of parts, none of which can pass for another's bytes.
pub(super) fn hash(parts: &[&[u8]]) -> Hash {
    let mut bytes = Vec::new();
    for part in parts {
        bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
        bytes.extend_from_slice(part);
    }
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, &bytes).as_ref());
    Hash(hash)
}

/// Whether two secrets are the same, in a time that tells nothing of where they differ.
pub(super) fn same(one: &str, other: &str) -> bool {
    verify_slices_are_equal(one.as_bytes(), other.as_bytes()).is_ok()
}
