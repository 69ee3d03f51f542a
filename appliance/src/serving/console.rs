//! The operator console of a running appliance: its door and what is told live.
//!
//! Agents are served the same with it away.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use super::ports::{OPERATORS, PortError};
use super::{ServeError, system};
use crate::config::Config;
use crate::console::{Console, live};
use crate::control::Desk;
use crate::http::console::{ConsoleRoutes, serve};
use crate::identity::tls::{self, TlsError};

/// Why the console cannot open.
#[derive(Debug, thiserror::Error)]
pub enum ConsoleError {
    /// It would be reached from elsewhere without TLS.
    #[error("`console.origin` is of this machine alone, and `console.listen` is {address}: {}", self.next())]
    InClear {
        /// Where it would listen.
        address: SocketAddr,
    },
    /// A certificate or a key of its own cannot be used.
    #[error("the console cannot open; {}", self.next())]
    Tls {
        /// Which settings name what cannot be used.
        settings: String,
        /// What is wrong with it.
        #[source]
        source: TlsError,
    },
    /// Its port cannot be had.
    #[error(transparent)]
    Port(#[from] PortError),
}

impl ConsoleError {
    /// What to do.
    #[must_use]
    pub fn next(&self) -> String {
        match self {
            Self::InClear { .. } => {
                "listen on the loopback address, or give the console an origin with https://".to_owned()
            }
            Self::Tls { settings, .. } => format!("correct {settings}, or put back what belongs there"),
            Self::Port(error) => error.next(),
        }
    }
}

/// A file, and the setting that names it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Named<'c> {
    pub(crate) setting: &'static str,
    pub(crate) path: &'c Path,
}

/// What the door's TLS is made from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DoorFiles<'c> {
    pub(crate) certificate: Named<'c>,
    pub(crate) key: Named<'c>,
    pub(crate) client_ca: Option<Named<'c>>,
}

impl<'c> DoorFiles<'c> {
    pub(crate) fn of(config: &'c Config) -> Self {
        let (settings, own) = (&config.console, &config.tls);
        let named = |setting, path: &'c Path| Named { setting, path };
        Self {
            certificate: match &settings.certificate {
                Some(path) => named("console.certificate", path),
                None => named("tls.certificate", &own.certificate),
            },
            key: match &settings.key {
                Some(path) => named("console.key", path),
                None => named("tls.key", &own.key),
            },
            client_ca: settings.client_ca.as_deref().map(|path| named("console.client_ca", path)),
        }
    }

    fn refused(self, source: TlsError) -> ConsoleError {
        let all = [Some(self.certificate), Some(self.key), self.client_ca];
        let of_path = |path: &Path| all.into_iter().flatten().find(|file| file.path == path);
        let blamed = match &source {
            TlsError::Unreadable { path, .. }
            | TlsError::Pem { path, .. }
            | TlsError::Authority { path, .. } => of_path(path),
            TlsError::Verifier(_) => self.client_ca,
            TlsError::KeyPair(_) | TlsError::CipherSuite | TlsError::IdleTimeout => None,
        };
        let settings = match blamed {
            Some(file) => format!("`{}`", file.setting),
            None => format!("`{}` and `{}`", self.certificate.setting, self.key.setting),
        };
        ConsoleError::Tls { settings, source }
    }
}

/// What the door at this address speaks: HTTP alone for a site of this machine, and TLS for every other.
pub(crate) fn door_tls(
    config: &Config,
    address: SocketAddr,
) -> Result<Option<rustls::ServerConfig>, ConsoleError> {
    if config.console.is_local() {
        return if address.ip().is_loopback() { Ok(None) } else { Err(ConsoleError::InClear { address }) };
    }
    let files = DoorFiles::of(config);
    let client_ca = files.client_ca.map(|file| file.path);
    tls::console_config(files.certificate.path, files.key.path, client_ca)
        .map(Some)
        .map_err(|source| files.refused(source))
}

/// The console, before it runs.
pub(super) struct ConsoleRoom {
    console: Arc<Console>,
    door: TcpListener,
    tls: Option<TlsAcceptor>,
}

impl ConsoleRoom {
    /// Opens its door, where the configuration names operators.
    pub(super) fn open(config: &Config, desk: &Arc<Desk>) -> Result<Option<Self>, ServeError> {
        let (settings, passkeys) = (&config.console, desk.passkeys.clone());
        let (Some(address), Some(passkeys)) = (settings.listen, passkeys) else { return Ok(None) };
        let tls = door_tls(config, address)?.map(|server| TlsAcceptor::from(Arc::new(server)));
        let door = OPERATORS.tcp(address).map_err(ConsoleError::Port)?;
        let door = door.set_nonblocking(true).and_then(|()| TcpListener::from_std(door));
        let door = door.map_err(system("listen for operators"))?;
        let console = Arc::new(Console::new(Arc::clone(desk), passkeys, config.clone()));
        Ok(Some(Self { console, door, tls }))
    }

    /// Runs it.
    pub(super) fn run(self) -> RunningConsole {
        let Self { console, door, tls } = self;
        tracing::info!(console = console.passkeys().origin(), "operators may log in");
        let telling = tokio::spawn(live::run(Arc::clone(&console)));
        let serving = tokio::spawn(serve(door, tls, ConsoleRoutes::new(Arc::clone(&console))));
        RunningConsole { console, telling, serving }
    }
}

/// The console, while it runs.
#[derive(Debug)]
pub(super) struct RunningConsole {
    console: Arc<Console>,
    telling: JoinHandle<()>,
    serving: JoinHandle<()>,
}

impl RunningConsole {
    /// Ends it, and waits until it has let go of the log.
    pub(super) async fn stop(self) {
        for task in [self.telling, self.serving] {
            task.abort();
            let _ = task.await;
        }
        let console = self.console;
        let _ = tokio::task::spawn_blocking(move || console.stop()).await;
    }
}
