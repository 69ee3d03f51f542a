//! Over a real QUIC connection on the loopback: certificates on both sides, an answer that is lost and fetched again, and
//! errors that tell what to do next.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use assent_client::proto::limits::MAX_FRAME_BYTES;
use assent_client::proto::wire::{ALPN, append_refused};
use assent_client::{Client, ClientError, Config, ConfigError, Refusal, ReplyError};
use quinn::crypto::rustls::QuicServerConfig;
use quinn::{Connection, Endpoint, SendStream, ServerConfig, VarInt};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, SanType};
use rustls::RootCertStore;
use rustls::server::WebPkiClientVerifier;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::sync::{Notify, mpsc};

use crate::appliance::{Appliance, allow_once, cancel};

/// A CA, and a folder that holds what it signed.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: tempfile::TempDir,
}

struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    cert_file: PathBuf,
    key_file: PathBuf,
}

/// Who answers, every frame that arrived, and what lets it go on.
type Scene = (Arc<Mutex<Appliance>>, Arc<Mutex<Vec<Vec<u8>>>>, Arc<Notify>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.pem"), issuer.pem()).unwrap();
        Self { issuer, folder }
    }

    fn ca_file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// A certificate for the loopback that also names a SPIFFE ID, as an appliance's and an agent's do.
    fn identity(&self, name: &str) -> Identity {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let spiffe = format!("spiffe://test/{name}");
        params.subject_alt_names.push(SanType::URI(spiffe.as_str().try_into().unwrap()));
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let [cert_file, key_file] =
            ["pem", "key"].map(|end| self.folder.path().join(format!("{name}.{end}")));
        std::fs::write(&cert_file, certificate.pem()).unwrap();
        std::fs::write(&key_file, key.serialize_pem()).unwrap();
        let chain = vec![certificate.der().clone()];
        Identity { chain, key: PrivateKeyDer::try_from(key.serialize_der()).unwrap(), cert_file, key_file }
    }
}

/// What the appliance does with the first connections.
#[derive(Clone, Copy)]
pub(crate) enum Manner {
    Answer,
    /// Reads the batch and drops the connection without an answer, so often.
    DropFirst(usize),
    /// Says that it is stopping, so often.
    StopFirst(usize),
    /// Gives up the stream with that code, so often.
    ResetFirst(usize, Refusal),
    /// Says that what it is asked about still waits.
    SayWaiting,
    /// The same, once it is let go on.
    HoldWaiting,
    /// Closes the connection because it does not know the agent.
    TurnAway,
    /// Reads the batch and says nothing.
    KeepSilent,
}

pub(crate) struct Server {
    addr: SocketAddr,
    authority: Authority,
    pub(crate) appliance: Arc<Mutex<Appliance>>,
    /// Every frame that arrived.
    frames: Arc<Mutex<Vec<Vec<u8>>>>,
    /// Every connection, as it was made.
    connections: tokio::sync::Mutex<mpsc::Receiver<Connection>>,
    /// The one that was taken from there last.
    newest: Mutex<Option<Connection>>,
    /// Lets it go on where it holds a question.
    pub(crate) go_on: Arc<Notify>,
}

impl Server {
    pub(crate) fn start(manner: Manner) -> Self {
        let authority = Authority::new();
        let identity = authority.identity("appliance");
        let mut roots = RootCertStore::empty();
        roots.add(authority.issuer.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build().unwrap();
        let mut tls = rustls::ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_client_cert_verifier(verifier)
            .with_single_cert(identity.chain, identity.key)
            .unwrap();
        tls.alpn_protocols = vec![ALPN.to_vec()];
        let config = ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(tls).unwrap()));
        let endpoint = Endpoint::server(config, (Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let addr = endpoint.local_addr().unwrap();
        let appliance = Arc::new(Mutex::new(Appliance::with_log_of(50)));
        let frames = Arc::new(Mutex::new(Vec::new()));
        let (made, connections) = mpsc::channel(16);
        let go_on = Arc::new(Notify::new());
        let scene = (appliance.clone(), frames.clone(), go_on.clone());
        tokio::spawn(serve(endpoint, manner, scene, made));
        let newest = Mutex::default();
        Self { addr, authority, appliance, frames, connections: connections.into(), newest, go_on }
    }

    /// The next connection.
    pub(crate) async fn connection(&self) -> Connection {
        let connection = self.connections.lock().await.recv().await.unwrap();
        *self.newest.lock().unwrap() = Some(connection.clone());
        connection
    }

    /// The connection that was waited for last.
    pub(crate) fn newest(&self) -> Connection {
        self.newest.lock().unwrap().clone().unwrap()
    }

    pub(crate) fn config(&self) -> Config {
        let agent = self.authority.identity("agent");
        let addr = format!("localhost:{}", self.addr.port());
        let config = Config::new(addr, self.authority.ca_file(), agent.cert_file, agent.key_file).unwrap();
        let trust = self.appliance.lock().unwrap().trust();
        Config { connect_timeout: Duration::from_secs(5), ..config.trusting(trust) }
    }

    /// Whether there was no connection but those that were waited for.
    pub(crate) async fn has_no_other_connection(&self) -> bool {
        self.connections.lock().await.try_recv().is_err()
    }

    pub(crate) fn frames(&self) -> Vec<Vec<u8>> {
        self.frames.lock().unwrap().clone()
    }
}

async fn serve(endpoint: Endpoint, manner: Manner, scene: Scene, made: mpsc::Sender<Connection>) {
    while let Some(incoming) = endpoint.accept().await {
        let Ok(connection) = incoming.await else { continue };
        made.try_send(connection.clone()).unwrap();
        tokio::spawn(serve_connection(connection, manner, scene.clone()));
    }
}

async fn serve_connection(connection: Connection, manner: Manner, (appliance, frames, go_on): Scene) {
    while let Ok((mut send, mut receive)) = connection.accept_bi().await {
        let frame = receive.read_to_end(MAX_FRAME_BYTES).await.unwrap();
        let before = frames.lock().unwrap().len();
        frames.lock().unwrap().push(frame.clone());
        match manner {
            Manner::DropFirst(count) if before < count => {
                connection.close(code(Refusal::ShuttingDown), b"restarting")
            }
            Manner::StopFirst(count) if before < count => {
                let mut reply = Vec::new();
                append_refused(Refusal::ShuttingDown, &mut reply);
                answer(&mut send, &reply).await;
            }
            Manner::ResetFirst(count, refusal) if before < count => send.reset(code(refusal)).unwrap(),
            Manner::SayWaiting | Manner::HoldWaiting => {
                if matches!(manner, Manner::HoldWaiting) {
                    go_on.notified().await;
                }
                let mut reply = Vec::new();
                append_refused(Refusal::Queued, &mut reply);
                answer(&mut send, &reply).await;
            }
            Manner::TurnAway => connection.close(code(Refusal::Unauthenticated), b"not enrolled"),
            Manner::KeepSilent => drop(connection.closed().await),
            Manner::DropFirst(_) | Manner::StopFirst(_) | Manner::ResetFirst(..) | Manner::Answer => {
                let reply = appliance.lock().unwrap().answer(&frame, allow_once);
                answer(&mut send, &reply).await;
            }
        }
    }
}

fn code(refusal: Refusal) -> VarInt {
    VarInt::from_u32(u32::from(refusal.number()))
}

async fn answer(send: &mut SendStream, reply: &[u8]) {
    send.write_all(reply).await.unwrap();
    send.finish().unwrap();
}

#[tokio::test]
async fn batches_are_answered_over_one_connection() {
    let server = Server::start(Manner::Answer);
    let client = Client::connect(&server.config()).await.unwrap();
    for round in 0..3 {
        let intents: Vec<_> = (0..100).map(|number| cancel(&format!("#W{round}-{number}"))).collect();
        let outcomes = client.preauthorize(&intents).await.unwrap();
        assert!(outcomes.all_allowed());
        assert_eq!(outcomes.len(), 100);
    }
    assert_eq!(server.frames().len(), 3);
    client.close().await;
}

#[tokio::test]
async fn batch_without_an_answer_is_asked_again_under_its_id() {
    let server = Server::start(Manner::DropFirst(2));
    let client = Client::connect(&server.config()).await.unwrap();
    let outcomes = client.preauthorize(&[cancel("#W1")]).await.unwrap();
    assert!(outcomes.all_allowed());
    let frames = server.frames();
    assert_eq!(frames.len(), 3);
    assert!(frames.iter().all(|frame| frame == &frames[0] && frame == outcomes.batch().frame()));
}

#[tokio::test]
async fn batch_that_a_stopping_appliance_refused_is_asked_again() {
    for manner in [Manner::StopFirst(1), Manner::ResetFirst(1, Refusal::ShuttingDown)] {
        let server = Server::start(manner);
        let client = Client::connect(&server.config()).await.unwrap();
        assert!(client.preauthorize(&[cancel("#W1")]).await.unwrap().all_allowed());
        let frames = server.frames();
        assert_eq!(frames.len(), 2);
        assert_eq!(frames[0], frames[1]);
    }
}

#[tokio::test]
async fn agent_that_is_turned_away_is_told_at_once() {
    let server = Server::start(Manner::TurnAway);
    let client = Client::connect(&server.config()).await.unwrap();
    let error = client.preauthorize(&[cancel("#W1")]).await.unwrap_err();
    assert!(matches!(error, ClientError::Unauthorised { .. }), "{error}");
    assert_eq!(server.frames().len(), 1);
}

#[tokio::test]
async fn silence_ends_at_the_deadline() {
    let server = Server::start(Manner::KeepSilent);
    let config = Config { deadline: Duration::from_millis(300), ..server.config() };
    let client = Client::connect(&config).await.unwrap();
    let error = client.preauthorize(&[cancel("#W1")]).await.unwrap_err();
    assert!(matches!(error, ClientError::Deadline { last: None, .. }), "{error}");
    assert_eq!(server.frames().len(), 1);
}

#[tokio::test]
async fn answer_of_an_untrusted_log_is_refused() {
    let server = Server::start(Manner::Answer);
    let foreign = {
        use assent_client::proto::note::VerifierKey;
        use assent_client::proto::verify::TrustedKey;
        use assent_client::{Timestamp, Trust};
        let key = ed25519_dalek::SigningKey::from_bytes(&[8; 32]);
        let key = VerifierKey::new("localhost/test/log/1", key.verifying_key().as_bytes()).unwrap();
        Trust::new(&[TrustedKey { key, not_before: Timestamp(0), not_after: Timestamp(u64::MAX) }]).unwrap()
    };
    let client = Client::connect(&server.config().trusting(foreign)).await.unwrap();
    let error = client.preauthorize(&[cancel("#W1")]).await.unwrap_err();
    assert!(matches!(error, ClientError::Reply(ReplyError::UntrustedKey(_))), "{error}");
}

#[tokio::test]
async fn appliance_of_another_ca_or_name_is_refused() {
    let server = Server::start(Manner::Answer);
    let other_ca = Config { ca: Authority::new().ca_file_kept(), ..server.config() };
    let other_name = Config { server_name: "elsewhere".to_owned(), ..server.config() };
    for config in [other_ca, other_name] {
        let error = Client::connect(&config).await.unwrap_err();
        assert!(matches!(error, ClientError::ServerRefused { .. }), "{error}");
    }
}

impl Authority {
    /// The CA's file, in a folder that outlives it.
    fn ca_file_kept(self) -> PathBuf {
        self.folder.keep().join("ca.pem")
    }
}

#[tokio::test]
async fn agent_of_another_ca_is_told_to_enrol() {
    let server = Server::start(Manner::Answer);
    let stranger = Authority::new().identity_kept("stranger");
    let config = Config { cert: stranger.cert_file, key: stranger.key_file, ..server.config() };
    // The server's refusal may come during the handshake or just after it.
    let error = match Client::connect(&config).await {
        Ok(client) => client.preauthorize(&[cancel("#W1")]).await.unwrap_err(),
        Err(error) => error,
    };
    assert!(matches!(error, ClientError::Unauthorised { .. }), "{error}");
    assert!(error.to_string().contains("assent agent enroll"));
    assert!(server.frames().is_empty());
}

impl Authority {
    fn identity_kept(self, name: &str) -> Identity {
        let identity = self.identity(name);
        let _ = self.folder.keep();
        identity
    }
}

#[tokio::test]
async fn silent_address_is_told_with_what_to_check() {
    let server = Server::start(Manner::Answer);
    let nobody = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let addr = nobody.local_addr().unwrap().to_string();
    let config = Config {
        addr,
        connect_timeout: Duration::from_millis(200),
        deadline: Duration::from_millis(500),
        ..server.config()
    };
    let error = Client::connect(&config).await.unwrap_err();
    assert!(matches!(error, ClientError::NoAnswer { .. }), "{error}");
    assert!(error.to_string().contains("assent status"));
}

#[tokio::test]
async fn missing_files_are_named() {
    let server = Server::start(Manner::Answer);
    let config = Config { key: PathBuf::from("/nonexistent/agent.key"), ..server.config() };
    let error = Client::connect(&config).await.unwrap_err();
    assert!(matches!(error, ClientError::Config(ConfigError::Pem { what: "private key", .. })), "{error}");
}
