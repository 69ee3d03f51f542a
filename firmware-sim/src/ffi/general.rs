//! `C_Initialize` and `C_Finalize`; `C_GetInfo`.

use std::ffi::c_void;

use cryptoki_sys::*;

use super::pointers::{read, write};
use super::real::Real;
use crate::failure::Failure;
use crate::general::{self, Backend, Module, Threads};

/// # Safety
/// `arguments` is null or points to a `CK_C_INITIALIZE_ARGS`.
pub(super) unsafe fn initialize(arguments: *mut c_void) -> CK_RV {
    // SAFETY: the caller vouches for the arguments.
    let threads = unsafe { threads(arguments) };
    let started =
        general::initialize(threads.unwrap_or_default(), |configuration| match &configuration.module {
            // SAFETY: the caller vouches for the arguments.
            Some(path) => unsafe { Real::start(path, arguments) }.map(|real| Backend::Real(Box::new(real))),
            None => {
                let module = threads.and_then(|threads| Module::open(configuration, threads));
                module.map(|module| Backend::Own(Box::new(module))).map_err(Failure::code)
            }
        });
    started.err().unwrap_or(CKR_OK)
}

/// # Safety
/// `arguments` is null or points to a `CK_C_INITIALIZE_ARGS`.
unsafe fn threads(arguments: *mut c_void) -> Result<Threads, Failure> {
    if arguments.is_null() {
        return Ok(Threads::default());
    }
    // SAFETY: not null, so the caller vouches for the structure; its function pointers are options, where null is none.
    let given = unsafe { read(arguments.cast::<CK_C_INITIALIZE_ARGS>()) }?;
    let callbacks = [
        given.CreateMutex.is_some(),
        given.DestroyMutex.is_some(),
        given.LockMutex.is_some(),
        given.UnlockMutex.is_some(),
    ];
    let own_mutexes = callbacks.contains(&true);
    if !given.pReserved.is_null() || (own_mutexes && callbacks.contains(&false)) {
        return Err(Failure::ArgumentsBad);
    }
    Ok(Threads {
        own_mutexes,
        system_locking: given.flags & CKF_OS_LOCKING_OK != 0,
        none_of_ours: given.flags & CKF_LIBRARY_CANT_CREATE_OS_THREADS != 0,
    })
}

/// # Safety
/// `reserved` is what the caller of `C_Finalize` gave.
pub(super) unsafe fn finalize(reserved: *mut c_void) -> CK_RV {
    let stopped = general::finalize(|backend| match backend {
        Backend::Own(_) if reserved.is_null() => CKR_OK,
        Backend::Own(_) => CKR_ARGUMENTS_BAD,
        // SAFETY: the caller keeps the contract of PKCS#11.
        Backend::Real(real) => unsafe { real.finalize(reserved) },
    });
    stopped.err().unwrap_or(CKR_OK)
}

/// # Safety
/// `info` is null or good for a write.
pub(super) unsafe fn info(_: &Module, info: *mut CK_INFO) -> Result<(), Failure> {
    // SAFETY: the caller vouches for `info`.
    unsafe { write(info, general::info()) }
}
