//! A bare exchange over QUIC: what the network costs of a question and its answer, with the bytes of ours and no sense in them.
//!
//! quinn and rustls as ours; one bidirectional stream an exchange, the server a process of its own, as ours.

use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use appliance::clock::Stopwatch;
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{ClientConfig, Connection, Endpoint, ServerConfig};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::task::JoinSet;

use crate::bed::runtime;
use crate::children::{Running, helper};
use crate::measure::{Times, as_f64};

/// The word that makes this program the server.
const VERB: &str = "echo";
/// How long agents ask before it counts.
const WARM_UP: Duration = Duration::from_millis(300);

/// Bytes that a question may have.
const MAX_ASKED: usize = 4 * 1024 * 1024;
/// Bytes at the beginning of a question that say how many the answer is to have.
const LENGTH_BYTES: usize = 4;

/// Bytes of a question and of its answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    pub(crate) asked: usize,
    pub(crate) answered: usize,
}

impl Sizes {
    /// A question of that size, for an answer of that size.
    fn question(self) -> anyhow::Result<Vec<u8>> {
        let mut question = vec![7; self.asked.max(LENGTH_BYTES)];
        let length = u32::try_from(self.answered)?.to_le_bytes();
        question.iter_mut().zip(length).for_each(|(to, from)| *to = from);
        Ok(question)
    }
}

/// The server, until it is dropped.
pub(crate) struct Echo {
    address: SocketAddr,
    certificate: CertificateDer<'static>,
    _process: Running,
}

impl Echo {
    /// Starts the server.
    pub(crate) fn start() -> anyhow::Result<Self> {
        let (process, line) = Running::listening(&mut helper(VERB)?)?;
        let (address, certificate) = line.split_once(' ').context("an address and a certificate")?;
        Ok(Self { address: address.parse()?, certificate: unhex(certificate)?.into(), _process: process })
    }

    /// One connection, one exchange of these sizes after the other.
    pub(crate) fn lone(&self, sizes: Sizes, count: usize) -> anyhow::Result<Times> {
        let runtime = runtime(1)?;
        let connection = runtime.block_on(self.connect())?;
        let question = sizes.question()?;
        Times::each(count, || runtime.block_on(exchange(&connection, &question, sizes.answered)))
    }

    /// So many connections with one exchange of these sizes in flight each, for so long: exchanges a second.
    pub(crate) fn rate(&self, connections: usize, sizes: Sizes, span: Duration) -> anyhow::Result<f64> {
        let runtime = runtime(connections)?;
        let question: Arc<[u8]> = sizes.question()?.into();
        runtime.block_on(async {
            let mut asking = JoinSet::new();
            for _ in 0..connections {
                let (connection, question) = (self.connect().await?, Arc::clone(&question));
                asking.spawn(async move {
                    let since = Stopwatch::start();
                    while since.elapsed() < WARM_UP {
                        exchange(&connection, &question, sizes.answered).await?;
                    }
                    let (since, mut count) = (Stopwatch::start(), 0);
                    while since.elapsed() < span {
                        exchange(&connection, &question, sizes.answered).await?;
                        count += 1;
                    }
                    anyhow::Ok(count)
                });
            }
            let mut all: usize = 0;
            while let Some(count) = asking.join_next().await {
                all += count??;
            }
            Ok(as_f64(all) / span.as_secs_f64())
        })
    }

    async fn connect(&self) -> anyhow::Result<Connection> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(self.certificate.clone())?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let endpoint = Endpoint::client(SocketAddr::from(([127, 0, 0, 1], 0)))?;
        let config = ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls)?));
        Ok(endpoint.connect_with(config, self.address, "localhost")?.await?)
    }
}

async fn exchange(connection: &Connection, question: &[u8], answered: usize) -> anyhow::Result<()> {
    let (mut send, mut receive) = connection.open_bi().await?;
    send.write_all(question).await?;
    send.finish()?;
    let answer = receive.read_to_end(answered).await?;
    anyhow::ensure!(answer.len() == answered, "an answer of {} bytes", answer.len());
    Ok(())
}

/// The answer to a question: as many bytes as it asks for.
fn answer(question: &[u8]) -> Option<Vec<u8>> {
    let length = u32::from_le_bytes(*question.first_chunk()?);
    Some(vec![7; usize::try_from(length).ok()?])
}

/// Serves until standard input ends. Prints the address and its certificate.
pub(crate) fn serve() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let (endpoint, certificate) = runtime.block_on(async { endpoint() })?;
    let hex: String = certificate.iter().map(|byte| format!("{byte:02x}")).collect();
    writeln!(std::io::stdout().lock(), "{} {hex}", endpoint.local_addr()?)?;
    runtime.spawn(async move {
        while let Some(incoming) = endpoint.accept().await {
            tokio::spawn(async move {
                let Ok(connection) = incoming.await else { return };
                while let Ok((mut send, mut receive)) = connection.accept_bi().await {
                    tokio::spawn(async move {
                        let Ok(question) = receive.read_to_end(MAX_ASKED).await else { return };
                        let Some(answer) = answer(&question) else { return };
                        if send.write_all(&answer).await.is_ok() {
                            let _ = send.finish();
                        }
                    });
                }
            });
        }
    });
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

fn unhex(text: &str) -> anyhow::Result<Vec<u8>> {
    let pairs = text.as_bytes().chunks(2).map(|pair| Ok(u8::from_str_radix(std::str::from_utf8(pair)?, 16)?));
    pairs.collect()
}

fn endpoint() -> anyhow::Result<(Endpoint, CertificateDer<'static>)> {
    let key = rcgen::KeyPair::generate()?;
    let certificate = rcgen::CertificateParams::new(vec!["localhost".to_owned()])?.self_signed(&key)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let private = PrivateKeyDer::try_from(key.serialize_der()).map_err(anyhow::Error::msg)?;
    let tls = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], private)?;
    let config = ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(tls)?));
    let endpoint = Endpoint::server(config, SocketAddr::from(([127, 0, 0, 1], 0)))?;
    Ok((endpoint, certificate.der().clone()))
}
