//! Signing and verifying, as C calls.

use cryptoki_sys::*;

use super::pointers::{bytes, length, mechanism, read, write};
use crate::failure::Failure;
use crate::general::Module;
use crate::sessions::SessionHandle;
use crate::signing::SIGNATURE_BYTES;
use crate::state::ObjectHandle;

/// # Safety
/// `with` is null or a mechanism.
pub(super) unsafe fn sign_init(
    module: &Module,
    session: CK_SESSION_HANDLE,
    with: *mut CK_MECHANISM,
    key: CK_OBJECT_HANDLE,
) -> Result<(), Failure> {
    // SAFETY: the caller vouches for the mechanism.
    let mechanism = unsafe { mechanism(with) }?;
    module.sign_init(SessionHandle(session), mechanism, ObjectHandle(key))
}

/// Asking for the length, or bringing too small a buffer, leaves the operation as it is.
///
/// # Safety
/// `data` is null or good for reads of `data_bytes`, `count` null or good for reads and writes, and `signature` null or good for
/// writes of `*count`.
pub(super) unsafe fn sign(
    module: &Module,
    session: CK_SESSION_HANDLE,
    data: *mut CK_BYTE,
    data_bytes: CK_ULONG,
    signature: *mut CK_BYTE,
    count: *mut CK_ULONG,
) -> Result<(), Failure> {
    let session = SessionHandle(session);
    // SAFETY: the caller vouches for `count`.
    let room = unsafe { read(count) }?;
    let fits = length(room).is_ok_and(|room| room >= SIGNATURE_BYTES);
    if signature.is_null() || !fits {
        module.sign_pending(session)?;
        // SAFETY: the caller vouches for `count`.
        unsafe { write(count, SIGNATURE_BYTES as CK_ULONG) }?;
        return if signature.is_null() { Ok(()) } else { Err(Failure::BufferTooSmall) };
    }
    // SAFETY: the caller vouches for the data.
    let made = module.sign(session, unsafe { bytes(data, data_bytes) }?)?;
    // SAFETY: the buffer holds `room` bytes, which are enough.
    unsafe { write(signature.cast(), made) }?;
    // SAFETY: the caller vouches for `count`.
    unsafe { write(count, SIGNATURE_BYTES as CK_ULONG) }
}

/// # Safety
/// `with` is null or a mechanism.
pub(super) unsafe fn verify_init(
    module: &Module,
    session: CK_SESSION_HANDLE,
    with: *mut CK_MECHANISM,
    key: CK_OBJECT_HANDLE,
) -> Result<(), Failure> {
    // SAFETY: the caller vouches for the mechanism.
    let mechanism = unsafe { mechanism(with) }?;
    module.verify_init(SessionHandle(session), mechanism, ObjectHandle(key))
}

/// # Safety
/// `data` is null or good for reads of `data_bytes`, and `signature` of `count`.
pub(super) unsafe fn verify(
    module: &Module,
    session: CK_SESSION_HANDLE,
    data: *mut CK_BYTE,
    data_bytes: CK_ULONG,
    signature: *mut CK_BYTE,
    count: CK_ULONG,
) -> Result<(), Failure> {
    // SAFETY: the caller vouches for the data.
    let message = unsafe { bytes(data, data_bytes) }?;
    // SAFETY: the caller vouches for the signature.
    module.verify(SessionHandle(session), message, unsafe { bytes(signature, count) }?)
}
