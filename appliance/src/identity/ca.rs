//! The built-in CA: certificates for an appliance and its agents.
//!
//! The one rule: what it signs for others cannot sign, names one holder and ends. Keys are made where they are used first
//! and leave this file only as text for a file of mode 0600. Which serial numbers are still good is the registry's; a
//! production that brings its own CA needs nothing from here. (X.509-SVID, RFC 5280.)
//!
//! Keys are Ed25519: with aws-lc a handshake's signature and its two verifications cost a good quarter less than with
//! P-256, and all of QUIC's TLS stacks that agents use know it.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use assent_proto::number::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ED25519, SanType, SerialNumber,
};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use x509_parser::prelude::{FromDer as _, X509Certificate};
use zeroize::Zeroizing;

use super::certificate::Serial;
use super::spiffe::{SpiffeId, TrustDomain};
use super::write_durably;
use crate::limits::{CA_LIFETIME, CERTIFICATE_BACKDATING, MAX_PEM_BYTES};

/// A certificate and a key that sign others.
#[derive(Debug)]
pub struct CertificateAuthority {
    issuer: Issuer<'static, KeyPair>,
    certificate_pem: String,
    expires: Timestamp,
}

/// A new certificate and its key.
pub struct Issued {
    /// The certificate, PEM.
    pub certificate_pem: String,
    /// Its key, PKCS #8 in PEM.
    pub key_pem: Zeroizing<String>,
    /// Its serial number.
    pub serial: Serial,
    /// When it ends.
    pub expires: Timestamp,
}

/// Under what name a server is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Name {
    /// A host name.
    Dns(String),
    /// An address.
    Ip(IpAddr),
}

impl Name {
    /// What stands where a host is named: clients look for an address among addresses only.
    #[must_use]
    pub fn of(host: &str) -> Self {
        host.parse::<IpAddr>().map_or_else(|_| Self::Dns(host.to_owned()), Self::Ip)
    }
}

/// Why the CA could not.
#[derive(Debug, thiserror::Error)]
pub enum CaError {
    /// There is one already.
    #[error("{} exists; a CA is made once, and replacing it shuts out every agent", path.display())]
    Exists {
        /// What exists.
        path: PathBuf,
    },
    /// A file cannot be read or written.
    #[error("cannot {doing} {}", path.display())]
    File {
        /// What was being done.
        doing: &'static str,
        /// To which file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// The certificate is not a CA's.
    #[error("{} is no CA certificate in PEM", path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
    },
    /// The key is none, or another's.
    #[error("{} is not the key of the CA certificate", path.display())]
    Key {
        /// The file.
        path: PathBuf,
    },
    /// Its own certificate has ended.
    #[error("the CA's certificate has ended; make a new one and enroll the agents again")]
    Expired,
    /// A time beyond what certificates can say.
    #[error("the time is beyond what a certificate can say")]
    Time,
    /// The library could not.
    #[error("cannot make the certificate")]
    Signing(#[from] rcgen::Error),
    /// The system gives no random bytes.
    #[error("the system gives no random bytes")]
    Random(#[from] getrandom::Error),
}

impl CertificateAuthority {
    /// Makes a CA: its certificate in the one file, and its key, for its owner only, in the other. A key without its certificate,
    /// which is what a kill in between leaves, is used: whatever it may have signed stays good.
    ///
    /// # Errors
    /// [`CaError`]; one that exists is never replaced.
    pub fn create(
        certificate: &Path,
        key: &Path,
        domain: &TrustDomain,
        now: Timestamp,
    ) -> Result<Self, CaError> {
        if certificate.exists() {
            return Err(CaError::Exists { path: certificate.to_owned() });
        }
        let other_key = || CaError::Key { path: key.to_owned() };
        if certificate == key {
            return Err(other_key());
        }
        for folder in [certificate, key].into_iter().filter_map(Path::parent) {
            std::fs::create_dir_all(folder).map_err(|source| CaError::File {
                doing: "make the folder",
                path: folder.to_owned(),
                source,
            })?;
        }
        let authority = if key.exists() {
            let pair = KeyPair::from_pem(&Zeroizing::new(read(key)?)).map_err(|_| other_key())?;
            Self::of(pair, domain, now)?
        } else {
            let (authority, key_pem) = Self::generate(domain, now)?;
            // The key first: a certificate without its key could not be told from one whose key was lost.
            write(key, key_pem.as_bytes(), 0o600)?;
            authority
        };
        write(certificate, authority.certificate_pem.as_bytes(), 0o644)?;
        Ok(authority)
    }

    /// Makes a CA and writes nothing.
    pub(super) fn generate(
        domain: &TrustDomain,
        now: Timestamp,
    ) -> Result<(Self, Zeroizing<String>), CaError> {
        let pair = KeyPair::generate_for(&PKCS_ED25519)?;
        let key_pem = Zeroizing::new(pair.serialize_pem());
        Ok((Self::of(pair, domain, now)?, key_pem))
    }

    /// A CA of this key.
    fn of(pair: KeyPair, domain: &TrustDomain, now: Timestamp) -> Result<Self, CaError> {
        let expires = after(now, CA_LIFETIME);
        let (mut params, _) = params(&format!("Assent CA of {domain}"), now, expires)?;
        params.subject_alt_names = vec![SanType::URI(format!("spiffe://{domain}").try_into()?)];
        // It signs leaves only.
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.use_authority_key_identifier_extension = false;
        let certificate_pem = params.self_signed(&pair)?.pem();
        Ok(Self { issuer: Issuer::new(params, pair), certificate_pem, expires })
    }

    /// Opens a CA from its certificate and its key, both PEM.
    ///
    /// # Errors
    /// [`CaError`].
    pub fn open(certificate: &Path, key: &Path) -> Result<Self, CaError> {
        let certificate_pem = read(certificate)?;
        let no_ca = || CaError::Certificate { path: certificate.to_owned() };
        let der = CertificateDer::from_pem_slice(certificate_pem.as_bytes()).map_err(|_| no_ca())?;
        let (_, parsed) = X509Certificate::from_der(&der).map_err(|_| no_ca())?;
        if !parsed.is_ca() {
            return Err(no_ca());
        }
        let other_key = || CaError::Key { path: key.to_owned() };
        let pair = KeyPair::from_pem(&Zeroizing::new(read(key)?)).map_err(|_| other_key())?;
        if parsed.public_key().subject_public_key.data != pair.public_key_raw() {
            return Err(other_key());
        }
        let ends = u64::try_from(parsed.validity().not_after.timestamp()).unwrap_or(0);
        let issuer = Issuer::from_ca_cert_der(&der, pair)?;
        Ok(Self { issuer, certificate_pem, expires: Timestamp(ends.saturating_mul(1000)) })
    }

    /// Issues an appliance's certificate, for the names under which it is reached.
    ///
    /// # Errors
    /// [`CaError`].
    pub fn issue_server(
        &self,
        id: &SpiffeId,
        names: &[Name],
        lifetime: Duration,
        now: Timestamp,
    ) -> Result<Issued, CaError> {
        let mut sans = Vec::with_capacity(names.len() + 1);
        for name in names {
            let name = match name {
                Name::Dns(host) => SanType::DnsName(host.as_str().try_into()?),
                Name::Ip(address) => SanType::IpAddress(*address),
            };
            if !sans.contains(&name) {
                sans.push(name);
            }
        }
        self.issue(id, sans, ExtendedKeyUsagePurpose::ServerAuth, lifetime, now)
    }

    /// Issues an agent's certificate. It never outlives the CA's.
    ///
    /// # Errors
    /// [`CaError`].
    pub fn issue_agent(&self, id: &SpiffeId, lifetime: Duration, now: Timestamp) -> Result<Issued, CaError> {
        self.issue(id, Vec::new(), ExtendedKeyUsagePurpose::ClientAuth, lifetime, now)
    }

    /// The CA's own certificate, PEM: what both sides trust.
    #[must_use]
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    fn issue(
        &self,
        id: &SpiffeId,
        mut names: Vec<SanType>,
        purpose: ExtendedKeyUsagePurpose,
        lifetime: Duration,
        now: Timestamp,
    ) -> Result<Issued, CaError> {
        if now >= self.expires {
            return Err(CaError::Expired);
        }
        let expires = after(now, lifetime).min(self.expires);
        // The path's last segment: for people. Machines read the URI.
        let common_name = id.path().rsplit('/').next().unwrap_or_default();
        let (mut params, serial) = params(common_name, now, expires)?;
        names.push(SanType::URI(id.as_str().try_into()?));
        params.subject_alt_names = names;
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![purpose];
        self.sign(&params, serial, expires)
    }

    pub(super) fn sign(
        &self,
        params: &CertificateParams,
        serial: Serial,
        expires: Timestamp,
    ) -> Result<Issued, CaError> {
        let pair = KeyPair::generate_for(&PKCS_ED25519)?;
        let certificate_pem = params.signed_by(&pair, &self.issuer)?.pem();
        Ok(Issued { certificate_pem, key_pem: Zeroizing::new(pair.serialize_pem()), serial, expires })
    }
}

impl Issued {
    /// Writes both; the key for its owner only, and before the certificate.
    ///
    /// # Errors
    /// [`CaError::File`].
    pub fn write(&self, certificate: &Path, key: &Path) -> Result<(), CaError> {
        write(key, self.key_pem.as_bytes(), 0o600)?;
        write(certificate, self.certificate_pem.as_bytes(), 0o644)
    }
}

impl std::fmt::Debug for Issued {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Issued").field("serial", &self.serial).finish_non_exhaustive()
    }
}

/// What every certificate has: a subject, dates and a serial number that cannot be guessed.
pub(super) fn params(
    common_name: &str,
    now: Timestamp,
    expires: Timestamp,
) -> Result<(CertificateParams, Serial), CaError> {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes)?;
    if let Some(first) = bytes.first_mut() {
        // Positive and of full length in DER.
        *first = *first & 0x7f | 0x40;
    }
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, "Assent");
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.serial_number = Some(SerialNumber::from_slice(&bytes));
    params.use_authority_key_identifier_extension = true;
    params.not_before = date(Timestamp(now.0.saturating_sub(millis(CERTIFICATE_BACKDATING))))?;
    params.not_after = date(expires)?;
    Ok((params, Serial::from_bytes(&bytes)))
}

/// To whole seconds, as certificates have it, so that what is recorded is what the certificate says.
fn after(now: Timestamp, lifetime: Duration) -> Timestamp {
    let end = now.0.saturating_add(millis(lifetime));
    Timestamp(end - end % 1000)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn date(at: Timestamp) -> Result<time::OffsetDateTime, CaError> {
    let seconds = i64::try_from(at.0 / 1000).map_err(|_| CaError::Time)?;
    time::OffsetDateTime::from_unix_timestamp(seconds).map_err(|_| CaError::Time)
}

fn write(path: &Path, bytes: &[u8], mode: u32) -> Result<(), CaError> {
    write_durably(path, bytes, mode).map_err(|source| CaError::File {
        doing: "write",
        path: path.to_owned(),
        source,
    })
}

fn read(path: &Path) -> Result<String, CaError> {
    use std::io::Read as _;
    let mut text = String::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(MAX_PEM_BYTES).read_to_string(&mut text))
        .map_err(|source| CaError::File { doing: "read", path: path.to_owned(), source })?;
    Ok(text)
}
