//! Watched calls: those in which a fault does more than answer.
//!
//! Each asks what the faults want, lets the backend do its part, and changes what comes back. When `C_Sign` is made to fail, the real
//! operation is brought to its end and its signature thrown away, so that the session is not left in the middle of it.

use std::ffi::c_void;
use std::sync::Arc;
use std::thread::sleep;
use std::time::Duration;

use cryptoki_sys::*;
use ed25519_dalek::{Signer as _, SigningKey};
use sha2::{Digest as _, Sha256};

use super::pointers::{bytes, bytes_mut, length, read, write};
use super::table::raw;
use crate::MANUFACTURER;
use crate::calls::Call;
use crate::faults::Spoil;
use crate::faults::met::Decision;
use crate::general::{Backend, INTERPOSED, Running, current, padded};
use crate::limits::{MAX_EVENT_SLOTS, MAX_MESSAGE_BYTES};

/// Room for the signature of an operation that is only to end: that of any key up to RSA with 16384 bits.
const DISCARDED_BYTES: usize = 2048;

/// How often a caller that waits for a slot event looks for one.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// What the faults want of `call`, after what they want to be done first.
pub(super) fn gate(running: &Running, call: Call, session: Option<CK_SESSION_HANDLE>) -> Decision {
    let decision = running.faults.before(call, session);
    if decision.end_sessions || decision.log_out {
        for (slot, session) in running.faults.sessions() {
            if decision.log_out {
                // SAFETY: no pointer is given.
                unsafe { raw::C_Logout(running, session) };
            }
            if decision.end_sessions {
                // SAFETY: no pointer is given.
                unsafe { raw::C_CloseAllSessions(running, slot) };
                running.faults.closed_all(slot);
            }
        }
    }
    decision
}

/// In front of a real module too it is said that this is a simulator.
///
/// # Safety
/// That of `C_GetInfo`.
pub(super) unsafe fn info(running: &Running, info: *mut CK_INFO) -> CK_RV {
    if let Some(answer) = gate(running, Call::C_GetInfo, None).answer {
        return answer;
    }
    // SAFETY: the caller keeps the contract of PKCS#11.
    let answer = unsafe { raw::C_GetInfo(running, info) };
    if answer == CKR_OK && matches!(running.backend, Backend::Real(_)) {
        let edit = |info: &mut CK_INFO| {
            info.manufacturerID = padded(MANUFACTURER);
            info.libraryDescription = padded(INTERPOSED);
        };
        // SAFETY: the real module just wrote it.
        unsafe { change(info, edit) };
    }
    answer
}

/// Changes what the backend wrote at `at`.
///
/// # Safety
/// `at` is null or good for reads and writes of a `T`.
unsafe fn change<T: Copy>(at: *mut T, edit: impl FnOnce(&mut T)) {
    // SAFETY: the caller of this function vouches for it.
    let Ok(mut value) = (unsafe { read(at) }) else { return };
    edit(&mut value);
    // SAFETY: as above, and not null, or it could not have been read.
    unsafe { at.write_unaligned(value) };
}

/// # Safety
/// That of `C_GetSlotList`.
pub(super) unsafe fn slot_list(
    running: &Running,
    present: CK_BBOOL,
    list: *mut CK_SLOT_ID,
    count: *mut CK_ULONG,
) -> CK_RV {
    let decision = gate(running, Call::C_GetSlotList, None);
    if let Some(answer) = decision.answer {
        return answer;
    }
    if decision.view.absent || (decision.view.removed && present != CK_FALSE) {
        // SAFETY: the caller keeps the contract of PKCS#11.
        return unsafe { write(count, 0) }.map_or_else(|failure| failure.code(), |()| CKR_OK);
    }
    // SAFETY: as above.
    unsafe { raw::C_GetSlotList(running, present, list, count) }
}

/// # Safety
/// That of `C_GetSlotInfo`.
pub(super) unsafe fn slot_info(running: &Running, slot: CK_SLOT_ID, info: *mut CK_SLOT_INFO) -> CK_RV {
    let decision = gate(running, Call::C_GetSlotInfo, None);
    if let Some(answer) = decision.answer {
        return answer;
    }
    // SAFETY: the caller keeps the contract of PKCS#11.
    let answer = unsafe { raw::C_GetSlotInfo(running, slot, info) };
    if answer == CKR_OK && decision.view.removed {
        // SAFETY: the backend just wrote it.
        unsafe { change(info, |info| info.flags &= !CKF_TOKEN_PRESENT) };
    }
    answer
}

/// # Safety
/// That of `C_GetTokenInfo`.
pub(super) unsafe fn token_info(running: &Running, slot: CK_SLOT_ID, info: *mut CK_TOKEN_INFO) -> CK_RV {
    let decision = gate(running, Call::C_GetTokenInfo, None);
    if let Some(answer) = decision.answer {
        return answer;
    }
    // SAFETY: the caller keeps the contract of PKCS#11.
    let answer = unsafe { raw::C_GetTokenInfo(running, slot, info) };
    if answer == CKR_OK && decision.view.token_flags != 0 {
        // SAFETY: the backend just wrote it.
        unsafe { change(info, |info| info.flags |= decision.view.token_flags) };
    }
    answer
}

/// # Safety
/// That of `C_OpenSession`.
pub(super) unsafe fn open_session(
    running: &Running,
    slot: CK_SLOT_ID,
    flags: CK_FLAGS,
    application: *mut c_void,
    notify: CK_NOTIFY,
    handle: *mut CK_SESSION_HANDLE,
) -> CK_RV {
    if let Some(answer) = gate(running, Call::C_OpenSession, None).answer {
        return answer;
    }
    // SAFETY: the caller keeps the contract of PKCS#11.
    let answer = unsafe { raw::C_OpenSession(running, slot, flags, application, notify, handle) };
    if answer == CKR_OK {
        // SAFETY: the backend just wrote it.
        if let Ok(session) = unsafe { read(handle) } {
            running.faults.opened(session, slot);
        }
    }
    answer
}

/// # Safety
/// None: there is no pointer.
pub(super) unsafe fn close_session(running: &Running, session: CK_SESSION_HANDLE) -> CK_RV {
    if let Some(answer) = gate(running, Call::C_CloseSession, Some(session)).answer {
        return answer;
    }
    running.faults.closed(session);
    // SAFETY: no pointer is given.
    unsafe { raw::C_CloseSession(running, session) }
}

/// # Safety
/// None: there is no pointer.
pub(super) unsafe fn close_all_sessions(running: &Running, slot: CK_SLOT_ID) -> CK_RV {
    if let Some(answer) = gate(running, Call::C_CloseAllSessions, None).answer {
        return answer;
    }
    running.faults.closed_all(slot);
    // SAFETY: no pointer is given.
    unsafe { raw::C_CloseAllSessions(running, slot) }
}

/// # Safety
/// That of `C_FindObjects`.
pub(super) unsafe fn find_objects(
    running: &Running,
    session: CK_SESSION_HANDLE,
    handles: *mut CK_OBJECT_HANDLE,
    limit: CK_ULONG,
    count: *mut CK_ULONG,
) -> CK_RV {
    let decision = gate(running, Call::C_FindObjects, Some(session));
    if let Some(answer) = decision.answer {
        return answer;
    }
    // SAFETY: the caller keeps the contract of PKCS#11.
    let answer = unsafe { raw::C_FindObjects(running, session, handles, limit, count) };
    if answer == CKR_OK && decision.view.wiped {
        // SAFETY: the backend just wrote it.
        unsafe { change(count, |count| *count = 0) };
    }
    answer
}

/// # Safety
/// That of `C_SignInit`.
pub(super) unsafe fn sign_init(
    running: &Running,
    session: CK_SESSION_HANDLE,
    mechanism: *mut CK_MECHANISM,
    key: CK_OBJECT_HANDLE,
) -> CK_RV {
    if let Some(answer) = gate(running, Call::C_SignInit, Some(session)).answer {
        return answer;
    }
    // SAFETY: the caller keeps the contract of PKCS#11.
    unsafe { raw::C_SignInit(running, session, mechanism, key) }
}

/// # Safety
/// That of `C_Sign`.
pub(super) unsafe fn sign(
    running: &Running,
    session: CK_SESSION_HANDLE,
    data: *mut CK_BYTE,
    data_bytes: CK_ULONG,
    signature: *mut CK_BYTE,
    count: *mut CK_ULONG,
) -> CK_RV {
    let call = if signature.is_null() { Call::SignLength } else { Call::C_Sign };
    let decision = gate(running, call, Some(session));
    let _turn = if call == Call::C_Sign { running.latency.turn() } else { None };
    // SAFETY: the caller keeps the contract of PKCS#11.
    let answer = unsafe { decided(running, &decision, session, data, data_bytes, signature, count) };
    running.faults.answers_now(&decision);
    answer
}

/// # Safety
/// That of `C_Sign`.
unsafe fn decided(
    running: &Running,
    decision: &Decision,
    session: CK_SESSION_HANDLE,
    data: *mut CK_BYTE,
    data_bytes: CK_ULONG,
    signature: *mut CK_BYTE,
    count: *mut CK_ULONG,
) -> CK_RV {
    if let Some(answer) = decision.answer {
        if !data.is_null() {
            // SAFETY: the caller keeps the contract of PKCS#11.
            unsafe { discard(running, session, data, data_bytes) };
        }
        return answer;
    }
    match decision.spoil {
        None => {
            // SAFETY: the caller keeps the contract of PKCS#11.
            unsafe { raw::C_Sign(running, session, data, data_bytes, signature, count) }
        }
        Some((Spoil::OtherMessage, _)) => {
            // SAFETY: the caller keeps the contract of PKCS#11.
            let mut other = unsafe { other_message(data, data_bytes) };
            let (other, bytes) = (other.as_mut_ptr(), other.len() as CK_ULONG);
            // SAFETY: as above, and the other message lives until the end of this arm.
            unsafe { raw::C_Sign(running, session, other, bytes, signature, count) }
        }
        Some((spoil, nth)) => {
            // SAFETY: the caller keeps the contract of PKCS#11.
            let answer = unsafe { raw::C_Sign(running, session, data, data_bytes, signature, count) };
            if answer == CKR_OK {
                // SAFETY: the backend took it.
                let message = unsafe { bytes(data, data_bytes) }.unwrap_or_default();
                // SAFETY: the backend just wrote `count` bytes there.
                unsafe { spoil_signature(spoil, nth, message, signature, count) };
            }
            answer
        }
    }
}

/// Ends the operation that a caller is made to believe has failed.
///
/// # Safety
/// `data` is null or good for reads of `data_bytes`.
unsafe fn discard(running: &Running, session: CK_SESSION_HANDLE, data: *mut CK_BYTE, data_bytes: CK_ULONG) {
    let mut room = [0; DISCARDED_BYTES];
    let mut count = DISCARDED_BYTES as CK_ULONG;
    // SAFETY: the caller vouches for the data, and the room is as long as the count says.
    unsafe { raw::C_Sign(running, session, data, data_bytes, room.as_mut_ptr(), &raw mut count) };
}

/// The message with its first bit flipped; one byte where there is none.
///
/// # Safety
/// `data` is null or good for reads of `data_bytes`.
unsafe fn other_message(data: *mut CK_BYTE, data_bytes: CK_ULONG) -> Vec<u8> {
    // A message past the limit is not copied: the backend refuses a null one.
    let fits = length(data_bytes).is_ok_and(|bytes| bytes <= MAX_MESSAGE_BYTES);
    // SAFETY: the caller vouches for the data.
    let mut other = unsafe { bytes(data, if fits { data_bytes } else { 0 }) }.unwrap_or_default().to_vec();
    match other.first_mut() {
        Some(first) => *first ^= 1,
        None => other.push(0),
    }
    other
}

/// # Safety
/// `count` is good for reads, and `signature` for reads and writes of that many bytes.
unsafe fn spoil_signature(
    spoil: Spoil,
    nth: u64,
    message: &[u8],
    signature: *mut CK_BYTE,
    count: *mut CK_ULONG,
) {
    // SAFETY: the caller vouches for the count.
    let made = unsafe { read(count) }.unwrap_or(0);
    // SAFETY: the caller vouches for the signature.
    let signature = unsafe { bytes_mut(signature, made) }.unwrap_or_default();
    match spoil {
        Spoil::Zero => signature.fill(0),
        Spoil::OtherKey if signature.len() == ed25519_dalek::SIGNATURE_LENGTH => {
            let key = SigningKey::from_bytes(&Sha256::digest(b"firmware-sim: the wrong key").into());
            signature.copy_from_slice(&key.sign(message).to_bytes());
        }
        // Another byte each time, so that no check of a part of the signature passes for one of all of it.
        Spoil::FlipBit | Spoil::OtherKey | Spoil::OtherMessage => {
            let at = usize::try_from(nth).unwrap_or(0).checked_rem(signature.len()).unwrap_or(0);
            if let Some(byte) = signature.get_mut(at) {
                *byte ^= 1;
            }
        }
    }
}

/// Reports what faults made come or go. The stand-alone simulator has no other events; a real module is asked for its own.
///
/// # Safety
/// That of `C_WaitForSlotEvent`.
pub(super) unsafe fn wait_for_slot_event(
    running: &Running,
    flags: CK_FLAGS,
    slot: *mut CK_SLOT_ID,
    reserved: *mut c_void,
) -> CK_RV {
    if let Some(answer) = gate(running, Call::C_WaitForSlotEvent, None).answer {
        return answer;
    }
    if slot.is_null() || !reserved.is_null() {
        return CKR_ARGUMENTS_BAD;
    }
    loop {
        if let Some(changed) = running.faults.event(|| slots(running)) {
            // SAFETY: the caller keeps the contract of PKCS#11.
            return unsafe { write(slot, changed) }.map_or_else(|failure| failure.code(), |()| CKR_OK);
        }
        if let Backend::Real(_) = running.backend {
            // SAFETY: as above.
            return unsafe { raw::C_WaitForSlotEvent(running, flags, slot, reserved) };
        }
        if flags & CKF_DONT_BLOCK != 0 {
            return CKR_NO_EVENT;
        }
        if !current().is_ok_and(|now| std::ptr::eq(Arc::as_ptr(&now), running)) {
            return CKR_CRYPTOKI_NOT_INITIALIZED;
        }
        sleep(LOOK_AGAIN);
    }
}

/// The slots that the backend says have something in them.
fn slots(running: &Running) -> Vec<CK_SLOT_ID> {
    let mut list = [0; MAX_EVENT_SLOTS];
    let mut count = MAX_EVENT_SLOTS as CK_ULONG;
    // SAFETY: the list is as long as the count says.
    match unsafe { raw::C_GetSlotList(running, CK_TRUE, list.as_mut_ptr(), &raw mut count) } {
        CKR_OK => list.into_iter().take(length(count).unwrap_or(0)).collect(),
        _ => Vec::new(),
    }
}
