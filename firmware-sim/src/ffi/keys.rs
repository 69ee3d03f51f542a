//! Key management and random numbers, as C calls.

use cryptoki_sys::*;

use super::pointers::{bytes_mut, length, mechanism, required, template, write};
use crate::failure::Failure;
use crate::general::Module;
use crate::limits::MAX_RANDOM_BYTES;
use crate::sessions::SessionHandle;

/// # Safety
/// `with` is null or a mechanism, `public` and `private` are templates of their counts, and both handles null or good for a write.
#[expect(clippy::too_many_arguments, reason = "the arguments of C_GenerateKeyPair")]
pub(super) unsafe fn generate_key_pair(
    module: &Module,
    session: CK_SESSION_HANDLE,
    with: *mut CK_MECHANISM,
    public: *mut CK_ATTRIBUTE,
    public_count: CK_ULONG,
    private: *mut CK_ATTRIBUTE,
    private_count: CK_ULONG,
    public_handle: *mut CK_OBJECT_HANDLE,
    private_handle: *mut CK_OBJECT_HANDLE,
) -> Result<(), Failure> {
    required(public_handle)?;
    required(private_handle)?;
    // SAFETY: the caller vouches for the mechanism.
    let mechanism = unsafe { mechanism(with) }?;
    // SAFETY: the caller vouches for the template.
    let public = unsafe { template(public, public_count) }?;
    // SAFETY: the caller vouches for the template.
    let private = unsafe { template(private, private_count) }?;
    let made = module.generate_key_pair(SessionHandle(session), mechanism, public, private)?;
    // SAFETY: the caller vouches for the handle.
    unsafe { write(public_handle, made.0.0) }?;
    // SAFETY: the caller vouches for the handle.
    unsafe { write(private_handle, made.1.0) }
}

/// # Safety
/// None: the seed is refused unread.
pub(super) unsafe fn seed_random(
    module: &Module,
    session: CK_SESSION_HANDLE,
    _seed: *mut CK_BYTE,
    _count: CK_ULONG,
) -> Result<(), Failure> {
    module.seed_random(SessionHandle(session))
}

/// # Safety
/// `to` is null or good for writes of `count` bytes.
pub(super) unsafe fn generate_random(
    module: &Module,
    session: CK_SESSION_HANDLE,
    to: *mut CK_BYTE,
    count: CK_ULONG,
) -> Result<(), Failure> {
    required(to)?;
    if length(count)? > MAX_RANDOM_BYTES {
        return Err(Failure::ArgumentsBad);
    }
    // SAFETY: the caller vouches for the buffer.
    module.generate_random(SessionHandle(session), unsafe { bytes_mut(to, count) }?)
}
