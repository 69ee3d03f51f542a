//! The real module that we stand in front of.
//!
//! It is loaded once and stays: many a module does not survive to be unloaded. Its functions are called through our list only, and
//! a function that it does not have is `CKR_FUNCTION_NOT_SUPPORTED`.

use std::ffi::c_void;
use std::path::Path;
use std::ptr::null_mut;

use cryptoki_sys::*;

/// The functions of a module that is initialised.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Real {
    pub(super) list: CK_FUNCTION_LIST,
}

impl Real {
    /// Loads the module at `path` and initialises it.
    ///
    /// # Safety
    /// `arguments` is what the caller of `C_Initialize` gave, and the file at `path` is a PKCS#11 module.
    pub(super) unsafe fn start(path: &Path, arguments: *mut c_void) -> Result<Self, CK_RV> {
        let unusable = |reason: &str| {
            eprintln!("firmware-sim: `{}` cannot be used: {reason}", path.display());
            CKR_GENERAL_ERROR
        };
        // SAFETY: whoever names the module in the environment vouches for it.
        let library = unsafe { Pkcs11::new(path) }.map_err(|error| unusable(&error.to_string()))?;
        let library = Box::leak(Box::new(library));
        let entry = *library.C_GetFunctionList.as_ref().map_err(|error| unusable(&error.to_string()))?;
        let mut list = null_mut();
        // SAFETY: `list` is good for a write.
        match unsafe { entry(&raw mut list) } {
            CKR_OK if !list.is_null() => {}
            _ => return Err(unusable("it gives no function list")),
        }
        // SAFETY: not null, and the module vouches for its list, which lives as long as the library, for ever.
        let list = unsafe { list.read_unaligned() };
        if list.version.major != 2 {
            return Err(unusable("its function list is not of version 2"));
        }
        let start = list.C_Initialize.ok_or_else(|| unusable("it has no C_Initialize"))?;
        // SAFETY: the caller vouches for the arguments.
        match unsafe { start(arguments) } {
            CKR_OK => Ok(Self { list }),
            refused => Err(refused),
        }
    }

    /// # Safety
    /// `reserved` is what the caller of `C_Finalize` gave.
    pub(super) unsafe fn finalize(&self, reserved: *mut c_void) -> CK_RV {
        // SAFETY: the caller keeps the contract of PKCS#11.
        self.list.C_Finalize.map_or(CKR_FUNCTION_NOT_SUPPORTED, |finalize| unsafe { finalize(reserved) })
    }
}
