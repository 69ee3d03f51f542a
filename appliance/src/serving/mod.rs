//! A whole appliance: the rooms built, joined, and run until they are told to stop.
//!
//! A bundle is in force before anything listens. It begins closed. Agents may connect at once and hear refusals; tokens flow when the sealer has armed. SIGTERM finishes
//! what was taken in and has it read, leaves the fence at the end of the log, and ends the signer. When the log's state is unknown nothing
//! is finished: the process ends with an error, and the next start recovers.

pub(crate) mod console;
mod opening;
mod outside;
pub mod ports;
mod service;
pub mod status;

use std::sync::Arc;

use assent_doors::outbound::RootsError;
use quinn::{Endpoint, TokioRuntime};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

pub use self::console::ConsoleError;
use self::console::{ConsoleRoom, RunningConsole};
use self::opening::{Opened, open};
use self::outside::{Outside, Running};
use self::ports::{AGENTS, PortError};
use self::service::Service;
use self::status::{Status, StatusSource};
use crate::backup::BackupDesk;
use crate::break_glass::BreakGlass;
use crate::break_glass::desk::BreakGlassDesk;
use crate::clock::Clock;
use crate::config::{Config, Rearm};
use crate::control::{self, ControlError, Desk};
use crate::disk::PlaceError;
use crate::escalation::{Escalation, EscalationError};
use crate::hsm::PinError;
use crate::identity::tls::TlsError;
use crate::identity::{Registry, RegistryError};
use crate::limits::SOCKET_BUFFER_BYTES;
use crate::log::OpenError;
use crate::log::store::StoreError;
use crate::meters::{Bounds, Monitor};
use crate::notices::Notices;
use crate::operators::ListError;
use crate::passkeys::{Passkeys, PasskeysError};
use crate::pipeline::Pipeline;
use crate::policy::loader::{self, LoaderSettings};
use crate::policy::shadow::Shadow;
use crate::policy::{LoadError, Policies, Rules, archive, store};
use crate::provision::ProvisionError;
use crate::queue::approving::ApprovalDesk;
use crate::queue::desk::QueueDesk;
use crate::queue::{Drainer, Queue};
use crate::server::{Server, Stage};
use crate::token::rearm::{Office, Orders};
use crate::token::{Operation, Sealer, SealerError, SealerHandle};
use crate::witness::WitnessError;

/// Why the appliance does not start, or has ended.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// A place that it writes is refused.
    #[error("cannot keep anything")]
    Place(#[from] PlaceError),
    /// The log is refused.
    #[error("cannot open the log")]
    Log(#[from] OpenError),
    /// What waits cannot be read.
    #[error("cannot read what waits")]
    Queue(#[source] StoreError),
    /// What was done under charters cannot be read.
    #[error("cannot read charters and warrants")]
    BreakGlass(#[source] StoreError),
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
    #[error("cannot use the certificates; are the paths in [tls] right?")]
    Tls(#[from] TlsError),
    /// The register of agents cannot be read.
    #[error("cannot read the register of agents")]
    Registry(#[from] RegistryError),
    /// The console's operators cannot be known.
    #[error("cannot know the console's operators")]
    Passkeys(#[from] PasskeysError),
    /// The console cannot open.
    #[error(transparent)]
    Console(#[from] ConsoleError),
    /// A port cannot be had.
    #[error(transparent)]
    Port(#[from] PortError),
    /// The witnesses cannot be asked.
    #[error("cannot ask witnesses")]
    Witnesses(#[from] RootsError),
    /// This appliance cannot be the witness that it is to be.
    #[error("cannot be a witness")]
    Witness(#[from] WitnessError),
    /// Nobody could be told when something needs people.
    #[error(transparent)]
    Escalation(#[from] EscalationError),
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

/// Builds the rooms, and runs them until a signal or a fatal fault. When all of them listen it is told how the appliance is.
///
/// # Errors
/// [`ServeError`].
pub async fn run(config: &Config, listening: impl FnOnce(&Status)) -> Result<(), ServeError> {
    let clock = Clock::system();
    let office = config.hsm.office().map_err(ServeError::Operators)?;
    let Opened { sealer, handle, reader, queue, break_glass } = open(config, &clock)?;
    let escalation = Escalation::open(config)?;
    let shadow = shadow(config)?;
    let passkeys = Passkeys::open(config, recorder(&handle))?;
    let (policies, loader) =
        loader::start(loading(config)?, clock.clone(), shadow.clone(), recorder(&handle))?;
    let registry = Arc::new(Registry::open(&config.agents_path())?);
    let endpoint = endpoint(config)?;
    let listen = endpoint.local_addr().map_err(system("listen for agents"))?.to_string();
    let outside = Outside::open(config, reader, &clock).await?;
    let (control, word) = control::listen(&config.appliance.data)?;

    let (deadline, sealing) = (config.policy.deadline, handle.clone());
    let pipeline =
        Pipeline::new(Arc::clone(&policies), sealing, Arc::clone(&queue), clock.clone(), deadline, shadow);
    let pipeline = Arc::new(pipeline);
    let drainer = Drainer::new(Arc::clone(&queue), Arc::clone(&pipeline), clock.clone());
    let (waits, approvals) = desks(&queue, &pipeline, &policies, &handle, config);
    let rooms = (handle.clone(), Arc::clone(&policies), clock.clone());
    let desk_of_break_glass = break_glass_desk(&break_glass, rooms, office.as_ref(), config);
    let status = Arc::new(StatusSource {
        origin: config.origin(),
        listen,
        http: outside.http.clone(),
        console: console_origin(config, passkeys.as_deref()),
        witnesses: outside.witnesses.clone(),
        witness: outside.witness.clone(),
        unsigned_max: config.round.unsigned_max,
        sealer: handle.clone(),
        escalation: escalation.desk(),
        queue: waits,
        break_glass: desk_of_break_glass,
        policies: Arc::clone(&policies),
        pipeline: Arc::clone(&pipeline),
        clock: clock.clone(),
    });
    let notices = Notices::new(handle.clone(), config.origin(), clock.clone());
    let unregistered = config.tls.accept_unregistered;
    let endpoint = (endpoint, config.quota.streams());
    let server = Arc::new(Server::new(endpoint, pipeline, registry, unregistered, clock.clone(), notices));
    let monitor = monitor(config, &status, &server);
    let automatic = config.hsm.rearm == Rearm::Automatic;
    let desk = Arc::new(Desk {
        status,
        loader,
        approvals,
        backup: BackupDesk::new(handle.clone(), &config.appliance.data, u64::from(config.log.low_water)),
        orders: Orders::new(config.origin(), office, automatic, handle.clone()),
        passkeys,
        record: Arc::clone(server.record()),
        word,
        drills: config.hsm.allow_simulator,
    });
    let uses = (break_glass, config.break_glass.review_within);
    let escalation = escalation.watch(&handle, Arc::clone(&policies), clock.clone(), automatic, uses, queue);
    let console = ConsoleRoom::open(config, &desk)?;
    let shown = desk.status.read();
    let tasks = vec![tokio::spawn(control::serve(control, desk)), tokio::spawn(drainer.run())];
    let ended = start(sealer)?;
    let tasks = Tasks { outside: outside.run(monitor)?, tasks, console: console.map(ConsoleRoom::run) };
    tracing::info!(listen = shown.listen, http = shown.http, origin = shown.origin, "serving");
    listening(&shown);
    let outcome = until_stopped(Service::new(&handle, &policies, &clock), server, handle, ended).await;
    escalation.stop(outcome.as_ref().err().map(told)).await;
    tasks.stop().await;
    outcome
}

/// What runs beside the server, and ends behind it.
struct Tasks {
    tasks: Vec<JoinHandle<()>>,
    console: Option<RunningConsole>,
    outside: Running,
}

impl Tasks {
    async fn stop(self) {
        for task in self.tasks {
            task.abort();
        }
        if let Some(console) = self.console {
            console.stop().await;
        }
        self.outside.stop().await;
    }
}

/// Where browsers find the console, where there is one.
fn console_origin(config: &Config, passkeys: Option<&Passkeys>) -> Option<String> {
    config.console.listen.and(passkeys).map(|passkeys| passkeys.origin().to_owned())
}

/// Where operators order charters, sign warrants and review.
fn break_glass_desk(
    break_glass: &Arc<BreakGlass>,
    rooms: (SealerHandle, Arc<Policies>, Clock),
    office: Option<&Office>,
    config: &Config,
) -> BreakGlassDesk {
    let grave = office.map(|office| office.grave.clone());
    BreakGlassDesk::new(Arc::clone(break_glass), rooms, grave, config.break_glass.review_within)
}

/// What has the log say what the appliance did.
fn recorder(handle: &SealerHandle) -> impl Fn(Operation) + Send + Sync + use<> {
    let handle = handle.clone();
    move |operation| handle.record(operation)
}

/// The second bundle, where there is one.
fn shadow(config: &Config) -> Result<Option<Arc<Shadow>>, ServeError> {
    config.policy.shadow.clone().map(Shadow::start).transpose().map_err(system("start the shadow"))
}

/// Where operators see what waits, and answer holds.
fn desks(
    queue: &Arc<Queue>,
    pipeline: &Arc<Pipeline>,
    policies: &Arc<Policies>,
    handle: &SealerHandle,
    config: &Config,
) -> (QueueDesk, ApprovalDesk) {
    let waits = QueueDesk::new(Arc::clone(queue), Arc::clone(pipeline), handle.clone());
    let (pipeline, policies) = (Arc::clone(pipeline), Arc::clone(policies));
    (waits, ApprovalDesk::new(Arc::clone(queue), pipeline, policies, handle.clone(), config.origin()))
}

/// An error with its causes, in a line.
fn told(error: &ServeError) -> String {
    let causes = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// What monitoring reads, and measures by.
fn monitor(config: &Config, status: &Arc<StatusSource>, server: &Server) -> Monitor {
    let bounds = Bounds {
        hsm_deadline: config.hsm.deadline,
        disk_low_water: u64::from(config.log.low_water),
        bundle_max_age: config.policy.max_age,
    };
    let (counts, registry) = (Arc::clone(server.counts()), Arc::clone(server.registry()));
    let certificates = [config.tls.ca.as_path(), config.tls.certificate.as_path()];
    Monitor::new(Arc::clone(status), counts, registry, certificates, bounds)
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
        archive: config.appliance.data.join(archive::FOLDER),
    })
}

/// The socket. Agents of a killed appliance hear from the next one that their connections are gone, and need not wait for
/// silence to tell them.
fn endpoint(config: &Config) -> Result<Endpoint, ServeError> {
    let tls = config.tls_settings();
    let server = crate::identity::tls::server_config(&tls)?;
    let known = crate::identity::tls::endpoint_config(&tls)?;
    let socket = AGENTS.udp(config.listen.quic)?;
    // What comes while both processors decide is kept by the kernel, or lost and sent again a timeout later. It gives at most
    // `net.core.rmem_max`, which is enough to serve.
    let _ = rustix::net::sockopt::set_socket_recv_buffer_size(&socket, SOCKET_BUFFER_BYTES);
    Endpoint::new(known, Some(server), socket, Arc::new(TokioRuntime)).map_err(system("listen for agents"))
}

/// Starts the sealer's thread; what it gives back comes when it ends.
fn start(sealer: Sealer) -> Result<oneshot::Receiver<Result<(), SealerError>>, ServeError> {
    let (tell, ended) = oneshot::channel();
    let run = move || drop(tell.send(sealer.run()));
    std::thread::Builder::new().name("sealer".to_owned()).spawn(run).map_err(system("start the sealer"))?;
    Ok(ended)
}

async fn until_stopped(
    service: Service,
    server: Arc<Server>,
    sealer: SealerHandle,
    mut ended: oneshot::Receiver<Result<(), SealerError>>,
) -> Result<(), ServeError> {
    let mut terminate = signal(SignalKind::terminate()).map_err(system("wait for signals"))?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(system("wait for signals"))?;
    let (stage, stages) = watch::channel(Stage::Serves);
    let serving = tokio::spawn(server.run(stages));
    // Behind the signals and the socket: a manager may send SIGTERM, and agents may come, as soon as it hears.
    let telling = tokio::spawn(service.keep());
    let fatal = tokio::select! {
        outcome = &mut ended => Some(outcome),
        _ = terminate.recv() => None,
        _ = interrupt.recv() => None,
    };
    telling.abort();
    if let Some(outcome) = fatal {
        // The log's state is unknown: nobody is answered any more.
        serving.abort();
        outcome.map_err(|_| ServeError::SealerDied)??;
        return Err(ServeError::SealerDied);
    }
    tracing::info!("stopping");
    tokio::spawn(service::stopping());
    // Whoever asks from here on is told to come back; what was taken in is decided, sealed and answered.
    stage.send_replace(Stage::TakesNothing);
    sealer.stop();
    let outcome = ended.await.map_err(|_| ServeError::SealerDied)?;
    stage.send_replace(Stage::Closes);
    let _ = serving.await;
    Ok(outcome?)
}
