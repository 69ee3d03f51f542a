//! Session management, as C calls.

use std::ffi::c_void;

use cryptoki_sys::*;

use super::pointers::{bytes, required, write};
use crate::failure::Failure;
use crate::general::Module;
use crate::sessions::SessionHandle;
use crate::slots::SlotNumber;

/// # Safety
/// `handle` is null or good for a write. The callback is not called and its argument not followed.
pub(super) unsafe fn open(
    module: &Module,
    slot: CK_SLOT_ID,
    flags: CK_FLAGS,
    _application: *mut c_void,
    _notify: CK_NOTIFY,
    handle: *mut CK_SESSION_HANDLE,
) -> Result<(), Failure> {
    required(handle)?;
    let session = module.open_session(SlotNumber(slot), flags)?;
    // SAFETY: the caller vouches for `handle`.
    unsafe { write(handle, session.0) }
}

/// # Safety
/// None: there is no pointer.
pub(super) unsafe fn close(module: &Module, session: CK_SESSION_HANDLE) -> Result<(), Failure> {
    module.close_session(SessionHandle(session))
}

/// # Safety
/// None: there is no pointer.
pub(super) unsafe fn close_all(module: &Module, slot: CK_SLOT_ID) -> Result<(), Failure> {
    module.close_all_sessions(SlotNumber(slot))
}

/// # Safety
/// `info` is null or good for a write.
pub(super) unsafe fn info(
    module: &Module,
    session: CK_SESSION_HANDLE,
    info: *mut CK_SESSION_INFO,
) -> Result<(), Failure> {
    required(info)?;
    // SAFETY: the caller vouches for `info`.
    unsafe { write(info, module.session_info(SessionHandle(session))?) }
}

/// # Safety
/// `pin` is null or good for reads of `pin_bytes`.
pub(super) unsafe fn login(
    module: &Module,
    session: CK_SESSION_HANDLE,
    user: CK_USER_TYPE,
    pin: *mut CK_UTF8CHAR,
    pin_bytes: CK_ULONG,
) -> Result<(), Failure> {
    required(pin)?;
    // SAFETY: the caller vouches for the PIN.
    module.login(SessionHandle(session), user, unsafe { bytes(pin, pin_bytes) }?)
}

/// # Safety
/// None: there is no pointer.
pub(super) unsafe fn logout(module: &Module, session: CK_SESSION_HANDLE) -> Result<(), Failure> {
    module.logout(SessionHandle(session))
}

/// The calls of the times when a function could run beside its caller. (Section 5.15.)
///
/// # Safety
/// None: there is no pointer.
pub(super) unsafe fn not_parallel(module: &Module, session: CK_SESSION_HANDLE) -> Result<(), Failure> {
    module.session_info(SessionHandle(session))?;
    Err(Failure::FunctionNotParallel)
}
