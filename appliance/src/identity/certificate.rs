//! Certificates of peers: the name in them, and whether they may carry one.
//!
//! The one rule: exactly one URI names the holder, and the certificate cannot sign others (X.509-SVID sections 2, 4 and
//! 5.2). Nothing here checks signatures or dates: TLS did, before anybody asks who it is.

use std::fmt;

use assent_proto::number::Timestamp;
use quinn::Connection;
use rustls_pki_types::CertificateDer;
use serde::{Deserialize, Serialize};
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

use super::spiffe::{SpiffeError, SpiffeId};

/// Bytes of a serial number (RFC 5280 section 4.1.2.2).
const MAX_SERIAL_BYTES: usize = 20;

/// Who is at the other end of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its name.
    pub id: SpiffeId,
    /// The serial number of its certificate.
    pub serial: Serial,
    /// When its certificate ends; a connection must not outlive it.
    pub expires: Timestamp,
}

/// A certificate's serial number: lower-case hexadecimal without leading zeros.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Serial(Box<str>);

/// Why a certificate names nobody.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// The connection has none.
    #[error("the peer showed no certificate")]
    Missing,
    /// It cannot be read.
    #[error("the certificate cannot be read")]
    Malformed,
    /// It may sign others.
    #[error("the certificate is a CA's; an agent needs one that cannot sign others")]
    Authority,
    /// Its key is not for signatures.
    #[error("the certificate's key usage must be there and hold digitalSignature")]
    KeyUsage,
    /// It does not name exactly one holder.
    #[error("the certificate has {0} URI names; it needs exactly one")]
    UriNames(usize),
    /// Its name is no SPIFFE ID.
    #[error("the certificate's URI name is no SPIFFE ID")]
    Name(#[source] SpiffeError),
    /// It is the name of a whole trust domain.
    #[error("the certificate's SPIFFE ID has no path; it names a trust domain, not an agent")]
    NoPath,
    /// It is of another trust domain.
    #[error("the certificate is of the trust domain `{0}`, which is not ours")]
    TrustDomain(String),
}

impl IdentityError {
    /// A bounded label for metrics.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Malformed => "malformed",
            Self::Authority => "authority",
            Self::KeyUsage => "key_usage",
            Self::UriNames(_) => "uri_names",
            Self::Name(_) => "name",
            Self::NoPath => "no_path",
            Self::TrustDomain(_) => "trust_domain",
        }
    }
}

/// Who is at the other end of a connection whose handshake is done.
///
/// # Errors
/// [`IdentityError`]; the connection is then to be closed.
pub fn peer(connection: &Connection) -> Result<Peer, IdentityError> {
    let shown = connection.peer_identity().ok_or(IdentityError::Missing)?;
    let chain = shown.downcast::<Vec<CertificateDer<'static>>>().map_err(|_| IdentityError::Missing)?;
    Peer::from_certificate(chain.first().ok_or(IdentityError::Missing)?)
}

impl Peer {
    /// Reads a leaf certificate in DER.
    ///
    /// # Errors
    /// [`IdentityError`] where it is no X.509-SVID of a leaf.
    pub fn from_certificate(der: &[u8]) -> Result<Self, IdentityError> {
        let certificate = parse(der)?;
        let id = leaf_id(&certificate)?;
        let serial = Serial::from_bytes(certificate.raw_serial());
        Ok(Self { id, serial, expires: expiry(&certificate) })
    }

    /// Whether its certificate has ended.
    #[must_use]
    pub fn is_expired(&self, now: Timestamp) -> bool {
        now >= self.expires
    }
}

impl SpiffeId {
    /// The name in a leaf certificate in DER.
    ///
    /// # Errors
    /// [`IdentityError`] where it is no X.509-SVID of a leaf.
    pub fn from_certificate(der: &[u8]) -> Result<Self, IdentityError> {
        leaf_id(&parse(der)?)
    }
}

/// From when on a certificate in DER holds, and when it ends.
///
/// # Errors
/// [`IdentityError::Malformed`].
pub fn validity(der: &[u8]) -> Result<(Timestamp, Timestamp), IdentityError> {
    let certificate = parse(der)?;
    let begins = certificate.validity().not_before.timestamp();
    let begins = Timestamp(u64::try_from(begins).unwrap_or(0).saturating_mul(1000));
    Ok((begins, expiry(&certificate)))
}

fn parse(der: &[u8]) -> Result<X509Certificate<'_>, IdentityError> {
    match X509Certificate::from_der(der) {
        Ok(([], certificate)) => Ok(certificate),
        Ok(_) | Err(_) => Err(IdentityError::Malformed),
    }
}

fn leaf_id(certificate: &X509Certificate<'_>) -> Result<SpiffeId, IdentityError> {
    let malformed = |_| IdentityError::Malformed;
    if certificate.basic_constraints().map_err(malformed)?.is_some_and(|basic| basic.value.ca) {
        return Err(IdentityError::Authority);
    }
    let usage = certificate.key_usage().map_err(malformed)?.ok_or(IdentityError::KeyUsage)?.value;
    if usage.key_cert_sign() || usage.crl_sign() {
        return Err(IdentityError::Authority);
    }
    if !usage.digital_signature() {
        return Err(IdentityError::KeyUsage);
    }
    let names = certificate.subject_alternative_name().map_err(malformed)?;
    let names = names.as_ref().map_or(&[][..], |names| names.value.general_names.as_slice());
    let uri = one_uri(names)?;
    let id = SpiffeId::parse(uri).map_err(IdentityError::Name)?;
    if id.path().is_empty() { Err(IdentityError::NoPath) } else { Ok(id) }
}

fn one_uri<'c>(names: &'c [GeneralName<'c>]) -> Result<&'c str, IdentityError> {
    let mut uris =
        names.iter().filter_map(|name| if let GeneralName::URI(uri) = name { Some(*uri) } else { None });
    match (uris.next(), uris.count()) {
        (Some(uri), 0) => Ok(uri),
        (first, more) => Err(IdentityError::UriNames(usize::from(first.is_some()) + more)),
    }
}

/// When a certificate in DER ends.
pub(super) fn expiry_of(der: &[u8]) -> Result<Timestamp, IdentityError> {
    parse(der).map(|certificate| expiry(&certificate))
}

fn expiry(certificate: &X509Certificate<'_>) -> Timestamp {
    let seconds = certificate.validity().not_after.timestamp();
    // A date before 1970 has passed, whatever the clock says.
    Timestamp(u64::try_from(seconds).unwrap_or(0).saturating_mul(1000))
}

impl Serial {
    /// The number whose big-endian bytes these are.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Self {
        let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        Self(digits.trim_start_matches('0').into())
    }

    /// Its digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Serial {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if text.len() <= 2 * MAX_SERIAL_BYTES && !text.starts_with('0') && text.bytes().all(digit) {
            Ok(Self(text.into()))
        } else {
            Err("a serial number is lower-case hexadecimal without leading zeros".to_owned())
        }
    }
}

impl From<Serial> for String {
    fn from(serial: Serial) -> Self {
        serial.0.into()
    }
}

impl fmt::Display for Serial {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}
