//! `C_Initialize` and `C_Finalize`; `C_GetInfo`.

use std::ffi::c_void;

use cryptoki_sys::*;

use super::pointers::{read, write};
use crate::failure::Failure;
use crate::general::{self, Module, Threads};

/// # Safety
/// `arguments` is null or points to a `CK_C_INITIALIZE_ARGS`.
pub(super) unsafe fn initialize(arguments: *mut c_void) -> Result<(), Failure> {
    if arguments.is_null() {
        return general::initialize(Threads::default());
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
    general::initialize(Threads { own_mutexes, system_locking: given.flags & CKF_OS_LOCKING_OK != 0 })
}

pub(super) fn finalize(reserved: *mut c_void) -> Result<(), Failure> {
    if reserved.is_null() { general::finalize() } else { Err(Failure::ArgumentsBad) }
}

/// # Safety
/// `info` is null or good for a write.
pub(super) unsafe fn info(_: &Module, info: *mut CK_INFO) -> Result<(), Failure> {
    // SAFETY: the caller vouches for `info`.
    unsafe { write(info, general::info()) }
}
