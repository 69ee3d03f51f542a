//! One SSH signature: parsed by `ssh-key`, verified by the process's one cryptographic library.
//!
//! The rule it keeps: what is verified is built here from the namespace and the statement that we expect, never from what the
//! signature says of itself. A security key's signature counts only where it says that somebody touched the key. What a passkey
//! made is its own module's. (PROTOCOL.sshsig and PROTOCOL.u2f of OpenSSH.)

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ED25519, ParsedPublicKey, VerificationAlgorithm};
use ssh_key::public::{EcdsaPublicKey, KeyData};
use ssh_key::{Algorithm, EcdsaCurve, SshSig};

use super::key::OperatorKey;
use super::passkey::PasskeySignature;
use crate::limits::MAX_SIGNATURE_BYTES;

/// Flags and counter behind a security key's signature.
const TRAILER_BYTES: usize = 5;
/// The flag that says that somebody touched the key (CTAP2, user presence).
const TOUCHED: u8 = 1;
/// Bytes of a scalar of P-256.
pub(super) const SCALAR_BYTES: usize = 32;

/// A signature that parsed; nothing about it is believed yet.
#[derive(Debug)]
pub(super) enum Signature {
    /// By `ssh-keygen`.
    Plain(Box<SshSig>),
    /// By a passkey in a browser.
    Passkey(Box<PasskeySignature>),
}

impl Signature {
    pub(super) fn parse(text: &str) -> Option<Self> {
        if text.len() > MAX_SIGNATURE_BYTES {
            return None;
        }
        let Ok(parsed) = SshSig::from_pem(text.trim_start()) else {
            return PasskeySignature::parse(text).map(|parsed| Self::Passkey(Box::new(parsed)));
        };
        // The parser takes older versions, of which there are none, and what may be added later.
        let is_plain = parsed.version() == SshSig::VERSION && parsed.reserved().is_empty();
        is_plain.then(|| Self::Plain(Box::new(parsed)))
    }

    /// The namespace that it says it was made in.
    pub(super) fn namespace(&self) -> &str {
        match self {
            Self::Plain(signature) => signature.namespace(),
            Self::Passkey(signature) => signature.namespace(),
        }
    }

    pub(super) fn is_by(&self, key: &OperatorKey) -> bool {
        let by = match self {
            Self::Plain(signature) => signature.public_key(),
            Self::Passkey(signature) => signature.key(),
        };
        by == key.data()
    }

    /// Whether its key signed this statement in this namespace.
    pub(super) fn verifies(&self, namespace: &str, statement: &[u8]) -> bool {
        let hash = match self {
            Self::Plain(signature) => signature.hash_alg(),
            Self::Passkey(signature) => signature.hash(),
        };
        let Ok(signed) = SshSig::signed_data(namespace, hash, statement) else { return false };
        match self {
            Self::Plain(signature) => verifies_over(signature, &signed).is_some(),
            Self::Passkey(signature) => signature.check(&signed).is_ok(),
        }
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "a key of any other type signs nothing here")]
fn verifies_over(signature: &SshSig, signed: &[u8]) -> Option<()> {
    let (algorithm, bytes) = (signature.signature().algorithm(), signature.signature().as_bytes());
    match signature.public_key() {
        KeyData::Ed25519(key) => {
            (algorithm == Algorithm::Ed25519).then_some(())?;
            verify(&ED25519, &key.0, signed, bytes)
        }
        KeyData::Ecdsa(EcdsaPublicKey::NistP256(key)) => {
            (algorithm == Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 }).then_some(())?;
            verify(&ECDSA_P256_SHA256_FIXED, key.as_bytes(), signed, &scalars(bytes)?)
        }
        KeyData::SkEd25519(key) => {
            (algorithm == Algorithm::SkEd25519).then_some(())?;
            let (signature, asserted) = assertion(key.application(), signed, bytes)?;
            verify(&ED25519, &key.public_key().0, &asserted, signature)
        }
        KeyData::SkEcdsaSha2NistP256(key) => {
            (algorithm == Algorithm::SkEcdsaSha2NistP256).then_some(())?;
            let (signature, asserted) = assertion(key.application(), signed, bytes)?;
            verify(&ECDSA_P256_SHA256_FIXED, key.ec_point().as_bytes(), &asserted, &scalars(signature)?)
        }
        _ => None,
    }
}

pub(super) fn verify(
    algorithm: &'static dyn VerificationAlgorithm,
    key: &[u8],
    message: &[u8],
    signature: &[u8],
) -> Option<()> {
    ParsedPublicKey::new(algorithm, key).ok()?.verify_sig(message, signature).ok()
}

/// The signature proper, and what a security key signs in place of the message (PROTOCOL.u2f).
fn assertion<'s>(application: &str, message: &[u8], bytes: &'s [u8]) -> Option<(&'s [u8], Vec<u8>)> {
    let (signature, trailer) = bytes.split_at_checked(bytes.len().checked_sub(TRAILER_BYTES)?)?;
    let touched = trailer.first().is_some_and(|flags| flags & TOUCHED != 0);
    let mut asserted = digest(&SHA256, application.as_bytes()).as_ref().to_vec();
    asserted.extend_from_slice(trailer);
    asserted.extend_from_slice(digest(&SHA256, message).as_ref());
    touched.then_some((signature, asserted))
}

/// Two numbers, each behind its length and perhaps with a leading zero, as two scalars of fixed length.
pub(super) fn scalars(bytes: &[u8]) -> Option<[u8; 2 * SCALAR_BYTES]> {
    let (first, rest) = number(bytes)?;
    let (second, rest) = number(rest)?;
    let mut both = [0; 2 * SCALAR_BYTES];
    let (one, other) = both.split_at_mut(SCALAR_BYTES);
    for (to, from) in [(one, first), (other, second)] {
        let start = SCALAR_BYTES.checked_sub(from.len())?;
        to.get_mut(start..)?.copy_from_slice(from);
    }
    rest.is_empty().then_some(both)
}

fn number(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let (number, rest) = rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
    Some((number.strip_prefix(&[0]).unwrap_or(number), rest))
}
