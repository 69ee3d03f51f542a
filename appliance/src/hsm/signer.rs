//! The signer: the process that loads the PKCS#11 module, logs in and signs. Hidden command `assent signer`.
//!
//! It owns nothing but a socket (descriptor 0) and standard error, opens nothing of the appliance's, and lives no longer than
//! the process that started it. A fault is said once and ends it: nothing is retried, no session outlives an error. It does
//! not know what it signs.

use std::io::{Read as _, Write as _};
use std::mem::ManuallyDrop;
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use assent_proto::codec;
use rustix::process::{
    DumpableBehavior, Resource, Rlimit, Signal, getppid, set_dumpable_behavior,
    set_parent_process_death_signal, setrlimit,
};

use tokio::signal::unix::{SignalKind, signal};

use super::confinement::{Confinement, confine};
use super::frame::{Answer, FrameError, FrameReader, FrameWriter, Question, Start};
use super::module::{Access, DataError, DataObjects, Handle, Login, Module};
use super::{FaultKind, HsmFault, HsmIdentity};

/// How long a signer that told a fault waits to be killed.
const PARTING: Duration = Duration::from_secs(1);

/// Why the signer ended other than by the end of its socket.
#[derive(Debug, thiserror::Error)]
enum Ending {
    #[error("`assent signer` is started by the appliance, with a socket as its standard input")]
    NotStartedByAppliance,
    #[error("the process cannot be protected")]
    Unprotected(#[source] std::io::Error),
    #[error("the appliance ended before the signer began")]
    Orphaned,
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error(transparent)]
    Fault(#[from] HsmFault),
}

/// Runs until the appliance closes the socket, or the first fault.
#[must_use]
pub fn run() -> ExitCode {
    match serve() {
        Ok(()) | Err(Ending::Frame(FrameError::Gone)) => ExitCode::SUCCESS,
        Err(ending) => {
            let _ = writeln!(std::io::stderr(), "assent signer: {ending}");
            ExitCode::FAILURE
        }
    }
}

fn serve() -> Result<(), Ending> {
    protect().map_err(|errno| Ending::Unprotected(errno.into()))?;
    ignore_stop_signals().map_err(Ending::Unprotected)?;
    let socket = socket().ok_or(Ending::NotStartedByAppliance)?;
    let questions = FrameReader::new(socket.try_clone().map_err(FrameError::Socket)?);
    let parting = socket.try_clone().map_err(FrameError::Socket)?;
    let mut answers = FrameWriter::new(socket);
    let Err(ending) = answer_all(questions, &mut answers);
    if let Ending::Fault(fault) = &ending {
        answers.send(&Answer::Fault { kind: fault.fault(), detail: fault.detail() })?;
        await_the_end(parting);
    }
    Err(ending)
}

/// The appliance kills whoever told a fault. To end by ourselves meanwhile would take the very processor on which it is
/// about to hear of it, for as long as the kernel needs to take a process down.
fn await_the_end(mut socket: UnixStream) {
    let _ = socket.set_read_timeout(Some(PARTING));
    let _ = socket.read(&mut [0]);
}

/// No second life and no new privileges beside that.
fn protect() -> rustix::io::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    protect_memory()?;
    rustix::thread::set_no_new_privs(true)
}

/// No core dump and no debugger: for every process that holds a PIN.
///
/// # Errors
/// When the system refuses.
pub fn protect_memory() -> rustix::io::Result<()> {
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable)
}

/// A service manager may tell every process of a service to stop. The signer ends with its appliance, which needs it until
/// what was taken in is sealed. Once asked for, a signal stays caught, although nobody waits for it.
fn ignore_stop_signals() -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let _guard = runtime.enter();
    for kind in [SignalKind::terminate(), SignalKind::interrupt()] {
        drop(signal(kind)?);
    }
    Ok(())
}

/// Standard input, when it is a socket.
fn socket() -> Option<UnixStream> {
    let descriptor = std::io::stdin().as_fd().try_clone_to_owned().ok()?;
    let socket = UnixStream::from(descriptor);
    socket.peer_addr().is_ok().then_some(socket)
}

fn answer_all(
    mut questions: FrameReader<UnixStream>,
    answers: &mut FrameWriter<UnixStream>,
) -> Result<std::convert::Infallible, Ending> {
    let Question::Start(start) = parse(questions.next()?)? else {
        return Err(unexpected("the first question is not `Start`").into());
    };
    // The death signal was set before this look: a parent that ends after it kills us.
    if getppid().is_none_or(|parent| parent.as_raw_pid().unsigned_abs() != start.parent) {
        return Err(Ending::Orphaned);
    }
    let armed = Armed::new(&start);
    questions.wipe_read();
    // After a fault no session is closed and nobody logs out: a module that failed once may hang in that, and the fault would
    // be told as late.
    let armed = ManuallyDrop::new(armed?);
    answers.send(&Answer::Ready(armed.identity.clone()))?;
    loop {
        let question = match questions.next() {
            Err(FrameError::Gone) => {
                drop(ManuallyDrop::into_inner(armed));
                return Err(FrameError::Gone.into());
            }
            question => question?,
        };
        match parse(question)? {
            Question::Start(_) => return Err(unexpected("`Start` a second time").into()),
            Question::Sign { sequence, text } => {
                let signature = armed.login.sign(&armed.key, text)?;
                answers.send(&Answer::Signature { sequence, signature: &signature })?;
            }
            Question::Fence { label } => match may_refuse(armed.login.data(label))? {
                Ok(DataObjects { count, values }) => {
                    let notes = values.iter().map(Vec::as_slice).collect();
                    answers
                        .send(&Answer::Fence { count: u32::try_from(count).unwrap_or(u32::MAX), notes })?;
                }
                Err(why) => answers.send(&Answer::FenceRefused { why: &why })?,
            },
            Question::KeepFence { label, note } => match may_refuse(armed.login.keep_data(label, note))? {
                Ok(()) => answers.send(&Answer::FenceKept)?,
                Err(why) => answers.send(&Answer::FenceRefused { why: &why })?,
            },
        }
    }
}

/// That an HSM keeps no data objects is no fault of it.
fn may_refuse<T>(outcome: Result<T, DataError>) -> Result<Result<T, String>, HsmFault> {
    match outcome {
        Ok(done) => Ok(Ok(done)),
        Err(DataError::Refused(why)) => Ok(Err(why)),
        Err(DataError::Fault(fault)) => Err(fault),
    }
}

fn parse(bytes: &[u8]) -> Result<Question<'_>, HsmFault> {
    codec::parse(bytes).map_err(|error| unexpected(&error.to_string()))
}

fn unexpected(what: &str) -> HsmFault {
    HsmFault::new(FaultKind::FrameUnexpected, what)
}

/// Before the module's first instruction runs. What cannot be had is no reason not to sign; the appliance hears of it.
fn confined(start: &Start<'_>) -> Confinement {
    let protected: Vec<_> = start.protected.iter().map(Path::new).collect();
    confine(&protected).unwrap_or_else(|error| {
        let why = std::error::Error::source(&error).map(|source| format!(": {source}")).unwrap_or_default();
        let _ = writeln!(
            std::io::stderr(),
            "assent signer: cannot be kept from the appliance's files: {error}{why}"
        );
        Confinement::None
    })
}

/// A login, and the one key that passed all checks.
struct Armed {
    login: Login,
    key: Handle,
    identity: HsmIdentity,
    // Last, so that the session closes before the library goes.
    _module: Module,
}

impl Armed {
    /// What can be refused without a PIN is refused before it is used.
    fn new(start: &Start<'_>) -> Result<Self, HsmFault> {
        let confinement = confined(start);
        let module = Module::load(Path::new(start.module))?;
        let slot = module.slot(start.slot_label, start.slot_serial)?;
        let simulator = slot.is_simulator(&module.about().manufacturer);
        if simulator && !start.allow_simulator {
            return Err(HsmFault::new(FaultKind::SimulatorRefused, slot.model));
        }
        slot.require_working()?;
        slot.require_tries(false)?;
        let login = module.login(&slot, start.pin, Access::Sign)?;
        let (handle, key) = login.key(start.key_id)?;
        let public_key = key.require()?;
        let identity = HsmIdentity {
            manufacturer: slot.manufacturer,
            model: slot.model,
            serial: slot.serial,
            label: slot.label,
            simulator,
            public_key,
            confinement,
        };
        Ok(Self { login, key: handle, identity, _module: module })
    }
}
