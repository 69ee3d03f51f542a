//! The function list: every call of PKCS#11 2.40, and where it goes.
//!
//! Each entry is there, also of what the stand-alone simulator cannot do: that answers `CKR_FUNCTION_NOT_SUPPORTED`. Each passes
//! the faults before it comes to the backend. The one exported symbol is `C_GetFunctionList`, so that nobody gets in beside them.
#![expect(non_snake_case, reason = "the calls have the names that PKCS#11 gives them")]

use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};

use cryptoki_sys::*;

use super::watched::gate;
use super::{general, keys, objects, sessions, signing, slots, watched};
use crate::calls::Call;
use crate::failure::Failure;
use crate::general::{Backend, INTERFACE, Running, current};

/// Runs a call on the simulator of this process.
fn enter(call: impl FnOnce(&Running) -> CK_RV) -> CK_RV {
    contain(|| current().map_or_else(Failure::code, |running| call(&running)))
}

/// A panic ends here, as `CKR_GENERAL_ERROR`.
fn contain(call: impl FnOnce() -> CK_RV) -> CK_RV {
    catch_unwind(AssertUnwindSafe(call)).unwrap_or(CKR_GENERAL_ERROR)
}

unsafe extern "C" fn C_Initialize(arguments: *mut c_void) -> CK_RV {
    // SAFETY: the caller vouches for the arguments.
    contain(|| unsafe { general::initialize(arguments) })
}

unsafe extern "C" fn C_Finalize(reserved: *mut c_void) -> CK_RV {
    // SAFETY: the caller keeps the contract of PKCS#11.
    contain(|| unsafe { general::finalize(reserved) })
}

/// Gives the caller the list of all functions; the only way in.
///
/// # Safety
/// `list` is null or good for the write of a pointer.
// SAFETY: no other crate of the workspace, and no library that it links, defines the name.
#[unsafe(no_mangle)]
#[expect(unreachable_pub, reason = "reached by its symbol, not by its path")]
pub unsafe extern "C" fn C_GetFunctionList(list: *mut *mut CK_FUNCTION_LIST) -> CK_RV {
    contain(|| {
        // PKCS#11 has no word for `const`; the list is for reading.
        // SAFETY: the caller vouches for `list`.
        let given = unsafe { super::pointers::write(list, (&raw const LIST).cast_mut()) };
        given.map_or_else(Failure::code, |()| CKR_OK)
    })
}

macro_rules! table {
    (
        plain { $($plain:ident($($pa:ident: $pt:ty),*) = $plain_own:path;)* }
        watched { $($seen:ident($($sa:ident: $st:ty),*) = $seen_own:path, $watch:path;)* }
        unsupported { $($missing:ident($($ma:ident: $mt:ty),*);)* }
    ) => {
        /// The calls on the backend, past the faults.
        #[expect(clippy::too_many_arguments, reason = "as many as PKCS#11 wants, and the simulator")]
        pub(super) mod raw {
            use super::*;

            table! { @raw $($plain($($pa: $pt),*) = $plain_own;)* $($seen($($sa: $st),*) = $seen_own;)* }
            $(
                pub(in crate::ffi) unsafe fn $missing(running: &Running, $($ma: $mt),*) -> CK_RV {
                    match &running.backend {
                        Backend::Own(_) => CKR_FUNCTION_NOT_SUPPORTED,
                        Backend::Real(real) => match real.list.$missing {
                            // SAFETY: the caller keeps the contract of PKCS#11, and so do we to the real module.
                            Some(call) => unsafe { call($($ma),*) },
                            None => CKR_FUNCTION_NOT_SUPPORTED,
                        },
                    }
                }
            )*
        }

        table! { @gated $($plain($($pa: $pt),*);)* $($missing($($ma: $mt),*);)* }
        $(
            unsafe extern "C" fn $seen($($sa: $st),*) -> CK_RV {
                // SAFETY: the caller keeps the contract of PKCS#11, which is the contract of our function.
                enter(|running| unsafe { $watch(running, $($sa),*) })
            }
        )*

        /// What `C_GetFunctionList` gives.
        static LIST: CK_FUNCTION_LIST = CK_FUNCTION_LIST {
            version: INTERFACE,
            C_Initialize: Some(C_Initialize),
            C_Finalize: Some(C_Finalize),
            C_GetFunctionList: Some(C_GetFunctionList),
            $($plain: Some($plain),)*
            $($seen: Some($seen),)*
            $($missing: Some($missing),)*
        };
    };
    (@raw $($name:ident($($argument:ident: $kind:ty),*) = $own:path;)*) => {
        $(
            pub(in crate::ffi) unsafe fn $name(running: &Running, $($argument: $kind),*) -> CK_RV {
                match &running.backend {
                    Backend::Own(module) => {
                        // SAFETY: the caller keeps the contract of PKCS#11, which is the contract of our function.
                        let done = unsafe { $own(module, $($argument),*) };
                        done.map_or_else(Failure::code, |()| CKR_OK)
                    }
                    Backend::Real(real) => match real.list.$name {
                        // SAFETY: the caller keeps the contract of PKCS#11, and so do we to the real module.
                        Some(call) => unsafe { call($($argument),*) },
                        None => CKR_FUNCTION_NOT_SUPPORTED,
                    },
                }
            }
        )*
    };
    (@gated $($name:ident($($argument:ident: $kind:ty),*);)*) => {
        $(
            unsafe extern "C" fn $name($($argument: $kind),*) -> CK_RV {
                enter(|running| match gate(running, Call::$name, None).answer {
                    Some(answer) => answer,
                    // SAFETY: the caller keeps the contract of PKCS#11.
                    None => unsafe { raw::$name(running, $($argument),*) },
                })
            }
        )*
    };
}

table! {
    plain {
        C_GetMechanismList(a: CK_SLOT_ID, b: *mut CK_MECHANISM_TYPE, c: *mut CK_ULONG) = slots::mechanisms;
        C_GetMechanismInfo(a: CK_SLOT_ID, b: CK_MECHANISM_TYPE, c: *mut CK_MECHANISM_INFO) = slots::mechanism_info;
        C_InitToken(a: CK_SLOT_ID, b: *mut CK_UTF8CHAR, c: CK_ULONG, d: *mut CK_UTF8CHAR) = slots::init_token;
        C_InitPIN(a: CK_SESSION_HANDLE, b: *mut CK_UTF8CHAR, c: CK_ULONG) = slots::init_pin;
        C_SetPIN(a: CK_SESSION_HANDLE, b: *mut CK_UTF8CHAR, c: CK_ULONG, d: *mut CK_UTF8CHAR, e: CK_ULONG) = slots::set_pin;
        C_GetSessionInfo(a: CK_SESSION_HANDLE, b: *mut CK_SESSION_INFO) = sessions::info;
        C_Login(a: CK_SESSION_HANDLE, b: CK_USER_TYPE, c: *mut CK_UTF8CHAR, d: CK_ULONG) = sessions::login;
        C_Logout(a: CK_SESSION_HANDLE) = sessions::logout;
        C_CreateObject(a: CK_SESSION_HANDLE, b: *mut CK_ATTRIBUTE, c: CK_ULONG, d: *mut CK_OBJECT_HANDLE) = objects::create;
        C_DestroyObject(a: CK_SESSION_HANDLE, b: CK_OBJECT_HANDLE) = objects::destroy;
        C_GetAttributeValue(a: CK_SESSION_HANDLE, b: CK_OBJECT_HANDLE, c: *mut CK_ATTRIBUTE, d: CK_ULONG) = objects::read_attributes;
        C_SetAttributeValue(a: CK_SESSION_HANDLE, b: CK_OBJECT_HANDLE, c: *mut CK_ATTRIBUTE, d: CK_ULONG) = objects::write_attributes;
        C_FindObjectsInit(a: CK_SESSION_HANDLE, b: *mut CK_ATTRIBUTE, c: CK_ULONG) = objects::find_init;
        C_FindObjectsFinal(a: CK_SESSION_HANDLE) = objects::find_final;
        C_VerifyInit(a: CK_SESSION_HANDLE, b: *mut CK_MECHANISM, c: CK_OBJECT_HANDLE) = signing::verify_init;
        C_Verify(a: CK_SESSION_HANDLE, b: *mut CK_BYTE, c: CK_ULONG, d: *mut CK_BYTE, e: CK_ULONG) = signing::verify;
        C_GenerateKeyPair(a: CK_SESSION_HANDLE, b: *mut CK_MECHANISM, c: *mut CK_ATTRIBUTE, d: CK_ULONG, e: *mut CK_ATTRIBUTE, f: CK_ULONG, g: *mut CK_OBJECT_HANDLE, h: *mut CK_OBJECT_HANDLE) = keys::generate_key_pair;
        C_SeedRandom(a: CK_SESSION_HANDLE, b: *mut CK_BYTE, c: CK_ULONG) = keys::seed_random;
        C_GenerateRandom(a: CK_SESSION_HANDLE, b: *mut CK_BYTE, c: CK_ULONG) = keys::generate_random;
        C_GetFunctionStatus(a: CK_SESSION_HANDLE) = sessions::not_parallel;
        C_CancelFunction(a: CK_SESSION_HANDLE) = sessions::not_parallel;
    }
    watched {
        C_GetInfo(a: *mut CK_INFO) = general::info, watched::info;
        C_GetSlotList(a: CK_BBOOL, b: *mut CK_SLOT_ID, c: *mut CK_ULONG) = slots::list, watched::slot_list;
        C_GetSlotInfo(a: CK_SLOT_ID, b: *mut CK_SLOT_INFO) = slots::info, watched::slot_info;
        C_GetTokenInfo(a: CK_SLOT_ID, b: *mut CK_TOKEN_INFO) = slots::token, watched::token_info;
        C_OpenSession(a: CK_SLOT_ID, b: CK_FLAGS, c: *mut c_void, d: CK_NOTIFY, e: *mut CK_SESSION_HANDLE) = sessions::open, watched::open_session;
        C_CloseSession(a: CK_SESSION_HANDLE) = sessions::close, watched::close_session;
        C_CloseAllSessions(a: CK_SLOT_ID) = sessions::close_all, watched::close_all_sessions;
        C_FindObjects(a: CK_SESSION_HANDLE, b: *mut CK_OBJECT_HANDLE, c: CK_ULONG, d: *mut CK_ULONG) = objects::find, watched::find_objects;
        C_SignInit(a: CK_SESSION_HANDLE, b: *mut CK_MECHANISM, c: CK_OBJECT_HANDLE) = signing::sign_init, watched::sign_init;
        C_Sign(a: CK_SESSION_HANDLE, b: *mut CK_BYTE, c: CK_ULONG, d: *mut CK_BYTE, e: *mut CK_ULONG) = signing::sign, watched::sign;
        C_WaitForSlotEvent(a: CK_FLAGS, b: *mut CK_SLOT_ID, c: *mut c_void) = slots::no_event, watched::wait_for_slot_event;
    }
    unsupported {
        C_GetOperationState(a: CK_SESSION_HANDLE, b: *mut CK_BYTE, c: *mut CK_ULONG);
        C_SetOperationState(a: CK_SESSION_HANDLE, b: *mut CK_BYTE, c: CK_ULONG, d: CK_OBJECT_HANDLE, e: CK_OBJECT_HANDLE);
        C_CopyObject(a: CK_SESSION_HANDLE, b: CK_OBJECT_HANDLE, c: *mut CK_ATTRIBUTE, d: CK_ULONG, e: *mut CK_OBJECT_HANDLE);
        C_GetObjectSize(a: CK_SESSION_HANDLE, b: CK_OBJECT_HANDLE, c: *mut CK_ULONG);
        C_EncryptInit(a: CK_SESSION_HANDLE, b: *mut CK_MECHANISM, c: CK_OBJECT_HANDLE);
        C_Encrypt(a: CK_SESSION_HANDLE, b: *mut CK_BYTE, c: CK_ULONG, d: *mut CK_BYTE, e: *mut CK_ULONG);
        C_EncryptUpdate(a: CK_SESSION_HANDLE, b: *mut CK_BYTE, c: CK_ULONG, d: *mut CK_BYTE, e: *mut CK_ULONG);
        C_EncryptFinal(a: CK_SESSION_HANDLE, b: *mut CK_BYTE, c: *mut CK_ULONG);
        C_DecryptInit(a: CK_SESSION_HANDLE, b: *mut CK_MECHANISM, c: CK_OBJECT_HANDLE);
        C_Decrypt(a: CK_SESSION_HANDLE, b: *mut CK_BYTE, c: CK_ULONG, d: *mut CK_BYTE, e: *mut CK_ULONG);
        C_DecryptUpdate(a: CK_SESSION_HANDLE, b: *mut CK_BYTE, c: CK_ULONG, d: *mut CK_BYTE, e: *mut CK_ULONG);
        C_DecryptFinal(a: CK_SESSION_HANDLE, b: *mut CK_BYTE, c: *mut CK_ULONG);
        C_DigestInit(a: CK_SESSION_HANDLE, b: *mut CK_MECHANISM);
        C_Digest(a: CK_SESSION_HANDLE, b: *mut CK_BYTE, c: CK_ULONG, d: *mut CK_BYTE, e: *mut CK_ULONG);
        C_DigestUpdate(a: CK_SESSION_HANDLE, b: *mut CK_BYTE, c: CK_ULONG);
        C_DigestKey(a: CK_SESSION_HANDLE, b: CK_OBJECT_HANDLE);
        C_DigestFinal(a: CK_SESSION_HANDLE, b: *mut CK_BYTE, c: *mut CK_ULONG);
        C_SignUpdate(a: CK_SESSION_HANDLE, b: *mut CK_BYTE, c: CK_ULONG);
        C_SignFinal(a: CK_SESSION_HANDLE, b: *mut CK_BYTE, c: *mut CK_ULONG);
        C_SignRecoverInit(a: CK_SESSION_HANDLE, b: *mut CK_MECHANISM, c: CK_OBJECT_HANDLE);
        C_SignRecover(a: CK_SESSION_HANDLE, b: *mut CK_BYTE, c: CK_ULONG, d: *mut CK_BYTE, e: *mut CK_ULONG);
        C_VerifyUpdate(a: CK_SESSION_HANDLE, b: *mut CK_BYTE, c: CK_ULONG);
        C_VerifyFinal(a: CK_SESSION_HANDLE, b: *mut CK_BYTE, c: CK_ULONG);
        C_VerifyRecoverInit(a: CK_SESSION_HANDLE, b: *mut CK_MECHANISM, c: CK_OBJECT_HANDLE);
        C_VerifyRecover(a: CK_SESSION_HANDLE, b: *mut CK_BYTE, c: CK_ULONG, d: *mut CK_BYTE, e: *mut CK_ULONG);
        C_DigestEncryptUpdate(a: CK_SESSION_HANDLE, b: *mut CK_BYTE, c: CK_ULONG, d: *mut CK_BYTE, e: *mut CK_ULONG);
        C_DecryptDigestUpdate(a: CK_SESSION_HANDLE, b: *mut CK_BYTE, c: CK_ULONG, d: *mut CK_BYTE, e: *mut CK_ULONG);
        C_SignEncryptUpdate(a: CK_SESSION_HANDLE, b: *mut CK_BYTE, c: CK_ULONG, d: *mut CK_BYTE, e: *mut CK_ULONG);
        C_DecryptVerifyUpdate(a: CK_SESSION_HANDLE, b: *mut CK_BYTE, c: CK_ULONG, d: *mut CK_BYTE, e: *mut CK_ULONG);
        C_GenerateKey(a: CK_SESSION_HANDLE, b: *mut CK_MECHANISM, c: *mut CK_ATTRIBUTE, d: CK_ULONG, e: *mut CK_OBJECT_HANDLE);
        C_WrapKey(a: CK_SESSION_HANDLE, b: *mut CK_MECHANISM, c: CK_OBJECT_HANDLE, d: CK_OBJECT_HANDLE, e: *mut CK_BYTE, f: *mut CK_ULONG);
        C_UnwrapKey(a: CK_SESSION_HANDLE, b: *mut CK_MECHANISM, c: CK_OBJECT_HANDLE, d: *mut CK_BYTE, e: CK_ULONG, f: *mut CK_ATTRIBUTE, g: CK_ULONG, h: *mut CK_OBJECT_HANDLE);
        C_DeriveKey(a: CK_SESSION_HANDLE, b: *mut CK_MECHANISM, c: CK_OBJECT_HANDLE, d: *mut CK_ATTRIBUTE, e: CK_ULONG, f: *mut CK_OBJECT_HANDLE);
    }
}
