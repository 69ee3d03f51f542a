//! General purpose: starting, stopping, and what the module is.
//!
//! One module a process. After `fork` the child starts anew: it is told that it is not initialised, as PKCS#11 wants it, and
//! never signs under its parent's login. (PKCS#11 2.40, section 5.4.)

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use cryptoki_sys::*;

use crate::MANUFACTURER;
use crate::configuration::Configuration;
use crate::failure::Failure;
use crate::state::State;

/// The version of the interface: 2.40.
pub(crate) const INTERFACE: CK_VERSION = CK_VERSION { major: 2, minor: 40 };
/// The version that hardware, firmware and library claim.
pub(crate) const VERSION: CK_VERSION = CK_VERSION { major: 0, minor: 1 };

static MODULE: RwLock<Option<Arc<Module>>> = RwLock::new(None);

/// An initialised module: everything that a call can reach.
#[derive(Debug)]
pub(crate) struct Module {
    process: u32,
    state: Mutex<State>,
}

/// What `C_Initialize` was told about threads.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Threads {
    /// The caller brings mutexes of its own.
    pub(crate) own_mutexes: bool,
    /// The caller lets us use those of the operating system.
    pub(crate) system_locking: bool,
}

/// `C_Initialize`.
pub(crate) fn initialize(threads: Threads) -> Result<(), Failure> {
    if threads.own_mutexes && !threads.system_locking {
        return Err(Failure::CannotLock);
    }
    let mut slot = MODULE.write().unwrap_or_else(PoisonError::into_inner);
    let process = std::process::id();
    if slot.as_ref().is_some_and(|module| module.process == process) {
        return Err(Failure::AlreadyInitialized);
    }
    let state = Mutex::new(State::open(Configuration::from_environment())?);
    *slot = Some(Arc::new(Module { process, state }));
    Ok(())
}

/// `C_Finalize`. A call that another thread is in ends on the module that it began on.
pub(crate) fn finalize() -> Result<(), Failure> {
    current()?;
    *MODULE.write().unwrap_or_else(PoisonError::into_inner) = None;
    Ok(())
}

/// The module of this process.
pub(crate) fn current() -> Result<Arc<Module>, Failure> {
    let slot = MODULE.read().unwrap_or_else(PoisonError::into_inner);
    let module = slot.as_ref().filter(|module| module.process == std::process::id());
    module.map(Arc::clone).ok_or(Failure::NotInitialized)
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
