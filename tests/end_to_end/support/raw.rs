//! A peer that is no client of ours: it may send any bytes, with any certificate, under any protocol name.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use assent_proto::limits::MAX_REPLY_BYTES;
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{Connection, Endpoint, TransportConfig};
use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, Issuer, KeyPair, SanType};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use super::Appliance;

/// A certificate with its key.
pub(crate) struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: Vec<u8>,
}

impl Identity {
    /// A client certificate with these URI SANs, signed by the CA in `folder`.
    pub(crate) fn issue(folder: &Path, uris: &[&str]) -> Self {
        let pem = |name: &str| std::fs::read_to_string(folder.join(name)).expect("the CA");
        let ca_key = KeyPair::from_pem(&pem("ca.key")).expect("the CA's key");
        let issuer = Issuer::from_ca_cert_pem(&pem("ca.pem"), ca_key).expect("the CA's certificate");
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::default();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.key_usages = vec![rcgen::KeyUsagePurpose::DigitalSignature];
        let san = |uri: &&str| SanType::URI((*uri).try_into().expect("a URI"));
        params.subject_alt_names = uris.iter().map(san).collect();
        let certificate = params.signed_by(&key, &issuer).expect("a certificate");
        Self { chain: vec![certificate.der().clone()], key: key.serialize_der() }
    }

    /// The sample's agent.
    pub(crate) fn enrolled(appliance: &Appliance) -> Self {
        let agents = appliance.folder.path().join("agents");
        let chain = CertificateDer::from_pem_file(agents.join("retail-support.pem")).expect("a certificate");
        let key = PrivatePkcs8KeyDer::from_pem_file(agents.join("retail-support.key")).expect("a key");
        Self { chain: vec![chain], key: key.secret_pkcs8_der().to_vec() }
    }
}

/// Connects; the error is what the appliance, or TLS, said.
pub(crate) async fn connect(
    appliance: &Appliance,
    identity: Option<Identity>,
    alpn: &[u8],
) -> Result<(Endpoint, Connection), String> {
    connect_within(appliance, identity, alpn, TransportConfig::default()).await
}

/// As [`connect`], with these windows and limits.
pub(crate) async fn connect_within(
    appliance: &Appliance,
    identity: Option<Identity>,
    alpn: &[u8],
    transport: TransportConfig,
) -> Result<(Endpoint, Connection), String> {
    let mut roots = rustls::RootCertStore::empty();
    let ca = CertificateDer::from_pem_file(appliance.folder.path().join("tls/ca.pem")).expect("the CA");
    roots.add(ca).expect("a root");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("TLS 1.3")
        .with_root_certificates(roots);
    let mut tls = match identity {
        Some(Identity { chain, key }) => {
            let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key));
            builder.with_client_auth_cert(chain, key).expect("a usable certificate")
        }
        None => builder.with_no_client_auth(),
    };
    tls.alpn_protocols = vec![alpn.to_vec()];
    let mut endpoint = Endpoint::client("127.0.0.1:0".parse().expect("an address")).expect("a socket");
    let quic = QuicClientConfig::try_from(tls).expect("a QUIC configuration");
    let mut config = quinn::ClientConfig::new(Arc::new(quic));
    config.transport_config(Arc::new(transport));
    endpoint.set_default_client_config(config);
    let address: SocketAddr =
        appliance.status().expect("the appliance answers").listen.parse().expect("an address");
    let connecting = endpoint.connect(address, "localhost").map_err(|error| error.to_string())?;
    let connection = connecting.await.map_err(|error| error.to_string())?;
    Ok((endpoint, connection))
}

/// Connects and asks with `frame`; the error is why there was no reply, be it in the handshake or after it.
pub(crate) async fn ask(
    appliance: &Appliance,
    identity: Option<Identity>,
    alpn: &[u8],
    frame: &[u8],
) -> Result<Vec<u8>, String> {
    let (_endpoint, connection) = connect(appliance, identity, alpn).await?;
    exchange(&connection, frame).await
}

/// One frame, one reply.
pub(crate) async fn exchange(connection: &Connection, frame: &[u8]) -> Result<Vec<u8>, String> {
    let (mut send, mut receive) = connection.open_bi().await.map_err(|error| error.to_string())?;
    // The appliance may stop reading before the end; what it answers is read all the same.
    let _ = send.write_all(frame).await;
    let _ = send.finish();
    receive.read_to_end(MAX_REPLY_BYTES).await.map_err(|error| error.to_string())
}
