//! Pointers: the caller's memory, checked as far as a callee can.
//!
//! Null where something must be is `CKR_ARGUMENTS_BAD`; a length without memory is too; a length past the limit is refused
//! before the memory is looked at.

use std::ffi::c_void;

use cryptoki_sys::*;

use crate::failure::Failure;
use crate::limits::{MAX_ATTRIBUTE_BYTES, MAX_TEMPLATE_ATTRIBUTES};
use crate::signing::{Mechanism, Parameter};
use crate::templates::{Entry, Template};

/// A caller's count or length as ours.
pub(super) fn length(count: CK_ULONG) -> Result<usize, Failure> {
    usize::try_from(count).ok().filter(|&bytes| isize::try_from(bytes).is_ok()).ok_or(Failure::ArgumentsBad)
}

/// The `count` bytes at `from`; null is good for none.
///
/// # Safety
/// `from` is null or good for reads of `count` bytes, which nobody writes while the slice is alive.
pub(super) unsafe fn bytes<'a>(from: *const CK_BYTE, count: CK_ULONG) -> Result<&'a [u8], Failure> {
    match (from.is_null(), length(count)?) {
        (_, 0) => Ok(&[]),
        (true, _) => Err(Failure::ArgumentsBad),
        // SAFETY: not null, and the caller of this function vouches for `count` bytes, which `length` bounded.
        (false, count) => Ok(unsafe { std::slice::from_raw_parts(from, count) }),
    }
}

/// The `count` bytes at `to`, to be written.
///
/// # Safety
/// `to` is null or good for writes of `count` bytes, which nobody else touches while the slice is alive.
pub(super) unsafe fn bytes_mut<'a>(to: *mut CK_BYTE, count: CK_ULONG) -> Result<&'a mut [u8], Failure> {
    match (to.is_null(), length(count)?) {
        (_, 0) => Ok(&mut []),
        (true, _) => Err(Failure::ArgumentsBad),
        // SAFETY: not null, and the caller of this function vouches for `count` bytes, which `length` bounded.
        (false, count) => Ok(unsafe { std::slice::from_raw_parts_mut(to, count) }),
    }
}

/// What lies at `from`.
///
/// # Safety
/// `from` is null or good for a read of a `T`, of which every pattern of bits is a value.
pub(super) unsafe fn read<T: Copy>(from: *const T) -> Result<T, Failure> {
    if from.is_null() {
        return Err(Failure::ArgumentsBad);
    }
    // SAFETY: not null, and the caller of this function vouches for the rest.
    Ok(unsafe { from.read_unaligned() })
}

/// Puts `value` at `to`.
///
/// # Safety
/// `to` is null or good for a write of a `T`.
pub(super) unsafe fn write<T: Copy>(to: *mut T, value: T) -> Result<(), Failure> {
    if to.is_null() {
        return Err(Failure::ArgumentsBad);
    }
    // SAFETY: not null, and the caller of this function vouches for the rest.
    unsafe { to.write_unaligned(value) };
    Ok(())
}

/// Fails on null, before anything is done whose result could not be told.
pub(super) fn required<T>(pointer: *mut T) -> Result<(), Failure> {
    if pointer.is_null() { Err(Failure::ArgumentsBad) } else { Ok(()) }
}

/// Gives a list in the PKCS#11 way: only its length when there is no buffer, all of it when it fits, else only its length and
/// `CKR_BUFFER_TOO_SMALL`. (Section 5.2.)
///
/// # Safety
/// `count` is null or good for reads and writes of a `CK_ULONG`; `buffer` is null or good for writes of `*count` values.
pub(super) unsafe fn give<T: Copy>(
    values: &[T],
    buffer: *mut T,
    count: *mut CK_ULONG,
) -> Result<(), Failure> {
    // SAFETY: the caller of this function vouches for `count`.
    let room = unsafe { read(count) }?;
    // SAFETY: the caller of this function vouches for `count`.
    unsafe { write(count, values.len() as CK_ULONG) }?;
    if buffer.is_null() {
        return Ok(());
    }
    if length(room).is_ok_and(|room| room < values.len()) {
        return Err(Failure::BufferTooSmall);
    }
    // SAFETY: the buffer holds `room` values, which are enough, and cannot overlap the core's own list.
    unsafe {
        std::ptr::copy_nonoverlapping(values.as_ptr().cast::<u8>(), buffer.cast::<u8>(), size_of_val(values))
    };
    Ok(())
}

/// The `count` attributes at `from`, values not looked at.
///
/// # Safety
/// `from` is null or good for reads of `count` attributes.
pub(super) unsafe fn attributes(
    from: *const CK_ATTRIBUTE,
    count: CK_ULONG,
) -> Result<Vec<CK_ATTRIBUTE>, Failure> {
    let count = length(count)?;
    if count > MAX_TEMPLATE_ATTRIBUTES || (from.is_null() && count > 0) {
        return Err(Failure::ArgumentsBad);
    }
    let attribute = |index| {
        // SAFETY: the index is below `count`, for which the caller of this function vouches.
        let at = unsafe { from.add(index) };
        // SAFETY: as above.
        unsafe { read(at) }
    };
    (0..count).map(attribute).collect()
}

/// The `count` attributes at `from` with copies of their values.
///
/// # Safety
/// As [`attributes`], and each value is null or good for reads of its length.
pub(super) unsafe fn entries(from: *const CK_ATTRIBUTE, count: CK_ULONG) -> Result<Vec<Entry>, Failure> {
    let entry = |attribute: CK_ATTRIBUTE| {
        if length(attribute.ulValueLen).map_or(true, |bytes| bytes > MAX_ATTRIBUTE_BYTES) {
            return Err(Failure::AttributeValueInvalid);
        }
        // SAFETY: the caller of this function vouches for the value.
        let value = unsafe { bytes(attribute.pValue.cast(), attribute.ulValueLen) };
        let value = value.map_err(|_| Failure::AttributeValueInvalid)?;
        Ok(Entry { kind: attribute.type_, value: value.to_vec() })
    };
    // SAFETY: the caller of this function vouches for the attributes.
    unsafe { attributes(from, count) }?.into_iter().map(entry).collect()
}

/// As [`entries`], each type at most once.
///
/// # Safety
/// As [`entries`].
pub(super) unsafe fn template(from: *const CK_ATTRIBUTE, count: CK_ULONG) -> Result<Template, Failure> {
    // SAFETY: the caller of this function vouches for the attributes and their values.
    Template::new(unsafe { entries(from, count) }?)
}

/// The mechanism at `from`, checked with its parameter.
///
/// # Safety
/// `from` is null or good for a read, and its parameter is null or good for reads of its length.
pub(super) unsafe fn mechanism(from: *const CK_MECHANISM) -> Result<Mechanism, Failure> {
    // SAFETY: the caller of this function vouches for the mechanism.
    let given = unsafe { read(from) }?;
    // SAFETY: the caller of this function vouches for the parameter.
    let parameter = unsafe { parameter(given.pParameter, given.ulParameterLen) };
    Mechanism::new(given.mechanism, parameter)
}

/// # Safety
/// `from` is null or good for reads of `count` bytes.
unsafe fn parameter(from: *const c_void, count: CK_ULONG) -> Parameter {
    if count == 0 {
        return Parameter::None;
    }
    if from.is_null() || count != size_of::<CK_EDDSA_PARAMS>() as CK_ULONG {
        return Parameter::Other;
    }
    // SAFETY: not null, as long as the structure, and every pattern of bits is a value of it.
    match unsafe { read(from.cast::<CK_EDDSA_PARAMS>()) } {
        Ok(params) => {
            Parameter::EdDsa { prehash: params.phFlag != CK_FALSE, context_bytes: params.ulContextDataLen }
        }
        Err(_) => Parameter::Other,
    }
}
