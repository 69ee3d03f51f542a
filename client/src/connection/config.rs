//! Where the appliance is, who we are, and whom we believe.
//!
//! There is no way to leave a check out: no skip-verify, no connection without a certificate.

use std::path::PathBuf;
use std::time::Duration;

use crate::limits::{CONNECT_TIMEOUT, DEADLINE, SILENCE};
use crate::quote::quoted;
use crate::trust::Trust;

/// How to reach an appliance. Clone and change what differs.
#[derive(Clone, Debug)]
pub struct Config {
    /// Host and port.
    pub addr: String,
    /// The name that the appliance's certificate must carry; at first the host of `addr`.
    pub server_name: String,
    /// PEM file of the CA that signed the appliance's certificate.
    pub ca: PathBuf,
    /// PEM file of our certificate chain.
    pub cert: PathBuf,
    /// PEM file of our private key.
    pub key: PathBuf,
    /// Whose checkpoints are believed. When there is one, answers that do not verify against it are refused.
    pub trust: Option<Trust>,
    /// How long one attempt to connect may take.
    pub connect_timeout: Duration,
    /// How long a batch may take, attempts and pauses included. A question about a ticket may take
    /// [`TICKET_PATIENCE`](crate::limits::TICKET_PATIENCE) more, for so long the appliance may hold it.
    pub deadline: Duration,
    /// After so long without a notice the appliance counts as silent; a live one speaks every second.
    pub silence: Duration,
}

/// Why a configuration does not serve.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// An environment variable is not set.
    #[error("{0} is not set: `assent dev` prints the four lines to paste")]
    Missing(&'static str),
    /// The address has no port.
    #[error("address `{0}` is not host:port, such as localhost:7700")]
    Addr(String),
    /// A PEM file does not read.
    #[error("{what} `{path}` does not read: is it a PEM file, and may you read it?")]
    Pem {
        /// What it is for.
        what: &'static str,
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: rustls_pki_types::pem::Error,
    },
    /// A PEM file holds no certificate.
    #[error("{what} `{path}` holds no certificate")]
    NoCertificate {
        /// What it is for.
        what: &'static str,
        /// Which.
        path: PathBuf,
    },
    /// The CA, or our certificate and key, do not make an identity.
    #[error("certificates do not fit: {0}")]
    Tls(String),
}

impl Config {
    /// From `ASSENT_ADDR`, `ASSENT_CA`, `ASSENT_CERT` and `ASSENT_KEY`.
    ///
    /// # Errors
    /// [`ConfigError::Missing`], [`ConfigError::Addr`].
    pub fn from_env() -> Result<Self, ConfigError> {
        let path = |name| std::env::var_os(name).map(PathBuf::from).ok_or(ConfigError::Missing(name));
        let addr = std::env::var("ASSENT_ADDR").map_err(|_| ConfigError::Missing("ASSENT_ADDR"))?;
        Self::new(addr, path("ASSENT_CA")?, path("ASSENT_CERT")?, path("ASSENT_KEY")?)
    }

    /// From host and port and the three PEM files.
    ///
    /// # Errors
    /// [`ConfigError::Addr`].
    pub fn new(
        addr: impl Into<String>,
        ca: impl Into<PathBuf>,
        cert: impl Into<PathBuf>,
        key: impl Into<PathBuf>,
    ) -> Result<Self, ConfigError> {
        let addr = addr.into();
        let server_name = host(&addr).ok_or_else(|| ConfigError::Addr(quoted(&addr)))?.to_owned();
        Ok(Self {
            addr,
            server_name,
            ca: ca.into(),
            cert: cert.into(),
            key: key.into(),
            trust: None,
            connect_timeout: CONNECT_TIMEOUT,
            deadline: DEADLINE,
            silence: SILENCE,
        })
    }

    /// The same, with answers verified against `trust`.
    #[must_use]
    pub fn trusting(self, trust: Trust) -> Self {
        Self { trust: Some(trust), ..self }
    }
}

/// The host of `host:port` or `[address]:port`.
fn host(addr: &str) -> Option<&str> {
    let (host, port) = addr.rsplit_once(':')?;
    port.parse::<u16>().ok()?;
    let bracketed = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let host = bracketed.unwrap_or(host);
    let bare_v6 = bracketed.is_none() && host.contains(':');
    (!host.is_empty() && !bare_v6).then_some(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn server_name_is_the_host() {
        for (addr, name) in
            [("localhost:7700", "localhost"), ("[::1]:7700", "::1"), ("10.0.0.1:1", "10.0.0.1")]
        {
            assert_eq!(Config::new(addr, "", "", "").unwrap().server_name, name);
        }
        for addr in ["localhost", "localhost:", ":7700", "::1:7700", "localhost:99999", "localhost:x"] {
            assert!(matches!(Config::new(addr, "", "", ""), Err(ConfigError::Addr(_))), "{addr}");
        }
    }
}
