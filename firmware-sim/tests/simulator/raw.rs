//! The module through its raw function list, and how it is made ready.

use std::path::Path;
use std::ptr::null_mut;

use cryptoki_sys::*;
use libloading::{Library, Symbol};

use crate::scratch::{Scratch, copied_module, with_folder};

/// The module behind its raw function list.
pub(crate) struct Raw {
    pub(crate) list: CK_FUNCTION_LIST,
    _library: Library,
}

impl Raw {
    pub(crate) fn load(scratch: &Scratch) -> Self {
        Self::open(&copied_module(scratch.folder()))
    }

    pub(crate) fn open(module: &Path) -> Self {
        // SAFETY: a PKCS#11 module is made to be loaded.
        let library = unsafe { Library::new(module) }.unwrap();
        // SAFETY: the symbol has this type in every PKCS#11 module.
        let entry: Symbol<'_, unsafe extern "C" fn(*mut *mut CK_FUNCTION_LIST) -> CK_RV> =
            unsafe { library.get(b"C_GetFunctionList") }.unwrap();
        let mut list = null_mut();
        // SAFETY: `list` is good for a write.
        assert_eq!(unsafe { entry(&raw mut list) }, CKR_OK);
        // SAFETY: the module gave the list, which lives as long as it.
        let list = unsafe { *list };
        Self { list, _library: library }
    }

    pub(crate) fn initialise(&self, scratch: &Scratch) {
        // SAFETY: null asks for the defaults.
        let answer =
            with_folder(Some(&scratch.state()), || unsafe { self.list.C_Initialize.unwrap()(null_mut()) });
        assert_eq!(answer, CKR_OK);
    }
}

/// A slot with both PINs and a pair of keys, and the user logged in, through the raw calls: slot, session, private key.
pub(crate) fn provision(list: &CK_FUNCTION_LIST) -> (CK_SLOT_ID, CK_SESSION_HANDLE, CK_OBJECT_HANDLE) {
    let mut pin = *b"56785678";
    let mut label = [b' '; 32];
    let (mut session, mut public, mut private) = (0, 0, 0);
    let mut curve = crate::scratch::CURVE.to_vec();
    let mut template = [CK_ATTRIBUTE {
        type_: CKA_EC_PARAMS,
        pValue: curve.as_mut_ptr().cast(),
        ulValueLen: curve.len() as CK_ULONG,
    }];
    let mut mechanism =
        CK_MECHANISM { mechanism: CKM_EC_EDWARDS_KEY_PAIR_GEN, pParameter: null_mut(), ulParameterLen: 0 };
    let flags = CKF_SERIAL_SESSION | CKF_RW_SESSION;
    macro_rules! fine {
        ($name:ident($($argument:expr),*)) => {
            // SAFETY: every pointer has the room that its length claims.
            assert_eq!(unsafe { list.$name.unwrap()($($argument),*) }, CKR_OK, stringify!($name))
        };
    }
    let (mut slots, mut count) = ([0; 8], 8);
    fine!(C_InitToken(0, pin.as_mut_ptr(), 8, label.as_mut_ptr()));
    // The list is read in two calls: some modules number their slots anew when they are asked for the length.
    fine!(C_GetSlotList(CK_TRUE, null_mut(), &raw mut count));
    fine!(C_GetSlotList(CK_TRUE, slots.as_mut_ptr(), &raw mut count));
    fine!(C_OpenSession(slots[0], flags, null_mut(), None, &raw mut session));
    fine!(C_Login(session, CKU_SO, pin.as_mut_ptr(), 8));
    fine!(C_InitPIN(session, pin.as_mut_ptr(), 8));
    fine!(C_Logout(session));
    fine!(C_Login(session, CKU_USER, pin.as_mut_ptr(), 8));
    fine!(C_GenerateKeyPair(
        session,
        &raw mut mechanism,
        template.as_mut_ptr(),
        1,
        null_mut(),
        0,
        &raw mut public,
        &raw mut private
    ));
    (slots[0], session, private)
}
