//! Whole handshakes over loopback: which peers get a connection, and which name it then has.

use std::net::Ipv4Addr;
use std::sync::Arc;

use assent_proto::wire::ALPN;
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, Connection, Endpoint};
use rustls::RootCertStore;
use rustls::client::ResolvesClientCert;
use rustls::pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject as _;

use super::super::ca::{CertificateAuthority, Issued, Name};
use super::super::certificate::peer;
use super::super::tls::{TlsSettings, TransportLimits, server_config};
use super::{DAY, authority, create, der, domain, odd_leaf, today};

const AGENT: &str = "spiffe://assent.test/agent/shop";

/// An appliance's socket, and the CA that it trusts.
struct Socket {
    endpoint: Endpoint,
    authority: CertificateAuthority,
    _folder: tempfile::TempDir,
}

impl Socket {
    fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = create(folder.path()).unwrap();
        let (certificate, key) = (folder.path().join("server.pem"), folder.path().join("server.key"));
        let names = [Name::Dns("localhost".to_owned()), Name::Ip(Ipv4Addr::LOCALHOST.into())];
        let id = domain().appliance("assent").unwrap();
        authority.issue_server(&id, &names, DAY, today()).unwrap().write(&certificate, &key).unwrap();
        let ca = folder.path().join("ca.pem");
        let transport = TransportLimits::default();
        let settings = TlsSettings { ca, certificate, key, trust_domain: domain(), transport };
        let config = server_config(&settings).unwrap();
        let endpoint = Endpoint::server(config, (Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        Self { endpoint, authority, _folder: folder }
    }

    /// Both ends of a connection as they are when each is sure of the other: QUIC lets a client speak before the server
    /// has looked at its certificate.
    async fn meet(&self, client: ClientConfig) -> Result<(Connection, Connection), String> {
        let mut endpoint = Endpoint::client((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        endpoint.set_default_client_config(client);
        let connecting = endpoint.connect(self.endpoint.local_addr().unwrap(), "localhost").unwrap();
        let accepting = async { self.endpoint.accept().await.unwrap().await };
        match tokio::join!(connecting, accepting) {
            (Ok(theirs), Ok(ours)) => Ok((theirs, ours)),
            (theirs, ours) => Err(format!("{:?} / {:?}", theirs.err(), ours.err())),
        }
    }

    async fn refusal(&self, client: ClientConfig) -> String {
        self.meet(client).await.expect_err("the server must refuse")
    }
}

/// A client that trusts `authority`, shows `leaf` if any, and speaks `protocols`.
fn client(authority: &CertificateAuthority, leaf: Option<&Issued>, protocols: &[&[u8]]) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(der(authority.certificate_pem())).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(roots);
    let mut config = match leaf {
        None => builder.with_no_client_auth(),
        Some(leaf) => {
            let key = PrivateKeyDer::from_pem_slice(leaf.key_pem.as_bytes()).unwrap();
            builder.with_client_auth_cert(vec![der(&leaf.certificate_pem)], key).unwrap()
        }
    };
    if leaf.is_some() {
        // Shows its certificate whatever the server hints at.
        config.client_auth_cert_resolver = Arc::new(Insists(Arc::clone(&config.client_auth_cert_resolver)));
    }
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    config.enable_early_data = true;
    ClientConfig::new(Arc::new(QuicClientConfig::try_from(config).unwrap()))
}

#[derive(Debug)]
struct Insists(Arc<dyn ResolvesClientCert>);

impl ResolvesClientCert for Insists {
    fn resolve(
        &self,
        _hints: &[&[u8]],
        schemes: &[rustls::SignatureScheme],
    ) -> Option<Arc<rustls::sign::CertifiedKey>> {
        self.0.resolve(&[], schemes)
    }

    fn has_certs(&self) -> bool {
        self.0.has_certs()
    }
}

#[tokio::test]
async fn an_enrolled_agent_is_met_under_its_name() {
    let socket = Socket::open();
    let leaf = socket.authority.issue_agent(&domain().agent("shop").unwrap(), DAY, today()).unwrap();
    let (_theirs, ours) = socket.meet(client(&socket.authority, Some(&leaf), &[ALPN])).await.unwrap();
    let met = peer(&ours).unwrap();
    assert_eq!((met.id.as_str(), met.serial, met.expires), (AGENT, leaf.serial, leaf.expires));
}

#[tokio::test]
async fn a_peer_without_a_certificate_is_refused() {
    let socket = Socket::open();
    let refusal = socket.refusal(client(&socket.authority, None, &[ALPN])).await;
    assert!(refusal.contains("no certificates") || refusal.contains("NoCertificatesPresented"), "{refusal}");
}

#[tokio::test]
async fn another_protocol_is_refused_and_so_is_none() {
    let socket = Socket::open();
    let leaf = socket.authority.issue_agent(&domain().agent("shop").unwrap(), DAY, today()).unwrap();
    for protocols in [&[&b"h3"[..]][..], &[b"assent/2"], &[]] {
        let refusal = socket.refusal(client(&socket.authority, Some(&leaf), protocols)).await;
        // TLS alert 120, no_application_protocol, as a QUIC crypto error.
        assert!(
            refusal.contains("application protocol") || refusal.contains("doesn't support any known"),
            "{refusal}"
        );
    }
}

#[tokio::test]
async fn a_certificate_of_another_ca_is_refused() {
    let socket = Socket::open();
    let leaf = authority().issue_agent(&domain().agent("shop").unwrap(), DAY, today()).unwrap();
    let refusal = socket.refusal(client(&socket.authority, Some(&leaf), &[ALPN])).await;
    assert!(refusal.contains("invalid peer certificate"), "{refusal}");
}

#[tokio::test]
async fn an_appliances_own_certificate_is_none_of_an_agent() {
    let socket = Socket::open();
    let id = domain().appliance("assent").unwrap();
    let leaf = socket.authority.issue_server(&id, &[], DAY, today()).unwrap();
    let refusal = socket.refusal(client(&socket.authority, Some(&leaf), &[ALPN])).await;
    assert!(refusal.contains("invalid peer certificate"), "{refusal}");
}

#[tokio::test]
async fn an_expired_certificate_is_refused() {
    let socket = Socket::open();
    let long_ago = assent_proto::number::Timestamp(today().0 - 10 * 86_400_000);
    let leaf = socket.authority.issue_agent(&domain().agent("shop").unwrap(), DAY, long_ago).unwrap();
    let refusal = socket.refusal(client(&socket.authority, Some(&leaf), &[ALPN])).await;
    assert!(refusal.contains("expired"), "{refusal}");
}

#[tokio::test]
async fn names_that_are_not_one_agent_of_ours_end_in_the_handshake() {
    let socket = Socket::open();
    let cases: [(&[&str], &str); 4] = [
        (&[AGENT, "spiffe://assent.test/agent/other"], "UriNames(2)"),
        (&["https://assent.test/agent/shop"], "Name(Scheme)"),
        (&["spiffe://elsewhere.test/agent/shop"], "TrustDomain"),
        (&["spiffe://assent.test"], "NoPath"),
    ];
    for (uris, expected) in cases {
        let leaf = odd_leaf(&socket.authority, uris, |_| ());
        let refusal = socket.refusal(client(&socket.authority, Some(&leaf), &[ALPN])).await;
        assert!(refusal.contains("invalid peer certificate"), "{uris:?}: {refusal}");
        assert!(refusal.contains(expected), "{uris:?}: {refusal}");
    }
}

#[tokio::test]
async fn a_second_connection_has_nothing_to_resume() {
    let socket = Socket::open();
    let leaf = socket.authority.issue_agent(&domain().agent("shop").unwrap(), DAY, today()).unwrap();
    let config = client(&socket.authority, Some(&leaf), &[ALPN]);
    let mut endpoint = Endpoint::client((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    endpoint.set_default_client_config(config);
    for _ in 0..2 {
        let connecting = endpoint.connect(socket.endpoint.local_addr().unwrap(), "localhost").unwrap();
        // Early data needs a ticket of an earlier connection.
        let connecting = connecting.into_0rtt().err().expect("no early data may be possible");
        let accepting = async { socket.endpoint.accept().await.unwrap().await.unwrap() };
        let (theirs, ours) = tokio::join!(connecting, accepting);
        // A stream there and back, so that a ticket would have arrived.
        let (mut send, mut receive) = theirs.unwrap().open_bi().await.unwrap();
        send.write_all(b"x").await.unwrap();
        send.finish().unwrap();
        let (mut answer, mut question) = ours.accept_bi().await.unwrap();
        assert_eq!(question.read_to_end(8).await.unwrap(), b"x");
        answer.finish().unwrap();
        receive.read_to_end(8).await.unwrap();
    }
}

#[tokio::test]
async fn agents_open_no_one_way_streams_and_send_no_datagrams() {
    let socket = Socket::open();
    let leaf = socket.authority.issue_agent(&domain().agent("shop").unwrap(), DAY, today()).unwrap();
    let (theirs, _ours) = socket.meet(client(&socket.authority, Some(&leaf), &[ALPN])).await.unwrap();
    let mut opening = std::pin::pin!(theirs.open_uni());
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(Future::poll(opening.as_mut(), &mut context).is_pending());
    assert_eq!(theirs.max_datagram_size(), None);
}
