//! Object management, as C calls.

use cryptoki_sys::*;

use super::pointers::{attributes, entries, length, required, template, write};
use crate::attributes::Answer;
use crate::failure::Failure;
use crate::general::Module;
use crate::sessions::SessionHandle;
use crate::state::ObjectHandle;

/// # Safety
/// `from` is a template of `count` attributes, and `handle` null or good for a write.
pub(super) unsafe fn create(
    module: &Module,
    session: CK_SESSION_HANDLE,
    from: *mut CK_ATTRIBUTE,
    count: CK_ULONG,
    handle: *mut CK_OBJECT_HANDLE,
) -> Result<(), Failure> {
    required(from)?;
    required(handle)?;
    // SAFETY: the caller vouches for the template.
    let template = unsafe { template(from, count) }?;
    let object = module.create_object(SessionHandle(session), template)?;
    // SAFETY: the caller vouches for `handle`.
    unsafe { write(handle, object.0) }
}

/// # Safety
/// None: there is no pointer.
pub(super) unsafe fn destroy(
    module: &Module,
    session: CK_SESSION_HANDLE,
    object: CK_OBJECT_HANDLE,
) -> Result<(), Failure> {
    module.destroy_object(SessionHandle(session), ObjectHandle(object))
}

/// Answers attribute by attribute, then fails with the first refusal, if there was one.
///
/// # Safety
/// `from` is a template of `count` attributes whose values are null or good for writes of their length.
pub(super) unsafe fn read_attributes(
    module: &Module,
    session: CK_SESSION_HANDLE,
    object: CK_OBJECT_HANDLE,
    from: *mut CK_ATTRIBUTE,
    count: CK_ULONG,
) -> Result<(), Failure> {
    required(from)?;
    // SAFETY: the caller vouches for the attributes.
    let asked = unsafe { attributes(from, count) }?;
    let kinds: Vec<_> = asked.iter().map(|attribute| attribute.type_).collect();
    let answers = module.attributes(SessionHandle(session), ObjectHandle(object), &kinds)?;
    let mut refused = Ok(());
    for (index, (mut attribute, answer)) in asked.into_iter().zip(answers).enumerate() {
        // SAFETY: the caller vouches for the attribute's value.
        let told = unsafe { tell(&mut attribute, answer) };
        // SAFETY: the index is below `count`.
        let at = unsafe { from.add(index) };
        // SAFETY: as above; only the length differs from what was read.
        unsafe { write(at, attribute) }?;
        refused = refused.and(told);
    }
    refused
}

/// # Safety
/// The attribute's value is null or good for writes of its length.
unsafe fn tell(attribute: &mut CK_ATTRIBUTE, answer: Answer) -> Result<(), Failure> {
    let room = std::mem::replace(&mut attribute.ulValueLen, CK_UNAVAILABLE_INFORMATION);
    let value = match answer {
        Answer::Value(value) => value,
        Answer::Sensitive => return Err(Failure::AttributeSensitive),
        Answer::Absent => return Err(Failure::AttributeTypeInvalid),
    };
    if !attribute.pValue.is_null() {
        if length(room).map_or(true, |room| room < value.len()) {
            return Err(Failure::BufferTooSmall);
        }
        // SAFETY: not null, with room for the value, and apart from our own copy of it.
        unsafe { std::ptr::copy_nonoverlapping(value.as_ptr(), attribute.pValue.cast::<u8>(), value.len()) };
    }
    attribute.ulValueLen = value.len() as CK_ULONG;
    Ok(())
}

/// # Safety
/// `from` is a template of `count` attributes.
pub(super) unsafe fn write_attributes(
    module: &Module,
    session: CK_SESSION_HANDLE,
    object: CK_OBJECT_HANDLE,
    from: *mut CK_ATTRIBUTE,
    count: CK_ULONG,
) -> Result<(), Failure> {
    required(from)?;
    // SAFETY: the caller vouches for the template.
    let changes = unsafe { entries(from, count) }?;
    module.set_attributes(SessionHandle(session), ObjectHandle(object), changes)
}

/// # Safety
/// `from` is a template of `count` attributes.
pub(super) unsafe fn find_init(
    module: &Module,
    session: CK_SESSION_HANDLE,
    from: *mut CK_ATTRIBUTE,
    count: CK_ULONG,
) -> Result<(), Failure> {
    // SAFETY: the caller vouches for the template; null is good for none.
    module.find_init(SessionHandle(session), &unsafe { entries(from, count) }?)
}

/// # Safety
/// `handles` is null or good for writes of `limit` handles, and `count` null or good for a write.
pub(super) unsafe fn find(
    module: &Module,
    session: CK_SESSION_HANDLE,
    handles: *mut CK_OBJECT_HANDLE,
    limit: CK_ULONG,
    count: *mut CK_ULONG,
) -> Result<(), Failure> {
    required(handles)?;
    required(count)?;
    let found = module.find(SessionHandle(session), length(limit)?)?;
    for (index, handle) in found.iter().enumerate() {
        // SAFETY: the index is below `limit`, for which the caller vouches.
        let at = unsafe { handles.add(index) };
        // SAFETY: as above.
        unsafe { write(at, handle.0) }?;
    }
    // SAFETY: the caller vouches for `count`.
    unsafe { write(count, found.len() as CK_ULONG) }
}

/// # Safety
/// None: there is no pointer.
pub(super) unsafe fn find_final(module: &Module, session: CK_SESSION_HANDLE) -> Result<(), Failure> {
    module.find_final(SessionHandle(session))
}
