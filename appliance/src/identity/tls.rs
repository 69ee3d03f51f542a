//! TLS for agents: version 1.3, both sides with certificates, our protocol and nothing else.
//!
//! The one rule: a connection that comes to be has an agent at its end whose certificate our CA signed and whose name is
//! of our trust domain. So the rules of X.509-SVID are asked within the handshake. Each connection is a new handshake:
//! no tickets, no resumption, no 0-RTT, so that a revoked agent has nothing to come back with.
//! What this does not do: look into the register, or ask peers to prove their address.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use assent_proto::hash::Hash;
use assent_proto::number::Timestamp;
use assent_proto::wire::ALPN;
use aws_lc_rs::hmac;
use quinn::crypto::rustls::QuicServerConfig;
use quinn::{EndpointConfig, IdleTimeout, TransportConfig, VarInt};
use quinn_proto::HashedConnectionIdGenerator;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, OtherError, RootCertStore, SignatureScheme,
};
use rustls_pki_types::pem::PemObject as _;

use super::certificate::IdentityError;
use super::spiffe::{SpiffeId, TrustDomain};
use crate::limits::{
    IDLE_TIMEOUT, MAX_CERTIFICATES, MAX_CONNECTIONS, MAX_HANDSHAKE_BYTES, MAX_PEM_BYTES,
    MAX_STREAMS_PER_CONNECTION, MAX_UNREAD_BYTES_PER_CONNECTION, MAX_UNREAD_BYTES_PER_STREAM,
    MAX_UNSENT_BYTES_PER_CONNECTION,
};

/// Which certificates, and for whom.
#[derive(Clone, Debug)]
pub struct TlsSettings {
    /// The certificates that agents' must be signed by, PEM; more than one while they are rotated.
    pub ca: PathBuf,
    /// The appliance's own certificate and what is between it and the CA, PEM.
    pub certificate: PathBuf,
    /// Its key, PEM.
    pub key: PathBuf,
    /// The trust domain that agents must be of.
    pub trust_domain: TrustDomain,
    /// What one connection may use.
    pub transport: TransportLimits,
}

/// What one connection may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransportLimits {
    /// Streams open at once.
    pub streams: u32,
    /// Bytes that it has sent and we not yet read.
    pub unread_bytes: u32,
    /// Bytes that we have sent and it has not yet acknowledged.
    pub unsent_bytes: u32,
    /// How long it may be silent.
    pub idle_timeout: Duration,
}

impl Default for TransportLimits {
    fn default() -> Self {
        Self {
            streams: MAX_STREAMS_PER_CONNECTION,
            unread_bytes: MAX_UNREAD_BYTES_PER_CONNECTION,
            unsent_bytes: MAX_UNSENT_BYTES_PER_CONNECTION,
            idle_timeout: IDLE_TIMEOUT,
        }
    }
}

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// A file is not what it should be.
    #[error("{} holds no {expected} in PEM", path.display())]
    Pem {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        expected: &'static str,
    },
    /// A certificate in the CA file cannot sign others.
    #[error("{} holds a certificate that is no CA's", path.display())]
    Authority {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: rustls::Error,
    },
    /// The verifier cannot be made.
    #[error("agents cannot be verified against the CA")]
    Verifier(#[from] rustls::server::VerifierBuilderError),
    /// Certificate and key do not go together.
    #[error("certificate and key do not go together")]
    KeyPair(#[source] rustls::Error),
    /// The cipher suites lack what QUIC begins with.
    #[error("no cipher suite to begin QUIC with")]
    CipherSuite,
    /// The idle timeout is more than QUIC can say.
    #[error("the idle timeout is longer than QUIC can say")]
    IdleTimeout,
}

/// The configuration of the socket for agents.
///
/// # Errors
/// [`TlsError`].
pub fn server_config(settings: &TlsSettings) -> Result<quinn::ServerConfig, TlsError> {
    let tls = QuicServerConfig::try_from(rustls_config(settings)?).map_err(|_| TlsError::CipherSuite)?;
    let mut config = quinn::ServerConfig::with_crypto(Arc::new(tls));
    config
        .transport_config(Arc::new(transport(&settings.transport)?))
        .max_incoming(MAX_CONNECTIONS)
        .incoming_buffer_size(MAX_HANDSHAKE_BYTES)
        .incoming_buffer_size_total(MAX_HANDSHAKE_BYTES * MAX_CONNECTIONS as u64);
    Ok(config)
}

/// What lets a restarted appliance end what its agents still take for connections: its stateless resets (RFC 9000 section
/// 10.3) and its connection ids are made with keys that outlive the process. They are derived from the TLS key, so they last
/// as long and are as secret.
///
/// # Errors
/// [`TlsError::Unreadable`].
pub fn endpoint_config(settings: &TlsSettings) -> Result<EndpointConfig, TlsError> {
    let secret = read(&settings.key)?;
    let reset = Hash::of_labelled(b"assent/stateless-reset/v1\0", [&secret]);
    let Hash([a, b, c, d, e, f, g, h, ..]) = Hash::of_labelled(b"assent/connection-id/v1\0", [&secret]);
    let ids = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
    let mut config = EndpointConfig::new(Arc::new(hmac::Key::new(hmac::HMAC_SHA256, &reset.0)));
    config.cid_generator(move || Box::new(HashedConnectionIdGenerator::from_key(ids)));
    Ok(config)
}

fn rustls_config(settings: &TlsSettings) -> Result<rustls::ServerConfig, TlsError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = SvidVerifier::new(&settings.ca, settings.trust_domain.clone(), &provider)?;
    let chain = certificates(&settings.certificate)?;
    let key = PrivateKeyDer::from_pem_slice(&read(&settings.key)?)
        .map_err(|_| TlsError::Pem { path: settings.key.clone(), expected: "private key" })?;
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|_| TlsError::CipherSuite)?
        .with_client_cert_verifier(Arc::new(verifier))
        .with_single_cert(chain, key)
        .map_err(TlsError::KeyPair)?;
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.max_early_data_size = 0;
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    Ok(config)
}

/// What the console's door is made from: TLS 1.3 alone, and where authorities are named, browsers with a certificate of theirs.
///
/// # Errors
/// [`TlsError`].
pub fn console_config(
    certificate: &Path,
    key: &Path,
    client_ca: Option<&Path>,
) -> Result<rustls::ServerConfig, TlsError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let chain = certificates(certificate)?;
    let wrong = |_| TlsError::Pem { path: key.to_owned(), expected: "private key" };
    let private = PrivateKeyDer::from_pem_slice(&read(key)?).map_err(wrong)?;
    let builder = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|_| TlsError::CipherSuite)?;
    let builder = match client_ca {
        None => builder.with_no_client_auth(),
        Some(ca) => {
            let mut roots = RootCertStore::empty();
            for root in certificates(ca)? {
                roots.add(root).map_err(|source| TlsError::Authority { path: ca.to_owned(), source })?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build()?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut config = builder.with_single_cert(chain, private).map_err(TlsError::KeyPair)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    Ok(config)
}

fn transport(limits: &TransportLimits) -> Result<TransportConfig, TlsError> {
    let idle = IdleTimeout::try_from(limits.idle_timeout).map_err(|_| TlsError::IdleTimeout)?;
    let mut transport = TransportConfig::default();
    transport
        .max_concurrent_bidi_streams(VarInt::from_u32(limits.streams))
        // Agents open no streams of their own accord but to ask; notices go the other way.
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .max_idle_timeout(Some(idle))
        .stream_receive_window(VarInt::from_u32(MAX_UNREAD_BYTES_PER_STREAM.min(limits.unread_bytes)))
        // quinn tells of connection credit in eighths of the window: without a quarter more, streams that wait to be read could
        // hold all of it that was told of, and the one that is read would wait for them.
        .receive_window(VarInt::from_u32(limits.unread_bytes.saturating_add(limits.unread_bytes / 4)))
        .send_window(u64::from(limits.unsent_bytes))
        .datagram_receive_buffer_size(None);
    Ok(transport)
}

/// Asks of a certificate what webpki does, and then that it names an agent of our trust domain.
#[derive(Debug)]
struct SvidVerifier {
    signed: Arc<dyn ClientCertVerifier>,
    trust_domain: TrustDomain,
}

impl SvidVerifier {
    fn new(ca: &Path, trust_domain: TrustDomain, provider: &Arc<CryptoProvider>) -> Result<Self, TlsError> {
        let mut roots = RootCertStore::empty();
        for root in certificates(ca)? {
            roots.add(root).map_err(|source| TlsError::Authority { path: ca.to_owned(), source })?;
        }
        let signed =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider)).build()?;
        Ok(Self { signed, trust_domain })
    }

    fn check(&self, leaf: &[u8]) -> Result<(), IdentityError> {
        let id = SpiffeId::from_certificate(leaf)?;
        if id.trust_domain() == self.trust_domain.as_str() {
            Ok(())
        } else {
            Err(IdentityError::TrustDomain(id.trust_domain().to_owned()))
        }
    }
}

impl ClientCertVerifier for SvidVerifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.signed.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        let verified = self.signed.verify_client_cert(leaf, intermediates, now)?;
        self.check(leaf).map_err(|error| CertificateError::Other(OtherError(Arc::new(error))))?;
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.signed.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.signed.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.signed.supported_verify_schemes()
    }
}

/// When the first of the certificates in a file ends.
///
/// # Errors
/// [`TlsError`] where there is none that can be read.
pub fn first_expiry(path: &Path) -> Result<Timestamp, TlsError> {
    let wrong = || TlsError::Pem { path: path.to_owned(), expected: "certificate" };
    let ends: Result<Vec<Timestamp>, _> =
        certificates(path)?.iter().map(|certificate| super::certificate::expiry_of(certificate)).collect();
    ends.ok().and_then(|ends| ends.into_iter().min()).ok_or_else(wrong)
}

/// The certificates of a file in PEM, the holder's first.
///
/// # Errors
/// [`TlsError::Unreadable`], [`TlsError::Pem`].
pub fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let wrong = || TlsError::Pem { path: path.to_owned(), expected: "certificate" };
    let bytes = read(path)?;
    let found: Result<Vec<_>, _> =
        CertificateDer::pem_slice_iter(&bytes).take(MAX_CERTIFICATES + 1).collect();
    let found = found.map_err(|_| wrong())?;
    if (1..=MAX_CERTIFICATES).contains(&found.len()) { Ok(found) } else { Err(wrong()) }
}

fn read(path: &Path) -> Result<zeroize::Zeroizing<Vec<u8>>, TlsError> {
    use std::io::Read as _;
    let mut bytes = zeroize::Zeroizing::new(Vec::new());
    std::fs::File::open(path)
        .and_then(|file| file.take(MAX_PEM_BYTES).read_to_end(&mut bytes))
        .map_err(|source| TlsError::Unreadable { path: path.to_owned(), source })?;
    Ok(bytes)
}
