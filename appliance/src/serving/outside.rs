//! What outsiders see of the log: the HTTP door, those who witness it, and the witness that this appliance is for others.
//!
//! None of it decides or signs anything of this log; the appliance serves agents the same with all of it away.

use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::ports::READERS;
use super::{ServeError, system};
use crate::clock::Clock;
use crate::config::Config;
use crate::http::{self, Routes, Tiles};
use crate::log::reader::Reader;
use crate::meters::Monitor;
use crate::provision;
use crate::witness::{Asking, Cosignatures, Witness, Witnesses, cosigned_path, witness_client};

/// How many intervals without a fresh cosignature it takes until newer checkpoints are shown without one.
const FRESH_INTERVALS: u64 = 3;

/// All of it, before it runs.
#[derive(Debug)]
pub(super) struct Outside {
    door: Option<TcpListener>,
    routes: Routes,
    /// Whether the whole status is shown there.
    shows_status: bool,
    asking: Option<Asking>,
    /// Where the door is.
    pub(super) http: Option<String>,
    /// Who cosigns this log.
    pub(super) witnesses: Witnesses,
    /// Whose logs are cosigned here.
    pub(super) witness: Option<Arc<Witness>>,
}

impl Outside {
    pub(super) async fn open(config: &Config, reader: Reader, clock: &Clock) -> Result<Self, ServeError> {
        let (origin, asked) = (config.origin(), &config.witness);
        let door = match config.listen.http {
            Some(address) => Some(http::listen(address).await.map_err(READERS.refused(address))?),
            None => None,
        };
        let http =
            door.as_ref().map(TcpListener::local_addr).transpose().map_err(system("listen for HTTP"))?;
        let kept = cosigned_path(&config.fence.path);
        let cosignatures = Arc::new(Cosignatures::open(kept, origin.clone()));
        let client = witness_client(asked.ca.as_deref())?;
        let (asking, witnesses) = Asking::new(
            reader.clone(),
            origin.clone(),
            &asked.ask,
            asked.interval,
            client,
            Arc::clone(&cosignatures),
            clock.clone(),
        );
        let witness = witness(config, clock)?;
        let fresh_s =
            if asked.ask.is_empty() { 0 } else { asked.interval.as_secs().max(1) * FRESH_INTERVALS };
        let tiles = Tiles::new(reader, config.listen.http_entries, cosignatures, fresh_s, clock.clone());
        let mut routes = Routes::new(tiles);
        if let Some(witness) = &witness {
            routes = routes.with_witness(Arc::clone(witness));
        }
        let asking = (!asked.ask.is_empty()).then_some(asking);
        let http = http.map(|address| address.to_string());
        let shows_status = config.listen.http_status;
        Ok(Self { door, routes, shows_status, asking, http, witnesses, witness })
    }

    /// Runs it, with what monitoring reads.
    pub(super) fn run(self, monitor: Monitor) -> Result<Running, ServeError> {
        let routes = self.routes.with_monitor(Arc::new(monitor), self.shows_status);
        let door = self.door.map(|door| tokio::spawn(http::serve(door, routes)));
        let Some(asking) = self.asking else { return Ok(Running { door, asking: None }) };
        let ((enough, heard), (tell, ended)) = (sync_channel(0), oneshot::channel());
        let ask = move || {
            asking.run(&heard);
            let _ = tell.send(());
        };
        let thread = std::thread::Builder::new().name("witnesses".to_owned());
        thread.spawn(ask).map_err(system("start asking witnesses"))?;
        Ok(Running { door, asking: Some((enough, ended)) })
    }
}

/// All of it, while it runs.
#[derive(Debug)]
pub(super) struct Running {
    door: Option<JoinHandle<()>>,
    /// Asking ends when the one is dropped, and then the other tells.
    asking: Option<(SyncSender<()>, oneshot::Receiver<()>)>,
}

impl Running {
    /// Ends it. Whoever reads the log lets go of it, so that its store is closed and not merely left; a witness that keeps us waiting
    /// is left.
    pub(super) async fn stop(self) {
        if let Some(door) = self.door {
            door.abort();
            let _ = door.await;
        }
        if let Some((enough, ended)) = self.asking {
            drop(enough);
            let _ = tokio::time::timeout(PATIENCE, ended).await;
        }
    }
}

/// How long a stopping appliance waits for a witness that was just asked.
const PATIENCE: Duration = Duration::from_millis(500);

/// The witness that this appliance is, where it is one.
fn witness(config: &Config, clock: &Clock) -> Result<Option<Arc<Witness>>, ServeError> {
    let witnessing = &config.witnessing;
    if witnessing.logs.is_empty() {
        return Ok(None);
    }
    let folder = provision::witness_folder(config);
    let witness = Witness::open(&witnessing.key, witnessing.logs.clone(), folder, clock.clone())?;
    Ok(Some(Arc::new(witness)))
}
