//! HTTP to others: one exchange within a deadline, over TLS with the cryptography of the rest.
//!
//! The one rule: every wait has a deadline and every body a limit. No redirect is followed and no proxy is taken from the
//! environment: who is asked is who was named. What an answer means, and what it is worth, its room knows.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use ureq::http::Response;
pub use ureq::http::Uri;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

/// Where systems keep the certificates of the authorities that they trust.
const SYSTEM_ROOTS: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];
/// Bytes of an answer's head.
const MAX_HEAD_BYTES: usize = 16 * 1024;

/// Under whose certificates HTTPS is believed. Where a system has none, no HTTPS is believed under them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust<'a> {
    /// The authorities of the system.
    System,
    /// Those of a PEM file alone.
    Only(&'a Path),
    /// Both.
    SystemAnd(&'a Path),
}

/// Why nobody can be asked over TLS.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the certificates of {}; give a file of PEM certificates", path.display())]
pub struct RootsError {
    path: PathBuf,
    #[source]
    source: rustls_pki_types::pem::Error,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum NoAnswer {
    /// Its certificate is not believed.
    #[error("its certificate is not accepted: {0}")]
    Certificate(String),
    /// It did not answer in time.
    #[error("it did not answer within {} s", .0.as_secs_f32())]
    Late(Duration),
    /// Nobody has this name.
    #[error("its host is not found")]
    NoHost,
    /// The answer is longer than it may be.
    #[error("its answer has more than {0} bytes")]
    Long(u64),
    /// Something else went wrong.
    #[error(transparent)]
    Other(Box<ureq::Error>),
}

/// Whoever asks.
#[derive(Clone, Debug)]
pub struct Outbound {
    agent: ureq::Agent,
    deadline: Duration,
}

impl Outbound {
    /// A client that waits so long for a whole exchange, and keeps so many connections for the next one.
    ///
    /// # Errors
    /// [`RootsError`]; only for a file that was named.
    pub fn new(deadline: Duration, trust: Trust<'_>, kept: usize) -> Result<Self, RootsError> {
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let tls = TlsConfig::builder()
            .unversioned_rustls_crypto_provider(Arc::new(provider))
            .root_certs(RootCerts::Specific(Arc::new(roots(trust)?)))
            .build();
        let agent = ureq::Agent::config_builder()
            .timeout_global(Some(deadline))
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .max_response_header_size(MAX_HEAD_BYTES)
            .max_idle_connections(kept)
            .proxy(None)
            .user_agent(concat!("assent/", env!("CARGO_PKG_VERSION")))
            .tls_config(tls)
            .build();
        Ok(Self { agent: agent.into(), deadline })
    }

    /// Gets what is there.
    ///
    /// # Errors
    /// [`NoAnswer`].
    pub fn get(&self, url: &str) -> Result<Reply, NoAnswer> {
        self.taken(self.agent.get(url).call())
    }

    /// Posts a body of this type, with headers beside it.
    ///
    /// # Errors
    /// [`NoAnswer`].
    pub fn post(
        &self,
        url: &str,
        content_type: &str,
        headers: &[(&'static str, String)],
        body: &[u8],
    ) -> Result<Reply, NoAnswer> {
        let post = self.agent.post(url).content_type(content_type);
        let post = headers.iter().fold(post, |post, (name, value)| post.header(*name, value));
        self.taken(post.send(body))
    }

    fn taken(&self, answer: Result<Response<ureq::Body>, ureq::Error>) -> Result<Reply, NoAnswer> {
        let answer = answer.map_err(|error| no_answer(error, self.deadline))?;
        Ok(Reply { answer, deadline: self.deadline })
    }
}

/// An answer, whatever its status.
#[derive(Debug)]
pub struct Reply {
    answer: Response<ureq::Body>,
    deadline: Duration,
}

impl Reply {
    /// The status code.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.answer.status().as_u16()
    }

    /// A header, where it is there and is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.answer.headers().get(name)?.to_str().ok()
    }

    /// The body, at most `most` bytes of it: more is an error.
    ///
    /// # Errors
    /// [`NoAnswer`].
    pub fn body(mut self, most: u64) -> Result<Vec<u8>, NoAnswer> {
        let body = self.answer.body_mut().with_config().limit(most).read_to_vec();
        body.map_err(|error| {
            if matches!(error, ureq::Error::BodyExceedsLimit(_)) {
                NoAnswer::Long(most)
            } else {
                no_answer(error, self.deadline)
            }
        })
    }

    /// The beginning of the body, as much of it as comes.
    #[must_use]
    pub fn beginning(mut self, most: u64) -> Vec<u8> {
        let mut body = Vec::new();
        // What was read stays, and that it breaks off changes nothing.
        let _ = self.answer.body_mut().as_reader().take(most).read_to_end(&mut body);
        body
    }
}

fn no_answer(error: ureq::Error, deadline: Duration) -> NoAnswer {
    if let Some(refused) = certificate_error(&error) {
        NoAnswer::Certificate(refused)
    } else if matches!(error, ureq::Error::Timeout(_)) {
        NoAnswer::Late(deadline)
    } else if matches!(error, ureq::Error::HostNotFound) {
        NoAnswer::NoHost
    } else {
        NoAnswer::Other(Box::new(error))
    }
}

/// What rustls has against a certificate.
fn certificate_error(error: &ureq::Error) -> Option<String> {
    let tls = if let ureq::Error::Rustls(error) = error {
        Some(error)
    } else if let ureq::Error::Io(error) = error {
        error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>())
    } else {
        None
    };
    let Some(rustls::Error::InvalidCertificate(why)) = tls else { return None };
    let unknown = matches!(why, rustls::CertificateError::UnknownIssuer);
    Some(if unknown { "nobody trusted here has signed it".to_owned() } else { why.to_string() })
}

fn roots(trust: Trust<'_>) -> Result<Vec<Certificate<'static>>, RootsError> {
    let system = || SYSTEM_ROOTS.iter().find_map(|path| read(Path::new(path)).ok()).unwrap_or_default();
    Ok(match trust {
        Trust::System => system(),
        Trust::Only(path) => read(path)?,
        Trust::SystemAnd(path) => system().into_iter().chain(read(path)?).collect(),
    })
}

fn read(path: &Path) -> Result<Vec<Certificate<'static>>, RootsError> {
    let unread = |source| RootsError { path: path.to_owned(), source };
    let found = CertificateDer::pem_file_iter(path).map_err(unread)?;
    let found: Result<Vec<_>, _> = found.collect();
    let found = found.map_err(unread)?;
    if found.is_empty() {
        return Err(unread(rustls_pki_types::pem::Error::NoItemsFound));
    }
    Ok(found.iter().map(|der| Certificate::from_der(der).to_owned()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_does_not_answer_is_told_from_who_does() {
        let outbound = Outbound::new(Duration::from_secs(5), Trust::System, 0).unwrap();
        // A port that nobody can listen at.
        assert!(matches!(outbound.get("http://127.0.0.1:0/checkpoint"), Err(NoAnswer::Other(_))));
    }

    #[test]
    fn a_file_without_certificates_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let empty = folder.path().join("ca.pem");
        std::fs::write(&empty, "").unwrap();
        for path in [empty.as_path(), Path::new("/nonexistent/ca.pem")] {
            for trust in [Trust::Only(path), Trust::SystemAnd(path)] {
                let refused = Outbound::new(Duration::from_secs(5), trust, 0).unwrap_err();
                assert_eq!(
                    refused.to_string(),
                    format!(
                        "cannot read the certificates of {}; give a file of PEM certificates",
                        path.display()
                    )
                );
            }
        }
    }
}
