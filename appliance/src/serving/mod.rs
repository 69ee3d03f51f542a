//! A whole appliance: the rooms built, joined, and run until they are told to stop.
//!
//! A bundle is in force before anything listens. It begins closed. Agents may connect at once and hear refusals; tokens flow when the sealer has armed. SIGTERM finishes
//! what was taken in, leaves the fence at the end of the log, and ends the signer. When the log's state is unknown nothing
//! is finished: the process ends with an error, and the next start recovers.

pub mod status;

use std::net::UdpSocket;
use std::sync::Arc;
use std::time::Duration;

use quinn::{Endpoint, TokioRuntime};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{oneshot, watch};

use self::status::StatusSource;
use crate::clock::Clock;
use crate::config::{Config, Rearm};
use crate::control::{self, ControlError, Desk};
use crate::hsm::{HsmSettings, PinError};
use crate::identity::tls::TlsError;
use crate::identity::{Registry, RegistryError};
use crate::limits::SIGNER_START_DEADLINE;
use crate::log::{Log, OpenError};
use crate::notices::Notices;
use crate::operators::ListError;
use crate::pipeline::Pipeline;
use crate::policy::loader::{self, LoaderSettings};
use crate::policy::shadow::Shadow;
use crate::policy::{LoadError, Rules, store};
use crate::provision::{self, ProvisionError};
use crate::server::Server;
use crate::token::rearm::Orders;
use crate::token::{Authority, Sealer, SealerError, SealerHandle, SealerSettings};

/// Why the appliance does not start, or has ended.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The log is refused.
    #[error("cannot open the log")]
    Log(#[from] OpenError),
    /// The bundle is refused.
    #[error("cannot load the bundle")]
    Bundle(#[from] LoadError),
    /// The list of operators who sign bundles cannot be used.
    #[error("cannot tell who must sign bundles")]
    Signers(#[from] ListError),
    /// The list of operators who order re-arm cannot be used.
    #[error("cannot tell who may re-arm")]
    Operators(#[source] ListError),
    /// Something that provisioning makes is missing.
    #[error(transparent)]
    Provision(#[from] ProvisionError),
    /// The PIN cannot be read.
    #[error("cannot read the PIN")]
    Pin(#[from] PinError),
    /// The certificates cannot be used.
    #[error("cannot use the certificates")]
    Tls(#[from] TlsError),
    /// The register of agents cannot be read.
    #[error("cannot read the register of agents")]
    Registry(#[from] RegistryError),
    /// The control socket cannot be made.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// The sealer has ended.
    #[error("the sealer has ended")]
    Sealer(#[from] SealerError),
    /// The sealer died without a word.
    #[error("the sealer died")]
    SealerDied,
    /// The system refused a socket, a thread or a signal.
    #[error("cannot {doing}")]
    System {
        /// What was being done.
        doing: &'static str,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
}

fn system(doing: &'static str) -> impl FnOnce(std::io::Error) -> ServeError {
    move |source| ServeError::System { doing, source }
}

/// Builds the rooms, and runs them until a signal or a fatal fault.
///
/// # Errors
/// [`ServeError`].
pub async fn run(config: &Config) -> Result<(), ServeError> {
    let clock = Clock::system();
    let office = config.hsm.office().map_err(ServeError::Operators)?;
    let (sealer, handle) = sealer(config, &clock)?;
    let shadow =
        config.policy.shadow.clone().map(Shadow::start).transpose().map_err(system("start the shadow"))?;
    let recorder = handle.clone();
    let record = move |operation| recorder.record(operation);
    let (policies, loader) = loader::start(loading(config)?, clock.clone(), shadow.clone(), record)?;
    let registry = Arc::new(Registry::open(&config.agents_path())?);
    let endpoint = endpoint(config)?;
    let listen = endpoint.local_addr().map_err(system("listen for agents"))?.to_string();
    let (control, word) = control::listen(&config.appliance.data)?;

    let (deadline, sealing) = (config.policy.deadline, handle.clone());
    let pipeline = Arc::new(Pipeline::new(Arc::clone(&policies), sealing, clock.clone(), deadline, shadow));
    let status = StatusSource {
        origin: config.origin(),
        listen: listen.clone(),
        sealer: handle.clone(),
        policies,
        pipeline: Arc::clone(&pipeline),
        clock: clock.clone(),
    };
    let notices = Notices::new(handle.clone(), config.origin(), clock.clone());
    let unregistered = config.tls.accept_unregistered;
    let server = Arc::new(Server::new(endpoint, pipeline, registry, unregistered, clock, notices));
    let automatic = config.hsm.rearm == Rearm::Automatic;
    let desk = Desk {
        status,
        loader,
        orders: Orders::new(config.origin(), office, automatic, handle.clone()),
        record: Arc::clone(server.record()),
        word,
        drills: config.hsm.allow_simulator,
    };
    let controlling = tokio::spawn(control::serve(control, Arc::new(desk)));
    let ended = start(sealer)?;
    tracing::info!(listen, origin = config.origin(), "serving");
    let outcome = until_stopped(server, handle, ended).await;
    controlling.abort();
    outcome
}

/// Whence bundles come, and what they are held to.
fn loading(config: &Config) -> Result<LoaderSettings, ListError> {
    let policy = &config.policy;
    Ok(LoaderSettings {
        folder: policy.bundle.clone(),
        watch: policy.watch,
        poll: policy.poll,
        max_age: policy.max_age,
        rules: Rules { budget: policy.budget, quorum: policy.quorum()? },
        store: config.appliance.data.join(store::FILE),
    })
}

/// The socket. Agents of a killed appliance hear from the next one that their connections are gone, and need not wait for
/// silence to tell them.
fn endpoint(config: &Config) -> Result<Endpoint, ServeError> {
    let tls = config.tls_settings();
    let server = crate::identity::tls::server_config(&tls)?;
    let known = crate::identity::tls::endpoint_config(&tls)?;
    let socket = UdpSocket::bind(config.listen.quic).map_err(system("listen for agents"))?;
    Endpoint::new(known, Some(server), socket, Arc::new(TokioRuntime)).map_err(system("listen for agents"))
}

/// Opens the log under its keys, and puts a sealer over it.
fn sealer(config: &Config, clock: &Clock) -> Result<(Sealer, SealerHandle), ServeError> {
    let log = Log::open(&provision::log_file(config), &config.fence.path, provision::keyring(config)?)?;
    // The ring says which key signs; the configuration says only how to reach the HSM that holds it.
    let signing = log.keys().signing();
    let verifier_key = signing.vkey.clone();
    let hsm = HsmSettings { key_id: signing.cka_id_bytes(), ..provision::hsm_settings(config)? };
    let authority = Authority {
        hsm,
        pin: config.hsm.pin.read()?,
        verifier_key,
        deadline: config.hsm.deadline,
        start_deadline: SIGNER_START_DEADLINE,
        probes: config.hsm.rearm_probes,
    };
    let settings = SealerSettings {
        entries_max: config.round.entries_max,
        heartbeat: config.hsm.heartbeat,
        rearm_automatically: config.hsm.rearm == Rearm::Automatic,
        backoff_max: config.hsm.backoff_max,
    };
    Ok(Sealer::new(log, authority, settings, clock.clone()))
}

/// Starts the sealer's thread; what it gives back comes when it ends.
fn start(sealer: Sealer) -> Result<oneshot::Receiver<Result<(), SealerError>>, ServeError> {
    let (tell, ended) = oneshot::channel();
    let run = move || drop(tell.send(sealer.run()));
    std::thread::Builder::new().name("sealer".to_owned()).spawn(run).map_err(system("start the sealer"))?;
    Ok(ended)
}

async fn until_stopped(
    server: Arc<Server>,
    sealer: SealerHandle,
    mut ended: oneshot::Receiver<Result<(), SealerError>>,
) -> Result<(), ServeError> {
    let mut terminate = signal(SignalKind::terminate()).map_err(system("wait for signals"))?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(system("wait for signals"))?;
    let (stop, stopped) = watch::channel(false);
    let serving = tokio::spawn(server.run(stopped));
    let fatal = tokio::select! {
        outcome = &mut ended => Some(outcome),
        _ = terminate.recv() => None,
        _ = interrupt.recv() => None,
    };
    if let Some(outcome) = fatal {
        // The log's state is unknown: nobody is answered any more.
        serving.abort();
        outcome.map_err(|_| ServeError::SealerDied)??;
        return Err(ServeError::SealerDied);
    }
    tracing::info!("stopping");
    sealer.stop();
    let outcome = ended.await.map_err(|_| ServeError::SealerDied)?;
    let _ = stop.send(true);
    let _ = tokio::time::timeout(DRAIN, serving).await;
    Ok(outcome?)
}

/// How long a stopping server waits for its peers to read what they were answered.
const DRAIN: Duration = Duration::from_secs(2);
