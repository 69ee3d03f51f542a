//! The operator console of a running appliance: its door and what is told live.
//!
//! Agents are served the same with it away.

use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use super::{ServeError, system};
use crate::config::Config;
use crate::console::{Console, live};
use crate::control::Desk;
use crate::http::console::{ConsoleRoutes, serve};
use crate::identity::tls;

/// The console, before it runs.
pub(super) struct ConsoleRoom {
    console: Arc<Console>,
    door: TcpListener,
    tls: Option<TlsAcceptor>,
}

impl ConsoleRoom {
    /// Opens its door, where the configuration names operators.
    pub(super) async fn open(config: &Config, desk: &Arc<Desk>) -> Result<Option<Self>, ServeError> {
        let (settings, passkeys) = (&config.console, desk.passkeys.clone());
        let (Some(address), Some(passkeys)) = (settings.listen, passkeys) else { return Ok(None) };
        if settings.is_local() && !address.ip().is_loopback() {
            return Err(ServeError::ConsoleInClear { address });
        }
        let tls = match settings.is_local() {
            true => None,
            false => {
                let certificate = settings.certificate.as_ref().unwrap_or(&config.tls.certificate);
                let key = settings.key.as_ref().unwrap_or(&config.tls.key);
                let server = tls::console_config(certificate, key, settings.client_ca.as_deref())?;
                Some(TlsAcceptor::from(Arc::new(server)))
            }
        };
        let door = TcpListener::bind(address).await.map_err(system("listen for operators"))?;
        Ok(Some(Self {
            console: Arc::new(Console::new(Arc::clone(desk), passkeys, config.clone())),
            door,
            tls,
        }))
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
