//! TLS and QUIC as we want them: version 1.3, our certificate shown, the appliance's verified by CA and name, our protocol
//! alone, no early data, no resumption, and limits on all that a peer could make us keep.

use std::path::Path;
use std::sync::Arc;

use assent_proto::wire::ALPN;
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, IdleTimeout, TransportConfig, VarInt};
use rustls::RootCertStore;
use rustls::client::Resumption;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::config::{Config, ConfigError};
use crate::limits::{IDLE_TIMEOUT, KEEP_ALIVE};

/// Both sides of the configuration of an outgoing connection.
pub(super) fn client_config(config: &Config) -> Result<ClientConfig, ConfigError> {
    let tls = tls_config(config)?;
    let quic = QuicClientConfig::try_from(tls).map_err(|error| ConfigError::Tls(error.to_string()))?;
    let mut client = ClientConfig::new(Arc::new(quic));
    client.transport_config(Arc::new(transport()));
    Ok(client)
}

fn tls_config(config: &Config) -> Result<rustls::ClientConfig, ConfigError> {
    let wrong = |error: rustls::Error| ConfigError::Tls(error.to_string());
    let mut roots = RootCertStore::empty();
    for certificate in certificates("CA", &config.ca)? {
        roots.add(certificate).map_err(wrong)?;
    }
    let key = PrivateKeyDer::from_pem_file(&config.key).map_err(|source| ConfigError::Pem {
        what: "private key",
        path: config.key.clone(),
        source,
    })?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(wrong)?
        .with_root_certificates(roots)
        .with_client_auth_cert(certificates("certificate", &config.cert)?, key)
        .map_err(wrong)?;
    tls.alpn_protocols = vec![ALPN.to_vec()];
    tls.enable_early_data = false;
    tls.resumption = Resumption::disabled();
    Ok(tls)
}

fn certificates(what: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, ConfigError> {
    let unread = |source| ConfigError::Pem { what, path: path.to_owned(), source };
    let found = CertificateDer::pem_file_iter(path)
        .map_err(unread)?
        .collect::<Result<Vec<_>, _>>()
        .map_err(unread)?;
    if found.is_empty() {
        return Err(ConfigError::NoCertificate { what, path: path.to_owned() });
    }
    Ok(found)
}

fn transport() -> TransportConfig {
    let mut transport = TransportConfig::default();
    let idle = IdleTimeout::try_from(IDLE_TIMEOUT).ok();
    // The appliance opens no streams of its own, but for one when we listen, and sends no datagrams.
    transport
        .max_concurrent_bidi_streams(VarInt::from_u32(0))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .datagram_receive_buffer_size(None)
        .keep_alive_interval(Some(KEEP_ALIVE))
        .max_idle_timeout(idle);
    transport
}
