//! The other side of HTTP: asking witnesses, and logs of others. Plain HTTP, and HTTPS with the cryptography of the rest.
//!
//! The one rule: every wait has a deadline and every body a limit. A redirect is not followed and no proxy is taken from the
//! environment: who is asked is who was named. What comes back is worth what its signatures are worth.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

/// Where systems keep the certificates of the authorities that they trust.
const SYSTEM_ROOTS: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];

/// Why nobody can be asked over TLS.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the certificates of {}", path.display())]
pub struct RootsError {
    /// Which file.
    path: PathBuf,
    /// What is wrong with it.
    #[source]
    source: rustls_pki_types::pem::Error,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[error("cannot reach {url}")]
pub struct Unreachable {
    url: String,
    #[source]
    source: Box<ureq::Error>,
}

/// An answer, whatever its status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// What the body says that it is.
    pub content_type: String,
    /// The body, as far as the limit.
    pub body: Vec<u8>,
}

/// Asks others.
#[derive(Clone, Debug)]
pub struct Client {
    agent: ureq::Agent,
}

impl Client {
    /// A client that waits so long for a whole exchange. HTTPS is believed under the authorities in `roots`, or the system's
    /// where none are named; where those are missing too, no HTTPS is believed at all.
    ///
    /// # Errors
    /// [`RootsError`]; only for `roots`.
    pub fn new(deadline: Duration, roots: Option<&Path>) -> Result<Self, RootsError> {
        let certificates = match roots {
            Some(path) => read(path)?,
            None => SYSTEM_ROOTS.iter().find_map(|path| read(Path::new(path)).ok()).unwrap_or_default(),
        };
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let tls = TlsConfig::builder()
            .unversioned_rustls_crypto_provider(Arc::new(provider))
            .root_certs(RootCerts::Specific(Arc::new(certificates)))
            .build();
        let agent = ureq::Agent::config_builder()
            .timeout_global(Some(deadline))
            .http_status_as_error(false)
            .max_redirects(0)
            .proxy(None)
            .user_agent(concat!("assent/", env!("CARGO_PKG_VERSION")))
            .tls_config(tls)
            .build();
        Ok(Self { agent: agent.into() })
    }

    /// Gets what is there, at most `most` bytes of it: more is an error.
    ///
    /// # Errors
    /// [`Unreachable`].
    pub fn get(&self, url: &str, most: u64) -> Result<Reply, Unreachable> {
        taken(url, self.agent.get(url).call(), most)
    }

    /// Posts a text, and takes at most `most` bytes of the answer.
    ///
    /// # Errors
    /// [`Unreachable`].
    pub fn post(&self, url: &str, body: &str, most: u64) -> Result<Reply, Unreachable> {
        taken(url, self.agent.post(url).content_type("text/plain; charset=utf-8").send(body), most)
    }
}

fn taken(
    url: &str,
    answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
    most: u64,
) -> Result<Reply, Unreachable> {
    let unreachable = |source| Unreachable { url: url.to_owned(), source: Box::new(source) };
    let mut answer = answer.map_err(unreachable)?;
    let content_type = answer.headers().get(ureq::http::header::CONTENT_TYPE);
    let content_type = content_type.and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let body = answer.body_mut().with_config().limit(most).read_to_vec().map_err(unreachable)?;
    Ok(Reply { status: answer.status().as_u16(), content_type, body })
}

fn read(path: &Path) -> Result<Vec<Certificate<'static>>, RootsError> {
    let unread = |source| RootsError { path: path.to_owned(), source };
    let found = CertificateDer::pem_file_iter(path).map_err(unread)?;
    found.map(|der| Ok(Certificate::from_der(&der.map_err(unread)?).to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_does_not_answer_is_named_and_missing_roots_too() {
        let client = Client::new(Duration::from_secs(5), None).unwrap();
        // A port that nobody can listen at.
        let refused = client.get("http://127.0.0.1:0/checkpoint", 10).unwrap_err();
        assert_eq!(refused.to_string(), "cannot reach http://127.0.0.1:0/checkpoint");
        let missing =
            Client::new(Duration::from_secs(5), Some(Path::new("/nonexistent/ca.pem"))).unwrap_err();
        assert_eq!(missing.to_string(), "cannot read the certificates of /nonexistent/ca.pem");
    }
}
