//! A passkey's assertion as an SSH signature, and the other way round.
//!
//! OpenSSH has a format for it, `webauthn-sk-ecdsa-sha2-nistp256@openssh.com`: what a browser signed, beside a key whose
//! application is the relying party. The rule it keeps: what the browser must have said is built here from the namespace and the
//! statement that we expect, and compared; nothing of its JSON is interpreted. A person must have touched the key *and* shown
//! who they are. No extensions: what an authenticator adds for itself would stand between the person and the statement. It does
//! not know which origin is ours: whoever takes an assertion from a browser says so, and a signature that was made binds its own.
//! (PROTOCOL.u2f and `ssh-ecdsa-sk.c` of OpenSSH; WebAuthn Level 2, sections 5.8.1.2 and 6.1.)

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::ECDSA_P256_SHA256_FIXED;
use base64ct::{Base64UrlUnpadded, Encoding as _};
use ssh_key::public::KeyData;
use ssh_key::{HashAlg, PublicKey, SshSig};

use super::SignatureFile;
use super::frame::{self, Reader};
use super::key::OperatorKey;
use super::signature::{SCALAR_BYTES, scalars, verify};
use crate::limits::{MAX_CLIENT_DATA_BYTES, MAX_ORIGIN_BYTES};

/// The type of the signature.
const TYPE: &str = "webauthn-sk-ecdsa-sha2-nistp256@openssh.com";
const MAGIC: &[u8] = b"SSHSIG";
const VERSION: u32 = 1;
/// The hash of the statement that challenges are made with: the one that `ssh-keygen` uses.
const HASH: HashAlg = HashAlg::Sha512;
/// Authenticator data without anything behind it: the hash of the relying party, flags, counter.
const AUTHENTICATOR_BYTES: usize = 37;

/// Somebody touched the key.
const PRESENT: u8 = 0x01;
/// And showed who they are.
const VERIFIED: u8 = 0x04;
/// Data of a new credential, or extensions, stand behind the counter.
const MORE: u8 = 0x40 | 0x80;

/// What a browser gives for a challenge (`AuthenticatorAssertionResponse`), decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assertion {
    /// `authenticatorData`.
    pub authenticator_data: Vec<u8>,
    /// `clientDataJSON`.
    pub client_data: Vec<u8>,
    /// `signature`: ECDSA in DER.
    pub signature: Vec<u8>,
}

/// A passkey's signature over a statement, which verified.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Asserted {
    /// As `ssh-keygen` would have written it.
    pub signature: SignatureFile,
    /// How often the authenticator says that it has signed; zero where it does not count.
    pub counter: u32,
}

/// Why an assertion is no signature over the statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AssertionError {
    /// The key is none of a passkey.
    #[error("the operator's key is no passkey")]
    Key,
    /// It does not have the form of one, or is too long.
    #[error("the browser's answer is no assertion")]
    Malformed,
    /// It was made for something else than an assertion.
    #[error("the browser's answer was made for something else than to assert")]
    Type,
    /// It is about another challenge.
    #[error("the browser's answer is about another statement; begin again")]
    Challenge,
    /// It was made on another site.
    #[error("the browser's answer was made on another site")]
    Origin,
    /// It was made in a frame of another site's.
    #[error("the browser's answer was made inside another site's page")]
    CrossOrigin,
    /// It was made for another relying party.
    #[error("the browser's answer was made for another relying party")]
    RelyingParty,
    /// Nobody touched the authenticator.
    #[error("nobody touched the authenticator")]
    Absent,
    /// Nobody showed who they are.
    #[error("the authenticator did not verify who touched it; set up its PIN or biometrics")]
    Unverified,
    /// The authenticator added something that was not asked for.
    #[error("the authenticator added extensions, which are not taken")]
    Extensions,
    /// The signature does not verify.
    #[error("the signature is not by this operator's key")]
    Signature,
}

/// What a browser is given as the challenge for a statement in a namespace: what SSH signs in its place.
#[must_use]
pub fn challenge(namespace: &str, statement: &[u8]) -> Option<Vec<u8>> {
    SshSig::signed_data(namespace, HASH, statement).ok()
}

impl OperatorKey {
    /// The key of a passkey: an uncompressed point of P-256, made for this relying party. None where it is no such point, or
    /// name or relying party would break the line.
    #[must_use]
    pub fn of_passkey(point: &[u8], relying_party: &str, name: &str) -> Option<Self> {
        const KEY_TYPE: &str = "sk-ecdsa-sha2-nistp256@openssh.com";
        let mut blob = Vec::new();
        for part in [KEY_TYPE.as_bytes(), b"nistp256", point, relying_party.as_bytes()] {
            frame::put(&mut blob, part)?;
        }
        let on_curve = aws_lc_rs::signature::ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).is_ok();
        let fits = on_curve && !relying_party.is_empty() && !name.contains(char::is_whitespace);
        fits.then_some(())?;
        Self::parse(&format!("{KEY_TYPE} {} {name}", base64ct::Base64::encode_string(&blob))).ok()
    }

    /// Makes an SSH signature of what a browser answered to the challenge of this statement, on the site of this origin.
    ///
    /// # Errors
    /// [`AssertionError`]: what is given verifies here, and with `ssh-keygen -Y verify`.
    pub fn asserted(
        &self,
        origin: &str,
        namespace: &str,
        statement: &[u8],
        assertion: &Assertion,
    ) -> Result<Asserted, AssertionError> {
        let Assertion { authenticator_data, client_data, signature } = assertion;
        let signed = challenge(namespace, statement).ok_or(AssertionError::Malformed)?;
        let KeyData::SkEcdsaSha2NistP256(key) = self.data() else { return Err(AssertionError::Key) };
        let mut rest = Reader(authenticator_data);
        let relying_party = rest.take(32).ok_or(AssertionError::Malformed)?;
        if relying_party != digest(&SHA256, key.application().as_bytes()).as_ref() {
            return Err(AssertionError::RelyingParty);
        }
        let flags = rest.take(1).and_then(|flags| flags.first().copied()).ok_or(AssertionError::Malformed)?;
        let counter = rest.number().ok_or(AssertionError::Malformed)?;
        if authenticator_data.len() > AUTHENTICATOR_BYTES {
            return Err(AssertionError::Extensions);
        }
        let made = PasskeySignature {
            key: self.data().clone(),
            namespace: namespace.to_owned(),
            hash: HASH,
            numbers: numbers_of_der(signature).ok_or(AssertionError::Malformed)?,
            flags,
            counter,
            origin: origin.to_owned(),
            client_data: client_data.clone(),
        };
        made.check(&signed)?;
        let text = made.text().ok_or(AssertionError::Malformed)?;
        let signature = SignatureFile { name: format!("the passkey of {}", self.name()), text };
        Ok(Asserted { signature, counter })
    }
}

/// A signature of the type that passkeys make; nothing about it is believed yet.
#[derive(Debug)]
pub(super) struct PasskeySignature {
    key: KeyData,
    namespace: String,
    hash: HashAlg,
    /// Two numbers as SSH writes them.
    numbers: Vec<u8>,
    flags: u8,
    counter: u32,
    origin: String,
    client_data: Vec<u8>,
}

impl PasskeySignature {
    /// Takes the armoured text.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let blob = frame::open(text)?;
        let mut outer = Reader(blob.strip_prefix(MAGIC)?);
        (outer.number()? == VERSION).then_some(())?;
        let key = PublicKey::from_bytes(outer.string()?).ok()?.key_data().clone();
        let namespace = outer.text()?.to_owned();
        // Reserved: there is nothing yet that may stand there.
        outer.string()?.is_empty().then_some(())?;
        let hash = outer.text()?.parse().ok()?;
        let mut inner = Reader(outer.string()?);
        outer.end()?;
        (inner.text()? == TYPE).then_some(())?;
        let numbers = inner.string()?.to_vec();
        let flags = *inner.take(1)?.first()?;
        let counter = inner.number()?;
        let origin = inner.text()?.to_owned();
        let client_data = inner.string()?.to_vec();
        // Extensions: they would belong to what was signed, and we take none.
        inner.string()?.is_empty().then_some(())?;
        inner.end()?;
        (!namespace.is_empty()).then_some(Self {
            key,
            namespace,
            hash,
            numbers,
            flags,
            counter,
            origin,
            client_data,
        })
    }

    fn text(&self) -> Option<String> {
        let Self { key, namespace, hash, numbers, flags, counter, origin, client_data } = self;
        let mut inner = Vec::new();
        frame::put(&mut inner, TYPE.as_bytes())?;
        frame::put(&mut inner, numbers)?;
        inner.push(*flags);
        inner.extend_from_slice(&counter.to_be_bytes());
        for part in [origin.as_bytes(), client_data, b""] {
            frame::put(&mut inner, part)?;
        }
        let mut blob = [MAGIC, &VERSION.to_be_bytes()].concat();
        let key = PublicKey::from(key.clone()).to_bytes().ok()?;
        for part in [&key, namespace.as_bytes(), b"", hash.as_str().as_bytes(), &inner] {
            frame::put(&mut blob, part)?;
        }
        Some(frame::close(&blob))
    }

    pub(super) fn namespace(&self) -> &str {
        &self.namespace
    }

    pub(super) const fn key(&self) -> &KeyData {
        &self.key
    }

    pub(super) const fn hash(&self) -> HashAlg {
        self.hash
    }

    /// Whether its key asserted exactly these bytes.
    pub(super) fn check(&self, signed: &[u8]) -> Result<(), AssertionError> {
        let KeyData::SkEcdsaSha2NistP256(key) = &self.key else { return Err(AssertionError::Key) };
        check_client_data(&self.client_data, signed, &self.origin)?;
        match self.flags {
            flags if flags & PRESENT == 0 => return Err(AssertionError::Absent),
            flags if flags & VERIFIED == 0 => return Err(AssertionError::Unverified),
            flags if flags & MORE != 0 => return Err(AssertionError::Extensions),
            _ => {}
        }
        let mut asserted = digest(&SHA256, key.application().as_bytes()).as_ref().to_vec();
        asserted.push(self.flags);
        asserted.extend_from_slice(&self.counter.to_be_bytes());
        asserted.extend_from_slice(digest(&SHA256, &self.client_data).as_ref());
        let numbers = scalars(&self.numbers).ok_or(AssertionError::Malformed)?;
        verify(&ECDSA_P256_SHA256_FIXED, key.ec_point().as_bytes(), &asserted, &numbers)
            .ok_or(AssertionError::Signature)
    }
}

/// Whether the browser said what it must have: its own serialisation, compared byte for byte up to the origin.
fn check_client_data(client_data: &[u8], signed: &[u8], origin: &str) -> Result<(), AssertionError> {
    if client_data.len() > MAX_CLIENT_DATA_BYTES || origin.len() > MAX_ORIGIN_BYTES || !is_plain(origin) {
        return Err(AssertionError::Malformed);
    }
    let challenge = Base64UrlUnpadded::encode_string(signed);
    let mut rest = client_data;
    for (expected, error) in [
        ("{\"type\":\"webauthn.get\",\"challenge\":\"", AssertionError::Type),
        (&challenge, AssertionError::Challenge),
        ("\",\"origin\":\"", AssertionError::Challenge),
        (origin, AssertionError::Origin),
        ("\"", AssertionError::Origin),
    ] {
        rest = rest.strip_prefix(expected.as_bytes()).ok_or(error)?;
    }
    let rest = std::str::from_utf8(rest).map_err(|_| AssertionError::Malformed)?;
    if !rest.starts_with([',', '}']) || !rest.ends_with('}') {
        return Err(AssertionError::Malformed);
    }
    if ["\"crossOrigin\":true", "\"topOrigin\""].iter().any(|framed| rest.contains(framed)) {
        return Err(AssertionError::CrossOrigin);
    }
    Ok(())
}

/// An origin that JSON writes as it is.
fn is_plain(origin: &str) -> bool {
    !origin.is_empty() && origin.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"\\".contains(&byte))
}

/// Two numbers in DER, as SSH writes them: both write the least bytes of a number with a sign, which is positive.
fn numbers_of_der(signature: &[u8]) -> Option<Vec<u8>> {
    const SEQUENCE: u8 = 0x30;
    const INTEGER: u8 = 0x02;
    let mut inside = Reader(der(&mut Reader(signature), SEQUENCE, true)?);
    let mut numbers = Vec::new();
    for is_last in [false, true] {
        let number = der(&mut inside, INTEGER, is_last)?;
        let is_positive = number.first().is_some_and(|first| first & 0x80 == 0);
        (is_positive && number.len() <= SCALAR_BYTES + 1).then_some(())?;
        frame::put(&mut numbers, number)?;
    }
    Some(numbers)
}

/// What an element of DER holds: short enough for a length of one byte, and the last where it is to be.
fn der<'a>(reader: &mut Reader<'a>, tag: u8, is_last: bool) -> Option<&'a [u8]> {
    let [found, length] = *reader.take(2)? else { return None };
    (found == tag && length < 0x80).then_some(())?;
    let inside = reader.take(length.into())?;
    (!is_last || reader.0.is_empty()).then_some(inside)
}

#[cfg(test)]
mod tests;
