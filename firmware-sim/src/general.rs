//! General purpose: starting, stopping, and what the module is.
//!
//! One module a process. After `fork` the child of a stand-alone simulator starts anew: it is told that it is not initialised, as
//! PKCS#11 wants it, and never signs under its parent's login. In front of a real module, that one decides.
//! (PKCS#11 2.40, section 5.4.)

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use cryptoki_sys::*;

use crate::MANUFACTURER;
use crate::calls::Call;
use crate::configuration::Configuration;
use crate::failure::Failure;
use crate::faults::control::Server;
use crate::faults::met::Faults;
use crate::ffi::Real;
use crate::latency::Latency;
use crate::state::State;

/// The version of the interface: 2.40.
pub(crate) const INTERFACE: CK_VERSION = CK_VERSION { major: 2, minor: 40 };
/// The version that hardware, firmware and library claim.
pub(crate) const VERSION: CK_VERSION = CK_VERSION { major: 0, minor: 1 };

/// `libraryDescription` in front of a real module.
pub(crate) const INTERPOSED: &str = "firmware-sim before a real HSM";

static RUNNING: RwLock<Option<Arc<Running>>> = RwLock::new(None);

/// An initialised simulator: everything that a call can reach.
#[derive(Debug)]
pub(crate) struct Running {
    process: u32,
    pub(crate) backend: Backend,
    pub(crate) faults: Arc<Faults>,
    pub(crate) latency: Latency,
    server: Mutex<Option<Server>>,
}

/// Who does what is asked when no fault is in the way.
#[derive(Debug)]
pub(crate) enum Backend {
    Own(Box<Module>),
    Real(Box<Real>),
}

/// The stand-alone simulator.
#[derive(Debug)]
pub(crate) struct Module {
    state: Mutex<State>,
}

/// What `C_Initialize` was told about threads.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Threads {
    /// The caller brings mutexes of its own.
    pub(crate) own_mutexes: bool,
    /// The caller lets us use those of the operating system.
    pub(crate) system_locking: bool,
    /// The caller wants no thread that it did not make.
    pub(crate) none_of_ours: bool,
}

impl Running {
    /// Whether this process called `C_Initialize`, rather than the one that it was forked from.
    fn began_here(&self) -> bool {
        self.process == std::process::id()
    }

    /// Whether it may be used in this process. Of a real module only that one knows.
    fn is_ours(&self) -> bool {
        matches!(self.backend, Backend::Real(_)) || self.began_here()
    }
}

/// `C_Initialize`; `start` makes the backend that the configuration asks for.
pub(crate) fn initialize(
    threads: Threads,
    start: impl FnOnce(&Configuration) -> Result<Backend, CK_RV>,
) -> Result<(), CK_RV> {
    if current().is_ok_and(|running| running.began_here()) {
        return Err(CKR_CRYPTOKI_ALREADY_INITIALIZED);
    }
    let configuration = Configuration::from_environment().map_err(|error| {
        eprintln!("firmware-sim: {error}");
        CKR_GENERAL_ERROR
    })?;
    let faults = Arc::new(Faults::open(configuration.folder.as_deref()));
    if let Some(answer) = faults.before(Call::C_Initialize, None).answer {
        return Err(answer);
    }
    let mut running = RUNNING.write().unwrap_or_else(PoisonError::into_inner);
    if running.as_ref().is_some_and(|running| running.began_here()) {
        return Err(CKR_CRYPTOKI_ALREADY_INITIALIZED);
    }
    let backend = start(&configuration)?;
    let server = if threads.none_of_ours { None } else { serve(&configuration, &faults) };
    let new = Running {
        process: std::process::id(),
        backend,
        faults,
        latency: configuration.latency,
        server: Mutex::new(server),
    };
    leave_to_parent(running.replace(Arc::new(new)));
    Ok(())
}

/// In a child that was forked, the socket and the thread that the parent's simulator names are the parent's: nothing of it
/// may be stopped or dropped here.
fn leave_to_parent(parents: Option<Arc<Running>>) {
    if let Some(parents) = parents {
        Box::leak(Box::new(parents));
    }
}

/// Without the socket the faults are seen all the same, only a little later and dearer.
fn serve(configuration: &Configuration, faults: &Arc<Faults>) -> Option<Server> {
    let folder = configuration.folder.as_deref()?;
    Server::start(folder, Arc::clone(faults)).unwrap_or_else(|error| {
        eprintln!("firmware-sim: no control socket in `{}`: {error}", folder.display());
        None
    })
}

/// `C_Finalize`, after `stop` has stopped the backend. A call that another thread is in ends on what it began on.
pub(crate) fn finalize(stop: impl FnOnce(&Backend) -> CK_RV) -> Result<(), CK_RV> {
    let running = current().map_err(Failure::code)?;
    if let Some(answer) = running.faults.before(Call::C_Finalize, None).answer {
        return Err(answer);
    }
    match stop(&running.backend) {
        CKR_OK => {}
        refused => return Err(refused),
    }
    let ended = RUNNING.write().unwrap_or_else(PoisonError::into_inner).take();
    if !running.began_here() {
        leave_to_parent(ended);
        return Ok(());
    }
    if let Some(server) = running.server.lock().unwrap_or_else(PoisonError::into_inner).take() {
        server.stop();
    }
    Ok(())
}

/// The simulator of this process.
pub(crate) fn current() -> Result<Arc<Running>, Failure> {
    let running = RUNNING.read().unwrap_or_else(PoisonError::into_inner);
    let running = running.as_ref().filter(|running| running.is_ours());
    running.map(Arc::clone).ok_or(Failure::NotInitialized)
}

/// `C_GetInfo`.
pub(crate) fn info() -> CK_INFO {
    CK_INFO {
        cryptokiVersion: INTERFACE,
        manufacturerID: padded(MANUFACTURER),
        flags: 0,
        libraryDescription: padded("firmware-sim: simulator, no HSM"),
        libraryVersion: VERSION,
    }
}

impl Module {
    /// The stand-alone simulator on the folder that `configuration` names.
    pub(crate) fn open(configuration: &Configuration, threads: Threads) -> Result<Self, Failure> {
        if threads.own_mutexes && !threads.system_locking {
            return Err(Failure::CannotLock);
        }
        Ok(Self { state: Mutex::new(State::open(configuration.folder.clone())?) })
    }

    /// The state, for one call at a time. A call that panicked in here leaves it unknown: then every later one fails.
    pub(crate) fn state(&self) -> Result<MutexGuard<'_, State>, Failure> {
        self.state.lock().map_err(|_| Failure::GeneralError)
    }
}

/// `text` as a fixed field: cut at a character, filled with blanks.
pub(crate) fn padded<const N: usize>(text: &str) -> [u8; N] {
    let mut field = [b' '; N];
    let cut = text.get(..text.floor_char_boundary(N)).unwrap_or_default();
    for (to, from) in field.iter_mut().zip(cut.bytes()) {
        *to = from;
    }
    field
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_filled_with_blanks_and_cut_between_characters() {
        assert_eq!(&padded::<6>("ab"), b"ab    ");
        assert_eq!(&padded::<3>("ab\u{e4}"), b"ab ");
    }
}
