//! Slot and token management, as C calls.

use cryptoki_sys::*;

use super::pointers::{bytes, give, read, required, write};
use crate::failure::Failure;
use crate::general::Module;
use crate::sessions::SessionHandle;
use crate::slots::SlotNumber;

/// # Safety
/// `list` and `count` are as PKCS#11 section 5.2 has them.
pub(super) unsafe fn list(
    module: &Module,
    _present: CK_BBOOL,
    list: *mut CK_SLOT_ID,
    count: *mut CK_ULONG,
) -> Result<(), Failure> {
    required(count)?;
    let numbers: Vec<_> = module.slot_list()?.into_iter().map(|number| number.0).collect();
    // SAFETY: the caller vouches for both.
    unsafe { give(&numbers, list, count) }
}

/// # Safety
/// `info` is null or good for a write.
pub(super) unsafe fn info(module: &Module, slot: CK_SLOT_ID, info: *mut CK_SLOT_INFO) -> Result<(), Failure> {
    required(info)?;
    // SAFETY: the caller vouches for `info`.
    unsafe { write(info, module.slot_info(SlotNumber(slot))?) }
}

/// # Safety
/// `info` is null or good for a write.
pub(super) unsafe fn token(
    module: &Module,
    slot: CK_SLOT_ID,
    info: *mut CK_TOKEN_INFO,
) -> Result<(), Failure> {
    required(info)?;
    // SAFETY: the caller vouches for `info`.
    unsafe { write(info, module.token_info(SlotNumber(slot))?) }
}

/// # Safety
/// `list` and `count` are as PKCS#11 section 5.2 has them.
pub(super) unsafe fn mechanisms(
    module: &Module,
    slot: CK_SLOT_ID,
    list: *mut CK_MECHANISM_TYPE,
    count: *mut CK_ULONG,
) -> Result<(), Failure> {
    required(count)?;
    // SAFETY: the caller vouches for both.
    unsafe { give(module.mechanism_list(SlotNumber(slot))?, list, count) }
}

/// # Safety
/// `info` is null or good for a write.
pub(super) unsafe fn mechanism_info(
    module: &Module,
    slot: CK_SLOT_ID,
    mechanism: CK_MECHANISM_TYPE,
    info: *mut CK_MECHANISM_INFO,
) -> Result<(), Failure> {
    required(info)?;
    // SAFETY: the caller vouches for `info`.
    unsafe { write(info, module.mechanism_info(SlotNumber(slot), mechanism)?) }
}

/// # Safety
/// `pin` is null or good for reads of `pin_bytes`, and `label` null or good for reads of 32 bytes.
pub(super) unsafe fn init_token(
    module: &Module,
    slot: CK_SLOT_ID,
    pin: *mut CK_UTF8CHAR,
    pin_bytes: CK_ULONG,
    label: *mut CK_UTF8CHAR,
) -> Result<(), Failure> {
    // SAFETY: the caller vouches for the label, which has a fixed length.
    let label = unsafe { read(label.cast::<[u8; 32]>()) }?;
    required(pin)?;
    // SAFETY: the caller vouches for the PIN.
    let pin = unsafe { bytes(pin, pin_bytes) }?;
    module.init_token(SlotNumber(slot), pin, &label)
}

/// # Safety
/// `pin` is null or good for reads of `pin_bytes`.
pub(super) unsafe fn init_pin(
    module: &Module,
    session: CK_SESSION_HANDLE,
    pin: *mut CK_UTF8CHAR,
    pin_bytes: CK_ULONG,
) -> Result<(), Failure> {
    required(pin)?;
    // SAFETY: the caller vouches for the PIN.
    module.init_pin(SessionHandle(session), unsafe { bytes(pin, pin_bytes) }?)
}

/// # Safety
/// `old` is null or good for reads of `old_bytes`, and `new` of `new_bytes`.
pub(super) unsafe fn set_pin(
    module: &Module,
    session: CK_SESSION_HANDLE,
    old: *mut CK_UTF8CHAR,
    old_bytes: CK_ULONG,
    new: *mut CK_UTF8CHAR,
    new_bytes: CK_ULONG,
) -> Result<(), Failure> {
    required(old)?;
    required(new)?;
    // SAFETY: the caller vouches for the old PIN.
    let old = unsafe { bytes(old, old_bytes) }?;
    // SAFETY: the caller vouches for the new PIN.
    let new = unsafe { bytes(new, new_bytes) }?;
    module.set_pin(SessionHandle(session), old, new)
}

/// No slot changes by itself; only faults make events, and they are asked first.
///
/// # Safety
/// None: no pointer is followed.
pub(super) unsafe fn no_event(
    _: &Module,
    _: CK_FLAGS,
    _: *mut CK_SLOT_ID,
    _: *mut std::ffi::c_void,
) -> Result<(), Failure> {
    Err(Failure::NoEvent)
}
